// SPDX-License-Identifier: ISC
// A copy between two TCP connections that has got into its stride: it goes round in the backend then
// (`eioi_io_ops.pass`), and whatever ends that must lose nothing.

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "fiber/sched.h"
#include "tests/conformance/sockets.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

namespace eio_test {
namespace {

/// What is written to `in` is copied from `source` to `sink`, and read from `out`.
class Line {
  public:
    eio_err *Open(eio_switch *sw, const eio_env *env) {
        EIO_TRY(TcpPair(sw, env, &in, &source));
        return TcpPair(sw, env, &sink, &out);
    }
    eio_err *Copy() { return eio_flow_copy(&source->flow.source, &sink->flow.sink); }
    eio_err *Write(const std::string &text) {
        return eio_sink_write(&in->flow.sink, eio_slice_of(text.data(), text.size()));
    }
    eio_err *Read(size_t len, std::string *text) {
        text->assign(len, '\0');
        return eio_source_read_exact(&out->flow.source, eio_buf_of(text->data(), len));
    }
    eio_err *Exchange(const std::string &text) {
        std::string got;
        EIO_TRY(Write(text));
        EIO_TRY(Read(text.size(), &got));
        EXPECT_EQ(got, text);
        return nullptr;
    }
    /// Until the copy goes round.
    eio_err *Warm() {
        for (int i = 0; i < 6; i++)
            EIO_TRY(Exchange("word " + std::to_string(i)));
        return Settle();
    }
    static eio_err *Settle() {
        for (int i = 0; i < 3; i++)
            EIO_TRY(eio_fiber_yield());
        return nullptr;
    }
    eio_stream_socket *in, *source, *sink, *out;
};

class CopyTest : public RealTest {
  protected:
    /// Copies along a line, in `f(line, cancel)`'s company, once that goes round. What the copy says.
    /// `warm`: something has been copied already.
    template <class F> eio_err *WhileCopying(F &&f, Line *line, bool warm = true) {
        return EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
            EIO_TRY(line->Open(sw, env));
            return CancelSub([&](eio_cancel *cc) {
                return Both([&] { return line->Copy(); },
                            [&]() -> eio_err * {
                                if (warm)
                                    EIO_TRY(line->Warm());
                                return f(cc);
                            });
            });
        });
    }
};
EIO_ON_REAL_BACKENDS(CopyTest);

std::string Pattern(size_t len) {
    std::string text(len, '\0');
    for (size_t i = 0; i < len; i++)
        text[i] = static_cast<char>('a' + i * 7 % 26 + i / 65536 % 3);
    return text;
}

TEST_P(CopyTest, WhatIsCopiedIsWhatWasSentWhateverTheSizes) {
    Line line;
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            // Little, some buffers full, so much in a row that it is spliced, and little again.
            for (size_t len : {1u, 64u, 16383u, 16384u, 16385u, 20479u, 20480u, 20481u, 60000u,
                               4u << 20, 5u, 6u})
                for (int times = 0; times < 3; times++) {
                    std::string got;
                    const std::string text = Pattern(len);
                    EIO_TRY(Both([&] { return line.Write(text); },
                                 [&] { return line.Read(len, &got); }));
                    EXPECT_TRUE(got == text) << len;
                }
            return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
        },
        &line));
}

TEST_P(CopyTest, TheEndThatComesWithTheLastBytesEndsItAfterThem) {
    Line line;
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            std::string got;
            EIO_TRY(line.Write("last"));
            EIO_TRY(eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND));
            EIO_TRY(line.Read(4, &got));
            EXPECT_EQ(got, "last");
            return nullptr;
        },
        &line));
}

TEST_P(CopyTest, CancelledWhileItWaitsItEndsAndLaterBytesStay) {
    Line line;
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(line.Open(sw, env));
        EXPECT_ERR_TEXT(CancelSub([&](eio_cancel *cc) {
                            return Both([&] { return line.Copy(); },
                                        [&]() -> eio_err * {
                                            EIO_TRY(line.Warm());
                                            eio_cancel_cancel(cc, eio_err_failure("x"));
                                            return nullptr;
                                        });
                        }),
                        "Cancelled: Failure(\"x\")");
        // And it can be begun anew.
        return First([&] { return line.Copy(); }, [&] { return line.Warm(); });
    }));
}

