// SPDX-License-Identifier: ISC
// The limit by itself: the rows that can be done without a library.

#include <stdio.h>

#include "tools/bench/fibers/args.h"
#include "tools/bench/fibers/bare.h"

static eio_err *yield_case(enum size size, size_t fibers) {
    struct bare_yield bare = {.fibers = fibers, .stack_bytes = 64 * 1024};
    char label[32];
    snprintf(label, sizeof label, "%zu", fibers);
    const struct subject subject = {.row = "yield", .label = label, .fn = bare_yield, .arg = &bare};
    eio_err *err = measure(&subject, size, 1000000, fibers);
    bare_yield_free(&bare);
    return err;
}

static eio_err *row_yield(enum size size) {
    static const size_t fibers[] = {1, 2, 10, 100, 500, 1000, 10000, 100000};
    const size_t most = size == SIZE_SHORTEST ? 1000 : 100000;
    for (size_t i = 0; i < sizeof fibers / sizeof fibers[0] && fibers[i] <= most; i++)
        EIO_TRY(yield_case(size, fibers[i]));
    return NULL;
}

static eio_err *row_switch(enum size size) {
    const struct subject subject = {.row = "switch", .label = "", .fn = bare_switch};
    return measure(&subject, size, 2000000, 2);
}

static eio_err *row_fork_join(enum size size) {
    const struct subject subject = {.row = "fork-join", .label = "", .fn = bare_spawn};
    return measure(&subject, size, 1000000, 1);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        eio_err *(*fn)(enum size size);
    } rows[] = {{"switch", row_switch}, {"yield", row_yield}, {"fork-join", row_fork_join}};
    struct args args;
    if (!args_parse(argc, argv, &args))
        return 2;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!args_want(&args, rows[i].name))
            continue;
        if (args.list) {
            printf("%s\n", rows[i].name);
            continue;
        }
        eio_err *err = rows[i].fn(args.size);
        if (err != NULL) {
            fprintf(stderr, "%s: no memory for the stacks\n", rows[i].name);
            eio_err_drop(err);
            return 1;
        }
    }
    return 0;
}
