// SPDX-License-Identifier: ISC
// Sockets and servers.

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "eio/domain.h"
#include "eio/fd.h"
#include "eio/server.h"
#include "tests/faults/scenario.h"

namespace eio_faults {
namespace {

eio_net *NetOf(const eio_env *env) {
    return &env->net->net;
}

eio_err *ReadAll(eio_flow *flow, std::string *out) {
    eio_strbuf sb = EIO_STRBUF_INIT;
    eio_err *err = eio_source_read_all(&flow->source, 1 << 20, &sb);
    if (err == nullptr)
        out->assign(eio_strbuf_str(&sb), sb.len);
    eio_strbuf_free(&sb);
    return err;
}

eio_err *Echo(void *, eio_flow *flow, const eio_sockaddr *) {
    return eio_flow_copy(&flow->source, &flow->sink);
}

/// Sends `text`, and reads until the server has no more.
eio_err *Ask(const eio_env *env, const eio_sockaddr &addr, const std::string &text) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_stream_socket *conn;
        std::string got;
        EIO_TRY(eio_net_connect(NetOf(env), sw, &addr, nullptr, &conn));
        EIO_TRY(eio_flow_copy_string(text.c_str(), &conn->flow.sink));
        EIO_TRY(eio_flow_shutdown(&conn->flow, EIO_SHUTDOWN_SEND));
        EIO_TRY(ReadAll(&conn->flow, &got));
        CHECK_THAT(text.compare(0, got.size(), got) == 0);
        return got == text ? nullptr : eio_err_failure("the answer is cut short");
    });
}

eio_err *EchoOn(const eio_env *env, const eio_sockaddr &addr, const eio_listen_opts *opts) {
    return SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_listener *listener;
        eio_sockaddr bound;
        EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, opts, &listener));
        EIO_TRY(eio_listener_addr(listener, &bound));
        return Both(
            [&] {
                return eio_net_accept_fork(listener, sw, Echo, nullptr, eio_on_error_fail, nullptr);
            },
            [&] { return Ask(env, bound, "hello"); });
    });
}

eio_err *EchoTcp(eio_switch *, const eio_env *env) {
    return EchoOn(env, eio_sockaddr_tcp(eio_ip_v4_loopback(), 0), nullptr);
}

/// A folder for a socket, which becomes this process's own: so its name can be as long as it likes.
struct Place {
    std::string folder = ::testing::TempDir() + "eio_faults_XXXXXX";
    Place() {
        if (mkdtemp(&folder[0]) == nullptr || chdir(folder.c_str()) != 0)
            abort();
    }
    ~Place() {
        unlink("socket");
        rmdir(folder.c_str());
    }
};

Body EchoUnix() {
    auto place = std::make_shared<Place>();
    return [place](eio_switch *, const eio_env *env) -> eio_err * {
        eio_sockaddr addr;
        EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("socket"), &addr));
        eio_listen_opts opts = {};
        opts.reuse_addr = true;
        opts.unix_mode = 0600;
        // What a failure may leave is a path that nobody listens on, which `reuse_addr` is for.
        return EchoOn(env, addr, &opts);
    };
}

eio_err *RunServerWithStop(eio_switch *sw, const eio_env *env) {
    eio_listener *listener;
    eio_promise *stop;
    eio_promise_resolver *set_stop;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
    eio_server_opts opts = {};
    opts.max_connections = 2;
    opts.stop = stop;
    opts.clock = env->mono_clock;
    return Both(
        [&] {
            return eio_net_run_server(listener, Echo, nullptr, eio_on_error_fail, nullptr, &opts);
        },
        [&]() -> eio_err * {
            EIO_TRY(Ask(env, addr, "one"));
            EIO_TRY(Both([&] { return Ask(env, addr, "two"); },
                         [&] { return Ask(env, addr, "three"); }));
            eio_promise_resolve(set_stop, nullptr);
            return nullptr;
        });
}

