// SPDX-License-Identifier: ISC
#include "tests/conformance/op.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "eio/await_fd.h"
#include "eio/condition.h"
#include "eio/domain.h"
#include "eio/fd.h"
#include "eio/mock/pair.h"
#include "eio/mutex.h"
#include "eio/net.h"
#include "eio/semaphore.h"
#include "eio/signal.h"
#include "eio/stream.h"
#include "tests/conformance/sockets.h"

namespace eio_test {

namespace {

// --- Streams -------------------------------------------------------------------------------------

enum class StreamKind { kMock, kUnix, kTcp, kPipe };

/// Two connected flows. For pipes, `a` reads what `b` writes.
eio_err *MakePair(StreamKind kind, eio_switch *sw, const eio_env *env, eio_stream_socket **a,
                  eio_stream_socket **b) {
    switch (kind) {
    case StreamKind::kMock: return eio_mock_flow_pair(sw, 64, a, b);
    case StreamKind::kUnix: return eio_socketpair_stream(sw, a, b);
    case StreamKind::kTcp: return TcpPair(sw, env, a, b);
    case StreamKind::kPipe: {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, a));
        return eio_import_stream(sw, fds[1], nullptr, b);
    }
    }
    return nullptr;
}

/// Reads one byte, by one of the calls that read.
class ReadOp : public Op {
  public:
    enum Call { kSingleRead, kReadExact, kLend };
    ReadOp(StreamKind kind, Call call) : kind_(kind), call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        return MakePair(kind_, sw, env, &a_, &b_);
    }
    eio_err *Run() override {
        uint8_t byte;
        size_t got = 1;
        eio_slice lent;
        eio_source *source = &a_->flow.source;
        switch (call_) {
        case kSingleRead: return eio_source_single_read(source, eio_buf_of(&byte, 1), &got);
        case kReadExact: return eio_source_read_exact(source, eio_buf_of(&byte, 1));
        case kLend:
            EIO_TRY(eio_source_lend(source, &lent));
            eio_source_release(source, 1);
            return nullptr;
        }
        return nullptr;
    }
    void Complete() override {
        if (kind_ == StreamKind::kMock) {
            // Protected: a fiber that is cancelled writes nothing.
            EXPECT_OK(Protect([&] { return eio_flow_copy_string("x", &b_->flow.sink); }));
        } else {
            EXPECT_EQ(WriteRaw(eio_fd_of_flow(&b_->flow), "x"), 1);
        }
    }
    bool CanClose() const override { return true; }
    void Close() override { eio_flow_close(&a_->flow); }
    const char *Name() const override { return "readv"; }
    // The library's own lending buffer, and the mock's memory, give what they hold without a turn.
    bool InMemory() const override { return call_ == kLend || kind_ == StreamKind::kMock; }

  private:
    StreamKind kind_;
    Call call_;
    eio_stream_socket *a_ = nullptr, *b_ = nullptr;
};

/// Writes one byte to a full flow.
class WriteOp : public Op {
  public:
    explicit WriteOp(StreamKind kind) : kind_(kind) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        EIO_TRY(MakePair(kind_, sw, env, &a_, &b_));
        if (kind_ == StreamKind::kMock) {
            const std::string filler(64, '.');
            return eio_flow_copy_string(filler.c_str(), &b_->flow.sink);
        }
        return FillRaw(env, eio_fd_of_flow(&b_->flow));
    }
    eio_err *Run() override {
        static const eio_slice slices[2] = {eio_slice_of("", 0), eio_slice_of("x", 1)};
        size_t wrote;
        return eio_sink_single_write(&b_->flow.sink, slices + 1, 1, &wrote);
    }
    void Complete() override {
        if (kind_ == StreamKind::kMock) {
            uint8_t byte;
            EXPECT_OK(Protect(
                [&] { return eio_source_read_exact(&a_->flow.source, eio_buf_of(&byte, 1)); }));
        } else {
            DrainRaw(eio_fd_of_flow(&a_->flow));
        }
    }
    bool Counts() const override { return false; } // a drained pipe takes more than one
    bool CanClose() const override { return true; }
    void Close() override { eio_flow_close(&b_->flow); }
    const char *Name() const override { return "writev"; }
    bool InMemory() const override { return kind_ == StreamKind::kMock; }

  private:
    StreamKind kind_;
    eio_stream_socket *a_ = nullptr, *b_ = nullptr;
};

// --- Connections ---------------------------------------------------------------------------------

