// SPDX-License-Identifier: ISC
// Domains: fake ones on the mock loop, threads on the real ones; the same to who uses them.

#include "eio/domain.h"
#include "tests/support/any_run.h"

namespace eio_test {
namespace {

class DomainTest : public AnyTest {};
EIO_ON_ALL_BACKENDS(DomainTest);

template <class F> eio_err *RunDomain(const eio_env *env, F &&f) {
    return eio_domain_run(env->domain_mgr, Fn<F>::Call, Fn<F>::Arg(f));
}

TEST_P(DomainTest, ResultAndErrorComeBack) {
    RunAny([](eio_switch *, const eio_env *env) -> eio_err * {
        bool ran = false;
        EIO_TRY(RunDomain(env, [&]() -> eio_err * {
            ran = true;
            return eio_fiber_yield();
        }));
        EXPECT_TRUE(ran);
        return RunDomain(env, [] { return eio_err_failure("there"); });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "there".
    )");
}

TEST_P(DomainTest, CancellationCrossesOverAndIsWaitedFor) {
    RunAny([](eio_switch *, const eio_env *env) {
        return CancelSub([&](eio_cancel *cc) {
            eio_promise *ready;
            eio_promise_resolver *set_ready;
            return SwitchRun([&](eio_switch *sw) -> eio_err * {
                EIO_TRY(eio_promise_create(sw, &ready, &set_ready));
                return Both(
                    [&] {
                        return RunDomain(env, [&] {
                            eio_promise_resolve(set_ready, nullptr);
                            eio_err *err = eio_fiber_await_cancel();
                            eio_traceln("there: %s", Text(err).c_str());
                            return err;
                        });
                    },
                    [&]() -> eio_err * {
                        EIO_TRY(eio_promise_await(ready, nullptr));
                        eio_cancel_cancel(cc, eio_err_failure("stop"));
                        return nullptr;
                    });
            });
        });
    });
    EXPECT_TRACE(R"(
        +there: Cancelled: Failure("stop")
        Exception: Cancelled: Failure("stop")
    )");
}

TEST_P(DomainTest, WhatIsProtectedThereEndsInItsOwnTime) {
    RunAny([](eio_switch *sw, const eio_env *env) {
        return CancelSub([&](eio_cancel *cc) -> eio_err * {
            eio_promise *ready, *go_on;
            eio_promise_resolver *set_ready, *set_go_on;
            EIO_TRY(eio_promise_create(sw, &ready, &set_ready));
            EIO_TRY(eio_promise_create(sw, &go_on, &set_go_on));
            return Both(
                [&] {
                    return RunDomain(env, [&] {
                        return Protect([&]() -> eio_err * {
                            eio_promise_resolve(set_ready, nullptr);
                            EIO_TRY(eio_promise_await(go_on, nullptr));
                            eio_traceln("done");
                            return nullptr;
                        });
                    });
                },
                [&]() -> eio_err * {
                    EIO_TRY(eio_promise_await(ready, nullptr));
                    eio_cancel_cancel(cc, eio_err_failure("stop"));
                    eio_promise_resolve(set_go_on, nullptr);
                    return nullptr;
                });
        });
    });
    const std::string trace = TakeTrace();
    EXPECT_NE(trace.find("+done\n"), std::string::npos) << trace;
}

TEST_P(DomainTest, AFailureCancelsTheSiblings) {
    RunAny([](eio_switch *, const eio_env *env) {
        return ForEach(3, 0, [&](size_t i) {
            return RunDomain(env, [i]() -> eio_err * {
                if (i < 2)
                    return eio_fiber_await_cancel();
                EIO_TRY(eio_fiber_yield());
                return eio_err_failure("the last one");
            });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "the last one".
    )");
}

} // namespace
} // namespace eio_test
