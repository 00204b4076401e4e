// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_EXIT_NOW_H
#define EIO_TESTS_SUPPORT_EXIT_NOW_H

// Ends a process that a test has forked.

#include <unistd.h>

/// gcov's, in a build that counts; else there is none.
extern "C" void __gcov_dump(void) __attribute__((weak));

namespace eio_test {

/// As _exit(2), but what this process ran is counted (tests/coverage).
[[noreturn]] inline void ExitNow(int status) {
    if (__gcov_dump != nullptr)
        __gcov_dump();
    _exit(status);
}

} // namespace eio_test

#endif
