// SPDX-License-Identifier: ISC
// Random programs of reads, loans, writes, cancellations and closes over fake sockets, on the
// io_uring backend over a fake kernel: what is read is what was written, whatever either does.
// EIO_RING_SEEDS says how many seeds, EIO_RING_SEED runs one alone.

#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "backends/uring/uring.h"
#include "eio/err_net.h"
#include "eio/fd.h"
#include "eio/flow.h"
#include "eio/unix_net.h"
#include "fiber/sched.h"
#include "tests/support/counts.h"
#include "tests/support/support.h"
#include "tests/uring/fake_kernel.h"

namespace {

using namespace eio_test;

constexpr Count kPrograms = {"programs on a fake kernel", 1500, 150};
constexpr Count kTimeouts = {"operations that time out at once", 10000, 1000};

template <class F> eio_err *EvalFake(F &&f, unsigned entries) {
    eioi_uring *uring;
    EIO_TRY(eioi_uring_create_sized(entries, &uring));
    auto main = [&f]() -> eio_err * { return SwitchRun(f); };
    eioi_sched_opts opts = {};
    opts.ops = &eioi_uring_ops;
    opts.backend = uring;
    eio_err *err = eioi_sched_run(&opts, Fn<decltype(main)>::Call, &main);
    eioi_uring_destroy(uring);
    return err;
}

eio_err *SleepFor(int64_t ns) {
    return eioi_sleep_until(eioi_now() + ns);
}

uint8_t ByteAt(size_t at, unsigned salt) {
    return static_cast<uint8_t>(at * 31 + at / 251 + salt * 57);
}

/// What one end writes and the other one reads.
struct Direction {
    unsigned salt = 0;
    size_t sent = 0, received = 0;
    bool stopped = false; // nothing more is sent
};

struct Channel {
    eio_stream_socket *ends[2] = {};
    Direction to[2]; // by the end that reads
    bool closed[2] = {};
    bool taking_out = false; // the descriptor of end 1, by its number
    int taken_out = -1;      // that number
    bool broken() const { return closed[0] || closed[1]; }
};

struct Program {
    explicit Program(uint64_t seed) : random(seed) {}
    unsigned Below(unsigned n) { return static_cast<unsigned>(random() % n); }
    bool OneIn(unsigned n) { return Below(n) == 0; }

