// SPDX-License-Identifier: ISC
#include <gtest/gtest.h>

#include <cstdlib>

#include "eio/condition.h"
#include "eio/mutex.h"
#include "eio/promise.h"
#include "eio/semaphore.h"
#include "eio/stream.h"
#include "fiber/base/alloc.h"
#include "fiber/base/mpsc.h"
#include "tests/explorer/domain.h"
#include "tests/explorer/explore.h"
#include "tests/explorer/mistakes.h"

extern "C" {
void *explored_malloc(size_t size);
}

namespace {

using namespace explorer;
using Threads = std::vector<std::function<void()>>;
using Outcomes = std::set<std::string>;

void Nothing() {}

/// Every order, none of which fails; returns what came out.
Outcomes All(const Threads &threads, const std::function<void()> &before,
             const std::function<void()> &after = Nothing) {
    Explorer explorer;
    int64_t live = eioi_live_objects();
    explorer.Run(threads, before, [&] {
        Check(eioi_live_objects() == live, "an object is left");
        after();
    });
    EXPECT_EQ(explorer.failure, "");
    EXPECT_TRUE(explorer.complete);
    printf("%llu executions, at most %llu operations; %llu more were cut; %zu outcomes\n",
           static_cast<unsigned long long>(explorer.executions),
           static_cast<unsigned long long>(explorer.depth),
           static_cast<unsigned long long>(explorer.cut), explorer.outcomes.size());
    return explorer.outcomes;
}

/// What takes minutes is run when EIO_EXPLORE_ALL is set, as CI does.
bool Everything() {
    return getenv("EIO_EXPLORE_ALL") != nullptr;
}
#define ONLY_WITH_EVERYTHING() \
    if (!Everything())         \
    GTEST_SKIP() << "set EIO_EXPLORE_ALL to run it"

// --- The explorer itself -------------------------------------------------------------------------

std::string FailureOf(const Threads &threads, const std::function<void()> &before,
                      const std::function<void()> &after = Nothing) {
    Explorer explorer;
    explorer.Run(threads, before, after);
    return explorer.failure;
}

TEST(Explorer, FindsAMissingRelease) {
    mistake m;
    auto reader = [&m] {
        int data;
        if (mistake_read(&m, &data))
            Note("read");
    };
    auto clear = [&m] { m = {}; };
    EXPECT_NE(FailureOf({[&m] { mistake_publish_relaxed(&m); }, reader}, clear)
                  .find("a read that no write is ordered before"),
              std::string::npos);
    EXPECT_EQ(All({[&m] { mistake_publish(&m); }, reader}, clear), (Outcomes{"", "read"}));
}

TEST(Explorer, FindsALostWakeUp) {
    mistake m;
    Event event;
    EXPECT_NE(FailureOf({[&] {
                             if (mistake_wake_too_early(&m))
                                 event.Set();
                         },
                         [&] {
                             if (mistake_sleep(&m))
                                 event.Wait();
                         }},
                        [&] {
                            m = {};
                            event = {};
                        })
                  .find("waits for ever"),
              std::string::npos);
}

TEST(Explorer, FindsALostCount) {
    mistake m;
    auto count = [&m] { mistake_count(&m); };
    EXPECT_NE(FailureOf(
                  {count, count}, [&m] { m = {}; }, [&m] { Check(m.count == 2, "count"); }),
              "");
}

TEST(Explorer, FindsADoubleFree) {
    int *counted = nullptr;
    Event made[2];
    auto make = [&] {
        counted = static_cast<int *>(explored_malloc(sizeof *counted));
        *counted = 2;
        made[0].Set();
        mistake_unref(&counted);
    };
    auto other = [&] {
        made[0].Wait();
        mistake_unref(&counted);
    };
    EXPECT_NE(FailureOf({make, other}, [&] { made[0] = {}; }).find("after it was freed"),
              std::string::npos);
}

TEST(Explorer, ItsReductionLosesNoOutcome) {
    eioi_mpsc queue;
    eioi_mpsc_node nodes[3];
    auto name_of = [&nodes](const eioi_mpsc_node *node) {
        return std::string(1, static_cast<char>('a' + (node - nodes)));
    };
    const Threads threads = {
        [&] { eioi_mpsc_push(&queue, &nodes[0]); }, [&] { eioi_mpsc_push(&queue, &nodes[1]); },
        [&] {
            std::string first = eioi_mpsc_sleep(&queue) ? "sleeps " : "";
            Note(first);
            for (auto *n = eioi_mpsc_take_all(&queue); n != nullptr; n = n->next)
                Note(name_of(n));
        }};
    auto clear = [&] { queue = {}; };
    Explorer each, reduced;
    each.reduced = false;
    each.Run(threads, clear, Nothing);
    reduced.Run(threads, clear, Nothing);
    EXPECT_TRUE(each.complete && reduced.complete);
    EXPECT_EQ(each.outcomes, reduced.outcomes);
    EXPECT_GT(reduced.outcomes.size(), 5U);
    EXPECT_LT(reduced.executions * 5, each.executions);
    printf("%llu executions instead of %llu\n", static_cast<unsigned long long>(reduced.executions),
           static_cast<unsigned long long>(each.executions));
}

// --- The many-to-one queue -----------------------------------------------------------------------

struct QueueWorld {
    struct Item {
        eioi_mpsc_node node; // first
        int producer, number;
    };
    eioi_mpsc queue;
    Event poked;
    Item items[2][4];
    int wakes;

