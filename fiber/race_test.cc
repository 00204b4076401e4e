// SPDX-License-Identifier: ISC
// Shapes in which one success is enough: first, any, n_any.
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class RaceTest : public EioTest {};

eio_err *Fail(const char *text) {
    return eio_err_failure("%s", text);
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

/// Cancelled, and succeeds all the same.
eio_err *SucceedWhenCancelled(const char *name) {
    eio_err_drop(eio_fiber_await_cancel());
    return Say(name);
}

/// A branch with a name, and a discard hook that says it.
struct Branch {
    std::string name;
    std::function<eio_err *()> fn;
};

std::vector<eio_call> Discarding(std::vector<Branch> &branches) {
    std::vector<eio_call> calls;
    for (Branch &branch : branches) {
        calls.push_back({[](void *arg) { return static_cast<Branch *>(arg)->fn(); }, &branch,
                         [](void *arg) {
                             eio_traceln("discard %s", static_cast<Branch *>(arg)->name.c_str());
                         }});
    }
    return calls;
}

eio_err *NAny(std::vector<Branch> branches) {
    std::vector<eio_call> calls = Discarding(branches);
    std::vector<size_t> order(branches.size());
    size_t count = 0;
    EIO_TRY(eio_fiber_n_any(calls.data(), calls.size(), order.data(), &count));
    for (size_t i = 0; i < count; i++)
        eio_traceln("success %zu: %s", i, branches[order[i]].name.c_str());
    return nullptr;
}

eio_err *AnyOf(std::vector<Branch> branches) {
    std::vector<eio_call> calls = Discarding(branches);
    size_t winner = 99;
    EIO_TRY(eio_fiber_any(calls.data(), calls.size(), &winner));
    eio_traceln("winner: %s", branches[winner].name.c_str());
    return nullptr;
}

TEST_F(RaceTest, TheFirstSuccessCancelsTheOtherWithNotFirst) {
    RunMock([](eio_switch *) -> eio_err * {
        size_t winner = 99;
        EIO_TRY(First([]() -> eio_err * { return eio_fiber_yield(); },
                      [] { return AwaitAndSay("g"); }, &winner));
        eio_traceln("winner %zu", winner);
        EIO_TRY(
            First([] { return AwaitAndSay("f"); }, []() -> eio_err * { return nullptr; }, &winner));
        eio_traceln("winner %zu", winner);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +g: Cancelled: Eio__core__Fiber.Not_first
        +winner 0
        +f: Cancelled: Eio__core__Fiber.Not_first
        +winner 1
        - : unit = ()
    )");
}

// Trap 3: all branches are started, also when one has won: they run cancelled.
TEST_F(RaceTest, EveryBranchIsStartedEvenWhenOneHasWon) {
    RunMock([](eio_switch *) -> eio_err * {
        auto late = [](const char *name) {
            eio_traceln("%s starts: %s", name, TakeText(eio_fiber_check()).c_str());
            return eio_fiber_yield();
        };
        return AnyOf({{"a", [] { return Say("a wins"); }},
                      {"b", [=] { return late("b"); }},
                      {"c", [=] { return late("c"); }}});
    });
    EXPECT_TRACE(R"(
        +a wins
        +b starts: Cancelled: Eio__core__Fiber.Not_first
        +c starts: Cancelled: Eio__core__Fiber.Not_first
        +winner: a
        - : unit = ()
    )");
}

// Trap 3
TEST_F(RaceTest, EveryBranchIsStartedEvenWhenOneHasFailed) {
    RunMock([](eio_switch *) -> eio_err * {
        return AnyOf({{"a", [] { return Fail("a"); }}, {"b", [] { return Say("b starts"); }}});
    });
    EXPECT_TRACE(R"(
        +b starts
        +discard b
        Exception: Failure "a".
    )");
}

TEST_F(RaceTest, TheLosersAreAwaited) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(First(
            [] {
                eio_err *err = eio_fiber_await_cancel();
                for (int i = 0; i < 3; i++)
                    eio_err_drop(Protect([] { return eio_fiber_yield(); }));
                Say("loser ends");
                return err;
            },
            [] { return Say("winner"); }));
        return Say("first returns");
    });
    EXPECT_TRACE(R"(
        +winner
        +loser ends
        +first returns
        - : unit = ()
    )");
}

