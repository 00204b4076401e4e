// SPDX-License-Identifier: ISC
#include "eio/semaphore.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

class SemaphoreTest : public EioTest {
  protected:
    eio_err *Create(eio_switch *sw, size_t count) { return eio_semaphore_create(sw, count, &sem_); }
    /// A fiber that takes one, says so, and after a turn gives it back.
    eio_err *ForkUser(eio_switch *sw, const char *name) {
        return Fork(sw, [this, name]() -> eio_err * {
            eio_traceln("%s: waits", name);
            EIO_TRY(eio_semaphore_acquire(sem_));
            eio_traceln("%s: has it", name);
            EIO_TRY(eio_fiber_yield());
            eio_traceln("%s: gives it back", name);
            eio_semaphore_release(sem_);
            return nullptr;
        });
    }

    eio_semaphore *sem_ = nullptr;
};

TEST_F(SemaphoreTest, SoManyHaveItAtATimeInTheOrderInWhichTheyCame) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 2));
        for (const char *name : {"a", "b", "c", "d"})
            EIO_TRY(ForkUser(sw, name));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +a: waits
      +a: has it
      +b: waits
      +b: has it
      +c: waits
      +d: waits
      +a: gives it back
      +b: gives it back
      +c: has it
      +d: has it
      +c: gives it back
      +d: gives it back
      - : unit = ()
    )");
}

TEST_F(SemaphoreTest, TheValueCountsWhatCanBeHad) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 2));
        EXPECT_EQ(eio_semaphore_value(sem_), 2u);
        EIO_TRY(eio_semaphore_acquire(sem_));
        EXPECT_TRUE(eio_semaphore_try_acquire(sem_));
        EXPECT_FALSE(eio_semaphore_try_acquire(sem_));
        EXPECT_EQ(eio_semaphore_value(sem_), 0u);
        for (int i = 0; i < 3; i++)
            eio_semaphore_release(sem_);
        EXPECT_EQ(eio_semaphore_value(sem_), 3u);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(SemaphoreTest, AReleaseGoesToWhoWaitsAndNobodyOvertakes) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 0));
        EIO_TRY(ForkUser(sw, "a"));
        eio_semaphore_release(sem_);
        EXPECT_EQ(eio_semaphore_value(sem_), 0u);
        EXPECT_FALSE(eio_semaphore_try_acquire(sem_));
        EIO_TRY(ForkUser(sw, "b"));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +a: waits
      +b: waits
      +a: has it
      +a: gives it back
      +b: has it
      +b: gives it back
      - : unit = ()
    )");
}

TEST_F(SemaphoreTest, AnAvailableOneIsTakenWithoutATurnAlsoWhenCancelled) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 1));
        EIO_TRY(Fork(sw, []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("another fiber");
            return nullptr;
        }));
        EIO_TRY(CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            return eio_semaphore_acquire(sem_);
        }));
        eio_traceln("has it");
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +has it
      +another fiber
      - : unit = ()
    )");
}

TEST_F(SemaphoreTest, ACancelledFiberThatHasToWaitIsCancelledAfterATurn) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 0));
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("released");
            eio_semaphore_release(sem_);
            return nullptr;
        }));
        eio_err *err = CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            return eio_semaphore_acquire(sem_);
        });
        EXPECT_EQ(eio_semaphore_value(sem_), 1u);
        return err;
    });
    EXPECT_TRACE(R"(
      +released
      Exception: Cancelled: Failure("x")
    )");
}

TEST_F(SemaphoreTest, ACancelledWaiterLeavesItsPlaceToTheNext) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 0));
        EIO_TRY(ForkUser(sw, "a"));
        eio_err *err = First([&] { return eio_semaphore_acquire(sem_); },
                             [] { return static_cast<eio_err *>(nullptr); });
        EIO_TRY(err);
        EIO_TRY(ForkUser(sw, "c"));
        eio_semaphore_release(sem_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +a: waits
      +c: waits
      +a: has it
      +a: gives it back
      +c: has it
      +c: gives it back
      - : unit = ()
    )");
}

TEST_F(SemaphoreTest, WhoWasGivenItHasItEvenIfCancelledBeforeItRuns) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Create(sw, 0));
        eio_cancel *cc_of_waiter = nullptr;
        EIO_TRY(Fork(sw, [&] {
            return CancelSub([&](eio_cancel *cc) -> eio_err * {
                cc_of_waiter = cc;
                EIO_TRY(eio_semaphore_acquire(sem_));
                eio_traceln("has it, and is cancelled: %d", eio_fiber_is_cancelled());
                return nullptr;
            });
        }));
        eio_semaphore_release(sem_);
        eio_cancel_cancel(cc_of_waiter, eio_err_failure("too late"));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +has it, and is cancelled: 1
      - : unit = ()
    )");
}

using SemaphoreDeathTest = SemaphoreTest;

TEST_F(SemaphoreDeathTest, ASwitchCannotEndWhileAFiberOfAnotherWaits) {
    EXPECT_DEATH(RunMock([&](eio_switch *sw) -> eio_err * {
                     return SwitchRun([&](eio_switch *inner) -> eio_err * {
                         EIO_TRY(Create(inner, 0));
                         return Fork(sw, [&] { return eio_semaphore_acquire(sem_); });
                     });
                 }),
                 "a switch ended while fibers waited for its semaphore");
}

} // namespace
