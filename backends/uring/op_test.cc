// SPDX-License-Identifier: ISC
#include <poll.h>
#include <sys/resource.h>

#include <memory>
#include <vector>

#include "backends/uring/uring_run.h"
#include "eio/await_fd.h"

using namespace eio_test;

class OpTest : public EioTest {};

TEST_F(OpTest, ACancelledContextReturnsAtOnceAndLeavesTheKernelAlone) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        pair.Send("x");
        bool other_ran = false;
        eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
            EXPECT_OK(Fork(sw, [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                other_ran = true;
                return nullptr;
            }));
            eio_cancel_cancel(cc, eio_err_failure("stop"));
            FaultPlan faults;
            EXPECT_ERR_TEXT(pair.Read(), "Cancelled: Failure(\"stop\")");
            EXPECT_EQ(faults.Count("io_uring_enter"), 0);
            EXPECT_FALSE(other_ran) << "it didn't suspend";
            return nullptr;
        });
        EIO_TRY(err);
        std::string text;
        EIO_TRY(pair.Read(&text));
        EXPECT_EQ(text, "x");
        return nullptr;
    }));
}

TEST_F(OpTest, ACancelEndsABlockedReadAndLosesNoByte) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EXPECT_OK(First([&] { return pair.Read(); },
                        [&]() -> eio_err * {
                            EIO_TRY(eioi_sleep_until(eioi_now() +
                                                     1000000)); // the read is in the kernel by now
                            return nullptr;
                        }));
        pair.Send("later");
        std::string text;
        EIO_TRY(pair.Read(&text));
        EXPECT_EQ(text, "later");
        return nullptr;
    }));
}

TEST_F(OpTest, AResultThatIsThereBeforeTheCancelIsReturned) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw first, second;
        EIO_TRY(first.Open(sw));
        EIO_TRY(second.Open(sw));
        std::string text = "nothing";
        EXPECT_OK(CancelSub([&](eio_cancel *cc) -> eio_err * {
            return Both([&] { return second.Read(&text); },
                        [&]() -> eio_err * {
                            EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                            // Both completions are taken in one go; ours, the first, resumes us
                            // first.
                            EXPECT_OK(Both([&] { return first.Read(); },
                                           [&]() -> eio_err * {
                                               EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                                               first.Send("1");
                                               second.Send("2");
                                               return nullptr;
                                           }));
                            eio_cancel_cancel(cc, eio_err_failure("too late"));
                            return nullptr;
                        });
        }));
        EXPECT_EQ(text, "2");
        return nullptr;
    }));
}

TEST_F(OpTest, DataAndCancelInOneTurnLoseNothing) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 200; i++) {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            std::string text;
            eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
                return Both([&] { return pair.Read(&text); },
                            [&]() -> eio_err * {
                                if (i % 2 == 0)
                                    EIO_TRY(eioi_sleep_until(eioi_now() + 1));
                                pair.Send("x");
                                eio_cancel_cancel(cc, eio_err_failure("now"));
                                return nullptr;
                            });
            });
            eio_err_catch(&err, &eio_err_cancelled);
            EIO_TRY(err);
            if (text.empty())
                EIO_TRY(pair.Read(&text));
            EXPECT_EQ(text, "x");
            eio_flow_free(pair.flow);
        }
        return nullptr;
    }));
}

TEST_F(OpTest, OperationsFarBeyondTheQueueAllCompleteInOrder) {
    EXPECT_OK(EvalUring(
        [](eio_switch *sw) -> eio_err * {
            enum { N = 500 };
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            std::vector<int> order;
            int fd = pair.raw;
            pair.Send("");
            for (int i = 0; i < N; i++)
                EXPECT_OK(Fork(sw, [&order, fd, i]() -> eio_err * {
                    EIO_TRY(eio_await_writable(fd));
                    order.push_back(i);
                    return nullptr;
                }));
            while (order.size() < N)
                EIO_TRY(eio_fiber_yield());
            for (int i = 0; i < N; i++)
                EXPECT_EQ(order[static_cast<size_t>(i)], i);
            return nullptr;
        },
        8));
}

