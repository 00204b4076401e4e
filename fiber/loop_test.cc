// SPDX-License-Identifier: ISC
// Loops as a whole: their beginning and end, deadlocks, and what a broken program is told. (The run queue: sched_test.cc;
// several at once: remote_test.cc.)
#include <unistd.h>

#include <thread>

#include "eio/await_fd.h"
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class LoopTest : public EioTest {};
using LoopDeathTest = LoopTest;

eio_err *Say(const char *text) {
    eio_traceln("%s", text);
    return nullptr;
}

TEST_F(LoopTest, ALoopReturnsWhatItsMainFunctionReturns) {
    TestLoop loop;
    EXPECT_OK(loop.Run([]() -> eio_err * { return nullptr; }));
    EXPECT_ERR_TEXT(loop.Run([]() -> eio_err * { return eio_err_failure("no"); }),
                    "Failure(\"no\")");
    EXPECT_OK(loop.Run([]() -> eio_err * { return eio_fiber_yield(); }));
}

TEST_F(LoopTest, TheMainFiberHasAName) {
    TestLoop loop;
    EXPECT_OK(loop.Run([]() -> eio_err * { return Say(eio_fiber_name()); }));
    EXPECT_TRACE(R"(
        +main
    )");
}

TEST_F(LoopTest, TheLoopKnowsItsBackend) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        EXPECT_EQ(eioi_backend(), &loop);
        EXPECT_STREQ(eioi_backend_ops_current()->name, "test");
        EXPECT_NE(eioi_sched_current(), nullptr);
        loop.now = 5;
        EXPECT_EQ(eioi_now(), 5);
        return nullptr;
    }));
    EXPECT_EQ(eioi_sched_current(), nullptr);
}

TEST_F(LoopTest, AFailedStartIsAnErrorAndLeavesNothing) {
    for (const char *name : {"alloc", "mmap"}) {
        TestLoop loop;
        Faults faults([&](const std::string &point) { return point == name ? ENOMEM : 0; });
        eio_err *err = loop.Run([]() -> eio_err * { return eio_err_failure("was run"); });
        EXPECT_TRUE(eio_err_is(err, &eio_err_out_of_memory) ||
                    eio_err_is(err, &eio_err_stack_limit))
            << name;
        eio_err_drop(err);
    }
}

// --- Deadlock ------------------------------------------------------------------------------------

TEST_F(LoopTest, ADeadlockIsReportedAndUnwindsEverything) {
    testing::internal::CaptureStderr();
    RunMock([](eio_switch *sw) -> eio_err * {
        Hook hook([] { return Say("hook"); });
        eio_promise *promise;
        eio_promise_resolver *resolver;
        EIO_TRY(eio_promise_create(sw, &promise, &resolver));
        return SwitchRun([&](eio_switch *inner) -> eio_err * {
            hook.Attach(inner);
            EIO_TRY(Fork(
                inner,
                [=] {
                    eio_err *err = eio_promise_await(promise, nullptr);
                    eio_traceln("waiter: %s", Text(err).c_str());
                    return err;
                },
                "waiter"));
            return eio_promise_await(promise, nullptr);
        });
    });
    const std::string report = testing::internal::GetCapturedStderr();
    EXPECT_EQ(
        report.find("eio: deadlock: every fiber waits, and nothing is left that could wake one\n"),
        0u);
    EXPECT_NE(report.find("'main' waits for promise\n"), std::string::npos) << report;
    EXPECT_NE(report.find("'waiter' waits for promise\n"), std::string::npos) << report;
    EXPECT_TRACE(R"(
        +waiter: Cancelled: Eio_mock__Backend.Deadlock_detected
        +hook
        Exception: Eio_mock__Backend.Deadlock_detected.
    )");
}