TEST_P(CopyTest, ClosedOrFreedWhileItWaitsItSaysSo) {
    for (bool bytes : {false, true})
        for (bool freed : {false, true}) {
            Line line;
            EXPECT_ERR(WhileCopying(
                           [&](eio_cancel *) -> eio_err * {
                               if (bytes)
                                   EIO_TRY(line.Write("too late"));
                               if (freed)
                                   eio_flow_free(&line.source->flow);
                               else
                                   eio_flow_close(&line.source->flow);
                               return nullptr;
                           },
                           &line),
                       &eio_err_closed);
        }
}

TEST_P(CopyTest, ASinkThatIsClosedMeanwhileIsNoticedAtTheNextBytes) {
    Line line;
    EXPECT_ERR(WhileCopying(
                   [&](eio_cancel *) -> eio_err * {
                       eio_flow_close(&line.sink->flow);
                       return line.Write("nowhere to go");
                   },
                   &line),
               &eio_err_closed);
}

TEST_P(CopyTest, ASinkThatTakesLittleHoldsItUpAndGetsAllOfIt) {
    const std::string text = Pattern(30000);
    Line line;
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            const int small = 4096;
            for (eio_stream_socket *end : {line.sink, line.out})
                EXPECT_EQ(setsockopt(NumberOf(eio_fd_of_flow(&end->flow)), SOL_SOCKET,
                                     end == line.sink ? SO_SNDBUF : SO_RCVBUF, &small,
                                     sizeof small),
                          0);
            return Both(
                [&]() -> eio_err * {
                    for (size_t at = 0; at < text.size(); at += 3000)
                        EIO_TRY(line.Write(text.substr(at, 3000)));
                    return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
                },
                [&]() -> eio_err * {
                    std::string got, sum;
                    for (size_t at = 0; at < text.size(); at += 1000) {
                        EIO_TRY(line.Read(1000, &got));
                        sum += got;
                    }
                    EXPECT_TRUE(sum == text);
                    return nullptr;
                });
        },
        &line));
}

TEST_P(CopyTest, ASinkThatIsFullIsLeftByACancelAndByEveryClose) {
    enum Stop { kCancel, kCloseSink, kCloseBoth };
    for (Stop stop : {kCancel, kCloseSink, kCloseBoth}) {
        Line line;
        eio_err *err = WhileCopying(
            [&](eio_cancel *cc) -> eio_err * {
                // Nobody reads: in the end all queues are full.
                const std::string word(1000, 'x');
                const int number = NumberOf(eio_fd_of_flow(&line.in->flow));
                for (int unsent = 0; unsent < 5;) {
                    bool sent = send(number, word.data(), word.size(), MSG_DONTWAIT) > 0;
                    unsent = sent ? 0 : unsent + 1;
                    EIO_TRY(sent ? eio_fiber_yield() : eioi_sleep_until(eioi_now() + 2000000));
                }
                if (stop == kCancel)
                    eio_cancel_cancel(cc, eio_err_failure("x"));
                if (stop == kCloseBoth)
                    eio_flow_close(&line.source->flow);
                if (stop != kCancel)
                    eio_flow_close(&line.sink->flow);
                return nullptr;
            },
            &line);
        EXPECT_ERR(err, stop == kCancel ? &eio_err_cancelled : &eio_err_closed);
    }
}

TEST_P(CopyTest, AnErrorOfOneCallIsTheCopysAndWhatIsNoneLosesNothing) {
    // What io_uring receives by is armed once, for many.
    const bool uring = std::string(GetParam()) == "uring";
    for (const char *call : {uring ? nullptr : "recv", uring ? "cqe_write" : "send"}) {
        if (call == nullptr)
            continue;
        for (int errnum : {EINTR, EAGAIN, EIO, ECONNRESET}) {
            const bool fatal = errnum == EIO || errnum == ECONNRESET;
            Line line;
            std::string armed;
            Faults faults([&](const std::string &name) {
                if (name != armed)
                    return 0;
                armed.clear();
                return errnum;
            });
            eio_err *err = WhileCopying(
                [&](eio_cancel *) -> eio_err * {
                    // By plain calls, so that the next of the library's is the copy's.
                    armed = call;
                    EXPECT_EQ(WriteRaw(eio_fd_of_flow(&line.in->flow), "bytes"), 5);
                    if (!fatal) {
                        std::string got;
                        for (int i = 0; i < 2000 && !armed.empty(); i++)
                            EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                        EIO_TRY(line.Read(5, &got));
                        EXPECT_EQ(got, "bytes");
                        EIO_TRY(line.Exchange("and it goes on"));
                    }
                    return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
                },
                &line);
            EXPECT_EQ(armed, "") << call;
            if (fatal)
                EXPECT_EQ(eio_err_errno(err), errnum) << call << ": " << Text(err);
            else
                EXPECT_EQ(err, nullptr) << call << ": " << Text(err);
            eio_err_drop(err);
        }
    }
}

