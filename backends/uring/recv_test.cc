// SPDX-License-Identifier: ISC

// The receive engine of connections. How often something is armed is seen by its fault point.

#include <fcntl.h>
#include <poll.h>

#include <memory>
#include <vector>

#include "backends/uring/uring_run.h"
#include "fiber/base/alloc.h"

using namespace eio_test;

namespace {

enum { BUF = 16 * 1024 };

/// Until `fd` has bytes, or for ten seconds.
eio_err *WhenReadable(int fd) {
    for (int tries = 0; tries < 5000; tries++) {
        struct pollfd p = {fd, POLLIN, 0};
        if (poll(&p, 1, 0) > 0)
            return nullptr;
        EIO_TRY(Settle());
    }
    return nullptr;
}

/// Bytes that the kernel still has for `fd`.
bool HasUnread(eio_flow *flow) {
    bool has = false;
    eio_err_drop(eio_fd_use(
        eio_fd_of_flow(flow), "test",
        [](void *arg, int fd) -> eio_err * {
            char byte;
            *static_cast<bool *>(arg) = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
            return nullptr;
        },
        &has));
    return has;
}

std::string Pattern(size_t len) {
    std::string text(len, '\0');
    for (size_t i = 0; i < len; i++)
        text[i] = static_cast<char>('a' + i * 7 % 26 + i / 65536 % 3);
    return text;
}

} // namespace

class RecvTest : public EioTest {};

TEST_F(RecvTest, AConnectionThatIsReadOftenIsArmedOnce) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        EIO_TRY(Arm(&pair));
        EXPECT_EQ(faults.Count("cqe_read"), 2);
        std::string text;
        for (int i = 0; i < 100; i++) {
            pair.Send("again");
            EIO_TRY(i % 2 == 0 ? Lend(pair.flow, &text) : pair.Read(&text));
            EXPECT_EQ(text, "again");
        }
        EXPECT_EQ(faults.Count("cqe_read"), 2);
        EXPECT_EQ(faults.Count("cqe_recv"), 1);
        return nullptr;
    }));
}

TEST_F(RecvTest, WhatComesAheadStaysInTheKernelAfterAFewBuffers) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        EIO_TRY(Arm(&pair));
        std::string sent, got, text;
        for (int i = 0; i < 12; i++) { // a buffer each
            std::string word = "word " + std::to_string(i) + ";";
            pair.Send(word.c_str());
            sent += word;
            EIO_TRY(Settle());
        }
        EXPECT_TRUE(HasUnread(pair.flow));
        while (got.size() < sent.size()) {
            EIO_TRY(Lend(pair.flow, &text));
            got += text;
        }
        EXPECT_EQ(got, sent);
        pair.Send("on");
        EIO_TRY(Lend(pair.flow, &text));
        EXPECT_EQ(text, "on");
        EXPECT_GE(faults.Count("cqe_recv"), 2) << "it was armed again";
        return nullptr;
    }));
}

TEST_F(RecvTest, ACancelledReaderLeavesAtOnceAndTheBytesStay) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        std::string text;
        FaultPlan faults;
        eio_err *err = CancelSub([&](eio_cancel *cc) {
            return Both([&] { return Lend(pair.flow, &text); },
                        [&]() -> eio_err * {
                            eio_cancel_cancel(cc, eio_err_failure("x"));
                            return nullptr;
                        });
        });
        EXPECT_ERR_TEXT(err, "Cancelled: Failure(\"x\")");
        EXPECT_EQ(faults.Count("io_uring_enter"), 0) << "the kernel isn't asked";
        pair.Send("later");
        EIO_TRY(Lend(pair.flow, &text));
        EXPECT_EQ(text, "later");
        EXPECT_EQ(faults.Count("cqe_recv"), 0) << "it was armed all the time";
        return nullptr;
    }));
}

TEST_F(RecvTest, WhatIsHeldIsHadAtOnceButOthersHaveTheirTurn) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        const std::string sent = Pattern(100);
        pair.Send(sent.c_str());
        EIO_TRY(Settle());
        int turns = 0, reads = 0;
        std::string got;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                for (; got.size() < sent.size(); reads++) {
                    uint8_t byte;
                    size_t n;
                    EIO_TRY(eio_source_single_read(&pair.flow->source, eio_buf_of(&byte, 1), &n));
                    got += static_cast<char>(byte);
                    if (reads == 10) {
                        EXPECT_EQ(turns, 0);
                    }
                }
                return nullptr;
            },
            [&]() -> eio_err * {
                while (got.size() < sent.size()) {
                    turns++;
                    EIO_TRY(eio_fiber_yield());
                }
                return nullptr;
            }));
        EXPECT_EQ(got, sent);
        EXPECT_GE(turns, 100 / 17);
        return nullptr;
    }));
}

