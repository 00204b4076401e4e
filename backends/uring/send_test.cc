// SPDX-License-Identifier: ISC

// Writes to connections, where an engine knows of them and where there is none.

#include "backends/uring/uring_run.h"

using namespace eio_test;

namespace {

/// Writes `text` to `flow`.
eio_err *Write(eio_flow *flow, const std::string &text) {
    return eio_sink_write(&flow->sink, eio_slice_of(text.data(), text.size()));
}

eio_err *WithNumber(eio_flow *flow, eio_fd_use_fn *fn) {
    return eio_fd_use(eio_fd_of_flow(flow), "test", fn, nullptr);
}

/// Until `flow` takes no more.
eio_err *FillFlow(eio_flow *flow) {
    return WithNumber(flow, [](void *, int fd) -> eio_err * {
        static const char space[4096] = {};
        while (send(fd, space, sizeof space, MSG_NOSIGNAL | MSG_DONTWAIT) > 0) {
        }
        return nullptr;
    });
}

/// Reads on the other side until nothing comes any more; the last bytes of it are `*out_end`.
eio_err *Drain(HalfRaw *pair, std::string *out_end) {
    for (int nothing = 0; nothing < 3;) {
        const std::string got = pair->Received();
        nothing += got.empty();
        *out_end = got.empty() ? *out_end : got;
        if (got.empty())
            EIO_TRY(Settle());
    }
    return nullptr;
}

} // namespace

/// With an engine, which there is once a connection has been read by loans.
class SendTest : public EioTest, public ::testing::WithParamInterface<bool> {
  protected:
    static eio_err *Open(eio_switch *sw, HalfRaw *pair) {
        EIO_TRY(pair->Open(sw));
        return GetParam() ? Arm(pair) : nullptr;
    }
};
INSTANTIATE_TEST_SUITE_P(Engine, SendTest, ::testing::Bool(), [](const auto &engine) {
    return std::string(engine.param ? "With" : "Without");
});

TEST_P(SendTest, WhatIsNoAnswerIsTriedAgainAndErrorsAreSaid) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(Open(sw, &pair));
        FaultPlan faults;
        for (int errnum : {EINTR, EAGAIN, ECANCELED}) {
            faults.Fail("cqe_write", errnum);
            EIO_TRY(Write(pair.flow, "again"));
            EXPECT_EQ(pair.Received(), "again") << errnum;
        }
        for (int errnum : {EIO, EPIPE, ECONNRESET, ENOMEM}) {
            faults.Fail("cqe_write", errnum);
            eio_err *err = Write(pair.flow, "lost");
            EXPECT_EQ(eio_err_errno(err), errnum);
            eio_err_drop(err);
        }
        EIO_TRY(Write(pair.flow, "on"));
        EXPECT_EQ(pair.Received(), "on");
        return nullptr;
    }));
}

TEST_P(SendTest, AWriteThatWaitsIsEndedByACancelAndByEveryClose) {
    enum Stop { kCancel, kClose, kFree, kCloseAndCancel };
    for (Stop stop : {kCancel, kClose, kFree, kCloseAndCancel})
        EXPECT_OK(EvalUring([stop](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(Open(sw, &pair));
            EIO_TRY(FillFlow(pair.flow));
            eio_err *err = CancelSub([&](eio_cancel *cc) {
                return Both([&] { return Write(pair.flow, "stuck"); },
                            [&]() -> eio_err * {
                                EIO_TRY(Settle());
                                if (stop == kFree)
                                    eio_flow_free(pair.flow);
                                else if (stop != kCancel)
                                    eio_flow_close(pair.flow);
                                if (stop == kCancel || stop == kCloseAndCancel)
                                    eio_cancel_cancel(cc, eio_err_failure("x"));
                                return nullptr;
                            });
            });
            const bool cancelled = stop == kCancel || stop == kCloseAndCancel;
            EXPECT_ERR(err, cancelled ? &eio_err_cancelled : &eio_err_closed);
            std::string end;
            EIO_TRY(Drain(&pair, &end));
            EXPECT_EQ(end.find("stuck"), std::string::npos);
            return nullptr;
        }));
}

/// A read and a write of the flow of `pair` wait, and say that it is closed, once `f` has happened.
template <class F> static eio_err *BothEnd(HalfRaw *pair, F &&f) {
    return Both(
        [&]() -> eio_err * {
            EXPECT_ERR(pair->Read(), &eio_err_closed);
            return nullptr;
        },
        [&] {
            return Both(
                [&]() -> eio_err * {
                    EXPECT_ERR(Write(pair->flow, "never"), &eio_err_closed);
                    return nullptr;
                },
                f);
        });
}