class AcceptOp : public Op {
  public:
    explicit AcceptOp(bool tcp) : tcp_(tcp) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        sw_ = sw;
        EIO_TRY(Listen(sw, env, tcp_, 128, &listener_));
        return eio_listener_addr(listener_, &addr_);
    }
    eio_err *Run() override {
        eio_stream_socket *socket;
        EIO_TRY(eio_listener_accept(listener_, sw_, &socket, nullptr));
        eio_flow_free(&socket->flow);
        return nullptr;
    }
    void Complete() override {
        const int fd = ConnectRaw(addr_);
        EXPECT_GE(fd, 0);
        clients_.push_back(fd);
    }
    bool CanClose() const override { return true; }
    void Close() override { eio_listener_close(listener_); }
    const char *Name() const override { return "accept"; }
    void TearDown() override {
        for (int fd : clients_)
            close(fd);
    }

  private:
    bool tcp_;
    eio_switch *sw_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_sockaddr addr_ = {};
    std::vector<int> clients_;
};

/// Connects to a listener whose queue is full.
class ConnectOp : public Op {
  public:
    explicit ConnectOp(bool tcp) : tcp_(tcp) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        net_ = &env->net->net;
        EIO_TRY(Listen(sw, env, tcp_, 1, &listener_));
        EIO_TRY(eio_listener_addr(listener_, &addr_));
        for (;;) { // until one has to wait
            const int fd = ConnectRaw(addr_, SOCK_NONBLOCK);
            if (fd < 0)
                break;
            clients_.push_back(fd);
            if (tcp_ && clients_.size() >= 3)
                break;
        }
        return nullptr;
    }
    eio_err *Run() override {
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_stream_socket *socket;
            return eio_net_connect(net_, sw, &addr_, nullptr, &socket);
        });
    }
    void Complete() override {
        // Room for one more. The listener is blocking or not, as the backend wants it; there is
        // always one to accept.
        auto accept_one = [](void *, int fd) -> eio_err * {
            const int accepted = accept(fd, nullptr, nullptr);
            EXPECT_GE(accepted, 0) << strerror(errno);
            close(accepted);
            return nullptr;
        };
        EXPECT_OK(eio_fd_use(eio_fd_of_listener(listener_), "test", accept_one, nullptr));
    }
    bool CanComplete() const override {
        return !tcp_;
    } // TCP asks again after a second: too long for a test
    bool Counts() const override { return false; } // a cancelled one may have got into the queue
    void TearDown() override {
        for (int fd : clients_)
            close(fd);
    }

  private:
    bool tcp_;
    eio_net *net_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_sockaddr addr_ = {};
    std::vector<int> clients_;
};

// --- Datagrams -----------------------------------------------------------------------------------

class RecvOp : public Op {
  public:
    explicit RecvOp(bool udp) : udp_(udp) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        if (!udp_)
            return eio_socketpair_datagram(sw, &a_, &b_);
        const eio_sockaddr any = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
        EIO_TRY(eio_net_datagram_socket(&env->net->net, sw, &any, nullptr, &a_));
        return eio_datagram_addr(a_, &addr_);
    }
    eio_err *Run() override {
        uint8_t space[4];
        eio_datagram_info info;
        EIO_TRY(eio_datagram_recv(a_, eio_buf_of(space, sizeof space), &info));
        EXPECT_EQ(info.len, 1u);
        return nullptr;
    }
    void Complete() override {
        if (udp_)
            SendUdpRaw(addr_, "x");
        else
            EXPECT_EQ(WriteRaw(eio_fd_of_datagram(b_), "x"), 1);
    }
    bool CanClose() const override { return true; }
    void Close() override { eio_datagram_close(a_); }
    const char *Name() const override { return "recv_msg"; }

  private:
    bool udp_;
    eio_datagram_socket *a_ = nullptr, *b_ = nullptr;
    eio_sockaddr addr_ = {};
};

/// Sends a datagram to a socket whose queue is full.
class SendOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        EIO_TRY(eio_socketpair_datagram(sw, &a_, &b_));
        return FillRaw(env, eio_fd_of_datagram(b_));
    }
    eio_err *Run() override {
        const eio_slice slice = eio_slice_of("x", 1);
        return eio_datagram_send(b_, nullptr, &slice, 1);
    }
    void Complete() override { DrainRaw(eio_fd_of_datagram(a_)); }
    bool Counts() const override { return false; } // see WriteOp
    bool CanClose() const override { return true; }
    void Close() override { eio_datagram_close(b_); }
    const char *Name() const override { return "send_msg"; }

  private:
    eio_datagram_socket *a_ = nullptr, *b_ = nullptr;
};

// --- Foreign descriptors, signals ----------------------------------------------------------------

