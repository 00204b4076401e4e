// SPDX-License-Identifier: ISC
// Several domains at once: promises and wakes that go from thread to thread. Each is a race that TSan watches.
#include <atomic>
#include <deque>
#include <thread>

#include "fiber/testing.h"

using namespace eio_test;

namespace {

class RemoteTest : public EioTest {};

constexpr size_t kRounds =
    (kSanitized ? kCrossDomainRounds.sanitized : kCrossDomainRounds.plain) / 10;

/// A thread with a loop of its own that other threads wake.
class Domain {
  public:
    template <class F> explicit Domain(F f) {
        loop_.ExpectPokes();
        thread_ = std::thread([this, f]() mutable { err_ = loop_.Run(f); });
    }
    ~Domain() {
        thread_.join();
        EXPECT_OK(err_);
    }

  private:
    TestLoop loop_;
    std::thread thread_;
    eio_err *err_ = nullptr;
};

/// Promises that belong to no switch any more, one reference for each user.
class Promises {
  public:
    Promises(size_t count, int users) : users_(users) {
        EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
            for (size_t i = 0; i < count; i++) {
                Pair p;
                EIO_TRY(eio_promise_create(sw, &p.promise, &p.resolver));
                for (int user = 0; user < users; user++)
                    eio_promise_ref(p.promise);
                all_.push_back(p);
            }
            return nullptr;
        }));
    }
    ~Promises() {
        for (const Pair &p : all_)
            for (int user = 0; user < users_; user++)
                eio_promise_unref(p.promise);
    }
    eio_promise *operator[](size_t i) const { return all_[i].promise; }
    eio_promise_resolver *Resolver(size_t i) const { return all_[i].resolver; }

  private:
    struct Pair {
        eio_promise *promise;
        eio_promise_resolver *resolver;
    };
    std::vector<Pair> all_;
    int users_;
};

TEST_F(RemoteTest, TwoDomainsAnswerEachOther) {
    const Promises ping(kRounds, 1), pong(kRounds, 1);
    static int values[kRounds];
    {
        Domain a([&]() -> eio_err * {
            for (size_t i = 0; i < kRounds; i++) {
                values[i] = static_cast<int>(i);
                eio_promise_resolve(ping.Resolver(i), &values[i]);
                EIO_TRY(eio_promise_await(pong[i], nullptr));
            }
            return nullptr;
        });
        Domain b([&]() -> eio_err * {
            for (size_t i = 0; i < kRounds; i++) {
                void *value = nullptr;
                EIO_TRY(eio_promise_await(ping[i], &value));
                if (*static_cast<int *>(value) != static_cast<int>(i))
                    return eio_err_failure("round %zu brought another value", i);
                eio_promise_resolve(pong.Resolver(i), nullptr);
            }
            return nullptr;
        });
    }
}

TEST_F(RemoteTest, OnePromiseWakesManyFibersOfManyDomains) {
    const Promises promises(1, 1);
    std::atomic<int> waiting{0}, woken{0};
    {
        auto crowd = [&]() -> eio_err * {
            return ForEach(100, 0, [&](size_t) -> eio_err * {
                waiting++;
                eio_err *err = eio_promise_await(promises[0], nullptr);
                if (eio_err_catch(&err, &eio_err_failure_kind))
                    woken++;
                return err;
            });
        };
        Domain a(crowd), b(crowd), c(crowd);
        while (waiting < 150) // some wait, some are still to come
            std::this_thread::yield();
        eio_promise_resolve_error(promises.Resolver(0), eio_err_failure("for all of you"));
    }
    EXPECT_EQ(woken, 300);
}

