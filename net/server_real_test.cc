// SPDX-License-Identifier: ISC

// Servers and clients on real sockets and real threads.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <vector>

#include "eio/connect_any.h"
#include "eio/fd.h"
#include "eio/net_pi.h"
#include "eio/server.h"
#include "tests/support/real_run.h"

using namespace eio_test;

namespace {

const eio_sockaddr kAnyPort = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);

template <class F> eio_err *DomainRun(const eio_env *env, F &&f) {
    return eio_domain_run(env->domain_mgr, Fn<F>::Call, Fn<F>::Arg(f));
}
template <class F> eio_err *CallHandler(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    return (*static_cast<F *>(arg))(flow, peer);
}
template <class F> eio_err *CallOnError(void *arg, eio_err *err) {
    return (*static_cast<F *>(arg))(err);
}

/// Runs a server with `handler(flow, peer)`.
template <class F>
eio_err *RunServer(eio_listener *listener, F &handler, const eio_server_opts &opts) {
    return eio_net_run_server(listener, CallHandler<F>, &handler, eio_on_error_fail, nullptr,
                              &opts);
}

eio_err *Read(eio_flow *flow, std::string *out) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err *err = eio_source_read_all(&flow->source, 100000, &sb);
    if (err == nullptr)
        *out = eio_strbuf_str(&sb);
    eio_strbuf_free(&sb);
    return err;
}

/// The port that a socket is bound to.
uint16_t PortOf(eio_stream_socket *socket) {
    sockaddr_in addr = {};
    auto look = [](void *arg, int fd) -> eio_err * {
        socklen_t len = sizeof(sockaddr_in);
        EXPECT_EQ(getsockname(fd, static_cast<sockaddr *>(arg), &len), 0);
        return nullptr;
    };
    EXPECT_OK(eio_fd_use(eio_fd_of_flow(&socket->flow), "getsockname", look, &addr));
    return ntohs(addr.sin_port);
}

/// Sends `text`, then End_of_file, and reads the answer.
eio_err *Ask(eio_net *net, const eio_sockaddr &addr, const std::string &text, std::string *out,
             uint16_t *out_port = nullptr) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *conn;
        EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &conn));
        if (out_port != nullptr)
            *out_port = PortOf(conn);
        EIO_TRY(eio_flow_copy_string(text.c_str(), &conn->flow.sink));
        EIO_TRY(eio_flow_shutdown(&conn->flow, EIO_SHUTDOWN_SEND));
        return Read(&conn->flow, out);
    });
}

class ServerRealTest : public RealTest {
  protected:
    /// Listens on a free port of loopback.
    eio_err *Listen(eio_switch *sw, const eio_env *env, bool reuse_port = false) {
        eio_listen_opts opts = {};
        opts.backlog = 512;
        opts.reuse_port = reuse_port;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &kAnyPort, &opts, &listener_));
        EIO_TRY(eio_promise_create(sw, &stop_, &set_stop_));
        return eio_listener_addr(listener_, &addr_);
    }

    eio_listener *listener_ = nullptr;
    eio_sockaddr addr_ = {};
    eio_promise *stop_ = nullptr;
    eio_promise_resolver *set_stop_ = nullptr;
};
EIO_ON_REAL_BACKENDS(ServerRealTest);

