// SPDX-License-Identifier: ISC
// Section "run_server" of the seed: transcripts 43 to 47, on the mock backend.

#include <memory>

#include "eio/mock/domain.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "tests/network/seed.h"
#include "tests/support/mock_run.h"

namespace {

using namespace seed;

eio_err *handle_connection(void *, eio_flow *flow, const eio_sockaddr *) {
    std::string msg;
    EIO_TRY(read_all(flow, &msg));
    EXPECT_EQ(msg, "Hi");
    EIO_TRY(eio_fiber_yield());
    return eio_flow_copy_string("Bye", &flow->sink);
}

/// One client of `MockListener`: makes its flow when it is accepted.
struct MakeFlow {
    unsigned i;
    unsigned n_domains;
    static eio_err *Run(void *arg, eio_mock_value *out) {
        const MakeFlow *self = static_cast<const MakeFlow *>(arg);
        if (self->n_domains > 1)
            EIO_TRY(eio_fiber_yield()); // Load balance
        else
            EIO_TRY(eio_fiber_check());
        eio_mock_flow *flow;
        EIO_TRY(eio_mock_flow_create(("flow" + std::to_string(self->i)).c_str(), &flow));
        EIO_TRY(eio_mock_on(&flow->on_read, {eio_mock_return_str("Hi"),
                                             eio_mock_raise(eio_err_const(&eio_err_end_of_file))}));
        out->flow = &flow->socket;
        out->addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), static_cast<uint16_t>(30000 + self->i));
        return nullptr;
    }
};

class RunServer : public EioTest {
  protected:
    eio_err *MockListener(unsigned n_clients, unsigned n_domains, eio_listener **out) {
        eio_mock_listener *socket;
        EIO_TRY(eio_mock_listener_create("tcp/80", &socket));
        std::vector<eio_mock_action> actions;
        for (unsigned i = 0; i < n_clients; i++) {
            flows_.push_back(std::make_unique<MakeFlow>(MakeFlow{i, n_domains}));
            actions.push_back(eio_mock_call(MakeFlow::Run, flows_.back().get()));
        }
        for (unsigned i = 0; i < n_domains; i++)
            actions.push_back(eio_mock_await_cancel());
        *out = &socket->listener;
        return eio_mock_on(&socket->on_accept, actions.data(), actions.size());
    }

    eio_err *Serve(eio_listener *socket, int max_connections, eio_promise *stop,
                   eio_domain_mgr *mgr = nullptr, int additional_domains = 0) {
        eio_server_opts opts = {};
        opts.max_connections = max_connections;
        opts.stop = stop;
        opts.domain_mgr = mgr;
        opts.additional_domains = additional_domains;
        return eio_net_run_server(socket, handle_connection, nullptr, eio_on_error_fail, nullptr,
                                  &opts);
    }

  private:
    std::vector<std::unique_ptr<MakeFlow>> flows_;
};

TEST_F(RunServer, T43_BeginAGracefulShutdownAllowingTheConnectionsToFinish) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        eio_listener *listening_socket;
        EIO_TRY(MockListener(3, 1, &listening_socket));
        eio_promise *stop;
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
        return Both([&] { return Serve(listening_socket, 10, stop); },
                    [&]() -> eio_err * {
                        eio_traceln("Begin graceful shutdown");
                        eio_promise_resolve(set_stop, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
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

TEST_F(RunServer, T44_NonGracefulShutdownClosesAllConnectionsStillInProgress) {
    RunMock([&](eio_switch *) -> eio_err * {
        eio_listener *listening_socket;
        EIO_TRY(MockListener(3, 1, &listening_socket));
        return Both([&] { return Serve(listening_socket, 10, nullptr); },
                    [] { return eio_err_failure("Simulated error"); });
    });
    EXPECT_TRACE(R"(
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

/// `Eio_mock.Domain_manager.run @@ fun fake_domain_mgr -> ...`
template <class F> eio_err *WithFakeDomains(F &&f) {
    auto call = [](void *arg, eio_domain_mgr *mgr) -> eio_err * {
        return (*static_cast<std::remove_reference_t<F> *>(arg))(mgr);
    };
    return eio_mock_domain_mgr_run(call, Fn<F>::Arg(f));
}

TEST_F(RunServer, T45_ThreeDomainsWithAGracefulShutdown) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        return WithFakeDomains([&](eio_domain_mgr *fake_domain_mgr) -> eio_err * {
            const int n_domains = 3;
            eio_listener *listening_socket;
            EIO_TRY(MockListener(10, n_domains, &listening_socket));
            eio_promise *stop;
            eio_promise_resolver *set_stop;
            EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
            return Both(
                [&] { return Serve(listening_socket, 10, stop, fake_domain_mgr, n_domains - 1); },
                [&]() -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    eio_promise_resolve(set_stop, nullptr);
                    EIO_TRY(eio_fiber_yield()); // Allow fibers to receive shutdown request
                    eio_traceln("Requested graceful shutdown");
                    return nullptr;
                });
        });
    });
    EXPECT_TRACE(R"(
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

TEST_F(RunServer, T46_ThreeDomainsAbortingImmediately) {
    RunMock([&](eio_switch *) -> eio_err * {
        return WithFakeDomains([&](eio_domain_mgr *fake_domain_mgr) -> eio_err * {
            const int n_domains = 3;
            eio_listener *listening_socket;
            EIO_TRY(MockListener(10, n_domains, &listening_socket));
            return Both(
                [&] {
                    return Serve(listening_socket, 10, nullptr, fake_domain_mgr, n_domains - 1);
                },
                []() -> eio_err * {
                    EIO_TRY(eio_fiber_yield());
                    return eio_err_failure("Simulated error");
                });
        });
    });
    EXPECT_TRACE(R"(
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

TEST_F(RunServer, T47_LimitingToTwoConcurrentConnections) {
    RunMock([&](eio_switch *sw) -> eio_err * {
        eio_listener *listening_socket;
        EIO_TRY(MockListener(10, 1, &listening_socket));
        eio_promise *stop;
        eio_promise_resolver *set_stop;
        EIO_TRY(eio_promise_create(sw, &stop, &set_stop));
        return Both([&] { return Serve(listening_socket, 2, stop); },
                    [&]() -> eio_err * {
                        for (int i = 0; i < 2; i++)
                            EIO_TRY(eio_fiber_yield());
                        eio_traceln("Begin graceful shutdown");
                        eio_promise_resolve(set_stop, nullptr);
                        return nullptr;
                    });
    });
    EXPECT_TRACE(R"(
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
