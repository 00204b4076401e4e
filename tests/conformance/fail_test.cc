// SPDX-License-Identifier: ISC
// What holds for every call that the world outside can make fail: while it waits, and before it.

#include "tests/conformance/op_test.h"

namespace eio_test {
namespace {

std::vector<OpRow> FailingRows() {
    std::vector<OpRow> rows;
    for (const OpRow &row : OpRows())
        if (row.make()->FailsWith() != nullptr)
            rows.push_back(row);
    return rows;
}

class FailTest : public OpTest {
  protected:
    void ExpectFailed(Op *op, eio_err *err) { EXPECT_ERR(err, op->FailsWith()); }
};

INSTANTIATE_TEST_SUITE_P(Ops, FailTest, ::testing::ValuesIn(FailingRows()), NameOfRow);

TEST_P(FailTest, AFailureEndsACallThatWaits) {
    RunOp([&](Op *op, const eio_env *env) {
        bool failed = false;
        return Both(
            [&]() -> eio_err * {
                ExpectFailed(op, op->Run());
                EXPECT_TRUE(failed) << "it was to wait";
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(Settle(env));
                failed = true;
                op->Fail();
                return nullptr;
            });
    });
}

TEST_P(FailTest, WhatHasFailedBeforeFailsTheCall) {
    RunOp([&](Op *op, const eio_env *env) -> eio_err * {
        if (!op->FailsAtOnce())
            return nullptr;
        op->Fail();
        EIO_TRY(Settle(env));
        ExpectFailed(op, op->Run());
        return nullptr;
    });
}

TEST_P(FailTest, FailedAndCancelledAtOnceItEnds) {
    for (int yields = 0; yields < 3; yields++)
        RunOp([&](Op *op, const eio_env *env) {
            return CancelSub([&](eio_cancel *cc) {
                return Both(
                    [&]() -> eio_err * {
                        eio_err *err = op->Run();
                        EXPECT_TRUE(eio_err_is(err, op->FailsWith()) ||
                                    eio_err_is(err, &eio_err_cancelled))
                            << Text(err);
                        eio_err_drop(err);
                        return nullptr;
                    },
                    [&]() -> eio_err * {
                        EIO_TRY(Settle(env));
                        op->Fail();
                        for (int i = 0; i < yields; i++)
                            EIO_TRY(eio_fiber_yield());
                        eio_cancel_cancel(cc, eio_err_failure("cancelled"));
                        return nullptr;
                    });
            });
        });
}

} // namespace
} // namespace eio_test
