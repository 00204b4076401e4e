// SPDX-License-Identifier: ISC
#include "fiber/base/heap.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

namespace {

// A heap with room for as many as a test needs.
struct HeapTest : ::testing::Test {
    eioi_heap heap = {};

    void Reserve(size_t n) { ASSERT_EQ(eioi_heap_reserve(&heap, n), nullptr); }
    void SetUp() override { Reserve(400); }
    void TearDown() override { eioi_heap_fini(&heap); }

    // Takes the earliest node out.
    eioi_heap_node *Pop() {
        eioi_heap_node *node = nullptr;
        return eioi_heap_pop(&heap, INT64_MAX, &node, 1) == 1 ? node : nullptr;
    }

    // Checks the order of the tree, and that slots, nodes and places tell the same story.
    void Check() const {
        constexpr uint32_t kRoot = 3;
        uint32_t free = 0;
        for (uint32_t i = kRoot; i < kRoot + heap.count; i++) {
            const eioi_heap_entry &entry = heap.entries[i];
            const uint32_t slot = entry.order & 0xfffffff;
            ASSERT_TRUE(slot >= 1 && slot <= heap.used);
            ASSERT_EQ(heap.at[slot], i);
            ASSERT_EQ(heap.nodes[slot]->slot, slot);
            if (i > kRoot) {
                const eioi_heap_entry &parent = heap.entries[i / 4 + 2];
                ASSERT_LT(std::make_pair(parent.key, parent.order),
                          std::make_pair(entry.key, entry.order));
            }
        }
        for (uint32_t slot = heap.free_slot; slot != 0; slot = heap.at[slot])
            free++;
        ASSERT_EQ(free, heap.used - heap.count);
    }
};

TEST_F(HeapTest, AnEmptyHeapHasNoEarliest) {
    EXPECT_EQ(Pop(), nullptr);
    EXPECT_EQ(eioi_heap_first_key(&heap), INT64_MAX);
    EXPECT_EQ(heap.count, 0u);
}

TEST_F(HeapTest, NodesComeOutByKey) {
    const int64_t keys[] = {5, -3, INT64_MAX, 0, INT64_MIN, 7, 1};
    eioi_heap_node nodes[7] = {};
    for (int i = 0; i < 7; i++)
        eioi_heap_insert(&heap, &nodes[i], keys[i]);
    std::vector<int64_t> out;
    for (;;) {
        int64_t key = eioi_heap_first_key(&heap);
        eioi_heap_node *node = Pop();
        if (node == nullptr)
            break;
        EXPECT_EQ(keys[node - nodes], key);
        EXPECT_EQ(node->slot, 0u);
        out.push_back(key);
    }
    EXPECT_EQ(out, (std::vector<int64_t>{INT64_MIN, -3, 0, 1, 5, 7, INT64_MAX}));
}

TEST_F(HeapTest, EqualKeysComeOutInTheOrderInWhichTheyWentIn) {
    std::vector<eioi_heap_node> nodes(50);
    eioi_heap_node early = {};
    for (auto &node : nodes)
        eioi_heap_insert(&heap, &node, 10);
    eioi_heap_insert(&heap, &early, 9);
    EXPECT_EQ(Pop(), &early);
    for (auto &node : nodes)
        EXPECT_EQ(Pop(), &node);
}

TEST_F(HeapTest, OrderOutlivesTheNumbersOfInsertion) {
    std::vector<eioi_heap_node> nodes(60);
    heap.next_seq = (UINT64_C(1) << 36) - 25;
    for (size_t i = 0; i < 50; i++)
        eioi_heap_insert(&heap, &nodes[i], static_cast<int64_t>(i % 3));
    EXPECT_EQ(heap.next_seq, 50u);
    Check();
    for (size_t key = 0; key < 3; key++)
        for (size_t i = key; i < 50; i += 3)
            EXPECT_EQ(Pop(), &nodes[i]);
}

TEST_F(HeapTest, ANodeThatGoesInAgainIsBehindItsEquals) {
    eioi_heap_node a = {}, b = {};
    eioi_heap_insert(&heap, &a, 1);
    eioi_heap_insert(&heap, &b, 1);
    eioi_heap_remove(&heap, &a);
    eioi_heap_insert(&heap, &a, 1);
    EXPECT_EQ(Pop(), &b);
    EXPECT_EQ(Pop(), &a);
}

TEST_F(HeapTest, SeveralComeOutUpToALimit) {
    std::vector<eioi_heap_node> nodes(100);
    eioi_heap_node *out[100];
    for (size_t i = 0; i < 100; i++)
        eioi_heap_insert(&heap, &nodes[i], static_cast<int64_t>(99 - i));
    EXPECT_EQ(eioi_heap_pop(&heap, -1, out, 100), 0u);
    EXPECT_EQ(eioi_heap_pop(&heap, 9, out, 4), 4u);
    EXPECT_EQ(eioi_heap_pop(&heap, 9, out + 4, 100), 6u);
    for (size_t i = 0; i < 10; i++)
        EXPECT_EQ(out[i], &nodes[99 - i]);
    EXPECT_EQ(eioi_heap_first_key(&heap), 10);
    const size_t many = eioi_heap_pop(&heap, INT64_MAX, out, 100);
    ASSERT_GE(many, 2u);
    for (size_t i = 0; i < many; i++)
        EXPECT_EQ(out[i], &nodes[89 - i]);
    Check();
}

TEST_F(HeapTest, RemovingWhatIsNotInDoesNothing) {
    eioi_heap_node a = {}, stranger = {};
    eioi_heap_insert(&heap, &a, 1);
    eioi_heap_remove(&heap, &stranger);
    EXPECT_EQ(heap.count, 1u);
    eioi_heap_remove(&heap, &a);
    eioi_heap_remove(&heap, &a);
    EXPECT_EQ(heap.count, 0u);
    EXPECT_EQ(Pop(), nullptr);
}

TEST_F(HeapTest, AnyNodeCanBeRemovedFromAnywhere) {
    // In the order in which they go in here, what fills the gap has to rise in some of the cases.
    constexpr int kNodes = 30;
    for (int victim = 1; victim < kNodes; victim++) {
        std::vector<eioi_heap_node> nodes(kNodes);
        for (int i = 0; i < kNodes; i++)
            eioi_heap_insert(&heap, &nodes[static_cast<size_t>(i * 7 % kNodes)], i * 7 % kNodes);
        EXPECT_EQ(Pop(), &nodes[0]);
        eioi_heap_remove(&heap, &nodes[static_cast<size_t>(victim)]);
        Check();
        for (int i = 1; i < kNodes; i++)
            if (i != victim) {
                EXPECT_EQ(Pop(), &nodes[static_cast<size_t>(i)]);
            }
    }
}

TEST_F(HeapTest, AgreesWithASortedSetUnderRandomUse) {
    constexpr unsigned kSeed = 20240607;
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
    std::mt19937 random(kSeed);
    std::vector<eioi_heap_node> nodes(300);
    using Place = std::pair<int64_t, uint64_t>;
    std::map<Place, eioi_heap_node *> model;
    std::vector<Place> where(nodes.size());
    uint64_t seq = 0;
    for (int step = 0; step < 40000; step++) {
        const size_t i = random() % nodes.size();
        eioi_heap_node *node = &nodes[i];
        if (random() % 5 == 0) {
            ASSERT_EQ(Pop(), model.empty() ? nullptr : model.begin()->second);
            if (!model.empty())
                model.erase(model.begin());
        } else if (node->slot != 0) {
            ASSERT_EQ(model.erase(where[i]), 1u);
            eioi_heap_remove(&heap, node);
        } else {
            where[i] = {static_cast<int64_t>(random() % 40), seq++}; // many ties
            eioi_heap_insert(&heap, node, where[i].first);
            model[where[i]] = node;
        }
        ASSERT_EQ(heap.count, model.size());
        ASSERT_EQ(eioi_heap_first_key(&heap),
                  model.empty() ? INT64_MAX : model.begin()->first.first);
        if (step % 500 == 0) {
            ASSERT_NO_FATAL_FAILURE(Check());
        }
    }
    while (!model.empty()) {
        ASSERT_EQ(Pop(), model.begin()->second);
        model.erase(model.begin());
    }
}

TEST_F(HeapTest, AHundredThousandNodesInAnyOrder) {
    constexpr int kNodes = 100000;
    Reserve(kNodes);
    std::vector<eioi_heap_node> nodes(kNodes);
    for (int order = 0; order < 3; order++) {
        std::mt19937 random(7);
        for (int i = 0; i < kNodes; i++) {
            int64_t key = order == 0 ? i : order == 1 ? -i : static_cast<int64_t>(random());
            eioi_heap_insert(&heap, &nodes[static_cast<size_t>(i)], key);
        }
        ASSERT_NO_FATAL_FAILURE(Check());
        int64_t last = INT64_MIN;
        for (int i = 0; i < kNodes; i++) {
            int64_t key = eioi_heap_first_key(&heap);
            ASSERT_LE(last, key);
            ASSERT_NE(Pop(), nullptr);
            last = key;
        }
        EXPECT_EQ(Pop(), nullptr);
    }
}

TEST(HeapRoomTest, MoreRoomKeepsWhatIsIn) {
    eioi_heap heap = {};
    std::vector<eioi_heap_node> nodes(1000);
    for (size_t i = 0; i < nodes.size(); i++) {
        ASSERT_EQ(eioi_heap_reserve(&heap, i + 1), nullptr);
        eioi_heap_insert(&heap, &nodes[i], static_cast<int64_t>(i * 7 % 1000));
        if (i % 3 == 0)
            eioi_heap_remove(&heap, &nodes[i / 2]);
    }
    int64_t last = -1;
    for (uint32_t left = heap.count; left > 0; left--) {
        const int64_t key = eioi_heap_first_key(&heap);
        eioi_heap_node *node = nullptr;
        ASSERT_EQ(eioi_heap_pop(&heap, INT64_MAX, &node, 1), 1u);
        ASSERT_EQ((node - nodes.data()) * 7 % 1000, key);
        ASSERT_LT(last, key);
        last = key;
    }
    eioi_heap_fini(&heap);
    EXPECT_EQ(eioi_live_objects(), 0);
}

TEST(HeapRoomTest, WithoutMemoryTheRoomStaysAsItIs) {
    eioi_heap heap = {};
    eioi_heap_node node = {};
    ASSERT_EQ(eioi_heap_reserve(&heap, 1), nullptr);
    eioi_heap_insert(&heap, &node, 5);
    const uint32_t capacity = heap.capacity;
    const struct eioi_fault_hook hook = {[](void *, const char *) { return ENOMEM; }, nullptr,
                                         nullptr};
    eioi_fault_hook = &hook;
    eio_err *err = eioi_heap_reserve(&heap, capacity + 1);
    eioi_fault_hook = nullptr;
    EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory));
    eio_err_drop(err);
    err = eioi_heap_reserve(&heap, SIZE_MAX); // more than can be counted
    EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory));
    eio_err_drop(err);
    EXPECT_EQ(heap.capacity, capacity);
    EXPECT_EQ(eioi_heap_first_key(&heap), 5);
    eioi_heap_fini(&heap);
}

