// SPDX-License-Identifier: ISC
#include "eio/condition.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

template <class F> eio_err *CallCheck(void *arg, bool *out_done) {
    return (*static_cast<F *>(arg))(out_done);
}
template <class F> eio_err *Loop(eio_condition *condition, F f) {
    return eio_condition_loop_no_mutex(condition, CallCheck<F>, &f);
}

class ConditionTest : public EioTest {
  protected:
    template <class F> void Run(F f) {
        RunMock([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(eio_mutex_create(sw, &mutex_));
            EIO_TRY(eio_condition_create(sw, &condition_));
            return f(sw);
        });
    }
    void Set(int x) {
        x_ = x;
        eio_traceln("x = %d", x);
        eio_condition_broadcast(condition_);
    }

    eio_mutex *mutex_ = nullptr;
    eio_condition *condition_ = nullptr;
    int x_ = 0;
};

TEST_F(ConditionTest, ABroadcastWakesAllInTheOrderInWhichTheyCame) {
    Run([&](eio_switch *sw) -> eio_err * {
        for (const char *name : {"a", "b", "c"})
            EIO_TRY(Fork(sw, [this, name]() -> eio_err * {
                EIO_TRY(eio_condition_await_no_mutex(condition_));
                eio_traceln("%s: x = %d", name, x_);
                return nullptr;
            }));
        Set(1);
        Set(2);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +x = 1
      +x = 2
      +a: x = 2
      +b: x = 2
      +c: x = 2
      - : unit = ()
    )");
}

TEST_F(ConditionTest, ABroadcastBeforeTheWaitIsNotWaitedFor) {
    Run([&](eio_switch *sw) -> eio_err * {
        Set(1);
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EIO_TRY(eio_condition_await_no_mutex(condition_));
            eio_traceln("woken with x = %d", x_);
            return nullptr;
        }));
        Set(2);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +x = 1
      +x = 2
      +woken with x = 2
      - : unit = ()
    )");
}

TEST_F(ConditionTest, OneThatWaitsAgainIsNotWokenTwice) {
    Run([&](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 2; i++)
            EIO_TRY(Fork(sw, [&, i]() -> eio_err * {
                for (int n = 1; n <= 2; n++) {
                    EIO_TRY(eio_condition_await_no_mutex(condition_));
                    eio_traceln("%d: woken %d", i, n);
                }
                return nullptr;
            }));
        eio_condition_broadcast(condition_);
        EIO_TRY(eio_fiber_yield());
        eio_traceln("again");
        eio_condition_broadcast(condition_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +0: woken 1
      +1: woken 1
      +again
      +0: woken 2
      +1: woken 2
      - : unit = ()
    )");
}

TEST_F(ConditionTest, AwaitGivesTheMutexUpAndHasItAgainAfterwards) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EIO_TRY(eio_mutex_lock(mutex_));
            eio_err *err = nullptr;
            while (err == nullptr && x_ < 2)
                err = eio_condition_await(condition_, mutex_);
            eio_traceln("got x = %d", x_);
            bool locked = false;
            EXPECT_OK(eio_mutex_try_lock(mutex_, &locked));
            EXPECT_FALSE(locked);
            eio_mutex_unlock(mutex_);
            return err;
        }));
        for (int x = 1; x <= 2; x++) {
            EIO_TRY(eio_mutex_lock(mutex_));
            Set(x);
            EIO_TRY(eio_fiber_yield()); // awake, the other waits for the mutex
            eio_traceln("unlock");
            eio_mutex_unlock(mutex_);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +x = 1
      +unlock
      +x = 2
      +unlock
      +got x = 2
      - : unit = ()
    )");
}

