// SPDX-License-Identifier: ISC

// The primitives between threads, each with a loop of its own, which waits on a condition variable
// of the C++ library and has no I/O. Cancellations come at random, so that they meet wake-ups on
// their way from another thread. Under a thread sanitizer this also shows that each primitive
// orders what happens before and after it.

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "eio/condition.h"
#include "eio/mutex.h"
#include "eio/semaphore.h"
#include "eio/stream.h"
#include "tests/support/support.h"

extern "C" {
#include "fiber/sched.h"
}

using namespace eio_test;

namespace {

constexpr int kDomains = 4;
constexpr int kFibers = 4; // in each domain

/// A backend without I/O.
class Loop {
  public:
    template <class F> eio_err *Run(F f) {
        eioi_sched_opts opts = {};
        opts.ops = &Ops();
        opts.backend = this;
        return eioi_sched_run(&opts, Fn<F>::Call, &f);
    }

  private:
    static int64_t Now(void *) {
        return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }
    static void Poke(void *arg) {
        Loop *self = static_cast<Loop *>(arg);
        std::lock_guard<std::mutex> hold(self->mutex_);
        self->poked_ = true;
        self->changed_.notify_one();
    }
    static eioi_poll_result Poll(void *arg, int64_t deadline_ns) {
        Loop *self = static_cast<Loop *>(arg);
        if (deadline_ns == EIOI_POLL_NOW)
            return EIOI_POLL_OK;
        std::unique_lock<std::mutex> hold(self->mutex_);
        auto poked = [self] { return self->poked_; };
        if (deadline_ns == EIOI_POLL_FOREVER)
            self->changed_.wait(hold, poked);
        else
            self->changed_.wait_for(hold, std::chrono::nanoseconds(deadline_ns - Now(arg)), poked);
        self->poked_ = false;
        return EIOI_POLL_OK;
    }
    static const eioi_backend_ops &Ops() {
        static const eioi_backend_ops ops = [] {
            eioi_backend_ops made = {};
            made.name = "threads";
            made.poll = Poll;
            made.poke = Poke;
            made.now = Now;
            return made;
        }();
        return ops;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool poked_ = false;
};

using Rng = std::minstd_rand;

/// In one domain, `setup(sw)`; then, in kDomains domains, kFibers fibers each of
/// `work(number, rng)`; then `check()`.
template <class Setup, class Work, class Check>
void RunStress(Setup setup, Work work, Check check) {
    std::atomic<int> started{0};
    auto run_fibers = [&](int domain) {
        for (started++; started < kDomains;)
            std::this_thread::yield();
        return ForEach(kFibers, 0, [&, domain](size_t i) -> eio_err * {
            int number = domain * kFibers + static_cast<int>(i);
            Rng rng(static_cast<unsigned>(number) + 1);
            return work(number, rng);
        });
    };
    Loop first;
    EXPECT_OK(first.Run([&] {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(setup(sw));
            eio_promise *done;
            eio_promise_resolver *set_done;
            EIO_TRY(eio_promise_create(sw, &done, &set_done));
            std::atomic<int> running{kDomains - 1};
            std::vector<std::thread> threads;
            for (int d = 1; d < kDomains; d++)
                threads.emplace_back([&, d] {
                    Loop loop;
                    EXPECT_OK(loop.Run([&] { return run_fibers(d); }));
                    if (--running == 0)
                        eio_promise_resolve(set_done, nullptr);
                });
            eio_err *err = run_fibers(0);
            err = eio_err_combine(err, eio_promise_await(done, nullptr));
            for (std::thread &thread : threads)
                thread.join();
            check();
            return err;
        });
    }));
}

/// Runs `op`, and cancels it after some turns, unless it has ended. Whether it has succeeded, `op`
/// knows.
template <class F> eio_err *Cancelling(Rng &rng, F op) {
    unsigned turns = rng() % 4;
    return First(op, [turns]() -> eio_err * {
        for (unsigned i = 0; i < turns; i++)
            EIO_TRY(eio_fiber_yield());
        return nullptr;
    });
}