TEST_F(RaceTest, AnErrorCancelsTheOthersAndIsReturned) {
    RunMock([](eio_switch *) -> eio_err * {
        return First([] { return AwaitAndSay("f"); }, [] { return Fail("g"); });
    });
    EXPECT_TRACE(R"(
        +f: Cancelled: Failure("g")
        Exception: Failure "g".
    )");
}

TEST_F(RaceTest, AnErrorAfterASuccessReplacesIt) {
    RunMock([](eio_switch *) -> eio_err * {
        return AnyOf({{"a",
                       []() -> eio_err * {
                           eio_err_drop(eio_fiber_await_cancel());
                           return Fail("a");
                       }},
                      {"b", []() -> eio_err * { return nullptr; }}});
    });
    EXPECT_TRACE(R"(
        +discard b
        Exception: Failure "a".
    )");
}

TEST_F(RaceTest, ErrorsAreCombinedInTheOrderInWhichTheyCame) {
    RunMock([](eio_switch *) -> eio_err * {
        auto fail_when_cancelled = [](const char *text) {
            eio_err_drop(eio_fiber_await_cancel());
            return Fail(text);
        };
        return Any({[=] { return fail_when_cancelled("second"); },
                    [=] { return fail_when_cancelled("third"); }, [] { return Fail("first"); }});
    });
    EXPECT_TRACE(R"(
        Exception:
        Multiple exceptions:
        - Failure("first")
        - Failure("second")
        - Failure("third")
    )");
}

TEST_F(RaceTest, ALaterSuccessOfAnyIsDiscarded) {
    RunMock([](eio_switch *) -> eio_err * {
        return AnyOf({{"a", [] { return SucceedWhenCancelled("a, too late"); }},
                      {"b", [] { return AwaitAndSay("b"); }},
                      {"c", []() -> eio_err * { return nullptr; }}});
    });
    EXPECT_TRACE(R"(
        +a, too late
        +discard a
        +b: Cancelled: Eio__core__Fiber.Not_first
        +winner: c
        - : unit = ()
    )");
}

TEST_F(RaceTest, NAnyKeepsEverySuccessInTheOrderOfTheirEnds) {
    RunMock([](eio_switch *) -> eio_err * {
        return NAny({{"a", [] { return SucceedWhenCancelled("a"); }},
                     {"b", [] { return eio_fiber_await_cancel(); }},
                     {"c", []() -> eio_err * { return nullptr; }},
                     {"d", []() -> eio_err * { return nullptr; }}});
    });
    EXPECT_TRACE(R"(
        +a
        +success 0: c
        +success 1: d
        +success 2: a
        - : unit = ()
    )");
}

TEST_F(RaceTest, WhatNAnyKeptIsDiscardedWhenItFails) {
    RunMock([](eio_switch *) -> eio_err * {
        return NAny({{"a", []() -> eio_err * { return nullptr; }},
                     {"b",
                      []() -> eio_err * {
                          eio_err_drop(eio_fiber_yield());
                          return Fail("b");
                      }},
                     {"c", []() -> eio_err * { return nullptr; }}});
    });
    EXPECT_TRACE(R"(
        +discard a
        +discard c
        Exception: Failure "b".
    )");
}

// A resource that was won must not be lost.
TEST_F(RaceTest, ASuccessIsReturnedThoughTheCallerWasCancelledMeanwhile) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            EIO_TRY(AnyOf({{"a", [] { return AwaitAndSay("a"); }}, {"b", [cc]() -> eio_err * {
                                                                        eio_cancel_cancel(
                                                                            cc, Fail("stop"));
                                                                        return nullptr;
                                                                    }}}));
            return Say("returned");
        });
    });
    EXPECT_TRACE(R"(
        +a: Cancelled: Failure("stop")
        +winner: b
        +returned
        - : unit = ()
    )");
}

