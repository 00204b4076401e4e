// SPDX-License-Identifier: ISC
// Forks in all their forms: plain, copied, refused, daemons, promised.
#include "fiber/macro_probe.h"
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class FiberTest : public EioTest {};

eio_err *Stop() {
    return eio_err_failure("stop");
}

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

eio_err *AwaitAndSay(const char *name) {
    eio_err *err = eio_fiber_await_cancel();
    eio_traceln("%s: %s", name, Text(err).c_str());
    return err;
}

TEST_F(FiberTest, AForkPassesItsArgumentAsItIs) {
    int value = 0;
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        return eio_fiber_fork(
            sw,
            [](void *arg) -> eio_err * {
                *static_cast<int *>(arg) = 7;
                return nullptr;
            },
            &value, nullptr);
    }));
    EXPECT_EQ(value, 7);
}

TEST_F(FiberTest, TheChildBelongsToTheSwitchAndNotToTheScopeOfItsForker) {
    RunMock([](eio_switch *outer) -> eio_err * {
        eio_err *err = SwitchRun([outer](eio_switch *inner) -> eio_err * {
            EIO_TRY(Fork(outer, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Say("forked onto the outer switch");
            }));
            eio_switch_fail(inner, Stop());
            return nullptr;
        });
        eio_traceln("inner switch: %s", TakeText(err).c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +inner switch: Failure("stop")
        +forked onto the outer switch
        - : unit = ()
    )");
}

TEST_F(FiberTest, AForkIsNoCancellationPoint) {
    RunMock([](eio_switch *outer) -> eio_err * {
        return SwitchRun([outer](eio_switch *inner) -> eio_err * {
            eio_switch_fail(inner, Stop());
            EIO_TRY(Fork(outer,
                         [] { return Say("run"); })); // the forker is cancelled, the switch is on
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +run
        Exception: Failure "stop".
    )");
}

// --- Copies --------------------------------------------------------------------------------------

TEST_F(FiberTest, EioForkCopiesItsArgumentWhenItForks) {
    RunMock([](eio_switch *sw) { return probe_fork_by_value(sw); });
    EXPECT_TRACE(R"(
        +greeting 1 x
        +1
        +2
        - : unit = ()
    )");
}

struct Filled {
    unsigned char bytes[1024];
};

/// What a fiber found: the size it should have had is in the first two bytes.
struct CopyCheck {
    size_t len, align;
    bool ok;
};
CopyCheck check;

eio_err *CheckCopy(void *arg) {
    const auto *bytes = static_cast<const unsigned char *>(arg);
    check.ok = reinterpret_cast<uintptr_t>(arg) % check.align == 0;
    EIO_TRY(eio_fiber_yield());
    for (size_t i = 0; i < check.len; i++)
        check.ok = check.ok && bytes[i] == static_cast<unsigned char>(i * 7 + 1);
    return nullptr;
}

TEST_F(FiberTest, ACopyHasItsSizeAndAlignment) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        for (size_t align = 1; align <= 64; align *= 2) {
            for (size_t len :
                 {size_t{1}, size_t{7}, size_t{63}, size_t{64}, size_t{1000}, size_t{1024}}) {
                check = {len, align, false};
                EIO_TRY(SwitchRun([=](eio_switch *sw) -> eio_err * {
                    alignas(64) Filled original;
                    for (size_t i = 0; i < len; i++)
                        original.bytes[i] = static_cast<unsigned char>(i * 7 + 1);
                    EIO_TRY(
                        eio_fiber_fork_copy(sw, CheckCopy, original.bytes, len, align, nullptr));
                    memset(original.bytes, 0, len);
                    return nullptr;
                }));
                if (!check.ok)
                    return eio_err_failure("%zu bytes, aligned to %zu", len, align);
            }
        }
        return nullptr;
    }));
}

TEST_F(FiberTest, ACopyIsOnTheNewStack) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        long value = 1;
        auto on_own_stack = [](void *arg) -> eio_err * {
            const intptr_t apart =
                static_cast<char *>(arg) - static_cast<char *>(__builtin_frame_address(0));
            return apart > 0 && apart < 16384 ? nullptr : eio_err_failure("not on this stack");
        };
        return eio_fiber_fork_copy(sw, on_own_stack, &value, sizeof value, alignof(long), nullptr);
    }));
}

