// SPDX-License-Identifier: ISC
#include "eio/server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "eio/mock/clock.h"
#include "eio/mock/domain.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/net_pi.h"
#include "net/testing.h"
#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

eio_err *Os(int errnum) {
    return eio_err_os(&eio_err_x, errnum, "accept");
}

eio_err *Yield(void *, eio_flow *, const eio_sockaddr *) {
    return eio_fiber_yield();
}

/// A handler's function and argument, for a lambda that outlives the call.
template <class F> eio_err *CallHandler(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    return (*static_cast<F *>(arg))(flow, peer);
}
template <class F> eio_err *CallOnError(void *arg, eio_err *err) {
    return (*static_cast<F *>(arg))(err);
}

/// Runs `f(mgr)` with fake domains.
template <class F> eio_err *WithDomains(F f) {
    auto call = [](void *arg, eio_domain_mgr *mgr) { return (*static_cast<F *>(arg))(mgr); };
    return eio_mock_domain_mgr_run(call, &f);
}

/// Traces the error, and goes on.
eio_err *Report(void *, eio_err *err) {
    eio_traceln("error: %s", TakeText(err).c_str());
    return nullptr;
}

class ServerTest : public EioTest {
  protected:
    /// A listener that accepts what `Accept` and its like add; then it waits to be cancelled.
    eio_err *MakeListener() {
        EIO_TRY(eio_mock_listener_create("listener", &listener_));
        return eio_mock_on_default(&listener_->on_accept, eio_mock_await_cancel());
    }
    /// A connection, `conn0`, `conn1`, ..., from a port with that number.
    eio_mock_action Connection() {
        eio_mock_flow *flow = nullptr;
        EXPECT_OK(eio_mock_flow_create(("conn" + std::to_string(connections_)).c_str(), &flow));
        return eio_mock_return_conn(
            &flow->socket, eio_sockaddr_tcp(eio_ip_v4_loopback(), uint16_t(connections_++)));
    }
    eio_err *Accept(std::vector<eio_mock_action> actions) {
        return eio_mock_on(&listener_->on_accept, actions.data(), actions.size());
    }
    eio_err *Serve(eio_connection_fn *handler, void *arg = nullptr,
                   eio_on_error_fn *on_error = Report) {
        return eio_net_run_server(&listener_->listener, handler, arg, on_error, nullptr, &opts_);
    }
    template <class F> eio_err *ServeWith(F handler) { return Serve(CallHandler<F>, &handler); }

    eio_mock_listener *listener_ = nullptr;
    int connections_ = 0;
    eio_server_opts opts_ = {};
};

// --- on_error ------------------------------------------------------------------------------------

TEST_F(ServerTest, OnErrorFailHandsOnAndOnErrorLogPrints) {
    eio_err *err = eio_err_failure("x");
    EXPECT_EQ(eio_on_error_fail(nullptr, err), err);
    EXPECT_EQ(eio_on_error_log(nullptr, err), nullptr);
    EXPECT_TRACE(R"(
        +Failure("x")
    )");
}

// --- accept_fork ---------------------------------------------------------------------------------

TEST_F(ServerTest, AHandlersIoErrorSaysWhichConnection) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), Connection()}));
        auto fails = [](void *, eio_flow *, const eio_sockaddr *) {
            return eio_mock_simulated_failure(&eio_err_net_connection_reset);
        };
        auto fails_plainly = [](void *, eio_flow *, const eio_sockaddr *) {
            return eio_err_failure("x");
        };
        EIO_TRY(eio_net_accept_fork(&listener_->listener, sw, fails, nullptr, Report, nullptr));
        return eio_net_accept_fork(&listener_->listener, sw, fails_plainly, nullptr, Report,
                                   nullptr);
    });
    EXPECT_TRACE(R"(
        +listener: accepted connection from tcp:127.0.0.1:0
        +conn0: closed
        +error: Eio.Io Net Connection_reset _,
        +  handling connection from tcp:127.0.0.1:0
        +listener: accepted connection from tcp:127.0.0.1:1
        +conn1: closed
        +error: Failure("x")
        - : unit = ()
    )");
}

