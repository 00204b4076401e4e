// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_REAL_RUN_H
#define EIO_TESTS_SUPPORT_REAL_RUN_H

// Lambdas on real loops, and suites that run once on each. See support.h.
//
//     class EchoTest : public RealTest {};
//     EIO_ON_REAL_BACKENDS(EchoTest);
//
//     TEST_P(EchoTest, WhatIsWrittenComesBack) {
//         RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * { ... });
//         EXPECT_TRACE(R"(
//             - : unit = ()
//         )");
//     }

#include "eio/env.h"
#include "eio/main.h"
#include "tests/support/support.h"

namespace eio_test {

/// Runs `f(sw, env)` in a switch on the loop of backend "uring" or "epoll"; returns its error.
template <class F> eio_err *EvalOn(const char *backend, F &&f) {
    auto call = [](void *arg, const eio_env *env) -> eio_err * {
        auto &fn = *static_cast<std::remove_reference_t<F> *>(arg);
        return SwitchRun([&fn, env](eio_switch *sw) -> eio_err * { return fn(sw, env); });
    };
    eio_run_opts opts = {};
    opts.backend = backend;
    return eio_run(&opts, call, Fn<F>::Arg(f));
}
/// The same, and traces the result.
template <class F> void RunOn(const char *backend, F &&f) {
    PrintResult(EvalOn(backend, f));
}

/// "" when `backend` can be started here, else why not.
inline std::string WhyNot(const char *backend) {
    return TakeText(
        EvalOn(backend, [](eio_switch *, const eio_env *) -> eio_err * { return nullptr; }));
}

/// A suite that runs on each real backend; skipped, by name and reason, on one that can't be
/// started here.
class RealTest : public EioTest, public ::testing::WithParamInterface<const char *> {
  protected:
    void SetUp() override {
        const std::string why_not = WhyNot(GetParam());
        EioTest::SetUp();
        if (why_not != "ok")
            GTEST_SKIP() << "no " << GetParam() << " here: " << why_not;
    }
    template <class F> eio_err *EvalReal(F &&f) { return EvalOn(GetParam(), f); }
    template <class F> void RunReal(F &&f) { RunOn(GetParam(), f); }
};

#define EIO_ON_REAL_BACKENDS(suite)                                            \
    INSTANTIATE_TEST_SUITE_P(Real, suite, ::testing::Values("uring", "epoll"), \
                             [](const auto &backend) { return std::string(backend.param); })

} // namespace eio_test

#endif