    std::mt19937_64 random;
    std::vector<std::unique_ptr<Channel>> channels;
    uint64_t cancelled = 0, bytes = 0, taken_out = 0;
};

void CheckBytes(const Direction &d, const uint8_t *bytes, size_t len) {
    ASSERT_GT(len, 0U);
    ASSERT_LE(d.received + len, d.sent) << "bytes that nobody has sent";
    for (size_t i = 0; i < len; i++)
        ASSERT_EQ(bytes[i], ByteAt(d.received + i, d.salt)) << "byte " << d.received + i;
}

/// Runs `operation()`, which says by `done` when it has had its effect; sometimes it is cancelled.
template <class F> eio_err *Perhaps(Program *p, F &&operation) {
    eio_err *err = nullptr;
    switch (p->Below(4)) {
    case 0: {
        const int64_t ns = p->Below(3) * p->Below(200000);
        err = First(operation, [ns] { return SleepFor(ns); });
        break;
    }
    case 1: {
        const unsigned turns = p->Below(4);
        err = CancelSub([&](eio_cancel *cc) {
            return Both(operation, [&]() -> eio_err * {
                for (unsigned i = 0; i < turns; i++)
                    EIO_TRY(eio_fiber_yield());
                eio_cancel_cancel(cc, eio_err_const(&eio_err_exit));
                return nullptr;
            });
        });
        break;
    }
    default: return operation();
    }
    if (eio_err_catch(&err, &eio_err_cancelled))
        p->cancelled++;
    return err;
}

eio_err *ReadOnce(Program *p, Channel *c, unsigned end) {
    Direction *d = &c->to[end];
    std::vector<uint8_t> space(p->OneIn(4) ? 6000 : 1 + p->Below(200));
    return Perhaps(p, [&]() -> eio_err * {
        size_t got = 0;
        EIO_TRY(eio_source_single_read(&c->ends[end]->flow.source,
                                       eio_buf_of(space.data(), space.size()), &got));
        CheckBytes(*d, space.data(), got);
        d->received += got;
        p->bytes += got;
        return nullptr;
    });
}

eio_err *LendOnce(Program *p, Channel *c, unsigned end) {
    Direction *d = &c->to[end];
    return Perhaps(p, [&]() -> eio_err * {
        eio_source *source = &c->ends[end]->flow.source;
        eio_slice loan;
        EIO_TRY(eio_source_lend(source, &loan));
        CheckBytes(*d, loan.base, loan.len);
        if (p->OneIn(3)) // it stays as it is, whatever the others do
            eio_err_drop(eio_cancel_protect([](void *) { return SleepFor(5000); }, nullptr));
        CheckBytes(*d, loan.base, loan.len);
        const size_t used = p->OneIn(2) ? loan.len : p->Below(static_cast<unsigned>(loan.len) + 1);
        eio_source_release(source, used);
        d->received += used;
        p->bytes += used;
        return nullptr;
    });
}

/// The end of the flow, of whatever kind: was it one that may be?
void CheckEnd(const Channel &c, unsigned end, eio_err *err) {
    const Direction &d = c.to[end];
    if (eio_err_catch(&err, &eio_err_end_of_file)) {
        EXPECT_TRUE(d.stopped || c.broken());
        if (!c.broken()) {
            EXPECT_EQ(d.received, d.sent) << "the end came before the last byte";
        }
    } else if (eio_err_catch(&err, &eio_err_closed)) {
        EXPECT_TRUE(c.closed[end]);
    } else {
        EXPECT_TRUE(c.broken()) << Text(err);
        EXPECT_TRUE(eio_err_is(err, &eio_err_net_connection_reset)) << Text(err);
    }
    eio_err_drop(err);
}

/// What is left of the stream is read by another flow.
eio_err *GoOnWithTakenOut(Channel *c, eio_switch *sw) {
    while (c->taken_out < 0)
        EIO_TRY(SleepFor(1000));
    const int fd = c->taken_out;
    c->taking_out = false;
    c->taken_out = -1;
    return eio_import_stream(sw, fd, nullptr, &c->ends[1]);
}

eio_err *Reader(Program *p, Channel *c, unsigned end, eio_switch *sw) {
    for (;;) {
        eio_err *err = p->OneIn(3) ? LendOnce(p, c, end) : ReadOnce(p, c, end);
        if (c->taking_out && end == 1 && eio_err_catch(&err, &eio_err_closed)) {
            EIO_TRY(GoOnWithTakenOut(c, sw));
            p->taken_out++;
            continue;
        }
        if (err != nullptr) {
            CheckEnd(*c, end, err);
            return nullptr;
        }
        if (p->OneIn(16))
            EIO_TRY(SleepFor(p->Below(50000)));
    }
}

eio_err *WriteOnce(Program *p, Channel *c, unsigned end) {
    Direction *d = &c->to[1 - end];
    std::vector<uint8_t> space(1 + p->Below(p->OneIn(4) ? 3000 : 100));
    for (size_t i = 0; i < space.size(); i++)
        space[i] = ByteAt(d->sent + i, d->salt);
    const size_t cut = p->OneIn(3) ? space.size() / 2 : space.size();
    const eio_slice slices[] = {{space.data(), cut}, {space.data() + cut, space.size() - cut}};
    // The kernel may have taken bytes that the reader sees before this fiber knows of it.
    const size_t before = d->sent;
    d->sent += space.size();
    bool wrote_some = false;
    eio_err *err = Perhaps(p, [&]() -> eio_err * {
        size_t wrote = 0;
        EIO_TRY(eio_sink_single_write(&c->ends[end]->flow.sink, slices, cut < space.size() ? 2 : 1,
                                      &wrote));
        EXPECT_GT(wrote, 0U);
        EXPECT_LE(wrote, space.size());
        d->sent = before + wrote;
        wrote_some = true;
        return nullptr;
    });
    if (!wrote_some)
        d->sent = before;
    EXPECT_LE(d->received, d->sent) << "a write that said it did nothing has written";
    return err;
}

eio_err *Writer(Program *p, Channel *c, unsigned end, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        eio_err *err = WriteOnce(p, c, end);
        if (err != nullptr) {
            EXPECT_TRUE(c->broken()) << Text(err);
            eio_err_drop(err);
            return nullptr;
        }
        if (p->OneIn(8))
            EIO_TRY(SleepFor(p->Below(50000)));
    }
    c->to[1 - end].stopped = true;
    eio_err_drop(eio_flow_shutdown(&c->ends[end]->flow, EIO_SHUTDOWN_SEND));
    return nullptr;
}