TEST_P(ServerRealTest, AStopUnderLoadDropsNothingThatWasAccepted) {
    constexpr int kClients = 200;
    std::vector<std::atomic<bool>> accepted(65536), answered(65536); // by the client's port
    std::atomic<int> handled{0};
    RunReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Listen(sw, env));
        auto handler = [&](eio_flow *flow, const eio_sockaddr *peer) -> eio_err * {
            accepted[peer->port] = true;
            std::string id;
            EIO_TRY(Read(flow, &id));
            if (++handled == kClients / 2)
                eio_promise_resolve(set_stop_, nullptr);
            for (int i = 0; i < 3; i++)
                EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
            return eio_flow_copy_string(("hello " + id).c_str(), &flow->sink);
        };
        auto clients = [&] {
            return ForEach(kClients, 0, [&](size_t i) -> eio_err * {
                std::string answer;
                uint16_t port = 0;
                // Those that nobody had accepted when the server stopped are refused or reset.
                eio_err *err = Ask(&env->net->net, addr_, std::to_string(i), &answer, &port);
                if (err == nullptr && answer == "hello " + std::to_string(i))
                    answered[port] = true;
                eio_err_drop(err);
                return nullptr;
            });
        };
        auto serve = [&]() -> eio_err * {
            eio_server_opts opts = {};
            opts.max_connections = 20;
            opts.domain_mgr = env->domain_mgr;
            opts.additional_domains = 1;
            opts.stop = stop_;
            opts.clock = env->mono_clock;
            EIO_TRY(RunServer(listener_, handler, opts));
            eio_listener_close(listener_);
            return nullptr;
        };
        return Both(serve, [&] { return DomainRun(env, clients); });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
    int count = 0;
    for (size_t port = 0; port < accepted.size(); port++) {
        count += accepted[port];
        EXPECT_EQ(accepted[port], answered[port]) << "the client at " << port;
    }
    EXPECT_GE(count, kClients / 2);
    EXPECT_EQ(handled, count);
}

TEST_P(ServerRealTest, TheLimitHoldsForAllDomainsTogether) {
    constexpr int kClients = 60, kLimit = 3;
    std::atomic<int> inside{0}, most{0}, handled{0};
    RunReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Listen(sw, env));
        auto handler = [&](eio_flow *flow, const eio_sockaddr *) -> eio_err * {
            int now = ++inside;
            for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
            }
            EIO_TRY(eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND));
            inside--;
            if (++handled == kClients)
                eio_promise_resolve(set_stop_, nullptr);
            return eio_flow_copy_string("x", &flow->sink);
        };
        eio_server_opts opts = {};
        opts.max_connections = kLimit;
        opts.domain_mgr = env->domain_mgr;
        opts.additional_domains = 2;
        opts.stop = stop_;
        return Both([&] { return RunServer(listener_, handler, opts); },
                    [&] {
                        return ForEach(kClients, 0, [&](size_t) -> eio_err * {
                            std::string answer;
                            EIO_TRY(Ask(&env->net->net, addr_, "", &answer));
                            EXPECT_EQ(answer, "x");
                            return nullptr;
                        });
                    });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
    EXPECT_EQ(handled, kClients);
    EXPECT_LE(most, kLimit);
}

TEST_P(ServerRealTest, ShardsShareAPort) {
    constexpr int kClients = 60;
    std::atomic<int> handled{0};
    RunReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Listen(sw, env, /* reuse_port= */ true));
        auto handler = [&](eio_flow *flow, const eio_sockaddr *) -> eio_err * {
            handled++;
            return eio_flow_copy_string("x", &flow->sink);
        };
        eio_server_opts opts = {};
        opts.domain_mgr = env->domain_mgr;
        opts.additional_domains = 1;
        opts.shard_net = &env->net->net;
        opts.stop = stop_;
        return Both([&] { return RunServer(listener_, handler, opts); },
                    [&]() -> eio_err * {
                        EIO_TRY(ForEach(kClients, 0, [&](size_t) -> eio_err * {
                            std::string answer;
                            EIO_TRY(Ask(&env->net->net, addr_, "", &answer));
                            EXPECT_EQ(answer, "x");
                            return nullptr;
                        }));
                        eio_promise_resolve(set_stop_, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
    EXPECT_EQ(handled, kClients);
}

TEST_P(ServerRealTest, AServerSurvivesRunningOutOfDescriptors) {
    std::vector<int> hogs;
    auto free_hogs = [&] {
        for (int fd : hogs)
            close(fd);
        hogs.clear();
    };
    int reports = 0;
    RunReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        EIO_TRY(Listen(sw, env));
        auto handler = [&](eio_flow *flow, const eio_sockaddr *) -> eio_err * {
            eio_promise_resolve(set_stop_, nullptr);
            return eio_flow_copy_string("x", &flow->sink);
        };
        auto on_error = [&](eio_err *err) -> eio_err * {
            EXPECT_EQ(eio_err_errno(err), EMFILE);
            eio_err_drop(err);
            if (++reports == 3)
                free_hogs();
            return nullptr;
        };
        eio_server_opts opts = {};
        opts.max_connections = 1;
        opts.stop = stop_;
        opts.clock = env->mono_clock;
        // The client connects before the descriptors run out, the server accepts after that.
        eio_stream_socket *conn;
        EIO_TRY(eio_net_connect(&env->net->net, sw, &addr_, nullptr, &conn));
        struct rlimit old;
        EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &old), 0);
        struct rlimit low = old;
        low.rlim_cur = 200;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
        for (int fd; (fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0)) >= 0;)
            hogs.push_back(fd);
        using OnError = decltype(on_error);
        eio_err *err = eio_net_run_server(listener_, CallHandler<decltype(handler)>, &handler,
                                          CallOnError<OnError>, &on_error, &opts);
        free_hogs();
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &old), 0);
        EIO_TRY(err);
        std::string answer;
        EIO_TRY(Read(&conn->flow, &answer));
        EXPECT_EQ(answer, "x");
        return nullptr;
    });
    EXPECT_TRACE(R"(
        - : unit = ()
    )");
    EXPECT_EQ(reports, 3);
}

