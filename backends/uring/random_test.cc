// SPDX-License-Identifier: ISC

// Connections at random: reads, writes and copies of all kinds, cancelled and failing now and then,
// until the flow is closed, freed or its descriptor taken out. Bytes stay in order; none is lost that
// wasn't given up, and none is said to be written that wasn't. EIO_RANDOM_SEED=N runs one seed.

#include <algorithm>
#include <cstdlib>
#include <random>

#include "backends/uring/uring_run.h"

using namespace eio_test;

namespace {

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    size_t Below(size_t n) { return engine_() % n; }
    bool OneIn(size_t n) { return Below(n) == 0; }
    /// Mostly little.
    size_t Length(size_t most) { return 1 + Below(OneIn(8) ? most : 300); }
    eio_err *Pause() {
        const size_t how = Below(6);
        if (how == 5)
            return eioi_sleep_until(eioi_now() + 20000 * (1 + static_cast<int64_t>(Below(10))));
        for (size_t i = 0; i <= how; i++)
            EIO_TRY(eio_fiber_yield());
        return nullptr;
    }
    eio_err *Pauses(size_t most) {
        for (size_t n = Below(most + 1); n > 0; n--)
            EIO_TRY(Pause());
        return nullptr;
    }
    /// `f`, which may be cancelled before it has ended.
    template <class F> eio_err *MaybeCancelled(F &&f) {
        if (!OneIn(3))
            return f();
        return CancelSub([&](eio_cancel *cc) {
            bool ended = false;
            return Both(
                [&] {
                    eio_err *err = f();
                    ended = true;
                    return err;
                },
                [&]() -> eio_err * {
                    for (size_t n = Below(5); n > 0 && !ended; n--)
                        EIO_TRY(Pause());
                    if (!ended)
                        eio_cancel_cancel(cc, eio_err_failure("at random"));
                    return nullptr;
                });
        });
    }

  private:
    std::mt19937 engine_;
};

/// Bytes that are on their way: what each is, its place says.
class Bytes {
  public:
    std::string Next(size_t len) const {
        std::string text(len, '\0');
        for (size_t i = 0; i < len; i++)
            text[i] = At(sent + i);
        return text;
    }
    void Got(const void *bytes, size_t len) {
        for (size_t i = 0; i < len; i++)
            if (static_cast<const char *>(bytes)[i] != At(got + i)) {
                ADD_FAILURE() << "not the byte number " << got + i;
                break;
            }
        got += len;
    }
    size_t sent = 0, got = 0;

  private:
    static char At(size_t i) { return static_cast<char>(i * 131 + (i >> 8) * 7 + (i >> 16)); }
};

void SendSome(Random *random, int fd, Bytes *bytes, size_t most) {
    const std::string text = bytes->Next(random->Length(most));
    const ssize_t n = send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    bytes->sent += n > 0 ? static_cast<size_t>(n) : 0;
}

void ReceiveAll(int fd, Bytes *bytes) {
    char space[8192];
    for (ssize_t n; (n = recv(fd, space, sizeof space, MSG_DONTWAIT)) > 0;)
        bytes->Got(space, static_cast<size_t>(n));
}

void ReceiveSome(Random *random, int fd, Bytes *bytes) {
    char space[3000];
    const ssize_t n = recv(fd, space, 1 + random->Below(sizeof space), MSG_DONTWAIT);
    bytes->Got(space, n > 0 ? static_cast<size_t>(n) : 0);
}

/// Whether the flow is closed; of other errors, only a cancel is expected.
bool SaysClosed(eio_err *err) {
    const bool closed = eio_err_is(err, &eio_err_closed);
    if (err != nullptr && !closed) {
        EXPECT_ERR(err, &eio_err_cancelled);
        return false;
    }
    eio_err_drop(err);
    return closed;
}

eio_err *UseNumber(eio_flow *flow) {
    return eio_fd_use(
        eio_fd_of_flow(flow), "test", [](void *, int) { return eio_fiber_yield(); }, nullptr);
}

/// One connection that is read and written until its end.
class Connection {
  public:
    explicit Connection(unsigned seed) : random_(seed), end_(static_cast<End>(random_.Below(5))) {}

