// SPDX-License-Identifier: ISC
// The cancellation tree: who is asked, in which order, and who isn't.
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class CancelTest : public EioTest {};

/// Waits to be cancelled, and says so.
eio_err *AwaitAndSay(const char *name) {
    eio_err *err = eio_fiber_await_cancel();
    eio_traceln("%s", name);
    return err;
}

eio_err *ForkAwait(eio_switch *sw, const char *name) {
    return Fork(sw, [name] { return AwaitAndSay(name); });
}

eio_err *Stop() {
    return eio_err_failure("stop");
}

// R9, trap 8: children's fibers before those of the context itself, whoever waited first.
TEST_F(CancelTest, InnerContextsComeBeforeTheFibersAroundThem) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkAwait(sw, "outer, waits first"));
            EIO_TRY(Fork(sw, [] {
                return SwitchRun([](eio_switch *inner) -> eio_err * {
                    EIO_TRY(Fork(inner, [] {
                        return CancelSub([](eio_cancel *) { return AwaitAndSay("innermost"); });
                    }));
                    EIO_TRY(ForkAwait(inner, "inner, forked"));
                    return AwaitAndSay("inner, its opener");
                });
            }));
            EIO_TRY(Fork(sw, [] {
                return CancelSub([](eio_cancel *) { return AwaitAndSay("second child"); });
            }));
            EIO_TRY(ForkAwait(sw, "outer, waits last"));
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +innermost
        +inner, its opener
        +inner, forked
        +second child
        +outer, waits first
        +outer, waits last
        Exception: Failure "stop".
    )");
}

// R9: contexts come in the order in which they were opened, not that of their fibers' waits.
TEST_F(CancelTest, ContextsComeInTheOrderInWhichTheyWereOpened) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            for (int i = 0; i < 3; i++) {
                EIO_TRY(Fork(sw, [i] {
                    return CancelSub([i](eio_cancel *) -> eio_err * {
                        for (int turns = i; turns < 3; turns++) // the first one waits last
                            EIO_TRY(eio_fiber_yield());
                        return AwaitAndSay(std::to_string(i).c_str());
                    });
                }));
            }
            for (int turns = 0; turns < 4; turns++)
                EIO_TRY(eio_fiber_yield());
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +0
        +1
        +2
        Exception: Failure "stop".
    )");
}

// R9, trap 9. Made a b c; waiting c b a; arrived (a by coming back from a sub-context) b c a.
TEST_F(CancelTest, LeavingASubContextIsAnArrival) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                EIO_TRY(eio_fiber_yield());
                EIO_TRY(Protect([]() -> eio_err * { return nullptr; }));
                return AwaitAndSay("a");
            }));
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return AwaitAndSay("b");
            }));
            EIO_TRY(ForkAwait(sw, "c"));
            for (int turns = 0; turns < 3; turns++)
                EIO_TRY(eio_fiber_yield());
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +b
        +c
        +a
        Exception: Failure "stop".
    )");
}

// Trap 9, for each thing that opens a context.
void ExpectReappends(const std::function<eio_err *()> &scope) {
    RunMock([&](eio_switch *) -> eio_err * {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                EIO_TRY(scope());
                return AwaitAndSay("a");
            }));
            EIO_TRY(ForkAwait(sw, "b"));
            for (int turns = 0; turns < 6; turns++)
                EIO_TRY(eio_fiber_yield());
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +b
        +a
        Exception: Failure "stop".
    )");
}

const auto Nothing = []() -> eio_err * { return nullptr; };

TEST_F(CancelTest, LeavingASwitchIsAnArrival) {
    ExpectReappends([] { return SwitchRun([](eio_switch *) { return Nothing(); }); });
}

TEST_F(CancelTest, LeavingASubIsAnArrival) {
    ExpectReappends([] { return CancelSub([](eio_cancel *) { return Nothing(); }); });
}

TEST_F(CancelTest, LeavingARaceIsAnArrival) {
    ExpectReappends([] { return First(Nothing, Nothing); });
}

TEST_F(CancelTest, LeavingBothIsAnArrival) {
    ExpectReappends([] { return Both(Nothing, Nothing); });
}

// R9, trap 8: everything is marked before the first cancel function is called.
TEST_F(CancelTest, TheWholeSubtreeIsMarkedBeforeAnybodyIsAsked) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *outer) -> eio_err * {
            eio_cancel *later_child = nullptr;
            TestWait wait;
            wait.on_cancel = [&](TestWait *self, eio_err *reason) {
                eio_traceln("around: %s", TakeText(eio_cancel_check(outer)).c_str());
                eio_traceln("beside: %s", TakeText(eio_cancel_check(later_child)).c_str());
                eioi_wake(&self->waiter, eio_err_ref(reason));
            };
            return SwitchRun([&](eio_switch *sw) -> eio_err * {
                EIO_TRY(Fork(sw, [&] {
                    return CancelSub([&](eio_cancel *) -> eio_err * {
                        EIO_TRY(eioi_wait_begin(&wait.waiter, "test"));
                        return wait.Wait();
                    });
                }));
                EIO_TRY(Fork(sw, [&] {
                    return CancelSub([&](eio_cancel *cc) -> eio_err * {
                        later_child = cc;
                        return eio_fiber_await_cancel();
                    });
                }));
                eio_cancel_cancel(outer, Stop());
                return nullptr;
            });
        });
    });
    EXPECT_TRACE(R"(
        +around: Cancelled: Failure("stop")
        +beside: Cancelled: Failure("stop")
        Exception: Cancelled: Failure("stop")
    )");
}