TEST_F(ServerTest, AnErrorOfAcceptIsTheCallersAndNotOnErrors) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_raise(Os(EMFILE))}));
        return eio_net_accept_fork(&listener_->listener, sw, Yield, nullptr, Report, nullptr);
    });
    EXPECT_TRACE(R"(
      Exception: Eio.Io _,
        accepting a connection
    )");
}

TEST_F(ServerTest, AHandlerBelongsToTheSwitchAndNotToWhoAccepted) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection()}));
        auto handler = [](eio_flow *, const eio_sockaddr *) -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("handled");
            return nullptr;
        };
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            EIO_TRY(eio_net_accept_fork(&listener_->listener, sw, CallHandler<decltype(handler)>,
                                        &handler, eio_on_error_fail, nullptr));
            eio_cancel_cancel(cc, eio_err_failure("only the caller"));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +handled
      +conn0: closed
      - : unit = ()
    )");
}

TEST_F(ServerTest, AHandlerMayCloseItsFlow) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection()}));
        auto handler = [](void *, eio_flow *flow, const eio_sockaddr *) -> eio_err * {
            eio_flow_close(flow);
            return nullptr;
        };
        return eio_net_accept_fork(&listener_->listener, sw, handler, nullptr, eio_on_error_fail,
                                   nullptr);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +conn0: closed
      - : unit = ()
    )");
}

// --- Arguments -----------------------------------------------------------------------------------

TEST_F(ServerTest, NegativeNumbersAreInvalidArguments) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        opts_.max_connections = -1;
        EXPECT_ERR_TEXT(Serve(Yield), "Invalid_argument(\"max_connections\")");
        opts_.max_connections = 1;
        opts_.additional_domains = -1;
        EXPECT_ERR_TEXT(Serve(Yield), "Invalid_argument(\"additional_domains\")");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(ServerTest, WithoutOptionsThereIsNoLimit) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        std::vector<eio_mock_action> many;
        for (int i = 0; i < 5; i++)
            many.push_back(Connection());
        many.push_back(eio_mock_raise(eio_err_const(&eio_err_end_of_file)));
        EIO_TRY(Accept(many));
        return eio_net_run_server(&listener_->listener, Yield, nullptr, eio_on_error_fail, nullptr,
                                  nullptr);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +listener: accepted connection from tcp:127.0.0.1:1
      +listener: accepted connection from tcp:127.0.0.1:2
      +listener: accepted connection from tcp:127.0.0.1:3
      +listener: accepted connection from tcp:127.0.0.1:4
      +conn0: closed
      +conn1: closed
      +conn2: closed
      +conn3: closed
      +conn4: closed
      Exception: End_of_file.
    )");
}

// --- Stopping ------------------------------------------------------------------------------------

TEST_F(ServerTest, AStoppedServerLetsItsHandlersFinish) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection()}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        auto handler = [&](eio_flow *, const eio_sockaddr *) -> eio_err * {
            eio_promise_resolve(set_stop, nullptr);
            for (int i = 0; i < 10; i++)
                EIO_TRY(eio_fiber_yield());
            eio_traceln("handled");
            return nullptr;
        };
        EIO_TRY(ServeWith(handler));
        eio_traceln("stopped");
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +handled
      +conn0: closed
      +stopped
      - : unit = ()
    )");
}

TEST_F(ServerTest, TheStopPromisesErrorComesAfterTheHandlers) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection()}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        auto handler = [&](eio_flow *, const eio_sockaddr *) -> eio_err * {
            eio_promise_resolve_error(set_stop, eio_err_failure("going down"));
            for (int i = 0; i < 10; i++)
                EIO_TRY(eio_fiber_yield());
            eio_traceln("handled");
            return nullptr;
        };
        return ServeWith(handler);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +handled
      +conn0: closed
      Exception: Failure "going down".
    )");
}

