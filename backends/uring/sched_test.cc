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

namespace {
/// Connections by TCP: a flow on one end, a descriptor of the test's on the other.
class HalfRawTcp {
  public:
    eio_err *Open(eio_switch *sw) {
        eio_unix_net net;
        eio_unix_net_init(&net, nullptr);
        eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
        eio_listener *listener;
        eio_stream_socket *socket, *other;
        EIO_TRY(eio_net_listen(&net.net, sw, &addr, nullptr, &listener));
        EIO_TRY(eio_listener_addr(listener, &addr));
        EIO_TRY(eio_net_connect(&net.net, sw, &addr, nullptr, &other));
        EIO_TRY(eio_fd_remove(eio_fd_of_flow(&other->flow), &raw_));
        EIO_TRY(eio_listener_accept(listener, sw, &socket, nullptr));
        flow = &socket->flow;
        return nullptr;
    }
    ~HalfRawTcp() {
        if (raw_ >= 0)
            close(raw_);
    }
    /// Waits, with the thread, until the other end has closed.
    bool SeesTheEnd() {
        const timeval limit = {10, 0};
        EXPECT_EQ(setsockopt(raw_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        char byte;
        return recv(raw_, &byte, 1, 0) == 0;
    }
    eio_flow *flow = nullptr;

  private:
    int raw_ = -1;
};
} // namespace

TEST_F(UringSchedTest, AConnectionsCloseTakesPlaceWhileTheLoopSleeps) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        HalfRawTcp tcp;
        HalfRaw pair;
        EIO_TRY(tcp.Open(sw));
        EIO_TRY(pair.Open(sw));
        bool seen = false;
        std::thread other([&] {
            seen = tcp.SeesTheEnd();
            pair.Send("x"); // till then nothing wakes the loop
        });
        eio_flow_free(tcp.flow);
        eio_err *err = pair.Read();
        other.join();
        EXPECT_TRUE(seen);
        return err;
    }));
}

TEST_F(UringSchedTest, AConnectionsCloseWakesNobody) {
    EXPECT_OK(EvalUring([](eio_switch *sw) -> eio_err * {
        enum { TIMES = 20 };
        HalfRawTcp tcp[TIMES];
        for (HalfRawTcp &each : tcp)
            EIO_TRY(each.Open(sw));
        EIO_TRY(Settle());
        FaultPlan faults;
        for (HalfRawTcp &each : tcp) {
            eio_flow_free(each.flow);
            EIO_TRY(Settle());
        }
        // One that submits it and sleeps until the time has come.
        EXPECT_LE(faults.Count("io_uring_enter"), TIMES + TIMES / 2);
        return nullptr;
    }));
}

TEST_F(UringSchedTest, ACloseThatIsQueuedAtTheLoopsEndTakesPlace) {
    HalfRawTcp tcp;
    EXPECT_OK(EvalUring([&](eio_switch *sw) { return tcp.Open(sw); }));
    EXPECT_TRUE(tcp.SeesTheEnd());
}

TEST_F(UringSchedTest, ACloseTakesPlaceWhenTheKernelHasNoMemoryForIt) {
    HalfRawTcp tcp;
    FaultPlan faults;
    EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
        HalfRaw pair;
        EIO_TRY(tcp.Open(sw));
        EIO_TRY(pair.Open(sw));
        faults.Fail("io_uring_enter", EAGAIN, 1, 2000); // as above
        eio_flow_free(tcp.flow);
        eio_err *err = pair.Read();
        EXPECT_EQ(eio_err_errno(err), ENOMEM);
        eio_err_drop(err);
        EXPECT_TRUE(tcp.SeesTheEnd());
        return nullptr;
    }));
    faults.Clear();
}

TEST_F(UringSchedTest, ACloseAtTheLoopsEndTakesPlaceWhenTheKernelHasNoMemoryForIt) {
    HalfRawTcp tcp;
    FaultPlan faults;
    EXPECT_OK(EvalUring([&](eio_switch *sw) -> eio_err * {
        EIO_TRY(tcp.Open(sw));
        faults.Fail("io_uring_enter", EAGAIN, 1, 2000);
        return nullptr;
    }));
    EXPECT_TRUE(tcp.SeesTheEnd());
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