    void Clear() {
        queue = {};
        poked = {};
        wakes = 0;
    }
    void Produce(int producer, int count) {
        for (int i = 0; i < count; i++) {
            Item *item = &items[producer][i];
            item->producer = producer;
            item->number = i;
            if (eioi_mpsc_push(&queue, &item->node))
                poked.Set();
        }
    }
    /// As the loop does, until `count` items have come.
    void Consume(int count) {
        int next[2] = {0, 0};
        for (int got = 0; got < count;) {
            if (eioi_mpsc_sleep(&queue)) {
                poked.Wait();
                Note("s");
            }
            auto *node = eioi_mpsc_take_all(&queue);
            while (node != nullptr) {
                auto *item = reinterpret_cast<Item *>(node);
                node = node->next;
                Check(item->number == next[item->producer]++, "first in, first out");
                item->number = -1; // nobody else looks at it any more
                got++;
            }
        }
        Check(!eioi_mpsc_has_any(&queue), "everything was taken");
    }
};

TEST(Mpsc, TwoProducersAndAConsumerThatSleeps) {
    QueueWorld world;
    All({[&] { world.Produce(0, 1); }, [&] { world.Produce(1, 1); }, [&] { world.Consume(2); }},
        [&] { world.Clear(); });
}

TEST(Mpsc, ProducersOfTwoAndOneAndAConsumerThatSleeps) {
    ONLY_WITH_EVERYTHING();
    QueueWorld world;
    All({[&] { world.Produce(0, 2); }, [&] { world.Produce(1, 1); }, [&] { world.Consume(3); }},
        [&] { world.Clear(); });
}

TEST(Mpsc, AProducerOfFourAndAConsumerThatSleeps) {
    QueueWorld world;
    All({[&] { world.Produce(0, 4); }, [&] { world.Consume(4); }}, [&] { world.Clear(); });
}

// --- Promises ------------------------------------------------------------------------------------

struct PromiseWorld {
    eio_promise *promise;
    eio_promise_resolver *resolver;
    Event made[2];
    int value;

