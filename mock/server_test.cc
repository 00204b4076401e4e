// SPDX-License-Identifier: ISC

// The servers and clients of `eio/server.h` and `eio/connect_any.h` on mocks: whole programs, to
// the line.

#include "eio/server.h"

#include <string>

#include "eio/connect_any.h"
#include "eio/mock/domain.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "mock/test_support.h"

namespace {

const eio_sockaddr peer = eio_sockaddr_tcp(eio_ip_v4_loopback(), 1234);

// --- accept_fork ---------------------------------------------------------------------------------

class MockAcceptForkTest : public MockTest {
  protected:
    /** Runs `fn(listener, sw)` with a listener that accepts one connection. */
    template <typename F> std::string RunListener(F fn) {
        return Run([&]() -> eio_err * {
            eio_mock_listener *listener;
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_listener_create("tcp/80", &listener));
            EIO_TRY(eio_mock_flow_create("connection", &flow));
            EIO_TRY(eio_mock_on(&listener->on_accept, {eio_mock_return_conn(&flow->socket, peer)}));
            return SwitchRun([&](eio_switch *sw) { return fn(&listener->listener, sw); });
        });
    }
};

TEST_F(MockAcceptForkTest, AHandlerThatReturnsClosesTheConnection) {
    EXPECT_TRANSCRIPT(RunListener([](eio_listener *listener, eio_switch *sw) -> eio_err * {
                          auto handler = [](void *, eio_flow *, const eio_sockaddr *) -> eio_err * {
                              return nullptr;
                          };
                          EIO_TRY(eio_net_accept_fork(listener, sw, handler, nullptr,
                                                      eio_on_error_fail, nullptr));
                          eio_traceln("Mock connection should have been closed by now");
                          return nullptr;
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
- : unit = ()
)");
}

TEST_F(MockAcceptForkTest, AHandlerThatFailsClosesTheConnectionFirst) {
    EXPECT_TRANSCRIPT(RunListener([](eio_listener *listener, eio_switch *sw) -> eio_err * {
                          auto handler = [](void *, eio_flow *, const eio_sockaddr *) {
                              return eio_err_failure("Simulated error");
                          };
                          EIO_TRY(eio_net_accept_fork(listener, sw, handler, nullptr,
                                                      eio_on_error_fail, nullptr));
                          eio_traceln("Mock connection should have been closed by now");
                          return nullptr;
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
Exception: Failure "Simulated error".
)");
}

TEST_F(MockAcceptForkTest, ARefusedForkClosesTheConnection) {
    EXPECT_TRANSCRIPT(RunListener([](eio_listener *listener, eio_switch *sw) -> eio_err * {
                          eio_switch_fail(sw, eio_err_failure("Simulated error"));
                          auto handler = [](void *, eio_flow *, const eio_sockaddr *) -> eio_err * {
                              ADD_FAILURE() << "the handler ran";
                              return nullptr;
                          };
                          EIO_TRY(eio_net_accept_fork(listener, sw, handler, nullptr,
                                                      eio_on_error_fail, nullptr));
                          eio_traceln("Mock connection should have been closed by now");
                          return nullptr;
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
Exception: Failure "Simulated error".
)");
}

TEST_F(MockAcceptForkTest, CancellationIsNotReported) {
    EXPECT_TRANSCRIPT(
        RunListener([](eio_listener *listener, eio_switch *sw) -> eio_err * {
            auto handler = [](void *, eio_flow *, const eio_sockaddr *) {
                return eio_fiber_await_cancel();
            };
            auto on_error = [](void *, eio_err *err) -> eio_err * {
                eio_traceln("BUG");
                eio_err_drop(err);
                return nullptr;
            };
            EIO_TRY(eio_net_accept_fork(listener, sw, handler, nullptr, on_error, nullptr));
            eio_switch_fail(sw, eio_err_failure("Simulated error"));
            return nullptr;
        }),
        R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
Exception: Failure "Simulated error".
)");
}

TEST_F(MockAcceptForkTest, AHandlersOwnCloseMakesASecondLine) {
    EXPECT_TRANSCRIPT(
        RunListener([](eio_listener *listener, eio_switch *sw) {
            auto handler = [](void *, eio_flow *flow, const eio_sockaddr *) -> eio_err * {
                eio_flow_close(flow);
                return nullptr;
            };
            return eio_net_accept_fork(listener, sw, handler, nullptr, eio_on_error_fail, nullptr);
        }),
        R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+connection: closed
- : unit = ()
)");
}

// --- with_tcp_connect ----------------------------------------------------------------------------

class MockTcpConnectTest : public MockTest {
  protected:
    MockTcpConnectTest() {
        EXPECT_EQ(eio_mock_net_create("mock-net", &net_), nullptr);
        const uint8_t raw[] = {1, 2, 3, 4};
        EXPECT_EQ(eio_ip_of_raw(eio_slice_of(raw, sizeof raw), &other_), nullptr);
    }
    ~MockTcpConnectTest() override { eio_mock_net_destroy(net_); }

    /** What the lookup answers: two addresses. */
    eio_err *AnswerLookup() {
        const eio_sockaddr addrs[] = {eio_sockaddr_tcp(eio_ip_v4_loopback(), 80),
                                      eio_sockaddr_tcp(other_, 8080)};
        return eio_mock_on(&net_->on_getaddrinfo, {eio_mock_return_addrs(addrs, 2)});
    }
    eio_err *Connect(const struct eio_tcp_connect_opts *opts, eio_connected_fn *fn) {
        return eio_net_with_tcp_connect(&net_->net, "www.example.com", "http", opts, fn, nullptr);
    }
    static eio_err *SendRequest(void *, eio_flow *conn) {
        return eio_flow_copy_string("GET / HTTP/1.1\r\nHost:www.example.com:80\r\n\r\n",
                                    &conn->sink);
    }
    static eio_err *NotReached(void *, eio_flow *) {
        ADD_FAILURE() << "connected";
        return nullptr;
    }

    eio_mock_net *net_ = nullptr;
    eio_ip other_;
};

TEST_F(MockTcpConnectTest, NoUsableAddress) {
    EXPECT_TRANSCRIPT(
        Run([&]() -> eio_err * {
            eio_sockaddr addr;
            EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("/foo"), &addr));
            EIO_TRY(eio_mock_on(&net_->on_getaddrinfo, {eio_mock_return_addrs(&addr, 1)}));
            return Connect(nullptr, NotReached);
        }),
        R"(
+mock-net: getaddrinfo ~service:http www.example.com
Exception:
Eio.Io Net Connection_failure No_matching_addresses,
  connecting to "www.example.com":http
)");
}

TEST_F(MockTcpConnectTest, TheFirstAddressWorks) {
    EXPECT_TRANSCRIPT(
        Run([&]() -> eio_err * {
            EIO_TRY(AnswerLookup());
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            EIO_TRY(eio_mock_on(&net_->on_connect, {eio_mock_return_flow(&flow->socket)}));
            return Connect(nullptr, SendRequest);
        }),
        R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+flow: wrote "GET / HTTP/1.1\r\n"
+            "Host:www.example.com:80\r\n"
+            "\r\n"
+flow: closed
- : unit = ()
)");
}

TEST_F(MockTcpConnectTest, TheSecondAddressWorks) {
    EXPECT_TRANSCRIPT(
        Run([&]() -> eio_err * {
            EIO_TRY(AnswerLookup());
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            EIO_TRY(eio_mock_on(&net_->on_connect,
                                {eio_mock_raise(eio_mock_simulated_failure(&eio_err_net_refused)),
                                 eio_mock_return_flow(&flow->socket)}));
            return Connect(nullptr, SendRequest);
        }),
        R"(
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

TEST_F(MockTcpConnectTest, BothAddressesFail) {
    EXPECT_TRANSCRIPT(
        Run([&]() -> eio_err * {
            EIO_TRY(AnswerLookup());
            // One error object, raised twice: a context line that it gets the first time must not
            // show the second time.
            eio_err *refused = eio_mock_simulated_failure(&eio_err_net_refused);
            EIO_TRY(eio_mock_on(&net_->on_connect,
                                {eio_mock_raise(eio_err_ref(refused)), eio_mock_raise(refused)}));
            return Connect(nullptr, NotReached);
        }),
        R"(
+mock-net: getaddrinfo ~service:http www.example.com
+mock-net: connect to tcp:127.0.0.1:80
+mock-net: connect to tcp:1.2.3.4:8080
Exception:
Eio.Io Net Connection_failure Refused _,
  connecting to tcp:1.2.3.4:8080,
  connecting to "www.example.com":http
)");
}

TEST_F(MockTcpConnectTest, TheFirstAttemptTimesOut) {
    EXPECT_TRANSCRIPT(
        RunFull([&](const eio_env *env) -> eio_err * {
            struct eio_tcp_connect_opts opts = {};
            opts.timeout = eio_timeout_seconds(env->mono_clock, 10.);
            EIO_TRY(AnswerLookup());
            eio_mock_flow *flow;
            EIO_TRY(eio_mock_flow_create("flow", &flow));
            EIO_TRY(eio_mock_on(&net_->on_connect,
                                {eio_mock_await_cancel(), eio_mock_return_flow(&flow->socket)}));
            return Connect(&opts, SendRequest);
        }),
        R"(
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

TEST_F(MockTcpConnectTest, BothAttemptsTimeOut) {
    EXPECT_TRANSCRIPT(RunFull([&](const eio_env *env) -> eio_err * {
                          struct eio_tcp_connect_opts opts = {};
                          opts.timeout = eio_timeout_seconds(env->mono_clock, 10.);
                          EIO_TRY(AnswerLookup());
                          EIO_TRY(eio_mock_on(&net_->on_connect,
                                              {eio_mock_await_cancel(), eio_mock_await_cancel()}));
                          return Connect(&opts, NotReached);
                      }),
                      R"(
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

// --- run_server ----------------------------------------------------------------------------------

// Gives connection `i`, whose client writes "Hi".
struct Client {
    int i;
    int n_domains;

    static eio_err *Make(void *arg, eio_mock_value *out) {
        const auto *self = static_cast<const Client *>(arg);
        // With several domains each connection goes to the next of them.
        EIO_TRY(self->n_domains > 1 ? eio_fiber_yield() : eio_fiber_check());
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create(("flow" + std::to_string(self->i)).c_str(), &flow));
        EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hi"),
                                             eio_mock_raise(eio_err_const(&eio_err_end_of_file))}));
        out->flow = &flow->socket;
        out->addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), (uint16_t)(30000 + self->i));
        return nullptr;
    }
};

class MockServerTest : public MockTest {
  protected:
    enum { kClients = 10 };

    static eio_err *HandleConnection(void *, eio_flow *flow, const eio_sockaddr *) {
        eio_strbuf text = EIO_STRBUF_INIT;
        eio_err *err = eio_source_read_all(&flow->source, SIZE_MAX, &text);
        if (err == nullptr) {
            EXPECT_STREQ(eio_strbuf_str(&text), "Hi");
        }
        eio_strbuf_free(&text);
        EIO_TRY(err);
        EIO_TRY(eio_fiber_yield());
        return eio_flow_copy_string("Bye", &flow->sink);
    }
    /** A listener that accepts `n_clients`, then `n_domains` times waits for ever. */
    eio_err *MakeListener(int n_clients, int n_domains, eio_mock_listener **out) {
        EIO_TRY(eio_mock_listener_create("tcp/80", out));
        eio_mock_action actions[2 * kClients];
        for (int i = 0; i < n_clients; i++) {
            clients_[i] = {i, n_domains};
            actions[i] = eio_mock_call(Client::Make, &clients_[i]);
        }
        for (int i = 0; i < n_domains; i++)
            actions[n_clients + i] = eio_mock_await_cancel();
        return eio_mock_on(&(*out)->on_accept, actions, (size_t)(n_clients + n_domains));
    }
    static eio_err *Serve(eio_mock_listener *listener, const struct eio_server_opts *opts) {
        return eio_net_run_server(&listener->listener, HandleConnection, nullptr, eio_on_error_fail,
                                  nullptr, opts);
    }
    /** Serves beside `fn(stop)`. */
    template <typename F> eio_err *ServeBeside(int n_clients, struct eio_server_opts opts, F fn) {
        eio_mock_listener *listener;
        EIO_TRY(MakeListener(n_clients, 1 + opts.additional_domains, &listener));
        return SwitchRun([&](eio_switch *sw) -> eio_err * {
            eio_promise_resolver *stop;
            EIO_TRY(eio_promise_create(sw, &opts.stop, &stop));
            return Both([&] { return Serve(listener, &opts); }, [&] { return fn(stop); });
        });
    }

  private:
    Client clients_[kClients];
};

TEST_F(MockServerTest, AGracefulStopLetsTheHandlersFinish) {
    EXPECT_TRANSCRIPT(Run([&] {
                          struct eio_server_opts opts = {};
                          opts.max_connections = 10;
                          return ServeBeside(3, opts, [](eio_promise_resolver *stop) -> eio_err * {
                              eio_traceln("Begin graceful shutdown");
                              eio_promise_resolve(stop, nullptr);
                              return nullptr;
                          });
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:30000
+flow0: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30001
+flow1: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30002
+flow2: read "Hi"
+Begin graceful shutdown
+flow0: wrote "Bye"
+flow0: closed
+flow1: wrote "Bye"
+flow1: closed
+flow2: wrote "Bye"
+flow2: closed
- : unit = ()
)");
}

TEST_F(MockServerTest, AnAbortClosesTheConnections) {
    EXPECT_TRANSCRIPT(Run([&]() -> eio_err * {
                          eio_mock_listener *listener;
                          EIO_TRY(MakeListener(3, 1, &listener));
                          struct eio_server_opts opts = {};
                          opts.max_connections = 10;
                          return Both([&] { return Serve(listener, &opts); },
                                      [] { return eio_err_failure("Simulated error"); });
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:30000
+flow0: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30001
+flow1: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30002
+flow2: read "Hi"
+flow0: closed
+flow1: closed
+flow2: closed
Exception: Failure "Simulated error".
)");
}

TEST_F(MockServerTest, AGracefulStopOfThreeDomains) {
    EXPECT_TRANSCRIPT(
        Run([&] {
            auto body = [&](eio_domain_mgr *mgr) {
                struct eio_server_opts opts = {};
                opts.max_connections = 10;
                opts.domain_mgr = mgr;
                opts.additional_domains = 2;
                return ServeBeside(10, opts, [](eio_promise_resolver *stop) -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    eio_promise_resolve(stop, nullptr);
                    EIO_TRY(eio_fiber_yield());
                    eio_traceln("Requested graceful shutdown");
                    return nullptr;
                });
            };
            return eio_mock_domain_mgr_run(CallLambdaWith<decltype(body), eio_domain_mgr *>, &body);
        }),
        R"(
+[1] tcp/80: accepted connection from tcp:127.0.0.1:30000
+[1] flow0: read "Hi"
+[2] tcp/80: accepted connection from tcp:127.0.0.1:30001
+[2] flow1: read "Hi"
+[0] tcp/80: accepted connection from tcp:127.0.0.1:30002
+[0] flow2: read "Hi"
+[1] flow0: wrote "Bye"
+[1] flow0: closed
+[1] tcp/80: accepted connection from tcp:127.0.0.1:30003
+[1] flow3: read "Hi"
+[2] flow1: wrote "Bye"
+[2] flow1: closed
+[2] tcp/80: accepted connection from tcp:127.0.0.1:30004
+[2] flow4: read "Hi"
+[0] flow2: wrote "Bye"
+[0] flow2: closed
+[0] tcp/80: accepted connection from tcp:127.0.0.1:30005
+[0] flow5: read "Hi"
+[0] Requested graceful shutdown
+[1] flow3: wrote "Bye"
+[1] flow3: closed
+[2] flow4: wrote "Bye"
+[2] flow4: closed
+[0] flow5: wrote "Bye"
+[0] flow5: closed
- : unit = ()
)");
}

TEST_F(MockServerTest, AnAbortOfThreeDomains) {
    EXPECT_TRANSCRIPT(Run([&] {
                          auto body = [&](eio_domain_mgr *mgr) -> eio_err * {
                              eio_mock_listener *listener;
                              EIO_TRY(MakeListener(10, 3, &listener));
                              struct eio_server_opts opts = {};
                              opts.max_connections = 10;
                              opts.domain_mgr = mgr;
                              opts.additional_domains = 2;
                              return Both([&] { return Serve(listener, &opts); },
                                          []() -> eio_err * {
                                              EIO_TRY(eio_fiber_yield());
                                              return eio_err_failure("Simulated error");
                                          });
                          };
                          return eio_mock_domain_mgr_run(
                              CallLambdaWith<decltype(body), eio_domain_mgr *>, &body);
                      }),
                      R"(
+[1] tcp/80: accepted connection from tcp:127.0.0.1:30000
+[1] flow0: read "Hi"
+[2] tcp/80: accepted connection from tcp:127.0.0.1:30001
+[2] flow1: read "Hi"
+[0] tcp/80: accepted connection from tcp:127.0.0.1:30002
+[0] flow2: read "Hi"
+[1] flow0: closed
+[2] flow1: closed
+[0] flow2: closed
Exception: Failure "Simulated error".
)");
}

TEST_F(MockServerTest, NoMoreConnectionsThanTheLimit) {
    EXPECT_TRANSCRIPT(Run([&] {
                          struct eio_server_opts opts = {};
                          opts.max_connections = 2;
                          return ServeBeside(10, opts, [](eio_promise_resolver *stop) -> eio_err * {
                              for (int i = 0; i < 2; i++)
                                  EIO_TRY(eio_fiber_yield());
                              eio_traceln("Begin graceful shutdown");
                              eio_promise_resolve(stop, nullptr);
                              return nullptr;
                          });
                      }),
                      R"(
+tcp/80: accepted connection from tcp:127.0.0.1:30000
+flow0: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30001
+flow1: read "Hi"
+flow0: wrote "Bye"
+flow0: closed
+flow1: wrote "Bye"
+flow1: closed
+tcp/80: accepted connection from tcp:127.0.0.1:30002
+flow2: read "Hi"
+tcp/80: accepted connection from tcp:127.0.0.1:30003
+flow3: read "Hi"
+Begin graceful shutdown
+flow2: wrote "Bye"
+flow2: closed
+flow3: wrote "Bye"
+flow3: closed
- : unit = ()
)");
}

} // namespace
