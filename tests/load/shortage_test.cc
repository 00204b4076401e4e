// SPDX-License-Identifier: ISC
// Servers that can't have what they need, and clients that don't give what they should.

#include <unistd.h>

#include "eio/buf_read.h"
#include "eio/server.h"
#include "tests/load/child.h"
#include "tests/load/scale.h"
#include "tests/load/sockets.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

class Shortage : public RealTest {};
EIO_ON_REAL_BACKENDS(Shortage);

enum { kFdsOfServer = 64 };

/// A lack of descriptors is expected here, and nothing else.
eio_err *OnlyALack(void *, eio_err *err) {
    if (eio_err_errno(err) != EMFILE)
        return err;
    eio_err_drop(err);
    return nullptr;
}

eio_err *Echo(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy(&flow->source, &flow->sink);
}

eio_err *EchoServer(eio_switch *sw, const eio_env *env, Parent &parent) {
    eio_listener *listener;
    uint16_t port;
    EIO_TRY(ListenAnywhere(sw, env, &listener, &port));
    parent.Tell(port);
    return First(
        [&] { return parent.AwaitStop(); },
        [&] { return eio_net_run_server(listener, Echo, nullptr, OnlyALack, nullptr, nullptr); });
}

struct Crowd {
    const eio_env *env;
    eio_sockaddr addr;
    const Child *server;
    unsigned served = 0;    ///< got an answer
    unsigned connected = 0; ///< the system has queued them, at least
    eio_promise *may_leave; ///< the first ones hold on to their connections until then
    double busy = 0;        ///< part of a processor that the server took while it lacked
};

eio_err *OneOfACrowd(Crowd *crowd) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        char byte = 'x';
        EIO_TRY(eio_net_connect(&crowd->env->net->net, sw, &crowd->addr, nullptr, &socket));
        crowd->connected++;
        EIO_TRY(eio_sink_write(&socket->flow.sink, eio_slice_of(&byte, 1)));
        EIO_TRY(eio_source_read_exact(&socket->flow.source, eio_buf_of(&byte, 1)));
        crowd->served++;
        EIO_TRY(eio_promise_await(crowd->may_leave, nullptr));
        // The connection is gone before the next one is served, else that could be none.
        return nullptr;
    });
}

/// Waits until the server can serve nobody else, looks at what that costs it, and ends it.
eio_err *WatchTheLack(Crowd *crowd, unsigned clients, eio_promise_resolver *let_leave) {
    eio_mono_clock *clock = crowd->env->mono_clock;
    while (crowd->connected < clients || crowd->served < kFdsOfServer / 2)
        EIO_TRY(eio_mono_clock_sleep(clock, 10 * EIO_MILLISECOND));
    EIO_TRY(eio_mono_clock_sleep(clock, 500 * EIO_MILLISECOND));
    EXPECT_LT(crowd->served, clients) << "descriptors were no lack";
    const int64_t cpu_ns = crowd->server->CpuNs(), start_ns = eio_mono_clock_now(clock);
    EIO_TRY(eio_mono_clock_sleep(clock, EIO_SECOND));
    crowd->busy = static_cast<double>(crowd->server->CpuNs() - cpu_ns) /
                  static_cast<double>(eio_mono_clock_now(clock) - start_ns);
    eio_promise_resolve(let_leave, nullptr);
    return nullptr;
}

TEST_P(Shortage, OfDescriptorsKeepsNoProcessorBusyAndIsOver) {
    const unsigned clients = HowMany(kWaiting);
    Child server(GetParam(), EchoServer, kFdsOfServer);
    int64_t recovery_ns = 0;
    Crowd crowd = {};
    crowd.addr = Loopback(server.Told());
    crowd.server = &server;
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_promise_resolver *let_leave;
        crowd.env = env;
        EIO_TRY(eio_promise_create(sw, &crowd.may_leave, &let_leave));
        EIO_TRY(
            Both([&] { return ForEach(clients, 0, [&](size_t) { return OneOfACrowd(&crowd); }); },
                 [&]() -> eio_err * {
                     EIO_TRY(WatchTheLack(&crowd, clients, let_leave));
                     recovery_ns = -eio_mono_clock_now(env->mono_clock);
                     return nullptr;
                 }));
        recovery_ns += eio_mono_clock_now(env->mono_clock);
        return nullptr;
    }));
    printf("%u served; the server took %.1f %% of a processor meanwhile; all were served %.2f s "
           "after the first had left\n",
           crowd.served, crowd.busy * 100, static_cast<double>(recovery_ns) / 1e9);
    EXPECT_EQ(crowd.served, clients);
    EXPECT_LT(crowd.busy, 0.1);
    EXPECT_TRUE(server.Stop());
}