TEST_F(ConditionTest, ACancelledAwaitHasTheMutexAgain) {
    Run([&](eio_switch *) -> eio_err * {
        EXPECT_ERR_TEXT(Both(
                            [&]() -> eio_err * {
                                EIO_TRY(eio_mutex_lock(mutex_));
                                eio_err *err = eio_condition_await(condition_, mutex_);
                                eio_traceln("%s", Text(err).c_str());
                                eio_mutex_unlock(mutex_); // asserts that it's held
                                return err;
                            },
                            [&]() -> eio_err * {
                                EIO_TRY(eio_mutex_lock(mutex_)); // free during the wait
                                EIO_TRY(eio_fiber_yield());
                                eio_mutex_unlock(mutex_);
                                return eio_err_failure("x");
                            }),
                        "Failure(\"x\")");
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +Cancelled: Failure("x")
      - : unit = ()
    )");
}

TEST_F(ConditionTest, AFiberThatWasCancelledBeforeLetsOthersHaveTheMutexInItsTurn) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex_));
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EIO_TRY(eio_mutex_lock(mutex_));
            eio_traceln("another has it");
            eio_mutex_unlock(mutex_);
            return nullptr;
        }));
        eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            return eio_condition_await(condition_, mutex_);
        });
        eio_mutex_unlock(mutex_);
        return err;
    });
    EXPECT_TRACE(R"(
      +another has it
      Exception: Cancelled: Failure("x")
    )");
}

TEST_F(ConditionTest, APoisonedMutexIsNotHeldAfterwards) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EIO_TRY(eio_mutex_lock(mutex_));
            EXPECT_ERR(eio_condition_await(condition_, mutex_), &eio_err_poisoned);
            eio_traceln("poisoned");
            return nullptr;
        }));
        auto fail = [] { return eio_err_failure("x"); };
        EXPECT_ERR_TEXT(eio_mutex_use_rw(mutex_, Fn<decltype(fail)>::Call, &fail, nullptr),
                        "Failure(\"x\")");
        eio_condition_broadcast(condition_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +poisoned
      - : unit = ()
    )");
}

TEST_F(ConditionTest, ACancelledWaitIsOutOfTheQueue) {
    Run([&](eio_switch *) -> eio_err * {
        EIO_TRY(First([&] { return eio_condition_await_no_mutex(condition_); },
                      [] { return static_cast<eio_err *>(nullptr); }));
        eio_condition_broadcast(condition_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(ConditionTest, WhoWasWokenHasSucceededEvenIfCancelledBeforeItRuns) {
    Run([&](eio_switch *sw) -> eio_err * {
        eio_cancel *cc_of_waiter = nullptr;
        EIO_TRY(Fork(sw, [&] {
            return CancelSub([&](eio_cancel *cc) -> eio_err * {
                cc_of_waiter = cc;
                return eio_condition_await_no_mutex(condition_);
            });
        }));
        eio_condition_broadcast(condition_);
        eio_cancel_cancel(cc_of_waiter, eio_err_failure("too late"));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

// --- The loop ------------------------------------------------------------------------------------

TEST_F(ConditionTest, ALoopThatIsDoneAtOnceDoesNotWait) {
    Run([&](eio_switch *) -> eio_err * {
        return Loop(condition_, [](bool *out_done) -> eio_err * {
            *out_done = true;
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(ConditionTest, ALoopLooksAgainAfterEachBroadcastAndOnceAfterSeveral) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&] {
            return Loop(condition_, [&](bool *out_done) -> eio_err * {
                eio_traceln("sees %d", x_);
                *out_done = x_ >= 3;
                return nullptr;
            });
        }));
        Set(1);
        EIO_TRY(eio_fiber_yield());
        Set(2);
        Set(3);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +sees 0
      +x = 1
      +sees 1
      +x = 2
      +x = 3
      +sees 3
      - : unit = ()
    )");
}

TEST_F(ConditionTest, ABroadcastDuringTheLookIsNotLost) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&] {
            return Loop(condition_, [&](bool *out_done) -> eio_err * {
                int seen = x_;
                eio_traceln("sees %d", seen);
                EIO_TRY(eio_fiber_yield()); // it changes here
                *out_done = seen == 1;
                return nullptr;
            });
        }));
        Set(1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +sees 0
      +x = 1
      +sees 1
      - : unit = ()
    )");
}

TEST_F(ConditionTest, ALoopEndsWithTheErrorOfItsFunction) {
    Run([&](eio_switch *) -> eio_err * {
        return Loop(condition_, [](bool *) { return eio_err_failure("x"); });
    });
    EXPECT_TRACE(R"(
      Exception: Failure "x".
    )");
}

TEST_F(ConditionTest, ALoopCanBeCancelled) {
    Run([&](eio_switch *) -> eio_err * {
        return Both(
            [&] {
                return Loop(condition_, [](bool *) { return static_cast<eio_err *>(nullptr); });
            },
            [] { return eio_err_failure("x"); });
    });
    EXPECT_TRACE(R"(
      Exception: Failure "x".
    )");
}

} // namespace
