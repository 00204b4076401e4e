// SPDX-License-Identifier: ISC
// A few thousand of the random programs; bazel run //tests/stress:schedules runs as many as wanted.

#include "tests/stress/schedules.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/support/counts.h"

namespace {

using namespace eio_test;

constexpr Count kPrograms = {"programs", 6000, 600};

TEST(SchedulesTest, EachProgramEndsAsItMustInWhateverOrder) {
    schedules_result result = {};
    EXPECT_TRUE(schedules_run(/* from= */ 1, HowMany(kPrograms), /* jobs= */ 1, &result));
    EXPECT_EQ(result.programs, HowMany(kPrograms));
    printf("%llu programs, %llu steps, %llu programs run twice with the same trace\n",
           static_cast<unsigned long long>(result.programs),
           static_cast<unsigned long long>(result.events),
           static_cast<unsigned long long>(result.replayed));
}

TEST(SchedulesTest, ASeedGivesTheSameProgramEachTime) {
    static stress_plan first, second;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        stress_plan_draw(&first, seed);
        stress_plan_draw(&second, seed);
        ASSERT_EQ(first.count, second.count);
        ASSERT_EQ(memcmp(first.steps, second.steps,
                         sizeof first.steps[0] * static_cast<size_t>(first.count)),
                  0);
    }
}

bool IsLive(const stress_plan *plan, int from, int wanted) {
    for (; from != STRESS_NONE; from = plan->steps[from].next) {
        if (plan->steps[from].off)
            continue;
        if (from == wanted)
            return true;
        for (int16_t body : plan->steps[from].bodies)
            if (IsLive(plan, body, wanted))
                return true;
    }
    return false;
}

TEST(SchedulesTest, WhatFailsIsMadeAsSmallAsItCanBe) {
    static stress_plan plan;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        stress_plan_draw(&plan, seed);
        static int culprit;
        culprit = plan.count / 2;
        schedules_shrink(&plan, [](const stress_plan *p) { return IsLive(p, 0, culprit); });
        // What is left is the culprit, and what it stands in.
        for (int i = 0; i < plan.count; i++)
            if (IsLive(&plan, 0, i) && i != culprit) {
                plan.steps[i].off = true;
                EXPECT_FALSE(IsLive(&plan, 0, culprit));
                plan.steps[i].off = false;
            }
    }
}

} // namespace
