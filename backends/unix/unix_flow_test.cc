// SPDX-License-Identifier: ISC
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "eio/err_net.h"
#include "eio/fd.h"
#include "fiber/base/fault.h"
#include "tests/support/real_run.h"

using namespace eio_test;

class UnixFlowTest : public RealTest {
  protected:
    static eio_err *Read(eio_flow *flow, std::string *out) {
        uint8_t space[256];
        size_t got;
        EIO_TRY(eio_source_single_read(&flow->source, eio_buf_of(space, sizeof space), &got));
        out->assign(reinterpret_cast<char *>(space), got);
        return nullptr;
    }
    static eio_err *ReadAll(eio_flow *flow, std::string *out) {
        std::string part;
        for (;;) {
            eio_err *err = Read(flow, &part);
            if (eio_err_catch(&err, &eio_err_end_of_file))
                return nullptr;
            EIO_TRY(err);
            *out += part;
        }
    }
};
EIO_ON_REAL_BACKENDS(UnixFlowTest);

TEST_P(UnixFlowTest, WhatOneEndWritesTheOtherReads) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string text;
        EIO_TRY(eio_flow_copy_string("hello", &a->flow.sink));
        EIO_TRY(Read(&b->flow, &text));
        EXPECT_EQ(text, "hello");
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, EndOfFileRepeats) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string text;
        EIO_TRY(eio_flow_copy_string("bye", &a->flow.sink));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        EIO_TRY(Read(&b->flow, &text));
        EXPECT_ERR(Read(&b->flow, &text), &eio_err_end_of_file);
        EXPECT_ERR(Read(&b->flow, &text), &eio_err_end_of_file);
        EIO_TRY(eio_flow_copy_string("other way", &b->flow.sink));
        EIO_TRY(Read(&a->flow, &text));
        EXPECT_EQ(text, "other way");
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, ShutdownWakesABlockedRead) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return Both(
            [&]() -> eio_err * {
                std::string text;
                EXPECT_ERR(Read(&a->flow, &text), &eio_err_end_of_file);
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_RECEIVE);
            });
    }));
}

TEST_P(UnixFlowTest, ShutdownOfAConnectionThatIsGoneIsNoError) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *socket;
        int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); // never connected
        EIO_TRY(eio_import_stream(sw, fd, nullptr, &socket));
        return eio_flow_shutdown(&socket->flow, EIO_SHUTDOWN_ALL);
    }));
}

TEST_P(UnixFlowTest, EachOperationGivesOtherFibersATurn) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string text;
        int turns = 0;
        EIO_TRY(ForkDaemon(sw, [&]() -> eio_err * {
            for (;; turns++)
                EIO_TRY(eio_fiber_yield());
        }));
        EIO_TRY(eio_flow_copy_string("x", &a->flow.sink));
        EXPECT_GE(turns, 1) << "a write that could be done at once";
        turns = 0;
        EIO_TRY(Read(&b->flow, &text));
        EXPECT_GE(turns, 1) << "a read that could be done at once";
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, AGatheredWriteOfManySlicesArrivesWhole) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::vector<eio_slice> slices(3000, eio_slice_of_str("abc")); // more than IOV_MAX
        std::string all;
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EIO_TRY(eio_sink_writev(&a->flow.sink, slices.data(), slices.size()));
                return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND);
            },
            [&] { return ReadAll(&b->flow, &all); }));
        EXPECT_EQ(all.size(), 9000u);
        EXPECT_EQ(all.find_first_not_of("abc"), std::string::npos);
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, MegabytesBothWaysAtOnceArriveWhole) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string big(4 << 20, ' ');
        for (size_t i = 0; i < big.size(); i++)
            big[i] = static_cast<char>(i * 7 + i / 251);
        std::string at_a, at_b;
        auto send = [&big](eio_flow *flow) -> eio_err * {
            EIO_TRY(eio_sink_write(&flow->sink, eio_slice_of(big.data(), big.size())));
            return eio_flow_shutdown(flow, EIO_SHUTDOWN_SEND);
        };
        EXPECT_OK(All({[&] { return send(&a->flow); }, [&] { return send(&b->flow); },
                       [&] { return ReadAll(&a->flow, &at_a); },
                       [&] { return ReadAll(&b->flow, &at_b); }}));
        EXPECT_TRUE(at_a == big);
        EXPECT_TRUE(at_b == big);
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, ACancelledWriterLeavesTheFlowUsable) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        std::string big(8 << 20, 'x');
        EXPECT_OK(First(
            [&] { return eio_sink_write(&a->flow.sink, eio_slice_of(big.data(), big.size())); },
            [&]() -> eio_err * {
                std::string text;
                return Read(&b->flow, &text); // the pair's buffer is full: the writer waits
            }));
        EIO_TRY(eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_SEND));
        std::string rest;
        EIO_TRY(ReadAll(&b->flow, &rest));
        EXPECT_EQ(rest.find_first_not_of('x'), std::string::npos);
        EXPECT_LT(rest.size(), big.size());
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, PipesAreFlowsToo) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        eio_stream_socket *in, *out;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &in));
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &out));
        std::string big(1 << 20, 'p'), all;
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EIO_TRY(eio_sink_write(&out->flow.sink, eio_slice_of(big.data(), big.size())));
                eio_flow_close(&out->flow);
                return nullptr;
            },
            [&] { return ReadAll(&in->flow, &all); }));
        EXPECT_TRUE(all == big);
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, ABlockedPipeReadIsCancelledAndClosedLikeASockets) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        eio_stream_socket *in, *out;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &in));
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &out));
        std::string text;
        EXPECT_OK(First([&] { return Read(&in->flow, &text); },
                        []() -> eio_err * { return eio_fiber_yield(); }));
        EXPECT_OK(Both(
            [&]() -> eio_err * {
                EXPECT_ERR(Read(&in->flow, &text), &eio_err_closed);
                return nullptr;
            },
            [&]() -> eio_err * {
                EIO_TRY(eio_fiber_yield());
                eio_flow_close(&in->flow);
                return nullptr;
            }));
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, ADescriptorThatIsNonBlockingAlreadyIsWaitedFor) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
        eio_stream_socket *in, *out;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &in));
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &out));
        std::string text;
        EXPECT_OK(Both([&] { return Read(&in->flow, &text); },
                       [&]() -> eio_err * {
                           EIO_TRY(eio_fiber_yield());
                           return eio_flow_copy_string("late", &out->flow.sink);
                       }));
        EXPECT_EQ(text, "late");
        EXPECT_OK(First([&] { return Read(&in->flow, &text); },
                        []() -> eio_err * { return eio_fiber_yield(); }));
        return nullptr;
    }));
}