/// Does `op` again and again until it has succeeded; often it's cancelled.
template <class F> eio_err *Insist(Rng &rng, F op) {
    bool succeeded = false;
    while (!succeeded && rng() % 2 == 0)
        EIO_TRY(Cancelling(rng, [&]() -> eio_err * {
            EIO_TRY(op());
            succeeded = true;
            return nullptr;
        }));
    return succeeded ? nullptr : op();
}

class SyncStressTest : public EioTest {};

TEST_F(SyncStressTest, ASemaphoreNeverLetsTooManyInAndLosesNone) {
    constexpr int kCount = 3, kRounds = 3000;
    eio_semaphore *sem = nullptr;
    std::atomic<int> inside{0}, entered{0};
    RunStress([&](eio_switch *sw) { return eio_semaphore_create(sw, kCount, &sem); },
              [&](int, Rng &rng) -> eio_err * {
                  for (int i = 0; i < kRounds; i++) {
                      EIO_TRY(Insist(rng, [&] { return eio_semaphore_acquire(sem); }));
                      EXPECT_LE(++inside, kCount);
                      entered++;
                      if (rng() % 2 == 0)
                          EIO_TRY(eio_fiber_yield());
                      inside--;
                      eio_semaphore_release(sem);
                  }
                  return nullptr;
              },
              [&] {
                  EXPECT_EQ(entered, kDomains * kFibers * kRounds);
                  EXPECT_EQ(eio_semaphore_value(sem), static_cast<size_t>(kCount));
              });
}

TEST_F(SyncStressTest, AMutexLetsOneInAtATime) {
    constexpr int kRounds = 3000;
    eio_mutex *mutex = nullptr;
    long counter = 0; // not atomic: the mutex guards it
    RunStress([&](eio_switch *sw) { return eio_mutex_create(sw, &mutex); },
              [&](int, Rng &rng) -> eio_err * {
                  for (int i = 0; i < kRounds; i++) {
                      EIO_TRY(Insist(rng, [&] { return eio_mutex_lock(mutex); }));
                      long before = counter;
                      if (rng() % 2 == 0)
                          EIO_TRY(eio_fiber_yield());
                      counter = before + 1;
                      eio_mutex_unlock(mutex);
                  }
                  return nullptr;
              },
              [&] { EXPECT_EQ(counter, long{kDomains} * kFibers * kRounds); });
}

TEST_F(SyncStressTest, APoisonedMutexWakesAllWaitersOfAllDomains) {
    for (int round = 0; round < 20; round++) {
        eio_mutex *mutex = nullptr;
        std::atomic<int> poisoned{0};
        RunStress([&](eio_switch *sw) { return eio_mutex_create(sw, &mutex); },
                  [&](int number, Rng &) -> eio_err * {
                      auto body = [number]() -> eio_err * {
                          EIO_TRY(eio_fiber_yield());
                          return number == 5 ? eio_err_failure("x") : nullptr;
                      };
                      for (;;) {
                          eio_err *err =
                              eio_mutex_use_rw(mutex, Fn<decltype(body)>::Call, &body, nullptr);
                          if (err == nullptr)
                              continue;
                          poisoned += eio_err_is(err, &eio_err_poisoned);
                          eio_err_drop(err);
                          return nullptr;
                      }
                  },
                  [&] { EXPECT_EQ(poisoned, kDomains * kFibers - 1); });
    }
}

TEST_F(SyncStressTest, AConditionLosesNoWakeUp) {
    constexpr int kRounds = 1000;
    eio_condition *changed = nullptr;
    std::atomic<int> turn{0};
    // The fibers go round in turn: each waits for its own. A lost wake-up would stop them all.
    RunStress([&](eio_switch *sw) { return eio_condition_create(sw, &changed); },
              [&](int number, Rng &) -> eio_err * {
                  for (int i = 0; i < kRounds; i++) {
                      auto mine = [&](bool *out_done) -> eio_err * {
                          *out_done = turn == i * kDomains * kFibers + number;
                          return nullptr;
                      };
                      auto call = [](void *arg, bool *out_done) {
                          return (*static_cast<decltype(mine) *>(arg))(out_done);
                      };
                      EIO_TRY(eio_condition_loop_no_mutex(changed, call, &mine));
                      turn++;
                      eio_condition_broadcast(changed);
                  }
                  return nullptr;
              },
              [&] { EXPECT_EQ(turn, kDomains * kFibers * kRounds); });
}

