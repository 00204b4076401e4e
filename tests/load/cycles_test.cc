// SPDX-License-Identifier: ISC
// The same thing a million times leaves as many descriptors, mappings and objects as before.

#include <sys/mman.h>

#include <fstream>

#include "eio/fd.h"
#include "eio/server.h"
#include "fiber/base/alloc.h"
#include "tests/load/scale.h"
#include "tests/load/sockets.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

struct Holdings {
    long long objects;
    size_t fds, mappings;
};

size_t Mappings() {
    std::ifstream maps("/proc/self/maps");
    size_t lines = 0;
    for (std::string line; std::getline(maps, line);)
        lines++;
    return lines;
}

Holdings Now() {
    return {static_cast<long long>(eioi_live_objects()), OpenFds().size(), Mappings()};
}

/// Runs `cycles(n)`, a few times to warm up (pools, the C library's heap), then often; nothing is
/// held afterwards that wasn't before.
template <class F> eio_err *HoldsNoMore(unsigned n, F cycles) {
    EIO_TRY(cycles(n / 20 + 1));
    const Holdings before = Now();
    EIO_TRY(cycles(n));
    const Holdings after = Now();
    EXPECT_EQ(after.objects, before.objects);
    EXPECT_EQ(after.fds, before.fds);
    // A sanitizer's allocator maps what it likes.
    if (!kSanitized) {
        EXPECT_EQ(after.mappings, before.mappings);
    }
    return nullptr;
}

class Cycles : public RealTest {};
EIO_ON_REAL_BACKENDS(Cycles);

enum { kWorkers = 16 };

eio_err *SayOneByte(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy_string("x", &flow->sink);
}

/// The n-th address of this machine, so that ports in TIME_WAIT are no lack.
eio_sockaddr NthLoopback(size_t n, uint16_t port) {
    return eio_sockaddr_tcp(eio_ip_v4(127, 0, static_cast<uint8_t>(1 + n / 250 % 250),
                                      static_cast<uint8_t>(1 + n % 250)),
                            port);
}

eio_err *ConnectAndLeave(const eio_env *env, const eio_sockaddr *addr) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        uint8_t byte;
        EIO_TRY(eio_net_connect(&env->net->net, sw, addr, nullptr, &socket));
        return eio_source_read_exact(&socket->flow.source, eio_buf_of(&byte, 1));
    });
}

TEST_P(Cycles, OfConnectAcceptCloseHoldNothing) {
    const unsigned n = HowMany(kConnectCycles);
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        uint16_t port;
        EIO_TRY(ListenAnywhere(sw, env, &listener, &port));
        EIO_TRY(ForkDaemon(sw, [=] {
            return eio_net_run_server(listener, SayOneByte, nullptr, eio_on_error_fail, nullptr,
                                      nullptr);
        }));
        return HoldsNoMore(n, [&](unsigned times) -> eio_err * {
            size_t next = 0;
            EIO_TRY(ForEach(kWorkers, 0, [&](size_t) -> eio_err * {
                while (next < times) {
                    const eio_sockaddr addr = NthLoopback(next++, port);
                    EIO_TRY(ConnectAndLeave(env, &addr));
                }
                return nullptr;
            }));
            // The handlers of the last ones are on their way out.
            return eio_mono_clock_sleep(env->mono_clock, 100 * EIO_MILLISECOND);
        });
    }));
}

TEST_P(Cycles, OfFibersHoldNothing) {
    const unsigned n = HowMany(kFiberCycles);
    enum { kAtATime = 1000 };
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *) {
        return HoldsNoMore(n, [&](unsigned times) -> eio_err * {
            unsigned ended = 0;
            for (unsigned wave = 0; wave < times; wave += kAtATime)
                EIO_TRY(ForEach(kAtATime, 0, [&](size_t) -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    ended++;
                    return nullptr;
                }));
            EXPECT_GE(ended, times);
            return nullptr;
        });
    }));
}

TEST_P(Cycles, OfCancelledReadsHoldNothingAndLoseNoByte) {
    const unsigned n = HowMany(kCancelledReads);
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return HoldsNoMore(n, [&](unsigned times) -> eio_err * {
            uint8_t next = 0;
            for (unsigned i = 0; i < times; i++) {
                uint8_t got;
                auto read = [&] {
                    return eio_source_read_exact(&a->flow.source, eio_buf_of(&got, 1));
                };
                size_t winner;
                EIO_TRY(First(
                    read, [] { return eio_fiber_yield(); }, &winner));
                EXPECT_EQ(winner, 1u) << "a byte came that nobody sent";
                if (i % 16 != 0)
                    continue;
                EIO_TRY(eio_sink_write(&b->flow.sink, eio_slice_of(&next, 1)));
                EIO_TRY(read());
                EXPECT_EQ(got, next);
                next++;
            }
            return nullptr;
        });
    }));
}

} // namespace
