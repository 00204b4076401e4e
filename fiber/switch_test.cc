// SPDX-License-Identifier: ISC
// Scopes: what a switch waits for, how it fails, and what it does at its end.
#include "fiber/macro_probe.h"
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class SwitchTest : public EioTest {};

eio_err *Stop() {
    return eio_err_failure("stop");
}

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

TEST_F(SwitchTest, ASwitchWaitsForItsFibers) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(SwitchRun([](eio_switch *sw) -> eio_err * {
            for (int i = 0; i < 2; i++) {
                EIO_TRY(Fork(sw, [i]() -> eio_err * {
                    for (int turns = 0; turns <= i; turns++)
                        EIO_TRY(eio_fiber_yield());
                    eio_traceln("fiber %d ends", i);
                    return nullptr;
                }));
            }
            return Say("function ends");
        }));
        return Say("switch ends");
    });
    EXPECT_TRACE(R"(
        +function ends
        +fiber 0 ends
        +fiber 1 ends
        +switch ends
        - : unit = ()
    )");
}

TEST_F(SwitchTest, TheFunctionsErrorCancelsTheFibers) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [] {
                eio_err *err = eio_fiber_await_cancel();
                eio_traceln("fiber: %s", Text(err).c_str());
                return err;
            }));
            return Stop();
        });
    });
    EXPECT_TRACE(R"(
        +fiber: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(SwitchTest, AFibersErrorCancelsTheFunctionAndItsSiblings) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [] {
                eio_err *err = eio_fiber_await_cancel();
                Say("sibling");
                return err;
            }));
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Stop();
            }));
            eio_err *err = eio_fiber_await_cancel();
            Say("function");
            return err;
        });
    });
    EXPECT_TRACE(R"(
        +function
        +sibling
        Exception: Failure "stop".
    )");
}

TEST_F(SwitchTest, FailReturnsAtOnceAndTheCallerGoesOn) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_traceln("%s", Text(eio_switch_error(sw)).c_str());
            eio_switch_fail(sw, Stop());
            eio_traceln("%s", Text(eio_switch_error(sw)).c_str());
            eio_traceln("%s", TakeText(eio_switch_check(sw)).c_str());
            EIO_TRY(Fork(sw, [] { return Say("never run"); })); // a fork on a switch that is off
            return Say("clean up");
        });
    });
    EXPECT_TRACE(R"(
        +ok
        +Failure("stop")
        +Cancelled: Failure("stop")
        +clean up
        Exception: Failure "stop".
    )");
}

// Trap 17: the same constant is the same error.
TEST_F(SwitchTest, TheSameConstantTwiceIsOneError) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both([] { return eio_err_const(&eio_err_exit); },
                    [] { return eio_err_const(&eio_err_exit); });
    });
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_switch_fail(sw, eio_err_const(&eio_err_exit));
            return eio_err_const(&eio_err_exit);
        });
    });
    EXPECT_TRACE(R"(
        Exception: Stdlib.Exit.
        Exception: Stdlib.Exit.
    )");
}

// Trap 17: Cancelled never hides another error, whichever comes first.
TEST_F(SwitchTest, CancelledNeverHidesAnotherError) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [] {
                return CancelSub([](eio_cancel *cc) -> eio_err * {
                    eio_cancel_cancel(cc, eio_err_failure("inside"));
                    return eio_fiber_check(); // a Cancelled that fails the switch
                });
            }));
            return Stop();
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "stop".
    )");
}

TEST_F(SwitchTest, ACancelledThatIsTheOnlyErrorIsTheError) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            return Fork(sw, [] { return eio_err_cancelled_new(Stop()); });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("stop")
    )");
}

/// A fiber that ends with an error of its own when it is cancelled.
eio_err *ForkStubborn(eio_switch *sw, const char *text) {
    return Fork(sw, [text]() -> eio_err * {
        eio_err_drop(eio_fiber_await_cancel());
        return eio_err_failure("%s", text);
    });
}

// Trap 18
TEST_F(SwitchTest, SeveralErrorsAreCombinedAndPrintedOldestFirst) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkStubborn(sw, "second"));
            EIO_TRY(ForkStubborn(sw, "third"));
            return eio_err_failure("first");
        });
    });
    EXPECT_TRACE(R"(
        Exception:
        Multiple exceptions:
        - Failure("first")
        - Failure("second")
        - Failure("third")
    )");
}

// Trap 18: a Multiple that comes second is an element, with what was there before.
TEST_F(SwitchTest, AMultipleThatComesSecondIsNested) {
    eio_err *err = EvalMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [] {
                return SwitchRun([](eio_switch *inner) -> eio_err * {
                    EIO_TRY(ForkStubborn(inner, "inner fiber"));
                    eio_err_drop(eio_fiber_await_cancel());
                    return eio_err_failure("inner function");
                });
            }));
            return eio_err_failure("outer");
        });
    });
    ASSERT_TRUE(eio_err_is(err, &eio_err_multiple));
    ASSERT_EQ(eio_err_child_count(err), 2u);
    EXPECT_EQ(Text(eio_err_child(err, 0)), "Failure(\"outer\")");
    EXPECT_EQ(eio_err_child_count(eio_err_child(err, 1)), 2u);
    eio_err_drop(err);
}