TEST_F(LoopTest, WhatIsReturnedAfterADeadlockIsTheDeadlock) {
    testing::internal::CaptureStderr();
    RunMock([](eio_switch *) -> eio_err * {
        eio_err_drop(eio_fiber_await_cancel());
        return eio_err_failure("unwinding");
    });
    RunMock([](eio_switch *) -> eio_err * {
        eio_err_drop(eio_fiber_await_cancel());
        return nullptr;
    });
    (void)testing::internal::GetCapturedStderr();
    EXPECT_TRACE(R"(
        Exception: Eio_mock__Backend.Deadlock_detected.
        Exception: Eio_mock__Backend.Deadlock_detected.
    )");
}

TEST_F(LoopTest, UnwindingMaySleepAndYield) {
    testing::internal::CaptureStderr();
    RunMockFull([](eio_switch *, const eio_env *env) -> eio_err * {
        eio_err *err = eio_fiber_await_cancel();
        auto clean_up = [env]() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_SECOND));
            return Say("cleaned up");
        };
        eio_cleanup(&err, Fn<decltype(clean_up)>::Call, &clean_up);
        return err;
    });
    (void)testing::internal::GetCapturedStderr();
    EXPECT_TRACE(R"(
        +mock time is now 1
        +cleaned up
        Exception: Eio_mock__Backend.Deadlock_detected.
    )");
}

// Who waits in a protected scope can't be told: the loop gives the fibers up, and returns all the same. What they held is
// lost; so in a process of its own.
[[noreturn]] void GiveUp() {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [] {
            eio_err *err = eio_fiber_await_cancel();
            Say("this one is told");
            return err;
        }));
        return Protect([] { return eio_fiber_await_cancel(); });
    });
    RunMock([](eio_switch *) { return eio_fiber_yield(); }); // the next loop is a new one
    fprintf(stderr, "%s", TakeTrace().c_str());
    _exit(0);
}

TEST_F(LoopDeathTest, ADeadlockThatCancellationCantEndIsGivenUp) {
    EXPECT_EXIT(GiveUp(), testing::ExitedWithCode(0),
                "^eio: deadlock: [^:]*domain[^:]*'main' waits for cancellation[^:]*"
                "\\+this one is told\nException: Eio_mock__Backend.Deadlock_detected.\n- : unit = "
                "\\(\\)\n$");
}

TEST_F(LoopTest, ADeadlockFoundByAnEndingFiberIsOneToo) {
    testing::internal::CaptureStderr();
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, []() -> eio_err * {
            EIO_TRY(eio_fiber_yield());
            return Say("the last one that could run");
        }));
        return eio_fiber_await_cancel();
    });
    (void)testing::internal::GetCapturedStderr();
    EXPECT_TRACE(R"(
        +the last one that could run
        Exception: Eio_mock__Backend.Deadlock_detected.
    )");
}

TEST_F(LoopTest, ADeadlockWithoutMemoryIsOneToo) {
    testing::internal::CaptureStderr();
    EXPECT_ERR(EvalMock([](eio_switch *) -> eio_err * {
                   Faults faults([](const std::string &) { return ENOMEM; });
                   return eio_fiber_await_cancel();
               }),
               &eio_err_deadlock_detected);
    (void)testing::internal::GetCapturedStderr();
}

// --- Messages ------------------------------------------------------------------------------------

struct Message {
    eioi_message base;
    std::vector<int> *got;
    int number;
    static void Run(eioi_message *msg) {
        auto *self = reinterpret_cast<Message *>(msg);
        self->got->push_back(self->number);
    }
};

TEST_F(LoopTest, MessagesRunInOrderWhenTheLoopLooks) {
    TestLoop loop;
    std::vector<int> got;
    Message messages[3];
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        for (int i = 0; i < 3; i++) {
            messages[i] = {{{nullptr}, Message::Run}, &got, i};
            eioi_post(eioi_sched_current(), &messages[i].base);
        }
        EXPECT_TRUE(got.empty()) << "posting runs nothing";
        eioi_drain_messages();
        return nullptr;
    }));
    EXPECT_EQ(got, (std::vector<int>{0, 1, 2}));
}

