// SPDX-License-Identifier: ISC
// What holds for every call that suspends, whenever it is cancelled: before it, while it waits, at
// the moment at which it completes, and after. Nothing is lost and nothing happens twice: what one
// call didn't take, the next one gets.

#include "tests/conformance/op_test.h"

namespace eio_test {
namespace {

class CancelTest : public OpTest {
  protected:
    /// As `RunOp`, for ops that can be completed.
    template <class F> void RunCompletable(F &&body) {
        RunOp([&](Op *op, const eio_env *env) -> eio_err * {
            return op->CanComplete() ? body(op, env) : nullptr;
        });
    }

    /// How many completions nobody has taken: a busy machine may take its time for those that are
    /// `expected`.
    static eio_err *Outstanding(Op *op, const eio_env *env, int expected, int *out) {
        for (*out = 0;; ++*out) {
            const int64_t patience = *out < expected ? 5 * EIO_SECOND : 20 * EIO_MILLISECOND;
            eio_err *err =
                TimeoutRun(eio_timeout_ns(env->mono_clock, patience), [&] { return op->Run(); });
            if (eio_err_catch(&err, &eio_err_timeout))
                return nullptr;
            EIO_TRY(err);
        }
    }

    /// `err` is NULL or Cancelled; counts the NULLs.
    static void Count(eio_err *err, int *successes) {
        if (err == nullptr)
            ++*successes;
        else
            EXPECT_ERR(err, &eio_err_cancelled);
    }
};

INSTANTIATE_TEST_SUITE_P(Ops, CancelTest, ::testing::ValuesIn(OpRows()), NameOfRow);

TEST_P(CancelTest, ItWaitsAndCompletes) {
    RunCompletable([&](Op *op, const eio_env *env) {
        bool done = false;
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(op->Run());
                done = true;
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(Settle(env));
                EXPECT_FALSE(done) << "it was to wait";
                op->Complete();
                return nullptr;
            });
    });
}

TEST_P(CancelTest, WhatIsThereAlreadyIsHadAfterATurn) {
    RunCompletable([&](Op *op, const eio_env *env) -> eio_err * {
        op->Complete();
        EIO_TRY(Settle(env));
        int turns = 0;
        bool done = false;
        return Both(
            [&]() -> eio_err * {
                EIO_TRY(op->Run());
                done = true;
                if (!op->InMemory()) {
                    EXPECT_GT(turns, 0) << "others had no turn";
                }
                return nullptr;
            },
            [&]() -> eio_err * {
                while (!done) {
                    turns++;
                    EIO_TRY(eio_fiber_yield());
                }
                return nullptr;
            });
    });
}

TEST_P(CancelTest, InACancelledContextItIsCancelledAtOnceAndTakesNothing) {
    RunOp([&](Op *op, const eio_env *env) -> eio_err * {
        int completes = 0;
        for (int round = 0; round < 2; round++) { // with nothing there, and with something
            if (round == 1 && op->CanComplete() && !op->InMemory()) {
                op->Complete();
                completes++;
                EIO_TRY(Settle(env));
            } else if (round == 1) {
                break;
            }
            int turns = 0;
            bool done = false;
            EIO_TRY(Both(
                [&]() -> eio_err * {
                    EXPECT_ERR_TEXT(CancelSub([&](eio_cancel *cc) {
                                        eio_cancel_cancel(cc, eio_err_failure("x"));
                                        eio_err *err = op->Run();
                                        if (!op->InMemory()) {
                                            EXPECT_EQ(turns, 0) << "it suspended";
                                        }
                                        return err;
                                    }),
                                    "Cancelled: Failure(\"x\")");
                    done = true;
                    return nullptr;
                },
                [&]() -> eio_err * {
                    while (!done) {
                        turns++;
                        EIO_TRY(eio_fiber_yield());
                    }
                    return nullptr;
                }));
        }
        int outstanding = 0;
        if (op->CanComplete() && op->Counts())
            EIO_TRY(Outstanding(op, env, completes, &outstanding));
        EXPECT_EQ(outstanding, op->Counts() ? completes : 0);
        return nullptr;
    });
}

TEST_P(CancelTest, WhileItWaitsItIsCancelledAndTakesNothing) {
    RunOp([&](Op *op, const eio_env *env) -> eio_err * {
        for (int yields = 0; yields < 4; yields++) {
            EXPECT_ERR_TEXT(CancelSub([&](eio_cancel *cc) {
                                return Both([&] { return op->Run(); },
                                            [&]() -> eio_err * {
                                                for (int i = 0; i < yields; i++)
                                                    EIO_TRY(eio_fiber_yield());
                                                eio_cancel_cancel(cc, eio_err_failure("x"));
                                                return nullptr;
                                            });
                            }),
                            "Cancelled: Failure(\"x\")");
        }
        EXPECT_ERR_TEXT(CancelSub([&](eio_cancel *cc) {
                            return Both([&] { return op->Run(); },
                                        [&]() -> eio_err * {
                                            EIO_TRY(Settle(env));
                                            eio_cancel_cancel(cc, eio_err_failure("late"));
                                            return nullptr;
                                        });
                        }),
                        "Cancelled: Failure(\"late\")");
        if (!op->CanComplete())
            return nullptr;
        op->Complete();
        return op->Run();
    });
}