TEST_F(ServerTest, AServerThatIsStoppedBeforeItStartsAcceptsAtMostOne) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), eio_mock_yield_then(Connection())}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        eio_promise_resolve(set_stop, nullptr);
        return Serve(Yield);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      - : unit = ()
    )");
}

TEST_F(ServerTest, ACancelledServerCancelsItsHandlers) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), Connection()}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        auto handler = [](eio_flow *, const eio_sockaddr *) { return eio_fiber_await_cancel(); };
        return Both([&] { return ServeWith(handler); }, [] { return eio_err_failure("enough"); });
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn0: closed
      +conn1: closed
      Exception: Failure "enough".
    )");
}

TEST_F(ServerTest, AFailedHandlerEndsTheServerIfOnErrorSaysSo) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), Connection()}));
        auto handler = [](void *, eio_flow *, const eio_sockaddr *peer) -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            return peer->port == 0 ? eio_err_failure("x") : eio_fiber_await_cancel();
        };
        return Serve(handler, nullptr, eio_on_error_fail);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn0: closed
      +conn1: closed
      Exception: Failure "x".
    )");
}

// --- The limit -----------------------------------------------------------------------------------

TEST_F(ServerTest, ASlotIsFreeBeforeItsConnectionIsClosed) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        eio_mock_action first = Connection();
        EIO_TRY(Accept({first, Connection(), eio_mock_raise(eio_err_failure("end"))}));
        eio_promise *closed;
        eio_promise_resolver *set_closed;
        EIO_TRY(eio_promise_create(sw, &closed, &set_closed));
        auto on_close = [](void *arg) {
            eio_promise_resolve(static_cast<eio_promise_resolver *>(arg), nullptr);
        };
        EIO_TRY(eio_mock_flow_on_close(eio_mock_flow_of(&first.value.flow->flow), on_close,
                                       set_closed));
        opts_.max_connections = 1;
        // Both wake somebody: the free slot the accept loop, the close the other branch.
        return Both([&] { return Serve(Yield); },
                    [&]() -> eio_err * {
                        EIO_TRY(eio_promise_await(closed, nullptr));
                        eio_traceln("saw it closed");
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +listener: accepted connection from tcp:127.0.0.1:1
      +saw it closed
      +conn1: closed
      Exception: Failure "end".
    )");
}

TEST_F(ServerTest, AFailedHandlerGivesItsSlotBack) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), Connection(), eio_mock_raise(eio_err_failure("end"))}));
        opts_.max_connections = 1;
        auto handler = [](void *, eio_flow *, const eio_sockaddr *) -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            return eio_err_failure("x");
        };
        return Serve(handler);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +error: Failure("x")
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn1: closed
      +error: Failure("x")
      Exception: Failure "end".
    )");
}

TEST_F(ServerTest, AFailedAcceptGivesItsSlotBack) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_raise(Os(ECONNABORTED)), eio_mock_raise(Os(EMFILE)), Connection(),
                        Connection(), eio_mock_raise(eio_err_failure("end"))}));
        opts_.max_connections = 1;
        return Serve(Yield);
    });
    EXPECT_TRACE(R"(
      +error: Eio.Io _,
      +  accepting a connection
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.005
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn1: closed
      Exception: Failure "end".
    )");
}

// --- Accept fails --------------------------------------------------------------------------------

