// SPDX-License-Identifier: ISC
#include <signal.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "eio/domain.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/net.h"
#include "eio/signal.h"
#include "fiber/base/alloc.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;
using ::testing::Eq;
using ::testing::ExitedWithCode;

namespace {

::testing::Matcher<const std::string &> Is(const std::string &text) {
    return Eq(text);
}

class MainTest : public RealTest {};
EIO_ON_REAL_BACKENDS(MainTest);

/// In a child: what a program's main would do.
[[noreturn]] void ChildMain(const char *backend, eio_main_fn *fn) {
    setenv("EIO_BACKEND", backend, 1);
    int argument = 7;
    exit(eio_main(fn, &argument));
}

eio_err *Succeed(void *arg, const eio_env *) {
    fprintf(stderr, "argument %d\n", *static_cast<int *>(arg));
    return nullptr;
}

eio_err *Fail(void *, const eio_env *) {
    return eio_err_failure("it broke");
}

eio_err *FailInContext(void *, const eio_env *) {
    return eio_err_add_context(eio_err_os(&eio_err_fs_not_found, ENOENT, "connect"),
                               "connecting to %s", "x");
}

eio_err *BeCancelled(void *, const eio_env *) {
    return eio_err_cancelled_new(eio_err_failure("why"));
}

TEST_P(MainTest, TheExitStatusSaysHowItWent) {
    EXPECT_EXIT(ChildMain(GetParam(), Succeed), ExitedWithCode(0), Is("argument 7\n"));
    EXPECT_EXIT(ChildMain(GetParam(), Fail), ExitedWithCode(1),
                Is("Exception: Failure \"it broke\".\n"));
    EXPECT_EXIT(ChildMain(GetParam(), BeCancelled), ExitedWithCode(1),
                Is("Exception: Cancelled: Failure(\"why\")\n"));
}

TEST_P(MainTest, DetailsOfTheSystemArePrinted) {
    auto child = [&] {
        eio_err_show_backend(true);
        ChildMain(GetParam(), FailInContext);
    };
    EXPECT_EXIT(child(), ExitedWithCode(1),
                Is("Exception:\nEio.Io Fs Not_found Unix_error (No such file or directory, "
                   "\"connect\", \"\"),\n"
                   "  connecting to x\n"));
}

TEST_P(MainTest, ALoopCanBeStartedAgainAfterItHasEnded) {
    for (int i = 0; i < 3; i++)
        RunReal([](eio_switch *, const eio_env *env) {
            return eio_mono_clock_sleep(env->mono_clock, 1);
        });
    RunReal([](eio_switch *, const eio_env *) { return eio_err_failure("x"); });
    EXPECT_TRACE(R"(
        - : unit = ()
        - : unit = ()
        - : unit = ()
        Exception: Failure "x".
    )");
}

TEST_P(MainTest, SeveralThreadsMayHaveALoopEach) {
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 1; i <= 4; i++)
        threads.emplace_back([&, i] {
            EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                sum += i;
                return nullptr;
            }));
        });
    for (std::thread &thread : threads)
        thread.join();
    EXPECT_EQ(sum, 10);
}

TEST_P(MainTest, ALoopThatSpinsServesAllTheSame) {
    for (int64_t spin : {int64_t{-1}, 100 * EIO_MICROSECOND, INT64_MAX}) {
        eio_run_opts opts = {};
        opts.backend = GetParam();
        opts.spin_ns = spin;
        auto main = [](void *, const eio_env *env) {
            return SwitchRun([env](eio_switch *sw) -> eio_err * {
                eio_stream_socket *a, *b;
                EIO_TRY(eio_socketpair_stream(sw, &a, &b));
                EIO_TRY(Fork(sw, [=] {
                    return eio_flow_copy(&b->flow.source, &b->flow.sink); // an echo
                }));
                char back[4];
                for (int round = 0; round < 20; round++) {
                    EIO_TRY(eio_flow_copy_string("ping", &a->flow.sink));
                    EIO_TRY(eio_source_read_exact(&a->flow.source, eio_buf_of(back, 4)));
                    EXPECT_EQ(std::string(back, 4), "ping");
                }
                // A domain that spins is woken by another, and by time.
                auto there = []() -> eio_err * { return eio_fiber_yield(); };
                EIO_TRY(eio_domain_run(env->domain_mgr, Fn<decltype(there)>::Call, &there));
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            });
        };
        EXPECT_OK(eio_run(&opts, main, nullptr)) << spin;
    }
}

