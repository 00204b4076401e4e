// SPDX-License-Identifier: ISC
#include <unistd.h>

#include "eio/fd.h"
#include "fiber/base/fault.h"
#include "tests/support/real_run.h"

using namespace eio_test;

class ListenerTest : public RealTest {
  protected:
    static eio_err *Listen(const eio_env *env, eio_switch *sw, eio_listener **out,
                           eio_sockaddr *out_addr) {
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, out));
        return eio_listener_addr(*out, out_addr);
    }
    static eio_err *Accept(eio_listener *listener, eio_switch *sw) {
        eio_stream_socket *server;
        return eio_listener_accept(listener, sw, &server, nullptr);
    }
};
EIO_ON_REAL_BACKENDS(ListenerTest);

TEST_P(ListenerTest, CloseEndsABlockedAcceptWithClosed) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        EIO_TRY(Listen(env, sw, &listener, &addr));
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EXPECT_ERR_TEXT(
                    Accept(listener, sw),
                    "Invalid_argument(\"accept: file descriptor used after calling close!\")");
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                eio_listener_close(listener);
                return nullptr;
            }));
        EXPECT_ERR(Accept(listener, sw), &eio_err_closed);
        EXPECT_ERR_TEXT(
            eio_listener_addr(listener, &addr),
            "Invalid_argument(\"listening_addr: file descriptor used after calling close!\")");
        // The port is free at once.
        eio_listen_opts opts = {};
        opts.reuse_addr = true;
        return eio_net_listen(&env->net->net, sw, &addr, &opts, &listener);
    }));
}

// Whoever accepts: here a fiber that isn't cancelled itself.
TEST_P(ListenerTest, AnAcceptIntoASwitchThatIsOffIsCancelledBeforeTheKernelIsAsked) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        EIO_TRY(Listen(env, sw, &listener, &addr));
        eio_promise *end;
        eio_promise_resolver *set_end;
        EIO_TRY(eio_promise_create(sw, &end, &set_end));
        eio_switch *off = nullptr;
        return Both(
            [&]() -> eio_err * {
                EXPECT_ERR_TEXT(SwitchRun([&](eio_switch *inner) {
                                    off = inner;
                                    return Protect([&] { return eio_promise_await(end, nullptr); });
                                }),
                                "Failure(\"Simulated error\")");
                return nullptr;
            },
            [&]() -> eio_err * {
                eio_switch_fail(off, eio_err_failure("Simulated error"));
                eio_stream_socket *client;
                EIO_TRY(eio_net_connect(&env->net->net, sw, &addr, nullptr, &client));
                EXPECT_ERR_TEXT(Accept(listener, off), "Cancelled: Failure(\"Simulated error\")");
                EXPECT_OK(Accept(listener, sw)); // the connection is still there
                eio_promise_resolve(set_end, nullptr);
                return nullptr;
            });
    }));
}

TEST_P(ListenerTest, AConnectionAcceptedWhileBeingCancelledIsAttachedOrStaysQueued) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        EIO_TRY(Listen(env, sw, &listener, &addr));
        for (int i = 0; i < 100; i++) {
            eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                eio_stream_socket *client;
                int accepted = 0;
                eio_err *first = First(
                    [&]() -> eio_err * {
                        EIO_TRY(Accept(listener, inner));
                        accepted++;
                        return nullptr;
                    },
                    [&] {
                        return eio_net_connect(&env->net->net, inner, &addr, nullptr, &client);
                    });
                EIO_TRY(first);
                return accepted == 1 ? nullptr : Accept(listener, inner);
            });
            EIO_TRY(err);
        }
        EIO_TRY(eio_fiber_yield());
        return nullptr;
    }));
    // The fixture looks for descriptors left open.
}

TEST_P(ListenerTest, AcceptorsAreServedFirstInFirstOut) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        std::string order;
        EIO_TRY(Listen(env, sw, &listener, &addr));
        auto accept = [&](char name) -> eio_err * {
            EIO_TRY(Accept(listener, sw));
            order += name;
            return nullptr;
        };
        EXPECT_OK(All(
            {[&] { return accept('a'); }, [&] { return accept('b'); }, [&] { return accept('c'); },
             [&]() -> eio_err * {
                 for (size_t i = 1; i <= 3; i++) {
                     eio_stream_socket *client;
                     EIO_TRY(eio_net_connect(&env->net->net, sw, &addr, nullptr, &client));
                     while (order.size() < i)
                         EIO_TRY(eio_fiber_yield());
                 }
                 return nullptr;
             }}));
        EXPECT_EQ(order, "abc");
        return nullptr;
    }));
}

namespace {
int FailMalloc(void *arg, const char *name) {
    return *static_cast<bool *>(arg) && strcmp(name, "alloc") == 0 ? ENOMEM : 0;
}
} // namespace

TEST_P(ListenerTest, WithoutMemoryNoConnectionIsTakenAndLost) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr addr;
        eio_stream_socket *client;
        EIO_TRY(Listen(env, sw, &listener, &addr));
        EIO_TRY(eio_net_connect(&env->net->net, sw, &addr, nullptr, &client));
        bool fail = true;
        const struct eioi_fault_hook hook = {FailMalloc, &fail};
        eioi_fault_hook = &hook;
        eio_err *err = Accept(listener, sw);
        fail = false;
        eioi_fault_hook = nullptr;
        EXPECT_TRUE(eio_err_catch(&err, &eio_err_out_of_memory));
        EIO_TRY(err);
        return Accept(listener, sw);
    }));
}
