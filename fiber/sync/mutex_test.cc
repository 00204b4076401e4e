// SPDX-License-Identifier: ISC
#include "eio/mutex.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/mock_run.h"

using namespace eio_test;

namespace {

template <class F> eio_err *UseRw(eio_mutex *mutex, F &&f, bool protect = false) {
    eio_mutex_opts opts = {};
    opts.protect = protect;
    return eio_mutex_use_rw(mutex, Fn<F>::Call, Fn<F>::Arg(f), &opts);
}
template <class F> eio_err *UseRo(eio_mutex *mutex, F &&f) {
    return eio_mutex_use_ro(mutex, Fn<F>::Call, Fn<F>::Arg(f));
}

class MutexTest : public EioTest {
  protected:
    template <class F> void Run(F f) {
        RunMock([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(eio_mutex_create(sw, &mutex_));
            return f(sw);
        });
    }
    eio_err *ForkUser(eio_switch *sw, const char *name) {
        return Fork(sw, [this, name]() -> eio_err * {
            eio_traceln("%s: waits", name);
            EIO_TRY(eio_mutex_lock(mutex_));
            eio_traceln("%s: has it", name);
            EIO_TRY(eio_fiber_yield());
            eio_traceln("%s: gives it back", name);
            eio_mutex_unlock(mutex_);
            return nullptr;
        });
    }
    bool TryLock() {
        bool locked = false;
        EXPECT_OK(eio_mutex_try_lock(mutex_, &locked));
        return locked;
    }

    eio_mutex *mutex_ = nullptr;
};

TEST_F(MutexTest, OneHasItAtATimeInTheOrderInWhichTheyCame) {
    Run([&](eio_switch *sw) -> eio_err * {
        for (const char *name : {"a", "b", "c"})
            EIO_TRY(ForkUser(sw, name));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +a: waits
      +a: has it
      +b: waits
      +c: waits
      +a: gives it back
      +b: has it
      +b: gives it back
      +c: has it
      +c: gives it back
      - : unit = ()
    )");
}

TEST_F(MutexTest, TryLockTakesAFreeOneOnly) {
    Run([&](eio_switch *) -> eio_err * {
        EXPECT_TRUE(TryLock());
        EXPECT_FALSE(TryLock());
        eio_mutex_unlock(mutex_);
        EXPECT_TRUE(TryLock());
        eio_mutex_unlock(mutex_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(MutexTest, UnlockingGivesItToWhoWaitsAndNobodyOvertakes) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex_));
        EIO_TRY(ForkUser(sw, "a"));
        eio_mutex_unlock(mutex_);
        EXPECT_FALSE(TryLock());
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

TEST_F(MutexTest, AFreeOneIsTakenAlsoWhenCancelled) {
    Run([&](eio_switch *) -> eio_err * {
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            EIO_TRY(eio_mutex_lock(mutex_));
            eio_mutex_unlock(mutex_);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(MutexTest, ACancelledWaiterIsOutOfTheQueue) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex_));
        EIO_TRY(ForkUser(sw, "a"));
        EIO_TRY(First([&] { return eio_mutex_lock(mutex_); },
                      [] { return static_cast<eio_err *>(nullptr); }));
        EIO_TRY(ForkUser(sw, "b"));
        eio_mutex_unlock(mutex_);
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

TEST_F(MutexTest, WhoWasGivenItHasItEvenIfCancelledBeforeItRuns) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex_));
        eio_cancel *cc_of_waiter = nullptr;
        EIO_TRY(Fork(sw, [&] {
            return CancelSub([&](eio_cancel *cc) -> eio_err * {
                cc_of_waiter = cc;
                EIO_TRY(eio_mutex_lock(mutex_));
                eio_traceln("has it, and is cancelled: %d", eio_fiber_is_cancelled());
                eio_mutex_unlock(mutex_);
                return nullptr;
            });
        }));
        eio_mutex_unlock(mutex_);
        eio_cancel_cancel(cc_of_waiter, eio_err_failure("too late"));
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +has it, and is cancelled: 1
      - : unit = ()
    )");
}

// --- Use, and poison -----------------------------------------------------------------------------

TEST_F(MutexTest, AUseHoldsItUntilItEnds) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&] {
            return UseRw(mutex_, []() -> eio_err * {
                eio_traceln("writes");
                EIO_TRY(eio_fiber_yield());
                eio_traceln("has written");
                return nullptr;
            });
        }));
        return UseRo(mutex_, []() -> eio_err * {
            eio_traceln("reads");
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
      +writes
      +has written
      +reads
      - : unit = ()
    )");
}

