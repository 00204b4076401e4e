// SPDX-License-Identifier: ISC
// Rows: connections, datagrams, servers, names, descriptors of others, signals.

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "eio/await_fd.h"
#include "eio/connect_any.h"
#include "eio/fd.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "eio/resolver.h"
#include "eio/server.h"
#include "eio/signal.h"
#include "eio/unix_net.h"
#include "tests/conformance/op_rows.h"
#include "tests/conformance/sockets.h"

namespace eio_test {

namespace {

// --- Connections ---------------------------------------------------------------------------------

class AcceptOp : public Op {
  public:
    explicit AcceptOp(bool tcp, bool fork = false) : tcp_(tcp), fork_(fork) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        sw_ = sw;
        EIO_TRY(Listen(sw, env, tcp_, 128, &listener_));
        return eio_listener_addr(listener_, &addr_);
    }
    eio_err *Run() override {
        auto nothing = [](void *, eio_flow *, const eio_sockaddr *) -> eio_err * {
            return nullptr;
        };
        if (fork_)
            return eio_net_accept_fork(listener_, sw_, nothing, nullptr, eio_on_error_fail,
                                       nullptr);
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
    const eio_err_kind *FailsWith() const override {
        return tcp_ ? &eio_err_x
                    : nullptr; // EINVAL; a Unix socket's accept(2) may say EAGAIN for ever
    }
    void Fail() override {
        EXPECT_EQ(shutdown(NumberOf(eio_fd_of_listener(listener_)), SHUT_RD), 0);
    }
    void TearDown() override {
        for (int fd : clients_)
            close(fd);
    }

  private:
    bool tcp_, fork_;
    eio_switch *sw_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_sockaddr addr_ = {};
    std::vector<int> clients_;
};

/// Connects to a listener whose queue is full.
class ConnectOp : public Op {
  public:
    explicit ConnectOp(bool tcp, bool by_name = false) : tcp_(tcp), by_name_(by_name) {}
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
        if (by_name_) {
            auto nothing = [](void *, eio_flow *) -> eio_err * { return nullptr; };
            return eio_net_with_tcp_connect(net_, "127.0.0.1", std::to_string(addr_.port).c_str(),
                                            nullptr, nothing, nullptr);
        }
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
    const eio_err_kind *FailsWith() const override { return &eio_err_net_refused; }
    void Fail() override { eio_listener_close(listener_); } // TCP hears of it when it asks again
    void TearDown() override {
        for (int fd : clients_)
            close(fd);
    }

  private:
    bool tcp_, by_name_;
    eio_net *net_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_sockaddr addr_ = {};
    std::vector<int> clients_;
};

/// Runs a server until it's told to stop.
class RunServerOp : public Op {
  public:
    explicit RunServerOp(int additional_domains) : additional_domains_(additional_domains) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        env_ = env;
        EIO_TRY(Listen(sw, env, true, 128, &listener_));
        return eio_promise_create(sw, &stop_, &set_stop_);
    }
    eio_err *Run() override {
        eio_server_opts opts = {};
        opts.stop = stop_;
        opts.additional_domains = additional_domains_;
        opts.domain_mgr = env_->domain_mgr;
        auto nothing = [](void *, eio_flow *, const eio_sockaddr *) -> eio_err * {
            return nullptr;
        };
        return eio_net_run_server(listener_, nothing, nullptr, eio_on_error_fail, nullptr, &opts);
    }
    void Complete() override { eio_promise_try_resolve(set_stop_, nullptr); }
    bool Counts() const override { return false; }  // once stopped, it stays so
    bool InMemory() const override { return true; } // the stop is looked at first
    const eio_err_kind *FailsWith() const override { return &eio_err_failure_kind; }
    void Fail() override { eio_promise_try_resolve_error(set_stop_, eio_err_failure("x")); }