TEST_P(UnixFlowTest, AManyTimesOpenedAndFreedFlowLeavesNothingInItsSwitch) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        size_t fds = 0;
        for (int i = 0; i < 300; i++) {
            eio_stream_socket *a, *b;
            std::string text;
            EIO_TRY(eio_socketpair_stream(sw, &a, &b));
            EIO_TRY(eio_flow_copy_string("x", &a->flow.sink));
            EIO_TRY(Read(&b->flow, &text));
            eio_flow_free(&a->flow);
            eio_flow_free(&b->flow);
            EIO_TRY(eio_fiber_yield());
            if (i == 10)
                fds = OpenFds().size();
        }
        EXPECT_LE(OpenFds().size(), fds + 2);
        return nullptr;
    }));
}

int NothingFails(void *, const char *) {
    return 0;
}

size_t TwoBytes(void *, const char *, size_t len) {
    return len < 2 ? len : 2;
}

TEST_P(UnixFlowTest, ReadsAndWritesThatTheSystemCutsShortAreGoneOnWith) {
    EXPECT_OK(EvalReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a, *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        const struct eioi_fault_hook hook = {NothingFails, nullptr, TwoBytes};
        const struct eioi_fault_hook *const before = eioi_fault_hook;
        eioi_fault_hook = &hook;
        const eio_slice slices[] = {eio_slice_of_str("a"), eio_slice_of_str("bcdef"),
                                    eio_slice_of_str("g")};
        char space[8];
        size_t got = 0, wrote = 0;
        eio_slice loan = {};
        eio_err *err = eio_sink_single_write(&a->flow.sink, slices, 3, &wrote);
        if (err == nullptr)
            err = eio_sink_write(&a->flow.sink, eio_slice_of_str("123456789"));
        if (err == nullptr)
            err = eio_source_single_read(&b->flow.source, eio_buf_of(space, sizeof space), &got);
        if (err == nullptr)
            err = eio_source_lend(&b->flow.source, &loan);
        if (err == nullptr)
            eio_source_release(&b->flow.source, 0);
        if (err == nullptr)
            err = eio_source_read_exact(&b->flow.source, eio_buf_of(space, sizeof space));
        eioi_fault_hook = before;
        EXPECT_EQ(wrote, 1u); // of the first slice
        EXPECT_EQ(got, 2u);
        EXPECT_EQ(std::string(space, sizeof space), "23456789");
        return err;
    }));
}