TEST_F(MutexTest, AFailedWriterPoisonsItForAll) {
    Run([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EXPECT_ERR_TEXT(UseRw(mutex_,
                                  []() -> eio_err * {
                                      EIO_TRY(eio_fiber_yield());
                                      return eio_err_failure("half-way");
                                  }),
                            "Failure(\"half-way\")");
            return nullptr;
        }));
        EIO_TRY(Fork(sw, [&]() -> eio_err * {
            EXPECT_ERR_TEXT(eio_mutex_lock(mutex_), "Poisoned(\"Failure(\\\"half-way\\\")\")");
            eio_traceln("was waiting");
            return nullptr;
        }));
        EIO_TRY(eio_fiber_yield());
        bool locked;
        EXPECT_ERR(eio_mutex_try_lock(mutex_, &locked), &eio_err_poisoned);
        EXPECT_ERR(UseRo(mutex_, [] { return static_cast<eio_err *>(nullptr); }),
                   &eio_err_poisoned);
        return UseRw(mutex_, [] { return static_cast<eio_err *>(nullptr); });
    });
    EXPECT_TRACE(R"x(
      +was waiting
      Exception: Poisoned "Failure(\"half-way\")".
    )x");
}

TEST_F(MutexTest, AFailedReaderPoisonsNothing) {
    Run([&](eio_switch *) -> eio_err * {
        EXPECT_ERR_TEXT(UseRo(mutex_, [] { return eio_err_failure("x"); }), "Failure(\"x\")");
        return UseRw(mutex_, [] { return static_cast<eio_err *>(nullptr); });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_F(MutexTest, ACancelledWriterPoisonsIt) {
    Run([&](eio_switch *) -> eio_err * {
        EXPECT_ERR_TEXT(Both([&] { return UseRw(mutex_, [] { return eio_fiber_await_cancel(); }); },
                             [] { return eio_err_failure("x"); }),
                        "Failure(\"x\")");
        return eio_mutex_lock(mutex_);
    });
    EXPECT_TRACE(R"x(
      Exception: Poisoned "Cancelled: Failure(\"x\")".
    )x");
}

TEST_F(MutexTest, AProtectedWriterIsNotCancelledAndPoisonsNothing) {
    Run([&](eio_switch *) -> eio_err * {
        auto write = []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("written, and is cancelled: %d", eio_fiber_is_cancelled());
            return nullptr;
        };
        EXPECT_ERR_TEXT(
            Both([&] { return UseRw(mutex_, write, true); }, [] { return eio_err_failure("x"); }),
            "Failure(\"x\")");
        EIO_TRY(eio_mutex_lock(mutex_));
        eio_mutex_unlock(mutex_);
        return nullptr;
    });
    EXPECT_TRACE(R"(
      +written, and is cancelled: 0
      - : unit = ()
    )");
}

TEST_F(MutexTest, ACancelledWaitForAWritersTurnPoisonsNothing) {
    Run([&](eio_switch *) -> eio_err * {
        EIO_TRY(eio_mutex_lock(mutex_));
        auto write = [&] { return UseRw(mutex_, [] { return static_cast<eio_err *>(nullptr); }); };
        EIO_TRY(First(write, [] { return static_cast<eio_err *>(nullptr); }));
        eio_mutex_unlock(mutex_);
        return eio_mutex_lock(mutex_);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

using MutexDeathTest = MutexTest;

TEST_F(MutexDeathTest, UnlockingWhatNobodyHoldsStopsTheProgram) {
    EXPECT_DEATH(Run([&](eio_switch *) -> eio_err * {
                     eio_mutex_unlock(mutex_);
                     return nullptr;
                 }),
                 "a mutex was unlocked that nobody holds");
}

} // namespace