TEST_F(ServerTest, ALackIsWaitedForLongerEachTime) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        std::vector<eio_mock_action> script;
        for (int i = 0; i < 10; i++)
            script.push_back(eio_mock_raise(Os(i % 2 == 0 ? EMFILE : ENOMEM)));
        script.push_back(Connection());
        script.push_back(eio_mock_raise(Os(ENFILE)));
        script.push_back(eio_mock_raise(Os(ENOBUFS)));
        script.push_back(eio_mock_raise(eio_err_const(&eio_err_out_of_memory)));
        script.push_back(eio_mock_raise(eio_err_const(&eio_err_stack_limit)));
        script.push_back(eio_mock_raise(eio_err_failure("end")));
        EIO_TRY(Accept(script));
        return Serve(Yield);
    });
    EXPECT_TRACE(R"(
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.005
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.015
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.035
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.075
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.155
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.315
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.635
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 1.275
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 2.275
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 3.275
      +listener: accepted connection from tcp:127.0.0.1:0
      +error: Eio.Io _,
      +  accepting a connection
      +conn0: closed
      +mock time is now 3.28
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 3.29
      +error: Out_of_memory
      +mock time is now 3.31
      +error: Stack_limit
      +mock time is now 3.35
      Exception: Failure "end".
    )");
}

TEST_F(ServerTest, ADeadConnectionInTheQueueIsSkippedAtOnce) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        std::vector<eio_mock_action> script;
        for (int errnum : {ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET,
                           EHOSTUNREACH, ENETUNREACH, ETIMEDOUT, ECONNRESET})
            script.push_back(eio_mock_raise(Os(errnum)));
        script.push_back(eio_mock_raise(eio_mock_simulated_failure(&eio_err_net_connection_reset)));
        script.push_back(Connection());
        script.push_back(eio_mock_raise(eio_err_failure("end")));
        EIO_TRY(Accept(script));
        int reported = 0;
        auto count = [&](eio_err *err) -> eio_err * {
            eio_err_drop(err);
            reported++;
            return nullptr;
        };
        EXPECT_ERR(eio_net_run_server(&listener_->listener, Yield, nullptr,
                                      CallOnError<decltype(count)>, &count, &opts_),
                   &eio_err_failure_kind);
        EXPECT_EQ(reported, 12);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      - : unit = ()
    )");
}

TEST_F(ServerTest, DeadConnectionsWithoutEndAreALack) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        EIO_TRY(eio_mock_on_default(&listener_->on_accept, eio_mock_raise(Os(EPERM))));
        int left = 18;
        auto count = [&](eio_err *err) -> eio_err * {
            if (--left == 0)
                return err;
            eio_err_drop(err);
            return nullptr;
        };
        return eio_net_run_server(&listener_->listener, Yield, nullptr,
                                  CallOnError<decltype(count)>, &count, &opts_);
    });
    EXPECT_TRACE(R"(
      +mock time is now 0.005
      +mock time is now 0.015
      Exception: Eio.Io _,
        accepting a connection
    )");
}

TEST_F(ServerTest, AHandlerThatCannotStartIsALackAndItsConnectionIsClosed) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        eio_mock_action second = Connection();
        auto heal = [&](eio_mock_value *out) -> eio_err * {
            eioi_fault_hook = nullptr;
            *out = second.value;
            return nullptr;
        };
        using Heal = decltype(heal);
        auto call = [](void *arg, eio_mock_value *out) { return (*static_cast<Heal *>(arg))(out); };
        EIO_TRY(Accept(
            {Connection(), eio_mock_call(call, &heal), eio_mock_raise(eio_err_failure("end"))}));
        opts_.max_connections = 1;
        opts_.stack_bytes = 4 << 20; // of a size that nothing has asked for yet
        static const struct eioi_fault_hook no_mapping = {
            [](void *, const char *name) { return strcmp(name, "mmap") == 0 ? ENOMEM : 0; },
            nullptr};
        eioi_fault_hook = &no_mapping;
        return Serve(Yield);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn1: closed
      +error: Stack_limit
      +mock time is now 0.005
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      Exception: Failure "end".
    )");
}

TEST_F(ServerTest, OnErrorMayEndTheServerOverAFailedAccept) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_raise(Os(EMFILE)), Connection()}));
        return Serve(Yield, nullptr, eio_on_error_fail);
    });
    EXPECT_TRACE(R"(
      Exception: Eio.Io _,
        accepting a connection
    )");
}