class AwaitReadableOp : public Op {
  public:
    eio_err *SetUp(eio_switch *, const eio_env *) override {
        fd_ = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE | EFD_NONBLOCK);
        return nullptr;
    }
    eio_err *Run() override {
        uint64_t count;
        EIO_TRY(eio_await_readable(fd_));
        EXPECT_EQ(read(fd_, &count, sizeof count), static_cast<ssize_t>(sizeof count));
        return nullptr;
    }
    void Complete() override {
        const uint64_t one = 1;
        EXPECT_EQ(write(fd_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    void TearDown() override { close(fd_); }

  private:
    int fd_ = -1;
};

class AwaitWritableOp : public Op {
  public:
    eio_err *SetUp(eio_switch *, const eio_env *) override {
        EXPECT_EQ(pipe2(fds_, O_CLOEXEC | O_NONBLOCK), 0);
        EXPECT_GE(fcntl(fds_[1], F_SETPIPE_SZ, 4096), 0);
        Fill();
        return nullptr;
    }
    eio_err *Run() override {
        EIO_TRY(eio_await_writable(fds_[1]));
        Fill();
        return nullptr;
    }
    void Complete() override {
        char space[4096];
        EXPECT_GE(read(fds_[0], space, sizeof space), -1);
    }
    bool Counts() const override { return false; } // two pages may be freed before one is filled
    void TearDown() override {
        close(fds_[0]);
        close(fds_[1]);
    }

  private:
    void Fill() {
        char space[4096] = {};
        while (write(fds_[1], space, sizeof space) > 0) {
        }
    }
    int fds_[2] = {-1, -1};
};

class SignalOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        static const int signum = SIGUSR1;
        return eio_signal_open(sw, &signum, 1, &signal_);
    }
    eio_err *Run() override {
        int signum;
        EIO_TRY(eio_signal_wait(signal_, &signum));
        EXPECT_EQ(signum, SIGUSR1);
        return nullptr;
    }
    void Complete() override { raise(SIGUSR1); }
    bool InMemory() const override { return true; } // one that has come already is had at once

  private:
    eio_signal *signal_ = nullptr;
};

// --- Clocks --------------------------------------------------------------------------------------

class SleepOp : public Op {
  public:
    enum Call { kMono, kMonoUntil, kWall, kWallUntil, kTimeout };
    explicit SleepOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *, const eio_env *env) override {
        env_ = env;
        return nullptr;
    }
    eio_err *Run() override {
        constexpr int64_t kLong = 3600 * EIO_SECOND;
        switch (call_) {
        case kMono: return eio_mono_clock_sleep(env_->mono_clock, kLong);
        case kMonoUntil:
            return eio_mono_clock_sleep_until(env_->mono_clock,
                                              eio_mono_clock_now(env_->mono_clock) + kLong);
        case kWall: return eio_clock_sleep(env_->clock, kLong);
        case kWallUntil:
            return eio_clock_sleep_until(env_->clock, eio_clock_now(env_->clock) + kLong);
        case kTimeout: return eio_timeout_sleep(eio_timeout_ns(env_->mono_clock, kLong));
        }
        return nullptr;
    }
    void Complete() override {}
    bool CanComplete() const override { return false; }
    bool InMemory() const override { return true; }

  private:
    Call call_;
    const eio_env *env_ = nullptr;
};

// --- Fibers --------------------------------------------------------------------------------------

class AwaitCancelOp : public Op {
  public:
    eio_err *SetUp(eio_switch *, const eio_env *) override { return nullptr; }
    eio_err *Run() override { return eio_fiber_await_cancel(); }
    void Complete() override {}
    bool CanComplete() const override { return false; }
    bool InMemory() const override { return true; }
};

class PromiseOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_promise_create(sw, &promise_, &resolver_);
    }
    eio_err *Run() override { return eio_promise_await(promise_, nullptr); }
    void Complete() override { eio_promise_try_resolve(resolver_, nullptr); }
    bool Counts() const override { return false; }
    bool InMemory() const override { return true; }

  private:
    eio_promise *promise_ = nullptr;
    eio_promise_resolver *resolver_ = nullptr;
};

class SemaphoreOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_semaphore_create(sw, 0, &semaphore_);
    }
    eio_err *Run() override { return eio_semaphore_acquire(semaphore_); }
    void Complete() override { eio_semaphore_release(semaphore_); }
    bool InMemory() const override { return true; }

  private:
    eio_semaphore *semaphore_ = nullptr;
};

class StreamTakeOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        return eio_stream_create(sw, 1000, &stream_);
    }
    eio_err *Run() override {
        void *item;
        return eio_stream_take(stream_, &item);
    }
    void Complete() override {
        EXPECT_OK(Protect([&] { return eio_stream_add(stream_, this); }));
    }
    bool InMemory() const override { return true; }

  private:
    eio_stream *stream_ = nullptr;
};

class StreamAddOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *) override {
        EIO_TRY(eio_stream_create(sw, 1, &stream_));
        return eio_stream_add(stream_, this);
    }
    eio_err *Run() override { return eio_stream_add(stream_, this); }
    void Complete() override {
        void *item;
        EXPECT_TRUE(eio_stream_take_nonblocking(stream_, &item));
    }
    bool Counts() const override { return false; } // takes what is there, whoever added it
    bool InMemory() const override { return true; }

  private:
    eio_stream *stream_ = nullptr;
};

