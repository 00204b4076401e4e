// SPDX-License-Identifier: ISC

// The pool by itself: the test says what the kernel would fill.

#include <set>
#include <vector>

#include "backends/uring/pool.h"
#include "backends/uring/uring_run.h"

using namespace eio_test;

class PoolTest : public EioTest {
  protected:
    void SetUp() override {
        EioTest::SetUp();
        ASSERT_TRUE(IsOk(eioi_ring_open(&ring_, 64)));
        eioi_pool_open(&pool_, &ring_);
        if (!eioi_pool_exists(&pool_)) {
            eioi_ring_close(&ring_);
            GTEST_SKIP() << "no buffer rings here";
        }
        open_ = true;
    }
    void TearDown() override {
        if (open_) {
            eioi_ring_close(&ring_);
            eioi_pool_close(&pool_);
        }
        EioTest::TearDown();
    }
    /// Takes the oldest buffer in the ring, as the kernel does.
    uint16_t Fill(size_t len) {
        const uint16_t id = pool_.ring->bufs[head_++ % EIOI_POOL_MAX].bid;
        eioi_pool_take(&pool_, id, len);
        return id;
    }
    eioi_ring ring_ = {};
    eioi_pool pool_ = {};
    unsigned head_ = 0;
    bool open_ = false;
};

TEST_F(PoolTest, ItGrowsBeforeItIsEmptyAndUpToABound) {
    const unsigned first = pool_.count;
    EXPECT_LE(first, 64u);
    std::set<uint16_t> filled;
    for (unsigned i = 0; i < EIOI_POOL_MAX; i++) {
        ASSERT_GT(pool_.in_ring, 0);
        EXPECT_TRUE(filled.insert(Fill(1)).second) << "a buffer is one socket's at a time";
    }
    EXPECT_EQ(pool_.count, EIOI_POOL_MAX);
    EXPECT_TRUE(eioi_pool_low(&pool_));
    EXPECT_FALSE(eioi_pool_grow(&pool_));
    for (uint16_t id : filled)
        eioi_pool_give(&pool_, id);
    EXPECT_EQ(pool_.in_ring, EIOI_POOL_MAX);
}

TEST_F(PoolTest, BuffersDontOverlap) {
    const uint16_t a = Fill(EIOI_POOL_BUF_BYTES), b = Fill(EIOI_POOL_BUF_BYTES);
    const eio_slice at_a = eioi_pool_bytes(&pool_, a), at_b = eioi_pool_bytes(&pool_, b);
    EXPECT_EQ(at_a.len, static_cast<size_t>(EIOI_POOL_BUF_BYTES));
    EXPECT_TRUE(at_a.base + at_a.len <= at_b.base || at_b.base + at_b.len <= at_a.base);
    eioi_pool_give(&pool_, a);
    eioi_pool_give(&pool_, b);
}

TEST_F(PoolTest, WithoutUseItsMemoryGoesAndComesAgain) {
    FaultPlan faults;
    eioi_pool_give(&pool_, Fill(10));
    EXPECT_TRUE(pool_.dirty);
    eioi_pool_look(&pool_);
    EXPECT_EQ(faults.Count("madvise"), 0) << "it was used since the last look";
    eioi_pool_look(&pool_);
    EXPECT_EQ(faults.Count("madvise"), 1);
    EXPECT_FALSE(pool_.dirty) << "nobody needs to look again";
    const uint16_t id = Fill(10);
    EXPECT_TRUE(pool_.dirty);
    eioi_pool_look(&pool_);
    eioi_pool_look(&pool_);
    EXPECT_EQ(faults.Count("madvise"), 1) << "a buffer is held";
    eioi_pool_give(&pool_, id);
    eioi_pool_look(&pool_);
    EXPECT_EQ(faults.Count("madvise"), 2);
}

TEST_F(PoolTest, APauseSaysNothingOfWhatIsNeeded) {
    const unsigned needed = 8 * pool_.count;
    auto peak = [&] {
        std::vector<uint16_t> filled;
        for (unsigned i = 0; i < needed; i++)
            filled.push_back(Fill(1));
        for (uint16_t id : filled)
            eioi_pool_give(&pool_, id);
    };
    peak();
    const unsigned count = pool_.count;
    for (int i = 0; i < 5; i++)
        eioi_pool_look(&pool_);
    peak();
    EXPECT_EQ(pool_.wanted, count);
    EXPECT_EQ(pool_.count, count);
    EXPECT_EQ(pool_.retired, EIOI_POOL_NONE) << "none was taken out of use";
}

TEST_F(PoolTest, AfterAPeakItShrinksToWhatIsNeededAndGrowsAgain) {
    const unsigned first = pool_.count;
    for (int peak = 0; peak < 2; peak++) {
        std::vector<uint16_t> filled;
        for (unsigned i = 0; i < 10 * first; i++)
            filled.push_back(Fill(1));
        for (uint16_t id : filled)
            eioi_pool_give(&pool_, id);
        EXPECT_GE(pool_.count, 10 * first);
        for (int i = 0; i < 20; i++) { // little use, for a while
            eioi_pool_look(&pool_);
            for (unsigned j = 0; j < EIOI_POOL_MAX; j++)
                eioi_pool_give(&pool_, Fill(1));
        }
        EXPECT_EQ(pool_.count, first);
        EXPECT_EQ(pool_.in_ring, first);
    }
}