TEST_P(CopyTest, WithoutMemoryForABufferItFailsAndTheBytesStay) {
    if (std::string(GetParam()) == "uring")
        GTEST_SKIP() << "its buffers are the kernel's to take, of a pool that is there";
    Line line;
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(line.Open(sw, env));
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(eio_flow_copy_string("x", &b->flow.sink));
        eio_slice loan;
        bool fails = false;
        Faults faults(
            [&](const std::string &name) { return fails && name == "alloc" ? ENOMEM : 0; });
        EXPECT_ERR(Both([&] { return line.Copy(); },
                        [&]() -> eio_err * {
                            EIO_TRY(line.Warm());
                            // The one buffer that the loop has is lent elsewhere.
                            EIO_TRY(eio_source_lend(&a->flow.source, &loan));
                            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&line.in->flow), "bytes"), 5);
                            fails = true;
                            return eioi_sleep_until(INT64_MAX);
                        }),
                   &eio_err_out_of_memory);
        fails = false;
        eio_source_release(&a->flow.source, loan.len);
        return First([&] { return line.Copy(); },
                     [&]() -> eio_err * {
                         std::string got;
                         EIO_TRY(line.Read(5, &got));
                         EXPECT_EQ(got, "bytes");
                         return nullptr;
                     });
    }));
}

TEST_P(CopyTest, TwoCopiesOneEachWayDoNotDisturbEachOther) {
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b, *c, *d; // a - b = c - d
        EIO_TRY(TcpPair(sw, env, &a, &b));
        EIO_TRY(TcpPair(sw, env, &c, &d));
        auto exchange = [](eio_stream_socket *from, eio_stream_socket *to,
                           char first) -> eio_err * {
            for (int i = 0; i < 300; i++) {
                std::string got(1 + static_cast<size_t>(i), '\0'), text(got.size(), first);
                EIO_TRY(eio_sink_write(&from->flow.sink, eio_slice_of(text.data(), text.size())));
                EIO_TRY(
                    eio_source_read_exact(&to->flow.source, eio_buf_of(got.data(), got.size())));
                EXPECT_EQ(got, text);
            }
            return eio_flow_shutdown(&from->flow, EIO_SHUTDOWN_SEND);
        };
        return Both(
            [&] {
                return Both([&] { return eio_flow_copy(&b->flow.source, &c->flow.sink); },
                            [&] { return eio_flow_copy(&c->flow.source, &b->flow.sink); });
            },
            [&] {
                return Both([&] { return exchange(a, d, 'x'); },
                            [&] { return exchange(d, a, 'y'); });
            });
    }));
}

// Moments between what the loop has done and the resumption of the fiber that it is for.

/// The loop is gone through, and whoever calls this is the next to go on.
eio_err *GoThroughLoop() {
    eioi_sched_poll_soon();
    return eio_fiber_yield();
}

TEST_P(CopyTest, FreedAfterItsLastBytesAndBeforeItGoesOn) {
    Line line;
    eio_err *err = WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&line.in->flow), "bytes"), 5);
            EXPECT_EQ(shutdown(NumberOf(eio_fd_of_flow(&line.in->flow)), SHUT_WR), 0);
            EIO_TRY(GoThroughLoop());
            eio_flow_free(&line.source->flow);
            return nullptr;
        },
        &line);
    EXPECT_ERR(err, &eio_err_closed);
}

/// Reads from a connection, three bytes one by one, so that what it is is known; then once
/// more, while `f(flow)` goes on in its company, with five bytes there and their event taken.
template <class Read, class F> eio_err *WhileReading(const char *backend, Read &&read, F &&f) {
    return EvalOn(backend, [&](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(TcpPair(sw, env, &a, &b));
        for (int i = 0; i < 3; i++) {
            EIO_TRY(eio_flow_copy_string("x", &a->flow.sink));
            EIO_TRY(read(&b->flow.source));
        }
        return Both([&] { return read(&b->flow.source); },
                    [&]() -> eio_err * {
                        EXPECT_EQ(WriteRaw(eio_fd_of_flow(&a->flow), "bytes"), 5);
                        EIO_TRY(GoThroughLoop());
                        f(&b->flow);
                        return nullptr;
                    });
    });
}

