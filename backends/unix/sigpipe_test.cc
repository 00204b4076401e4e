// SPDX-License-Identifier: ISC
#include "backends/unix/sigpipe.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>

#include "eio/err_net.h"
#include "eio/fd.h"
#include "fiber/base/fault.h"
#include "tests/support/real_run.h"

using namespace eio_test;

static bool SigpipeIsPending() {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
}

/// With the default disposition, so that a signal that gets through ends the test.
class SigpipeTest : public RealTest {
  protected:
    void SetUp() override {
        RealTest::SetUp();
        ASSERT_NE(signal(SIGPIPE, SIG_DFL), SIG_ERR);
    }
};
EIO_ON_REAL_BACKENDS(SigpipeTest);

TEST_P(SigpipeTest, WritingToAPipeThatNobodyReadsIsAnErrorOnly) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        close(fds[0]);
        eio_stream_socket *socket;
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &socket));
        for (int i = 0; i < 3; i++)
            EXPECT_ERR(eio_flow_copy_string("x", &socket->flow.sink),
                       &eio_err_net_connection_reset);
        eio_slice two[] = {eio_slice_of_str("a"), eio_slice_of_str("b")};
        EXPECT_ERR(eio_sink_writev(&socket->flow.sink, two, 2), &eio_err_net_connection_reset);
        return nullptr;
    }));
    EXPECT_FALSE(SigpipeIsPending());
}

/// Writes to pipes that nobody reads, in a process whose kernel seems not to know the flag.
class OldKernelSigpipeDeathTest : public ::testing::TestWithParam<const char *> {
  protected:
    static int RefuseFlag(void *, const char *name) {
        return strcmp(name, "pwritev2_nosignal") == 0 ? EOPNOTSUPP : 0;
    }
    static int Exercise() {
        const struct eioi_fault_hook hook = {RefuseFlag, nullptr};
        signal(SIGPIPE, SIG_DFL);
        eioi_fault_hook = &hook;
        if (WhyNot(GetParam()) != "ok")
            return 0; // not here
        eio_err *err = EvalOn(GetParam(), [](eio_switch *sw, const eio_env *) -> eio_err * {
            for (int i = 0; i < 3; i++) {
                int fds[2];
                if (pipe2(fds, O_CLOEXEC) != 0)
                    return eio_err_failure("pipe2");
                close(fds[0]);
                eio_stream_socket *socket;
                EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &socket));
                eio_err *result = eio_flow_copy_string("x", &socket->flow.sink);
                if (!eio_err_catch(&result, &eio_err_net_connection_reset))
                    return eio_err_failure("not Connection_reset");
                if (SigpipeIsPending())
                    return eio_err_failure("the signal is pending");
            }
            return nullptr;
        });
        eioi_fault_hook = nullptr;
        if (err != nullptr)
            return 1;
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        return eioi_sigpipe_rwf() != 0 ? 2 : sigismember(&mask, SIGPIPE) ? 3 : 0;
    }
};
EIO_ON_REAL_BACKENDS(OldKernelSigpipeDeathTest);

TEST_P(OldKernelSigpipeDeathTest, TheSignalIsBlockedAndTakenAwayInstead) {
    GTEST_FLAG_SET(death_test_style,
                   "threadsafe"); // what the kernel knows is asked once in a process
    EXPECT_EXIT(exit(Exercise()), ::testing::ExitedWithCode(0), "");
}

TEST_P(SigpipeTest, WritingToASocketWhosePeerIsGoneIsAnErrorOnly) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        eio_flow_free(&b->flow);
        EIO_TRY(eio_fiber_yield());
        EXPECT_ERR(eio_flow_copy_string("x", &a->flow.sink), &eio_err_net_connection_reset);
        eio_slice two[] = {eio_slice_of_str("a"), eio_slice_of_str("b")};
        EXPECT_ERR(eio_sink_writev(&a->flow.sink, two, 2), &eio_err_net_connection_reset);
        return nullptr;
    }));
    EXPECT_FALSE(SigpipeIsPending());
}

TEST_P(SigpipeTest, ALoopLeavesTheSignalsMaskAndDispositionAsTheyWere) {
    sigset_t before, after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *) -> eio_err * { return nullptr; }));
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    EXPECT_EQ(sigismember(&before, SIGPIPE), sigismember(&after, SIGPIPE));
    struct sigaction action;
    sigaction(SIGPIPE, nullptr, &action);
    EXPECT_EQ(action.sa_handler, SIG_DFL);
}