// Trap 8
TEST_F(CancelTest, AProtectedSubtreeIsLeftOutWithAllBelowIt) {
    RunMock([](eio_switch *outer) -> eio_err * {
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(outer, &promise, &resolver));
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&] {
                eio_err *err = Protect([&] {
                    return SwitchRun([&](eio_switch *inner) -> eio_err * {
                        EIO_TRY(Fork(inner, [&]() -> eio_err * {
                            EIO_TRY(eio_promise_await(promise, nullptr));
                            eio_traceln("forked inside: %d", eio_fiber_is_cancelled());
                            return nullptr;
                        }));
                        EIO_TRY(eio_promise_await(promise, nullptr));
                        eio_traceln("inside: %d", eio_fiber_is_cancelled());
                        return nullptr;
                    });
                });
                eio_traceln("after: %s, %d", TakeText(err).c_str(), eio_fiber_is_cancelled());
                return Nothing();
            }));
            EIO_TRY(ForkAwait(sw, "not protected"));
            eio_switch_fail(sw, Stop());
            eio_promise_resolve(resolver, nullptr);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +not protected
        +forked inside: 0
        +inside: 0
        +after: ok, 1
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, ProtectChecksNeitherWhenEnteredNorWhenLeft) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_switch_fail(sw, Stop());
            EIO_TRY(Protect([]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                eio_traceln("yielded in peace");
                return nullptr;
            }));
            eio_traceln("and left: %d", eio_fiber_is_cancelled());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +yielded in peace
        +and left: 1
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, AFiberForkedFromInsideProtectOntoAnOuterSwitchIsNotProtected) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(Protect([sw] { return ForkAwait(sw, "cancelled"); }));
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +cancelled
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, AProtectedFiberCanBeCancelledByAScopeInside) {
    RunMock([](eio_switch *) -> eio_err * {
        return Protect([] {
            return SwitchRun([](eio_switch *sw) -> eio_err * {
                EIO_TRY(ForkAwait(sw, "cancelled"));
                return Stop();
            });
        });
    });
    EXPECT_TRACE(R"(
        +cancelled
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, OnlyTheFirstCancelOfAContextCounts) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, eio_err_failure("first"));
            eio_cancel_cancel(cc, eio_err_failure("second"));
            return eio_fiber_check();
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("first")
    )");
}

// Trap 8: what is cancelling already keeps its reason, and isn't asked again.
TEST_F(CancelTest, AContextThatIsCancellingAlreadyIsNotEntered) {
    RunMock([](eio_switch *) -> eio_err * {
        int asked = 0;
        TestWait wait; // like an operation in the kernel: it ends when it ends
        wait.on_cancel = [&](TestWait *, eio_err *) { asked++; };
        eio_cancel *inner = nullptr;
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&] {
                return CancelSub([&](eio_cancel *cc) -> eio_err * {
                    inner = cc;
                    EIO_TRY(eioi_wait_begin(&wait.waiter, "test"));
                    EIO_TRY(wait.Wait());
                    eio_traceln("%s", TakeText(eio_fiber_check()).c_str());
                    return nullptr;
                });
            }));
            eio_cancel_cancel(inner, eio_err_failure("inner"));
            eio_switch_fail(sw, eio_err_failure("outer"));
            eio_traceln("asked %d times", asked);
            eioi_wake(&wait.waiter, nullptr); // its completion
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +asked 1 times
        +Cancelled: Failure("inner")
        Exception: Failure "outer".
    )");
}

