// SPDX-License-Identifier: ISC
// Time-outs, in exactly their order: the timer is forked first, the body runs in the calling fiber, the loser is
// cancelled and joined. (Timers of the scheduler: sched_test.cc.)
#include <cmath>
#include <limits>

#include "fiber/testing.h"

using namespace eio_test;

namespace {

class ClockTest : public EioTest {};

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

eio_err *AwaitAndSay(const char *name) {
    eio_err *err = eio_fiber_await_cancel();
    eio_traceln("%s: %s", name, Text(err).c_str());
    return err;
}

TEST_F(ClockTest, TheTimerCancelsTheBodyWithTimeout) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return TimeoutRun(eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND),
                          [] { return AwaitAndSay("body"); });
    });
    EXPECT_TRACE(R"(
        +mock time is now 10
        +body: Cancelled: Eio__Time.Timeout
        Exception: Eio__Time.Timeout.
    )");
}

TEST_F(ClockTest, ABodyThatIsQuickerWinsAndTheTimerIsGone) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        EIO_TRY(TimeoutRun(eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND),
                           [] { return Say("body"); }));
        return eio_mono_clock_sleep(env->mono_clock, 20 * EIO_SECOND); // no line for 10
    });
    EXPECT_TRACE(R"(
        +body
        +mock time is now 20
        - : unit = ()
    )");
}

TEST_F(ClockTest, ABodysErrorIsReturnedAndTheTimerIsGone) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return TimeoutRun(eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND),
                          [] { return eio_err_failure("body"); });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "body".
    )");
}

TEST_F(ClockTest, TheBodyRunsInTheCallingFiber) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        const auto self = eio_fiber_id();
        for (eio_timeout t : {eio_timeout_none(), eio_timeout_ns(env->mono_clock, EIO_SECOND)}) {
            EIO_TRY(TimeoutRun(t, [=]() -> eio_err * {
                eio_traceln("in the calling fiber: %d", eio_fiber_id() == self);
                return nullptr;
            }));
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +in the calling fiber: 1
        +in the calling fiber: 1
        - : unit = ()
    )");
}

/// A clock that says when somebody sleeps on it.
struct Talking {
    eio_mono_clock clock;
    eio_mono_clock *real;

    static Talking *Of(eio_mono_clock *clock) { return reinterpret_cast<Talking *>(clock); }
    static int64_t Now(eio_mono_clock *clock) { return eio_mono_clock_now(Of(clock)->real); }
    static eio_err *SleepUntil(eio_mono_clock *clock, int64_t deadline_ns) {
        Say("timer starts");
        eio_err *err = eio_mono_clock_sleep_until(Of(clock)->real, deadline_ns);
        eio_traceln("timer: %s", Text(err).c_str());
        return err;
    }
};
const eio_mono_clock_ops talking_ops = {"talking", Talking::Now, Talking::SleepUntil};

TEST_F(ClockTest, TheTimerIsForkedFirstAndJoinedLast) {
    RunMockFull([](eio_switch *sw, const eio_env *env) -> eio_err * {
        Talking talking = {{&talking_ops}, env->mono_clock};
        EIO_TRY(Fork(sw, []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            return Say("somebody else, ready meanwhile");
        }));
        EIO_TRY(TimeoutRun(eio_timeout_ns(&talking.clock, EIO_SECOND), [] { return Say("body"); }));
        return Say("after"); // one trip through the queue to join the timer
    });
    EXPECT_TRACE(R"(
        +timer starts
        +body
        +somebody else, ready meanwhile
        +timer: Cancelled: Eio__core__Fiber.Not_first
        +after
        - : unit = ()
    )");
}

TEST_F(ClockTest, AValueThatComesAfterTheTimeoutIsDropped) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_SECOND), [] {
            eio_err_drop(eio_fiber_await_cancel());
            return Say("succeeds, too late");
        });
    });
    EXPECT_TRACE(R"(
        +mock time is now 1
        +succeeds, too late
        Exception: Eio__Time.Timeout.
    )");
}

TEST_F(ClockTest, AnErrorThatComesAfterTheTimeoutIsCombinedWithIt) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_SECOND), [] {
            eio_err_drop(eio_fiber_await_cancel());
            return eio_err_failure("body");
        });
    });
    EXPECT_TRACE(R"(
        +mock time is now 1
        Exception: Multiple exceptions:
        - Eio__Time.Timeout
        - Failure("body")
    )");
}

TEST_F(ClockTest, AZeroTimeoutLetsTheBodyRunToItsFirstWait) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, 0), []() -> eio_err * {
            Say("body");
            EIO_TRY(eio_fiber_yield());
            return Say("not reached");
        });
        eio_traceln("%s", TakeText(err).c_str());
        return TimeoutRun(eio_timeout_ns(env->mono_clock, 0),
                          [] { return Say("a body that doesn't wait"); });
    });
    EXPECT_TRACE(R"(
        +body
        +Eio__Time.Timeout
        +a body that doesn't wait
        - : unit = ()
    )");
}

TEST_F(ClockTest, NoTimeoutCallsTheBodyDirectly) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("stop"));
            EIO_TRY(TimeoutRun(eio_timeout_none(),
                               [] { return Say("body"); })); // no scope, so no check
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +body
        - : unit = ()
    )");
}

