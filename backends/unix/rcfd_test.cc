// SPDX-License-Identifier: ISC
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "eio/fd.h"
#include "tests/support/real_run.h"

using namespace eio_test;

class RcfdTest : public RealTest {
  protected:
    static bool IsOpen(int fd) { return fcntl(fd, F_GETFD) >= 0; }
    static eio_err *Use(eio_fd *fd, int *out_number) {
        return eio_fd_use(
            fd, "test",
            [](void *arg, int number) -> eio_err * {
                *static_cast<int *>(arg) = number;
                return nullptr;
            },
            out_number);
    }
    static eio_err *Read(eio_flow *flow) {
        uint8_t byte;
        size_t got;
        return eio_source_single_read(&flow->source, eio_buf_of(&byte, 1), &got);
    }
};
EIO_ON_REAL_BACKENDS(RcfdTest);

TEST_P(RcfdTest, CloseIsAtOnceAndIdempotentAndLateUseIsAnError) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        int number = -1;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        eio_fd *fd = eio_fd_of_flow(&a->flow);
        EIO_TRY(Use(fd, &number));
        EXPECT_TRUE(eio_fd_is_open(fd));
        eio_flow_close(&a->flow);
        eio_flow_close(&a->flow);
        EXPECT_FALSE(eio_fd_is_open(fd));
        EXPECT_ERR(Read(&b->flow), &eio_err_end_of_file);
        EXPECT_FALSE(IsOpen(number));
        EXPECT_ERR_TEXT(Use(fd, &number),
                        "Invalid_argument(\"test: file descriptor used after calling close!\")");
        EXPECT_ERR_TEXT(Read(&a->flow),
                        "Invalid_argument(\"readv: file descriptor used after calling close!\")");
        EXPECT_ERR_TEXT(eio_flow_copy_string("x", &a->flow.sink),
                        "Invalid_argument(\"writev: file descriptor used after calling close!\")");
        EXPECT_ERR_TEXT(
            eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND),
            "Invalid_argument(\"shutdown: file descriptor used after calling close!\")");
        return nullptr;
    }));
}

TEST_P(RcfdTest, CloseEndsABlockedReadWithClosed) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return Both(
            [&]() -> eio_err * {
                EXPECT_ERR_TEXT(
                    Read(&a->flow),
                    "Invalid_argument(\"readv: file descriptor used after calling close!\")");
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                eio_flow_close(&a->flow);
                return Read(&b->flow) == nullptr ? eio_err_failure("more") : nullptr;
            });
    }));
}

TEST_P(RcfdTest, FreeingAFlowUnderABlockedReadIsSafe) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return Both(
            [&]() -> eio_err * {
                EXPECT_ERR(Read(&a->flow), &eio_err_closed);
                return nullptr;
            },
            [&, env]() -> eio_err * {
                (void)env;
                EIO_TRY(eio_fiber_yield());
                eio_flow_free(&a->flow);
                return nullptr;
            });
    }));
}

TEST_P(RcfdTest, UseHoldsTheDescriptorOpen) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        struct Args {
            eio_flow *flow;
            int number;
        } args = {&a->flow, -1};
        EIO_TRY(eio_fd_use(
            eio_fd_of_flow(&a->flow), "test",
            [](void *arg, int number) -> eio_err * {
                auto *self = static_cast<Args *>(arg);
                eio_flow_close(self->flow);
                EIO_TRY(eio_fiber_yield());
                EXPECT_TRUE(IsOpen(number));
                self->number = number;
                return nullptr;
            },
            &args));
        EXPECT_ERR(Read(&b->flow), &eio_err_end_of_file);
        EXPECT_FALSE(IsOpen(args.number));
        return nullptr;
    }));
}

TEST_P(RcfdTest, RemoveHandsTheDescriptorOverWhenNobodyUsesIt) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        eio_fd *fd = eio_fd_of_flow(&a->flow);
        int number = -1;
        bool read = false;
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EIO_TRY(Read(&a->flow)); // not interrupted
                read = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Both(
                    [&]() -> eio_err * {
                        EIO_TRY(eio_fd_remove(fd, &number));
                        EXPECT_TRUE(read);
                        return nullptr;
                    },
                    [&]() -> eio_err * {
                        EXPECT_FALSE(eio_fd_is_open(fd));
                        return eio_flow_copy_string("x", &b->flow.sink);
                    });
            }));
        int again;
        EXPECT_ERR(eio_fd_remove(fd, &again), &eio_err_closed);
        eio_flow_close(&a->flow);
        EXPECT_TRUE(IsOpen(number));
        close(number);
        return nullptr;
    }));
}

