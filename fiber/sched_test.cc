// SPDX-License-Identifier: ISC
// The run queue: who is next, and when. (Loops, threads and deadlocks: loop_test.cc.)
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class SchedTest : public EioTest {};

/// A fiber that says its name now and once more after its next turn.
eio_err *ForkTwice(eio_switch *sw, const char *name) {
    return Fork(sw, [name]() -> eio_err * {
        eio_traceln("%s", name);
        EIO_TRY(eio_fiber_yield());
        eio_traceln("%s again", name);
        return nullptr;
    });
}

/// A fiber that says what it got from a promise.
eio_err *ForkAwait(eio_switch *sw, const char *name, eio_promise *promise) {
    return Fork(sw, [=]() -> eio_err * {
        eio_err *err = eio_promise_await(promise, nullptr);
        eio_traceln("%s: %s", name, TakeText(err).c_str());
        return nullptr;
    });
}

// R1: a wait always gives its turn away, also when it is over before it begins.
TEST_F(SchedTest, AWaitThatIsOverAlreadyStillLetsTheOthersRun) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(ForkTwice(sw, "other"));
        eioi_waiter w;
        eioi_waiter_init(&w, "test");
        eioi_wake(&w, nullptr);
        EIO_TRY(eioi_wait(&w, nullptr));
        eio_traceln("woken");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +other
        +other again
        +woken
        - : unit = ()
    )");
}

// R1
TEST_F(SchedTest, AnErrorGivenBeforeTheWaitIsReturnedByIt) {
    RunMock([](eio_switch *) -> eio_err * {
        eioi_waiter w;
        eioi_waiter_init(&w, "test");
        eioi_wake(&w, eio_err_failure("early"));
        return eioi_wait(&w, nullptr);
    });
    EXPECT_TRACE(R"(
        Exception: Failure "early".
    )");
}

// R2
TEST_F(SchedTest, AWakePutsTheFiberLastAndDoesNotRunIt) {
    RunMock([](eio_switch *sw) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        EIO_TRY(ForkAwait(sw, "waiter", promise));
        EIO_TRY(ForkTwice(sw, "first in the queue"));
        eio_promise_resolve(resolver, nullptr);
        eio_traceln("resolved");
        EIO_TRY(ForkTwice(sw, "forked after"));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +first in the queue
        +resolved
        +forked after
        +first in the queue again
        +waiter: ok
        +forked after again
        - : unit = ()
    )");
}

// R3: a result that was given stands, whatever happens before the fiber runs.
TEST_F(SchedTest, AResultInTheQueueWinsOverALaterCancellation) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_promise *promise;
            eio_promise_resolver *resolver;
            EIO_TRY(eio_promise_create(sw, &promise, &resolver));
            EIO_TRY(ForkAwait(sw, "waiter", promise));
            eio_promise_resolve(resolver, nullptr);
            eio_switch_fail(sw, eio_err_failure("too late"));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +waiter: ok
        Exception: Failure "too late".
    )");
}

// R3: being woken ends what a cancel could call.
TEST_F(SchedTest, AWokenFiberIsNotAskedToCancel) {
    int asked = 0;
    RunMock([&](eio_switch *) -> eio_err * {
        TestWait wait;
        wait.on_cancel = [&](TestWait *, eio_err *) { asked++; };
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                eioi_waiter_init(&wait.waiter, "test");
                eio_err *err = wait.Wait();
                eio_traceln("waiter: %s", TakeText(err).c_str());
                return nullptr;
            }));
            eioi_wake(&wait.waiter, nullptr);
            eio_switch_fail(sw, eio_err_failure("too late"));
            EIO_TRY(eio_fiber_yield());
            return nullptr;
        });
    });
    EXPECT_EQ(asked, 0);
    EXPECT_TRACE(R"(
        +waiter: ok
        Exception: Failure "too late".
    )");
}

// R4
TEST_F(SchedTest, AForkRunsTheChildAtOnceAndTheParentNext) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(ForkTwice(sw, "older"));
        EIO_TRY(ForkTwice(sw, "child"));
        eio_traceln("parent");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +older
        +child
        +parent
        +older again
        +child again
        - : unit = ()
    )");
}

