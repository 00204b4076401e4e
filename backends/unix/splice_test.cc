// SPDX-License-Identifier: ISC
// Copies between connections, of little and of very much.

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "eio/fd.h"
#include "eio/flow.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

namespace {

using namespace eio_test;

enum { kMuch = 4 << 20 };

std::string Noise(size_t len) {
    std::mt19937_64 random(len);
    std::string text(len, '\0');
    for (size_t i = 0; i + 8 <= len; i += 8) {
        const uint64_t bits = random();
        memcpy(&text[i], &bits, sizeof bits);
    }
    return text;
}

/// from -> (a, b: the copy) -> to
struct Chain {
    eio_stream_socket *from, *a, *b, *to;

    eio_err *Open(eio_switch *sw) {
        EIO_TRY(eio_socketpair_stream(sw, &from, &a));
        return eio_socketpair_stream(sw, &b, &to);
    }
    eio_err *Send(const std::string &text) {
        return eio_sink_write(&from->flow.sink, eio_slice_of(text.data(), text.size()));
    }
    eio_err *SendLast(const std::string &text) {
        EIO_TRY(Send(text));
        return eio_flow_shutdown(&from->flow, EIO_SHUTDOWN_SEND);
    }
    eio_err *Copy() { return eio_flow_copy(&a->flow.source, &b->flow.sink); }
    eio_err *CopyLast() {
        EIO_TRY(Copy());
        return eio_flow_shutdown(&b->flow, EIO_SHUTDOWN_SEND);
    }
    eio_err *Receive(size_t len, std::string *out) {
        out->assign(len, '\0');
        return eio_source_read_exact(&to->flow.source,
                                     eio_buf_of(reinterpret_cast<uint8_t *>(&(*out)[0]), len));
    }
    eio_err *ReceiveAll(std::string *out) {
        eio_strbuf text = EIO_STRBUF_INIT;
        eio_err *err = eio_source_read_all(&to->flow.source, SIZE_MAX / 4, &text);
        out->assign(eio_strbuf_str(&text), text.len);
        eio_strbuf_free(&text);
        return err;
    }
};

class SpliceTest : public RealTest {
  protected:
    /// Copies `sent`; how often splice(2) was called.
    int CopyAll(const std::string &sent, std::function<int(const std::string &)> decide = nullptr) {
        std::string got;
        Faults faults(std::move(decide));
        EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
            Chain chain;
            EIO_TRY(chain.Open(sw));
            return All({[&] { return chain.SendLast(sent); }, [&] { return chain.CopyLast(); },
                        [&] { return chain.ReceiveAll(&got); }});
        }));
        EXPECT_TRUE(got == sent) << got.size() << " bytes of " << sent.size();
        return faults.Count("splice");
    }
};
EIO_ON_REAL_BACKENDS(SpliceTest);

TEST_P(SpliceTest, MuchIsCopiedWholeAndInOrderByTheKernel) {
    EXPECT_GT(CopyAll(Noise(kMuch)), 0);
}

TEST_P(SpliceTest, LittleIsCopiedByLoans) {
    EXPECT_EQ(CopyAll(Noise(10000)), 0);
    EXPECT_EQ(CopyAll(""), 0);
}

TEST_P(SpliceTest, WithoutPipesMuchIsCopiedAllTheSame) {
    EXPECT_EQ(
        CopyAll(Noise(kMuch), [](const std::string &call) { return call == "pipe2" ? EMFILE : 0; }),
        0);
}

TEST_P(SpliceTest, PipesOfTheSizeThatTheSystemGivesDo) {
    EXPECT_GT(
        CopyAll(Noise(kMuch),
                [](const std::string &call) { return call == "fcntl_pipe_size" ? EPERM : 0; }),
        0);
}

TEST_P(SpliceTest, WhereTheKernelCannotMuchIsCopiedAllTheSame) {
    CopyAll(Noise(kMuch), [](const std::string &call) { return call == "splice" ? EINVAL : 0; });
}

TEST_P(SpliceTest, AnInterruptedCallIsRepeated) {
    unsigned n = 0;
    CopyAll(Noise(kMuch),
            [&](const std::string &call) { return call == "splice" && ++n % 2 == 0 ? EINTR : 0; });
}

TEST_P(SpliceTest, ACallThatSaysTryAgainForNoReasonIsRepeated) {
    unsigned n = 0;
    CopyAll(Noise(kMuch),
            [&](const std::string &call) { return call == "splice" && ++n % 3 == 0 ? EAGAIN : 0; });
}

TEST_P(SpliceTest, AFailedCallIsTheCopysError) {
    Faults faults([](const std::string &call) { return call == "splice" ? EIO : 0; });
    EXPECT_ERR_TEXT(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
                        Chain chain;
                        std::string got;
                        EIO_TRY(chain.Open(sw));
                        return All({[&] { return chain.SendLast(Noise(kMuch)); },
                                    [&] { return chain.CopyLast(); },
                                    [&] { return chain.ReceiveAll(&got); }});
                    }),
                    "Eio.Io _");
}