// Trap 18
TEST_F(SwitchTest, IoErrorsMakeAMultipleIo) {
    eio_err *err = EvalMock([](eio_switch *) -> eio_err * {
        auto io = [] { return eio_err_backend(&eio_err_fs_not_found, "detail"); };
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_switch_fail(sw, io());
            return io();
        });
    });
    EXPECT_EQ(eio_err_kind_of(err), &eio_err_multiple_io);
    EXPECT_EQ(eio_err_child_count(err), 2u);
    eio_err_drop(err);
}

// Trap 13
TEST_F(SwitchTest, ASwitchThatWasOnlyCancelledFromAboveReturnsNormally) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            EIO_TRY(SwitchRun([cc](eio_switch *sw) -> eio_err * {
                eio_cancel_cancel(cc, Stop());
                eio_traceln("%s", TakeText(eio_switch_check(sw)).c_str());
                eio_traceln("%s", Text(eio_switch_error(sw)).c_str());
                return nullptr;
            }));
            return Say("returned");
        });
    });
    EXPECT_TRACE(R"(
        +Cancelled: Failure("stop")
        +ok
        +returned
        - : unit = ()
    )");
}

TEST_F(SwitchTest, RunInACancelledFiberDoesNotCallTheFunction) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, Stop());
            return SwitchRun([](eio_switch *) { return Say("called"); });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("stop")
    )");
}

TEST_F(SwitchTest, RunProtectedIsOutOfReachOfTheScopesAround) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, Stop());
            EIO_TRY(SwitchRunProtected([](eio_switch *sw) -> eio_err * {
                EIO_TRY(Fork(sw, []() -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    return Say("forked inside");
                }));
                return eio_fiber_yield();
            }));
            return eio_fiber_check();
        });
    });
    EXPECT_TRACE(R"(
        +forked inside
        Exception: Cancelled: Failure("stop")
    )");
}

// Trap 11: the final wait can't be cancelled.
TEST_F(SwitchTest, TheFinalWaitIsNotEndedByCancellation) {
    RunMock([](eio_switch *outer) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(outer, &promise, &resolver));
        eio_cancel *cc = nullptr;
        EIO_TRY(Fork(outer, [&] {
            return CancelSub([&](eio_cancel *sub) -> eio_err * {
                cc = sub;
                EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
                    return Fork(sw, [&] {
                        return Protect([&]() -> eio_err * {
                            EIO_TRY(eio_promise_await(promise, nullptr));
                            return Say("protected fiber ends");
                        });
                    });
                }));
                return Say("switch ends");
            });
        }));
        eio_cancel_cancel(cc, Stop());
        EIO_TRY(eio_fiber_yield());
        Say("cancelled");
        eio_promise_resolve(resolver, nullptr);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +cancelled
        +protected fiber ends
        +switch ends
        - : unit = ()
    )");
}

// Trap 11
TEST_F(SwitchTest, HooksRunLastInFirstOutAfterAllFibers) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook first([] { return Say("first hook"); });
        Hook second([] { return Say("second hook"); });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            first.Attach(sw);
            EIO_TRY(ForkDaemon(sw, [] {
                eio_err *err = eio_fiber_await_cancel();
                Say("daemon ends");
                return err;
            }));
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Say("fiber ends");
            }));
            second.Attach(sw);
            return Say("function ends");
        });
    });
    EXPECT_TRACE(R"(
        +function ends
        +fiber ends
        +daemon ends
        +second hook
        +first hook
        - : unit = ()
    )");
}

// Trap 11
TEST_F(SwitchTest, HooksRunOneByOneAndProtected) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook first([]() -> eio_err * {
            eio_traceln("first hook: %d", eio_fiber_is_cancelled());
            return nullptr;
        });
        Hook second([]() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            EIO_TRY(eio_fiber_yield());
            eio_traceln("second hook: %d", eio_fiber_is_cancelled());
            return nullptr;
        });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            first.Attach(sw);
            second.Attach(sw);
            return Stop();
        });
    });
    EXPECT_TRACE(R"(
        +second hook: 0
        +first hook: 0
        Exception: Failure "stop".
    )");
}

// Trap 11
TEST_F(SwitchTest, AFailingHookDoesNotStopTheOthersAndItsErrorIsCombined) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook first([] { return eio_err_failure("first hook"); });
        Hook second([] { return eio_err_failure("second hook"); });
        Hook third([] { return Say("third hook"); });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            first.Attach(sw);
            second.Attach(sw);
            third.Attach(sw);
            return Stop();
        });
    });
    EXPECT_TRACE(R"(
        +third hook
        Exception:
        Multiple exceptions:
        - Failure("stop")
        - Failure("second hook")
        - Failure("first hook")
    )");
}

TEST_F(SwitchTest, AFailingHookAloneFailsTheSwitch) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook hook([] { return eio_err_failure("hook"); });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            hook.Attach(sw);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "hook".
    )");
}

