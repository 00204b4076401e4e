// SPDX-License-Identifier: ISC
// A benchmark's program has nobody to hand an error to: it says what failed and ends.

#ifndef EIO_BENCH_DIE_H
#define EIO_BENCH_DIE_H

/** Prints the message, and ends the program with status 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
/** The same, with the text of `error` (an errno value, or a negative one as io_uring has them). */
__attribute__((noreturn, format(printf, 2, 3))) void die_errno(int error, const char *format, ...);

#endif
