// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_FAULTS_SCENARIO_H
#define EIO_TESTS_FAULTS_SCENARIO_H

// What the fault loops run: small programs that check what they got, and say so by their error.

#include <functional>
#include <string>
#include <vector>

#include "eio/env.h"
#include "eio/switch.h"
#include "tests/support/support.h"

namespace eio_faults {

using namespace eio_test;

/// One run. It returns the error that it met, and `Wrong(...)` when a call gave something untrue.
using Body = std::function<eio_err *(eio_switch *sw, const eio_env *env)>;

enum Flags : unsigned {
    /// The library itself deals with some failures: another address, another server, the next
    /// connection. So not every failure has to be the result.
    kForgiving = 1,
    /// Runs on the mock loop, and only there.
    kMock = 2,
    /// Runs on whichever backend starts.
    kAnyBackend = 4,
    /// What fails may be the other side, of which this one sees the end of the connection.
    kTwoSides = 8,
    /// A thread of the test's own serves it, and closes its connections a little later.
    kServerThread = 16,
};

struct Scenario {
    const char *name;
    unsigned flags;
    /// Makes what all runs share: servers of the test's own, files. Called once in a process.
    std::function<Body()> make;
};

/// A result that no failure explains.
#define WRONG(...) eio_err_failure("WRONG: " __VA_ARGS__)
#define CHECK_THAT(condition)                                             \
    do {                                                                  \
        if (!(condition))                                                 \
            return WRONG("%s, at %s:%d", #condition, __FILE__, __LINE__); \
    } while (0)

std::vector<Scenario> FiberScenarios();
std::vector<Scenario> FlowScenarios();
std::vector<Scenario> NetScenarios();
std::vector<Scenario> NameScenarios();
std::vector<Scenario> MockScenarios();
/// All of them.
std::vector<Scenario> Scenarios();

} // namespace eio_faults

#endif