TEST_F(ServerTest, WhatNoWaitingCuresEndsTheServer) {
    for (int errnum : {EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP, EFAULT})
        EXPECT_ERR(EvalMock([&](eio_switch *) -> eio_err * {
                       EIO_TRY(MakeListener());
                       EIO_TRY(Accept({eio_mock_raise(Os(errnum)), Connection()}));
                       return Serve(Yield);
                   }),
                   &eio_err_x);
    EXPECT_ERR(EvalMock([&](eio_switch *) -> eio_err * {
                   EIO_TRY(MakeListener());
                   EIO_TRY(Accept({eio_mock_raise(eio_err_const(&eio_err_closed)), Connection()}));
                   return Serve(Yield);
               }),
               &eio_err_closed);
}

TEST_F(ServerTest, WithoutAClockTheLoopsOwnIsWaitedBy) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_raise(Os(EMFILE)), eio_mock_raise(Os(EMFILE)),
                        eio_mock_raise(eio_err_failure("end"))}));
        return Serve(Yield);
    });
    EXPECT_TRACE(R"(
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.005
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.015
      Exception: Failure "end".
    )");
}

TEST_F(ServerTest, AStopEndsTheWaitAfterALack) {
    RunMockFull([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_raise(Os(EMFILE)), Connection()}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        return Both([&] { return Serve(Yield); },
                    [&]() -> eio_err * {
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 2 * EIO_MILLISECOND));
                        eio_promise_resolve(set_stop, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.002
      - : unit = ()
    )");
}

// --- Several fibers that accept ------------------------------------------------------------------

/// A listener that wants three of them; it counts those that wait.
struct WideListener {
    eio_listener listener = {};
    eio_listener *inner = nullptr;
    int waiting = 0, most = 0;
};
eio_err *AcceptAbreast(eio_listener *listener, eio_switch *sw, eio_stream_socket **out,
                       eio_sockaddr *out_peer) {
    auto *self = reinterpret_cast<WideListener *>(listener);
    self->most = std::max(self->most, ++self->waiting);
    eio_err *err = self->inner->ops->accept(self->inner, sw, out, out_peer);
    self->waiting--;
    return err;
}
eio_err *AcceptAlone(eio_listener *listener, eio_switch *sw, eio_stream_socket **out,
                     eio_sockaddr *out_peer) {
    eio_traceln("alone");
    return AcceptAbreast(listener, sw, out, out_peer);
}

class AbreastTest : public ServerTest {
  protected:
    eio_err *ServeWide(eio_connection_fn *handler) {
        static const eio_listener_ops ops = [] {
            eio_listener_ops wide = {};
            wide.name = "wide";
            wide.accept = AcceptAlone;
            wide.accept_abreast = AcceptAbreast;
            wide.acceptors = [](eio_listener *) { return 3U; };
            return wide;
        }();
        wide_.listener.ops = &ops;
        wide_.inner = &listener_->listener;
        return eio_net_run_server(&wide_.listener, handler, nullptr, Report, nullptr, &opts_);
    }
    WideListener wide_;
};

TEST_F(AbreastTest, TheOthersStartWithTheFirstConnectionAndAllEndWithTheStop) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({eio_mock_yield_then(Connection())}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        return Both([&] { return ServeWide(Yield); },
                    [&]() -> eio_err * {
                        EXPECT_EQ(wide_.waiting, 1);
                        for (int i = 0; i < 5; i++)
                            EIO_TRY(eio_fiber_yield());
                        EXPECT_EQ(wide_.waiting, 3);
                        eio_promise_resolve(set_stop, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      - : unit = ()
    )");
    EXPECT_EQ(wide_.waiting, 0);
}

TEST_F(AbreastTest, NoMoreOfThemThanConnectionsAreAllowed) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), Connection(), Connection()}));
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
        opts_.max_connections = 2;
        return Both([&] { return ServeWide(Yield); },
                    [&]() -> eio_err * {
                        for (int i = 0; i < 9; i++)
                            EIO_TRY(eio_fiber_yield());
                        eio_promise_resolve(set_stop, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn0: closed
      +conn1: closed
      +listener: accepted connection from tcp:127.0.0.1:2
      +conn2: closed
      - : unit = ()
    )");
    EXPECT_EQ(wide_.most, 2);
}

TEST_F(AbreastTest, WhatEndsAllOfThemIsOneError) {
    RunMock([&](eio_switch *) -> eio_err * {
        EIO_TRY(MakeListener());
        std::vector<eio_mock_action> script = {Connection()};
        for (int i = 0; i < 3; i++)
            script.push_back(eio_mock_yield_then(eio_mock_raise(Os(EBADF))));
        EIO_TRY(Accept(script));
        return ServeWide(Yield);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      Exception: Eio.Io _,
        accepting a connection
    )");
}

TEST_F(AbreastTest, WhatAllOfThemLackIsReportedOnce) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        std::vector<eio_mock_action> script = {Connection()};
        for (int i = 0; i < 6; i++)
            script.push_back(eio_mock_yield_then(eio_mock_raise(Os(EMFILE))));
        script.push_back(Connection());
        script.push_back(eio_mock_raise(eio_err_failure("end")));
        EIO_TRY(Accept(script));
        return ServeWide(Yield);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.005
      +error: Eio.Io _,
      +  accepting a connection
      +mock time is now 0.015
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn1: closed
      Exception: Failure "end".
    )");
}