eio_err *ServerOfTwoDomains(eio_switch *sw, const eio_env *env) {
    eio_listener *listener;
    eio_promise *stop;
    eio_promise_resolver *set_stop;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
    eio_server_opts opts = {};
    opts.stop = stop;
    opts.clock = env->mono_clock;
    opts.domain_mgr = env->domain_mgr;
    opts.additional_domains = 1;
    return Both(
        [&] {
            return eio_net_run_server(listener, Echo, nullptr, eio_on_error_fail, nullptr, &opts);
        },
        [&]() -> eio_err * {
            EIO_TRY(Ask(env, addr, "one"));
            EIO_TRY(Ask(env, addr, "two"));
            eio_promise_resolve(set_stop, nullptr);
            return nullptr;
        });
}

eio_err *CountError(void *arg, eio_err *err) {
    (*static_cast<int *>(arg))++;
    eio_err_drop(err);
    return nullptr;
}

/// Waits for those who have no descriptor; what fails is told to the server's owner, not to this.
eio_err *AcceptUnderEmfile(eio_switch *sw, const eio_env *env) {
    eio_listener *listener;
    eio_promise *stop;
    eio_promise_resolver *set_stop;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    int errors = 0;
    EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
    eio_server_opts opts = {};
    opts.stop = stop;
    opts.clock = env->mono_clock;
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    eio_err *err = Both(
        [&] { return eio_net_run_server(listener, Echo, nullptr, CountError, &errors, &opts); },
        [&]() -> eio_err * {
            EIO_TRY(SwitchRun([&](eio_switch *inner) -> eio_err * {
                eio_stream_socket *conn;
                char space[5];
                EIO_TRY(eio_net_connect(NetOf(env), inner, &addr, nullptr, &conn));
                const int next = dup(STDERR_FILENO);
                close(next);
                none = {static_cast<rlim_t>(next), before.rlim_max};
                setrlimit(RLIMIT_NOFILE, &none);
                const int seen = errors;
                eio_err *failed = eio_flow_copy_string("hello", &conn->flow.sink);
                for (int i = 0; failed == nullptr && errors == seen && i < 50; i++)
                    failed = eio_mono_clock_sleep(env->mono_clock, EIO_MILLISECOND / 5);
                setrlimit(RLIMIT_NOFILE, &before);
                EIO_TRY(failed);
                // The handler may have failed, and then the connection is at its end.
                failed = eio_source_read_exact(&conn->flow.source, eio_buf_of(space, 5));
                if (errors > 0) {
                    eio_err_drop(failed);
                    return nullptr;
                }
                return failed;
            }));
            eio_promise_resolve(set_stop, nullptr);
            return nullptr;
        });
    setrlimit(RLIMIT_NOFILE, &before);
    return err;
}

eio_err *RefusedConnection(eio_switch *, const eio_env *env) {
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    EIO_TRY(SwitchRun([&](eio_switch *sw) -> eio_err * {
        eio_listener *listener;
        EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
        return eio_listener_addr(listener, &addr);
    }));
    eio_err *err = Ask(env, addr, "nobody hears this");
    CHECK_THAT(err != nullptr);
    eio_err_catch(&err, &eio_err_net_refused);
    return err;
}

eio_err *CancelledAccept(eio_switch *sw, const eio_env *env) {
    eio_listener *listener;
    eio_stream_socket *conn;
    size_t winner = 9;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
    EIO_TRY(First([&] { return eio_listener_accept(listener, sw, &conn, nullptr); },
                  [] { return eio_fiber_yield(); }, &winner));
    CHECK_THAT(winner == 1);
    return nullptr;
}

eio_err *SendOne(eio_datagram_socket *from, const eio_sockaddr *to, eio_datagram_socket *at) {
    char space[16];
    eio_datagram_info info = {};
    const eio_slice slices[] = {eio_slice_of_str("data"), eio_slice_of_str("gram")};
    EIO_TRY(eio_datagram_send(from, to, slices, 2));
    EIO_TRY(eio_datagram_recv(at, eio_buf_of(space, sizeof space), &info));
    CHECK_THAT(std::string(space, info.len) == "datagram" && !info.truncated);
    return nullptr;
}

