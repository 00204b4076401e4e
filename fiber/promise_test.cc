// SPDX-License-Identifier: ISC
// Promises in one domain. (Across domains: remote_test.cc.)
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class PromiseTest : public EioTest {};

struct Made {
    eio_promise *promise;
    eio_promise_resolver *resolver;
};

eio_err *Make(eio_switch *sw, Made *out) {
    return eio_promise_create(sw, &out->promise, &out->resolver);
}

eio_err *Await(const char *name, eio_promise *promise) {
    eio_err *err = eio_promise_await(promise, nullptr);
    eio_traceln("%s: %s", name, Text(err).c_str());
    return err;
}

TEST_F(PromiseTest, AValueGoesToEveryAwaiterNowAndLater) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        static int value = 42;
        for (int i = 0; i < 2; i++) {
            EIO_TRY(Fork(sw, [=]() -> eio_err * {
                void *got = nullptr;
                EIO_TRY(eio_promise_await(p.promise, &got));
                eio_traceln("fiber %d: %d", i, *static_cast<int *>(got));
                return nullptr;
            }));
        }
        eio_traceln("resolved: %d", eio_promise_is_resolved(p.promise));
        eio_promise_resolve(p.resolver, &value);
        eio_traceln("resolved: %d", eio_promise_is_resolved(p.promise));
        void *got = nullptr;
        EIO_TRY(eio_promise_await(p.promise, &got));
        eio_traceln("at once: %d", *static_cast<int *>(got));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +resolved: 0
        +resolved: 1
        +at once: 42
        +fiber 0: 42
        +fiber 1: 42
        - : unit = ()
    )");
}

TEST_F(PromiseTest, EachAwaiterGetsAReferenceToTheError) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        for (const char *name : {"a", "b"}) {
            EIO_TRY(Fork(sw, [=]() -> eio_err * {
                eio_err_drop(Await(name, p.promise));
                return nullptr;
            }));
        }
        eio_promise_resolve_error(p.resolver, eio_err_failure("no"));
        void *value = &p;
        eio_err *err = eio_promise_await(p.promise, &value);
        eio_traceln("%s, out untouched: %d", TakeText(err).c_str(), value == &p);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +Failure("no"), out untouched: 1
        +a: Failure("no")
        +b: Failure("no")
        - : unit = ()
    )");
}

TEST_F(PromiseTest, AStoredCancelledMakesAFiberThatIsNotCancelledReturnCancelled) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        eio_promise_resolve_error(p.resolver, eio_err_cancelled_new(eio_err_failure("elsewhere")));
        eio_err_drop(Await("await", p.promise));
        eio_traceln("cancelled: %d", eio_fiber_is_cancelled());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +await: Cancelled: Failure("elsewhere")
        +cancelled: 0
        - : unit = ()
    )");
}

TEST_F(PromiseTest, ACancelledAwaiterIsTakenOffTheList) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        EIO_TRY(Fork(sw, [=]() -> eio_err * {
            eio_err_drop(Await("stays", p.promise));
            return nullptr;
        }));
        eio_err *err = SwitchRun([=](eio_switch *inner) -> eio_err * {
            EIO_TRY(Fork(inner, [=] { return Await("cancelled", p.promise); }));
            return eio_err_failure("stop");
        });
        eio_traceln("%s", TakeText(err).c_str());
        eio_promise_resolve(p.resolver, nullptr);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +cancelled: Cancelled: Failure("stop")
        +Failure("stop")
        +stays: ok
        - : unit = ()
    )");
}

TEST_F(PromiseTest, AnAwaiterGetsTheValueOrCancelledButNeverBoth) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        eio_err *err = SwitchRun([=](eio_switch *inner) -> eio_err * {
            EIO_TRY(Fork(inner, [=] { return Await("cancelled first", p.promise); }));
            eio_switch_fail(inner, eio_err_failure("stop"));
            eio_promise_resolve(p.resolver, nullptr); // its turn hasn't come yet
            return nullptr;
        });
        eio_traceln("%s", TakeText(err).c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +cancelled first: Cancelled: Failure("stop")
        +Failure("stop")
        - : unit = ()
    )");
}

TEST_F(PromiseTest, TheStateIsSetBeforeTheAwaitersRun) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made first, second;
        EIO_TRY(Make(sw, &first));
        EIO_TRY(Make(sw, &second));
        EIO_TRY(Fork(sw, [=]() -> eio_err * {
            EIO_TRY(eio_promise_await(first.promise, nullptr));
            eio_traceln("first: %d", eio_promise_is_resolved(first.promise));
            eio_promise_resolve(second.resolver, nullptr);
            return nullptr;
        }));
        EIO_TRY(Fork(sw, [=] { return Await("second", second.promise); }));
        eio_promise_resolve(first.resolver, nullptr);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +first: 1
        +second: ok
        - : unit = ()
    )");
}

