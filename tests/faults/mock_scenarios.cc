// SPDX-License-Identifier: ISC
// The mocks: a test that runs out of memory must say so, too.

#include "eio/buf_read.h"
#include "eio/connect_any.h"
#include "eio/domain.h"
#include "eio/mock/action.h"
#include "eio/mock/backend.h"
#include "eio/mock/flow.h"
#include "eio/mock/net.h"
#include "eio/mock/pair.h"
#include "eio/server.h"
#include "tests/faults/scenario.h"

namespace eio_faults {
namespace {

eio_err *ScriptedFlow(eio_switch *, const eio_env *) {
    eio_mock_flow *conn;
    EIO_TRY(eio_mock_flow_create("conn", &conn));
    EIO_TRY(eio_mock_on(&conn->on_read, {eio_mock_return_str("GET / HT"),
                                         eio_mock_yield_then(eio_mock_return_str("TP/1.1\r\n"))}));
    eio_buf_read in;
    EIO_TRY(eio_buf_read_init(&in, &conn->flow.source, 100));
    eio_slice line = {};
    eio_err *err = eio_buf_read_line(&in, &line);
    const bool right = line.len == 14;
    eio_buf_read_fini(&in);
    EIO_TRY(err);
    CHECK_THAT(right);
    return eio_flow_copy_string("HTTP/1.1 200 OK\r\n", &conn->flow.sink);
}

eio_err *ScriptedNet(eio_switch *sw, const eio_env *) {
    eio_mock_net *net;
    eio_mock_flow *conn;
    EIO_TRY(eio_mock_net_create("net", &net));
    EIO_TRY(eio_mock_flow_create("conn", &conn));
    EIO_TRY(eio_mock_on(&net->on_connect, {eio_mock_return_flow(&conn->socket)}));
    eio_stream_socket *socket;
    const eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 80);
    EIO_TRY(eio_net_connect(&net->net, sw, &addr, nullptr, &socket));
    return eio_flow_copy_string("hello", &socket->flow.sink);
}

eio_err *Pair(eio_switch *sw, const eio_env *) {
    eio_stream_socket *a, *b;
    char space[10];
    EIO_TRY(eio_mock_flow_pair(sw, 4, &a, &b));
    return Both([&] { return eio_flow_copy_string("ten bytes!", &a->flow.sink); },
                [&] { return eio_source_read_exact(&b->flow.source, eio_buf_of(space, 10)); });
}

eio_err *VirtualTime(eio_switch *, const eio_env *env) {
    eio_err *err = TimeoutRun(eio_timeout_ns(env->mono_clock, 3600 * EIO_SECOND),
                              [] { return eio_fiber_await_cancel(); });
    CHECK_THAT(err != nullptr);
    eio_err_catch(&err, &eio_err_timeout);
    return err;
}

eio_err *FakeDomain(eio_switch *, const eio_env *env) {
    const auto yield = [] { return eio_fiber_yield(); };
    return eio_domain_run(env->domain_mgr, Fn<decltype(yield)>::Call,
                          Fn<decltype(yield)>::Arg(yield));
}

} // namespace

std::vector<Scenario> MockScenarios() {
    const auto of = [](const Body &body) { return [body] { return body; }; };
    return {
        {"MockScriptedFlow", kMock, of(ScriptedFlow)},
        {"MockScriptedNet", kMock, of(ScriptedNet)},
        {"MockPair", kMock, of(Pair)},
        {"MockTime", kMock, of(VirtualTime)},
        {"MockDomain", kMock, of(FakeDomain)},
    };
}

} // namespace eio_faults