TEST_F(RecvTest, TheEndComesAfterTheBytesBeforeIt) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        for (bool whole : {true, false}) {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            EIO_TRY(Arm(&pair));
            pair.Send("last");
            if (!whole)
                EIO_TRY(Settle());
            pair.Send("words");
            pair.Hangup();
            EIO_TRY(Settle());
            std::string text, got;
            eio_err *err;
            while ((err = Lend(pair.flow, &text)) == nullptr)
                got += text;
            EXPECT_ERR(err, &eio_err_end_of_file);
            EXPECT_EQ(got, "lastwords");
            EXPECT_ERR(pair.Read(), &eio_err_end_of_file) << "and again";
        }
        return nullptr;
    }));
}

TEST_F(RecvTest, AShutdownOfTheReceivingSideEndsWhatIsArmed) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("held");
        EIO_TRY(Settle());
        EIO_TRY(eio_flow_shutdown(pair.flow, EIO_SHUTDOWN_RECEIVE));
        std::string text;
        EIO_TRY(Lend(pair.flow, &text));
        EXPECT_EQ(text, "held");
        EXPECT_ERR(Lend(pair.flow, &text), &eio_err_end_of_file);
        return nullptr;
    }));
}

TEST_F(RecvTest, ErrorsOfWhatIsArmedComeAfterTheBytesOrAreSurvived) {
    for (int errnum : {ECONNRESET, ENOBUFS, EINVAL, EAGAIN, EINTR, ECANCELED}) {
        EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            FaultPlan faults;
            faults.Fail("cqe_recv", errnum);
            std::string text;
            eio_err *err = Arm(&pair);
            if (errnum == ECONNRESET) {
                EXPECT_EQ(eio_err_errno(err), ECONNRESET);
                eio_err_drop(err);
            } else {
                EIO_TRY(err);
            }
            pair.Send("x");
            EIO_TRY(Lend(pair.flow, &text));
            EXPECT_EQ(text, "x") << errnum;
            return nullptr;
        }));
    }
}

TEST_F(RecvTest, WhatALoanDoesNotUseComesFirst) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("abc");
        EIO_TRY(Settle());
        pair.Send("def");
        EIO_TRY(Settle());
        std::string got;
        for (size_t used : {0u, 1u, 1u, 1u, 2u, 1u}) {
            eio_slice lent;
            EIO_TRY(eio_source_lend(&pair.flow->source, &lent));
            EXPECT_LE(used, lent.len);
            got.append(reinterpret_cast<const char *>(lent.base), used);
            eio_source_release(&pair.flow->source, used);
        }
        EXPECT_EQ(got, "abcdef");
        return nullptr;
    }));
}

TEST_F(RecvTest, ACloseEndsWhatIsArmedAndThePeerSeesItAtOnce) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("never read");
        EIO_TRY(Settle());
        eio_flow_close(pair.flow);
        EXPECT_EQ(send(pair.raw, "x", 1, MSG_NOSIGNAL), -1);
        EXPECT_EQ(errno, EPIPE);
        EXPECT_ERR(pair.Read(), &eio_err_closed);
        return nullptr;
    }));
}

TEST_F(RecvTest, AReaderOfWhatIsArmedHearsOfTheClose) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        for (bool freed : {false, true}) {
            for (bool bytes : {false, true}) {
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                EIO_TRY(Arm(&pair));
                EIO_TRY(Both(
                    [&]() -> eio_err * {
                        EXPECT_ERR(pair.Read(), &eio_err_closed);
                        return nullptr;
                    },
                    [&]() -> eio_err * {
                        if (bytes)
                            pair.Send("too late");
                        if (freed)
                            eio_flow_free(pair.flow);
                        else
                            eio_flow_close(pair.flow);
                        return nullptr;
                    }));
            }
        }
        return nullptr;
    }));
}

