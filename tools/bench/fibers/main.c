// SPDX-License-Identifier: ISC
// What fibers, and what lets them wait for each other, cost.
//
// Each row runs in a loop of its own, so that none finds the stacks of another. Those of one domain
// come first: a process that has had a second thread pays for its atomics from then on.

#include <stdio.h>
#include <string.h>

#include "eio/main.h"
#include "tools/bench/fibers/args.h"
#include "tools/bench/fibers/rows.h"

static const struct row {
    const char *name;
    row_fn *fn;
} rows[] = {
    {"switch", row_switch},
    {"yield", row_yield},
    {"fork-join", row_fork_join},
    {"fork-batch", row_fork_batch},
    {"fork-value", row_fork_value},
    {"fork-promise", row_fork_promise},
    {"fork-fresh", row_fork_fresh},
    {"switch-run", row_switch_run},
    {"both", row_both},
    {"first", row_first},
    {"timeout", row_timeout},
    {"cancel", row_cancel},
    {"take-first", row_take_first},
    {"promise-read", row_promise_read},
    {"promise", row_promise},
    {"stream", row_stream},
    {"mutex", row_mutex},
    {"semaphore", row_semaphore},
    {"condition", row_condition},
    {"timer-arm", row_timer},
    {"timer-cancel", row_timer},
    {"timer-fire", row_timer},
    {"wake", row_wake},
    {"memory", row_memory},
    {"domain-start", row_domain_start},
    {"promise-domains", row_promise_domains},
    {"stream-domains", row_stream_domains},
    {"mutex-domains", row_mutex_domains},
    {"semaphore-domains", row_semaphore_domains},
    {"condition-domains", row_condition_domains},
};

struct run {
    const struct row *row;
    enum size size;
};

static eio_err *run_row(void *arg, const eio_env *env) {
    const struct run *self = arg;
    const struct bench bench = {.env = env, .size = self->size, .row = self->row->name};
    return self->row->fn(&bench);
}

int main(int argc, char **argv) {
    struct args args;
    if (!args_parse(argc, argv, &args))
        return 2;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct run run = {.row = &rows[i], .size = args.size};
        if (!args_want(&args, rows[i].name))
            continue;
        if (args.list) {
            printf("%s\n", rows[i].name);
            continue;
        }
        eio_err *err = eio_run(NULL, run_row, &run);
        if (err != NULL) {
            char text[512];
            fprintf(stderr, "%s: %s\n", rows[i].name, eio_err_str(err, text, sizeof text));
            eio_err_drop(err);
            return 1;
        }
    }
    return 0;
}
