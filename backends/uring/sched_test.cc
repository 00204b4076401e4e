// SPDX-License-Identifier: ISC
#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include "backends/uring/uring_run.h"

using namespace eio_test;

class UringSchedTest : public EioTest {};

TEST_F(UringSchedTest, WithNothingToDoALookAtTheRingCostsNoSystemCall) {
    EXPECT_OK(EvalUring([](eio_switch *) -> eio_err * {
        FaultPlan faults;
        for (int i = 0; i < 10000; i++)
            EIO_TRY(eio_fiber_yield());
        EXPECT_EQ(faults.Count("io_uring_enter"), 0);
        return nullptr;
    }));
}

TEST_F(UringSchedTest, OneSystemCallATurnWhateverTheNumberOfOperations) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        enum { PAIRS = 50, ROUNDS = 20 };
        std::vector<std::unique_ptr<HalfRaw>> pairs;
        for (int i = 0; i < PAIRS; i++) {
            pairs.push_back(std::make_unique<HalfRaw>());
            EIO_TRY(pairs.back()->Open(sw));
        }
        FaultPlan faults;
        for (int round = 0; round < ROUNDS; round++) {
            for (auto &pair : pairs)
                pair->Send("x");
            eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                for (auto &pair : pairs)
                    EIO_TRY(Fork(inner, [&pair] { return pair->Read(); }));
                return nullptr;
            });
            EIO_TRY(err);
        }
        // In one call the kernel completes some 20 of those receives that are armed for long.
        EXPECT_LE(faults.Count("io_uring_enter"), ROUNDS * (PAIRS / 16 + 1));
        return nullptr;
    }));
}

TEST_F(UringSchedTest, AFiberThatYieldsForEverStarvesNeitherIONorTimers) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        bool stop = false;
        EIO_TRY(ForkDaemon(sw, [&]() -> eio_err * {
            for (;;)
                EIO_TRY(eio_fiber_yield());
        }));
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        for (int i = 0; i < 20; i++) {
            EXPECT_OK(Both([&] { return pair.Read(); },
                           [&]() -> eio_err * {
                               EIO_TRY(eioi_sleep_until(eioi_now() + 100000));
                               pair.Send("x");
                               return nullptr;
                           }));
        }
        (void)stop;
        return nullptr;
    }));
}

namespace {
struct Wake {
    eioi_message message;
    eioi_waiter *waiter;
};
void RunWake(eioi_message *msg) {
    auto *self = reinterpret_cast<Wake *>(msg);
    eioi_wake(self->waiter, nullptr);
}
} // namespace

TEST_F(UringSchedTest, AnotherThreadEndsTheSleep) {
    EXPECT_OK(EvalUring([](eio_switch *) -> eio_err * {
        for (int i = 0; i < 200; i++) {
            eioi_waiter w;
            eioi_waiter_init(&w, "test");
            Wake wake = {{{nullptr}, RunWake}, &w};
            std::thread other([&] {
                if (i % 2 == 0)
                    usleep(100);
                eioi_post(w.sched, &wake.message);
            });
            EIO_TRY(eioi_wait(&w, nullptr));
            other.join();
        }
        return nullptr;
    }));
}

TEST_F(UringSchedTest, WhatEnterMayAnswerIsSurvived) {
    for (int errnum : {EINTR, EAGAIN, EBUSY, ENOMEM, ETIME}) {
        for (int from = 1; from <= 6; from++) {
            EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
                HalfRaw pair;
                EIO_TRY(pair.Open(sw));
                FaultPlan faults;
                faults.Fail("io_uring_enter", errnum, from, 3);
                for (int i = 0; i < 3; i++) {
                    std::string text;
                    EXPECT_OK(Both([&] { return pair.Read(&text); },
                                   [&]() -> eio_err * {
                                       EIO_TRY(eioi_sleep_until(eioi_now() + 100000));
                                       pair.Send("x");
                                       return nullptr;
                                   }));
                    EXPECT_EQ(text, "x");
                }
                EXPECT_GE(faults.Count("io_uring_enter"), from);
                return nullptr;
            }));
        }
    }
}

