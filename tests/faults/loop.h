// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_FAULTS_LOOP_H
#define EIO_TESTS_FAULTS_LOOP_H

// The fault loop: of one scenario, each call that passes the seam (fiber/base/fault.h) fails in
// turn. Number N fails with each errno value that it may have, once, and then again and again; a
// read or write is also made short. Then the next one, until a run needs no such call any more.

#include <string>

#include "tests/faults/scenario.h"

namespace eio_faults {

/// What came of it. In memory that the watching process shares.
struct Tally {
    unsigned long long points;    // runs in which something failed
    unsigned long long errors;    // of these: those that ended with an error
    unsigned long long successes; // those that coped
};

struct LoopOpts {
    const char *backend; ///< "uring", "epoll"; "mock" for those that run there
    unsigned stride;     ///< 1: each call with each errno value; n: each nth call, with one of them
};

/// Runs the loop in a process of its own, which a crash or a hang may take along. "" when all was
/// well; else what was wrong, and at which point.
std::string RunLoop(const Scenario &scenario, const LoopOpts &opts, Tally *out);

} // namespace eio_faults

#endif
