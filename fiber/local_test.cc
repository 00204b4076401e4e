// SPDX-License-Identifier: ISC
// Fiber-local values: who sees which, and when one is freed.
#include "fiber/testing.h"

using namespace eio_test;

namespace {

class LocalTest : public EioTest {};

const eio_local_key colour = {"colour"};
const eio_local_key size_key = {"size"};

template <class F> eio_err *With(const eio_local_key *key, const char *value, F &&f) {
    return eio_fiber_with_local(key, const_cast<char *>(value), nullptr, Fn<F>::Call,
                                Fn<F>::Arg(f));
}

/// A value whose end is traced.
template <class F> eio_err *WithFreed(const eio_local_key *key, const char *value, F &&f) {
    return eio_fiber_with_local(
        key, const_cast<char *>(value),
        [](void *v) { eio_traceln("free %s", static_cast<char *>(v)); }, Fn<F>::Call,
        Fn<F>::Arg(f));
}

eio_err *Show(const char *who) {
    const auto *c = static_cast<const char *>(eio_fiber_local(&colour));
    const auto *s = static_cast<const char *>(eio_fiber_local(&size_key));
    eio_traceln("%s: %s, %s", who, c == nullptr ? "none" : c, s == nullptr ? "none" : s);
    return nullptr;
}

TEST_F(LocalTest, ABindingHoldsInItsScopeAndInnerOnesHideIt) {
    RunMock([](eio_switch *) -> eio_err * {
        Show("before");
        EIO_TRY(With(&colour, "red", []() -> eio_err * {
            Show("outer");
            EIO_TRY(With(&size_key, "big",
                         [] { return With(&colour, "blue", [] { return Show("inner"); }); }));
            return Show("outer again");
        }));
        return Show("after");
    });
    EXPECT_TRACE(R"(
        +before: none, none
        +outer: red, none
        +inner: blue, big
        +outer again: red, none
        +after: none, none
        - : unit = ()
    )");
}

TEST_F(LocalTest, AForkTakesTheForkersBindingsNotTheSwitches) {
    RunMock([](eio_switch *) -> eio_err * {
        return With(&colour, "red", [] {
            return SwitchRun([](eio_switch *sw) -> eio_err * {
                EIO_TRY(With(&colour, "blue", [=]() -> eio_err * {
                    return Fork(sw, []() -> eio_err * {
                        Show("child");
                        EIO_TRY(eio_fiber_yield());
                        return Show("child, after its forker's binding");
                    });
                }));
                return Show("parent");
            });
        });
    });
    EXPECT_TRACE(R"(
        +child: blue, none
        +parent: red, none
        +child, after its forker's binding: blue, none
        - : unit = ()
    )");
}

TEST_F(LocalTest, AChildsOwnBindingIsNotSeenByOthers) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(Fork(sw, [] {
            return With(&colour, "green", []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Show("child");
            });
        }));
        EIO_TRY(Fork(sw, [] { return Show("sibling"); }));
        Show("parent");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +sibling: none, none
        +parent: none, none
        +child: green, none
        - : unit = ()
    )");
}

TEST_F(LocalTest, AValueIsFreedWhenTheLastFiberThatInheritedItIsGone) {
    RunMock([](eio_switch *sw) -> eio_err * {
        EIO_TRY(WithFreed(&colour, "red", [=]() -> eio_err * {
            for (int i = 1; i <= 2; i++) {
                EIO_TRY(Fork(sw, [i]() -> eio_err * {
                    for (int turns = 0; turns < i; turns++)
                        EIO_TRY(eio_fiber_yield());
                    return Show(i == 1 ? "one" : "two");
                }));
            }
            return nullptr;
        }));
        Show("parent, without");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +parent, without: none, none
        +one: red, none
        +two: red, none
        +free red
        - : unit = ()
    )");
}

TEST_F(LocalTest, AValueThatNobodyInheritedIsFreedWithItsScope) {
    RunMock([](eio_switch *) -> eio_err * {
        EIO_TRY(WithFreed(&colour, "red", [] { return Show("scope"); }));
        return Show("after");
    });
    EXPECT_TRACE(R"(
        +scope: red, none
        +free red
        +after: none, none
        - : unit = ()
    )");
}

// What is freed isn't seen while it is freed, and neither is what is freed with it.
TEST_F(LocalTest, FreeFunctionsMayLookAtLocalsAndTrace) {
    RunMock([](eio_switch *sw) -> eio_err * {
        auto free_and_look = [](void *value) {
            Show(static_cast<char *>(value));
            EXPECT_EQ(eio_trace_prefix_len(), 0u);
        };
        auto fork = [=] {
            return Fork(sw, []() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return Show("child");
            });
        };
        auto with_size = [&] {
            return eio_fiber_with_local(&size_key, const_cast<char *>("big"), free_and_look,
                                        Fn<decltype(fork)>::Call, &fork);
        };
        EIO_TRY(eio_fiber_with_local(&colour, const_cast<char *>("red"), free_and_look,
                                     Fn<decltype(with_size)>::Call, &with_size));
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +child: red, big
        +big: none, none
        +red: none, none
        - : unit = ()
    )");
}

TEST_F(LocalTest, TheErrorOfTheScopeIsReturned) {
    RunMock([](eio_switch *) -> eio_err * {
        return WithFreed(&colour, "red", [] { return eio_err_failure("scope"); });
    });
    EXPECT_TRACE(R"(
        +free red
        Exception: Failure "scope".
    )");
}

TEST_F(LocalTest, WithoutMemoryTheValueIsFreedAndTheScopeNotRun) {
    std::string freed;
    EXPECT_ERR(EvalMock([&](eio_switch *) -> eio_err * {
                   Faults faults([](const std::string &) { return ENOMEM; });
                   auto body = [] { return eio_err_failure("was run"); };
                   return eio_fiber_with_local(
                       &colour, &freed,
                       [](void *value) { *static_cast<std::string *>(value) = "freed"; },
                       Fn<decltype(body)>::Call, &body);
               }),
               &eio_err_out_of_memory);
    EXPECT_EQ(freed, "freed");
}

TEST_F(LocalTest, NullIsAValue) {
    RunMock([](eio_switch *) -> eio_err * {
        return With(&colour, "red",
                    [] { return With(&colour, nullptr, [] { return Show("hidden"); }); });
    });
    EXPECT_TRACE(R"(
        +hidden: none, none
        - : unit = ()
    )");
}

TEST_F(LocalTest, EveryShapeInheritsTheCallersBindings) {
    RunMock([](eio_switch *) -> eio_err * {
        return With(&colour, "red", []() -> eio_err * {
            EIO_TRY(Both([] { return Show("f"); }, [] { return Show("g"); }));
            EIO_TRY(First([] { return Show("f"); }, [] { return Show("g"); }));
            return ForEach(2, 0, [](size_t) { return Show("each"); });
        });
    });
    EXPECT_TRACE(R"(
        +f: red, none
        +g: red, none
        +f: red, none
        +g: red, none
        +each: red, none
        +each: red, none
        - : unit = ()
    )");
}

} // namespace