eio_err *Closer(Program *p, Channel *c, unsigned end) {
    EIO_TRY(SleepFor(p->Below(2000000)));
    c->closed[end] = true;
    eio_flow_close(&c->ends[end]->flow);
    return nullptr;
}

eio_err *Taker(Program *p, Channel *c) {
    EIO_TRY(SleepFor(p->Below(2000000)));
    c->taking_out = true;
    int fd;
    eio_err *err = eio_fd_remove(eio_fd_of_flow(&c->ends[1]->flow), &fd);
    EIO_TRY(err);
    c->taken_out = fd;
    return nullptr;
}

eio_err *OpenChannel(Program *p, eio_switch *sw, eio_switch *fibers) {
    p->channels.push_back(std::make_unique<Channel>());
    Channel *c = p->channels.back().get();
    int fds[2];
    fake_socketpair(fds);
    for (unsigned end = 0; end < 2; end++) {
        c->to[end].salt = p->Below(256);
        EIO_TRY(eio_import_stream(sw, fds[end], nullptr, &c->ends[end]));
    }
    const bool is_taken_out = p->OneIn(4);
    for (unsigned end = 0; end < 2; end++) {
        const unsigned count = is_taken_out && end == 1 ? 0 : p->Below(40);
        EIO_TRY(Fork(fibers, [=] { return Reader(p, c, end, sw); }));
        EIO_TRY(Fork(fibers, [=] { return Writer(p, c, end, count); }));
        if (!is_taken_out && p->OneIn(6))
            EIO_TRY(Fork(fibers, [=] { return Closer(p, c, end); }));
    }
    if (is_taken_out)
        EIO_TRY(Fork(fibers, [=] { return Taker(p, c); }));
    return nullptr;
}

eio_err *RunProgram(Program *p, eio_switch *sw) {
    const unsigned channels = 1 + p->Below(4);
    EIO_TRY(SwitchRun([&](eio_switch *fibers) -> eio_err * {
        for (unsigned i = 0; i < channels; i++)
            EIO_TRY(OpenChannel(p, sw, fibers));
        return nullptr;
    }));
    for (auto &c : p->channels) {
        if (c->taken_out >= 0)
            close(c->taken_out); // its reader had seen the end
        for (const Direction &d : c->to)
            if (!c->broken()) {
                EXPECT_EQ(d.received, d.sent);
            }
    }
    return nullptr;
}

/// Most kernels do most things right; some do some of them often.
fake_opts KernelOf(uint64_t seed) {
    std::mt19937_64 random(seed * 7919);
    auto some = [&random](unsigned often) {
        const unsigned pick = static_cast<unsigned>(random() % 3);
        return static_cast<uint8_t>(pick == 0 ? 0 : pick == 1 ? often / 8 : often);
    };
    fake_opts opts = {};
    opts.seed = seed;
    opts.late = some(200);
    opts.short_count = some(200);
    opts.refuse = some(64);
    opts.partial = some(128);
    opts.no_answer = some(200);
    opts.race = some(128);
    opts.drop_more = some(64);
    opts.no_buffers = some(32);
    opts.cq_entries = random() % 3 == 0 ? 2 + static_cast<unsigned>(random() % 8) : 0;
    opts.socket_room = 1 + static_cast<unsigned>(random() % (random() % 2 == 0 ? 64 : 40000));
    opts.old = random() % 4 == 0;
    return opts;
}

