// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_LOAD_FAULT_PROXY_H
#define EIO_TESTS_LOAD_FAULT_PROXY_H

// A proxy that does to connections what bad networks do. The first byte that a client sends names
// the kind, and is forwarded too.

#include <cstdint>

#include "eio/env.h"
#include "tests/load/child.h"

namespace eio_test {

enum Misfortune : char {
    kNone = 'n',     ///< everything is forwarded
    kDelays = 'd',   ///< everything is forwarded, late
    kOneByte = '1',  ///< everything is forwarded, byte by byte
    kReset = 'r',    ///< both sides are reset at some point
    kHalfOpen = 'h', ///< at some point nothing is forwarded any more, and nobody is told
};

/// Proxies to `target` until told to stop, from a seed; tells its port.
eio_err *RunFaultProxy(eio_switch *sw, const eio_env *env, Parent &parent,
                       const eio_sockaddr &target, uint64_t seed);

} // namespace eio_test

#endif