TEST_F(LoopTest, MessagesAreSeenThoughSomeFiberIsAlwaysReady) {
    TestLoop loop;
    std::vector<int> got;
    Message message = {{{nullptr}, Message::Run}, &got, 7};
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        eioi_post(eioi_sched_current(), &message.base);
        for (int i = 0; got.empty() && i < 1000; i++)
            EIO_TRY(eio_fiber_yield());
        EXPECT_EQ(got, std::vector<int>{7});
        return nullptr;
    }));
}

TEST_F(LoopTest, AMessageThatComesLastIsRunBeforeTheLoopEnds) {
    TestLoop loop;
    std::vector<int> got;
    Message message = {{{nullptr}, Message::Run}, &got, 7};
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        eioi_post(eioi_sched_current(), &message.base);
        return nullptr;
    }));
    EXPECT_EQ(got, std::vector<int>{7});
}

TEST_F(LoopTest, AFiberCanBeWokenByAMessageOfItsOwnDomain) {
    TestLoop loop;
    EXPECT_OK(loop.Run([&]() -> eio_err * {
        eioi_waiter w;
        return Both(
            [&]() -> eio_err * {
                eioi_waiter_init(&w, "test");
                EXPECT_TRUE(eioi_waiter_is_local(&w));
                return eioi_wait(&w, nullptr);
            },
            [&]() -> eio_err * {
                eioi_wake_remote(&w, nullptr);
                return nullptr;
            });
    }));
}

// --- Broken programs -----------------------------------------------------------------------------

TEST_F(LoopDeathTest, LoopsDontNest) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *) {
                     return EvalMock([](eio_switch *) -> eio_err * { return nullptr; });
                 })),
                 "a loop was started inside a loop");
}

TEST_F(LoopDeathTest, OutsideALoopNothingWaits) {
    EXPECT_DEATH(eio_err_drop(eio_fiber_yield()), "eio_fiber_yield was called outside a loop");
    EXPECT_DEATH(eio_err_drop(eio_fiber_check()), "eio_fiber_check was called outside a loop");
    EXPECT_DEATH(eio_err_drop(eio_fiber_await_cancel()), "waiting .cancellation. outside a loop");
    EXPECT_DEATH(eio_err_drop(SwitchRun([](eio_switch *) -> eio_err * { return nullptr; })),
                 "was called outside a loop");
    EXPECT_DEATH(eio_err_drop(Protect([]() -> eio_err * { return nullptr; })),
                 "was called outside a loop");
    EXPECT_DEATH((void)eioi_now(), "eioi_now was called outside a loop");
}

TEST_F(LoopDeathTest, APanicNamesTheFiber) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *sw) {
                     return Fork(
                         sw,
                         [sw]() -> eio_err * {
                             eio_switch_fail(sw, nullptr);
                             return nullptr;
                         },
                         "culprit");
                 })),
                 "a switch can't fail with NULL\nin fiber [0-9]+ 'culprit' of domain [0-9]+");
}

TEST_F(LoopDeathTest, AWaitEndsOnce) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *) -> eio_err * {
                     eioi_waiter w;
                     eioi_waiter_init(&w, "test");
                     eioi_wake(&w, nullptr);
                     eioi_wake(&w, nullptr);
                     return nullptr;
                 })),
                 "a wait \\(test\\) was ended twice");
}

// Trap 12: a finished switch.
TEST_F(LoopDeathTest, ASwitchWhoseHooksRunTakesNoMoreHooks) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *) -> eio_err * {
                     eio_switch *the_switch = nullptr;
                     Hook late([] { return Say("late"); });
                     Hook hook([&]() -> eio_err * {
                         late.Attach(the_switch);
                         return nullptr;
                     });
                     return SwitchRun([&](eio_switch *sw) -> eio_err * {
                         the_switch = sw;
                         hook.Attach(sw);
                         return nullptr;
                     });
                 })),
                 "Switch finished!");
}

TEST_F(LoopDeathTest, AHookIsAttachedOnce) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *sw) -> eio_err * {
                     Hook hook([] { return Say("hook"); });
                     hook.Attach(sw);
                     hook.Attach(sw);
                     return nullptr;
                 })),
                 "the hook is attached already");
}