TEST_F(PromiseTest, TryResolveTellsWhoWon) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        static int value;
        eio_traceln("%d", eio_promise_try_resolve(p.resolver, &value));
        eio_traceln("%d", eio_promise_try_resolve(p.resolver, nullptr));
        eio_traceln("%d", eio_promise_try_resolve_error(p.resolver, eio_err_failure("dropped")));
        void *got = nullptr;
        EIO_TRY(eio_promise_await(p.promise, &got));
        eio_traceln("the first one's value: %d", got == &value);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +1
        +0
        +0
        +the first one's value: 1
        - : unit = ()
    )");
}

TEST_F(PromiseTest, TryResolveWithAnErrorWinsToo) {
    RunMock([](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        eio_traceln("%d", eio_promise_try_resolve_error(p.resolver, eio_err_failure("no")));
        eio_traceln("%d", eio_promise_try_resolve(p.resolver, nullptr));
        return eio_promise_await(p.promise, nullptr);
    });
    EXPECT_TRACE(R"(
        +1
        +0
        Exception: Failure "no".
    )");
}

TEST_F(PromiseTest, AReferenceOutlivesTheSwitch) {
    EXPECT_OK(EvalMock([](eio_switch *) -> eio_err * {
        eio_promise *kept = nullptr;
        EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
            Made p;
            EIO_TRY(Make(sw, &p));
            kept = eio_promise_ref(p.promise);
            eio_promise_resolve_error(p.resolver, eio_err_failure("kept"));
            return nullptr;
        }));
        eio_err *err = eio_promise_await(kept, nullptr);
        eio_promise_unref(kept);
        eio_promise_unref(nullptr);
        return eio_err_catch(&err, &eio_err_failure_kind) ? nullptr : eio_err_failure("not that");
    }));
}

TEST_F(PromiseTest, APromiseThatNobodyResolvesIsFreedWithItsSwitch) {
    EXPECT_OK(EvalMock([](eio_switch *sw) -> eio_err * {
        for (int i = 0; i < 100; i++) {
            Made p;
            EIO_TRY(Make(sw, &p));
        }
        return nullptr;
    }));
}

TEST_F(PromiseTest, ManyAwaitersAreWokenInOrder) {
    std::vector<size_t> order;
    EXPECT_OK(EvalMock([&](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        for (size_t i = 0; i < 1000; i++) {
            EIO_TRY(Fork(sw, [&order, p, i]() -> eio_err * {
                EIO_TRY(eio_promise_await(p.promise, nullptr));
                order.push_back(i);
                return nullptr;
            }));
        }
        eio_promise_resolve(p.resolver, nullptr);
        return nullptr;
    }));
    ASSERT_EQ(order.size(), 1000u);
    for (size_t i = 0; i < order.size(); i++)
        ASSERT_EQ(order[i], i);
}

using PromiseDeathTest = PromiseTest;

void ResolveTwice(bool first_error, bool second_error) {
    eio_err_drop(EvalMock([=](eio_switch *sw) -> eio_err * {
        Made p;
        EIO_TRY(Make(sw, &p));
        for (bool error : {first_error, second_error}) {
            if (error)
                eio_promise_resolve_error(p.resolver, eio_err_failure("no"));
            else
                eio_promise_resolve(p.resolver, nullptr);
        }
        return nullptr;
    }));
}

TEST_F(PromiseDeathTest, ResolvingTwiceIsABrokenProgram) {
    EXPECT_DEATH(ResolveTwice(false, false), "Can't resolve already-resolved promise");
    EXPECT_DEATH(ResolveTwice(true, false), "Can't resolve already-resolved promise");
    EXPECT_DEATH(ResolveTwice(false, true), "Can't resolve already-resolved promise");
}

TEST_F(PromiseDeathTest, SuccessIsNoError) {
    auto resolve = [](bool try_it) {
        eio_err_drop(EvalMock([=](eio_switch *sw) -> eio_err * {
            Made p;
            EIO_TRY(Make(sw, &p));
            if (try_it)
                (void)eio_promise_try_resolve_error(p.resolver, nullptr);
            else
                eio_promise_resolve_error(p.resolver, nullptr);
            return nullptr;
        }));
    };
    EXPECT_DEATH(resolve(false), "a promise can't be resolved with the error NULL");
    EXPECT_DEATH(resolve(true), "a promise can't be resolved with the error NULL");
}

} // namespace
