// SPDX-License-Identifier: ISC
#include <ctime>
#include <vector>

#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

class RealClockTest : public RealTest {};
EIO_ON_REAL_BACKENDS(RealClockTest);

int64_t Realtime() {
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return ts.tv_sec * EIO_SECOND + ts.tv_nsec;
}

TEST_P(RealClockTest, NoSleepIsEarly) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int64_t ns :
             {INT64_C(1), INT64_C(1000), INT64_C(99999), INT64_C(1000001), INT64_C(3200000)}) {
            for (int i = 0; i < 10; i++) {
                const int64_t mono = eio_mono_clock_now(env->mono_clock) + ns;
                EIO_TRY(eio_mono_clock_sleep_until(env->mono_clock, mono));
                EXPECT_GE(eio_mono_clock_now(env->mono_clock), mono);
                const int64_t wall = eio_clock_now(env->clock) + ns;
                EIO_TRY(eio_clock_sleep_until(env->clock, wall));
                EXPECT_GE(eio_clock_now(env->clock), wall);
            }
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RealClockTest, TheWallClockTellsTheDate) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        const int64_t before = Realtime();
        const int64_t now = eio_clock_now(env->clock);
        EXPECT_LE(before, now);
        EXPECT_LE(now, Realtime());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RealClockTest, SleepersWakeInTheOrderOfTheirDeadlines) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        const int64_t start = eio_mono_clock_now(env->mono_clock) + 2 * EIO_MILLISECOND;
        std::vector<int> order;
        EIO_TRY(ForEach(8, 0, [&](size_t i) -> eio_err * {
            // 7 first; two with one deadline in the order in which they went to sleep.
            EIO_TRY(
                eio_mono_clock_sleep_until(env->mono_clock, start - static_cast<int64_t>(i / 2)));
            order.push_back(static_cast<int>(i));
            return nullptr;
        }));
        EXPECT_EQ(order, (std::vector<int>{6, 7, 4, 5, 2, 3, 0, 1}));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RealClockTest, ADeadlineThatIsPastWaitsForOneTurn) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int clock = 0; clock < 2; clock++) {
            bool turned = false;
            EIO_TRY(Both(
                [&]() -> eio_err * {
                    for (int64_t past : {INT64_MIN, INT64_C(-1), INT64_C(0)}) {
                        turned = false;
                        EIO_TRY(clock == 0 ? eio_mono_clock_sleep_until(env->mono_clock, past)
                                           : eio_clock_sleep_until(env->clock, past));
                        EXPECT_TRUE(turned);
                    }
                    return nullptr;
                },
                [&]() -> eio_err * {
                    // At each look the loop finds the timer due; how many turns that takes is its
                    // own business.
                    for (int i = 0; i < 1000; i++) {
                        turned = true;
                        EIO_TRY(eio_fiber_yield());
                    }
                    return nullptr;
                }));
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(RealClockTest, ASleepForEverCanBeCancelled) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int clock = 0; clock < 2; clock++) {
            auto sleep = [&]() -> eio_err * {
                return clock == 0 ? eio_mono_clock_sleep(env->mono_clock, INT64_MAX)
                                  : eio_clock_sleep(env->clock, INT64_MAX);
            };
            EXPECT_ERR(TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_MILLISECOND), sleep),
                       &eio_err_timeout);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