  private:
    int additional_domains_;
    const eio_env *env_ = nullptr;
    eio_listener *listener_ = nullptr;
    eio_promise *stop_ = nullptr;
    eio_promise_resolver *set_stop_ = nullptr;
};

// --- Datagrams -----------------------------------------------------------------------------------

/// Receives from the one peer that the socket has.
class RecvConnectedOp : public Op {
  public:
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        const eio_sockaddr any = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
        eio_sockaddr peer;
        EIO_TRY(eio_net_datagram_socket(&env->net->net, sw, &any, nullptr, &peer_));
        EIO_TRY(eio_datagram_addr(peer_, &peer));
        eio_datagram_opts opts = {};
        opts.connect_to = &peer;
        EIO_TRY(eio_net_datagram_socket_unbound(&env->net->net, sw, EIO_UDP_V4, &opts, &socket_));
        eio_sockaddr addr;
        EIO_TRY(eio_datagram_addr(socket_, &addr));
        EXPECT_EQ(ConnectUdpRaw(NumberOf(eio_fd_of_datagram(peer_)), addr), 0);
        return nullptr;
    }
    eio_err *Run() override {
        uint8_t space[4];
        eio_datagram_info info;
        return eio_datagram_recv(socket_, eio_buf_of(space, sizeof space), &info);
    }
    void Complete() override { EXPECT_EQ(WriteRaw(eio_fd_of_datagram(peer_), "x"), 1); }
    bool CanClose() const override { return true; }
    void Close() override { eio_datagram_close(socket_); }
    const char *Name() const override { return "recv_msg"; }
    const eio_err_kind *FailsWith() const override { return &eio_err_net_refused; }
    void Fail() override { // what is sent to a closed port comes back as an error
        eio_datagram_close(peer_);
        EXPECT_EQ(WriteRaw(eio_fd_of_datagram(socket_), "x"), 1);
    }

  private:
    eio_datagram_socket *peer_ = nullptr, *socket_ = nullptr;
};

class RecvOp : public Op {
  public:
    explicit RecvOp(bool udp, bool many = false) : udp_(udp), many_(many) {}
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
        if (many_)
            return RunMany();
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
    eio_err *RunMany() {
        uint8_t space[4];
        eio_datagram_in item = {eio_buf_of(space, sizeof space), {}}; // more would take more
        size_t n = 0;
        EIO_TRY(eio_datagram_recv_many(a_, &item, 1, &n));
        EXPECT_EQ(n, 1u);
        EXPECT_EQ(item.info.len, 1u);
        return nullptr;
    }

    bool udp_, many_;
    eio_datagram_socket *a_ = nullptr, *b_ = nullptr;
    eio_sockaddr addr_ = {};
};

/// Sends a datagram to a socket whose queue is full.
class SendOp : public Op {
  public:
    explicit SendOp(bool many) : many_(many) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        EIO_TRY(eio_socketpair_datagram(sw, &a_, &b_));
        return FillRaw(env, eio_fd_of_datagram(b_));
    }
    eio_err *Run() override {
        const eio_slice slice = eio_slice_of("x", 1);
        const eio_datagram_out item = {nullptr, &slice, 1};
        size_t n;
        return many_ ? eio_datagram_send_many(b_, &item, 1, &n)
                     : eio_datagram_send(b_, nullptr, &slice, 1);
    }
    void Complete() override { DrainRaw(eio_fd_of_datagram(a_)); }
    bool Counts() const override { return false; } // see WriteOp
    bool CanClose() const override { return true; }
    void Close() override { eio_datagram_close(b_); }
    const char *Name() const override { return "send_msg"; }
    const eio_err_kind *FailsWith() const override { return &eio_err_net_refused; }
    void Fail() override { eio_datagram_close(a_); }

  private:
    bool many_;
    eio_datagram_socket *a_ = nullptr, *b_ = nullptr;
};

// --- Names ---------------------------------------------------------------------------------------

