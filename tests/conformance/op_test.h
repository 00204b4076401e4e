// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_CONFORMANCE_OP_TEST_H
#define EIO_TESTS_CONFORMANCE_OP_TEST_H

// A suite over rows: each on its own backend, with a fresh op for each test.

#include "tests/conformance/op.h"
#include "tests/support/any_run.h"

namespace eio_test {

class OpTest : public EioTest, public ::testing::WithParamInterface<OpRow> {
  protected:
    void SetUp() override {
        const std::string &backend = GetParam().backend;
        const std::string why_not = IsMock() ? "ok" : WhyNot(backend.c_str());
        EioTest::SetUp();
        if (why_not != "ok")
            GTEST_SKIP() << "no " << backend << " here: " << why_not;
    }
    static bool IsMock() { return GetParam().backend == "mock"; }

    /// Runs `body(op, env)` with a fresh op. The mock says what it does; that isn't looked at here.
    template <class F> void RunOp(F &&body) {
        auto main = [&](eio_switch *, const eio_env *env) -> eio_err * {
            std::unique_ptr<Op> op = GetParam().make();
            eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
                EIO_TRY(op->SetUp(sw, env));
                return body(op.get(), env);
            });
            op->TearDown();
            return err;
        };
        EXPECT_OK(IsMock() ? EvalMockFull(main) : EvalOn(GetParam().backend.c_str(), main));
        TakeTrace();
    }

    /// Gives the loop time to bring about what was set off.
    static eio_err *Settle(const eio_env *env) {
        for (int i = 0; i < 3; i++)
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
        return nullptr;
    }
};

} // namespace eio_test

#endif