    void Clear() {
        promise = nullptr;
        made[0] = made[1] = {};
    }
    /// In the first domain; `users` others get a reference.
    void Make(eio_switch *sw, int users) {
        eio_err_drop(eio_promise_create(sw, &promise, &resolver));
        for (int i = 0; i < users; i++) {
            eio_promise_ref(promise);
            made[i].Set();
        }
    }
    eio_err *Await() {
        void *got = nullptr;
        EIO_TRY(eio_promise_await(promise, &got));
        Check(got == &value, "the value that was given");
        return nullptr;
    }
    /// In another thread, with a reference.
    void Resolve(int user) {
        made[user].Wait();
        if (eio_promise_try_resolve(resolver, &value))
            Note(std::to_string(user));
        eio_promise_unref(promise);
    }
};

TEST(Promise, ResolvedByAnotherThread) {
    PromiseWorld world;
    EXPECT_EQ(All({[&] {
                       Domain([&](eio_switch *sw) -> eio_err * {
                           world.Make(sw, 1);
                           return world.Await();
                       });
                   },
                   [&] { world.Resolve(0); }},
                  [&] { world.Clear(); }),
              (Outcomes{"0"}));
}

TEST(Promise, OfTwoThreadsOneResolvesIt) {
    PromiseWorld world;
    EXPECT_EQ(All({[&] {
                       Domain([&](eio_switch *sw) -> eio_err * {
                           world.Make(sw, 2);
                           return world.Await();
                       });
                   },
                   [&] { world.Resolve(0); }, [&] { world.Resolve(1); }},
                  [&] { world.Clear(); }),
              (Outcomes{"0", "1"}));
}

TEST(Promise, CancelledWhileItIsResolved) {
    PromiseWorld world;
    EXPECT_EQ(All({[&] {
                       Domain([&](eio_switch *sw) -> eio_err * {
                           world.Make(sw, 1);
                           if (WasCancelled([&] { return world.Await(); }))
                               Note("cancelled ");
                           return nullptr;
                       });
                   },
                   [&] { world.Resolve(0); }},
                  [&] { world.Clear(); }),
              (Outcomes{"0", "cancelled 0"}));
}

TEST(Promise, TwoDomainsWait) {
    PromiseWorld world;
    All({[&] {
             Domain([&](eio_switch *sw) -> eio_err * {
                 world.Make(sw, 2);
                 return world.Await();
             });
         },
         [&] {
             world.made[0].Wait();
             Domain([&](eio_switch *) { return world.Await(); });
             eio_promise_unref(world.promise);
         },
         [&] { world.Resolve(1); }},
        [&] { world.Clear(); });
}

// --- Streams -------------------------------------------------------------------------------------

/// Objects of the first domain, which ends when the others say so.
struct SharedWorld {
    PromiseWorld done[2];
    Event made[2];
    eio_stream *stream;
    eio_semaphore *semaphore;
    eio_mutex *mutex;
    eio_condition *condition;
    int inside, taken;
    int items[4];

