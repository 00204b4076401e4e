// SPDX-License-Identifier: ISC
// fork(2) without exec, in a fiber: the child can't get at the parent's loop.

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "eio/clock.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/net.h"
#include "eio/signal.h"
#include "tests/support/exit_now.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

/// How a child ended, and what it said.
struct Ended {
    int status = 0;
    std::string said;
};

/// Forks; the child calls `f()` and exits with what that returns, its stderr being a pipe.
template <class F> Ended InChild(F &&f) {
    Ended ended;
    int fds[2];
    if (pipe(fds) != 0)
        abort();
    fflush(nullptr);
    const pid_t pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        ExitNow(f());
    }
    close(fds[1]);
    char space[4096];
    for (ssize_t got; (got = read(fds[0], space, sizeof space)) > 0;)
        ended.said.append(space, static_cast<size_t>(got));
    close(fds[0]);
    waitpid(pid, &ended.status, 0);
    return ended;
}

class ForkTest : public RealTest {
  protected:
    /// The loop is as good as before.
    static eio_err *UseLoop(eio_stream_socket *a, eio_stream_socket *b, const eio_env *env) {
        char space[5];
        EIO_TRY(Both([&] { return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 5)); },
                     [&] { return eio_flow_copy_string("hello", &a->flow.sink); }));
        EXPECT_EQ(std::string(space, 5), "hello");
        return eio_mono_clock_sleep(env->mono_clock, EIO_MICROSECOND);
    }
};
EIO_ON_REAL_BACKENDS(ForkTest);

TEST_P(ForkTest, WhatNeedsTheLoopStopsTheChildAndLeavesTheParentAlone) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(UseLoop(a, b, env));
        char space[5];
        size_t got;
        const std::vector<std::function<void()>> uses = {
            [] { eio_err_drop(eio_fiber_yield()); },
            [&] {
                eio_err_drop(eio_source_single_read(&b->flow.source, eio_buf_of(space, 5), &got));
            },
            [&] { eio_err_drop(eio_flow_copy_string("lost", &a->flow.sink)); },
            [&] { eio_flow_close(&a->flow); },
            [&] { eio_err_drop(eio_mono_clock_sleep(env->mono_clock, 1)); },
            [] { eio_err_drop(SwitchRun([](eio_switch *) -> eio_err * { return nullptr; })); },
            [] { eio_err_drop(eio_fiber_await_cancel()); },
        };
        for (size_t i = 0; i < uses.size(); i++) {
            const Ended ended = InChild([&] {
                uses[i]();
                return 0;
            });
            EXPECT_TRUE(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGABRT)
                << "use " << i << ": " << ended.status;
            EXPECT_NE(ended.said.find("in a child of fork(2)"), std::string::npos)
                << "use " << i << ": " << ended.said;
            EIO_TRY(UseLoop(a, b, env));
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(ForkTest, AFiberThatReturnsInTheChildStopsIt) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        int fds[2], status = 0;
        pid_t pid = -1;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        if (pipe(fds) != 0)
            return eio_err_failure("pipe");
        fflush(nullptr);
        EIO_TRY(SwitchRun([&](eio_switch *inner) {
            return Fork(inner, [&]() -> eio_err * {
                pid = fork();
                if (pid == 0)
                    dup2(fds[1], STDERR_FILENO);
                return nullptr;
            });
        }));
        close(fds[1]);
        std::string said;
        char space[512];
        for (ssize_t got; (got = read(fds[0], space, sizeof space)) > 0;)
            said.append(space, static_cast<size_t>(got));
        close(fds[0]);
        waitpid(pid, &status, 0);
        EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT) << status;
        EXPECT_NE(said.find("returned in a child of fork(2)"), std::string::npos) << said;
        return UseLoop(a, b, env);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(ForkTest, TheChildMayRunALoopOfItsOwn) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        const Ended ended = InChild([&] {
            eio_err *err = EvalOn(GetParam(), [](eio_switch *own, const eio_env *own_env) {
                eio_stream_socket *c, *d;
                EIO_TRY(eio_socketpair_stream(own, &c, &d));
                return UseLoop(c, d, own_env);
            });
            if (err != nullptr)
                fprintf(stderr, "%s\n", Text(err).c_str());
            return err == nullptr ? 0 : 1;
        });
        EXPECT_EQ(ended.status, 0) << ended.said;
        return UseLoop(a, b, env);
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(ForkTest, TheChildHoldsNothingOfTheParentsLoop) {
    RunReal([](eio_switch *, const eio_env *) -> eio_err * {
        const Ended ended = InChild([] {
            for (const std::string &fd : OpenFds())
                fprintf(stderr, "%s\n", fd.c_str());
            return 0;
        });
        EXPECT_EQ(ended.status, 0);
        for (const char *what : {"io_uring", "eventpoll", "eventfd"})
            EXPECT_EQ(ended.said.find(what), std::string::npos) << ended.said;
        EXPECT_NE(ended.said, "");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(ForkTest, TheChildHoldsNoPipeThatTheParentsLoopCopiesThrough) {
    const char *mode = getenv("EIO_TEST_IO");
    if (mode != nullptr && strcmp(mode, "short") == 0)
        GTEST_SKIP() << "one byte at a time is never worth a pipe";
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *from, *a, *b, *to;
        const std::string much(4 << 20, 'x');
        eio_strbuf got = EIO_STRBUF_INIT;
        const auto pipes = [] {
            int n = 0;
            for (const std::string &fd : OpenFds())
                n += fd.find("pipe:") != std::string::npos;
            return n;
        };
        const int inherited = pipes(); // whatever started the test may give it some
        EIO_TRY(eio_socketpair_stream(sw, &from, &a));
        EIO_TRY(eio_socketpair_stream(sw, &b, &to));
        EIO_TRY(All({[&]() -> eio_err * {
                         EIO_TRY(eio_sink_write(&from->flow.sink,
                                                eio_slice_of(much.data(), much.size())));
                         return eio_flow_shutdown(&from->flow, EIO_SHUTDOWN_SEND);
                     },
                     [&]() -> eio_err * {
                         EIO_TRY(eio_flow_copy(&a->flow.source, &b->flow.sink));
                         return eio_flow_shutdown(&b->flow, EIO_SHUTDOWN_SEND);
                     },
                     [&] { return eio_source_read_all(&to->flow.source, much.size(), &got); }}));
        EXPECT_EQ(got.len, much.size());
        eio_strbuf_free(&got);
        EXPECT_EQ(pipes(), inherited + 2) << "the copy went through no pipe";
        const Ended ended = InChild([&] { return pipes(); });
        // The child's stderr is one, too.
        EXPECT_EQ(WEXITSTATUS(ended.status), inherited + 1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(ForkTest, SignalsDoInTheChildWhatTheyDidBefore) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        const int wanted = SIGUSR1;
        eio_signal *signal;
        int came = 0;
        EIO_TRY(eio_signal_open(sw, &wanted, 1, &signal));
        const Ended ended = InChild([] {
            raise(SIGUSR1);
            return 0;
        });
        EXPECT_TRUE(WIFSIGNALED(ended.status) && WTERMSIG(ended.status) == SIGUSR1) << ended.status;
        raise(SIGUSR1);
        EIO_TRY(eio_signal_wait(signal, &came));
        EXPECT_EQ(came, SIGUSR1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

} // namespace