TEST_P(RcfdTest, CloseWhileRemoveWaitsInterruptsTheReader) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        int number = -1;
        EXPECT_OK(All({[&]() -> eio_err * {
                           EXPECT_ERR(Read(&a->flow), &eio_err_closed);
                           return nullptr;
                       },
                       [&] { return eio_fd_remove(eio_fd_of_flow(&a->flow), &number); },
                       [&]() -> eio_err * {
                           EIO_TRY(eio_fiber_yield());
                           eio_flow_close(&a->flow);
                           return nullptr;
                       }}));
        EXPECT_TRUE(IsOpen(number));
        close(number);
        return nullptr;
    }));
}

TEST_P(RcfdTest, ASwitchEndClosesWhatIsOpenAndOnlyThat) {
    int number = -1, other = -1;
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *) -> eio_err * {
        eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_stream_socket *a, *b;
            EIO_TRY(eio_socketpair_stream(sw, &a, &b));
            EIO_TRY(Use(eio_fd_of_flow(&a->flow), &number));
            EIO_TRY(eio_fd_remove(eio_fd_of_flow(&b->flow), &other));
            return nullptr;
        });
        return err;
    }));
    EXPECT_FALSE(IsOpen(number));
    EXPECT_TRUE(IsOpen(other));
    close(other);
}

TEST_P(RcfdTest, ACloseReachesTheOperationsOfOtherDomains) {
    for (int round = 0; round < 20; round++)
        EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
            eio_listener *listener;
            EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
            std::atomic<int> started{0}, ended{0};
            auto other = [&] {
                EXPECT_OK(EvalReal([&](eio_switch *their_sw, const eio_env *) -> eio_err * {
                    auto accept = [&]() -> eio_err * {
                        eio_stream_socket *server;
                        started++;
                        EXPECT_ERR(eio_listener_accept(listener, their_sw, &server, nullptr),
                                   &eio_err_closed);
                        ended++;
                        return nullptr;
                    };
                    return Both(accept, accept);
                }));
            };
            std::thread one(other), two(other);
            while (started < 4)
                EIO_TRY(eio_fiber_yield());
            if (round % 2 == 0)
                usleep(1000); // the accepts are in the kernel
            eio_listener_close(listener);
            one.join();
            two.join();
            EXPECT_EQ(ended, 4);
            return nullptr;
        }));
}

TEST_P(RcfdTest, CloseRacingWithCompletionsOfOtherDomainsLosesNothing) {
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *) -> eio_err * {
        for (int round = 0; round < 30; round++) {
            eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
                eio_datagram_socket *a, *b;
                EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
                std::atomic<int> received{0};
                std::thread other([&] {
                    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *) -> eio_err * {
                        for (;;) {
                            uint8_t space[8];
                            eio_datagram_info info;
                            eio_err *result =
                                eio_datagram_recv(b, eio_buf_of(space, sizeof space), &info);
                            if (eio_err_catch(&result, &eio_err_closed))
                                return nullptr;
                            EIO_TRY(result);
                            received++;
                        }
                    }));
                });
                int sent = 0;
                while (received < round) {
                    eio_slice slice = eio_slice_of_str("x");
                    eio_err *result = eio_datagram_send(a, nullptr, &slice, 1);
                    EXPECT_TRUE(IsOk(result));
                    sent++;
                }
                eio_datagram_close(b);
                other.join();
                EXPECT_LE(received, sent);
                return nullptr;
            });
            EIO_TRY(err);
        }
        return nullptr;
    }));
}

using RcfdDeathTest = RcfdTest;
EIO_ON_REAL_BACKENDS(RcfdDeathTest);

TEST_P(RcfdDeathTest, TwoReadersOfOneFlow) {
    EXPECT_DEATH(eio_err_drop(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
                     eio_stream_socket *a, *b;
                     EIO_TRY(eio_socketpair_stream(sw, &a, &b));
                     return Both([&] { return Read(&a->flow); }, [&] { return Read(&a->flow); });
                 })),
                 "two fibers read one flow at a time");
}
