// SPDX-License-Identifier: ISC
// Section "Accept_fork error handling" of the seed: transcripts 19 to 22, on the mock backend.

#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "tests/network/seed.h"
#include "tests/support/mock_run.h"

namespace {

using namespace seed;

class AcceptFork : public EioTest {};

/// A listener that has one connection waiting.
eio_err *ListenerWithOneConnection(eio_mock_listener **out) {
    eio_mock_listener *socket;
    EIO_TRY(eio_mock_listener_create("tcp/80", &socket));
    eio_mock_flow *flow;
    EIO_TRY(eio_mock_flow_create("connection", &flow));
    const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 1234);
    EIO_TRY(eio_mock_on(&socket->on_accept, {eio_mock_return_conn(&flow->socket, addr)}));
    *out = socket;
    return nullptr;
}

/// `Eio_mock.Backend.run @@ fun () -> ... Switch.run @@ fun sw -> body`
template <class F> eio_err *RunOnListener(F &&body) {
    auto main = [&]() -> eio_err * {
        eio_mock_listener *socket;
        EIO_TRY(ListenerWithOneConnection(&socket));
        return SwitchRun([&](eio_switch *sw) { return body(sw, &socket->listener); });
    };
    return eio_mock_run(Fn<decltype(main)>::Call, &main);
}

eio_err *DoNothing(void *, eio_flow *, const eio_sockaddr *) {
    return nullptr;
}
eio_err *FailSimulated(void *, eio_flow *, const eio_sockaddr *) {
    return eio_err_failure("Simulated error");
}
eio_err *AwaitCancel(void *, eio_flow *, const eio_sockaddr *) {
    return eio_fiber_await_cancel();
}

TEST_F(AcceptFork, T19_OnSuccessWeCloseTheConnectionImmediately) {
    PrintResult(RunOnListener([](eio_switch *sw, eio_listener *socket) -> eio_err * {
        EIO_TRY(eio_net_accept_fork(socket, sw, DoNothing, nullptr, eio_on_error_fail, nullptr));
        eio_traceln("Mock connection should have been closed by now");
        return nullptr;
    }));
    EXPECT_TRACE(R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
- : unit = ()
)");
}

TEST_F(AcceptFork, T20_IfTheForkedFiberFailsWeCloseImmediately) {
    PrintResult(RunOnListener([](eio_switch *sw, eio_listener *socket) -> eio_err * {
        EIO_TRY(
            eio_net_accept_fork(socket, sw, FailSimulated, nullptr, eio_on_error_fail, nullptr));
        eio_traceln("Mock connection should have been closed by now");
        return nullptr;
    }));
    EXPECT_TRACE(R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
Exception: Failure "Simulated error".
)");
}

TEST_F(AcceptFork, T21_IfTheForkItselfFailsWeStillCloseTheConnection) {
    PrintResult(RunOnListener([](eio_switch *sw, eio_listener *socket) -> eio_err * {
        eio_switch_fail(sw, eio_err_failure("Simulated error"));
        EIO_TRY(eio_net_accept_fork(socket, sw, assert_false, nullptr, eio_on_error_fail, nullptr));
        eio_traceln("Mock connection should have been closed by now");
        return nullptr;
    }));
    EXPECT_TRACE(R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
+Mock connection should have been closed by now
Exception: Failure "Simulated error".
)");
}

eio_err *ReportBug(void *, eio_err *err) {
    eio_traceln("BUG: %s", TakeText(err).c_str());
    return nullptr;
}

TEST_F(AcceptFork, T22_AcceptForkDoesntSendCancellationsToOnError) {
    PrintResult(RunOnListener([](eio_switch *sw, eio_listener *socket) -> eio_err * {
        EIO_TRY(eio_net_accept_fork(socket, sw, AwaitCancel, nullptr, ReportBug, nullptr));
        eio_switch_fail(sw, eio_err_failure("Simulated error"));
        return nullptr;
    }));
    EXPECT_TRACE(R"(
+tcp/80: accepted connection from tcp:127.0.0.1:1234
+connection: closed
Exception: Failure "Simulated error".
)");
}

} // namespace