eio_err *Datagrams(eio_switch *sw, const eio_env *env) {
    eio_datagram_socket *a, *b;
    eio_sockaddr addr = eio_sockaddr_udp(eio_ip_v4_loopback(), 0);
    EIO_TRY(eio_net_datagram_socket(NetOf(env), sw, &addr, nullptr, &a));
    EIO_TRY(eio_datagram_addr(a, &addr));
    EIO_TRY(eio_net_datagram_socket_unbound(NetOf(env), sw, EIO_UDP_V4, nullptr, &b));
    EIO_TRY(SendOne(b, &addr, a));
    return SendOne(b, &addr, a);
}

// Many at once, received and sent back.
eio_err *ManyDatagrams(eio_switch *sw, const eio_env *) {
    constexpr size_t kMany = 3;
    eio_datagram_socket *a, *b;
    EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
    char space[kMany][8];
    const eio_slice slices[] = {eio_slice_of_str("data"), eio_slice_of_str("gram")};
    eio_datagram_out out[kMany];
    eio_datagram_in in[kMany];
    for (size_t i = 0; i < kMany; i++) {
        out[i] = {nullptr, slices, 2};
        in[i] = {eio_buf_of(space[i], sizeof space[i]), {}};
    }
    size_t sent = 0;
    EIO_TRY(eio_datagram_send_many(a, out, kMany, &sent));
    CHECK_THAT(sent == kMany);
    for (size_t got = 0; got < kMany;) {
        size_t n = 0;
        EIO_TRY(eio_datagram_recv_many(b, in, kMany, &n));
        for (size_t i = 0; i < n; i++)
            CHECK_THAT(std::string(space[i], in[i].info.len) == "datagram");
        got += n;
    }
    return nullptr;
}

eio_err *DatagramPair(eio_switch *sw, const eio_env *) {
    eio_datagram_socket *a, *b;
    EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
    EIO_TRY(SendOne(a, nullptr, b));
    return SendOne(b, nullptr, a);
}

eio_err *ConnectFromAnAddress(eio_switch *sw, const eio_env *env) {
    eio_listener *listener;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    const eio_sockaddr from = eio_sockaddr_tcp(eio_ip_v4(127, 0, 0, 2), 0);
    EIO_TRY(eio_net_listen(NetOf(env), sw, &addr, nullptr, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    return Both(
        [&]() -> eio_err * {
            eio_stream_socket *conn;
            eio_sockaddr peer;
            EIO_TRY(eio_listener_accept(listener, sw, &conn, &peer));
            CHECK_THAT(eio_ip_equal(&peer.ip, &from.ip));
            return nullptr;
        },
        [&]() -> eio_err * {
            eio_stream_socket *conn;
            eio_connect_opts opts = {};
            opts.bind_to = &from;
            return eio_net_connect(NetOf(env), sw, &addr, &opts, &conn);
        });
}

} // namespace

std::vector<Scenario> NetScenarios() {
    const auto of = [](const Body &body) { return [body] { return body; }; };
    return {
        {"EchoTcp", kTwoSides, of(EchoTcp)},
        {"EchoUnix", kTwoSides, EchoUnix},
        {"RunServerWithStop", kForgiving | kTwoSides, of(RunServerWithStop)},
        {"ServerOfTwoDomains", kForgiving | kTwoSides, of(ServerOfTwoDomains)},
        {"AcceptUnderEmfile", kForgiving | kTwoSides, of(AcceptUnderEmfile)},
        {"RefusedConnection", kForgiving, of(RefusedConnection)},
        {"CancelledAccept", kForgiving, of(CancelledAccept)},
        {"Datagrams", 0, of(Datagrams)},
        {"DatagramPair", 0, of(DatagramPair)},
        {"ManyDatagrams", 0, of(ManyDatagrams)},
        {"ConnectFromAnAddress", 0, of(ConnectFromAnAddress)},
    };
}

} // namespace eio_faults