TEST_F(RecvTest, WhatIsArmedWithBytesThereOutlivesTheFlowThatIsFreed) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        std::string text;
        EIO_TRY(pair.Open(sw));
        for (const char *word : {"one", "two"}) {
            pair.Send(word);
            EIO_TRY(Lend(pair.flow, &text));
        }
        pair.Send("three");
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EXPECT_ERR(pair.Read(), &eio_err_closed);
                return nullptr;
            },
            [&]() -> eio_err * {
                eio_flow_free(pair.flow);
                return nullptr;
            }));
        return Settle();
    }));
}

TEST_F(RecvTest, WhatAReaderWasGivenIsItsOwnWhateverIsClosedThen) {
    enum Then { kClose, kFree, kCancel };
    for (bool lend : {false, true})
        for (Then then : {kClose, kFree, kCancel})
            EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                std::string text;
                EIO_TRY(pair.Open(sw));
                EIO_TRY(Arm(&pair));
                eio_err *err = CancelSub([&](eio_cancel *cc) {
                    return Both([&] { return lend ? Lend(pair.flow, &text) : pair.Read(&text); },
                                [&]() -> eio_err * {
                                    pair.Send("mine");
                                    EIO_TRY(eioi_sleep_until(eioi_now() - 1));
                                    if (then == kClose)
                                        eio_flow_close(pair.flow);
                                    if (then == kFree)
                                        eio_flow_free(pair.flow);
                                    if (then == kCancel)
                                        eio_cancel_cancel(cc, eio_err_failure("x"));
                                    return nullptr;
                                });
                });
                if (lend && then == kFree) { // of a flow that there isn't any more
                    EXPECT_ERR(err, &eio_err_closed);
                    EXPECT_EQ(text, "");
                    return nullptr;
                }
                eio_err_drop(err); // the other branch's, if it was cancelled
                EXPECT_EQ(text, "mine");
                return nullptr;
            }));
}

TEST_F(RecvTest, AReaderGoesOnWhenWhatIsArmedEndsWithoutBytes) {
    enum Then { kBytes, kCancel, kClose };
    for (int errnum : {ENOBUFS, EAGAIN, EINTR})
        for (bool lend : {false, true})
            for (Then then : {kBytes, kCancel, kClose})
                EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                    HalfRaw pair;
                    std::string text = "nothing";
                    EIO_TRY(pair.Open(sw));
                    EIO_TRY(Arm(&pair));
                    // It is ended by its cancel, which says something else here.
                    FaultPlan faults;
                    eio_err *err = CancelSub([&](eio_cancel *cc) {
                        return Both(
                            [&] { return lend ? Lend(pair.flow, &text) : pair.Read(&text); },
                            [&]() -> eio_err * {
                                faults.Fail("cqe_recv", errnum);
                                EIO_TRY(eio_fd_use(
                                    eio_fd_of_flow(pair.flow), "test",
                                    [](void *, int) -> eio_err * { return Settle(); }, nullptr));
                                EIO_TRY(Settle());
                                if (then == kBytes)
                                    pair.Send("on");
                                if (then == kCancel)
                                    eio_cancel_cancel(cc, eio_err_failure("x"));
                                if (then == kClose)
                                    eio_flow_close(pair.flow);
                                return nullptr;
                            });
                    });
                    if (then == kBytes) {
                        EXPECT_OK(err);
                        EXPECT_EQ(text, "on");
                    } else {
                        EXPECT_ERR(err, then == kCancel ? &eio_err_cancelled : &eio_err_closed);
                    }
                    if (then == kClose)
                        return nullptr;
                    pair.Send("again");
                    EIO_TRY(Lend(pair.flow, &text));
                    EXPECT_EQ(text, "again");
                    return nullptr;
                }));
}

// Copying: the fiber sleeps until there is something to read, and through the end of its write.

/// Copies what comes on `pair` back to it, in `f`'s company, once that has been done with `words` words.
template <class F> static eio_err *WhileEchoing(HalfRaw *pair, int words, F &&f) {
    return CancelSub([&](eio_cancel *cc) {
        return Both([&] { return eio_flow_copy(&pair->flow->source, &pair->flow->sink); },
                    [&]() -> eio_err * {
                        for (int i = 0; i < words; i++) {
                            const std::string word = "word " + std::to_string(i);
                            pair->Send(word.c_str());
                            EIO_TRY(WhenReadable(pair->raw));
                            EXPECT_EQ(pair->Received(), word);
                        }
                        EIO_TRY(Settle()); // the write's end has been heard of
                        return f(cc);
                    });
    });
}

