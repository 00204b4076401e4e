// SPDX-License-Identifier: ISC
// Section "Test cases" of the seed: transcripts 1 to 11, on each real backend.

#include <unistd.h>

#include "eio/buf_read.h"
#include "tests/network/seed.h"
#include "tests/support/real_run.h"

namespace {

using namespace seed;

class TestCases : public RealTest {};
EIO_ON_REAL_BACKENDS(TestCases);

eio_sockaddr UnixAddr(const std::string &path) {
    eio_sockaddr addr;
    EXPECT_OK(eio_sockaddr_unix(eio_slice_of(path.data(), path.size()), &addr));
    return addr;
}

TEST_P(TestCases, T01_HandlingOneConnectionThenCancellingTheServer) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return test_address(&env->net->net, sw, Addr());
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Server accepted connection from client
+Server received: "Hello from client"
+Client received: "Bye"
+Client finished - cancelling server
Exception: Graceful_shutdown.
)");
}

TEST_P(TestCases, T02_HandlingOneConnectionOnAUnixDomainSocket) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return test_address(&env->net->net, sw, UnixAddr("eio-test.sock"));
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Server accepted connection from client
+Server received: "Hello from client"
+Client received: "Bye"
+Client finished - cancelling server
Exception: Graceful_shutdown.
)");
    EXPECT_NE(access("eio-test.sock", F_OK), 0) << "the path is still there";
}

TEST_P(TestCases, T03_HandlingOneConnectionOnAnAbstractUnixDomainSocket) {
    // An abstract name belongs to the network namespace, as a port does.
    const std::string path("\0/tmp/eio-test.sock", 19);
    RunReal([&](eio_switch *sw, const eio_env *env) {
        return test_address(&env->net->net, sw, UnixAddr(path));
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Server accepted connection from client
+Server received: "Hello from client"
+Client received: "Bye"
+Client finished - cancelling server
Exception: Graceful_shutdown.
)");
}

TEST_P(TestCases, T04_HandlingOneConnectionUsingIPv6) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return test_address(&env->net->net, sw, Addr6());
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Server accepted connection from client
+Server received: "Hello from client"
+Client received: "Bye"
+Client finished - cancelling server
Exception: Graceful_shutdown.
)");
}

/// T05's handler; `arg` is the promise that is resolved with Graceful_shutdown.
eio_err *ReadUntilShutdown(void *arg, eio_flow *flow, const eio_sockaddr *) {
    eio_promise *shutdown = static_cast<eio_promise *>(arg);
    eio_err *err = Both([&] { return eio_promise_await(shutdown, nullptr); },
                        [&]() -> eio_err * {
                            std::string msg;
                            EIO_TRY(read_all(flow, &msg));
                            eio_traceln("Server received: %s", Quoted(msg).c_str());
                            return nullptr;
                        });
    if (eio_err_catch(&err, &graceful_shutdown_kind))
        return eio_flow_copy_string("Request cancelled", &flow->sink);
    return err;
}

TEST_P(TestCases, T05_CancellingTheRead) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        const eio_sockaddr addr = Addr();
        const eio_listen_opts opts = ReuseAddr();
        eio_promise *shutdown;
        eio_promise_resolver *set_shutdown;
        EIO_TRY(eio_promise_create(sw, &shutdown, &set_shutdown));
        eio_listener *server;
        EIO_TRY(eio_net_listen(net, sw, &addr, &opts, &server));
        return Both(
            [&] {
                return eio_net_accept_fork(server, sw, ReadUntilShutdown, shutdown,
                                           eio_on_error_fail, nullptr);
            },
            [&]() -> eio_err * {
                eio_traceln("Connecting to server...");
                eio_stream_socket *flow;
                EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &flow));
                eio_traceln("Connection opened - cancelling server's read");
                EIO_TRY(eio_fiber_yield());
                eio_promise_resolve_error(set_shutdown, Graceful_shutdown());
                std::string msg;
                EIO_TRY(read_all(&flow->flow, &msg));
                eio_traceln("Client received: %s", Quoted(msg).c_str());
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Connection opened - cancelling server's read
+Client received: "Request cancelled"
- : unit = ()
)");
}

TEST_P(TestCases, T06_CallingAcceptWhenTheSwitchIsAlreadyOff) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        const eio_sockaddr addr = Addr();
        const eio_listen_opts opts = ReuseAddr();
        eio_listener *server;
        EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, &opts, &server));
        eio_switch_fail(sw, eio_err_failure("Simulated error"));
        return eio_net_accept_fork(server, sw, assert_false, nullptr, eio_on_error_fail, nullptr);
    });
    EXPECT_TRACE(R"(
Exception: Failure "Simulated error".
)");
}

std::string Str(const eio_sockaddr &addr) {
    char text[EIO_SOCKADDR_STR_MAX];
    return eio_sockaddr_str(&addr, text);
}

eio_err *SendUdpMessage(eio_datagram_socket *from, const eio_sockaddr &to) {
    const eio_slice text = eio_slice_of_str("UDP Message");
    return eio_datagram_send(from, &to, &text, 1);
}

