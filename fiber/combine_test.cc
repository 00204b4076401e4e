// SPDX-License-Identifier: ISC
// Shapes in which all must succeed: both, pair, all, for_each. (Races: race_test.cc.)
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class CombineTest : public EioTest {};

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

eio_err *YieldAndSay(const char *text) {
    EIO_TRY(eio_fiber_yield());
    return Say(text);
}

/// Cancelled, and fails all the same.
eio_err *FailWhenCancelled(const char *text) {
    eio_err_drop(eio_fiber_await_cancel());
    return Fail(text);
}

// --- both, all -----------------------------------------------------------------------------------

// Trap 2: told by the fiber's id.
TEST_F(CombineTest, TheLastBranchOfBothRunsInTheCallingFiber) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        const auto self = eio_fiber_id();
        return Both(
            [=] { return eio_fiber_id() != self ? nullptr : Fail("f is in the caller"); },
            [=] { return eio_fiber_id() == self ? nullptr : Fail("g isn't in the caller"); });
    }));
}

// Trap 2
TEST_F(CombineTest, TheLastBranchOfEachShapeRunsInTheCallingFiber) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        const auto self = eio_fiber_id();
        size_t here = 0;
        auto look = [&](bool last) -> eio_err * {
            here += eio_fiber_id() == self;
            return (eio_fiber_id() == self) == last ? nullptr : Fail("in the wrong fiber");
        };
        auto other = [&] { return look(false); };
        auto last = [&] { return look(true); };
        EIO_TRY(All({other, other, last}));
        EIO_TRY(Pair(other, last));
        EIO_TRY(First(other, last));
        EIO_TRY(Any({other, other, last}));
        for (size_t max_fibers : {0u, 1u, 2u, 3u, 4u, 5u})
            EIO_TRY(ForEach(4, max_fibers, [&](size_t i) { return look(i == 3); }));
        EIO_TRY(All({last}));
        EIO_TRY(Any({last}));
        EIO_TRY(ForEach(1, 0, [&](size_t) { return look(true); }));
        return here == 13 ? nullptr : eio_err_failure("%zu in the calling fiber", here);
    }));
}

TEST_F(CombineTest, BranchesStartInOrderAndAllAreAwaited) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(All({[]() -> eio_err * {
                         Say("a starts");
                         return YieldAndSay("a ends");
                     },
                     []() -> eio_err * {
                         Say("b starts");
                         EIO_TRY(eio_fiber_yield());
                         return YieldAndSay("b ends");
                     },
                     [] { return Say("c, starts and ends"); }}));
        return Say("all have ended");
    });
    EXPECT_TRACE(R"(
        +a starts
        +b starts
        +c, starts and ends
        +a ends
        +b ends
        +all have ended
        - : unit = ()
    )");
}

TEST_F(CombineTest, AFailureOfTheForkedBranchCancelsTheOther) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both(
            []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Fail("f");
            },
            [] { return AwaitAndSay("g"); });
    });
    EXPECT_TRACE(R"(
        +g: Cancelled: Failure("f")
        Exception: Failure "f".
    )");
}

TEST_F(CombineTest, AFailureOfTheLastBranchCancelsTheOther) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both([] { return AwaitAndSay("f"); }, [] { return Fail("g"); });
    });
    EXPECT_TRACE(R"(
        +f: Cancelled: Failure("g")
        Exception: Failure "g".
    )");
}

// Trap 3
TEST_F(CombineTest, NoBranchIsStartedOnceOneHasFailed) {
    RunMock([](eio_switch *) -> eio_err * {
        return All({[] { return AwaitAndSay("a"); }, [] { return Fail("b"); },
                    [] { return Say("c is started"); }, [] { return Say("d is started"); }});
    });
    RunMock([](eio_switch *) -> eio_err * {
        return Both([] { return Fail("f"); }, [] { return Say("g is started"); });
    });
    EXPECT_TRACE(R"(
        +a: Cancelled: Failure("b")
        Exception: Failure "b".
        Exception: Failure "f".
    )");
}