/// Runs `f(sw, cc)` in another thread, in a loop of its own or in none, with a switch and a context of this one.
template <class F> void Elsewhere(bool with_loop, F f) {
    eio_err_drop(EvalMock([&](eio_switch *sw) -> eio_err * {
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            std::thread([&] {
                TestLoop loop;
                if (with_loop)
                    eio_err_drop(loop.Run([&]() -> eio_err * {
                        f(sw, cc);
                        return nullptr;
                    }));
                else
                    f(sw, cc);
            }).join();
            return nullptr;
        });
    }));
}

TEST_F(LoopDeathTest, SwitchesBelongToTheirDomain) {
    auto nothing = [](void *) -> eio_err * { return nullptr; };
    for (bool with_loop : {false, true}) {
        EXPECT_DEATH(
            Elsewhere(with_loop, [](eio_switch *sw,
                                    eio_cancel *) { eio_switch_fail(sw, eio_err_failure("x")); }),
            "Switch accessed from wrong domain!");
        EXPECT_DEATH(Elsewhere(with_loop, [](eio_switch *sw,
                                             eio_cancel *) { eio_err_drop(eio_switch_check(sw)); }),
                     "Switch accessed from wrong domain!");
        EXPECT_DEATH(Elsewhere(with_loop,
                               [=](eio_switch *sw, eio_cancel *) {
                                   eio_err_drop(eio_fiber_fork(sw, nothing, nullptr, nullptr));
                               }),
                     "Switch accessed from wrong domain!");
        EXPECT_DEATH(Elsewhere(with_loop,
                               [=](eio_switch *sw, eio_cancel *) {
                                   Hook hook([] { return Say("hook"); });
                                   hook.Attach(sw);
                               }),
                     "Switch accessed from wrong domain!");
        EXPECT_DEATH(Elsewhere(with_loop,
                               [=](eio_switch *sw, eio_cancel *) {
                                   void *out;
                                   eio_err_drop(eio_switch_alloc(sw, 1, &out));
                               }),
                     "Switch accessed from wrong domain!");
        EXPECT_DEATH(Elsewhere(with_loop,
                               [=](eio_switch *sw, eio_cancel *) {
                                   eio_promise *promise;
                                   eio_promise_resolver *resolver;
                                   eio_err_drop(eio_promise_create(sw, &promise, &resolver));
                               }),
                     "Switch accessed from wrong domain!");
    }
}

TEST_F(LoopDeathTest, HooksBelongToTheirSwitchsDomain) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *sw) -> eio_err * {
                     Hook hook([] { return Say("hook"); });
                     hook.Attach(sw);
                     std::thread([&] { hook.Remove(); }).join();
                     return nullptr;
                 })),
                 "Switch accessed from wrong domain!");
}

TEST_F(LoopDeathTest, ContextsBelongToTheirDomain) {
    for (bool with_loop : {false, true}) {
        EXPECT_DEATH(Elsewhere(with_loop,
                               [](eio_switch *, eio_cancel *cc) {
                                   eio_cancel_cancel(cc, eio_err_failure("x"));
                               }),
                     "Cancellation context accessed from wrong domain!");
    }
}

TEST_F(LoopDeathTest, WaitsAreEndedInTheirDomain) {
    EXPECT_DEATH(eio_err_drop(EvalMock([](eio_switch *) -> eio_err * {
                     eioi_waiter w;
                     eioi_waiter_init(&w, "test");
                     std::thread([&] { eioi_wake(&w, nullptr); }).join();
                     return nullptr;
                 })),
                 "a wait \\(test\\) was ended from another domain");
}

TEST_F(LoopTest, WhereThereAreNoDescriptorsNoneCanBeWaitedFor) {
    RunMock([](eio_switch *) -> eio_err * {
        EXPECT_ERR(eio_await_readable(0), &eio_err_not_available);
        EXPECT_ERR(eio_await_writable(0), &eio_err_not_available);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