TEST_F(SyncStressTest, AConditionWithItsMutexLosesNoWakeUp) {
    constexpr int kRounds = 300;
    eio_condition *changed = nullptr;
    eio_mutex *mutex = nullptr;
    int turn = 0; // not atomic: the mutex guards it
    RunStress(
        [&](eio_switch *sw) -> eio_err * {
            EIO_TRY(eio_mutex_create(sw, &mutex));
            return eio_condition_create(sw, &changed);
        },
        [&](int number, Rng &rng) -> eio_err * {
            for (int i = 0; i < kRounds; i++) {
                EIO_TRY(eio_mutex_lock(mutex));
                while (turn != i * kDomains * kFibers + number) {
                    // A wait that is cancelled has the mutex again, too.
                    eio_err *err =
                        rng() % 4 != 0
                            ? eio_condition_await(changed, mutex)
                            : Cancelling(rng, [&] { return eio_condition_await(changed, mutex); });
                    EIO_TRY(err);
                }
                turn++;
                eio_condition_broadcast(changed);
                eio_mutex_unlock(mutex);
            }
            return nullptr;
        },
        [&] { EXPECT_EQ(turn, kDomains * kFibers * kRounds); });
}

/// What is sent: who made it, and a number that only grows.
struct Message {
    int from;
    int serial;
};

void StreamStress(size_t capacity) {
    constexpr int kRounds = 3000, kPairs = kDomains * kFibers / 2;
    eio_stream *stream = nullptr;
    std::vector<std::vector<Message>> messages(kPairs);
    for (int from = 0; from < kPairs; from++)
        for (int serial = 0; serial < kRounds; serial++)
            messages[static_cast<size_t>(from)].push_back({from, serial});
    std::atomic<long> sum{0};
    auto produce = [&](int from, Rng &rng) -> eio_err * {
        for (Message &message : messages[static_cast<size_t>(from)])
            EIO_TRY(Insist(rng, [&] { return eio_stream_add(stream, &message); }));
        return nullptr;
    };
    auto consume = [&](Rng &rng) -> eio_err * {
        std::vector<int> last(kPairs, -1); // of each producer, what this consumer has seen
        for (int i = 0; i < kRounds; i++) {
            void *item = nullptr;
            if (rng() % 4 != 0 || !eio_stream_take_nonblocking(stream, &item))
                EIO_TRY(Insist(rng, [&] { return eio_stream_take(stream, &item); }));
            const Message *message = static_cast<Message *>(item);
            int &seen = last[static_cast<size_t>(message->from)];
            EXPECT_LT(seen, message->serial) << "out of order";
            seen = message->serial;
            sum += message->serial;
        }
        return nullptr;
    };
    RunStress([&](eio_switch *sw) { return eio_stream_create(sw, capacity, &stream); },
              [&](int number, Rng &rng) {
                  return number % 2 == 0 ? produce(number / 2, rng) : consume(rng);
              },
              [&] {
                  EXPECT_EQ(sum, long{kPairs} * kRounds * (kRounds - 1) / 2)
                      << "an item was lost, or came twice";
                  EXPECT_TRUE(eio_stream_is_empty(stream));
              });
}

TEST_F(SyncStressTest, ARendezvousLosesNothing) {
    StreamStress(0);
}
TEST_F(SyncStressTest, AStreamOfOneLosesNothing) {
    StreamStress(1);
}
TEST_F(SyncStressTest, AStreamOfSeveralLosesNothing) {
    StreamStress(7);
}

} // namespace