    eio_err *Run(eio_switch *sw) {
        EIO_TRY(pair_.Open(sw));
        EIO_TRY(Both([&] { return Keep(&Connection::Read, &reads_); },
                     [&] {
                         return Both([&] { return Keep(&Connection::Write, &writes_); },
                                     [&] {
                                         return Both([&] { return ComeToAnEnd(); },
                                                     [&] { return OtherSide(); });
                                     });
                     }));
        ReceiveAll(pair_.raw, &out_);
        if (end_ == kRemove) { // what nobody has read is still there
            ReceiveAll(fd_, &in_);
            EXPECT_EQ(in_.got, in_.sent);
        }
        if (fd_ >= 0)
            close(fd_);
        for (int i = 0; i < 3; i++) // a close may go through the ring
            EIO_TRY(eioi_sleep_until(eioi_now() + 200000));
        ReceiveAll(pair_.raw, &out_);
        EXPECT_EQ(out_.got, out_.sent) << "what was said to be written";
        return nullptr;
    }

  private:
    enum End { kRemove, kRemoveAndClose, kRemoveAndFree, kClose, kFree };

    eio_err *Read() {
        if (random_.OneIn(2)) {
            eio_slice lent;
            EIO_TRY(eio_source_lend(&pair_.flow->source, &lent));
            const size_t used = random_.OneIn(3) ? random_.Below(lent.len + 1) : lent.len;
            in_.Got(lent.base, used);
            eio_source_release(&pair_.flow->source, used);
            return nullptr;
        }
        char space[20000];
        size_t got;
        const size_t len = random_.Length(sizeof space);
        EIO_TRY(eio_source_single_read(&pair_.flow->source, eio_buf_of(space, len), &got));
        in_.Got(space, got);
        return nullptr;
    }

    eio_err *Write() {
        const std::string text = out_.Next(random_.Length(300000));
        const size_t cut = random_.OneIn(4) ? text.size() / 2 : 0; // in two pieces
        const eio_slice slices[] = {eio_slice_of(text.data(), cut),
                                    eio_slice_of(text.data() + cut, text.size() - cut)};
        size_t wrote = 0;
        EIO_TRY(eio_sink_single_write(&pair_.flow->sink, slices, 2, &wrote));
        out_.sent += wrote;
        return nullptr;
    }

    /// `op` again and again, until the flow is closed or gone; then `*goes_on` is false.
    eio_err *Keep(eio_err *(Connection::*op)(), bool *goes_on) {
        while (!freed_ && !SaysClosed(random_.MaybeCancelled([&] { return (this->*op)(); })))
            if (random_.OneIn(4))
                EIO_TRY(random_.Pause());
        *goes_on = false;
        return nullptr;
    }

    eio_err *OtherSide() {
        while (reads_ || writes_) {
            if (!random_.OneIn(3))
                SendSome(&random_, pair_.raw, &in_, 40000);
            if (random_.OneIn(3))
                ReceiveAll(pair_.raw, &out_);
            else
                ReceiveSome(&random_, pair_.raw, &out_);
            EIO_TRY(random_.Pause());
        }
        return nullptr;
    }

    void CloseOrFree() {
        freed_ = end_ == kFree || end_ == kRemoveAndFree;
        if (freed_)
            eio_flow_free(pair_.flow);
        else
            eio_flow_close(pair_.flow);
    }

    eio_err *ComeToAnEnd() {
        for (size_t steps = random_.Below(60); steps > 0; steps--) {
            EIO_TRY(random_.Pause());
            if (random_.OneIn(30))
                EIO_TRY(UseNumber(pair_.flow));
        }
        if (end_ == kClose || end_ == kFree) {
            CloseOrFree();
            return nullptr;
        }
        return Both([&] { return eio_fd_remove(eio_fd_of_flow(pair_.flow), &fd_); },
                    [&]() -> eio_err * {
                        if (end_ == kRemove)
                            return nullptr;
                        EIO_TRY(random_.Pauses(5));
                        CloseOrFree();
                        return nullptr;
                    });
    }

    Random random_;
    const End end_;
    HalfRaw pair_;
    Bytes in_, out_; // that the flow reads, and writes
    int fd_ = -1;    // taken out
    bool freed_ = false, reads_ = true, writes_ = true;
};

/// A copy from one connection to another, or back to where it came from, until it is ended.
class Copy {
  public:
    explicit Copy(unsigned seed)
        : random_(seed), echoes_(random_.OneIn(3)), removes_(random_.OneIn(2)) {}

    eio_err *Run(eio_switch *sw) {
        EIO_TRY(from_.Open(sw));
        EIO_TRY(other_.Open(sw));
        HalfRaw *to = echoes_ ? &from_ : &other_;
        const bool closed = SaysClosed(CancelSub([&](eio_cancel *cc) {
            return Both(
                [&] {
                    eio_err *err = eio_flow_copy(&from_.flow->source, &to->flow->sink);
                    copies_ = false;
                    return err;
                },
                [&] {
                    return Protect([&] {
                        return Both([&] { return OtherSide(to); },
                                    [&] { return ComeToAnEnd(cc, to); });
                    });
                });
        }));
        EXPECT_TRUE(removes_ || !closed);
        ReceiveAll(to->raw, &bytes_);
        return ReadTheRest();
    }

