// SPDX-License-Identifier: ISC
// Stream sockets: the same on every backend.

#include <errno.h>

#include <random>

#include "eio/mem.h"
#include "tests/conformance/pairs.h"

namespace eio_test {
namespace {

class FlowTest : public EioTest, public ::testing::WithParamInterface<PairKind> {
  protected:
    void SetUp() override {
        const std::string &backend = GetParam().backend;
        const std::string why_not = backend == "mock" ? "ok" : WhyNot(backend.c_str());
        EioTest::SetUp();
        if (why_not != "ok")
            GTEST_SKIP() << "no " << backend << " here: " << why_not;
    }
    /// Runs `body(sw, env, a, b)` with a connected pair, and traces the result.
    template <class F> void RunPair(F &&body) {
        auto main = [&](eio_switch *sw, const eio_env *env) -> eio_err * {
            eio_stream_socket *a, *b;
            EIO_TRY(MakePair(GetParam(), sw, env, &a, &b));
            return body(sw, env, a, b);
        };
        PrintResult(GetParam().backend == "mock" ? EvalMockFull(main)
                                                 : EvalOn(GetParam().backend.c_str(), main));
    }
    static eio_err *Read(eio_stream_socket *s, std::string *out, size_t max = 64) {
        char space[256];
        size_t got;
        EIO_TRY(eio_source_single_read(&s->flow.source, eio_buf_of(space, max), &got));
        out->assign(space, got);
        return nullptr;
    }
    static eio_err *Write(eio_stream_socket *s, const std::string &text) {
        return eio_sink_write(&s->flow.sink, eio_slice_of(text.data(), text.size()));
    }
    static eio_err *ReadAll(eio_stream_socket *s, std::string *out) {
        eio_strbuf text = EIO_STRBUF_INIT;
        eio_err *err = eio_source_read_all(&s->flow.source, SIZE_MAX / 4, &text);
        out->assign(eio_strbuf_str(&text), text.len);
        eio_strbuf_free(&text);
        return err;
    }
    static std::string Noise(size_t len, unsigned seed) {
        std::mt19937 random(seed);
        std::string text(len, '\0');
        for (char &c : text)
            c = static_cast<char>(random());
        return text;
    }
};
EIO_ON_ALL_PAIRS(FlowTest);

TEST_P(FlowTest, WhatIsWrittenIsReadInOrderWhateverTheSizesOfTheCalls) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        const std::string sent = Noise(300000, 1);
        std::string got;
        std::mt19937 random(2);
        EIO_TRY(Both(
            [&]() -> eio_err * {
                for (size_t at = 0; at < sent.size();) {
                    const size_t len = std::min<size_t>(1 + random() % 9000, sent.size() - at);
                    EIO_TRY(Write(a, sent.substr(at, len)));
                    at += len;
                }
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            },
            [&]() -> eio_err * {
                for (;;) {
                    std::string some;
                    eio_err *err = Read(b, &some, 1 + random() % 256);
                    if (eio_err_catch(&err, &eio_err_end_of_file))
                        return nullptr;
                    EIO_TRY(err);
                    got += some;
                }
            }));
        EXPECT_TRUE(got == sent);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, BothDirectionsAtOnce) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        const std::string to_b = Noise(1 << 20, 3), to_a = Noise(1 << 20, 4);
        std::string at_a, at_b;
        auto write = [&](eio_stream_socket *s, const std::string &text) -> eio_err * {
            EIO_TRY(Write(s, text));
            return eio_flow_shutdown(&s->flow, EIO_SHUTDOWN_SEND);
        };
        EIO_TRY(All({[&] { return write(a, to_b); }, [&] { return write(b, to_a); },
                     [&] { return ReadAll(a, &at_a); }, [&] { return ReadAll(b, &at_b); }}));
        EXPECT_TRUE(at_a == to_a);
        EXPECT_TRUE(at_b == to_b);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, AfterAHalfCloseTheOtherDirectionGoesOn) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        std::string text;
        EIO_TRY(Write(a, "question"));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        EIO_TRY(ReadAll(b, &text));
        Print("%s", text.c_str());
        EXPECT_ERR(Read(b, &text), &eio_err_end_of_file);
        EXPECT_ERR(Read(b, &text), &eio_err_end_of_file);
        EIO_TRY(Write(b, "answer"));
        EIO_TRY(Read(a, &text));
        Print("%s", text.c_str());
        EXPECT_ERR(Write(a, "x"), &eio_err_net_connection_reset);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        question
        answer
        - : unit = ()
    )");
}

TEST_P(FlowTest, ACloseIsTheEndOfTheStreamForTheOtherSide) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        std::string text;
        EIO_TRY(Write(a, "last words"));
        eio_flow_close(&a->flow);
        eio_flow_close(&a->flow);
        EIO_TRY(ReadAll(b, &text));
        Print("%s", text.c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        last words
        - : unit = ()
    )");
}

TEST_P(FlowTest, WritingToASideThatIsGoneIsAReset) {
    RunPair([&](eio_switch *, const eio_env *env, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        eio_flow_close(&a->flow);
        // TCP learns of it by the answer to the first write.
        for (int i = 0; i < 100; i++) {
            eio_err *err = Write(b, "x");
            if (eio_err_catch(&err, &eio_err_net_connection_reset))
                return nullptr;
            EIO_TRY(err);
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
        }
        return eio_err_failure("no reset");
    });
    EXPECT_EQ(TakeTrace().find("Exception"), std::string::npos);
}

