// SPDX-License-Identifier: ISC
// Options of the form KEY=VALUE, as all these programs take them.

#ifndef EIO_BENCH_OPTIONS_H
#define EIO_BENCH_OPTIONS_H

#include <stddef.h>

/** One option: exactly one of the two places is set. */
struct option_place {
    const char *key;
    unsigned *number;  /**< set from a decimal number */
    const char **text; /**< set to the words after the '=' */
};

/** Stores each KEY=VALUE of `argv` in its place; ends the program for one that has none. */
void parse_options(char **argv, const struct option_place *places, size_t n);

#endif
