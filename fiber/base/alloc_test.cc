// SPDX-License-Identifier: ISC
#include "fiber/base/alloc.h"

#include <cstring>
#include <thread>
#include <vector>

#include "fiber/base/testing.h"

using namespace eio_base_test;

namespace {

class AllocTest : public BaseTest {};

TEST_F(AllocTest, EachBlockIsCountedUntilItIsFreed) {
    int64_t before = eioi_live_objects();
    void *a = eioi_alloc(10);
    void *b = eioi_zalloc(10);
    void *c = eioi_realloc(nullptr, 10);
    EXPECT_EQ(eioi_live_objects(), before + 3);
    eioi_free(a);
    EXPECT_EQ(eioi_live_objects(), before + 2);
    eioi_free(b);
    eioi_free(c);
    EXPECT_EQ(eioi_live_objects(), before);
}

TEST_F(AllocTest, GrowingABlockDoesNotCountItAgainAndKeepsItsBytes) {
    int64_t before = eioi_live_objects();
    auto *ptr = static_cast<char *>(eioi_alloc(4));
    memcpy(ptr, "abc", 4);
    ptr = static_cast<char *>(eioi_realloc(ptr, 100000));
    EXPECT_STREQ(ptr, "abc");
    EXPECT_EQ(eioi_live_objects(), before + 1);
    eioi_free(ptr);
}

TEST_F(AllocTest, FreeingNullDoesNothing) {
    int64_t before = eioi_live_objects();
    eioi_free(nullptr);
    EXPECT_EQ(eioi_live_objects(), before);
}

TEST_F(AllocTest, ZallocGivesZeros) {
    std::vector<char> zeros(5000, 0);
    void *dirty = eioi_alloc(5000);
    memset(dirty, 0xff, 5000);
    eioi_free(dirty);
    void *ptr = eioi_zalloc(5000);
    EXPECT_EQ(memcmp(ptr, zeros.data(), 5000), 0);
    eioi_free(ptr);
}

TEST_F(AllocTest, NoBytesAreABlockToo) {
    void *a = eioi_alloc(0);
    void *b = eioi_zalloc(0);
    void *c = eioi_realloc(nullptr, 0);
    EXPECT_NE(a, nullptr);
    EXPECT_NE(b, nullptr);
    ASSERT_NE(c, nullptr);
    c = eioi_realloc(c, 0);
    EXPECT_NE(c, nullptr);
    eioi_free(a);
    eioi_free(b);
    eioi_free(c);
}

TEST_F(AllocTest, AFaultFailsEachKindOfAllocationAndCountsNothing) {
    auto *ptr = static_cast<char *>(eioi_alloc(4));
    memcpy(ptr, "abc", 4);
    int64_t before = eioi_live_objects();
    {
        FailNth fail(1);
        EXPECT_EQ(eioi_alloc(1), nullptr);
    }
    {
        FailNth fail(1);
        EXPECT_EQ(eioi_zalloc(1), nullptr);
    }
    {
        FailNth fail(1);
        EXPECT_EQ(eioi_realloc(nullptr, 1), nullptr);
    }
    {
        FailNth fail(1);
        EXPECT_EQ(eioi_realloc(ptr, 1000), nullptr);
    }
    EXPECT_EQ(eioi_live_objects(), before);
    EXPECT_STREQ(ptr, "abc") << "the block that couldn't grow is as it was";
    eioi_free(ptr);
}

TEST_F(AllocTest, TheCountIsExactOverThreads) {
    int64_t before = eioi_live_objects();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([] {
            for (int i = 0; i < 5000; i++)
                eioi_free(eioi_alloc(16));
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(eioi_live_objects(), before);
}

TEST(AllocDeathTest, FreeingMoreThanWasAllocatedStopsTheProgram) {
    EXPECT_DEATH(
        {
            for (int64_t i = eioi_live_objects(); i >= 0; i--)
                eioi_free(malloc(1));
        },
        "more blocks were freed than allocated");
}

} // namespace