// --- Happy Eyeballs ------------------------------------------------------------------------------

/// A real network with names of its own.
struct Names {
    eio_net net = {};
    eio_net *real = nullptr;
    std::vector<eio_sockaddr> addrs;
};

eio_err *ConnectReally(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                       const eio_connect_opts *opts, eio_stream_socket **out) {
    eio_net *real = reinterpret_cast<Names *>(net)->real;
    return real->ops->connect(real, sw, addr, opts, out);
}
eio_err *AnswerAll(eio_net *net, eio_switch *sw, const char *, const char *,
                   eio_sockaddr_list *out) {
    const std::vector<eio_sockaddr> &addrs = reinterpret_cast<Names *>(net)->addrs;
    void *items;
    EIO_TRY(eio_switch_alloc(sw, addrs.size() * sizeof(eio_sockaddr), &items));
    out->items = static_cast<eio_sockaddr *>(items);
    out->count = addrs.size();
    std::copy(addrs.begin(), addrs.end(), out->items);
    return nullptr;
}

/// Connects to `addr`, whose queue is `backlog` long, until one more gets no answer.
eio_err *FillQueue(eio_switch *sw, const eio_env *env, const eio_sockaddr &addr) {
    for (int i = 0; i < 10; i++) {
        eio_stream_socket *conn;
        eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, 200 * EIO_MILLISECOND), [&] {
            return eio_net_connect(&env->net->net, sw, &addr, nullptr, &conn);
        });
        if (eio_err_catch(&err, &eio_err_timeout))
            return nullptr;
        EIO_TRY(err);
    }
    return eio_err_failure("its queue doesn't fill");
}

TEST_P(ServerRealTest, HappyEyeballsGetsRoundAnAddressThatDoesNotAnswer) {
    RunReal([&](eio_switch *sw, const eio_env *env) -> eio_err * {
        // A listener that accepts nothing and whose queue is full: the system drops what comes.
        eio_listener *silent;
        eio_listen_opts short_queue = {};
        short_queue.backlog = 1;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &kAnyPort, &short_queue, &silent));
        eio_sockaddr silent_addr;
        EIO_TRY(eio_listener_addr(silent, &silent_addr));
        EIO_TRY(FillQueue(sw, env, silent_addr));
        EIO_TRY(Listen(sw, env));
        eio_net_ops ops = *env->net->net.ops;
        ops.connect = ConnectReally;
        ops.getaddrinfo = AnswerAll;
        ops.getaddrinfo_family = nullptr;
        Names names;
        names.net.ops = &ops;
        names.real = &env->net->net;
        names.addrs = {silent_addr, addr_};
        eio_tcp_connect_opts opts = {};
        opts.happy_clock = env->mono_clock;
        opts.attempt_delay_ns = 20 * EIO_MILLISECOND;
        size_t fds = OpenFds().size();
        auto use = [](void *arg, eio_flow *) -> eio_err * {
            EXPECT_EQ(OpenFds().size(), *static_cast<size_t *>(arg) + 1)
                << "the loser isn't closed";
            eio_traceln("connected");
            return nullptr;
        };
        return eio_net_with_tcp_connect(&names.net, "host", "1", &opts, use, &fds);
    });
    EXPECT_TRACE(R"(
        +connected
        - : unit = ()
    )");
}

} // namespace
