// SPDX-License-Identifier: ISC
// Clocks and time-outs: the same in virtual and in real time.

#include "tests/support/any_run.h"

namespace eio_test {
namespace {

class ClockTest : public AnyTest {
  protected:
    /// Runs it; the mock's lines about its clock aren't looked at here.
    template <class F> void Run(F &&f) {
        EXPECT_OK(EvalAny(f));
        TakeTrace();
    }
};
EIO_ON_ALL_BACKENDS(ClockTest);

TEST_P(ClockTest, SleepersWakeInTheOrderOfTheirDeadlinesThenOfTheirSleeps) {
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        const int64_t start = eio_mono_clock_now(env->mono_clock) + 2 * EIO_MILLISECOND;
        std::vector<size_t> order;
        EIO_TRY(ForEach(9, 0, [&](size_t i) -> eio_err * {
            EIO_TRY(
                eio_mono_clock_sleep_until(env->mono_clock, start - static_cast<int64_t>(i / 3)));
            order.push_back(i);
            return nullptr;
        }));
        EXPECT_EQ(order, (std::vector<size_t>{6, 7, 8, 3, 4, 5, 0, 1, 2}));
        return nullptr;
    });
}

TEST_P(ClockTest, NoSleepIsEarlyAndNoneGoesBack) {
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int64_t ns : {INT64_C(-5), INT64_C(0), INT64_C(1), INT64_C(1000), INT64_C(1500000)}) {
            const int64_t mono = eio_mono_clock_now(env->mono_clock);
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, ns));
            EXPECT_GE(eio_mono_clock_now(env->mono_clock), mono + std::max<int64_t>(ns, 0));
            const int64_t wall = eio_clock_now(env->clock);
            EIO_TRY(eio_clock_sleep(env->clock, ns));
            EXPECT_GE(eio_clock_now(env->clock), wall + std::max<int64_t>(ns, 0));
        }
        return nullptr;
    });
}

TEST_P(ClockTest, ASleepThatIsOverAlreadyStillGivesATurn) {
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        int turns = 0;
        bool done = false;
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep_until(env->mono_clock, INT64_MIN));
                EXPECT_GT(turns, 0);
                const int before = turns;
                EIO_TRY(eio_clock_sleep(env->clock, -1));
                EXPECT_GT(turns, before);
                done = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                while (!done) {
                    turns++;
                    EIO_TRY(eio_fiber_yield());
                }
                return nullptr;
            });
    });
}

TEST_P(ClockTest, ATimeOutStopsItsBodyAndIsStoppedByIt) {
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        eio_mono_clock *clock = env->mono_clock;
        auto for_ever = [&] { return eio_mono_clock_sleep(clock, INT64_MAX); };
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(clock, EIO_MILLISECOND), for_ever), &eio_err_timeout);
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(clock, 0), for_ever), &eio_err_timeout);
        EXPECT_ERR(TimeoutRun(eio_timeout_seconds(clock, -1.0), for_ever), &eio_err_timeout);
        EXPECT_OK(TimeoutRun(eio_timeout_ns(clock, 3600 * EIO_SECOND),
                             [&] { return eio_mono_clock_sleep(clock, 1000); }));
        EXPECT_OK(
            TimeoutRun(eio_timeout_none(), [&] { return eio_mono_clock_sleep(clock, 1000); }));
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(clock, 3600 * EIO_SECOND),
                              [] { return eio_err_failure("x"); }),
                   &eio_err_failure_kind);
        return nullptr;
    });
}

TEST_P(ClockTest, ADroppedTimerHoldsNothingUp) {
    // If one of these were left, the loop (or the virtual clock) would wait an hour.
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        const int64_t before = eio_mono_clock_now(env->mono_clock);
        for (int i = 0; i < 200; i++)
            EIO_TRY(TimeoutRun(eio_timeout_ns(env->mono_clock, 3600 * EIO_SECOND),
                               [] { return eio_fiber_yield(); }));
        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 1000));
        EXPECT_LT(eio_mono_clock_now(env->mono_clock) - before, 600 * EIO_SECOND);
        return nullptr;
    });
}

TEST_P(ClockTest, NestedTimeOutsAreToldApart) {
    Run([](eio_switch *, const eio_env *env) -> eio_err * {
        eio_mono_clock *clock = env->mono_clock;
        bool inner_was_cancelled = false;
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(clock, EIO_MILLISECOND),
                              [&]() -> eio_err * {
                                  eio_err *err =
                                      TimeoutRun(eio_timeout_ns(clock, 3600 * EIO_SECOND), [&] {
                                          return eio_mono_clock_sleep(clock, INT64_MAX);
                                      });
                                  inner_was_cancelled = eio_err_is(err, &eio_err_cancelled);
                                  return err;
                              }),
                   &eio_err_timeout);
        EXPECT_TRUE(inner_was_cancelled);
        return nullptr;
    });
}

} // namespace
} // namespace eio_test
