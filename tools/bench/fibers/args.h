// SPDX-License-Identifier: ISC
#ifndef EIO_BENCH_FIBERS_ARGS_H
#define EIO_BENCH_FIBERS_ARGS_H

// The command line that measuring programs have in common (tools/bench/README.md).

#include <stdbool.h>

#include "tools/bench/fibers/measure.h"

/** What to do. */
struct args {
    enum size size;
    bool list;   // print the names of the rows, and end
    char **rows; // to be run
    int count;   // of those; 0: all
};

/** Reads the command line; false: it can't be understood, which was said on standard error. */
bool args_parse(int argc, char **argv, struct args *out);
/** Whether row `name` is to be run. */
bool args_want(const struct args *self, const char *name);

#endif