TEST_F(UringSchedTest, WithoutMemoryForLongAnOperationFailsAndTheLoopGoesOn) {
    EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        FaultPlan faults;
        faults.Fail("io_uring_enter", EAGAIN, 1,
                    2000); // each refusal asks twice: to submit, and to wait
        eio_err *err = pair.Read();
        EXPECT_EQ(eio_err_errno(err), ENOMEM);
        eio_err_drop(err);
        pair.Send("x");
        faults.Clear();
        return pair.Read();
    }));
}

TEST_F(UringSchedTest, MoreCompletionsThanTheQueueHoldsAreNotLost) {
    EXPECT_OK(EvalUring(
        [](eio_switch *sw) -> eio_err * {
            enum { N = 400 }; // the completion queue of 8 entries has 128
            std::vector<std::unique_ptr<HalfRaw>> pairs;
            for (int i = 0; i < N; i++) {
                pairs.push_back(std::make_unique<HalfRaw>());
                EIO_TRY(pairs.back()->Open(sw));
            }
            int done = 0;
            eio_err *err = SwitchRun([&](eio_switch *inner) -> eio_err * {
                for (auto &pair : pairs)
                    EIO_TRY(Fork(inner, [&]() -> eio_err * {
                        EIO_TRY(pair->Read());
                        done++;
                        return nullptr;
                    }));
                EIO_TRY(eioi_sleep_until(eioi_now() + 1000000));
                for (auto &pair : pairs)
                    pair->Send("x");
                return nullptr;
            });
            EXPECT_EQ(done, N);
            return err;
        },
        8));
}

static eio_err *SendText(eio_datagram_socket *socket, const std::string &text) {
    const eio_slice slice = eio_slice_of(text.data(), text.size());
    return eio_datagram_send(socket, nullptr, &slice, 1);
}

static eio_err *RecvText(eio_datagram_socket *socket, std::string *out) {
    uint8_t space[16];
    eio_datagram_info info;
    EIO_TRY(eio_datagram_recv(socket, eio_buf_of(space, sizeof space), &info));
    out->assign(reinterpret_cast<char *>(space), info.len);
    return nullptr;
}

TEST_F(UringSchedTest, DatagramsThatAreThereAndHaveRoomNeedNoRing) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        enum { N = 1000 };
        eio_datagram_socket *a, *b;
        std::string text;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        FaultPlan faults;
        for (int i = 0; i < N; i++) {
            EIO_TRY(SendText(a, std::to_string(i)));
            EIO_TRY(RecvText(b, &text));
            EXPECT_EQ(text, std::to_string(i));
        }
        EXPECT_EQ(faults.Count("io_uring_enter"), 0);
        return nullptr;
    }));
}

TEST_F(UringSchedTest, WhoWaitForDatagramsAreServedInTheirOrderByOneWait) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        enum { N = 5 };
        eio_datagram_socket *a, *b;
        std::string texts[N];
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        FaultPlan faults;
        EIO_TRY(SwitchRun([&](eio_switch *inner) -> eio_err * {
            for (auto &text : texts)
                EIO_TRY(Fork(inner, [&] { return RecvText(b, &text); }));
            for (int i = 0; i < N; i++)
                EIO_TRY(SendText(a, std::to_string(i)));
            return nullptr;
        }));
        for (int i = 0; i < N; i++)
            EXPECT_EQ(texts[i], std::to_string(i));
        EXPECT_LE(faults.Count("io_uring_enter"), 2);
        return nullptr;
    }));
}

TEST_F(UringSchedTest, ASignalDoesNotEndAWait) {
    struct sigaction action = {}, old = {};
    action.sa_handler = [](int) {};
    sigaction(SIGUSR1, &action, &old);
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(pair.Open(sw));
        pthread_t self = pthread_self();
        int raw = pair.raw;
        std::thread other([self, raw] {
            for (int i = 0; i < 20; i++) {
                pthread_kill(self, SIGUSR1);
                usleep(500);
            }
            (void)!write(raw, "x", 1);
        });
        std::string text;
        eio_err *err = pair.Read(&text);
        other.join();
        EXPECT_EQ(text, "x");
        return err;
    }));
    sigaction(SIGUSR1, &old, nullptr);
}