// R4
TEST_F(SchedTest, NestedForksUnwindLastInFirstOut) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(ForkTwice(sw, "older"));
        EIO_TRY(Fork(sw, [=]() -> eio_err * {
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                eio_traceln("C again");
                return nullptr;
            }));
            eio_traceln("B");
            EIO_TRY(eio_fiber_yield());
            eio_traceln("B again");
            return nullptr;
        }));
        eio_traceln("A");
        EIO_TRY(eio_fiber_yield());
        eio_traceln("A again");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +older
        +B
        +A
        +older again
        +C again
        +B again
        +A again
        - : unit = ()
    )");
}

// R4: the child may put something before its parent.
TEST_F(SchedTest, AForkInTheChildRunsBeforeTheParentGoesOn) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [=]() -> eio_err * {
            eio_traceln("B");
            EIO_TRY(Fork(sw, []() -> eio_err * {
                eio_traceln("C");
                return nullptr;
            }));
            eio_traceln("B ends");
            return nullptr;
        }));
        eio_traceln("A");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +B
        +C
        +B ends
        +A
        - : unit = ()
    )");
}

// R5
TEST_F(SchedTest, AnEndedFiberIsGoneFromItsContextAndTheNextOneRuns) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkTwice(sw, "first"));
            EIO_TRY(ForkTwice(sw, "second"));
            EIO_TRY(eio_fiber_yield());
            eio_strbuf dump = EIO_STRBUF_INIT;
            eio_fiber_dump(&dump);
            const std::string text = eio_strbuf_str(&dump);
            eio_strbuf_free(&dump);
            eio_traceln("%s",
                        text.find(" 1 fibers\n") != std::string::npos ? "alone" : text.c_str());
            eio_switch_fail(sw, eio_err_failure("nobody is there to be cancelled"));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +first
        +second
        +first again
        +second again
        +alone
        Exception: Failure "nobody is there to be cancelled".
    )");
}

// R6: to suspend in a cancelled fiber lets everything that is ready go first, then returns Cancelled.
void ExpectOneTurnThenCancelled(const std::function<eio_err *()> &wait) {
    RunMock([&](eio_switch *outer) -> eio_err * {
        eio_err *failed = SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkTwice(outer, "ready"));
            EIO_TRY(ForkTwice(outer, "ready too"));
            eio_switch_fail(sw, eio_err_failure("stop"));
            eio_err *err = wait();
            eio_traceln("waited: %s", TakeText(err).c_str());
            return nullptr;
        });
        eio_traceln("switch: %s", TakeText(failed).c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +ready
        +ready too
        +ready again
        +ready too again
        +waited: Cancelled: Failure("stop")
        +switch: Failure("stop")
        - : unit = ()
    )");
}

TEST_F(SchedTest, AwaitCancelInACancelledFiberTakesOneTurn) {
    ExpectOneTurnThenCancelled([] { return eio_fiber_await_cancel(); });
}

TEST_F(SchedTest, AYieldInACancelledFiberTakesOneTurn) {
    ExpectOneTurnThenCancelled([] { return eio_fiber_yield(); });
}

TEST_F(SchedTest, ASleepInACancelledFiberTakesOneTurn) {
    ExpectOneTurnThenCancelled([] { return eioi_sleep_until(EIO_SECOND); });
}

TEST_F(SchedTest, APromiseInACancelledFiberTakesOneTurn) {
    RunMock([](eio_switch *outer) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(outer, &promise, &resolver));
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                eio_err *err = eio_fiber_yield();
                // The waiter was refused before: it isn't on the promise's list.
                eio_promise_resolve(resolver, nullptr);
                eio_traceln("resolved");
                return err;
            }));
            eio_switch_fail(sw, eio_err_failure("stop"));
            eio_err *err = eio_promise_await(promise, nullptr);
            eio_traceln("waited: %s", TakeText(err).c_str());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +resolved
        +waited: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