eio_err *ReadOnce(eio_source *source) {
    uint8_t space[100];
    size_t got;
    return eio_source_single_read(source, eio_buf_of(space, sizeof space), &got);
}

TEST_P(CopyTest, AReadWhoseBytesHaveGoneWithItsFlowSaysThatItIsClosed) {
    bool empty = false;
    Faults faults([&](const std::string &name) { return empty && name == "recv" ? EAGAIN : 0; });
    eio_err *err = WhileReading(GetParam(), ReadOnce, [&](eio_flow *flow) {
        empty = true; // epoll asks only now
        eio_flow_free(flow);
    });
    if (std::string(GetParam()) == "epoll")
        EXPECT_ERR(err, &eio_err_closed);
    else
        EXPECT_OK(err); // it had them
}

TEST_P(CopyTest, ALoanOfAFlowThatWasFreedIsNone) {
    auto lend = [](eio_source *source) -> eio_err * {
        eio_slice loan;
        EIO_TRY(eio_source_lend(source, &loan));
        eio_source_release(source, loan.len);
        return nullptr;
    };
    EXPECT_ERR(WhileReading(GetParam(), lend, [](eio_flow *flow) { eio_flow_free(flow); }),
               &eio_err_closed);
}

// Of what has come only a part is lent.
size_t LendHalf(void *, const char *name, size_t len) {
    return std::string(name) == "short_read" && len < 1000 ? (len + 1) / 2 : len;
}

TEST_P(CopyTest, WhatALoanHasLeftComesBeforeWhatIsToCome) {
    Line line;
    auto fails = [](void *, const char *) { return 0; };
    const struct eioi_fault_hook hook = {fails, nullptr, LendHalf};
    EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(line.Open(sw, env));
        return First([&] { return line.Copy(); },
                     [&]() -> eio_err * {
                         eioi_fault_hook = &hook;
                         EIO_TRY(line.Warm());
                         for (int i = 0; i < 5; i++)
                             EIO_TRY(line.Exchange("twelve bytes " + std::to_string(i)));
                         return nullptr;
                     });
    }));
    eioi_fault_hook = nullptr;
}

TEST_P(CopyTest, CancelledAtAnyMomentNothingIsLost) {
    for (size_t bytes : {5u, 18000u})
        for (int turns = 0; turns < 6; turns++)
            EXPECT_OK(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
                Line line;
                EIO_TRY(line.Open(sw, env));
                EXPECT_ERR(CancelSub([&](eio_cancel *cc) {
                               return Both([&] { return line.Copy(); },
                                           [&]() -> eio_err * {
                                               EIO_TRY(line.Warm());
                                               const std::string text = Pattern(bytes);
                                               EXPECT_EQ(
                                                   WriteRaw(eio_fd_of_flow(&line.in->flow), text),
                                                   static_cast<ssize_t>(bytes));
                                               for (int i = 0; i < turns; i++)
                                                   EIO_TRY(GoThroughLoop());
                                               eio_cancel_cancel(cc, eio_err_failure("x"));
                                               return nullptr;
                                           });
                           }),
                           &eio_err_cancelled);
                // Sent on, or still to be read.
                std::string got;
                EIO_TRY(eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND));
                EIO_TRY(Both(
                    [&]() -> eio_err * {
                        EIO_TRY(line.Copy());
                        return eio_flow_shutdown(&line.sink->flow, EIO_SHUTDOWN_SEND);
                    },
                    [&] { return line.Read(bytes, &got); }));
                EXPECT_TRUE(got == Pattern(bytes)) << bytes << " after " << turns;
                return nullptr;
            }));
}

TEST_P(CopyTest, ADescriptorTakenOutMeanwhileHasWhatIsNotSent) {
    for (bool warm : {false, true}) {
        Line line;
        std::string rest;
        auto take_out = [&]() -> eio_err * {
            int fd = -1;
            char space[64];
            EIO_TRY(Line::Settle()); // the copy waits
            EIO_TRY(eio_fd_remove(eio_fd_of_flow(&line.source->flow), &fd));
            ssize_t n = recv(fd, space, sizeof space, MSG_DONTWAIT);
            rest.assign(space, n > 0 ? static_cast<size_t>(n) : 0);
            close(fd);
            // The copy's error cancels this.
            return rest.empty() ? Protect([&] { return line.Read(5, &rest); }) : nullptr;
        };
        auto send = [&]() -> eio_err * {
            EIO_TRY(Line::Settle());
            EIO_TRY(Line::Settle());
            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&line.in->flow), "bytes"), 5);
            return nullptr;
        };
        EXPECT_ERR(WhileCopying([&](eio_cancel *) { return Both(take_out, send); }, &line, warm),
                   &eio_err_closed);
        EXPECT_EQ(rest, "bytes") << warm; // in the descriptor, or sent on
    }
}

