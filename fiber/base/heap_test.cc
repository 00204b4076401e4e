// SPDX-License-Identifier: ISC
#include "fiber/base/heap.h"

#include <gtest/gtest.h>

#include <random>
#include <set>
#include <utility>
#include <vector>

namespace {

// Takes the earliest node out.
eioi_heap_node *Pop(eioi_heap *heap) {
    eioi_heap_node *node = eioi_heap_min(heap);
    if (node != nullptr)
        eioi_heap_remove(heap, node);
    return node;
}

// How many nodes the tree has, having checked its links and its order.
uint64_t CheckedCount(const eioi_heap &heap) {
    uint64_t count = 0;
    std::vector<const eioi_heap_node *> todo;
    if (heap.root != nullptr) {
        EXPECT_EQ(heap.root->prev, nullptr);
        EXPECT_EQ(heap.root->sibling, nullptr);
        todo.push_back(heap.root);
    }
    while (!todo.empty()) {
        const eioi_heap_node *node = todo.back();
        todo.pop_back();
        count++;
        EXPECT_TRUE(node->linked);
        const eioi_heap_node *prev = node;
        for (const eioi_heap_node *it = node->child; it != nullptr; it = it->sibling) {
            EXPECT_EQ(it->prev, prev);
            EXPECT_LT(std::make_pair(node->key, node->seq), std::make_pair(it->key, it->seq));
            prev = it;
            todo.push_back(it);
        }
    }
    EXPECT_EQ(count, heap.count);
    return count;
}

TEST(HeapTest, AnEmptyHeapHasNoEarliest) {
    eioi_heap heap = {};
    EXPECT_EQ(eioi_heap_min(&heap), nullptr);
    EXPECT_EQ(heap.count, 0u);
}

TEST(HeapTest, NodesComeOutByKey) {
    eioi_heap heap = {};
    const int64_t keys[] = {5, -3, INT64_MAX, 0, INT64_MIN, 7, 1};
    eioi_heap_node nodes[7] = {};
    for (int i = 0; i < 7; i++)
        eioi_heap_insert(&heap, &nodes[i], keys[i]);
    std::vector<int64_t> out;
    while (eioi_heap_node *node = Pop(&heap))
        out.push_back(node->key);
    EXPECT_EQ(out, (std::vector<int64_t>{INT64_MIN, -3, 0, 1, 5, 7, INT64_MAX}));
}

TEST(HeapTest, EqualKeysComeOutInTheOrderInWhichTheyWentIn) {
    eioi_heap heap = {};
    std::vector<eioi_heap_node> nodes(50);
    eioi_heap_node early = {};
    for (auto &node : nodes)
        eioi_heap_insert(&heap, &node, 10);
    eioi_heap_insert(&heap, &early, 9);
    EXPECT_EQ(Pop(&heap), &early);
    for (auto &node : nodes)
        EXPECT_EQ(Pop(&heap), &node);
}

TEST(HeapTest, ANodeThatGoesInAgainIsBehindItsEquals) {
    eioi_heap heap = {};
    eioi_heap_node a = {}, b = {};
    eioi_heap_insert(&heap, &a, 1);
    eioi_heap_insert(&heap, &b, 1);
    eioi_heap_remove(&heap, &a);
    eioi_heap_insert(&heap, &a, 1);
    EXPECT_EQ(Pop(&heap), &b);
    EXPECT_EQ(Pop(&heap), &a);
}

TEST(HeapTest, RemovingWhatIsNotInDoesNothing) {
    eioi_heap heap = {};
    eioi_heap_node a = {}, stranger = {};
    eioi_heap_insert(&heap, &a, 1);
    eioi_heap_remove(&heap, &stranger);
    EXPECT_EQ(heap.count, 1u);
    eioi_heap_remove(&heap, &a);
    eioi_heap_remove(&heap, &a);
    EXPECT_EQ(heap.count, 0u);
    EXPECT_EQ(eioi_heap_min(&heap), nullptr);
}

TEST(HeapTest, AnyNodeCanBeRemovedFromAnywhere) {
    // Takes out each one of nine nodes, of a tree that has been popped from and so has depth.
    for (int victim = 1; victim < 10; victim++) {
        eioi_heap heap = {};
        std::vector<eioi_heap_node> nodes(10);
        for (int i = 0; i < 10; i++)
            eioi_heap_insert(&heap, &nodes[static_cast<size_t>(i)], i);
        EXPECT_EQ(Pop(&heap), &nodes[0]);
        eioi_heap_remove(&heap, &nodes[static_cast<size_t>(victim)]);
        EXPECT_EQ(CheckedCount(heap), 8u);
        for (int i = 1; i < 10; i++)
            if (i != victim) {
                EXPECT_EQ(Pop(&heap), &nodes[static_cast<size_t>(i)]);
            }
    }
}

TEST(HeapTest, AgreesWithASortedSetUnderRandomUse) {
    constexpr unsigned kSeed = 20240607;
    SCOPED_TRACE(::testing::Message() << "seed " << kSeed);
    std::mt19937 random(kSeed);
    eioi_heap heap = {};
    std::vector<eioi_heap_node> nodes(300);
    std::set<std::pair<std::pair<int64_t, uint64_t>, eioi_heap_node *>> model;
    for (int step = 0; step < 40000; step++) {
        eioi_heap_node *node = &nodes[random() % nodes.size()];
        if (random() % 5 == 0) {
            node = eioi_heap_min(&heap);
            if (node == nullptr)
                continue;
        }
        if (node->linked) {
            ASSERT_EQ(model.erase({{node->key, node->seq}, node}), 1u);
            eioi_heap_remove(&heap, node);
        } else {
            eioi_heap_insert(&heap, node, static_cast<int64_t>(random() % 40)); // many ties
            model.insert({{node->key, node->seq}, node});
        }
        ASSERT_EQ(heap.count, model.size());
        ASSERT_EQ(eioi_heap_min(&heap), model.empty() ? nullptr : model.begin()->second);
        if (step % 500 == 0) {
            ASSERT_EQ(CheckedCount(heap), model.size());
        }
    }
    while (!model.empty()) {
        ASSERT_EQ(Pop(&heap), model.begin()->second);
        model.erase(model.begin());
    }
}

// Both orders are extreme shapes: ascending makes one node with all others below it, descending one
// long chain.
TEST(HeapTest, AHundredThousandNodesNeedNoStack) {
    constexpr int kNodes = 100000;
    std::vector<eioi_heap_node> nodes(kNodes);
    for (int order = 0; order < 3; order++) {
        eioi_heap heap = {};
        std::mt19937 random(7);
        for (int i = 0; i < kNodes; i++) {
            int64_t key = order == 0 ? i : order == 1 ? -i : static_cast<int64_t>(random());
            eioi_heap_insert(&heap, &nodes[static_cast<size_t>(i)], key);
        }
        EXPECT_EQ(CheckedCount(heap), static_cast<uint64_t>(kNodes));
        int64_t last = INT64_MIN;
        for (int i = 0; i < kNodes; i++) {
            eioi_heap_node *node = Pop(&heap);
            ASSERT_NE(node, nullptr);
            ASSERT_LE(last, node->key);
            last = node->key;
        }
        EXPECT_EQ(eioi_heap_min(&heap), nullptr);
    }
}

TEST(HeapDeathTest, InsertingANodeTwiceStopsTheProgram) {
    eioi_heap heap = {};
    eioi_heap_node node = {};
    eioi_heap_insert(&heap, &node, 1);
    EXPECT_DEATH(eioi_heap_insert(&heap, &node, 2), "the node is in a heap already");
}

TEST(HeapDeathTest, RemovingANodeOfAnotherHeapStopsTheProgram) {
    eioi_heap mine = {}, other = {};
    eioi_heap_node node = {}, a = {};
    eioi_heap_insert(&other, &node, 1);
    EXPECT_DEATH(eioi_heap_remove(&mine, &node), "the node is in another heap");
    eioi_heap_insert(&mine, &a, 1);
    EXPECT_DEATH(eioi_heap_remove(&mine, &node), "the node is in another heap");
}

} // namespace