TEST_F(RecvTest, ACopyIsArmedOnceAndFromTheBeginning) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        EXPECT_OK(WhileEchoing(&pair, 3, [&](eio_cancel *) -> eio_err * {
            pair.Hangup();
            return nullptr;
        }));
        EXPECT_EQ(faults.Count("cqe_recv"), 1);
        EXPECT_EQ(faults.Count("cqe_read"), 0);
        return nullptr;
    }));
}

TEST_F(RecvTest, WhatSaysThatItWouldBlockIsTriedToBeArmedOnce) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        faults.Fail("cqe_recv", EAGAIN, 1, 1000); // as O_NONBLOCK does, by some kernels
        EXPECT_OK(WhileEchoing(&pair, 10, [&](eio_cancel *) -> eio_err * {
            pair.Hangup();
            return nullptr;
        }));
        EXPECT_EQ(faults.Count("cqe_recv"), 1);
        return nullptr;
    }));
}

TEST_F(RecvTest, ACopyThatWaitsIsCancelledAtOnceAndTheBytesStay) {
    for (int words : {0, 1, 4})
        for (bool bytes : {false, true})
            EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                EXPECT_ERR_TEXT(WhileEchoing(&pair, words,
                                             [&](eio_cancel *cc) -> eio_err * {
                                                 if (bytes)
                                                     pair.Send("more");
                                                 eio_cancel_cancel(cc, eio_err_failure("x"));
                                                 return nullptr;
                                             }),
                                "Cancelled: Failure(\"x\")");
                if (!bytes)
                    pair.Send("more");
                EXPECT_EQ(pair.Received(), "");
                std::string text;
                EIO_TRY(Lend(pair.flow, &text));
                EXPECT_EQ(text, "more");
                return nullptr;
            }));
}

TEST_F(RecvTest, ACopyThatWaitsHearsOfTheClose) {
    for (int words : {0, 1, 4})
        for (bool freed : {false, true})
            for (bool bytes : {false, true})
                EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                    HalfRaw pair;
                    EIO_TRY(pair.Open(sw));
                    EXPECT_ERR(WhileEchoing(&pair, words,
                                            [&](eio_cancel *) -> eio_err * {
                                                if (bytes)
                                                    pair.Send("too late");
                                                if (freed)
                                                    eio_flow_free(pair.flow);
                                                else
                                                    eio_flow_close(pair.flow);
                                                return nullptr;
                                            }),
                               &eio_err_closed);
                    return nullptr;
                }));
}

TEST_F(RecvTest, AnEndThatACopyWasToldIsItsOwnWhateverComesThen) {
    for (int words : {0, 1, 4})
        for (bool closed : {false, true})
            EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                EXPECT_OK(WhileEchoing(&pair, words, [&](eio_cancel *cc) -> eio_err * {
                    EXPECT_EQ(shutdown(pair.raw, SHUT_WR), 0);
                    EIO_TRY(eioi_sleep_until(eioi_now() - 1)); // it goes on after this fiber
                    if (closed)
                        eio_flow_close(pair.flow);
                    eio_cancel_cancel(cc, eio_err_failure("x"));
                    return nullptr;
                }));
                EXPECT_ERR(pair.Read(), closed ? &eio_err_closed : &eio_err_end_of_file);
                return nullptr;
            }));
}

TEST_F(RecvTest, ACopyGoesOnWhenWhatIsArmedEndsWithoutBytes) {
    for (int errnum : {ENOBUFS, EINVAL, EAGAIN, EINTR, ECANCELED, ECONNRESET})
        EXPECT_OK(EvalUring([errnum](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            FaultPlan faults;
            faults.Fail("cqe_recv", errnum);
            eio_err *err = WhileEchoing(&pair, 0, [&](eio_cancel *) -> eio_err * {
                pair.Send("last");
                EXPECT_EQ(shutdown(pair.raw, SHUT_WR), 0);
                return nullptr;
            });
            if (errnum == ECONNRESET) {
                EXPECT_EQ(eio_err_errno(err), errnum);
                eio_err_drop(err);
                return nullptr;
            }
            EXPECT_OK(err);
            EXPECT_EQ(pair.Received(), "last");
            return nullptr;
        }));
}