TEST_P(CopyTest, ALoopThatSpinsIsToldWhatWasPassedOn) {
    Line line;
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            auto poll = [] {
                return eioi_backend_ops_current()->poll(eioi_backend(), EIOI_POLL_NOW);
            };
            EXPECT_EQ(poll(), EIOI_POLL_OK);
            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&line.in->flow), "bytes"), 5);
            int idle = 0; // it may come late
            while (idle < 10000 && poll() == EIOI_POLL_OK)
                idle++;
            EXPECT_LT(idle, 10000);
            std::string got;
            EIO_TRY(line.Read(5, &got));
            EXPECT_EQ(got, "bytes");
            return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
        },
        &line));
}

/// Another flow, for a moment, of the descriptor of `end` writes to it.
eio_err *WriteAsAnother(eio_stream_socket *end, const char *text) {
    int number = -1;
    auto note = [](void *arg, int fd) -> eio_err * {
        *static_cast<int *>(arg) = fd;
        return nullptr;
    };
    EIO_TRY(eio_fd_use(eio_fd_of_flow(&end->flow), "test", note, &number));
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_import_opts opts = {};
        opts.keep_open = true;
        eio_stream_socket *other;
        EIO_TRY(eio_import_stream(sw, number, &opts, &other));
        return eio_flow_copy_string(text, &other->flow.sink);
    });
}

TEST_P(CopyTest, OtherFlowsOfItsDescriptorsMayWriteInBetween) {
    Line line;
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            for (int i = 0; i < 3; i++) {
                std::string got(4, ' ');
                EIO_TRY(WriteAsAnother(line.source, "back"));
                EIO_TRY(eio_source_read_exact(&line.in->flow.source, eio_buf_of(&got[0], 4)));
                EXPECT_EQ(got, "back");
                EIO_TRY(line.Exchange("after the source's " + std::to_string(i)));
                EIO_TRY(WriteAsAnother(line.sink, "forth"));
                EIO_TRY(line.Read(5, &got));
                EXPECT_EQ(got, "forth");
                EIO_TRY(line.Exchange("after the sink's " + std::to_string(i)));
            }
            return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
        },
        &line));
}

TEST_P(CopyTest, ItsDescriptorsMayBeUsedAndItsSinkWrittenToInBetween) {
    Line line;
    auto yield = [](void *, int) -> eio_err * { return eio_fiber_yield(); };
    EXPECT_OK(WhileCopying(
        [&](eio_cancel *) -> eio_err * {
            for (int i = 0; i < 5; i++) {
                for (eio_stream_socket *end : {line.source, line.sink})
                    EIO_TRY(eio_fd_use(eio_fd_of_flow(&end->flow), "test", yield, nullptr));
                EIO_TRY(line.Exchange("after use " + std::to_string(i)));
                std::string got;
                EIO_TRY(eio_flow_copy_string("in between", &line.sink->flow.sink));
                EIO_TRY(line.Read(10, &got));
                EXPECT_EQ(got, "in between");
                EIO_TRY(line.Exchange("and again"));
            }
            return eio_flow_shutdown(&line.in->flow, EIO_SHUTDOWN_SEND);
        },
        &line));
}

using CopyDeathTest = CopyTest;
EIO_ON_REAL_BACKENDS(CopyDeathTest);

TEST_P(CopyDeathTest, TwoWhoReadAtOnceAreStoppedAlsoWhereBytesAreThere) {
    EXPECT_DEATH(eio_err_drop(EvalReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
                     eio_stream_socket *a, *b;
                     EIO_TRY(TcpPair(sw, env, &a, &b));
                     EIO_TRY(eio_flow_copy_string("xxxx", &a->flow.sink));
                     EIO_TRY(eioi_sleep_until(eioi_now() + 5000000));
                     auto once = [&]() -> eio_err * {
                         uint8_t byte;
                         size_t got;
                         return eio_source_single_read(&b->flow.source, eio_buf_of(&byte, 1), &got);
                     };
                     return Both(once, once);
                 })),
                 "two fibers read one flow at a time");
}

} // namespace
} // namespace eio_test