void Add(fake_counts *sum, const fake_counts &counts) {
    auto *to = reinterpret_cast<uint64_t *>(sum);
    auto *from = reinterpret_cast<const uint64_t *>(&counts);
    for (size_t i = 0; i < sizeof counts / sizeof *from; i++)
        to[i] += from[i];
}

void PrintCounts(const fake_counts &c) {
    auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    printf("%llu operations in %llu calls, %llu completions; %llu cancel requests (%llu EALREADY, "
           "%llu ENOENT, %llu came too late)\n",
           n(c.operations), n(c.enters), n(c.completions), n(c.cancels), n(c.already),
           n(c.not_found), n(c.raced));
    printf("%llu refused, %llu taken in part, %llu overflows, %llu short counts, %llu multishots "
           "ended, %llu without a buffer\n",
           n(c.refused), n(c.partial), n(c.overflowed), n(c.short_counts), n(c.dropped_more),
           n(c.no_buffers));
}

class FakeRingTest : public EioTest {};

TEST_F(FakeRingTest, BytesOutAreBytesInWhateverTheKernelDoes) {
    const char *one = getenv("EIO_RING_SEED");
    const char *many = getenv("EIO_RING_SEEDS");
    const uint64_t from = one != nullptr ? strtoull(one, nullptr, 10) : 1;
    const uint64_t count = one != nullptr    ? 1
                           : many != nullptr ? strtoull(many, nullptr, 10)
                                             : HowMany(kPrograms);
    fake_counts sum = {}, counts = {};
    uint64_t cancelled = 0, bytes = 0, taken_out = 0;
    for (uint64_t seed = from; seed < from + count && !HasFailure(); seed++) {
        const fake_opts opts = KernelOf(seed);
        Program program(seed);
        fake_begin(&opts);
        eio_err *err = EvalFake([&](eio_switch *sw) { return RunProgram(&program, sw); },
                                8U << program.Below(3));
        fake_end(&counts);
        EXPECT_OK(err);
        Add(&sum, counts);
        cancelled += program.cancelled;
        bytes += program.bytes;
        taken_out += program.taken_out;
        if (HasFailure())
            printf("to run it again: EIO_RING_SEED=%llu\n", static_cast<unsigned long long>(seed));
    }
    printf("%llu programs, %llu bytes, %llu cancelled operations, %llu descriptors taken out\n",
           static_cast<unsigned long long>(count), static_cast<unsigned long long>(bytes),
           static_cast<unsigned long long>(cancelled), static_cast<unsigned long long>(taken_out));
    PrintCounts(sum);
}

TEST_F(FakeRingTest, ALoanWhoseBytesCameWithTheCloseIsHad) {
    fake_opts opts = {};
    opts.seed = 1;
    opts.late = 255; // the bytes are there, and the receive doesn't know yet
    opts.race = 255; // it does when it is cancelled
    opts.socket_room = 64;
    fake_begin(&opts);
    eio_err *err = EvalFake(
        [](eio_switch *sw) -> eio_err * {
            int fds[2];
            eio_stream_socket *ends[2];
            fake_socketpair(fds);
            for (unsigned end = 0; end < 2; end++)
                EIO_TRY(eio_import_stream(sw, fds[end], nullptr, &ends[end]));
            return Both(
                [&]() -> eio_err * {
                    eio_slice loan;
                    EIO_TRY(eio_source_lend(&ends[0]->flow.source, &loan));
                    EXPECT_EQ(std::string(reinterpret_cast<const char *>(loan.base), loan.len),
                              "x");
                    eio_source_release(&ends[0]->flow.source, loan.len);
                    return nullptr;
                },
                [&]() -> eio_err * {
                    EIO_TRY(eio_flow_copy_string("x", &ends[1]->flow.sink));
                    eio_flow_close(&ends[0]->flow);
                    return nullptr;
                });
        },
        64);
    fake_counts counts = {};
    fake_end(&counts);
    EXPECT_OK(err);
    EXPECT_EQ(counts.raced, 1U);
}

