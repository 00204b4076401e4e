// SPDX-License-Identifier: ISC
// Options first, then rows.

#include "tools/bench/fibers/args.h"

#include <stdio.h>
#include <string.h>

static bool parse_size(const char *text, enum size *out) {
    static const char *const names[] = {
        [SIZE_SHORTEST] = "shortest", [SIZE_SHORT] = "short", [SIZE_FULL] = "full"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum size)i;
            return true;
        }
    }
    return false;
}

bool args_parse(int argc, char **argv, struct args *out) {
    int at = 1;
    *out = (struct args){.size = SIZE_SHORT};
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--list") == 0) {
            out->list = true;
        } else if (strcmp(argv[at], "--size") == 0 && at + 1 < argc &&
                   parse_size(argv[at + 1], &out->size)) {
            at++;
        } else {
            fprintf(stderr, "usage: %s [--list] [--size shortest|short|full] [ROW...]\n", argv[0]);
            return false;
        }
    }
    out->rows = argv + at;
    out->count = argc - at;
    return true;
}

bool args_want(const struct args *self, const char *name) {
    for (int i = 0; i < self->count; i++)
        if (strcmp(self->rows[i], name) == 0)
            return true;
    return self->count == 0;
}
