// SPDX-License-Identifier: ISC
// Sections "Socketpair", "Errors", "Shutdown" and "read/write on SOCK_DGRAM" of the seed:
// transcripts 23 to 27 and 42.

#include "eio/buf_read.h"
#include "eio/fd.h"
#include "tests/network/seed.h"
#include "tests/support/real_run.h"

namespace {

using namespace seed;

class Errors : public RealTest {};
EIO_ON_REAL_BACKENDS(Errors);

TEST_P(Errors, T23_Socketpair) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a;
        eio_stream_socket *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EXPECT_NE(eio_fd_of_flow(&a->flow), nullptr);
        EXPECT_NE(eio_fd_of_flow(&b->flow), nullptr);
        EIO_TRY(eio_flow_copy_string("foo", &a->flow.sink));
        eio_flow_close(&a->flow);
        eio_buf_read *reader;
        EIO_TRY(eio_buf_read_create(sw, &b->flow.source, 10, &reader));
        eio_slice msg;
        EIO_TRY(eio_buf_read_take_all(reader, &msg));
        const std::string text(reinterpret_cast<const char *>(msg.base), msg.len);
        eio_traceln("Got: %s", Quoted(text).c_str());
        return nullptr;
    });
    EXPECT_TRACE(R"(
+Got: "foo"
- : unit = ()
)");
}

TEST_P(Errors, T24_Econnreset) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a;
        eio_stream_socket *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        EIO_TRY(eio_flow_copy_string("foo", &a->flow.sink));
        eio_flow_close(&b->flow); // without reading
        char byte;
        eio_err *err = eio_source_read_exact(&a->flow.source, eio_buf_of(&byte, 1));
        if (err == nullptr)
            return eio_err_failure("assert false");
        if (eio_err_catch(&err, &eio_err_net_connection_reset) ||
            eio_err_catch(&err, &eio_err_end_of_file))
            eio_traceln("Connection failed (good)");
        return err;
    });
    EXPECT_TRACE(R"(
+Connection failed (good)
- : unit = ()
)");
}

TEST_P(Errors, T25_Epipe) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a;
        eio_stream_socket *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        eio_flow_close(&b->flow);
        eio_err *err = eio_flow_copy_string("foo", &a->flow.sink);
        if (err == nullptr)
            return eio_err_failure("assert false");
        if (eio_err_catch(&err, &eio_err_net_connection_reset))
            eio_traceln("Connection failed (good)");
        return err;
    });
    EXPECT_TRACE(R"(
+Connection failed (good)
- : unit = ()
)");
}

TEST_P(Errors, T26_ConnectionRefused) {
    RunReal([](eio_switch *sw, const eio_env *env) -> eio_err * {
        eio_sockaddr addr;
        EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("idontexist.sock"), &addr));
        eio_stream_socket *flow;
        return eio_net_connect(&env->net->net, sw, &addr, nullptr, &flow);
    });
    EXPECT_TRACE(R"(
Exception: Eio.Io Fs Not_found _,
  connecting to unix:idontexist.sock
)");
}

TEST_P(Errors, T27_ShutdownOfTheReceiveSide) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_stream_socket *a;
        eio_stream_socket *b;
        EIO_TRY(eio_socketpair_stream(sw, &a, &b));
        return Both(
            [&]() -> eio_err * {
                char byte;
                eio_err *err = eio_source_read_exact(&a->flow.source, eio_buf_of(&byte, 1));
                if (err == nullptr)
                    return eio_err_failure("Should have ended!");
                eio_err_catch(&err, &eio_err_end_of_file);
                return err;
            },
            [&] { return eio_flow_shutdown(&a->flow, EIO_SHUTDOWN_RECEIVE); });
    });
    EXPECT_TRACE(R"(
- : unit = ()
)");
}

TEST_P(Errors, T42_ReadAndWriteOnSockDgram) {
    RunReal([](eio_switch *sw, const eio_env *) -> eio_err * {
        eio_datagram_socket *a;
        eio_datagram_socket *b;
        EIO_TRY(eio_socketpair_datagram(sw, &a, &b));
        EXPECT_NE(eio_fd_of_datagram(a), nullptr);
        EXPECT_NE(eio_fd_of_datagram(b), nullptr);
        const char *const l[] = {"foo", "bar", "foobar", "cellar door", ""};
        char buf[32];
        auto read = [&]() -> eio_err * {
            eio_datagram_info info;
            EIO_TRY(eio_datagram_recv(b, eio_buf_of(buf, sizeof buf), &info));
            eio_traceln("Got: %zu bytes: %s", info.len, Quoted(std::string(buf, info.len)).c_str());
            return nullptr;
        };
        for (const char *text : l) {
            const eio_slice slice = eio_slice_of_str(text);
            EIO_TRY(eio_datagram_send(a, nullptr, &slice, 1));
        }
        for (size_t i = 0; i < std::size(l); i++)
            EIO_TRY(read());
        const eio_slice parts[] = {eio_slice_of_str("abaca"), eio_slice_of_str("bb")};
        EIO_TRY(eio_datagram_send(a, nullptr, parts, 2));
        EIO_TRY(read());
        eio_datagram_close(a);
        eio_datagram_close(b);
        return nullptr;
    });
    EXPECT_TRACE(R"(
+Got: 3 bytes: "foo"
+Got: 3 bytes: "bar"
+Got: 6 bytes: "foobar"
+Got: 11 bytes: "cellar door"
+Got: 0 bytes: ""
+Got: 7 bytes: "abacabb"
- : unit = ()
)");
}

} // namespace
