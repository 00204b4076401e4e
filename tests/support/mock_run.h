// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_MOCK_RUN_H
#define EIO_TESTS_SUPPORT_MOCK_RUN_H

// Lambdas on the mock loop: virtual time, exact order. See support.h.

#include "eio/env.h"
#include "eio/mock/backend.h"
#include "tests/support/support.h"

namespace eio_test {

/// Runs `f(sw)` in a switch on the mock loop; returns its error.
template <class F> eio_err *EvalMock(F &&f) {
    auto main = [&f]() -> eio_err * { return SwitchRun(f); };
    return eio_mock_run(Fn<decltype(main)>::Call, &main);
}
/// The same, and traces the result.
template <class F> void RunMock(F &&f) {
    PrintResult(EvalMock(f));
}

/// Runs `f(sw, env)` in a switch on the mock loop, with its environment; returns its error.
template <class F> eio_err *EvalMockFull(F &&f) {
    auto call = [](void *arg, const eio_env *env) -> eio_err * {
        auto &fn = *static_cast<std::remove_reference_t<F> *>(arg);
        return SwitchRun([&fn, env](eio_switch *sw) -> eio_err * { return fn(sw, env); });
    };
    return eio_mock_run_full(call, Fn<F>::Arg(f));
}
/// The same, and traces the result.
template <class F> void RunMockFull(F &&f) {
    PrintResult(EvalMockFull(f));
}

} // namespace eio_test

#endif