// R6: these look at once, and let nobody run.
TEST_F(SchedTest, ChecksAndNewScopesRefuseACancelledFiberOnTheSpot) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkTwice(sw, "ready"));
            eio_switch_fail(sw, eio_err_failure("stop"));
            auto nothing = []() -> eio_err * { return eio_err_failure("was run"); };
            eio_traceln("check: %s", TakeText(eio_fiber_check()).c_str());
            eio_traceln("switch: %s", TakeText(eio_switch_check(sw)).c_str());
            eio_traceln("run: %s",
                        TakeText(SwitchRun([&](eio_switch *) { return nothing(); })).c_str());
            eio_traceln("sub: %s",
                        TakeText(CancelSub([&](eio_cancel *) { return nothing(); })).c_str());
            eio_traceln("both: %s", TakeText(Both(nothing, nothing)).c_str());
            eio_traceln("first: %s", TakeText(First(nothing, nothing)).c_str());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +ready
        +check: Cancelled: Failure("stop")
        +switch: Cancelled: Failure("stop")
        +run: Cancelled: Failure("stop")
        +sub: Cancelled: Failure("stop")
        +both: Cancelled: Failure("stop")
        +first: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

// R6, trap 5
TEST_F(SchedTest, AResolvedPromiseNeitherYieldsNorLooksAtCancellation) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_promise *promise;
            eio_promise_resolver *resolver;
            EIO_TRY(eio_promise_create(sw, &promise, &resolver));
            eio_promise_resolve(resolver, nullptr);
            EIO_TRY(ForkTwice(sw, "ready"));
            eio_switch_fail(sw, eio_err_failure("stop"));
            eio_err *err = eio_promise_await(promise, nullptr);
            eio_traceln("await: %s", TakeText(err).c_str());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +ready
        +await: ok
        Exception: Failure "stop".
    )");
}

// R7
TEST_F(SchedTest, YieldChecksAfterItsTurnAndOnlyThen) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, []() -> eio_err * {
                eio_err *err = eio_fiber_yield(); // on when it begins, cancelled when it ends
                eio_traceln("yield: %s", TakeText(err).c_str());
                return nullptr;
            }));
            eio_switch_fail(sw, eio_err_failure("stop"));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +yield: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

// R7
TEST_F(SchedTest, YieldGoesBehindEverybodyWhoIsReady) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(ForkTwice(sw, "a"));
        EIO_TRY(ForkTwice(sw, "b"));
        EIO_TRY(eio_fiber_yield());
        eio_traceln("main");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +a
        +b
        +a again
        +b again
        +main
        - : unit = ()
    )");
}

// R8, trap 4
TEST_F(SchedTest, ResolveWakesInTheOrderOfRegistrationAndGoesOn) {
    RunMock([](eio_switch *sw) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        EIO_TRY(Fork(sw, [=]() -> eio_err * {
            EIO_TRY(eio_fiber_yield()); // made first, waits last
            eio_err *err = eio_promise_await(promise, nullptr);
            eio_traceln("late: %s", TakeText(err).c_str());
            return nullptr;
        }));
        EIO_TRY(ForkAwait(sw, "one", promise));
        EIO_TRY(ForkAwait(sw, "two", promise));
        EIO_TRY(eio_fiber_yield());
        eio_promise_resolve(resolver, nullptr);
        eio_traceln("resolved");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +resolved
        +one: ok
        +two: ok
        +late: ok
        - : unit = ()
    )");
}

// Trap 16: ready fibers don't keep a timer or an event from being seen.
TEST_F(SchedTest, AFiberThatYieldsForEverStarvesNoTimer) {
    TestLoop loop;
    loop.step = EIO_MILLISECOND;
    unsigned yields = 0;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        bool slept = false;
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(eioi_sleep_until(10 * EIO_MILLISECOND));
                slept = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                for (; !slept && yields < 1000000; yields++)
                    EIO_TRY(eio_fiber_yield());
                return nullptr;
            });
    }));
    EXPECT_LT(yields, 128u * 12) << "a look every 128 resumptions, at 1 ms a look, for 10 ms";
    EXPECT_GE(loop.now, 10 * EIO_MILLISECOND) << "woken too early";
}