TEST_F(OpTest, TenThousandOperationsTimeOutAtOnceWithEightEntries) {
    // Those who wait to write are all in the kernel, of those who wait to read the first one is.
    for (bool reads : {false, true}) {
        EXPECT_OK(EvalUring(
            [reads](eio_switch *sw) -> eio_err * {
                const int N = static_cast<int>(HowMany(kFibers));
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                pair.Fill();
                int cancelled = 0;
                int fd = pair.raw;
                eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                    for (int i = 0; i < N; i++)
                        EXPECT_OK(Fork(inner, [&cancelled, fd, reads]() -> eio_err * {
                            eio_err *result =
                                reads ? eio_await_readable(fd) : eio_await_writable(fd);
                            cancelled += eio_err_is(result, &eio_err_cancelled);
                            return result;
                        }));
                    EIO_TRY(eioi_sleep_until(eioi_now() + 20000000));
                    return eio_err_const(&eio_err_timeout);
                });
                EXPECT_TRUE(eio_err_catch(&err, &eio_err_timeout));
                EXPECT_EQ(cancelled, N);
                return err;
            },
            8));
    }
}

TEST_F(OpTest, OfThoseWhoWaitToReadOneDescriptorOnlyTheFirstIsInTheKernel) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair, other;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(other.Open(sw));
        FaultPlan faults;
        std::vector<int> order;
        auto wait = [&](int who, int fd) -> eio_err * {
            EIO_TRY(eio_await_readable(fd));
            order.push_back(who);
            return nullptr;
        };
        // No entry is asked for by those who are held; one for the read of the wake-up descriptor.
        return All({[&] { return wait(0, pair.raw); }, [&] { return wait(1, pair.raw); },
                    [&] { return wait(2, pair.raw); }, [&] { return wait(9, other.raw); },
                    [&]() -> eio_err * {
                        EXPECT_EQ(faults.Count("uring_sqe_full"), 2);
                        EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                        EXPECT_EQ(faults.Count("uring_sqe_full"), 3);
                        EIO_TRY(eio_flow_copy_string("x", &other.flow->sink));
                        while (order.size() < 1)
                            EIO_TRY(eio_fiber_yield());
                        EIO_TRY(eio_flow_copy_string("x", &pair.flow->sink));
                        while (order.size() < 4)
                            EIO_TRY(eio_fiber_yield());
                        EXPECT_EQ(order, (std::vector<int>{9, 0, 1, 2}));
                        return nullptr;
                    }});
    }));
}

TEST_F(OpTest, AnOperationThatNeverGotAnEntryIsCancelledWithoutTheKernel) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        faults.Fail("uring_sqe_full", ENOSPC, 1, 1000);
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            return Both(
                [&]() -> eio_err * {
                    EXPECT_ERR(pair.Read(), &eio_err_cancelled);
                    return nullptr;
                },
                [&]() -> eio_err * {
                    eio_cancel_cancel(cc, eio_err_failure("stop"));
                    return nullptr;
                });
        });
    }));
}

TEST_F(OpTest, ACancelRequestThatFindsTheQueueFullIsMadeLater) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            return Both(
                [&]() -> eio_err * {
                    EXPECT_ERR(pair.Read(), &eio_err_cancelled);
                    return nullptr;
                },
                [&]() -> eio_err * {
                    EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                    faults.Fail("uring_sqe_full", ENOSPC, 1, 5);
                    eio_cancel_cancel(cc, eio_err_failure("stop"));
                    return nullptr;
                });
        });
    }));
}

TEST_F(OpTest, ACompletionBeforeTheStarvedCancelRequestIsAResult) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        std::string text;
        EXPECT_OK(CancelSub([&](eio_cancel *cc) -> eio_err * {
            return Both([&]() -> eio_err * { return pair.Read(&text); },
                        [&]() -> eio_err * {
                            EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                            faults.Fail("uring_sqe_full", ENOSPC, 1, 50);
                            pair.Send("data");
                            eio_cancel_cancel(cc, eio_err_failure("stop"));
                            return nullptr;
                        });
        }));
        EXPECT_EQ(text, "data");
        return nullptr;
    }));
}