TEST_F(RecvTest, ACopyWritesWhatWasHeldBeforeIt) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("held");
        EIO_TRY(Settle());
        EXPECT_OK(WhileEchoing(&pair, 0, [&](eio_cancel *) -> eio_err * {
            EXPECT_EQ(pair.Received(), "held");
            pair.Hangup();
            return nullptr;
        }));
        return nullptr;
    }));
}

TEST_F(RecvTest, ACopysSinkIsClosedBeforeTheFirstBytesCome) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw from, to;
        std::string text;
        EIO_TRY(from.Open(sw));
        EIO_TRY(to.Open(sw));
        EXPECT_ERR(Both([&] { return eio_flow_copy(&from.flow->source, &to.flow->sink); },
                        [&]() -> eio_err * {
                            EIO_TRY(Settle());
                            eio_flow_close(to.flow);
                            EIO_TRY(Settle());
                            from.Send("stays");
                            return nullptr;
                        }),
                   &eio_err_closed);
        EIO_TRY(Lend(from.flow, &text));
        EXPECT_EQ(text, "stays");
        return nullptr;
    }));
}

TEST_F(RecvTest, ACopyEndsWithTheBytesAndHearsOfItsWritesError) {
    for (int words : {0, 4})
        EXPECT_OK(EvalUring([words](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            EXPECT_OK(WhileEchoing(&pair, words, [&](eio_cancel *) -> eio_err * {
                pair.Send("last");
                EXPECT_EQ(shutdown(pair.raw, SHUT_WR), 0);
                return nullptr;
            }));
            EXPECT_EQ(pair.Received(), "last");
            return nullptr;
        }));
    for (int words : {0, 4})
        for (int errnum : {EINTR, EAGAIN, ECANCELED, EIO, ECONNRESET})
            EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                FaultPlan faults;
                eio_err *err = WhileEchoing(&pair, words, [&](eio_cancel *) -> eio_err * {
                    faults.Fail("cqe_write", errnum);
                    pair.Send("last");
                    EXPECT_EQ(shutdown(pair.raw, SHUT_WR), 0);
                    return nullptr;
                });
                if (errnum == EIO || errnum == ECONNRESET) {
                    EXPECT_EQ(eio_err_errno(err), errnum);
                    EXPECT_EQ(pair.Received(), "");
                } else {
                    EXPECT_OK(err);
                    err = nullptr;
                    EXPECT_EQ(pair.Received(), "last");
                }
                eio_err_drop(err);
                return nullptr;
            }));
}

TEST_F(RecvTest, ACopyWhoseSinkIsFullIsCancelledAndHearsOfTheClose) {
    enum Stop { kCancel, kClose, kFreeSink, kFreeSource };
    for (Stop stop : {kCancel, kClose, kFreeSink, kFreeSource})
        EXPECT_OK(EvalUring([stop](eio_switch *sw) -> eio_err * {
            HalfRaw from, to;
            EIO_TRY(from.Open(sw));
            EIO_TRY(to.Open(sw));
            const std::string word = Pattern(BUF);
            eio_err *err = CancelSub([&](eio_cancel *cc) {
                return Both([&] { return eio_flow_copy(&from.flow->source, &to.flow->sink); },
                            [&]() -> eio_err * {
                                // Nobody reads: in the end both queues are full.
                                for (int unsent = 0; unsent < 3;) {
                                    bool sent = send(from.raw, word.data(), 100, MSG_DONTWAIT) > 0;
                                    unsent += !sent;
                                    EIO_TRY(sent ? eio_fiber_yield() : Settle());
                                }
                                if (stop == kCancel)
                                    eio_cancel_cancel(cc, eio_err_failure("x"));
                                if (stop == kFreeSource)
                                    eio_flow_free(from.flow);
                                if (stop == kFreeSink)
                                    eio_flow_free(to.flow);
                                else if (stop != kCancel)
                                    eio_flow_close(to.flow);
                                return nullptr;
                            });
            });
            EXPECT_ERR(err, stop == kCancel ? &eio_err_cancelled : &eio_err_closed);
            return nullptr;
        }));
}

