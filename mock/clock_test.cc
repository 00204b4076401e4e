// SPDX-License-Identifier: ISC
#include "eio/mock/clock.h"

#include "mock/test_support.h"

namespace {

class MockClockTest : public MockTest {};

// A fiber that says when it wakes.
eio_err *SleepAndSay(eio_mock_clock *clock, const char *name, int64_t seconds) {
    EIO_TRY(eio_mono_clock_sleep_until(&clock->mono, seconds * EIO_SECOND));
    eio_traceln("%s: woken", name);
    return nullptr;
}

eio_err *ForkSleeper(eio_switch *sw, eio_mock_clock *clock, const char *name, int64_t seconds) {
    return Fork(sw, [=] { return SleepAndSay(clock, name, seconds); });
}

TEST_F(MockClockTest, AdvanceWakesTheEarliestOnly) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          return SwitchRun([=](eio_switch *sw) -> eio_err * {
                              EIO_TRY(ForkSleeper(sw, clock, "late", 3));
                              EIO_TRY(ForkSleeper(sw, clock, "early", 1));
                              EIO_TRY(eio_mock_clock_advance(clock));
                              eio_traceln("advanced");
                              EIO_TRY(eio_fiber_yield());
                              EIO_TRY(eio_mock_clock_advance(clock));
                              return nullptr;
                          });
                      }),
                      R"(
+mock time is now 1
+advanced
+early: woken
+mock time is now 3
+late: woken
- : unit = ()
)");
}

TEST_F(MockClockTest, EqualDeadlinesWakeInTheOrderOfArrival) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          return SwitchRun([=](eio_switch *sw) -> eio_err * {
                              EIO_TRY(ForkSleeper(sw, clock, "a", 2));
                              EIO_TRY(ForkSleeper(sw, clock, "b", 2));
                              EIO_TRY(ForkSleeper(sw, clock, "c", 1));
                              EIO_TRY(ForkSleeper(sw, clock, "d", 2));
                              eio_mock_clock_set_time(clock, 10 * EIO_SECOND);
                              return nullptr;
                          });
                      }),
                      R"(
+mock time is now 10
+c: woken
+a: woken
+b: woken
+d: woken
- : unit = ()
)");
}

TEST_F(MockClockTest, TheTimeIsSetWhenTheWokenRun) {
    EXPECT_TRANSCRIPT(
        Run([] {
            eio_mock_clock *clock;
            EIO_TRY(eio_mock_clock_create(&clock));
            return SwitchRun([=](eio_switch *sw) -> eio_err * {
                auto sleeper = [=]() -> eio_err * {
                    EIO_TRY(eio_clock_sleep(&clock->clock, EIO_SECOND));
                    eio_traceln("wall %g", (double)eio_clock_now(&clock->clock) / 1e9);
                    eio_traceln("mono %g", (double)eio_mono_clock_now(&clock->mono) / 1e9);
                    return nullptr;
                };
                EIO_TRY(Fork(sw, sleeper));
                eio_mock_clock_set_time(clock, 2500 * EIO_MILLISECOND);
                return nullptr;
            });
        }),
        R"(
+mock time is now 2.5
+wall 2.5
+mono 2.5
- : unit = ()
)");
}

TEST_F(MockClockTest, SleepingUntilNowOrEarlierIsAYield) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          return SwitchRun([=](eio_switch *sw) -> eio_err * {
                              eio_mock_clock_set_time(clock, EIO_SECOND);
                              EIO_TRY(ForkSleeper(sw, clock, "now", 1));
                              EIO_TRY(ForkSleeper(sw, clock, "past", 0));
                              EIO_TRY(ForkSleeper(sw, clock, "negative", -5));
                              eio_traceln("all wait");
                              return nullptr;
                          });
                      }),
                      R"(
+mock time is now 1
+all wait
+now: woken
+past: woken
+negative: woken
- : unit = ()
)");
}

TEST_F(MockClockTest, ACancelledSleepIsNoEvent) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          eio_err *err = Both([=] { return SleepAndSay(clock, "sleeper", 1); },
                                              [=] { return eio_err_failure("Simulated error"); });
                          eio_traceln("left: %s", eio_mock_clock_try_advance(clock) ? "yes" : "no");
                          return err;
                      }),
                      R"(
+left: no
Exception: Failure "Simulated error".
)");
}

TEST_F(MockClockTest, AdvancingWithoutASleeperIsAnError) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          return eio_mock_clock_advance(clock);
                      }),
                      R"(
Exception: Invalid_argument "No further events scheduled on mock clock".
)");
}