eio_err *run_dgram(eio_switch *sw, eio_net *net, const eio_ip &ip) {
    const eio_sockaddr e1 = eio_sockaddr_udp(ip, 8081);
    const eio_sockaddr e2 = eio_sockaddr_udp(ip, 8082);
    eio_datagram_socket *listening_socket;
    EIO_TRY(eio_net_datagram_socket(net, sw, &e2, nullptr, &listening_socket));
    return Both(
        [&]() -> eio_err * {
            char buf[20];
            eio_traceln("Waiting to receive data on %s", Str(e2).c_str());
            eio_datagram_info info;
            EIO_TRY(eio_datagram_recv(listening_socket, eio_buf_of(buf, sizeof buf), &info));
            eio_traceln("Received message from %s: %.*s", Str(info.from).c_str(),
                        static_cast<int>(info.len), buf);
            return nullptr;
        },
        [&]() -> eio_err * {
            eio_datagram_socket *e;
            EIO_TRY(eio_net_datagram_socket(net, sw, &e1, nullptr, &e));
            eio_traceln("Sending data from %s to %s", Str(e1).c_str(), Str(e2).c_str());
            return SendUdpMessage(e, e2);
        });
}

TEST_P(TestCases, T07_HandlingOneUdpPacketUsingIPv4) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return run_dgram(sw, &env->net->net, eio_ip_v4_loopback());
    });
    EXPECT_TRACE(R"(
+Waiting to receive data on udp:127.0.0.1:8082
+Sending data from udp:127.0.0.1:8081 to udp:127.0.0.1:8082
+Received message from udp:127.0.0.1:8081: UDP Message
- : unit = ()
)");
}

TEST_P(TestCases, T08_HandlingOneUdpPacketUsingIPv6) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return run_dgram(sw, &env->net->net, eio_ip_v6_loopback());
    });
    EXPECT_TRACE(R"(
+Waiting to receive data on udp:[::1]:8082
+Sending data from udp:[::1]:8081 to udp:[::1]:8082
+Received message from udp:[::1]:8081: UDP Message
- : unit = ()
)");
}

eio_err *run_dgram2(eio_switch *sw, eio_net *net, eio_udp_family e1, const eio_ip &ip) {
    const eio_sockaddr server_addr = eio_sockaddr_udp(ip, 8082);
    eio_datagram_socket *listening_socket;
    EIO_TRY(eio_net_datagram_socket(net, sw, &server_addr, nullptr, &listening_socket));
    return Both(
        [&]() -> eio_err * {
            char buf[20];
            eio_traceln("Waiting to receive data on %s", Str(server_addr).c_str());
            eio_datagram_info info;
            EIO_TRY(eio_datagram_recv(listening_socket, eio_buf_of(buf, sizeof buf), &info));
            eio_traceln("Received message %.*s", static_cast<int>(info.len), buf);
            return nullptr;
        },
        [&]() -> eio_err * {
            eio_datagram_socket *e;
            EIO_TRY(eio_net_datagram_socket_unbound(net, sw, e1, nullptr, &e));
            eio_traceln("Sending data to %s", Str(server_addr).c_str());
            return SendUdpMessage(e, server_addr);
        });
}

TEST_P(TestCases, T09_OneUdpPacketFromAHostAssignedIPv4Address) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return run_dgram2(sw, &env->net->net, EIO_UDP_V4, eio_ip_v4_loopback());
    });
    EXPECT_TRACE(R"(
+Waiting to receive data on udp:127.0.0.1:8082
+Sending data to udp:127.0.0.1:8082
+Received message UDP Message
- : unit = ()
)");
}

TEST_P(TestCases, T10_OneUdpPacketFromAHostAssignedIPv6Address) {
    RunReal([](eio_switch *sw, const eio_env *env) {
        return run_dgram2(sw, &env->net->net, EIO_UDP_V6, eio_ip_v6_loopback());
    });
    EXPECT_TRACE(R"(
+Waiting to receive data on udp:[::1]:8082
+Sending data to udp:[::1]:8082
+Received message UDP Message
- : unit = ()
)");
}

eio_err *SayHiAndClose(void *, eio_flow *flow, const eio_sockaddr *) {
    eio_traceln("Server got connection");
    EIO_TRY(eio_flow_copy_string("Hi", &flow->sink));
    eio_flow_close(flow);
    return nullptr;
}

/// The parser of T11: all of it, at most 100 bytes.
eio_err *TakeAll(void *arg, eio_buf_read *in) {
    eio_slice all;
    EIO_TRY(eio_buf_read_take_all(in, &all));
    static_cast<std::string *>(arg)->assign(reinterpret_cast<const char *>(all.base), all.len);
    return nullptr;
}

TEST_P(TestCases, T11_ItsNotAnErrorToCloseTheSocketBeforeTheHandlerReturns) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 8083);
        const eio_listen_opts opts = ReuseAddr();
        eio_listener *server;
        EIO_TRY(eio_net_listen(net, sw, &addr, &opts, &server));
        return Both(
            [&] {
                return eio_net_accept_fork(server, sw, SayHiAndClose, nullptr, eio_on_error_fail,
                                           nullptr);
            },
            [&]() -> eio_err * {
                eio_traceln("Connecting to server...");
                eio_stream_socket *flow;
                EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &flow));
                std::string msg;
                EIO_TRY(eio_buf_read_parse(&flow->flow.source, 100, TakeAll, &msg));
                eio_traceln("Client got %s", Quoted(msg).c_str());
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
+Connecting to server...
+Server got connection
+Client got "Hi"
- : unit = ()
)");
}

} // namespace
