// SPDX-License-Identifier: ISC
// Section "Unix interop" of the seed: transcripts 12 to 18.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "eio/buf_read.h"
#include "eio/fd.h"
#include "tests/network/seed.h"
#include "tests/support/real_run.h"

namespace {

using namespace seed;

class UnixInterop : public RealTest {};
EIO_ON_REAL_BACKENDS(UnixInterop);

const char *Bool(bool b) {
    return b ? "true" : "false";
}

TEST_P(UnixInterop, T12_ExtractingFileDescriptorsFromEioObjects) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_net *net = &env->net->net;
        const eio_sockaddr addr = Addr();
        const eio_listen_opts opts = ReuseAddr();
        eio_listener *server;
        EIO_TRY(eio_net_listen(net, sw, &addr, &opts, &server));
        eio_traceln("Listening socket has Unix FD: %s",
                    Bool(eio_fd_of_listener(server) != nullptr));
        bool have_client = false;
        bool have_server = false;
        EIO_TRY(Pair(
            [&]() -> eio_err * {
                eio_stream_socket *flow;
                EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &flow));
                have_client = eio_fd_of_flow(&flow->flow) != nullptr;
                return nullptr;
            },
            [&]() -> eio_err * {
                eio_stream_socket *flow;
                EIO_TRY(eio_listener_accept(server, sw, &flow, nullptr));
                have_server = eio_fd_of_flow(&flow->flow) != nullptr;
                return nullptr;
            }));
        eio_traceln("Client-side socket has Unix FD: %s", Bool(have_client));
        eio_traceln("Server-side socket has Unix FD: %s", Bool(have_server));
        return nullptr;
    });
    EXPECT_TRACE(R"(
+Listening socket has Unix FD: true
+Client-side socket has Unix FD: true
+Server-side socket has Unix FD: true
- : unit = ()
)");
}

/// The system's own text of an address of ours (Unix.string_of_inet_addr).
void PrintSystemText(const eio_ip &ip) {
    char text[INET6_ADDRSTRLEN];
    inet_ntop(ip.len == 4 ? AF_INET : AF_INET6, ip.bytes, text, sizeof text);
    Print("- : string = %s", Quoted(text).c_str());
}

/// The address that the system makes of a text (Unix.inet_addr_of_string).
eio_ip OfSystem(const char *text) {
    uint8_t raw[16];
    size_t len = 4;
    if (inet_pton(AF_INET, text, raw) != 1) {
        len = 16;
        EXPECT_EQ(inet_pton(AF_INET6, text, raw), 1) << text;
    }
    eio_ip ip = {};
    EXPECT_OK(eio_ip_of_raw(eio_slice_of(raw, len), &ip));
    return ip;
}

class Addresses : public EioTest {};

TEST_F(Addresses, T13_EioIpAddressesConvertToUnix) {
    PrintSystemText(eio_ip_v4_loopback());
    PrintSystemText(eio_ip_v4_any());
    PrintSystemText(eio_ip_v6_loopback());
    PrintSystemText(eio_ip_v6_any());
    EXPECT_TRACE(R"(
- : string = "127.0.0.1"
- : string = "0.0.0.0"
- : string = "::1"
- : string = "::"
)");
}

TEST_P(UnixInterop, T14_UnixIpAddressesConvertToEio) {
    RunReal([](eio_switch *, const eio_env *) -> eio_err * {
        auto show = [](const char *text) {
            const eio_ip ip = OfSystem(text);
            char buf[EIO_IP_STR_MAX];
            eio_traceln("%s", eio_ip_str(&ip, buf));
        };
        show("127.0.0.1");
        show("0.0.0.0");
        show("1234:5678:9abc:def0:fedc:ba98:7654:3210");
        show("::1");
        show("::");
        show("ab::");
        show("::ffff:192.168.1.3");
        show("1:0:0:2:0:0:0:3");
        show("4:1:0:0:2:0:0:3");
        return nullptr;
    });
    EXPECT_TRACE(R"(
+127.0.0.1
+0.0.0.0
+1234:5678:9abc:def0:fedc:ba98:7654:3210
+::1
+::
+ab::
+::ffff:192.168.1.3
+1:0:0:2::3
+4:1::2:0:0:3
- : unit = ()
)");
}

TEST_P(UnixInterop, T15_PrintingAddressesWithPorts) {
    RunReal([](eio_switch *, const eio_env *) -> eio_err * {
        auto show = [](const char *host, uint16_t port) {
            const eio_sockaddr addr = eio_sockaddr_tcp(OfSystem(host), port);
            char buf[EIO_SOCKADDR_STR_MAX];
            eio_traceln("%s", eio_sockaddr_str(&addr, buf));
        };
        show("127.0.0.1", 8080);
        show("::1", 8080);
        return nullptr;
    });
    EXPECT_TRACE(R"(
+tcp:127.0.0.1:8080
+tcp:[::1]:8080
- : unit = ()
)");
}

TEST_P(UnixInterop, T16_WrappingAUnixFdAsAnEioStreamSocket) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
        eio_stream_socket *source;
        eio_stream_socket *sink;
        EIO_TRY(eio_import_stream(sw, fds[0], nullptr, &source));
        EIO_TRY(eio_import_stream(sw, fds[1], nullptr, &sink));
        return Both([&] { return eio_flow_copy_string("Hello\n!", &sink->flow.sink); },
                    [&]() -> eio_err * {
                        eio_buf_read *b;
                        EIO_TRY(eio_buf_read_create(sw, &source->flow.source, 1000, &b));
                        eio_slice line;
                        EIO_TRY(eio_buf_read_line(b, &line));
                        const std::string text(reinterpret_cast<const char *>(line.base), line.len);
                        eio_traceln("Got: %s", Quoted(text).c_str());
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
+Got: "Hello"
- : unit = ()
)");
}

TEST_P(UnixInterop, T17_WrappingAUnixFdAsAListeningEioSocket) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        const int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in in = {};
        in.sin_family = AF_INET;
        in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        in.sin_port = htons(8082);
        EXPECT_EQ(bind(l, reinterpret_cast<sockaddr *>(&in), sizeof in), 0) << strerror(errno);
        EXPECT_EQ(listen(l, 40), 0) << strerror(errno);
        eio_listener *listener;
        EIO_TRY(eio_import_listening(sw, l, nullptr, &listener));
        return client_cancels_server(sw, &env->net->net, listener,
                                     eio_sockaddr_tcp(eio_ip_v4_loopback(), 8082));
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

TEST_P(UnixInterop, T18_WrappingAUnixFdAsADatagramEioSocket) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        int fds[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
        eio_datagram_socket *a;
        eio_datagram_socket *b;
        EIO_TRY(eio_import_datagram(sw, fds[0], nullptr, &a));
        EIO_TRY(eio_import_datagram(sw, fds[1], nullptr, &b));
        return Both(
            [&] {
                const eio_slice parts[] = {eio_slice_of_str("12"), eio_slice_of_str("34")};
                return eio_datagram_send(a, nullptr, parts, 2);
            },
            [&]() -> eio_err * {
                char buf[10];
                eio_datagram_info info;
                EIO_TRY(eio_datagram_recv(b, eio_buf_of(buf, sizeof buf), &info));
                eio_traceln("Got: %s", Quoted(std::string(buf, info.len)).c_str());
                return nullptr;
            });
    });
    EXPECT_TRACE(R"(
+Got: "1234"
- : unit = ()
)");
}

} // namespace