TEST_F(RecvTest, ALoanOutlivesTheClose) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("lent");
        eio_slice lent;
        EIO_TRY(eio_source_lend(&pair.flow->source, &lent));
        eio_flow_close(pair.flow);
        EIO_TRY(Settle());
        EXPECT_EQ(std::string(reinterpret_cast<const char *>(lent.base), lent.len), "lent");
        eio_source_release(&pair.flow->source, 1);
        EXPECT_ERR(pair.Read(), &eio_err_closed);
        return nullptr;
    }));
}

TEST_F(RecvTest, TakenOutTheDescriptorIsNotArmedAndWhatCameIsStillRead) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        pair.Send("ahead");
        EIO_TRY(Settle());
        int fd;
        EIO_TRY(eio_fd_remove(eio_fd_of_flow(pair.flow), &fd));
        pair.Send("after");
        EIO_TRY(Settle());
        std::string text;
        EIO_TRY(Lend(pair.flow, &text));
        EXPECT_EQ(text, "ahead");
        EXPECT_ERR(Lend(pair.flow, &text), &eio_err_closed);
        eio_stream_socket *again;
        EIO_TRY(eio_import_stream(sw, fd, nullptr, &again));
        EIO_TRY(Lend(&again->flow, &text));
        EXPECT_EQ(text, "after");
        return nullptr;
    }));
}

/// A read of `pair`, by a loan or into its own memory, that waits for what is armed while the
/// descriptor is taken out; then `f` happens. `*out_text` is what it got.
template <class F>
static eio_err *ReadWhileRemoving(eio_switch *sw, bool lend, std::string *out_text, F &&f) {
    HalfRaw pair;
    int fd = -1;
    EIO_TRY(pair.Open(sw));
    EIO_TRY(Arm(&pair));
    eio_err *err =
        Both([&] { return lend ? Lend(pair.flow, out_text) : pair.Read(out_text); },
             [&] {
                 return Both([&] { return eio_fd_remove(eio_fd_of_flow(pair.flow), &fd); },
                             [&]() -> eio_err * {
                                 EIO_TRY(Settle()); // nothing is armed any more
                                 EXPECT_EQ(fd, -1) << "it waits for the read";
                                 f(&pair);
                                 return nullptr;
                             });
             });
    if (fd >= 0)
        close(fd);
    return err;
}

TEST_F(RecvTest, AReadThatWaitsGoesOnWhileItsDescriptorIsTakenOut) {
    for (bool lend : {false, true})
        EXPECT_OK(EvalUring([lend](eio_switch *sw) -> eio_err * {
            std::string text;
            EIO_TRY(ReadWhileRemoving(sw, lend, &text, [](HalfRaw *pair) { pair->Send("late"); }));
            EXPECT_EQ(text, "late");
            EXPECT_ERR(ReadWhileRemoving(sw, lend, &text,
                                         [](HalfRaw *pair) { eio_flow_close(pair->flow); }),
                       &eio_err_closed);
            EXPECT_ERR(ReadWhileRemoving(sw, lend, &text,
                                         [](HalfRaw *pair) { eio_flow_free(pair->flow); }),
                       &eio_err_closed);
            return nullptr;
        }));
}

TEST_F(RecvTest, WhileTheDescriptorIsUsedNothingIsArmed) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        EIO_TRY(Arm(&pair));
        auto use = [](void *arg, int fd) -> eio_err * {
            auto *self = static_cast<HalfRaw *>(arg);
            self->Send("raw");
            EIO_TRY(Settle());
            char bytes[8];
            EXPECT_EQ(recv(fd, bytes, sizeof bytes, MSG_DONTWAIT), 3);
            return nullptr;
        };
        EIO_TRY(eio_fd_use(eio_fd_of_flow(pair.flow), "test", use, &pair));
        std::string text;
        pair.Send("then");
        EIO_TRY(Lend(pair.flow, &text));
        EXPECT_EQ(text, "then");
        return nullptr;
    }));
}

TEST_F(RecvTest, ABorrowedDescriptorIsNeverReadAhead) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        int fd;
        EIO_TRY(eio_fd_remove(eio_fd_of_flow(pair.flow), &fd));
        eio_import_opts opts = {};
        opts.keep_open = true;
        eio_stream_socket *borrowed;
        EIO_TRY(eio_import_stream(sw, fd, &opts, &borrowed));
        pair.flow = &borrowed->flow;
        FaultPlan faults;
        EIO_TRY(Arm(&pair));
        EXPECT_EQ(faults.Count("cqe_recv"), 0);
        close(fd);
        return nullptr;
    }));
}

