// SPDX-License-Identifier: ISC
// Trace lines: their form, their prefixes, where they go.
#include <unistd.h>

#include <thread>

#include "fiber/testing.h"

using namespace eio_test;

namespace {

class TraceTest : public EioTest {};

template <class F> eio_err *WithPrefix(const char *text, F &&f) {
    return eio_with_trace_prefix(TextPrefix, const_cast<char *>(text), Fn<F>::Call, Fn<F>::Arg(f));
}

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

TEST_F(TraceTest, EveryLineOfAMessageHasAPlus) {
    Say("one");
    Say("");
    Say("two\nlines");
    Say("ends in a newline\n");
    Say("\n");
    EXPECT_EQ(TakeTrace(), "+one\n+\n+two\n+lines\n+ends in a newline\n+\n+\n+\n");
}

TEST_F(TraceTest, LongMessagesAreWhole) {
    const std::string text(100000, 'x');
    Say(text.c_str());
    EXPECT_EQ(TakeTrace(), "+" + text + "\n");
}

TEST_F(TraceTest, AMessageIsOneCallOfTheSink) {
    std::vector<std::string> calls;
    eio_traceln_set_sink(
        [](void *arg, const char *text, size_t len) {
            static_cast<std::vector<std::string> *>(arg)->emplace_back(text, len);
        },
        &calls);
    Say("a\nb");
    Say("c");
    eio_traceln_set_sink(nullptr, nullptr);
    EXPECT_EQ(calls, (std::vector<std::string>{"+a\n+b\n", "+c\n"}));
}

TEST_F(TraceTest, WithoutASinkLinesGoToStderr) {
    eio_traceln_set_sink(nullptr, nullptr);
    testing::internal::CaptureStderr();
    Say("to\nstderr");
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "+to\n+stderr\n");
}

TEST_F(TraceTest, ErrnoIsKept) {
    errno = EXDEV;
    Say("something");
    EXPECT_EQ(errno, EXDEV);
    TakeTrace();
    errno = EXDEV;
    eio_traceln_set_sink([](void *, const char *, size_t) { errno = EIO; }, nullptr);
    Say("something");
    EXPECT_EQ(errno, EXDEV);
}

TEST_F(TraceTest, PrefixesNestOutermostFirstOnTheFirstLineOnly) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(WithPrefix("[a] ", []() -> eio_err * {
            Say("one");
            EIO_TRY(WithPrefix("[b] ", [] { return Say("two\nlines"); }));
            return Say("one again");
        }));
        return Say("none");
    });
    EXPECT_TRACE(R"(
        +[a] one
        +[a] [b] two
        +lines
        +[a] one again
        +none
        - : unit = ()
    )");
}

TEST_F(TraceTest, APrefixIsAskedForAtEachMessage) {
    static int number;
    number = 0;
    RunMock([](eio_switch *) -> eio_err * {
        auto count = [](void *, char *buf, size_t len) {
            (void)snprintf(buf, len, "%d: ", ++number);
        };
        auto body = []() -> eio_err * {
            Say("a");
            return Say("b");
        };
        return eio_with_trace_prefix(count, nullptr, Fn<decltype(body)>::Call, &body);
    });
    EXPECT_TRACE(R"(
        +1: a
        +2: b
        - : unit = ()
    )");
}

// Inherited by the forking fiber's children; they keep it after its scope has ended.
TEST_F(TraceTest, APrefixBelongsToTheFiberThatPrints) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            return Say("forked outside");
        }));
        EIO_TRY(WithPrefix("[a] ", [sw] {
            return WithPrefix("[b] ", [sw]() -> eio_err * {
                EIO_TRY(Fork(sw, []() -> eio_err * {
                    Say("forked inside");
                    EIO_TRY(eio_fiber_yield());
                    return WithPrefix("[c] ",
                                      [] { return Say("forked inside, after the scopes"); });
                }));
                return Say("scope");
            });
        }));
        return Say("after the scopes");
    });
    EXPECT_TRACE(R"(
        +[a] [b] forked inside
        +[a] [b] scope
        +after the scopes
        +forked outside
        +[a] [b] [c] forked inside, after the scopes
        - : unit = ()
    )");
}

TEST_F(TraceTest, ThePrefixesLengthIsKnown) {
    EXPECT_EQ(eio_trace_prefix_len(), 0u) << "outside a loop";
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        EXPECT_EQ(eio_trace_prefix_len(), 0u);
        return WithPrefix("[a] ", [] {
            EXPECT_EQ(eio_trace_prefix_len(), 4u);
            return WithPrefix("bc", []() -> eio_err * {
                EXPECT_EQ(eio_trace_prefix_len(), 6u);
                return nullptr;
            });
        });
    }));
}

TEST_F(TraceTest, APrefixThatIsTooLongIsCut) {
    const std::string half(200, 'p');
    EXPECT_OK(EvalMock([&](eio_switch *) -> eio_err * {
        return WithPrefix(half.c_str(),
                          [&] { return WithPrefix(half.c_str(), [] { return Say("!"); }); });
    }));
    EXPECT_EQ(TakeTrace(), "+" + std::string(255, 'p') + "!\n");
}

TEST_F(TraceTest, APrefixFunctionThatWritesNothingIsNoPrefix) {
    RunMock([](eio_switch *) -> eio_err * {
        auto body = [] { return Say("line"); };
        return eio_with_trace_prefix([](void *, char *, size_t) {}, nullptr,
                                     Fn<decltype(body)>::Call, &body);
    });
    EXPECT_TRACE(R"(
        +line
        - : unit = ()
    )");
}

TEST_F(TraceTest, TheErrorOfThePrefixedFunctionIsReturned) {
    RunMock([](eio_switch *) -> eio_err * {
        return WithPrefix("[a] ", [] { return eio_err_failure("no"); });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "no".
    )");
}

TEST_F(TraceTest, WithoutMemoryThePrefixedFunctionIsNotRun) {
    for (int nth : {1, 2}) {
        EXPECT_ERR(EvalMock([&](eio_switch *) -> eio_err * {
                       int seen = 0;
                       Faults faults(
                           [&](const std::string &) { return ++seen == nth ? ENOMEM : 0; });
                       return WithPrefix("[a] ", [] { return eio_err_failure("was run"); });
                   }),
                   &eio_err_out_of_memory)
            << "allocation " << nth;
    }
}

TEST_F(TraceTest, ALineThatFindsNoMemorySaysSoOnStderr) {
    testing::internal::CaptureStderr();
    {
        Faults faults([](const std::string &) { return ENOMEM; });
        errno = EDOM;
        Say("lost");
        EXPECT_EQ(errno, EDOM);
    }
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "+(no memory for a trace line)\n");
}

TEST_F(TraceTest, LinesOfManyThreadsAreWhole) {
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++) {
        threads.emplace_back([t] {
            for (int i = 0; i < 200; i++)
                eio_traceln("thread %d\nline %d", t, t);
        });
    }
    for (std::thread &thread : threads)
        thread.join();
    const std::string text = TakeTrace();
    size_t at = 0;
    for (int i = 0; i < 800; i++) {
        ASSERT_EQ(text.compare(at, 8, "+thread "), 0);
        const std::string t(1, text[at + 8]);
        const std::string message = "+thread " + t + "\n+line " + t + "\n";
        ASSERT_EQ(text.compare(at, message.size(), message), 0);
        at += message.size();
    }
    EXPECT_EQ(at, text.size());
}

} // namespace
