// SPDX-License-Identifier: ISC
#include <errno.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "eio/domain.h"
#include "eio/net.h"
#include "fiber/sched.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;
using ::testing::ExitedWithCode;
using ::testing::MatchesRegex;

namespace {

class DomainTest : public RealTest {};
EIO_ON_REAL_BACKENDS(DomainTest);

template <class F> eio_err *RunDomain(eio_domain_mgr *mgr, F &&f) {
    return eio_domain_run(mgr, Fn<F>::Call, Fn<F>::Arg(f));
}

TEST_P(DomainTest, AFunctionRunsInAThreadOfItsOwnOnTheSameKindOfLoop) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        const std::thread::id here = std::this_thread::get_id();
        return RunDomain(env->domain_mgr, [&]() -> eio_err * {
            EXPECT_NE(std::this_thread::get_id(), here);
            EXPECT_STREQ(eioi_backend_ops_current()->name, env->backend_name);
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
            EIO_TRY(eio_clock_sleep(env->clock, 1));
            char bytes[8];
            return eio_source_read_exact(env->random, eio_buf_of(bytes, sizeof bytes));
        });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(DomainTest, OneThatFallsBackToEpollIsntStuckInAnAcceptOnAListenerOfIoUring) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_listener *listener;
        const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, nullptr, &listener));
        Faults faults([](const std::string &call) { return call == "io_uring_setup" ? EPERM : 0; });
        return RunDomain(env->domain_mgr, [&]() -> eio_err * {
            EXPECT_STREQ(eioi_backend_ops_current()->name, "epoll");
            eio_stream_socket *conn;
            return SwitchRun([&](eio_switch *inner) {
                return First([&] { return eio_listener_accept(listener, inner, &conn, nullptr); },
                             [] { return eio_fiber_yield(); });
            });
        });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(DomainTest, ItsErrorComesBack) {
    RunReal([](eio_switch *, const eio_env *env) {
        return RunDomain(env->domain_mgr, [] { return eio_err_failure("far away"); });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "far away".
    )");
}

TEST_P(DomainTest, TheCallersOtherFibersGoOn) {
    RunReal([](eio_switch *, const eio_env *env) {
        std::atomic<bool> told{false};
        return Both(
            [&] {
                return RunDomain(env->domain_mgr, [&]() -> eio_err * {
                    while (!told)
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 10));
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                told = true;
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(DomainTest, CancellationCrossesOver) {
    RunReal([](eio_switch *, const eio_env *env) {
        return TimeoutRun(eio_timeout_ns(env->mono_clock, 5 * EIO_MILLISECOND), [&] {
            return RunDomain(env->domain_mgr, []() -> eio_err * {
                eio_err *err = eio_fiber_await_cancel();
                eio_traceln("there: %s", Text(err).c_str());
                return err;
            });
        });
    });
    EXPECT_TRACE(R"(
        +there: Cancelled: Eio__Time.Timeout
        Exception: Eio__Time.Timeout.
    )");
}

TEST_P(DomainTest, ACancelledFunctionIsWaitedForAndItsResultCounts) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        return CancelSub([&](eio_cancel *cc) {
            return Both(
                [&]() -> eio_err * {
                    eio_err *err = RunDomain(env->domain_mgr, []() -> eio_err * {
                        eio_err_drop(eio_fiber_await_cancel());
                        return nullptr; // it was done, all the same
                    });
                    eio_traceln("here: %s", Text(err).c_str());
                    return err;
                },
                [&]() -> eio_err * {
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    eio_cancel_cancel(cc, eio_err_failure("enough"));
                    return nullptr;
                });
        });
    });
    EXPECT_TRACE(R"(
        +here: ok
        - : unit = ()
    )");
}

TEST_P(DomainTest, ACancelledFiberStartsNothing) {
    RunReal([](eio_switch *, const eio_env *env) {
        return CancelSub([&](eio_cancel *cc) {
            eio_cancel_cancel(cc, eio_err_failure("enough"));
            Faults faults;
            eio_err *err = RunDomain(env->domain_mgr, []() -> eio_err * {
                ADD_FAILURE() << "it runs";
                return nullptr;
            });
            EXPECT_EQ(faults.Count("pthread_create"), 0);
            return err;
        });
    });
    EXPECT_TRACE(R"(
        Exception: Cancelled: Failure("enough")
    )");
}

TEST_P(DomainTest, ACancelAtAnyMomentIsNeitherLostNorEarlyNorTwice) {
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) -> eio_err * {
        for (int i = 0; i < 60; i++) {
            // From before the thread has started until after it has ended.
            const int64_t delay = i * 20 * EIO_MICROSECOND;
            eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, delay), [&] {
                return RunDomain(env->domain_mgr, [&]() -> eio_err * {
                    return i % 2 == 0
                               ? eio_fiber_await_cancel()
                               : eio_mono_clock_sleep(env->mono_clock, 600 * EIO_MICROSECOND);
                });
            });
            if (i % 2 == 0 || err != nullptr) {
                EXPECT_ERR(err, &eio_err_timeout) << i;
            }
        }
        return nullptr;
    }));
}