using FiberDeathTest = FiberTest;

TEST_F(FiberDeathTest, ACopyHasLimits) {
    auto fork = [](size_t len, size_t align) {
        static Filled space;
        eio_err_drop(EvalMock([=](eio_switch *sw) {
            return eio_fiber_fork_copy(sw, CheckCopy, space.bytes, len, align, nullptr);
        }));
    };
    EXPECT_DEATH(fork(1025, 1),
                 "a forked fiber's argument has 1025 bytes; at most 1024 are copied");
    EXPECT_DEATH(fork(8, 128), "an alignment of 128 can't be had");
    EXPECT_DEATH(fork(8, 3), "an alignment of 3 can't be had");
    EXPECT_DEATH(fork(8, 0), "an alignment of 0 can't be had");
}

// --- Refused forks -------------------------------------------------------------------------------

struct Refusal {
    bool refused = false;
    eio_fork_opts opts = {};
    Refusal() {
        opts.refused = &refused;
        opts.on_refused = [](void *arg) { eio_traceln("refused: %s", static_cast<char *>(arg)); };
    }
};
char argument[] = "the argument";

eio_err *SayArg(void *arg) {
    return Say(static_cast<char *>(arg));
}

// Trap 12
TEST_F(FiberTest, AForkOnASwitchThatIsOffDoesNothingAndSaysSo) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            Refusal r;
            r.refused = true;
            EIO_TRY(eio_fiber_fork(sw, SayArg, argument, &r.opts));
            eio_traceln("refused: %d", r.refused);
            eio_switch_fail(sw, Stop());
            EIO_TRY(eio_fiber_fork(sw, SayArg, argument, nullptr)); // nobody asked
            EIO_TRY(eio_fiber_fork(sw, SayArg, argument, &r.opts));
            eio_traceln("refused: %d", r.refused);
            r.refused = false;
            EIO_TRY(eio_fiber_fork_daemon(sw, SayArg, argument, &r.opts));
            eio_traceln("refused: %d", r.refused);
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +the argument
        +refused: 0
        +refused: the argument
        +refused: 1
        +refused: the argument
        +refused: 1
        Exception: Failure "stop".
    )");
}

// Trap 12: off because of what happened above it.
TEST_F(FiberTest, AForkOnASwitchThatWasCancelledFromAboveIsRefused) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            return SwitchRun([cc](eio_switch *sw) -> eio_err * {
                eio_cancel_cancel(cc, Stop());
                Refusal r;
                EIO_TRY(eio_fiber_fork_copy(sw, SayArg, argument, sizeof argument, 1, &r.opts));
                eio_traceln("refused: %d", r.refused);
                return nullptr;
            });
        });
    });
    EXPECT_TRACE(R"(
        +refused: the argument
        +refused: 1
        - : unit = ()
    )");
}

// --- Promises ------------------------------------------------------------------------------------

// Trap 12
TEST_F(FiberTest, APromisedForkOnASwitchThatIsOffResolvesToCancelled) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_switch_fail(sw, Stop());
            Refusal r;
            eio_promise *promise;
            EIO_TRY(eio_fiber_fork_promise(sw, SayArg, argument, &r.opts, &promise));
            eio_traceln("refused: %d", r.refused);
            eio_traceln("resolved: %d", eio_promise_is_resolved(promise));
            eio_traceln("%s", TakeText(eio_promise_await(promise, nullptr)).c_str());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +refused: the argument
        +refused: 1
        +resolved: 1
        +Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(FiberTest, APromisedFibersErrorGoesToThePromiseOnly) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            eio_promise *bad, *good;
            EIO_TRY(ForkPromise(
                sw, [] { return Stop(); }, &bad));
            EIO_TRY(ForkPromise(
                sw, [] { return eio_fiber_yield(); }, &good));
            eio_traceln("resolved: %d, %d", eio_promise_is_resolved(bad),
                        eio_promise_is_resolved(good));
            eio_traceln("%s", TakeText(eio_promise_await(bad, nullptr)).c_str());
            eio_traceln("%s", TakeText(eio_promise_await(good, nullptr)).c_str());
            return eio_switch_check(sw);
        });
    });
    EXPECT_TRACE(R"(
        +resolved: 1, 0
        +Failure("stop")
        +ok
        - : unit = ()
    )");
}

