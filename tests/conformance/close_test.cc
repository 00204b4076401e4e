// SPDX-License-Identifier: ISC
// What holds for every call on something that is closed: before it, while it waits, and at the
// moment it completes.

#include "tests/conformance/op_test.h"

namespace eio_test {
namespace {

std::vector<OpRow> ClosableRows() {
    std::vector<OpRow> rows;
    for (const OpRow &row : OpRows())
        if (row.make()->CanClose())
            rows.push_back(row);
    return rows;
}

class CloseTest : public OpTest {
  protected:
    /// `err` says that it was closed, with the call's name.
    void ExpectClosed(Op *op, eio_err *err) {
        EXPECT_TRUE(eio_err_is(err, &eio_err_closed)) << Text(err);
        if (!IsMock()) {
            EXPECT_EQ(Text(err), std::string("Invalid_argument(\"") + op->Name() +
                                     ": file descriptor used after calling close!\")");
        }
        eio_err_drop(err);
    }
};

INSTANTIATE_TEST_SUITE_P(Ops, CloseTest, ::testing::ValuesIn(ClosableRows()), NameOfRow);

TEST_P(CloseTest, AfterACloseTheCallSaysSo) {
    RunOp([&](Op *op, const eio_env *) -> eio_err * {
        op->Close();
        op->Close();
        ExpectClosed(op, op->Run());
        ExpectClosed(op, op->Run());
        return nullptr;
    });
}

TEST_P(CloseTest, ACloseEndsACallThatWaitsPromptly) {
    RunOp([&](Op *op, const eio_env *env) {
        return Both(
            [&]() -> eio_err * {
                ExpectClosed(op, op->Run());
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                op->Close();
                return nullptr;
            });
    });
}

TEST_P(CloseTest, ACallThatHasAResultReturnsIt) {
    RunOp([&](Op *op, const eio_env *env) -> eio_err * {
        for (int yields = 0; yields < 3; yields++) {
            std::unique_ptr<Op> other = GetParam().make();
            eio_err *err = SwitchRun([&](eio_switch *sw) -> eio_err * {
                EIO_TRY(other->SetUp(sw, env));
                return Both(
                    [&]() -> eio_err * {
                        eio_err *result = other->Run();
                        if (result != nullptr)
                            ExpectClosed(op, result);
                        return nullptr;
                    },
                    [&]() -> eio_err * {
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                        other->Complete();
                        for (int i = 0; i < yields; i++)
                            EIO_TRY(eio_fiber_yield());
                        other->Close();
                        return nullptr;
                    });
            });
            other->TearDown();
            EIO_TRY(err);
        }
        return nullptr;
    });
}

TEST_P(CloseTest, ClosedAndCancelledAtOnceItEnds) {
    RunOp([&](Op *op, const eio_env *env) {
        return CancelSub([&](eio_cancel *cc) {
            return Both(
                [&]() -> eio_err * {
                    eio_err *err = op->Run();
                    EXPECT_TRUE(eio_err_is(err, &eio_err_closed) ||
                                eio_err_is(err, &eio_err_cancelled))
                        << Text(err);
                    eio_err_drop(err);
                    return nullptr;
                },
                [&]() -> eio_err * {
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    op->Close();
                    eio_cancel_cancel(cc, eio_err_failure("x"));
                    return nullptr;
                });
        });
    });
}

} // namespace
} // namespace eio_test
