// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_LOAD_SCALE_H
#define EIO_TESTS_LOAD_SCALE_H

// How much load. EIO_LOAD in the environment picks a column: unset, what an ordinary run of the
// tests can afford; `short`, what is looked at before each change; `long`, the whole of it.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/counts.h"

namespace eio_test {

struct Load {
    const char *what;
    unsigned quick, brief, full;
};

constexpr Load kProxied = {"connections through a fault proxy", 200, 2000, 10000};
constexpr Load kProxiedSeconds = {"seconds of them", 1, 8, 60};
constexpr Load kSlowClients = {"slow clients", 200, 2000, 5000};
constexpr Load kWaiting = {"clients waiting for a descriptor", 500, 500, 500};
constexpr Load kConnectCycles = {"cycles of connect, accept, close", 2000, 100000, 1000000};
constexpr Load kFiberCycles = {"fibers, one after the other", 20000, 1000000, 1000000};
constexpr Load kCancelledReads = {"cancelled reads", 5000, 200000, 1000000};
constexpr Load kDrained = {"clients of a server that is told to stop", 50, 200, 500};

inline unsigned HowMany(const Load &load) {
    const char *given = getenv("EIO_LOAD");
    const std::string form = given == nullptr || kSanitized ? "quick" : given;
    const unsigned n = form == "long" ? load.full : form == "short" ? load.brief : load.quick;
    printf("%s: %u of %u\n", load.what, n, load.full);
    return n;
}

} // namespace eio_test

#endif