// Trap 16
TEST_F(SchedTest, AFiberThatYieldsForEverStarvesNoEvent) {
    TestLoop loop;
    eioi_waiter w;
    bool waits = false;
    loop.on_poll = [&] {
        if (waits && loop.polls > 5)
            eioi_wake(&w, nullptr);
        waits = waits && loop.polls <= 5;
    };
    unsigned yields = 0;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        bool done = false;
        return Both(
            [&]() -> eio_err * {
                eioi_waiter_init(&w, "event");
                waits = true;
                EIO_TRY(eioi_wait(&w, nullptr));
                done = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                for (; !done && yields < 1000000; yields++)
                    EIO_TRY(eio_fiber_yield());
                return nullptr;
            });
    }));
    EXPECT_LT(yields, 128u * 8);
}

// Trap 16: forks that never suspend count as turns, too.
TEST_F(SchedTest, AFiberThatForksForEverStarvesNoTimer) {
    TestLoop loop;
    loop.step = EIO_MILLISECOND;
    unsigned forks = 0;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            bool slept = false;
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                EIO_TRY(eioi_sleep_until(3 * EIO_MILLISECOND));
                slept = true;
                return nullptr;
            }));
            for (; !slept && forks < 100000; forks++) {
                EIO_TRY(Fork(sw, []() -> eio_err * { return nullptr; }));
                EIO_TRY(eio_fiber_yield());
            }
            return nullptr;
        });
    }));
    EXPECT_LT(forks, 128u * 5);
}

// The other side of fairness: a look costs something, and isn't taken at each turn.
TEST_F(SchedTest, TheBackendIsLookedAtOncePer128Resumptions) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        for (int i = 0; i < 1280; i++)
            EIO_TRY(eio_fiber_yield());
        return nullptr;
    }));
    EXPECT_EQ(loop.polls, 10u);
}

TEST_F(SchedTest, TimersFireInTheOrderOfTheirDeadlinesThenOfTheirArrival) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            const std::pair<const char *, int64_t> sleepers[] = {
                {"30", 30}, {"10 a", 10}, {"20", 20}, {"10 b", 10}};
            for (auto [name, deadline] : sleepers) {
                EIO_TRY(Fork(sw, [&loop, name = name, deadline = deadline]() -> eio_err * {
                    EIO_TRY(eioi_sleep_until(deadline));
                    eio_traceln("%s at %d", name, static_cast<int>(loop.now));
                    return nullptr;
                }));
            }
            return nullptr;
        });
    }));
    EXPECT_TRACE(R"(
        +10 a at 10
        +10 b at 10
        +20 at 20
        +30 at 30
    )");
}

// Those that are due together are woken a part at a time, so that each runs soon after.
TEST_F(SchedTest, ManyTimersThatAreDueFireInTheirOrderAndSomeRunBeforeTheLastIsWoken) {
    constexpr int kSleepers = 1000;
    TestLoop loop;
    std::vector<int> order;
    int turns = 0; // of one that yields, until the first sleeper runs, and until the last one does
    int first_turn = 0, last_turn = 0;
    auto run = [&]() -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (int i = 0; i < kSleepers; i++)
                EIO_TRY(Fork(sw, [&, i]() -> eio_err * {
                    EIO_TRY(eioi_sleep_until(10 + i % 2)); // the even ones first
                    if (order.empty())
                        first_turn = turns;
                    last_turn = turns;
                    order.push_back(i);
                    return nullptr;
                }));
            loop.now = 20;
            while (order.size() < kSleepers) {
                turns++;
                EIO_TRY(eio_fiber_yield());
            }
            return nullptr;
        });
    };
    EXPECT_OK(loop.Run(run));
    ASSERT_EQ(order.size(), static_cast<size_t>(kSleepers));
    for (int i = 0; i < kSleepers; i++)
        ASSERT_EQ(order[static_cast<size_t>(i)], i * 2 % kSleepers + (i >= kSleepers / 2));
    EXPECT_GT(last_turn, first_turn);
    EXPECT_EQ(eioi_live_objects(), 0);
}