// Whoever comes first wins, and the awaiter hears of one of the two. In a third of the rounds the cancel surely comes
// first, in a third the resolve does, in a third they race.
TEST_F(RemoteTest, AResolveAndACancelRaceAndOneOfThemWins) {
    const Promises promises(kRounds, 2);
    std::atomic<size_t> round{0}, answer{0}, asked{0};
    size_t resolved = 0, cancelled = 0;
    auto reach = [](const std::atomic<size_t> &value, size_t least) {
        while (value < least)
            std::this_thread::yield();
    };
    {
        Domain awaiter([&]() -> eio_err * {
            for (size_t i = 0; i < kRounds; i++) {
                eio_err *err = CancelSub([&](eio_cancel *cc) {
                    return Both([&] { return eio_promise_await(promises[i], nullptr); },
                                [&]() -> eio_err * {
                                    round = i + 1;
                                    reach(answer, i + 1);
                                    while (i % 3 == 1 && !eio_promise_is_resolved(promises[i]))
                                        std::this_thread::yield();
                                    eio_cancel_cancel(cc, eio_err_failure("stop"));
                                    asked = i + 1;
                                    return nullptr;
                                });
                });
                ++(err == nullptr ? resolved : cancelled);
                if (err != nullptr && !eio_err_catch(&err, &eio_err_cancelled))
                    return err;
                EIO_TRY(eio_promise_await(promises[i], nullptr)); // it will be resolved in any case
            }
            return nullptr;
        });
        for (size_t i = 0; i < kRounds; i++) {
            reach(round, i + 1);
            answer = i + 1;
            if (i % 3 == 0)
                reach(asked, i + 1);
            eio_promise_resolve(promises.Resolver(i), nullptr);
        }
    }
    EXPECT_EQ(resolved + cancelled, kRounds);
    EXPECT_GE(resolved, kRounds / 3);
    EXPECT_GE(cancelled, kRounds / 3);
    printf("%zu resolved, %zu cancelled\n", resolved, cancelled);
}

TEST_F(RemoteTest, OnlyOneOfManyResolversWins) {
    const Promises promises(kRounds, 4);
    std::atomic<int> won{0};
    std::atomic<size_t> ready[kRounds];
    for (auto &r : ready)
        r = 0;
    auto race = [&] {
        for (size_t i = 0; i < kRounds; i++) {
            ready[i]++;
            while (ready[i] < 3)
                std::this_thread::yield();
            won += eio_promise_try_resolve(promises.Resolver(i), nullptr);
        }
    };
    {
        Domain awaiter([&]() -> eio_err * {
            for (size_t i = 0; i < kRounds; i++)
                EIO_TRY(eio_promise_await(promises[i], nullptr));
            return nullptr;
        });
        std::thread a(race), b(race), c(race);
        a.join();
        b.join();
        c.join();
    }
    EXPECT_EQ(static_cast<size_t>(won), kRounds);
}

/// Waits that other threads end.
class Mailbox {
  public:
    void Put(eioi_waiter *w) {
        std::lock_guard<std::mutex> hold(mutex_);
        waiters_.push_back(w);
        cond_.notify_one();
    }
    void Close() {
        std::lock_guard<std::mutex> hold(mutex_);
        closed_ = true;
        cond_.notify_all();
    }
    /// NULL when it is closed and empty.
    eioi_waiter *Take() {
        std::unique_lock<std::mutex> hold(mutex_);
        cond_.wait(hold, [this] { return closed_ || !waiters_.empty(); });
        if (waiters_.empty())
            return nullptr;
        eioi_waiter *w = waiters_.front();
        waiters_.pop_front();
        return w;
    }

  private:
    std::mutex mutex_;
    std::condition_variable cond_;
    std::deque<eioi_waiter *> waiters_;
    bool closed_ = false;
};

eio_err *WaitFor(Mailbox *mailbox) {
    eioi_waiter w;
    eioi_waiter_init(&w, "another thread");
    mailbox->Put(&w); // from here on it may be ended, before it has begun
    return eioi_wait(&w, nullptr);
}

void Stress(size_t domains, size_t fibers, size_t rounds, size_t wakers) {
    Mailbox mailbox;
    std::atomic<size_t> woken{0};
    std::vector<std::thread> threads;
    for (size_t i = 0; i < wakers; i++) {
        threads.emplace_back([&, i] {
            while (eioi_waiter *w = mailbox.Take())
                eioi_wake_remote(w, i % 2 == 0 ? nullptr : eio_err_failure("an error, too"));
        });
    }
    {
        std::deque<Domain> all;
        for (size_t d = 0; d < domains; d++) {
            all.emplace_back([&]() -> eio_err * {
                return ForEach(fibers, 0, [&](size_t) -> eio_err * {
                    for (size_t i = 0; i < rounds; i++) {
                        eio_err *err = WaitFor(&mailbox);
                        (void)eio_err_catch(&err, &eio_err_failure_kind);
                        EIO_TRY(err);
                        woken++;
                    }
                    return nullptr;
                });
            });
        }
        all.clear(); // waits for them
        mailbox.Close();
    }
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(woken, domains * fibers * rounds);
}

// With one fiber the loop sleeps each time: no wake-up may be lost.
TEST_F(RemoteTest, ALoopThatSleepsIsWokenEachTime) {
    Stress(1, 1, kRounds, 1);
}