TEST_P(FlowTest, ClosingWithUnreadBytesIsAResetOrTheEnd) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        std::string text;
        EIO_TRY(Write(b, "never read"));
        eio_flow_close(&a->flow);
        eio_err *err = Read(b, &text);
        if (!eio_err_catch(&err, &eio_err_net_connection_reset)) {
            EXPECT_ERR(err, &eio_err_end_of_file);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, ShuttingDownTheReceivingSideEndsABlockedRead) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a, eio_stream_socket *) {
        return Both(
            [&]() -> eio_err * {
                std::string text;
                EXPECT_ERR(Read(a, &text), &eio_err_end_of_file);
                return nullptr;
            },
            [&] { return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_RECEIVE); });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, ShutDownTwiceAndAfterThePeerIsNoError) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        eio_flow_close(&b->flow);
        return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_ALL);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, ReadExactNeedsAll) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        char space[8];
        EIO_TRY(eio_source_read_exact(&b->flow.source, eio_buf_of(space, 0)));
        EIO_TRY(Both([&] { return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 8)); },
                     [&]() -> eio_err * {
                         EIO_TRY(Write(a, "1234"));
                         EIO_TRY(eio_fiber_yield());
                         return Write(a, "5678");
                     }));
        Print("%.8s", space);
        EIO_TRY(Write(a, "123"));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 4));
    });
    EXPECT_TRACE(R"(
        12345678
        Exception: End_of_file.
    )");
}

TEST_P(FlowTest, WhatALoanDoesNotUseComesAgain) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        EIO_TRY(Write(a, "abcdef"));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        std::string got;
        for (int i = 0; got.size() < 6; i++) {
            eio_slice lent;
            EIO_TRY(eio_source_lend(&b->flow.source, &lent));
            const size_t used = static_cast<size_t>(i % 2); // nothing, then one byte
            got.append(reinterpret_cast<const char *>(lent.base), used);
            eio_source_release(&b->flow.source, used);
        }
        Print("%s", got.c_str());
        eio_slice lent;
        return eio_source_lend(&b->flow.source, &lent);
    });
    EXPECT_TRACE(R"(
        abcdef
        Exception: End_of_file.
    )");
}

TEST_P(FlowTest, LoansAndReadsMayAlternate) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        EIO_TRY(Write(a, "abcdef"));
        std::string text;
        eio_slice lent;
        EIO_TRY(eio_source_lend(&b->flow.source, &lent));
        eio_source_release(&b->flow.source, 2);
        EIO_TRY(Read(b, &text, 1));
        Print("%s", text.c_str());
        EIO_TRY(eio_source_lend(&b->flow.source, &lent));
        Print("%.*s", static_cast<int>(lent.len), reinterpret_cast<const char *>(lent.base));
        eio_source_release(&b->flow.source, lent.len);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        c
        def
        - : unit = ()
    )");
}

TEST_P(FlowTest, ACopyEndsWithItsSource) {
    RunPair([&](eio_switch *sw, const eio_env *env, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        // a -> b -> c -> d
        eio_stream_socket *c, *d;
        EIO_TRY(MakePair(GetParam(), sw, env, &c, &d));
        const std::string sent = Noise(200000, 5);
        std::string got;
        EIO_TRY(All({[&]() -> eio_err * {
                         EIO_TRY(Write(a, sent));
                         return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
                     },
                     [&]() -> eio_err * {
                         EIO_TRY(eio_flow_copy(&b->flow.source, &c->flow.sink));
                         return eio_flow_shutdown(&c->flow, EIO_SHUTDOWN_SEND);
                     },
                     [&] { return ReadAll(d, &got); }}));
        EXPECT_TRUE(got == sent);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, AnEmptyTextIsNotWritten) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        eio_flow_close(&a->flow);
        return eio_flow_copy_string("", &b->flow.sink);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, ManySlicesAreOneWrite) {
    RunPair([&](eio_switch *, const eio_env *, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        const std::string sent = Noise(6000, 6);
        std::vector<eio_slice> slices;
        for (size_t i = 0; i < sent.size(); i += 2) // more than IOV_MAX of them, some empty
            slices.push_back(eio_slice_of(sent.data() + i, 2)),
                slices.push_back(eio_slice_of("", 0));
        std::string got;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                EIO_TRY(eio_sink_writev(&a->flow.sink, slices.data(), slices.size()));
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            },
            [&] { return ReadAll(b, &got); }));
        EXPECT_TRUE(got == sent);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(FlowTest, CancelledReadsLoseNoByteOfAStream) {
    RunPair([&](eio_switch *, const eio_env *env, eio_stream_socket *a,
                eio_stream_socket *b) -> eio_err * {
        const std::string sent = Noise(2000, 7);
        std::string got;
        EIO_TRY(Both(
            [&]() -> eio_err * {
                for (size_t i = 0; i < sent.size(); i++) {
                    EIO_TRY(Write(a, sent.substr(i, 1)));
                    if (i % 64 == 0)
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 100 * EIO_MICROSECOND));
                }
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            },
            [&]() -> eio_err * {
                for (unsigned i = 0;; i++) {
                    std::string some;
                    // What was read counts, whatever became of the call around it.
                    eio_err *err =
                        TimeoutRun(eio_timeout_ns(env->mono_clock, i % 7 * 20 * EIO_MICROSECOND),
                                   [&] { return Read(b, &some, 3); });
                    got += some;
                    if (eio_err_catch(&err, &eio_err_end_of_file) || got.size() == sent.size()) {
                        eio_err_drop(err);
                        return nullptr;
                    }
                    if (!eio_err_catch(&err, &eio_err_timeout))
                        EIO_TRY(err);
                }
            }));
        EXPECT_TRUE(got == sent);
        return nullptr;
    });
    EXPECT_EQ(TakeTrace().find("Exception"), std::string::npos);
}

} // namespace
} // namespace eio_test