TEST_F(FakeRingTest, WhatComesWhileADescriptorIsTakenOutIsReadBeforeTheFlowIsClosed) {
    fake_opts opts = {};
    opts.seed = 1;
    opts.no_answer = 255; // what is armed goes on for a while
    opts.socket_room = 64;
    fake_begin(&opts);
    eio_err *err = EvalFake(
        [](eio_switch *sw) -> eio_err * {
            int fds[2];
            eio_stream_socket *ends[2];
            fake_socketpair(fds);
            for (unsigned end = 0; end < 2; end++)
                EIO_TRY(eio_import_stream(sw, fds[end], nullptr, &ends[end]));
            std::string got;
            auto read = [&]() -> eio_err * {
                uint8_t space[8];
                size_t len;
                EIO_TRY(eio_source_single_read(&ends[1]->flow.source,
                                               eio_buf_of(space, sizeof space), &len));
                got.append(reinterpret_cast<const char *>(space), len);
                return nullptr;
            };
            for (int i = 0; i < 3; i++) { // so often that it is armed
                EIO_TRY(eio_flow_copy_string("x", &ends[0]->flow.sink));
                EIO_TRY(read());
            }
            int fd = -1;
            EIO_TRY(All({[&] { return eio_fd_remove(eio_fd_of_flow(&ends[1]->flow), &fd); },
                         [&]() -> eio_err * {
                             EIO_TRY(read());
                             EXPECT_EQ(got, "xxxlate");
                             EXPECT_ERR(read(), &eio_err_closed);
                             return nullptr;
                         },
                         [&] { return eio_flow_copy_string("late", &ends[0]->flow.sink); }}));
            close(fd);
            return nullptr;
        },
        64);
    fake_counts counts = {};
    fake_end(&counts);
    EXPECT_OK(err);
}

TEST_F(FakeRingTest, ThousandsOfOperationsTimeOutAtOnceInAQueueOfEight) {
    fake_opts opts = {};
    opts.seed = 1;
    opts.no_answer = 64;
    opts.race = 64;
    opts.partial = 64;
    opts.socket_room = 64;
    fake_begin(&opts);
    unsigned timed_out = 0;
    eio_err *err = EvalFake(
        [&](eio_switch *sw) {
            return ForEach(HowMany(kTimeouts) / 2, 0, [&](size_t) -> eio_err * {
                int fds[2];
                eio_stream_socket *ends[2];
                fake_socketpair(fds);
                const int64_t deadline = 2000000000;
                auto read = [&](unsigned end) -> eio_err * {
                    EIO_TRY(eio_import_stream(sw, fds[end], nullptr, &ends[end]));
                    uint8_t byte;
                    size_t got;
                    size_t winner = 9;
                    EIO_TRY(First(
                        [&] {
                            return eio_source_single_read(&ends[end]->flow.source,
                                                          eio_buf_of(&byte, 1), &got);
                        },
                        [&] { return eioi_sleep_until(deadline); }, &winner));
                    EXPECT_EQ(winner, 1U);
                    timed_out++;
                    return nullptr;
                };
                return Both([&] { return read(0); }, [&] { return read(1); });
            });
        },
        8);
    fake_counts counts = {};
    fake_end(&counts);
    EXPECT_OK(err);
    EXPECT_EQ(timed_out, HowMany(kTimeouts) / 2 * 2);
    EXPECT_GE(counts.cancels, timed_out);
    PrintCounts(counts);
}

} // namespace