TEST_F(FiberTest, APromisedForkTellsThatItWasNotRefused) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        bool refused = true;
        eio_fork_opts opts = {};
        opts.refused = &refused;
        eio_promise *promise;
        EIO_TRY(eio_fiber_fork_promise(
            sw, [](void *) { return eio_fiber_yield(); }, nullptr, &opts, &promise));
        return refused ? eio_err_failure("refused") : nullptr;
    }));
}

// --- Daemons -------------------------------------------------------------------------------------

// Trap 15
TEST_F(FiberTest, DaemonsAreCancelledWithExitWhenOnlyTheyAreLeft) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [] { return AwaitAndSay("daemon 1"); }));
            EIO_TRY(ForkDaemon(sw, [] { return AwaitAndSay("daemon 2"); }));
            EIO_TRY(Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Say("fiber ends");
            }));
            return Say("function ends");
        }));
        return Say("switch ends, without an error");
    });
    EXPECT_TRACE(R"(
        +function ends
        +fiber ends
        +daemon 1: Cancelled: Stdlib.Exit
        +daemon 2: Cancelled: Stdlib.Exit
        +switch ends, without an error
        - : unit = ()
    )");
}

// Trap 15: they are waited for.
TEST_F(FiberTest, TheSwitchAwaitsItsDaemons) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(SwitchRun([](eio_switch *sw) -> eio_err * {
            return ForkDaemon(sw, []() -> eio_err * {
                eio_err *err = eio_fiber_await_cancel();
                EIO_TRY(Protect([]() -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    return eio_fiber_yield();
                }));
                Say("daemon ends late");
                return err;
            });
        }));
        return Say("switch ends");
    });
    EXPECT_TRACE(R"(
        +daemon ends late
        +switch ends
        - : unit = ()
    )");
}

TEST_F(FiberTest, ADaemonMayEndByItself) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [] { return Say("daemon ends"); }));
            EIO_TRY(eio_fiber_yield());
            return eio_switch_check(sw);
        });
    });
    EXPECT_TRACE(R"(
        +daemon ends
        - : unit = ()
    )");
}

TEST_F(FiberTest, ADaemonsErrorFailsTheSwitch) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Stop();
            }));
            return AwaitAndSay("function");
        });
    });
    EXPECT_TRACE(R"(
        +function: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(FiberTest, ADaemonsErrorWhileItStopsFailsTheSwitch) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            return ForkDaemon(sw, [] {
                eio_err_drop(eio_fiber_await_cancel());
                return Stop();
            });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "stop".
    )");
}

TEST_F(FiberTest, ADaemonThatReturnsAnotherScopesCancelledFailsTheSwitch) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            return ForkDaemon(sw,
                              [] { return eio_err_cancelled_new(eio_err_const(&eio_err_exit)); });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Stdlib.Exit
    )");
}

TEST_F(FiberTest, ADaemonOfAFailedSwitchIsCancelledWithItsError) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [] { return AwaitAndSay("daemon"); }));
            eio_switch_fail(sw, Stop());
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +daemon: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(FiberTest, AFiberForkedByADaemonKeepsTheSwitchOpen) {
    RunMock([](eio_switch *) -> eio_err * {
        return SwitchRun([](eio_switch *sw) -> eio_err * {
            EIO_TRY(ForkDaemon(sw, [sw]() -> eio_err * {
                EIO_TRY(Fork(sw, []() -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    EIO_TRY(eio_fiber_yield());
                    return Say("fiber ends");
                }));
                return AwaitAndSay("daemon");
            }));
            return nullptr;
        });
    });
    EXPECT_TRACE(R"(
        +fiber ends
        +daemon: Cancelled: Stdlib.Exit
        - : unit = ()
    )");
}

// --- Small things --------------------------------------------------------------------------------