TEST_P(CancelTest, CompletedAndCancelledAtOnceNothingIsLostOrDoneTwice) {
    RunCompletable([&](Op *op, const eio_env *env) -> eio_err * {
        int successes = 0, completes = 0;
        for (int i = 0; i < 24; i++) {
            const bool complete_first = i % 2 == 0;
            const int yields = i / 4;
            eio_err *err = CancelSub([&](eio_cancel *cc) {
                return Both([&] { return op->Run(); },
                            [&]() -> eio_err * {
                                if (i % 3 != 0) // while it waits, or when it has hardly begun
                                    EIO_TRY(Settle(env));
                                if (complete_first)
                                    op->Complete();
                                for (int j = 0; j < yields; j++)
                                    eio_err_drop(Protect([] { return eio_fiber_yield(); }));
                                eio_cancel_cancel(cc, eio_err_failure("x"));
                                if (!complete_first) {
                                    for (int j = 0; j < yields; j++)
                                        eio_err_drop(Protect([] { return eio_fiber_yield(); }));
                                    op->Complete();
                                }
                                completes++;
                                return nullptr;
                            });
            });
            Count(err, &successes);
        }
        if (!op->Counts())
            return nullptr;
        int outstanding;
        EIO_TRY(Outstanding(op, env, completes - successes, &outstanding));
        EXPECT_EQ(successes + outstanding, completes);
        return nullptr;
    });
}

TEST_P(CancelTest, ACancelAfterItHasReturnedChangesNothing) {
    RunCompletable([&](Op *op, const eio_env *env) -> eio_err * {
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_err *result = eio_err_failure("never set");
            eio_err *err = Both(
                [&]() -> eio_err * {
                    eio_err_drop(result);
                    result = op->Run();
                    eio_cancel_cancel(cc, eio_err_failure("x"));
                    return nullptr;
                },
                [&]() -> eio_err * {
                    EIO_TRY(Settle(env));
                    op->Complete();
                    return nullptr;
                });
            EXPECT_OK(err);
            return result;
        });
    });
}

TEST_P(CancelTest, ProtectedItIsOutOfReach) {
    RunCompletable([&](Op *op, const eio_env *env) -> eio_err * {
        return CancelSub([&](eio_cancel *cc) {
            return Both([&] { return Protect([&] { return op->Run(); }); },
                        [&]() -> eio_err * {
                            EIO_TRY(Settle(env));
                            eio_cancel_cancel(cc, eio_err_failure("x"));
                            EIO_TRY(Protect([&] { return Settle(env); }));
                            op->Complete();
                            return nullptr;
                        });
        });
    });
}

TEST_P(CancelTest, ATimeOutOfAnyLengthLosesNothing) {
    RunCompletable([&](Op *op, const eio_env *env) -> eio_err * {
        int successes = 0, completes = 0;
        for (int i = 0; i <= 12; i++) {
            // The last one has all the time it wants, so that one at least succeeds.
            const eio_timeout timeout =
                i < 12 ? eio_timeout_ns(env->mono_clock, i * 50 * EIO_MICROSECOND)
                       : eio_timeout_none();
            eio_err *err = TimeoutRun(timeout, [&] {
                return Both([&] { return op->Run(); },
                            [&]() -> eio_err * {
                                eio_err_drop(Protect([&] {
                                    return eio_mono_clock_sleep(env->mono_clock,
                                                                300 * EIO_MICROSECOND);
                                }));
                                op->Complete();
                                completes++;
                                return nullptr;
                            });
            });
            if (!eio_err_catch(&err, &eio_err_timeout))
                Count(err, &successes);
        }
        if (!op->Counts())
            return nullptr;
        int outstanding;
        EIO_TRY(Outstanding(op, env, 1 - successes, &outstanding));
        // When the time was over the result of a call that succeeded was dropped with it, so it
        // can't be counted.
        EXPECT_LE(successes + outstanding, completes);
        EXPECT_GE(successes + outstanding, 1);
        return nullptr;
    });
}

// --- Calls that never wait long enough to be a row -----------------------------------------------

class YieldTest : public AnyTest {};
EIO_ON_ALL_BACKENDS(YieldTest);

TEST_P(YieldTest, CancelledBeforeItHasItsTurnAndThenSaysSo) {
    EXPECT_OK(EvalAny([&](eio_switch *, const eio_env *) {
        int turns = 0;
        return Both(
            [&] {
                return CancelSub([&](eio_cancel *cc) -> eio_err * {
                    eio_cancel_cancel(cc, eio_err_failure("x"));
                    EXPECT_ERR_TEXT(eio_fiber_check(), "Cancelled: Failure(\"x\")");
                    EXPECT_TRUE(eio_fiber_is_cancelled());
                    EXPECT_EQ(turns, 0) << "the check suspended";
                    EXPECT_ERR_TEXT(eio_fiber_yield(), "Cancelled: Failure(\"x\")");
                    EXPECT_EQ(turns, 1) << "others had no turn";
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                turns++;
                return nullptr;
            });
    }));
}

TEST_P(YieldTest, CancelledMeanwhileItSaysSoAfterItsTurn) {
    EXPECT_OK(EvalAny([&](eio_switch *, const eio_env *) {
        eio_cancel *to_cancel = nullptr;
        bool other = false;
        return Both(
            [&] {
                return CancelSub([&](eio_cancel *cc) -> eio_err * {
                    to_cancel = cc;
                    EXPECT_ERR_TEXT(eio_fiber_yield(), "Cancelled: Failure(\"x\")");
                    EXPECT_TRUE(other) << "others had no turn";
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                eio_cancel_cancel(to_cancel, eio_err_failure("x"));
                other = true;
                return nullptr;
            });
    }));
}

TEST_P(YieldTest, ProtectedItIsOutOfReach) {
    EXPECT_OK(EvalAny([&](eio_switch *, const eio_env *) {
        return CancelSub([&](eio_cancel *cc) {
            eio_cancel_cancel(cc, eio_err_failure("x"));
            return Protect([] { return eio_fiber_yield(); });
        });
    }));
}

} // namespace
} // namespace eio_test