  private:
    static constexpr size_t kUnderway = 8000;

    eio_err *OtherSide(HalfRaw *to) {
        while (copies_) {
            // Never so much that it splices: what is in a pipe then, goes with a cancel (flow.h).
            if (random_.OneIn(2) && bytes_.sent - bytes_.got < kUnderway)
                SendSome(&random_, from_.raw, &bytes_, kUnderway);
            if (random_.OneIn(3))
                ReceiveAll(to->raw, &bytes_);
            else
                ReceiveSome(&random_, to->raw, &bytes_);
            EIO_TRY(random_.Pause());
        }
        return nullptr;
    }

    eio_err *ComeToAnEnd(eio_cancel *cc, HalfRaw *to) {
        for (size_t steps = random_.Below(80); steps > 0; steps--) {
            EIO_TRY(random_.Pause());
            if (random_.OneIn(40))
                EIO_TRY(UseNumber(random_.OneIn(2) ? from_.flow : to->flow));
        }
        if (removes_) // then the copy says that it is closed, if it gets so far
            EIO_TRY(eio_fd_remove(eio_fd_of_flow(from_.flow), &fd_));
        eio_cancel_cancel(cc, eio_err_failure("at random"));
        return nullptr;
    }

    /// What wasn't copied: the flow has it, or, when that is closed, the descriptor.
    eio_err *ReadTheRest() {
        bool closed = false;
        while (!closed && bytes_.got < bytes_.sent) {
            char space[5000];
            size_t got = 0;
            eio_err *err =
                eio_source_single_read(&from_.flow->source, eio_buf_of(space, sizeof space), &got);
            bytes_.Got(space, got);
            closed = SaysClosed(err);
        }
        EXPECT_TRUE(removes_ || !closed);
        if (fd_ >= 0) {
            ReceiveAll(fd_, &bytes_);
            close(fd_);
        }
        EXPECT_EQ(bytes_.got, bytes_.sent);
        return nullptr;
    }

    Random random_;
    const bool echoes_, removes_;
    HalfRaw from_, other_;
    Bytes bytes_;
    int fd_ = -1;
    bool copies_ = true;
};

/// Errors that are no answers, now and then, of whatever goes through the ring.
class NoAnswers {
  public:
    /// None; few; many.
    explicit NoAnswers(unsigned seed)
        : random_(seed), rate_(seed % 3 == 0   ? 0
                               : seed % 3 == 1 ? 30
                                               : 8),
          faults_([this](const std::string &name) { return Decide(name); }) {}

  private:
    int Decide(const std::string &name) {
        static const std::map<std::string, std::vector<int>> errnums = {
            {"cqe_read", {EINTR, EAGAIN, ECANCELED}},
            {"cqe_write", {EINTR, EAGAIN, ECANCELED}},
            {"cqe_poll", {EINTR, EAGAIN, ECANCELED}},
            {"cqe_recv", {EINTR, EAGAIN, ECANCELED, ENOBUFS}},
            {"cqe_cancel", {ENOENT, EALREADY}},
            {"cqe_wake", {EINTR}},
        };
        auto it = errnums.find(name);
        if (it == errnums.end() || rate_ == 0 || !random_.OneIn(rate_))
            return 0;
        return it->second[random_.Below(it->second.size())];
    }

    Random random_;
    const size_t rate_;
    Faults faults_;
};

/// Each seed in a loop of its own, some with a ring so small that operations wait for an entry.
template <class Subject> void ForEachSeed() {
    constexpr unsigned kSeeds = 150;
    const char *one = getenv("EIO_RANDOM_SEED");
    const unsigned first = one != nullptr ? static_cast<unsigned>(atoi(one)) : 0;
    const unsigned end = one != nullptr ? first + 1 : kSeeds;
    for (unsigned seed = first; seed < end && !::testing::Test::HasFailure(); seed++) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        NoAnswers no_answers(seed);
        EXPECT_OK(EvalUring([seed](eio_switch *sw) { return Subject(seed).Run(sw); },
                            seed % 4 == 0 ? 8 : 256));
    }
}

} // namespace

class RandomTest : public EioTest {};

TEST_F(RandomTest, AConnectionLosesNothing) {
    ForEachSeed<Connection>();
}

TEST_F(RandomTest, ACopyLosesNothing) {
    ForEachSeed<Copy>();
}
