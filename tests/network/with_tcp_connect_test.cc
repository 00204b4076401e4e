// SPDX-License-Identifier: ISC
// Section "with_tcp_connet" of the seed: transcripts 36 to 41, on the mock backend.

#include "eio/connect_any.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "tests/network/seed.h"
#include "tests/support/mock_run.h"

namespace {

using namespace seed;

const eio_sockaddr addr1 = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
const eio_sockaddr addr2 = eio_sockaddr_tcp(eio_ip_v4(1, 2, 3, 4), 8080);

eio_mock_action ConnectionRefused() {
    return eio_mock_raise(eio_mock_simulated_failure(&eio_err_net_refused));
}

eio_err *AssertFalse(void *, eio_flow *) {
    ADD_FAILURE() << "there is no connection";
    return nullptr;
}

eio_err *SendRequest(void *, eio_flow *conn) {
    return eio_flow_copy_string("GET / HTTP/1.1\r\nHost:www.example.com:80\r\n\r\n", &conn->sink);
}

/// A network that knows two addresses for the name, and does `on_connect` when asked to connect.
eio_err *NetWithTwoAddresses(std::initializer_list<eio_mock_action> on_connect,
                             eio_mock_net **out) {
    EIO_TRY(eio_mock_net_create("mock-net", out));
    const eio_sockaddr both[] = {addr1, addr2};
    EIO_TRY(eio_mock_on(&(*out)->on_getaddrinfo, {eio_mock_return_addrs(both, 2)}));
    return eio_mock_on(&(*out)->on_connect, on_connect);
}

eio_err *Connect(eio_mock_net *net, const eio_tcp_connect_opts *opts, eio_connected_fn *fn) {
    return eio_net_with_tcp_connect(&net->net, "www.example.com", "http", opts, fn, nullptr);
}

class WithTcpConnect : public EioTest {
  protected:
    /// `Eio_mock.Backend.run @@ fun () -> ...`
    template <class F> void RunMock(F &&f) {
        PrintResult(eio_mock_run(Fn<F>::Call, Fn<F>::Arg(f)));
    }
    /// `Eio_mock.Backend.run_full @@ fun env -> ...`, with a time-out of 10 s for each attempt.
    template <class F> void RunFull(F &&f) {
        auto main = [](void *arg, const eio_env *env) -> eio_err * {
            eio_tcp_connect_opts opts = {};
            opts.timeout = eio_timeout_seconds(env->mono_clock, 10);
            return (*static_cast<std::remove_reference_t<F> *>(arg))(opts);
        };
        PrintResult(eio_mock_run_full(main, Fn<F>::Arg(f)));
    }
};

TEST_F(WithTcpConnect, T36_NoUsableAddresses) {
    RunMock([]() -> eio_err * {
        eio_mock_net *net;
        EIO_TRY(eio_mock_net_create("mock-net", &net));
        eio_sockaddr unix_addr;
        EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("/foo"), &unix_addr));
        EIO_TRY(eio_mock_on(&net->on_getaddrinfo, {eio_mock_return_addrs(&unix_addr, 1)}));
        return Connect(net, nullptr, AssertFalse);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
Exception:
Eio.Io Net Connection_failure No_matching_addresses,
  connecting to "www.example.com":http
)");
}

TEST_F(WithTcpConnect, T37_FirstAddressWorks) {
    RunMock([]() -> eio_err * {
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create("flow", &flow));
        eio_mock_net *net;
        EIO_TRY(NetWithTwoAddresses({eio_mock_return_flow(&flow->socket)}, &net));
        return Connect(net, nullptr, SendRequest);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+flow: wrote "GET / HTTP/1.1\r\n"
+            "Host:www.example.com:80\r\n"
+            "\r\n"
+flow: closed
- : unit = ()
)");
}

TEST_F(WithTcpConnect, T38_SecondAddressWorks) {
    RunMock([]() -> eio_err * {
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create("flow", &flow));
        eio_mock_net *net;
        EIO_TRY(
            NetWithTwoAddresses({ConnectionRefused(), eio_mock_return_flow(&flow->socket)}, &net));
        return Connect(net, nullptr, SendRequest);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+mock-net: connect to tcp:1.2.3.4:8080
+flow: wrote "GET / HTTP/1.1\r\n"
+            "Host:www.example.com:80\r\n"
+            "\r\n"
+flow: closed
- : unit = ()
)");
}

TEST_F(WithTcpConnect, T39_BothAddressesFail) {
    RunMock([]() -> eio_err * {
        eio_mock_net *net;
        eio_err *same = eio_mock_simulated_failure(&eio_err_net_refused); // one error, raised twice
        EIO_TRY(
            NetWithTwoAddresses({eio_mock_raise(eio_err_ref(same)), eio_mock_raise(same)}, &net));
        return Connect(net, nullptr, AssertFalse);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+mock-net: connect to tcp:1.2.3.4:8080
Exception:
Eio.Io Net Connection_failure Refused _,
  connecting to tcp:1.2.3.4:8080,
  connecting to "www.example.com":http
)");
}

TEST_F(WithTcpConnect, T40_FirstAttemptTimesOut) {
    RunFull([](const eio_tcp_connect_opts &opts) -> eio_err * {
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create("flow", &flow));
        eio_mock_net *net;
        EIO_TRY(NetWithTwoAddresses({eio_mock_await_cancel(), eio_mock_return_flow(&flow->socket)},
                                    &net));
        return Connect(net, &opts, SendRequest);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+mock time is now 10
+mock-net: connect to tcp:1.2.3.4:8080
+flow: wrote "GET / HTTP/1.1\r\n"
+            "Host:www.example.com:80\r\n"
+            "\r\n"
+flow: closed
- : unit = ()
)");
}

TEST_F(WithTcpConnect, T41_BothAttemptsTimeOut) {
    RunFull([](const eio_tcp_connect_opts &opts) -> eio_err * {
        eio_mock_net *net;
        EIO_TRY(NetWithTwoAddresses({eio_mock_await_cancel(), eio_mock_await_cancel()}, &net));
        return Connect(net, &opts, AssertFalse);
    });
    EXPECT_TRACE(R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+mock time is now 10
+mock-net: connect to tcp:1.2.3.4:8080
+mock time is now 20
Exception:
Eio.Io Net Connection_failure Timeout,
  connecting to "www.example.com":http
)");
}

} // namespace