TEST_P(MainTest, ALoopInsideALoopIsAMistake) {
    EXPECT_DEATH(eio_err_drop(EvalReal([&](eio_switch *, const eio_env *) {
                     return EvalReal(
                         [](eio_switch *, const eio_env *) -> eio_err * { return nullptr; });
                 })),
                 "eio_run was called by a fiber");
}

TEST_P(MainTest, TheMainFunctionEndsWithItsFibers) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Fork(sw, [env]() -> eio_err * {
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
            eio_traceln("child ends");
            return nullptr;
        }));
        eio_traceln("main function ends");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        +main function ends
        +child ends
        - : unit = ()
    )");
}

TEST_P(MainTest, NeitherFibersNorEventsStarveBesideAFiberThatYieldsForEver) {
    bool stop = false;
    RunReal([&stop](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Fork(sw, [&stop]() -> eio_err * {
            while (!stop)
                EIO_TRY(eio_fiber_yield());
            return nullptr;
        }));
        eio_stream_socket *a, *b;
        char space[8];
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        for (int i = 0; i < 20; i++) {
            EIO_TRY(
                Both([&] { return eio_source_read_exact(&a->flow.source, eio_buf_of(space, 5)); },
                     [&] { return eio_flow_copy_string("hello", &b->flow.sink); }));
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 10));
        }
        stop = true;
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

/// A bit of everything that a loop can be asked for.
eio_err *Everything(eio_switch *sw, const eio_env *env) {
    static const int signum = SIGUSR2;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    eio_listener *listener;
    eio_signal *sig;
    char bytes[8];
    auto far = [&] { return eio_mono_clock_sleep(env->mono_clock, 1000); };
    EIO_TRY(eio_signal_open(sw, &signum, 1, &sig));
    EIO_TRY(eio_source_read_exact(env->random, eio_buf_of(bytes, sizeof bytes)));
    EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    EIO_TRY(eio_domain_run(env->domain_mgr, Fn<decltype(far)>::Call, &far));
    return Both(
        [&]() -> eio_err * {
            eio_stream_socket *socket;
            EIO_TRY(eio_listener_accept(listener, sw, &socket, nullptr));
            EIO_TRY(eio_flow_copy(&socket->flow.source, &socket->flow.sink));
            return eio_flow_shutdown(&socket->flow, EIO_SHUTDOWN_SEND);
        },
        [&]() -> eio_err * {
            eio_stream_socket *socket;
            char space[5];
            EIO_TRY(eio_net_connect(&env->net->net, sw, &addr, nullptr, &socket));
            EIO_TRY(eio_flow_copy_string("hello", &socket->flow.sink));
            EIO_TRY(eio_source_read_exact(&socket->flow.source, eio_buf_of(space, 5)));
            return eio_flow_shutdown(&socket->flow, EIO_SHUTDOWN_SEND);
        });
}

TEST_P(MainTest, WhateverFailsNothingIsLeftAndTheNextRunSucceeds) {
    auto everything = [](eio_switch *sw, const eio_env *env) { return Everything(sw, env); };
    const std::vector<std::string> fds = OpenFds();
    const int64_t objects = eioi_live_objects();
    for (int errnum : {ENOMEM, EAGAIN, EINTR}) {
        const int points = FailEach(
            errnum, [&] { return EvalReal(everything); },
            [&](int n) {
                ASSERT_EQ(OpenFds(), fds) << "after failure " << n << " with " << strerror(errnum);
                ASSERT_EQ(eioi_live_objects(), objects) << "after failure " << n;
            });
        EXPECT_GT(points, 50);
        EXPECT_OK(EvalReal(everything));
    }
    TakeTrace();
}

} // namespace