TEST_F(RaceTest, WithoutASuccessACancelledCallerGetsCancelled) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            return AnyOf({{"a", [] { return AwaitAndSay("a"); }}, {"b", [cc]() -> eio_err * {
                                                                       eio_cancel_cancel(
                                                                           cc, Fail("stop"));
                                                                       return AwaitAndSay("b");
                                                                   }}});
        });
    });
    EXPECT_TRACE(R"(
        +a: Cancelled: Failure("stop")
        +b: Cancelled: Failure("stop")
        Exception: Cancelled: Failure("stop")
    )");
}

TEST_F(RaceTest, AnErrorBesideTheCallersCancellationIsReturned) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            return First([] { return AwaitAndSay("f"); },
                         [cc]() -> eio_err * {
                             eio_cancel_cancel(cc, Fail("stop"));
                             return Fail("g");
                         });
        });
    });
    EXPECT_TRACE(R"(
        +f: Cancelled: Failure("stop")
        Exception: Failure "g".
    )");
}

TEST_F(RaceTest, ACancelledFromElsewhereIsAnErrorWhileTheRaceIsOn) {
    RunMock([](eio_switch *) -> eio_err * {
        return First([] { return AwaitAndSay("f"); },
                     [] { return eio_err_cancelled_new(Fail("elsewhere")); });
    });
    EXPECT_TRACE(R"(
        +f: Cancelled: Cancelled: Failure("elsewhere")
        Exception: Cancelled: Failure("elsewhere")
    )");
}

TEST_F(RaceTest, NoBranchesWaitForCancellation) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both(
            [] {
                eio_err *err = Any({});
                eio_traceln("any: %s", TakeText(err).c_str());
                size_t count;
                err = eio_fiber_n_any(nullptr, 0, nullptr, &count);
                eio_traceln("n_any: %s", TakeText(err).c_str());
                return static_cast<eio_err *>(nullptr);
            },
            [] { return Fail("stop"); });
    });
    EXPECT_TRACE(R"(
        +any: Cancelled: Failure("stop")
        +n_any: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(RaceTest, ARaceInACancelledFiberStartsNothing) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            eio_cancel_cancel(cc, Fail("stop"));
            return AnyOf({{"a", [] { return Say("a"); }}, {"b", [] { return Say("b"); }}});
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("stop")
    )");
}

TEST_F(RaceTest, ManyBranchesRace) {
    for (size_t n : {2u, 8u, 9u, 100u}) {
        Branches branches;
        for (size_t i = 0; i < n; i++) {
            branches.push_back([i, n]() -> eio_err * {
                if (i != n / 2)
                    return eio_fiber_await_cancel();
                return eio_fiber_yield();
            });
        }
        size_t winner = 0;
        EXPECT_OK(EvalMock([&](eio_switch *) { return Any(branches, &winner); }));
        EXPECT_EQ(winner, n / 2);
    }
}

// The caller joins the losers in the order of the list; who ends first matters to nobody.
TEST_F(RaceTest, LosersMayEndInAnyOrder) {
    RunMock([](eio_switch *) -> eio_err * {
        auto loser = [](int turns) {
            eio_err *err = eio_fiber_await_cancel();
            for (int i = 0; i < turns; i++)
                eio_err_drop(Protect([] { return eio_fiber_yield(); }));
            eio_traceln("after %d turns", turns);
            return err;
        };
        EIO_TRY(Any({[=] { return loser(3); }, [=] { return loser(1); }, [=] { return loser(2); },
                     []() -> eio_err * { return nullptr; }}));
        return Say("joined");
    });
    EXPECT_TRACE(R"(
        +after 1 turns
        +after 2 turns
        +after 3 turns
        +joined
        - : unit = ()
    )");
}

// Nested races: the outer one's winner ends the inner one, which isn't a failure.
TEST_F(RaceTest, RacesNest) {
    RunMock([](eio_switch *) -> eio_err * {
        return First(
            [] { return First([] { return AwaitAndSay("a"); }, [] { return AwaitAndSay("b"); }); },
            []() -> eio_err * { return Say("c wins"); });
    });
    EXPECT_TRACE(R"(
        +c wins
        +b: Cancelled: Eio__core__Fiber.Not_first
        +a: Cancelled: Eio__core__Fiber.Not_first
        - : unit = ()
    )");
}

} // namespace