TEST_F(MockClockTest, SleepingForEverIsNoEvent) {
    EXPECT_TRANSCRIPT(Run([] {
                          eio_mock_clock *clock;
                          EIO_TRY(eio_mock_clock_create(&clock));
                          return Both([=] { return eio_mono_clock_sleep(&clock->mono, INT64_MAX); },
                                      [=] { return eio_mock_clock_advance(clock); });
                      }),
                      R"(
Exception: Invalid_argument "No further events scheduled on mock clock".
)");
}

TEST_F(MockClockTest, TheRunsClockAdvancesOnlyWhenNothingIsReady) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) {
                          return Both(
                              [=]() -> eio_err * {
                                  EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
                                  eio_traceln("slept");
                                  return nullptr;
                              },
                              []() -> eio_err * {
                                  for (int i = 0; i < 300; i++)
                                      EIO_TRY(eio_fiber_yield());
                                  eio_traceln("yielded 300 times");
                                  return nullptr;
                              });
                      }),
                      R"(
+yielded 300 times
+mock time is now 1
+slept
- : unit = ()
)");
}

TEST_F(MockClockTest, BothClocksOfTheEnvironmentAreOne) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) {
                          return Both(
                              [=]() -> eio_err * {
                                  EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 2 * EIO_SECOND));
                                  eio_traceln("mono");
                                  return nullptr;
                              },
                              [=]() -> eio_err * {
                                  EIO_TRY(eio_clock_sleep(env->clock, EIO_SECOND));
                                  eio_traceln("wall");
                                  return nullptr;
                              });
                      }),
                      R"(
+mock time is now 1
+wall
+mock time is now 2
+mono
- : unit = ()
)");
}

TEST_F(MockClockTest, TheRunsClockCanBeMovedByHand) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) {
                          return Both(
                              [=]() -> eio_err * {
                                  EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
                                  eio_traceln("slept until %g",
                                              (double)eio_mono_clock_now(env->mono_clock) / 1e9);
                                  return nullptr;
                              },
                              [=]() -> eio_err * {
                                  eio_mock_clock_set_time(eio_mock_clock_of(env->clock),
                                                          60 * EIO_SECOND);
                                  return nullptr;
                              });
                      }),
                      R"(
+mock time is now 60
+slept until 60
- : unit = ()
)");
}

TEST_F(MockClockTest, TheLoopsLineHasNoFibersPrefix) {
    auto prefix = [](void *, char *buf, size_t len) { (void)snprintf(buf, len, "[test] "); };
    EXPECT_TRANSCRIPT(RunFull([=](const eio_env *env) {
                          auto body = [=]() -> eio_err * {
                              EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
                              eio_traceln("slept");
                              return nullptr;
                          };
                          return eio_with_trace_prefix(prefix, nullptr, CallLambda<decltype(body)>,
                                                       &body);
                      }),
                      R"(
+mock time is now 1
+[test] slept
- : unit = ()
)");
}

TEST_F(MockClockTest, ATimeoutCancelsItsBodyAtItsTime) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) {
                          return eio_timeout_run(
                              eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND),
                              [](void *) { return eio_fiber_await_cancel(); }, nullptr);
                      }),
                      R"(
+mock time is now 10
Exception: Eio__Time.Timeout.
)");
}

TEST_F(MockClockTest, ATimeoutThatIsNotNeededDoesNotAdvanceTheClock) {
    EXPECT_TRANSCRIPT(RunFull([](const eio_env *env) {
                          return eio_timeout_run(
                              eio_timeout_ns(env->mono_clock, 10 * EIO_SECOND),
                              [](void *) { return eio_fiber_yield(); }, nullptr);
                      }),
                      R"(
- : unit = ()
)");
}

TEST_F(MockClockTest, AClockOutsideOfARunIsTheCallers) {
    eio_mock_clock *clock;
    ASSERT_EQ(eio_mock_clock_create(&clock), nullptr);
    eio_mock_clock_set_time(clock, 7 * EIO_SECOND);
    EXPECT_EQ(eio_clock_now(&clock->clock), 7 * EIO_SECOND);
    EXPECT_EQ(Finish(nullptr), "+mock time is now 7\n- : unit = ()\n");
    eio_mock_clock_destroy(clock);
    eio_mock_clock_destroy(nullptr);
}

using MockClockDeathTest = MockClockTest;

TEST_F(MockClockDeathTest, AClockCantGoBack) {
    EXPECT_DEATH((void)Run([]() -> eio_err * {
                     eio_mock_clock *clock;
                     EIO_TRY(eio_mock_clock_create(&clock));
                     eio_mock_clock_set_time(clock, 2);
                     eio_mock_clock_set_time(clock, 1);
                     return nullptr;
                 }),
                 "a mock clock can't go back");
}

} // namespace