    void Clear() {
        for (int i = 0; i < 2; i++) {
            done[i].Clear();
            made[i] = {};
        }
        inside = taken = 0;
    }
    template <class F> void First(size_t number, int others, F body) {
        Domain([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(eio_stream_create(sw, number, &stream));
            EIO_TRY(eio_semaphore_create(sw, number, &semaphore));
            EIO_TRY(eio_mutex_create(sw, &mutex));
            EIO_TRY(eio_condition_create(sw, &condition));
            for (int i = 0; i < others; i++) {
                done[i].Make(sw, 1);
                made[i].Set();
            }
            EIO_TRY(body());
            for (int i = 0; i < others; i++)
                EIO_TRY(done[i].Await());
            return nullptr;
        });
    }
    template <class F> void Other(int i, F body) {
        made[i].Wait();
        Domain([&](eio_switch *) -> eio_err * { return body(); });
        done[i].made[0].Wait();
        eio_promise_resolve(done[i].resolver, &done[i].value);
        eio_promise_unref(done[i].promise);
    }
    eio_err *Add(int from, int count) {
        for (int i = from; i < from + count; i++)
            EIO_TRY(eio_stream_add(stream, &items[i]));
        return nullptr;
    }
    eio_err *Take(int count) {
        for (int i = 0; i < count; i++) {
            void *item;
            EIO_TRY(eio_stream_take(stream, &item));
            auto number = static_cast<int *>(item) - items;
            Check(number >= 0 && number < 4 && (taken >> number & 1) == 0, "each item comes once");
            taken |= 1 << number;
        }
        return nullptr;
    }
};

void StreamBetweenTwo(size_t capacity, int count) {
    SharedWorld world;
    All(
        {[&] { world.First(capacity, 1, [&] { return world.Take(count); }); },
         [&] { world.Other(0, [&] { return world.Add(0, count); }); }},
        [&] { world.Clear(); }, [&] { Check(world.taken == (1 << count) - 1, "every item"); });
}

TEST(Stream, OfOneBetweenTwoDomains) {
    StreamBetweenTwo(1, 2);
}

TEST(Stream, HandOverBetweenTwoDomains) {
    StreamBetweenTwo(0, 1);
}

TEST(Stream, TwoHandOversBetweenTwoDomains) {
    ONLY_WITH_EVERYTHING();
    StreamBetweenTwo(0, 2);
}

TEST(Stream, FourItemsBetweenTwoDomains) {
    ONLY_WITH_EVERYTHING();
    StreamBetweenTwo(2, 4);
}

TEST(Stream, TwoDomainsAddAndOneTakes) {
    ONLY_WITH_EVERYTHING();
    SharedWorld world;
    All(
        {[&] { world.First(1, 2, [&] { return world.Take(2); }); },
         [&] { world.Other(0, [&] { return world.Add(0, 1); }); },
         [&] { world.Other(1, [&] { return world.Add(1, 1); }); }},
        [&] { world.Clear(); }, [&] { Check(world.taken == 3, "both items"); });
}

TEST(Stream, ATakerIsCancelledWhileAnItemComes) {
    SharedWorld world;
    EXPECT_EQ(All(
                  {[&] {
                       world.First(0, 1, [&]() -> eio_err * {
                           if (!WasCancelled([&] { return world.Take(1); }))
                               return nullptr;
                           Note("cancelled");
                           return world.Take(1);
                       });
                   },
                   [&] { world.Other(0, [&] { return world.Add(0, 1); }); }},
                  [&] { world.Clear(); }, [&] { Check(world.taken == 1, "the item"); }),
              (Outcomes{"", "cancelled"}));
}

// --- Semaphores, mutexes, conditions -------------------------------------------------------------

TEST(Semaphore, OfOneBetweenTwoDomains) {
    SharedWorld world;
    auto turn = [&]() -> eio_err * {
        EIO_TRY(eio_semaphore_acquire(world.semaphore));
        Check(world.inside++ == 0, "one at a time");
        world.inside--;
        eio_semaphore_release(world.semaphore);
        return nullptr;
    };
    All({[&] { world.First(1, 1, turn); }, [&] { world.Other(0, turn); }}, [&] { world.Clear(); });
}

TEST(Semaphore, AWaiterIsCancelledWhileItsTurnComes) {
    SharedWorld world;
    EXPECT_EQ(All({[&] {
                       world.First(0, 1, [&]() -> eio_err * {
                           auto acquire = [&] { return eio_semaphore_acquire(world.semaphore); };
                           if (WasCancelled(acquire)) {
                               Note("cancelled");
                               return acquire();
                           }
                           return nullptr;
                       });
                   },
                   [&] {
                       world.Other(0, [&]() -> eio_err * {
                           eio_semaphore_release(world.semaphore);
                           return nullptr;
                       });
                   }},
                  [&] { world.Clear(); }),
              (Outcomes{"", "cancelled"}));
}

TEST(Mutex, BetweenTwoDomains) {
    SharedWorld world;
    auto turn = [&]() -> eio_err * {
        EIO_TRY(eio_mutex_lock(world.mutex));
        Check(world.inside++ == 0, "one at a time");
        EIO_TRY(eio_fiber_yield());
        world.inside--;
        eio_mutex_unlock(world.mutex);
        return nullptr;
    };
    All({[&] { world.First(0, 1, turn); }, [&] { world.Other(0, turn); }}, [&] { world.Clear(); });
}

TEST(Condition, ABroadcastIsntMissedBetweenLookAndWait) {
    SharedWorld world;
    All({[&] {
             world.First(0, 1, [&]() -> eio_err * {
                 auto is_done = [](void *arg, bool *out) -> eio_err * {
                     *out = __atomic_load_n(&static_cast<SharedWorld *>(arg)->inside,
                                            __ATOMIC_RELAXED) == 1;
                     return nullptr;
                 };
                 return eio_condition_loop_no_mutex(world.condition, is_done, &world);
             });
         },
         [&] {
             world.Other(0, [&]() -> eio_err * {
                 world.inside = 1;
                 eio_condition_broadcast(world.condition);
                 return nullptr;
             });
         }},
        [&] { world.Clear(); });
}

} // namespace