TEST_P(DomainTest, DomainsMayMakeDomains) {
    RunReal([](eio_switch *, const eio_env *env) {
        return RunDomain(env->domain_mgr, [&] {
            return RunDomain(env->domain_mgr, [&] {
                return RunDomain(env->domain_mgr,
                                 [] { return eio_err_failure("three floors down"); });
            });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "three floors down".
    )");
}

TEST_P(DomainTest, ManyAtOnce) {
    std::atomic<int> ran{0};
    EXPECT_OK(EvalReal([&](eio_switch *, const eio_env *env) {
        return ForEach(12, 0, [&](size_t) {
            return RunDomain(env->domain_mgr, [&]() -> eio_err * {
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                ran++;
                return nullptr;
            });
        });
    }));
    EXPECT_EQ(ran, 12);
}

TEST_P(DomainTest, AFailureInOneCancelsTheOthers) {
    RunReal([](eio_switch *, const eio_env *env) {
        return ForEach(4, 0, [&](size_t i) {
            return RunDomain(env->domain_mgr, [&, i]() -> eio_err * {
                if (i != 2)
                    return eio_fiber_await_cancel();
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                return eio_err_failure("number two");
            });
        });
    });
    EXPECT_TRACE(R"(
        Exception: Failure "number two".
    )");
}

TEST_P(DomainTest, APromiseIsResolvedAcrossDomains) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_promise *there, *back;
        eio_promise_resolver *set_there, *set_back;
        EIO_TRY(eio_promise_create(sw, &there, &set_there));
        EIO_TRY(eio_promise_create(sw, &back, &set_back));
        int value = 42;
        return Both(
            [&] {
                return RunDomain(env->domain_mgr, [&]() -> eio_err * {
                    void *got;
                    EIO_TRY(eio_promise_await(there, &got));
                    eio_promise_resolve(set_back, got);
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                void *got;
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                eio_promise_resolve(set_there, &value);
                EIO_TRY(eio_promise_await(back, &got));
                eio_traceln("%d", *static_cast<int *>(got));
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        +42
        - : unit = ()
    )");
}

TEST_P(DomainTest, NoThreadAndNoLoopAreErrors) {
    RunReal([](eio_switch *, const eio_env *env) -> eio_err * {
        auto nothing = []() -> eio_err * {
            ADD_FAILURE() << "it runs";
            return nullptr;
        };
        for (int errnum : {EAGAIN, ENOMEM}) {
            Faults faults(
                [&](const std::string &call) { return call == "pthread_create" ? errnum : 0; });
            PrintResult(RunDomain(env->domain_mgr, nothing));
        }
        Faults faults([](const std::string &call) {
            return call == "epoll_create1" || call == "io_uring_setup" ? EMFILE : 0;
        });
        EXPECT_ERR(RunDomain(env->domain_mgr, nothing),
                   std::string(GetParam()) == "uring" ? &eio_err_multiple : &eio_err_io);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        Exception: Eio.Io _
        Exception: Out_of_memory.
        - : unit = ()
    )");
}

TEST(DomainFallBack, ADomainWithoutARingFallsBackAloneAndSaysSo) {
    if (WhyNot("uring") != "ok")
        GTEST_SKIP() << "no io_uring here: " << WhyNot("uring");
    auto child = [] {
        eio_err *err = EvalOn("uring", [](eio_switch *, const eio_env *env) -> eio_err * {
            fprintf(stderr, "%s\n", env->backend_name);
            Faults faults(
                [](const std::string &call) { return call == "io_uring_setup" ? ENOMEM : 0; });
            for (int i = 0; i < 2; i++)
                EIO_TRY(RunDomain(env->domain_mgr, []() -> eio_err * {
                    fprintf(stderr, "%s\n", eioi_backend_ops_current()->name);
                    return nullptr;
                }));
            return nullptr;
        });
        exit(err == nullptr ? 0 : 1);
    };
    EXPECT_EXIT(child(), ExitedWithCode(0),
                MatchesRegex("io_uring\neio: a domain uses epoll, since io_uring can't be started: "
                             "[^\n]+\nepoll\nepoll\n"));
}

} // namespace