// A connection that one of them gets meanwhile ends the lack for it, not the other's wait.
TEST_F(AbreastTest, ALackIsNeverWaitedForInNoTime) {
    RunMockFull([&](eio_switch *, const eio_env *env) -> eio_err * {
        opts_.clock = env->mono_clock;
        EIO_TRY(MakeListener());
        EIO_TRY(Accept({Connection(), eio_mock_yield_then(eio_mock_raise(Os(EMFILE))),
                        eio_mock_yield_then(Connection()), eio_mock_await_cancel(),
                        eio_mock_raise(Os(EMFILE)), eio_mock_raise(eio_err_failure("end"))}));
        return ServeWide(Yield);
    });
    EXPECT_TRACE(R"(
      +listener: accepted connection from tcp:127.0.0.1:0
      +conn0: closed
      +error: Eio.Io _,
      +  accepting a connection
      +listener: accepted connection from tcp:127.0.0.1:1
      +conn1: closed
      +mock time is now 0.005
      Exception: Failure "end".
    )");
}

TEST_F(AbreastTest, DomainsThatShareAListenerHaveOneEach) {
    RunMock([&](eio_switch *) -> eio_err * {
        auto test = [&](eio_domain_mgr *mgr) -> eio_err * {
            opts_.domain_mgr = mgr;
            opts_.additional_domains = 1;
            EIO_TRY(MakeListener());
            EIO_TRY(Accept({eio_mock_yield_then(Connection()), eio_mock_await_cancel(),
                            eio_mock_yield_then(eio_mock_raise(Os(EBADF)))}));
            return ServeWide(Yield);
        };
        return WithDomains(test);
    });
    EXPECT_TRACE(R"(
      +[1] alone
      +[0] alone
      +[1] listener: accepted connection from tcp:127.0.0.1:0
      +[1] alone
      +[1] conn0: closed
      Exception: Eio.Io _,
        accepting a connection
    )");
}

// --- Domains -------------------------------------------------------------------------------------