// --- Clients that are too slow -------------------------------------------------------------------

struct Deadline {
    const eio_env *env;
    unsigned cut = 0; ///< connections that took too long
};

eio_err *AnswerALine(void *arg, eio_flow *flow, const eio_sockaddr *) {
    Deadline *deadline = static_cast<Deadline *>(arg);
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_buf_read *in;
        eio_slice line;
        EIO_TRY(eio_buf_read_create(sw, &flow->source, 1024, &in));
        EIO_TRY(TimeoutRun(eio_timeout_ns(deadline->env->mono_clock, EIO_SECOND),
                           [&] { return eio_buf_read_line(in, &line); }));
        return eio_flow_copy_string("ok\n", &flow->sink);
    });
}

eio_err *OnlyTooLate(void *arg, eio_err *err) {
    if (!eio_err_catch(&err, &eio_err_timeout))
        return err;
    static_cast<Deadline *>(arg)->cut++;
    return nullptr;
}

eio_err *LineServer(eio_switch *sw, const eio_env *env, Parent &parent, unsigned slow) {
    Deadline deadline = {env};
    eio_listener *listener;
    uint16_t port;
    EIO_TRY(ListenAnywhere(sw, env, &listener, &port));
    parent.Tell(port);
    EIO_TRY(First([&] { return parent.AwaitStop(); },
                  [&] {
                      return eio_net_run_server(listener, AnswerALine, &deadline, OnlyTooLate,
                                                &deadline, nullptr);
                  }));
    return deadline.cut == slow
               ? nullptr
               : eio_err_failure("%u of %u slow clients were cut", deadline.cut, slow);
}

/// Sends a byte now and then, until the server has had enough.
eio_err *SlowClient(const eio_env *env, const eio_sockaddr *addr) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        EIO_TRY(eio_net_connect(&env->net->net, sw, addr, nullptr, &socket));
        auto send = [&]() -> eio_err * {
            for (;;) {
                EIO_TRY(eio_flow_copy_string("x", &socket->flow.sink));
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 200 * EIO_MILLISECOND));
            }
        };
        auto read = [&]() -> eio_err * {
            uint8_t byte;
            EIO_TRY(eio_source_read_exact(&socket->flow.source, eio_buf_of(&byte, 1)));
            return eio_err_failure("a slow client got an answer");
        };
        eio_err *err = First(send, read);
        if (eio_err_catch(&err, &eio_err_end_of_file) ||
            eio_err_catch(&err, &eio_err_net_connection_reset))
            return nullptr;
        return err;
    });
}

eio_err *GoodClient(const eio_env *env, const eio_sockaddr *addr, unsigned *out_served) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *socket;
        char answer[3];
        EIO_TRY(eio_net_connect(&env->net->net, sw, addr, nullptr, &socket));
        EIO_TRY(eio_flow_copy_string("hello\n", &socket->flow.sink));
        EIO_TRY(eio_source_read_exact(&socket->flow.source, eio_buf_of(answer, sizeof answer)));
        EXPECT_EQ(memcmp(answer, "ok\n", 3), 0);
        ++*out_served;
        return nullptr;
    });
}

TEST_P(Shortage, OfPatienceCutsSlowClientsWhileGoodOnesAreServed) {
    const unsigned slow = HowMany(kSlowClients);
    Child server(GetParam(), [&](eio_switch *sw, const eio_env *env, Parent &parent) {
        return LineServer(sw, env, parent, slow);
    });
    const eio_sockaddr addr = Loopback(server.Told());
    unsigned served = 0;
    bool all_cut = false;
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) {
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(ForEach(slow, 0, [&](size_t) { return SlowClient(env, &addr); }));
                all_cut = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                while (!all_cut) {
                    EIO_TRY(GoodClient(env, &addr, &served));
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 10 * EIO_MILLISECOND));
                }
                return nullptr;
            });
    }));
    printf("the good client was served %u times\n", served);
    EXPECT_GT(served, 0u);
    EXPECT_TRUE(server.Stop());
}

} // namespace