// Trap 11: the wait is repeated.
TEST_F(SwitchTest, TheSwitchWaitsForFibersThatAHookForked) {
    RunMock([](eio_switch *) -> eio_err * {
        eio_switch *the_switch = nullptr;
        Hook first([&] { return Say("first hook"); });
        Hook second([&] {
            return Fork(the_switch, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Say("forked by the hook");
            });
        });
        EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
            the_switch = sw;
            first.Attach(sw);
            second.Attach(sw);
            return nullptr;
        }));
        return Say("switch ends");
    });
    EXPECT_TRACE(R"(
        +first hook
        +forked by the hook
        +switch ends
        - : unit = ()
    )");
}

TEST_F(SwitchTest, TheErrorOfAFiberThatAHookForkedFailsTheSwitch) {
    RunMock([](eio_switch *) -> eio_err * {
        eio_switch *the_switch = nullptr;
        Hook hook([&] { return Fork(the_switch, [] { return Stop(); }); });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            the_switch = sw;
            hook.Attach(sw);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "stop".
    )");
}

TEST_F(SwitchTest, ADaemonThatAHookForkedIsStopped) {
    RunMock([](eio_switch *) -> eio_err * {
        eio_switch *the_switch = nullptr;
        Hook hook([&] {
            return ForkDaemon(the_switch, [] {
                eio_err *err = eio_fiber_await_cancel();
                eio_traceln("daemon: %s", Text(err).c_str());
                return err;
            });
        });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            the_switch = sw;
            hook.Attach(sw);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +daemon: Cancelled: Stdlib.Exit
        - : unit = ()
    )");
}

TEST_F(SwitchTest, ARemovedHookDoesNotRun) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook first([] { return Say("first hook"); });
        Hook second([] { return Say("second hook"); });
        Hook third([] { return Say("third hook"); });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            first.Attach(sw);
            second.Attach(sw);
            third.Attach(sw);
            second.Remove();
            second.Remove(); // once more does no harm
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +third hook
        +first hook
        - : unit = ()
    )");
}

TEST_F(SwitchTest, AHookMayRemoveAnother) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook first([] { return Say("first hook"); });
        Hook second([&]() -> eio_err * {
            first.Remove();
            return Say("second hook");
        });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            first.Attach(sw);
            second.Attach(sw);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +second hook
        - : unit = ()
    )");
}

TEST_F(SwitchTest, AHookCanBeAttachedAgainAfterItHasRun) {
    RunMock([](eio_switch *) -> eio_err * {
        Hook hook([] { return Say("hook"); });
        for (int i = 0; i < 2; i++) {
            EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
                hook.Attach(sw);
                return nullptr;
            }));
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +hook
        +hook
        - : unit = ()
    )");
}

TEST_F(SwitchTest, MemoryIsZeroedAlignedAndThereUntilAfterTheHooks) {
    static unsigned char *blocks[200];
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        Hook hook([]() -> eio_err * {
            for (size_t i = 0; i < 200; i++)
                for (size_t j = 0; j < i * 7; j++)
                    if (blocks[i][j] != static_cast<unsigned char>(i))
                        return eio_err_failure("block %zu was overwritten", i);
            return nullptr;
        });
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            hook.Attach(sw);
            for (size_t i = 0; i < 200; i++) {
                void *block;
                EIO_TRY(eio_switch_alloc(sw, i * 7, &block));
                blocks[i] = static_cast<unsigned char *>(block);
                if (reinterpret_cast<uintptr_t>(block) % alignof(max_align_t) != 0)
                    return eio_err_failure("block %zu isn't aligned", i);
                for (size_t j = 0; j < i * 7; j++) {
                    if (blocks[i][j] != 0)
                        return eio_err_failure("block %zu isn't zero", i);
                    blocks[i][j] = static_cast<unsigned char>(i);
                }
            }
            return nullptr;
        });
    }));
}

TEST_F(SwitchTest, LargeBlocksAndSmallOnesMix) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        void *out;
        for (size_t size :
             {size_t{1}, size_t{1} << 20, size_t{1}, size_t{100000}, size_t{0}, size_t{64}}) {
            EIO_TRY(eio_switch_alloc(sw, size, &out));
            memset(out, 0xff, size);
        }
        return nullptr;
    }));
}

TEST_F(SwitchTest, AnImpossibleSizeIsOutOfMemory) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        void *out = &out;
        for (size_t size : {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2 + 1}) {
            eio_err *err = eio_switch_alloc(sw, size, &out);
            if (!eio_err_catch(&err, &eio_err_out_of_memory))
                return err != nullptr ? err : eio_err_failure("got %zu bytes", size);
        }
        return out == &out ? nullptr : eio_err_failure("the out value was written");
    }));
}

TEST_F(SwitchTest, NewGivesAZeroedObject) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        void *dirt;
        EIO_TRY(eio_switch_alloc(sw, 8, &dirt));
        memset(dirt, 0xff, 8);
        return probe_switch_new(sw);
    }));
}

} // namespace