TEST_F(CombineTest, TheErrorsOfAllBranchesAreCombined) {
    RunMock([](eio_switch *) -> eio_err * {
        return All({[] { return FailWhenCancelled("second"); },
                    [] { return AwaitAndSay("cancelled"); },
                    [] { return FailWhenCancelled("third"); }, [] { return Fail("first"); }});
    });
    EXPECT_TRACE(R"(
        +cancelled: Cancelled: Failure("first")
        Exception:
        Multiple exceptions:
        - Failure("first")
        - Failure("second")
        - Failure("third")
    )");
}

TEST_F(CombineTest, ASwitchWhoseBranchesSucceedThoughCancelledSucceeds) {
    RunMock([](eio_switch *) -> eio_err * {
        return CancelSub([](eio_cancel *cc) -> eio_err * {
            EIO_TRY(Both([] { return Protect([] { return YieldAndSay("f"); }); },
                         [cc]() -> eio_err * {
                             eio_cancel_cancel(cc, Fail("stop"));
                             return Say("g");
                         }));
            return Say("both");
        });
    });
    EXPECT_TRACE(R"(
        +g
        +f
        +both
        - : unit = ()
    )");
}

TEST_F(CombineTest, NoBranchesIsSuccess) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        EIO_TRY(All({}));
        return ForEach(0, 0, [](size_t) { return Fail("called"); });
    }));
}

// --- pair ----------------------------------------------------------------------------------------

// Trap 14
TEST_F(CombineTest, AFailingFirstBranchOfPairDoesNotCancelTheSecond) {
    RunMock([](eio_switch *) -> eio_err * {
        return Pair([] { return Fail("f"); },
                    [] {
                        Say("g starts");
                        return YieldAndSay("g ends");
                    });
    });
    EXPECT_TRACE(R"(
        +g starts
        +g ends
        Exception: Failure "f".
    )");
}

// Trap 14
TEST_F(CombineTest, AFailingSecondBranchOfPairCancelsTheFirst) {
    RunMock([](eio_switch *) -> eio_err * {
        return Pair([] { return AwaitAndSay("f"); }, [] { return Fail("g"); });
    });
    EXPECT_TRACE(R"(
        +f: Cancelled: Failure("g")
        Exception: Failure "g".
    )");
}

TEST_F(CombineTest, PairWaitsForBoth) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(Pair(
            []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return YieldAndSay("f");
            },
            [] { return Say("g"); }));
        return Say("pair");
    });
    EXPECT_TRACE(R"(
        +g
        +f
        +pair
        - : unit = ()
    )");
}

