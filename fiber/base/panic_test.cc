// SPDX-License-Identifier: ISC
#include "fiber/base/panic.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <string>

#include "fiber/base/assert.h"

namespace {

// A regular expression for a whole report: nothing before it, nothing after it.
std::string Whole(const std::string &report) {
    return "^" + report + "$";
}

void DescribeFiber(char *buf, unsigned len) {
    (void)snprintf(buf, len, "in fiber 7 \"accept\"");
}
void DescribeNone(char *buf, unsigned) {
    buf[0] = '\0';
}
void DescribeLine(char *buf, unsigned len) {
    (void)snprintf(buf, len, "in fiber 8\n");
}
void DescribePanics(char *, unsigned) {
    eioi_panic("b.c", 2, "g", nullptr, "and again");
}

TEST(PanicTest, AnAssertionThatHoldsDoesNothing) {
    int evaluated = 0;
    EIO_ASSERT(++evaluated == 1, "never %s", "printed");
    EXPECT_EQ(evaluated, 1);
}

TEST(PanicDeathTest, ABrokenAssertionNamesPlaceConditionAndSentence) {
    EXPECT_EXIT(eioi_panic("a.c", 12, "f", "n > 0", "%d is not a count", -1),
                ::testing::KilledBySignal(SIGABRT),
                Whole("eio: a\\.c:12: f: assertion \"n > 0\" failed: -1 is not a count\n"));
}

TEST(PanicDeathTest, TheMacroFillsThePlaceIn) {
    int n = 0;
    EXPECT_EXIT(EIO_ASSERT(n == 1, "n is %d", n), ::testing::KilledBySignal(SIGABRT),
                "^eio: .*panic_test\\.cc:[0-9]+: TestBody: assertion \"n == 1\" failed: n is 0\n$");
}

TEST(PanicDeathTest, WithoutAConditionTheSentenceFollowsThePlace) {
    EXPECT_EXIT(eioi_panic("a.c", 12, "f", nullptr, "stack overflow"),
                ::testing::KilledBySignal(SIGABRT), Whole("eio: a\\.c:12: f: stack overflow\n"));
}

TEST(PanicDeathTest, TheRunningFiberIsNamedOnALineOfItsOwn) {
    EXPECT_EXIT(
        {
            eioi_panic_set_describe(DescribeFiber);
            eioi_panic("a.c", 12, "f", nullptr, "broken");
        },
        ::testing::KilledBySignal(SIGABRT),
        Whole("eio: a\\.c:12: f: broken\nin fiber 7 \"accept\"\n"));
    EXPECT_EXIT(
        {
            eioi_panic_set_describe(DescribeLine);
            eioi_panic("a.c", 12, "f", nullptr, "broken");
        },
        ::testing::KilledBySignal(SIGABRT), Whole("eio: a\\.c:12: f: broken\nin fiber 8\n"));
}

TEST(PanicDeathTest, OutsideOfAnyFiberThereIsNoSuchLine) {
    EXPECT_EXIT(
        {
            eioi_panic_set_describe(DescribeNone);
            eioi_panic("a.c", 12, "f", nullptr, "broken");
        },
        ::testing::KilledBySignal(SIGABRT), Whole("eio: a\\.c:12: f: broken\n"));
}

TEST(PanicDeathTest, APanicInTheDescriptionIsReportedTooAndDoesNotLoop) {
    EXPECT_EXIT(
        {
            eioi_panic_set_describe(DescribePanics);
            eioi_panic("a.c", 12, "f", nullptr, "broken");
        },
        ::testing::KilledBySignal(SIGABRT),
        Whole("eio: a\\.c:12: f: broken\neio: b\\.c:2: g: and again\n"));
}

TEST(PanicDeathTest, ALongSentenceIsCutAndStillEndsItsLine) {
    std::string longer(5000, 'x');
    EXPECT_EXIT(eioi_panic("a.c", 12, "f", nullptr, "%s", longer.c_str()),
                ::testing::KilledBySignal(SIGABRT), "^eio: a\\.c:12: f: x+\n$");
}

} // namespace