TEST_P(SendTest, AReadAndAWriteThatWaitEndWithTheClose) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(Open(sw, &pair));
        EIO_TRY(FillFlow(pair.flow));
        return BothEnd(&pair, [&]() -> eio_err * {
            EIO_TRY(Settle());
            eio_flow_free(pair.flow);
            return nullptr;
        });
    }));
}

TEST_P(SendTest, AWriteThatIsDoneIsDoneWhateverIsClosedThen) {
    for (bool freed : {false, true})
        EXPECT_OK(EvalUring([freed](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            EIO_TRY(Open(sw, &pair));
            EIO_TRY(Both([&] { return Write(pair.flow, "done"); },
                         [&]() -> eio_err * {
                             EIO_TRY(eioi_sleep_until(eioi_now() - 1));
                             if (freed)
                                 eio_flow_free(pair.flow);
                             else
                                 eio_flow_close(pair.flow);
                             return nullptr;
                         }));
            EXPECT_EQ(pair.Received(), "done");
            return nullptr;
        }));
}

TEST_P(SendTest, ACloseReachesAReadAndAWriteThatHaveNoEntryYet) {
    enum { kEntries = 4, kOthers = 8 };
    EXPECT_OK(EvalUring(
        [](eio_switch *sw) -> eio_err * {
            HalfRaw pair, others[kOthers];
            EIO_TRY(Open(sw, &pair));
            for (HalfRaw &other : others)
                EIO_TRY(other.Open(sw));
            return Both(
                [&] { // more reads than there are entries, before the pair's own
                    return eio_fiber_for_each(
                        kOthers, 0,
                        [](void *arg, size_t i) -> eio_err * {
                            EXPECT_ERR(static_cast<HalfRaw *>(arg)[i].Read(), &eio_err_end_of_file);
                            return nullptr;
                        },
                        others);
                },
                [&] {
                    return BothEnd(&pair, [&]() -> eio_err * {
                        eio_flow_close(pair.flow);
                        for (HalfRaw &other : others)
                            other.Hangup();
                        return nullptr;
                    });
                });
        },
        kEntries));
}

TEST_P(SendTest, AWriteThatWaitsEndsWithACloseWhileItsDescriptorIsTakenOut) {
    for (int errnum : {0, EAGAIN}) // with that it is listed, engine or not
        for (bool freed : {false, true})
            EXPECT_OK(EvalUring([=](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                int fd = -1;
                EIO_TRY(Open(sw, &pair));
                EIO_TRY(FillFlow(pair.flow));
                FaultPlan faults;
                if (errnum != 0)
                    faults.Fail("cqe_write", errnum);
                EIO_TRY(Both(
                    [&]() -> eio_err * {
                        EXPECT_ERR(Write(pair.flow, "never"), &eio_err_closed);
                        return nullptr;
                    },
                    [&] {
                        return Both([&] { return eio_fd_remove(eio_fd_of_flow(pair.flow), &fd); },
                                    [&]() -> eio_err * {
                                        EIO_TRY(Settle());
                                        EXPECT_EQ(fd, -1) << "it waits for the write";
                                        if (freed)
                                            eio_flow_free(pair.flow);
                                        else
                                            eio_flow_close(pair.flow);
                                        return nullptr;
                                    });
                    }));
                EXPECT_GE(fd, 0) << "the number was given out";
                close(fd);
                return nullptr;
            }));
}

TEST_P(SendTest, AWriteThatWaitsGoesOnWhileItsDescriptorIsTakenOut) {
    for (int errnum : {0, EAGAIN, EINTR}) // with those it is tried again
        EXPECT_OK(EvalUring([errnum](eio_switch *sw) -> eio_err * {
            HalfRaw pair;
            int fd = -1;
            EIO_TRY(Open(sw, &pair));
            EIO_TRY(FillFlow(pair.flow));
            FaultPlan faults;
            if (errnum != 0)
                faults.Fail("cqe_write", errnum);
            std::string end;
            EIO_TRY(Both([&] { return Write(pair.flow, "the end"); },
                         [&] {
                             return Both(
                                 [&] { // before the write has been tried
                                     return eio_fd_remove(eio_fd_of_flow(pair.flow), &fd);
                                 },
                                 [&]() -> eio_err * {
                                     EIO_TRY(Settle());
                                     EXPECT_EQ(fd, -1) << "it waits for the write";
                                     return Drain(&pair, &end);
                                 });
                         }));
            EXPECT_GE(fd, 0);
            close(fd);
            EXPECT_EQ(end, "the end");
            return nullptr;
        }));
}