TEST_F(CombineTest, WhenBothOfAPairFailTheSecondsErrorIsReturned) {
    RunMock([](eio_switch *) -> eio_err * {
        return Pair([] { return Fail("f"); }, [] { return Fail("g"); });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "g".
    )");
}

// --- for_each ------------------------------------------------------------------------------------

TEST_F(CombineTest, ForEachCallsEveryIndexOnceInOrder) {
    for (size_t max_fibers : {0u, 1u, 2u, 4u, 5u, 6u, 100u}) {
        std::string order;
        EXPECT_OK(EvalMock([&](eio_switch *) {
            return ForEach(5, max_fibers, [&](size_t i) -> eio_err * {
                order += std::to_string(i);
                return eio_fiber_yield();
            });
        }));
        EXPECT_EQ(order, "01234") << "at most " << max_fibers;
    }
}

TEST_F(CombineTest, ForEachKeepsToItsLimit) {
    for (size_t max_fibers : {1u, 2u, 3u, 7u}) {
        size_t now = 0, most = 0;
        EXPECT_OK(EvalMock([&](eio_switch *) {
            return ForEach(20, max_fibers, [&](size_t i) -> eio_err * {
                most = std::max(most, ++now);
                for (size_t turns = 0; turns <= i % 3; turns++)
                    EIO_TRY(eio_fiber_yield());
                now--;
                return nullptr;
            });
        }));
        EXPECT_EQ(most, max_fibers);
        EXPECT_EQ(now, 0u);
    }
}

TEST_F(CombineTest, ForEachStartsTheNextOneWhenOneHasEnded) {
    RunMock([](eio_switch *sw) -> eio_err * {
        eio_promise *gates[4];
        eio_promise_resolver *open[4];
        for (int i = 0; i < 4; i++)
            EIO_TRY(eio_promise_create(sw, &gates[i], &open[i]));
        return Both(
            [&] {
                return ForEach(4, 2, [&](size_t i) -> eio_err * {
                    eio_traceln("%zu starts", i);
                    EIO_TRY(eio_promise_await(gates[i], nullptr));
                    eio_traceln("%zu ends", i);
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                for (int i : {1, 0, 3, 2}) {
                    eio_traceln("gate %d", i);
                    eio_promise_resolve(open[i], nullptr);
                    EIO_TRY(eio_fiber_yield());
                    EIO_TRY(eio_fiber_yield());
                }
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        +0 starts
        +1 starts
        +gate 1
        +1 ends
        +2 starts
        +gate 0
        +0 ends
        +3 starts
        +gate 3
        +3 ends
        +gate 2
        +2 ends
        - : unit = ()
    )");
}

TEST_F(CombineTest, AFailureInForEachCancelsTheRest) {
    RunMock([](eio_switch *) -> eio_err * {
        return ForEach(4, 0, [](size_t i) -> eio_err * {
            if (i == 2)
                return Fail("2");
            return AwaitAndSay(std::to_string(i).c_str());
        });
    });
    EXPECT_TRACE(R"(
        +0: Cancelled: Failure("2")
        +1: Cancelled: Failure("2")
        Exception: Failure "2".
    )");
}

TEST_F(CombineTest, NothingMoreIsStartedInALimitedForEachThatHasFailed) {
    for (size_t max_fibers : {1u, 2u, 3u}) {
        RunMock([=](eio_switch *) -> eio_err * {
            return ForEach(9, max_fibers, [](size_t i) -> eio_err * {
                eio_traceln("%zu", i);
                if (i == 1)
                    return Fail("1");
                return Protect([] { return eio_fiber_yield(); }); // succeeds, cancelled or not
            });
        });
    }
    EXPECT_TRACE(R"(
        +0
        +1
        Exception: Failure "1".
        +0
        +1
        Exception: Failure "1".
        +0
        +1
        Exception: Failure "1".
    )");
}

TEST_F(CombineTest, ALimitedForEachThatWaitsForRoomCanBeCancelled) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both(
            [] {
                return ForEach(3, 1,
                               [](size_t i) { return AwaitAndSay(std::to_string(i).c_str()); });
            },
            [] { return Fail("stop"); });
    });
    EXPECT_TRACE(R"(
        +0: Cancelled: Failure("stop")
        Exception: Failure "stop".
    )");
}

TEST_F(CombineTest, RoomThatComesAfterTheCancellationIsNotTaken) {
    RunMock([](eio_switch *) -> eio_err * {
        return Both(
            [] {
                return ForEach(3, 1, [](size_t i) -> eio_err * {
                    EIO_TRY(Protect([] { return eio_fiber_yield(); }));
                    eio_traceln("%zu succeeds", i);
                    return nullptr;
                });
            },
            [] { return Fail("stop"); });
    });
    EXPECT_TRACE(R"(
        +0 succeeds
        Exception: Failure "stop".
    )");
}

TEST_F(CombineTest, ForEachGoesThroughManyMoreThanItsLimit) {
    size_t sum = 0;
    EXPECT_OK(EvalMock([&](eio_switch *) {
        return ForEach(10000, 10, [&](size_t i) -> eio_err * {
            sum += i;
            return i % 3 == 0 ? nullptr : eio_fiber_yield();
        });
    }));
    EXPECT_EQ(sum, size_t{10000} * 9999 / 2);
}

} // namespace