TEST_F(RecvTest, ASlowReaderGetsAllOf24MiBInOrder) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        const std::string sent = Pattern(24 << 20);
        std::string got;
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(eio_sink_write(&a->flow.sink, eio_slice_of(sent.data(), sent.size())));
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            },
            [&]() -> eio_err * {
                std::vector<uint8_t> space(100000);
                for (int i = 0;; i++) {
                    eio_err *err;
                    if (i % 5 == 4) { // now and then by another way
                        size_t n = 0;
                        err = eio_source_single_read(
                            &b->flow.source,
                            eio_buf_of(space.data(), i % 2 == 0 ? 1000 : space.size()), &n);
                        if (err == nullptr)
                            got.append(reinterpret_cast<char *>(space.data()), n);
                    } else {
                        std::string text;
                        err = Lend(&b->flow, &text);
                        got += text;
                    }
                    if (eio_err_catch(&err, &eio_err_end_of_file))
                        break;
                    EIO_TRY(err);
                    for (int j = i % 4; j > 0; j--)
                        EIO_TRY(eio_fiber_yield());
                }
                EXPECT_TRUE(got == sent);
                return nullptr;
            });
    }));
}

TEST_F(RecvTest, MoreConnectionsThanBuffersAllGoOn) {
    for (bool can_grow : {true, false}) {
        EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
            enum { N = 500, ROUNDS = 6 };
            std::vector<std::unique_ptr<HalfRaw>> pairs;
            for (int i = 0; i < N; i++) {
                pairs.push_back(std::make_unique<HalfRaw>());
                EIO_TRY(pairs.back()->Open(sw));
            }
            FaultPlan faults;
            if (!can_grow) // each loan finds no buffer, armed or not
                for (const char *point : {"cqe_recv", "cqe_read"})
                    faults.Fail(point, ENOBUFS, 1, N);
            for (int round = 0; round < ROUNDS; round++) {
                for (auto &pair : pairs)
                    pair->Send("ping");
                int lent = 0;
                EIO_TRY(SwitchRun([&](eio_switch *inner) -> eio_err * {
                    for (auto &pair : pairs)
                        EIO_TRY(Fork(inner, [&]() -> eio_err * {
                            eio_slice slice; // all are lent at the same time
                            EIO_TRY(eio_source_lend(&pair->flow->source, &slice));
                            for (lent++; lent < N;)
                                EIO_TRY(eio_fiber_yield());
                            EXPECT_EQ(slice.len, 4u);
                            eio_source_release(&pair->flow->source, 4);
                            return nullptr;
                        }));
                    return nullptr;
                }));
            }
            return nullptr;
        }));
    }
}

TEST_F(RecvTest, WithoutAPoolLoansHaveMemoryOfTheirOwn) {
    for (const char *point : {"io_uring_register_buf_ring", "mmap"}) {
        FaultPlan faults;
        faults.Fail(point, ENOMEM);
        EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(pair.Open(sw));
            FaultPlan inner_faults;
            EIO_TRY(Arm(&pair));
            EXPECT_EQ(inner_faults.Count("cqe_recv"), 0);
            pair.Send("abc");
            eio_slice lent;
            EIO_TRY(eio_source_lend(&pair.flow->source, &lent));
            eio_source_release(&pair.flow->source, 1);
            std::string text;
            EIO_TRY(pair.Read(&text));
            EXPECT_EQ(text, "bc");
            return nullptr;
        }));
    }
}

TEST_F(RecvTest, LargeReadsIntoTheCallersMemoryAreNotArmed) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        const std::string sent = Pattern(8000);
        std::vector<uint8_t> space(64 * 1024);
        FaultPlan faults;
        for (int i = 0; i < 20; i++) {
            size_t n;
            pair.Send(sent.c_str());
            EIO_TRY(eio_source_single_read(&pair.flow->source,
                                           eio_buf_of(space.data(), space.size()), &n));
            EXPECT_EQ(n, sent.size());
        }
        EXPECT_EQ(faults.Count("cqe_recv"), 0);
        return nullptr;
    }));
}