// Trap 10: asked once; a fiber that another's cancel function has woken isn't asked any more.
TEST_F(CancelTest, AFiberWokenMeanwhileIsNotAsked) {
    RunMock([](eio_switch *) -> eio_err * {
        TestWait first, second;
        first.on_cancel = [&](TestWait *self, eio_err *reason) {
            eio_traceln("first asked");
            eioi_wake(&second.waiter, nullptr);
            eioi_wake(&self->waiter, eio_err_ref(reason));
        };
        second.on_cancel = [&](TestWait *, eio_err *) { eio_traceln("second asked"); };
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            for (TestWait *wait : {&first, &second}) {
                EIO_TRY(Fork(sw, [&, wait]() -> eio_err * {
                    EIO_TRY(eioi_wait_begin(&wait->waiter, "test"));
                    eio_err *err = wait->Wait();
                    eio_traceln("%s: %s", wait == &first ? "first" : "second",
                                TakeText(err).c_str());
                    return nullptr;
                }));
            }
            eio_switch_fail(sw, Stop());
            eio_traceln("nobody has run yet");
            EIO_TRY(Protect([] { return eio_fiber_yield(); }));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +first asked
        +nobody has run yet
        +second: ok
        +first: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, AWaitThatCantBeCancelledIsNotAsked) {
    RunMock([](eio_switch *) -> eio_err * {
        eioi_waiter w;
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            EIO_TRY(Fork(sw, [&]() -> eio_err * {
                eioi_waiter_init(&w, "test");
                EIO_TRY(eioi_wait(&w, nullptr));
                eio_traceln("in its own time");
                return nullptr;
            }));
            eio_switch_fail(sw, Stop());
            EIO_TRY(Protect([] { return eio_fiber_yield(); }));
            eio_traceln("still there");
            eioi_wake(&w, nullptr);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +still there
        +in its own time
        Exception: Failure "stop".
    )");
}

TEST_F(CancelTest, ACancelledSubReturnsWhatItsFunctionReturns) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, Stop());
            return nullptr;
        }));
        eio_traceln("nothing was raised, and this fiber goes on: %s",
                    TakeText(eio_fiber_check()).c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +nothing was raised, and this fiber goes on: ok
        - : unit = ()
    )");
}

TEST_F(CancelTest, CancellingAnOuterContextReachesTheRunningFiberAtItsNextCheck) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            return CancelSub([cc](eio_cancel *) -> eio_err * {
                eio_cancel_cancel(cc, Stop());
                eio_traceln("goes on");
                return eio_fiber_check();
            });
        });
    });
    EXPECT_TRACE(R"(
        +goes on
        Exception: Cancelled: Failure("stop")
    )");
}

// The reason is one object, made once, that every woken fiber shares.
TEST_F(CancelTest, EverybodyGetsTheSameCancelled) {
    eio_err *got[2] = {};
    EXPECT_ERR_TEXT(EvalMock([&](eio_switch *sw) -> eio_err * {
                        for (eio_err *&err : got) {
                            EIO_TRY(Fork(sw, [&err]() -> eio_err * {
                                err = eio_fiber_await_cancel();
                                return nullptr;
                            }));
                        }
                        eio_switch_fail(sw, Stop());
                        return nullptr;
                    }),
                    "Failure(\"stop\")");
    EXPECT_NE(got[0], nullptr);
    EXPECT_EQ(got[0], got[1]);
    for (eio_err *err : got)
        eio_err_drop(err);
}

TEST_F(CancelTest, CleanupIsProtectedAndCombinesItsErrorBehindTheOriginal) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_switch_fail(sw, Stop());
            eio_err *err = eio_fiber_check();
            auto cleanup = [](void *) -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return eio_err_failure("cleanup");
            };
            eio_cleanup(&err, cleanup, nullptr);
            eio_traceln("%s", Text(err).c_str());
            eio_cleanup(&err, cleanup, nullptr);
            return err;
        });
    });
    EXPECT_TRACE(R"(
        +Failure("cleanup")
        Exception:
        Multiple exceptions:
        - Failure("stop")
        - Multiple exceptions:
        - Failure("cleanup")
        - Failure("cleanup")
    )");
}

TEST_F(CancelTest, CleanupThatSucceedsKeepsTheError) {
    RunMock([](eio_switch *) -> eio_err * {
        eio_err *err = Stop();
        eio_cleanup(
            &err, [](void *) -> eio_err * { return eio_fiber_yield(); }, nullptr);
        return err;
    });
    EXPECT_TRACE(R"(
        Exception: Failure "stop".
    )");
}

// The walk uses no stack: however deep the scopes.
eio_err *Nest(unsigned depth, eio_cancel **out) {
    return CancelSub([=](eio_cancel *cc) -> eio_err * {
        if (*out == nullptr)
            *out = cc;
        return depth == 0 ? AwaitAndSay("bottom") : Nest(depth - 1, out);
    });
}

TEST_F(CancelTest, TenThousandContextsDeepAreCancelledFromTheTop) {
    const auto depth = HowMany(kFibers);
    RunMock([=](eio_switch *sw) -> eio_err * {
        eio_cancel *top = nullptr;
        auto deep = [&]() -> eio_err * {
            eio_traceln("%s", TakeText(Nest(depth, &top)).c_str());
            return nullptr;
        };
        eio_fork_opts opts = {};
        opts.stack_bytes = size_t{64} << 20;
        EIO_TRY(eio_fiber_fork(sw, Fn<decltype(deep)>::Call, &deep, &opts));
        eio_cancel_cancel(top, Stop());
        EIO_TRY(eio_fiber_yield());
        eio_traceln("not us: %d", eio_fiber_is_cancelled());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +bottom
        +Cancelled: Failure("stop")
        +not us: 0
        - : unit = ()
    )");
}

} // namespace