// --- Domains -------------------------------------------------------------------------------------

/// Runs a function in a domain that waits for a promise of the first one.
class DomainOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        mgr_ = env->domain_mgr;
        return eio_semaphore_create(sw, 0, &semaphore_);
    }
    eio_err *Run() override {
        auto there = [&] { return eio_semaphore_acquire(semaphore_); };
        return eio_domain_run(mgr_, Fn<decltype(there)>::Call, &there);
    }
    void Complete() override { eio_semaphore_release(semaphore_); }

  private:
    eio_domain_mgr *mgr_ = nullptr;
    eio_semaphore *semaphore_ = nullptr;
};

template <class T, class... Args> std::function<std::unique_ptr<Op>()> Make(Args... args) {
    return [args...] { return std::make_unique<T>(args...); };
}

} // namespace

std::vector<OpRow> OpRows() {
    struct Kind {
        const char *name;
        bool real, mock;
        std::function<std::unique_ptr<Op>()> make;
    };
    const Kind kinds[] = {
        {"read_mock", false, true, Make<ReadOp>(StreamKind::kMock, ReadOp::kSingleRead)},
        {"read_exact_mock", false, true, Make<ReadOp>(StreamKind::kMock, ReadOp::kReadExact)},
        {"lend_mock", false, true, Make<ReadOp>(StreamKind::kMock, ReadOp::kLend)},
        {"write_mock", false, true, Make<WriteOp>(StreamKind::kMock)},
        {"read_unix", true, false, Make<ReadOp>(StreamKind::kUnix, ReadOp::kSingleRead)},
        {"read_tcp", true, false, Make<ReadOp>(StreamKind::kTcp, ReadOp::kSingleRead)},
        {"read_pipe", true, false, Make<ReadOp>(StreamKind::kPipe, ReadOp::kSingleRead)},
        {"read_exact_tcp", true, false, Make<ReadOp>(StreamKind::kTcp, ReadOp::kReadExact)},
        {"lend_unix", true, false, Make<ReadOp>(StreamKind::kUnix, ReadOp::kLend)},
        {"lend_tcp", true, false, Make<ReadOp>(StreamKind::kTcp, ReadOp::kLend)},
        {"lend_pipe", true, false, Make<ReadOp>(StreamKind::kPipe, ReadOp::kLend)},
        {"write_unix", true, false, Make<WriteOp>(StreamKind::kUnix)},
        {"write_tcp", true, false, Make<WriteOp>(StreamKind::kTcp)},
        {"write_pipe", true, false, Make<WriteOp>(StreamKind::kPipe)},
        {"accept_unix", true, false, Make<AcceptOp>(false)},
        {"accept_tcp", true, false, Make<AcceptOp>(true)},
        {"connect_unix", true, false, Make<ConnectOp>(false)},
        {"connect_tcp", true, false, Make<ConnectOp>(true)},
        {"recv_unix", true, false, Make<RecvOp>(false)},
        {"recv_udp", true, false, Make<RecvOp>(true)},
        {"send_unix", true, false, Make<SendOp>()},
        {"await_readable", true, false, Make<AwaitReadableOp>()},
        {"await_writable", true, false, Make<AwaitWritableOp>()},
        {"signal_wait", true, false, Make<SignalOp>()},
        {"mono_sleep", true, true, Make<SleepOp>(SleepOp::kMono)},
        {"mono_sleep_until", true, true, Make<SleepOp>(SleepOp::kMonoUntil)},
        {"wall_sleep", true, true, Make<SleepOp>(SleepOp::kWall)},
        {"wall_sleep_until", true, true, Make<SleepOp>(SleepOp::kWallUntil)},
        {"timeout_sleep", true, true, Make<SleepOp>(SleepOp::kTimeout)},
        {"await_cancel", true, true, Make<AwaitCancelOp>()},
        {"promise_await", true, true, Make<PromiseOp>()},
        {"semaphore_acquire", true, true, Make<SemaphoreOp>()},
        {"stream_take", true, true, Make<StreamTakeOp>()},
        {"stream_add", true, true, Make<StreamAddOp>()},
        {"domain_run", true, true, Make<DomainOp>()},
    };
    std::vector<OpRow> rows;
    for (const Kind &kind : kinds) {
        if (kind.mock)
            rows.push_back({kind.name, "mock", kind.make});
        if (kind.real) {
            rows.push_back({kind.name, "uring", kind.make});
            rows.push_back({kind.name, "epoll", kind.make});
        }
    }
    return rows;
}

} // namespace eio_test