TEST_F(FiberTest, NamesAreCopiedAndCut) {
    RunMock([](eio_switch *sw) -> eio_err * {
        eio_traceln("'%s'", eio_fiber_name());
        char name[] = "a name of thirty characters ..";
        eio_fork_opts opts = {};
        opts.name = name;
        auto say_name = [](void *) -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            eio_traceln("'%s'", eio_fiber_name());
            return nullptr;
        };
        EIO_TRY(eio_fiber_fork(sw, say_name, nullptr, &opts));
        memset(name, 'x', sizeof name);
        return eio_fiber_fork(sw, say_name, nullptr, nullptr);
    });
    EXPECT_TRACE(R"(
        +'main'
        +'a name of thirty charac'
        +''
        - : unit = ()
    )");
}

TEST_F(FiberTest, IdsAreUniqueAndStay) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        static unsigned long long ids[3];
        for (auto &id : ids) {
            EIO_TRY(Fork(sw, [&id]() -> eio_err * {
                id = eio_fiber_id();
                EIO_TRY(eio_fiber_yield());
                return id == eio_fiber_id() ? nullptr : eio_err_failure("another id");
            }));
        }
        const bool unique = ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2];
        return unique && ids[0] != 0 && ids[0] != eio_fiber_id() ? nullptr
                                                                 : eio_err_failure("not unique");
    }));
}

TEST_F(FiberTest, OutsideALoopThereIsNoFiber) {
    EXPECT_EQ(eio_fiber_id(), 0u);
    EXPECT_STREQ(eio_fiber_name(), "");
    EXPECT_FALSE(eio_fiber_is_cancelled());
    static const eio_local_key key = {"key"};
    EXPECT_EQ(eio_fiber_local(&key), nullptr);
}

TEST_F(FiberTest, ManyFibersWaitAndAreWokenOrCancelled) {
    const size_t count = HowMany(kFibers);
    size_t woken = 0, cancelled = 0;
    EXPECT_ERR_TEXT(EvalMock([&](eio_switch *outer) -> eio_err * {
                        eio_promise *promise;
                        eio_promise_resolver *resolver;
                        EIO_TRY(eio_promise_create(outer, &promise, &resolver));
                        return SwitchRun([&](eio_switch *sw) -> eio_err * {
                            for (size_t i = 0; i < count; i++) {
                                EIO_TRY(Fork(sw, [&, i]() -> eio_err * {
                                    eio_err *err = i % 2 == 0 ? eio_promise_await(promise, nullptr)
                                                              : eio_fiber_await_cancel();
                                    ++(err == nullptr ? woken : cancelled);
                                    return err;
                                }));
                            }
                            eio_promise_resolve(resolver, nullptr);
                            eio_switch_fail(sw, Stop());
                            return nullptr;
                        });
                    }),
                    "Failure(\"stop\")");
    EXPECT_EQ(woken, count / 2);
    EXPECT_EQ(cancelled, count / 2);
}

// A chain of forks, each inside the other: the parents wait at the head of the queue.
eio_err *Chain(eio_switch *sw, size_t depth) {
    if (depth == 0)
        return eio_fiber_yield();
    return Fork(sw, [=] { return Chain(sw, depth - 1); });
}

TEST_F(FiberTest, ForksNestAsDeepAsThereIsMemory) {
    EXPECT_OK(EvalMock([](eio_switch *sw) { return Chain(sw, HowMany(kFibers)); }));
}

// Scopes nest as deep as the stack allows; a fiber that needs more says so when it is forked.
eio_err *NestSwitches(size_t depth) {
    if (depth == 0)
        return Say("bottom");
    return SwitchRun([depth](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [] { return eio_fiber_await_cancel(); }));
        EIO_TRY(NestSwitches(depth - 1));
        return depth == 1 ? Stop() : nullptr;
    });
}

TEST_F(FiberTest, TenThousandScopesNest) {
    RunMock([](eio_switch *sw) -> eio_err * {
        static size_t depth;
        depth = HowMany(kFibers);
        eio_fork_opts opts = {};
        opts.stack_bytes = size_t{64} << 20;
        return eio_fiber_fork(
            sw, [](void *) { return NestSwitches(depth); }, nullptr, &opts);
    });
    EXPECT_TRACE(R"(
        +bottom
        Exception: Failure "stop".
    )");
}

} // namespace
