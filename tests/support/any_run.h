// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_SUPPORT_ANY_RUN_H
#define EIO_TESTS_SUPPORT_ANY_RUN_H

// Suites that run on the mock loop and on each real one. See real_run.h; the same, with AnyTest and
// EIO_ON_ALL_BACKENDS.

#include <cstring>

#include "tests/support/mock_run.h"
#include "tests/support/real_run.h"

namespace eio_test {

/// A suite that runs on each backend, the mock one included.
class AnyTest : public EioTest, public ::testing::WithParamInterface<const char *> {
  protected:
    bool IsMock() const { return strcmp(GetParam(), "mock") == 0; }
    void SetUp() override {
        const std::string why_not = IsMock() ? "ok" : WhyNot(GetParam());
        EioTest::SetUp();
        if (why_not != "ok")
            GTEST_SKIP() << "no " << GetParam() << " here: " << why_not;
    }
    template <class F> eio_err *EvalAny(F &&f) {
        return IsMock() ? EvalMockFull(f) : EvalOn(GetParam(), f);
    }
    template <class F> void RunAny(F &&f) { PrintResult(EvalAny(f)); }
};

#define EIO_ON_ALL_BACKENDS(suite)                                                    \
    INSTANTIATE_TEST_SUITE_P(All, suite, ::testing::Values("mock", "uring", "epoll"), \
                             [](const auto &backend) { return std::string(backend.param); })

} // namespace eio_test

#endif
