// SPDX-License-Identifier: ISC
#include "eio/signal.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "eio/domain.h"
#include "tests/support/faults.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

class SignalTest : public RealTest {};
EIO_ON_REAL_BACKENDS(SignalTest);

eio_err *Open(eio_switch *sw, std::initializer_list<int> signums, eio_signal **out) {
    return eio_signal_open(sw, signums.begin(), signums.size(), out);
}

void Send(int signum) {
    EXPECT_EQ(kill(getpid(), signum), 0);
}

struct sigaction Disposition(int signum) {
    struct sigaction action;
    EXPECT_EQ(sigaction(signum, nullptr, &action), 0);
    return action;
}

TEST_P(SignalTest, AWaitEndsWhenTheSignalComes) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_signal *sig;
        EIO_TRY(Open(sw, {SIGUSR1, SIGUSR2}, &sig));
        for (int expected : {SIGUSR1, SIGUSR2, SIGUSR1}) {
            int signum = 0;
            EIO_TRY(Both([&] { return eio_signal_wait(sig, &signum); },
                         [&]() -> eio_err * {
                             EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                             Send(expected);
                             return nullptr;
                         }));
            EXPECT_EQ(signum, expected);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, SignalsBetweenWaitsAreNotLost) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_signal *sig;
        EIO_TRY(Open(sw, {SIGUSR1, SIGUSR2}, &sig));
        for (int signum : {SIGUSR2, SIGUSR1, SIGUSR2, SIGUSR2})
            raise(signum);
        for (int expected : {SIGUSR1, SIGUSR2, SIGUSR2, SIGUSR2}) {
            int signum = 0;
            EIO_TRY(eio_signal_wait(sig, &signum));
            EXPECT_EQ(signum, expected);
        }
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, EverySubscriberGetsIt) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_signal *a, *b, *other;
        EIO_TRY(Open(sw, {SIGUSR1}, &a));
        EIO_TRY(Open(sw, {SIGUSR2, SIGUSR1}, &b));
        EIO_TRY(Open(sw, {SIGUSR2}, &other));
        int from_a = 0, from_b = 0, from_other = 0;
        EIO_TRY(All({[&] { return eio_signal_wait(a, &from_a); },
                     [&] { return eio_signal_wait(b, &from_b); },
                     [&]() -> eio_err * {
                         Send(SIGUSR1);
                         return nullptr;
                     }}));
        EXPECT_EQ(from_a, SIGUSR1);
        EXPECT_EQ(from_b, SIGUSR1);
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_MILLISECOND),
                              [&] { return eio_signal_wait(other, &from_other); }),
                   &eio_err_timeout);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, EachSignalGoesToOneOfThoseWhoWaitOnOneSubscription) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_signal *sig;
        EIO_TRY(Open(sw, {SIGUSR1}, &sig));
        int got = 0;
        return Both(
            [&] {
                return ForEach(3, 0, [&](size_t) -> eio_err * {
                    int signum;
                    EIO_TRY(eio_signal_wait(sig, &signum));
                    got++;
                    return nullptr;
                });
            },
            [&]() -> eio_err * {
                for (int i = 0; i < 3; i++) {
                    EXPECT_EQ(got, i);
                    raise(SIGUSR1);
                    while (got <= i)
                        EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 10));
                    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
                    EXPECT_EQ(got, i + 1);
                }
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, ACancelledWaitTakesNoSignal) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_signal *sig;
        int signum = 0;
        EIO_TRY(Open(sw, {SIGUSR1}, &sig));
        EXPECT_ERR(TimeoutRun(eio_timeout_ns(env->mono_clock, EIO_MILLISECOND),
                              [&] { return eio_signal_wait(sig, &signum); }),
                   &eio_err_timeout);
        raise(SIGUSR1);
        EIO_TRY(eio_signal_wait(sig, &signum));
        EXPECT_EQ(signum, SIGUSR1);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

void Handler(int) {}

TEST_P(SignalTest, WhatWasThereIsPutBackWhenTheLastSubscriberGoes) {
    struct sigaction mine = {};
    mine.sa_handler = Handler;
    mine.sa_flags = SA_NODEFER;
    sigaddset(&mine.sa_mask, SIGHUP);
    struct sigaction before;
    EXPECT_EQ(sigaction(SIGUSR1, &mine, &before), 0);
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_signal *outer, *inner;
        EIO_TRY(Open(sw, {SIGUSR1}, &outer));
        EIO_TRY(SwitchRun([&](eio_switch *sw2) { return Open(sw2, {SIGUSR1}, &inner); }));
        EXPECT_NE(Disposition(SIGUSR1).sa_handler, Handler);
        raise(SIGUSR1);
        int signum;
        return eio_signal_wait(outer, &signum);
    });
    struct sigaction after = Disposition(SIGUSR1);
    EXPECT_EQ(after.sa_handler, Handler);
    EXPECT_EQ(after.sa_flags & SA_NODEFER, SA_NODEFER);
    EXPECT_EQ(sigismember(&after.sa_mask, SIGHUP), 1);
    EXPECT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, AHandlerInstalledMeanwhileIsLeftAlone) {
    struct sigaction before = Disposition(SIGUSR1);
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_signal *sig;
        EIO_TRY(Open(sw, {SIGUSR1}, &sig));
        signal(SIGUSR1, Handler);
        return nullptr;
    });
    EXPECT_EQ(Disposition(SIGUSR1).sa_handler, Handler);
    EXPECT_EQ(sigaction(SIGUSR1, &before, nullptr), 0);
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, WhatCannotBeHadIsAnErrorAndChangesNothing) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_signal *sig;
        for (int bad : {SIGKILL, SIGSTOP, 0, -1, 65, 1000})
            EXPECT_ERR(Open(sw, {SIGUSR1, bad}, &sig), &eio_err_io) << bad;
        for (const char *call : {"eventfd", "sigaction"}) {
            Faults faults([&](const std::string &made) { return made == call ? EMFILE : 0; });
            EXPECT_ERR(Open(sw, {SIGUSR1}, &sig), &eio_err_io);
        }
        EXPECT_EQ(Disposition(SIGUSR1).sa_handler, SIG_DFL);
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
}

TEST_P(SignalTest, ItMayArriveInAnyThreadWhileSubscribersComeAndGo) {
    std::atomic<bool> stop{false};
    signal(SIGUSR2, SIG_IGN); // between subscriptions
    std::vector<std::thread> senders;
    for (int i = 0; i < 2; i++)
        senders.emplace_back([&] {
            while (!stop) {
                pthread_kill(pthread_self(), SIGUSR2);
                std::this_thread::yield();
            }
        });
    EXPECT_OK(EvalReal([](eio_switch *, const eio_env *env) {
        return ForEach(3, 0, [&](size_t i) -> eio_err * {
            auto body = [](eio_switch *sw) -> eio_err * {
                for (int round = 0; round < 40; round++) {
                    eio_signal *sig;
                    int signum;
                    EIO_TRY(SwitchRun([&](eio_switch *sw2) -> eio_err * {
                        EIO_TRY(Open(sw2, {SIGUSR2}, &sig));
                        return eio_signal_wait(sig, &signum);
                    }));
                }
                (void)sw;
                return nullptr;
            };
            auto call = [&] { return SwitchRun(body); };
            return i == 0 ? call()
                          : eio_domain_run(env->domain_mgr, Fn<decltype(call)>::Call, &call);
        });
    }));
    stop = true;
    for (std::thread &sender : senders)
        sender.join();
    signal(SIGUSR2, SIG_DFL);
}

} // namespace