TEST_F(OpTest, AnOperationInTheSameFrameIsNotHitByItsPredecessorsCancel) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        for (int i = 0; i < 500; i++) {
            // The cancelled read's frame is used again at once by the protected one, which must get
            // its data.
            std::string text;
            bool cancelled = false;
            EXPECT_OK(CancelSub([&](eio_cancel *cc) -> eio_err * {
                return Both(
                    [&]() -> eio_err * {
                        EXPECT_ERR(pair.Read(&text), &eio_err_cancelled);
                        cancelled = true;
                        return Protect([&] { return pair.Read(&text); });
                    },
                    [&]() -> eio_err * {
                        EIO_TRY(i % 2 == 0 ? nullptr : eioi_sleep_until(eioi_now() + 1));
                        eio_cancel_cancel(cc, eio_err_failure("stop"));
                        return Protect([&]() -> eio_err * {
                            while (!cancelled)
                                EIO_TRY(eio_fiber_yield());
                            pair.Send("y");
                            return nullptr;
                        });
                    });
            }));
            EXPECT_EQ(text, "y");
        }
        return nullptr;
    }));
}

TEST_F(OpTest, ASignalledOrSpuriouslyCancelledOperationIsRunAgain) {
    for (int errnum : {EINTR, ECANCELED, EAGAIN}) {
        EXPECT_OK(EvalUring([errnum](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            pair.Send("x");
            FaultPlan faults;
            faults.Fail("cqe_read", errnum);
            std::string text;
            EIO_TRY(pair.Read(&text));
            EXPECT_EQ(text, "x");
            EXPECT_EQ(faults.Count("cqe_read"), 2);
            EXPECT_EQ(faults.Count("cqe_poll"), errnum == EAGAIN ? 1 : 0);
            return nullptr;
        }));
    }
}

TEST_F(OpTest, AFailedCompletionReachesTheCaller) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        faults.Fail("cqe_read", ECONNRESET);
        EXPECT_ERR(pair.Read(), &eio_err_net_connection_reset);
        faults.Fail("cqe_write", ENOMEM);
        eio_err *err = eio_flow_copy_string("x", &pair.flow->sink);
        EXPECT_EQ(eio_err_errno(err), ENOMEM);
        eio_err_drop(err);
        return nullptr;
    }));
}

TEST_F(OpTest, AFailedAcceptKeepsItsNumberAndGetsItsLine) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        eio_unix_net net;
        eio_unix_net_init(&net, nullptr);
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        eio_listener *listener;
        eio_stream_socket *server, *client;
        EIO_TRY(eio_net_listen(&net.net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EIO_TRY(eio_net_connect(&net.net, sw, &addr, nullptr, &client));
        for (int errnum : {EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNABORTED, EPROTO}) {
            FaultPlan faults;
            faults.Fail("cqe_accept", errnum);
            eio_err *err = eio_listener_accept(listener, sw, &server, nullptr);
            EXPECT_EQ(eio_err_errno(err), errnum);
            EXPECT_NE(Text(err).find("  accepting a connection"), std::string::npos);
            eio_err_drop(err);
        }
        return eio_listener_accept(listener, sw, &server, nullptr);
    }));
}

TEST_F(OpTest, AQueuedCloseMakesRoomWhenDescriptorsRunOut) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        eio_unix_net net;
        eio_unix_net_init(&net, nullptr);
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        eio_listener *listener;
        eio_stream_socket *client;
        EIO_TRY(eio_net_listen(&net.net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EIO_TRY(eio_net_connect(&net.net, sw, &addr, nullptr, &client));
        struct rlimit old, limit;
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
        int next = dup(0);
        close(next);
        limit = {static_cast<rlim_t>(next), old.rlim_max}; // none left
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
        eio_flow_free(&client->flow);
        eio_err *err = eio_net_connect(&net.net, sw, &addr, nullptr, &client);
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
        return err;
    }));
}

TEST_F(OpTest, SeveralFibersAwaitOneForeignDescriptor) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        int ready = 0;
        int fd = pair.raw;
        auto wait = [&]() -> eio_err * {
            EIO_TRY(eio_await_readable(fd));
            ready++;
            return nullptr;
        };
        return All({wait, wait, wait, [&] { return eio_flow_copy_string("x", &pair.flow->sink); },
                    [&]() -> eio_err * {
                        while (ready < 3)
                            EIO_TRY(eio_fiber_yield());
                        return nullptr;
                    }});
    }));
}

TEST_F(OpTest, AwaitingABadDescriptorIsAnError) {
    EXPECT_OK(EvalUring([](eio_switch *) -> eio_err * {
        eio_err *err = eio_await_readable(-1);
        EXPECT_EQ(eio_err_errno(err), EBADF);
        eio_err_drop(err);
        return nullptr;
    }));
}