TEST_F(SchedTest, ATimerFiresWhenItsTimeHasComeAndNotATickEarlier) {
    TestLoop loop;
    bool slept = false;
    auto look_again = [] {
        for (int i = 0; i < 300; i++) // more than lie between two looks at the time
            EXPECT_OK(eio_fiber_yield());
    };
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(eioi_sleep_until(10));
                slept = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                loop.now = 9;
                look_again();
                EXPECT_FALSE(slept);
                loop.now = 10;
                look_again();
                EXPECT_TRUE(slept);
                return nullptr;
            });
    }));
}

TEST_F(SchedTest, ACancelledSleepLeavesNoTimer) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        return First([] { return eioi_sleep_until(1000); }, [] { return eioi_sleep_until(10); });
    }));
    EXPECT_EQ(loop.now, 10) << "nothing waits for the loser's deadline";
}

TEST_F(SchedTest, ASleepIntoThePastTakesOneTurn) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        loop.now = 100;
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkTwice(sw, "ready"));
            EIO_TRY(eioi_sleep_until(50));
            eio_traceln("slept");
            return nullptr;
        });
    }));
    EXPECT_TRACE(R"(
        +ready
        +ready again
        +slept
    )");
    EXPECT_EQ(loop.now, 100);
}

// --- Spinning ------------------------------------------------------------------------------------

TEST_F(SchedTest, ALoopThatSpinsLooksForEventsBeforeItSleeps) {
    TestLoop loop;
    loop.step = 10;
    loop.spin_ns = 100;
    EXPECT_OK(loop.Run([] { return eioi_sleep_until(25); }));
    EXPECT_EQ(loop.sleeps, 0u);
    EXPECT_EQ(loop.now, 30);
}

TEST_F(SchedTest, ALoopThatSpinsForNothingSleeps) {
    TestLoop loop;
    loop.step = 10;
    loop.spin_ns = 100;
    EXPECT_OK(loop.Run([] { return eioi_sleep_until(1000); }));
    EXPECT_EQ(loop.sleeps, 1u);
    EXPECT_EQ(loop.now, 1000);
    EXPECT_EQ(loop.polls, 11u) << "it spins as long as it was told";
}

TEST_F(SchedTest, ALoopThatSpinsGoesOnWhileSomethingComesThatReadiesNoFiber) {
    TestLoop loop;
    loop.step = 10;
    loop.spin_ns = 100;
    loop.busy_polls = 30;
    EXPECT_OK(loop.Run([] { return eioi_sleep_until(350); }));
    EXPECT_EQ(loop.sleeps, 0u);
    EXPECT_EQ(loop.now, 350);
}

TEST_F(SchedTest, ALoopThatSpinsDoesSoAgainAfterItWasWokenForNoFiber) {
    TestLoop loop;
    loop.step = 10;
    loop.spin_ns = 100;
    loop.ExpectPokes();
    EXPECT_OK(loop.Run([&] {
        eioi_sched *sched = eioi_sched_current();
        eioi_message nothing = {};
        nothing.run = [](eioi_message *) {};
        eioi_waiter w;
        eioi_waiter_init(&w, "a poll");
        loop.on_poll = [&] {
            if (loop.polls == 11) // the first that may block
                eioi_post(sched, &nothing);
            if (loop.polls == 15)
                eioi_wake(&w, nullptr);
        };
        eio_err *err = eioi_wait(&w, nullptr);
        loop.on_poll = nullptr;
        return err;
    }));
    EXPECT_EQ(loop.polls, 15u);
    EXPECT_EQ(loop.sleeps, 1u);
}

TEST_F(SchedTest, ALoopThatDoesNotSpinSleepsAtOnce) {
    TestLoop loop;
    loop.step = 10;
    EXPECT_OK(loop.Run([] { return eioi_sleep_until(25); }));
    EXPECT_EQ(loop.sleeps, 1u);
    EXPECT_EQ(loop.now, 25);
}

} // namespace
