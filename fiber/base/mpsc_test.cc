// SPDX-License-Identifier: ISC
#include "fiber/base/mpsc.h"

#include <gtest/gtest.h>
#include <semaphore.h>

#include <atomic>
#include <cerrno>
#include <thread>
#include <vector>

namespace {

struct Item {
    eioi_mpsc_node node; // first, so that a node's address is its item's
    int producer;
    int number;
};

std::vector<int> TakeNumbers(eioi_mpsc *queue) {
    std::vector<int> numbers;
    for (eioi_mpsc_node *it = eioi_mpsc_take_all(queue); it != nullptr; it = it->next)
        numbers.push_back(reinterpret_cast<Item *>(it)->number);
    return numbers;
}

using V = std::vector<int>;

TEST(MpscTest, ANewQueueIsEmpty) {
    eioi_mpsc queue = {};
    EXPECT_FALSE(eioi_mpsc_has_any(&queue));
    EXPECT_EQ(eioi_mpsc_take_all(&queue), nullptr);
}

TEST(MpscTest, TakesEverythingOldestFirst) {
    eioi_mpsc queue = {};
    Item items[3] = {{{}, 0, 1}, {{}, 0, 2}, {{}, 0, 3}};
    for (Item &item : items)
        EXPECT_FALSE(eioi_mpsc_push(&queue, &item.node)) << "the consumer is awake";
    EXPECT_TRUE(eioi_mpsc_has_any(&queue));
    EXPECT_EQ(TakeNumbers(&queue), (V{1, 2, 3}));
    EXPECT_FALSE(eioi_mpsc_has_any(&queue));
    EXPECT_EQ(TakeNumbers(&queue), V{});
    eioi_mpsc_push(&queue, &items[1].node);
    EXPECT_EQ(TakeNumbers(&queue), V{2}) << "a node can go in again";
}

TEST(MpscTest, OnlyTheFirstPushOfASleepHasToWake) {
    eioi_mpsc queue = {};
    Item items[3] = {{{}, 0, 1}, {{}, 0, 2}, {{}, 0, 3}};
    EXPECT_TRUE(eioi_mpsc_sleep(&queue));
    EXPECT_FALSE(eioi_mpsc_has_any(&queue));
    EXPECT_TRUE(eioi_mpsc_push(&queue, &items[0].node));
    EXPECT_FALSE(eioi_mpsc_push(&queue, &items[1].node));
    EXPECT_FALSE(eioi_mpsc_push(&queue, &items[2].node));
    EXPECT_EQ(TakeNumbers(&queue), (V{1, 2, 3}));
}

TEST(MpscTest, NobodyFallsAsleepOverWaitingNodes) {
    eioi_mpsc queue = {};
    Item item = {{}, 0, 1};
    eioi_mpsc_push(&queue, &item.node);
    EXPECT_FALSE(eioi_mpsc_sleep(&queue));
    EXPECT_EQ(TakeNumbers(&queue), V{1});
    EXPECT_TRUE(eioi_mpsc_sleep(&queue));
}

TEST(MpscTest, TakingEndsSleep) {
    eioi_mpsc queue = {};
    Item item = {{}, 0, 1};
    EXPECT_TRUE(eioi_mpsc_sleep(&queue));
    EXPECT_EQ(eioi_mpsc_take_all(&queue), nullptr);
    EXPECT_FALSE(eioi_mpsc_push(&queue, &item.node)) << "awake: nothing to wake";
    EXPECT_EQ(TakeNumbers(&queue), V{1});
}

TEST(MpscTest, SleepingAgainWithoutTakingIsAsleepStill) {
    eioi_mpsc queue = {};
    Item item = {{}, 0, 1};
    EXPECT_TRUE(eioi_mpsc_sleep(&queue));
    EXPECT_TRUE(eioi_mpsc_sleep(&queue));
    EXPECT_TRUE(eioi_mpsc_push(&queue, &item.node));
}

void Wait(sem_t *sem) {
    while (sem_wait(sem) != 0)
        ASSERT_EQ(errno, EINTR);
}

// Four producers against a consumer that frees each node at once and sleeps whenever it can. Each
// sleep is ended by exactly one wake (a missing one would hang the test, one too many is counted),
// and each producer's nodes come out in order, none lost.
TEST(MpscTest, FourProducersLoseNothingAndWakeOncePerSleep) {
    constexpr int kProducers = 4;
    constexpr int kEach = 20000;
    eioi_mpsc queue = {};
    sem_t wakes;
    ASSERT_EQ(sem_init(&wakes, 0, 0), 0);
    std::atomic<int> woken{0};

    std::vector<std::thread> producers;
    for (int p = 0; p < kProducers; p++)
        producers.emplace_back([&queue, &wakes, &woken, p] {
            for (int i = 0; i < kEach; i++) {
                auto *item = new Item{{}, p, i};
                if (eioi_mpsc_push(&queue, &item->node)) {
                    woken++;
                    sem_post(&wakes);
                }
                if (i % 64 == 0)
                    std::this_thread::yield(); // lets the consumer find it empty
            }
        });

    int next[kProducers] = {};
    int taken = 0, slept = 0;
    while (taken < kProducers * kEach) {
        eioi_mpsc_node *it = eioi_mpsc_take_all(&queue);
        if (it == nullptr && eioi_mpsc_sleep(&queue)) {
            slept++;
            Wait(&wakes);
        }
        while (it != nullptr) {
            auto *item = reinterpret_cast<Item *>(it);
            it = it->next;
            EXPECT_EQ(item->number, next[item->producer]++);
            delete item;
            taken++;
        }
    }
    for (std::thread &producer : producers)
        producer.join();
    EXPECT_EQ(eioi_mpsc_take_all(&queue), nullptr);
    EXPECT_EQ(woken.load(), slept);
    int left = 0;
    sem_getvalue(&wakes, &left);
    EXPECT_EQ(left, 0);
    sem_destroy(&wakes);
}

} // namespace