TEST_F(ClockTest, ATimeoutInACancelledFiberDoesNotCallItsBody) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return CancelSub([env](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("stop"));
            return TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_SECOND),
                              [] { return Say("body"); });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("stop")
    )");
}

TEST_F(ClockTest, CancellationFromOutsideEndsTimerAndBody) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        return Both(
            [env] {
                return TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_SECOND),
                                  [] { return AwaitAndSay("body"); });
            },
            [] { return eio_err_failure("stop"); });
    });
    EXPECT_TRACE(R"(
        +body: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(ClockTest, TimeoutsNestAndTheShorterOneWins) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        for (auto [outer, inner] : {std::pair(1, 2), std::pair(2, 1)}) {
            eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, outer * EIO_SECOND),
                                      [env, inner = inner]() -> eio_err * {
                                          eio_err *inside = TimeoutRun(
                                              eio_timeout_ns(env->mono_clock, inner * EIO_SECOND),
                                              [] { return eio_fiber_await_cancel(); });
                                          eio_traceln("inner: %s", Text(inside).c_str());
                                          eio_err_catch(&inside, &eio_err_timeout);
                                          return inside;
                                      });
            eio_traceln("outer: %s", TakeText(err).c_str());
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +mock time is now 1
        +inner: Cancelled: Eio__Time.Timeout
        +outer: Eio__Time.Timeout
        +mock time is now 2
        +inner: Eio__Time.Timeout
        +outer: ok
        - : unit = ()
    )");
}

TEST_F(ClockTest, ATimeoutIsAValueThatStartsAnewWithEachUse) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        const eio_timeout t = eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND);
        for (int i = 0; i < 2; i++)
            eio_traceln("%s",
                        TakeText(TimeoutRun(t, [] { return eio_fiber_await_cancel(); })).c_str());
        return eio_timeout_sleep(t);
    });
    EXPECT_TRACE(R"(
        +mock time is now 10
        +Eio__Time.Timeout
        +mock time is now 20
        +Eio__Time.Timeout
        +mock time is now 30
        - : unit = ()
    )");
}

TEST_F(ClockTest, SleepingForNoTimeoutWaitsForCancellation) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both(
            [] {
                eio_err *err = eio_timeout_sleep(eio_timeout_none());
                eio_traceln("%s", Text(err).c_str());
                return err;
            },
            [] { return eio_err_failure("stop"); });
    });
    EXPECT_TRACE(R"(
        +Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(ClockTest, SecondsBecomeNanoseconds) {
    eio_mono_clock clock = {};
    auto ns = [&](double seconds) { return eio_timeout_seconds(&clock, seconds).duration_ns; };
    EXPECT_EQ(ns(1.5), 1500 * EIO_MILLISECOND);
    EXPECT_EQ(ns(0), 0);
    EXPECT_EQ(ns(-1), 0);
    EXPECT_EQ(ns(1e-9), 1);
    EXPECT_EQ(ns(std::nan("")), 0);
    EXPECT_EQ(ns(9223372036.0), INT64_C(9223372036000000000));
    EXPECT_EQ(ns(9223372036.9), INT64_MAX) << "2^63 ns is for ever";
    EXPECT_EQ(ns(1e300), INT64_MAX);
    EXPECT_EQ(ns(std::numeric_limits<double>::infinity()), INT64_MAX);
    EXPECT_EQ(ns(-std::numeric_limits<double>::infinity()), 0);
    EXPECT_EQ(eio_timeout_ns(&clock, -5).duration_ns, 0);
    EXPECT_EQ(eio_timeout_none().clock, nullptr);
}

TEST_F(ClockTest, ADurationBeyondTheClocksEndIsForEver) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
        return Both([env] { return eio_mono_clock_sleep(env->mono_clock, INT64_MAX - 5); },
                    [env] {
                        return Both([env] { return eio_clock_sleep(env->clock, INT64_MAX); },
                                    [] { return eio_err_failure("they sleep"); });
                    });
    });
    EXPECT_TRACE(R"(
        +mock time is now 1
        Exception: Failure "they sleep".
    )");
}

TEST_F(ClockTest, ADurationThatIsNotPositiveTakesOneTurn) {
    RunMockFull([](eio_switch *sw, const eio_env *env) -> eio_err * {
        for (int64_t duration : {INT64_C(0), INT64_C(-1), INT64_MIN}) {
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Say("ready");
            }));
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, duration));
            Say("slept");
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +ready
        +slept
        +ready
        +slept
        +ready
        +slept
        - : unit = ()
    )");
}

TEST_F(ClockTest, NoSleepEndsEarly) {
    TestLoop loop;
    loop.step = 7; // time goes on in odd steps
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        for (int64_t deadline = 1; deadline < 5000; deadline += deadline) {
            EIO_TRY(Both([=] { return eioi_sleep_until(deadline); },
                         [&]() -> eio_err * {
                             for (int i = 0; i < 300; i++)
                                 EIO_TRY(eio_fiber_yield());
                             return nullptr;
                         }));
            if (loop.now < deadline)
                return eio_err_failure("slept until %lld only", static_cast<long long>(loop.now));
        }
        return nullptr;
    }));
}

// The mock clock of the run itself drives the scheduler's timers, too.
TEST_F(ClockTest, ManyTimeoutsLeaveNothing) {
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int i = 0; i < 1000; i++) {
            EIO_TRY(TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_SECOND),
                               []() -> eio_err * { return eio_fiber_yield(); }));
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
