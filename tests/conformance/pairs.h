// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_CONFORMANCE_PAIRS_H
#define EIO_TESTS_CONFORMANCE_PAIRS_H

// Two connected stream sockets of each kind there is.

#include <ostream>
#include <string>

#include "eio/env.h"
#include "eio/mock/pair.h"
#include "tests/conformance/sockets.h"
#include "tests/support/any_run.h"

namespace eio_test {

/// A kind of stream socket, on a backend.
struct PairKind {
    std::string backend; // "mock", "uring", "epoll"
    std::string type;    // "memory", "unix", "tcp"
};

inline void PrintTo(const PairKind &kind, std::ostream *os) {
    *os << kind.backend << " " << kind.type;
}

inline eio_err *MakePair(const PairKind &kind, eio_switch *sw, const eio_env *env,
                         eio_stream_socket **a, eio_stream_socket **b) {
    if (kind.type == "memory")
        return eio_mock_flow_pair(sw, 4096, a, b);
    return kind.type == "tcp" ? TcpPair(sw, env, a, b) : eio_socketpair_stream(sw, a, b);
}

#define EIO_ON_ALL_PAIRS(suite)                                                  \
    INSTANTIATE_TEST_SUITE_P(                                                    \
        All, suite,                                                              \
        ::testing::Values(PairKind{"mock", "memory"}, PairKind{"uring", "unix"}, \
                          PairKind{"uring", "tcp"}, PairKind{"epoll", "unix"},   \
                          PairKind{"epoll", "tcp"}),                             \
        [](const auto &pair) { return pair.param.backend + "_" + pair.param.type; })

} // namespace eio_test

#endif