using HeapDeathTest = HeapTest;

TEST_F(HeapDeathTest, InsertingANodeTwiceStopsTheProgram) {
    eioi_heap_node node = {};
    eioi_heap_insert(&heap, &node, 1);
    EXPECT_DEATH(eioi_heap_insert(&heap, &node, 2), "the node is in a heap already");
}

TEST_F(HeapDeathTest, RemovingANodeOfAnotherHeapStopsTheProgram) {
    eioi_heap mine = {};
    eioi_heap_node node = {}, a = {};
    ASSERT_EQ(eioi_heap_reserve(&mine, 1), nullptr);
    eioi_heap_insert(&heap, &node, 1);
    EXPECT_DEATH(eioi_heap_remove(&mine, &node), "the node is in another heap");
    eioi_heap_insert(&mine, &a, 1);
    EXPECT_DEATH(eioi_heap_remove(&mine, &node), "the node is in another heap");
    eioi_heap_fini(&mine);
}

TEST_F(HeapDeathTest, InsertingWithoutRoomStopsTheProgram) {
    std::vector<eioi_heap_node> nodes(heap.capacity + 1);
    for (size_t i = 0; i < heap.capacity; i++)
        eioi_heap_insert(&heap, &nodes[i], 1);
    EXPECT_DEATH(eioi_heap_insert(&heap, &nodes.back(), 1), "no room was made in a heap of");
}

} // namespace