/// Asks a name server that says nothing.
class LookupOp : public Op {
  public:
    enum Call { kAll, kStream, kDatagram, kNameOf };
    explicit LookupOp(Call call) : call_(call) {}
    eio_err *SetUp(eio_switch *sw, const eio_env *env) override {
        eio_sockaddr server = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
        EIO_TRY(eio_net_datagram_socket(&env->net->net, sw, &server, nullptr, &server_));
        EIO_TRY(eio_datagram_addr(server_, &server));
        eio_resolver_opts opts = {};
        opts.servers = &server;
        opts.server_count = 1;
        opts.resolv_conf_path = opts.hosts_path = opts.services_path = "/dev/null";
        opts.no_search = true;
        opts.timeout_ns = 60 * EIO_SECOND;
        opts.tries = 1;
        eio_resolver *resolver;
        EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
        eio_unix_net_init(&net_, &resolver->lookup);
        return nullptr;
    }
    eio_err *Run() override {
        if (call_ == kNameOf) {
            const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4(192, 0, 2, 1), 80);
            eio_nameinfo info;
            return eio_net_getnameinfo(&net_.net, &addr, &info);
        }
        return SwitchRun([&](eio_switch *sw) {
            eio_sockaddr_list addrs;
            auto *lookup = call_ == kAll      ? eio_net_getaddrinfo
                           : call_ == kStream ? eio_net_getaddrinfo_stream
                                              : eio_net_getaddrinfo_datagram;
            return lookup(&net_.net, sw, "silent.test", "80", &addrs);
        });
    }
    void Complete() override {}
    bool CanComplete() const override { return false; }
    bool InMemory() const override { return true; } // the lookup's daemon does the calls
    const eio_err_kind *FailsWith() const override { return &eio_err_net_address_lookup_failed; }
    void Fail() override { // what was asked so far is answered: REFUSED
        const int fd = NumberOf(eio_fd_of_datagram(server_));
        char query[512];
        sockaddr_in from;
        for (;;) {
            socklen_t from_len = sizeof from;
            const ssize_t len = recvfrom(fd, query, sizeof query, MSG_DONTWAIT,
                                         reinterpret_cast<sockaddr *>(&from), &from_len);
            if (len < 12)
                break;
            query[2] = static_cast<char>(query[2] | 0x80);
            query[3] = 5;
            EXPECT_EQ(sendto(fd, query, static_cast<size_t>(len), 0,
                             reinterpret_cast<sockaddr *>(&from), from_len),
                      len);
        }
    }
    bool FailsAtOnce() const override { return false; } // there is nothing yet to be answered

  private:
    eio_datagram_socket *server_ = nullptr;
    Call call_;
    eio_unix_net net_ = {};
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

} // namespace

std::vector<OpKind> NetRows() {
    return {
        {"accept_unix", kReal, Make<AcceptOp>(false)},
        {"accept_tcp", kReal, Make<AcceptOp>(true)},
        {"accept_fork_unix", kReal, Make<AcceptOp>(false, true)},
        {"accept_fork_tcp", kReal, Make<AcceptOp>(true, true)},
        {"connect_unix", kReal, Make<ConnectOp>(false)},
        {"connect_tcp", kReal, Make<ConnectOp>(true)},
        {"with_tcp_connect", kReal, Make<ConnectOp>(true, true)},
        {"run_server", kReal, Make<RunServerOp>(0)},
        {"run_server_2_domains", kReal, Make<RunServerOp>(1)},
        {"recv_unix", kReal, Make<RecvOp>(false)},
        {"recv_udp", kReal, Make<RecvOp>(true)},
        {"recv_many_unix", kReal, Make<RecvOp>(false, true)},
        {"recv_many_udp", kReal, Make<RecvOp>(true, true)},
        {"recv_udp_connected", kReal, Make<RecvConnectedOp>()},
        {"send_unix", kReal, Make<SendOp>(false)},
        {"send_many_unix", kReal, Make<SendOp>(true)},
        {"getaddrinfo", kReal, Make<LookupOp>(LookupOp::kAll)},
        {"getaddrinfo_stream", kReal, Make<LookupOp>(LookupOp::kStream)},
        {"getaddrinfo_datagram", kReal, Make<LookupOp>(LookupOp::kDatagram)},
        {"getnameinfo", kReal, Make<LookupOp>(LookupOp::kNameOf)},
        {"await_readable", kReal, Make<AwaitReadableOp>()},
        {"await_writable", kReal, Make<AwaitWritableOp>()},
        {"signal_wait", kReal, Make<SignalOp>()},
    };
}

} // namespace eio_test