TEST_F(RemoteTest, ManyThreadsWakeManyFibers) {
    Stress(1, 100, kRounds / 50, 3);
}

TEST_F(RemoteTest, ManyThreadsWakeManyFibersOfManyDomains) {
    Stress(3, 50, kRounds / 50, 3);
}

TEST_F(RemoteTest, ARemoteWakersErrorIsReturnedByTheWait) {
    Mailbox mailbox;
    std::thread waker([&] { eioi_wake_remote(mailbox.Take(), eio_err_failure("from afar")); });
    std::string got;
    {
        Domain domain([&]() -> eio_err * {
            got = TakeText(WaitFor(&mailbox));
            return nullptr;
        });
    }
    waker.join();
    EXPECT_EQ(got, "Failure(\"from afar\")");
}

// A domain's last fiber ends as soon as it is woken, but the loop not before the waker is on its way out.
TEST_F(RemoteTest, ALoopOutlivesThePokeThatWokeIt) {
    Mailbox mailbox;
    std::atomic<bool> ended{false};
    std::atomic<int> too_early{0};
    std::thread waker([&] {
        while (eioi_waiter *w = mailbox.Take())
            eioi_wake_any(w, nullptr);
    });
    for (size_t i = 0; i < kRounds; i++) {
        auto loop = std::make_unique<TestLoop>();
        loop->ExpectPokes();
        ended = false;
        loop->on_poke = [&] {
            std::this_thread::yield(); // one: on a busy machine each takes long
            for (int look = 0; look < 20000 && !ended;
                 look++) { // time enough for a loop that would end
            }
            too_early += ended;
        };
        EXPECT_OK(loop->Run([&]() -> eio_err * { return WaitFor(&mailbox); }));
        ended = true;
    }
    mailbox.Close();
    waker.join();
    EXPECT_EQ(too_early, 0);
}

// A wake-up costs a system call only when the other side sleeps, which this one never does.
TEST_F(RemoteTest, ALoopThatIsAwakeIsNotPoked) {
    Promises promises(kRounds, 2);
    TestLoop loop;
    loop.ExpectPokes();
    std::atomic<size_t> pokes{0};
    loop.on_poke = [&] { pokes++; };
    std::atomic<bool> started{false};
    std::thread waker([&] {
        while (!started)
            std::this_thread::yield();
        for (size_t i = 0; i < kRounds; i++)
            eio_promise_resolve(promises.Resolver(i), nullptr);
    });
    bool done = false;
    EXPECT_OK(loop.Run([&] {
        return Both(
            [&]() -> eio_err * {
                while (!done) {
                    EIO_TRY(eio_fiber_yield());
                    started = true;
                }
                return nullptr;
            },
            [&]() -> eio_err * {
                for (size_t i = 0; i < kRounds; i++)
                    EIO_TRY(eio_promise_await(promises[i], nullptr));
                done = true;
                return nullptr;
            });
    }));
    waker.join();
    EXPECT_EQ(pokes, 0u);
}

TEST_F(RemoteTest, AnyWakeFindsTheRightWay) {
    Mailbox mailbox;
    std::thread waker([&] {
        eioi_waiter *w = mailbox.Take();
        EXPECT_FALSE(eioi_waiter_is_local(w));
        eioi_wake_any(w, nullptr);
    });
    {
        Domain domain([&]() -> eio_err * {
            EIO_TRY(WaitFor(&mailbox));
            eioi_waiter w;
            eioi_waiter_init(&w, "this thread");
            EXPECT_TRUE(eioi_waiter_is_local(&w));
            eioi_wake_any(&w, nullptr);
            return eioi_wait(&w, nullptr);
        });
    }
    waker.join();
}

// Each domain has its own fibers, stacks and locals; nothing is shared but the numbering.
TEST_F(RemoteTest, DomainsWorkSideBySide) {
    std::atomic<size_t> sum{0};
    {
        auto work = [&]() -> eio_err * {
            for (size_t i = 0; i < kRounds / 20; i++) {
                EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
                    for (int f = 0; f < 20; f++) {
                        EIO_TRY(Fork(sw, [&]() -> eio_err * {
                            EIO_TRY(eio_fiber_yield());
                            sum++;
                            return nullptr;
                        }));
                    }
                    return nullptr;
                }));
            }
            return nullptr;
        };
        Domain a(work), b(work), c(work);
    }
    EXPECT_EQ(sum, 3 * (kRounds / 20) * 20);
}

} // namespace