TEST_P(SpliceTest, WhatComesAfterMuchIsCopiedToo) {
    const std::string much = Noise(kMuch);
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        Chain chain;
        EIO_TRY(chain.Open(sw));
        return Both([&] { return chain.CopyLast(); },
                    [&]() -> eio_err * {
                        std::string got;
                        EIO_TRY(Both([&] { return chain.Send(much); },
                                     [&] { return chain.Receive(much.size(), &got); }));
                        EXPECT_TRUE(got == much);
                        for (int i = 0; i < 20; i++) {
                            EIO_TRY(chain.Send("ping"));
                            EIO_TRY(chain.Receive(4, &got));
                            EXPECT_EQ(got, "ping");
                        }
                        EIO_TRY(Both([&] { return chain.Send(much); },
                                     [&] { return chain.Receive(much.size(), &got); }));
                        EXPECT_TRUE(got == much);
                        EIO_TRY(chain.SendLast("end"));
                        EIO_TRY(chain.ReceiveAll(&got));
                        EXPECT_EQ(got, "end");
                        return nullptr;
                    });
    }));
}

TEST_P(SpliceTest, ACopyThatIsCancelledLeavesNothing) {
    // The sink is full, with bytes in the pipe.
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        Chain chain;
        EIO_TRY(chain.Open(sw));
        eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, 50 * EIO_MILLISECOND), [&] {
            return Both([&] { return chain.SendLast(Noise(kMuch)); }, [&] { return chain.Copy(); });
        });
        EXPECT_ERR(err, &eio_err_timeout);
        return nullptr;
    }));
}

TEST_P(SpliceTest, ACloseOfTheSourceEndsTheCopyThatWaitsForIt) {
    const std::string much = Noise(kMuch);
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        Chain chain;
        std::string got;
        eio_err *err = nullptr;
        EIO_TRY(chain.Open(sw));
        EIO_TRY(Both(
            [&]() -> eio_err * {
                err = chain.Copy();
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(Both([&] { return chain.Send(much); },
                             [&] { return chain.Receive(much.size(), &got); }));
                eio_flow_close(&chain.a->flow);
                return nullptr;
            }));
        EXPECT_ERR(err, &eio_err_closed);
        return nullptr;
    }));
}

TEST_P(SpliceTest, ACloseOfTheSinkEndsTheCopyThatWaitsForIt) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        Chain chain;
        eio_err *err = nullptr;
        EIO_TRY(chain.Open(sw));
        EIO_TRY(All({[&]() -> eio_err * {
                         err = chain.Copy();
                         eio_flow_close(&chain.a->flow); // the sender would wait for ever
                         return nullptr;
                     },
                     [&]() -> eio_err * {
                         eio_err *sent = chain.Send(Noise(kMuch));
                         EXPECT_TRUE(eio_err_catch(&sent, &eio_err_net_connection_reset));
                         return sent;
                     },
                     [&]() -> eio_err * {
                         std::string got;
                         EIO_TRY(chain.Receive(1 << 20, &got)); // it splices by now
                         eio_flow_close(&chain.b->flow);
                         return nullptr;
                     }}));
        EXPECT_ERR(err, &eio_err_closed);
        return nullptr;
    }));
}

TEST_P(SpliceTest, APeerThatIsGoneIsAnErrorAndNoSignal) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *) -> eio_err * {
        Chain chain;
        EIO_TRY(chain.Open(sw));
        eio_err *err = nullptr;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                err = chain.Copy();
                eio_flow_close(&chain.a->flow);
                return nullptr;
            },
            [&]() -> eio_err * {
                return Both(
                    [&]() -> eio_err * {
                        eio_err *sent = chain.Send(Noise(kMuch));
                        EXPECT_TRUE(eio_err_catch(&sent, &eio_err_net_connection_reset));
                        return sent;
                    },
                    [&]() -> eio_err * {
                        std::string got;
                        EIO_TRY(chain.Receive(1 << 20, &got)); // it splices by now
                        eio_flow_close(&chain.to->flow);
                        return nullptr;
                    });
            }));
        EXPECT_ERR(err, &eio_err_net_connection_reset);
        return nullptr;
    }));
}

TEST_P(SpliceTest, ADescriptorThatIsTakenOutAfterwardsBlocksAsBefore) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        Chain chain;
        std::string got;
        EIO_TRY(chain.Open(sw));
        EIO_TRY(All({[&] { return chain.SendLast(Noise(kMuch)); }, [&] { return chain.CopyLast(); },
                     [&] { return chain.ReceiveAll(&got); }}));
        int fd = -1;
        EIO_TRY(eio_fd_remove(eio_fd_of_flow(&chain.b->flow), &fd));
        const bool nonblocking = (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0;
        EXPECT_EQ(nonblocking, strcmp(env->backend_name, "epoll") == 0);
        close(fd);
        return nullptr;
    }));
}

} // namespace