TEST_F(ServerTest, AFailureInOneDomainEndsAll) {
    RunMock([&](eio_switch *) -> eio_err * {
        auto test = [&](eio_domain_mgr *mgr) -> eio_err * {
            opts_.domain_mgr = mgr;
            opts_.additional_domains = 2;
            EIO_TRY(MakeListener());
            EIO_TRY(Accept({Connection(), eio_mock_await_cancel(),
                            eio_mock_yield_then(eio_mock_raise(Os(EBADF)))}));
            return Serve(
                [](void *, eio_flow *, const eio_sockaddr *) { return eio_fiber_await_cancel(); });
        };
        return WithDomains(test);
    });
    EXPECT_TRACE(R"(
      +[1] listener: accepted connection from tcp:127.0.0.1:0
      +[1] conn0: closed
      Exception: Eio.Io _,
        accepting a connection
    )");
}

TEST_F(ServerTest, ShardsListenForThemselvesOnTheSameAddress) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        auto test = [&](eio_domain_mgr *mgr) -> eio_err * {
            eio_mock_net *net;
            EIO_TRY(eio_mock_net_create("net", &net));
            EIO_TRY(MakeListener());
            listener_->addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 81);
            EIO_TRY(Accept({Connection()}));
            eio_mock_listener *shard;
            EIO_TRY(eio_mock_listener_create("shard", &shard));
            EIO_TRY(eio_mock_on_default(&shard->on_accept, eio_mock_await_cancel()));
            eio_mock_action conn = Connection();
            EIO_TRY(eio_mock_on(&shard->on_accept, &conn, 1));
            EIO_TRY(eio_mock_on(&net->on_listen, {eio_mock_return_listener(&shard->listener)}));
            opts_.domain_mgr = mgr;
            opts_.additional_domains = 1;
            opts_.shard_net = &net->net;
            eio_promise_resolver *set_stop;
            EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
            return Both([&] { return Serve(Yield); },
                        [&]() -> eio_err * {
                            EIO_TRY(eio_fiber_yield());
                            eio_promise_resolve(set_stop, nullptr);
                            return nullptr;
                        });
        };
        return WithDomains(test);
    });
    EXPECT_TRACE(R"(
      +[1] net: listen on tcp:127.0.0.1:81
      +[1] shard: accepted connection from tcp:127.0.0.1:1
      +[0] listener: accepted connection from tcp:127.0.0.1:0
      +[1] conn1: closed
      +[0] conn0: closed
      +[1] shard: closed
      - : unit = ()
    )");
}

// --- Memory --------------------------------------------------------------------------------------

TEST_F(ServerTest, NothingIsLeftWhateverAllocationFails) {
    TryEachFailure([&] {
        return EvalMock([&](eio_switch *sw) -> eio_err * {
            auto test = [&](eio_domain_mgr *mgr) -> eio_err * {
                opts_ = {};
                opts_.domain_mgr = mgr;
                opts_.additional_domains = 1;
                opts_.max_connections = 1;
                EIO_TRY(MakeListener());
                eio_mock_flow *flow;
                EIO_TRY(eio_mock_flow_create("conn", &flow));
                EIO_TRY(Accept(
                    {eio_mock_return_conn(&flow->socket, eio_sockaddr_tcp(eio_ip_v4_any(), 1))}));
                eio_promise_resolver *set_stop;
                EIO_TRY(eio_promise_create(sw, &opts_.stop, &set_stop));
                auto handler = [&](eio_flow *, const eio_sockaddr *) -> eio_err * {
                    eio_promise_resolve(set_stop, nullptr);
                    EIO_TRY(eio_fiber_yield());
                    return eio_mock_simulated_failure(&eio_err_net_connection_reset);
                };
                // A handler that couldn't start is reported, and the server goes on: then somebody
                // has to stop it.
                auto stop_then = [&](eio_err *err) -> eio_err * {
                    eio_err_drop(err);
                    eio_promise_try_resolve(set_stop, nullptr);
                    return nullptr;
                };
                return eio_net_run_server(&listener_->listener, CallHandler<decltype(handler)>,
                                          &handler, CallOnError<decltype(stop_then)>, &stop_then,
                                          &opts_);
            };
            return WithDomains(test);
        });
    });
}

} // namespace
