// SPDX-License-Identifier: ISC
#include "tests/network/seed.h"

namespace seed {

eio_err *read_all(eio_flow *flow, std::string *out) {
    eio_strbuf text = EIO_STRBUF_INIT;
    eio_buffer_sink sink;
    eio_buffer_sink_init(&sink, &text, SIZE_MAX);
    eio_err *err = eio_flow_copy(&flow->source, &sink.sink);
    if (err == nullptr)
        out->assign(eio_strbuf_str(&text), text.len);
    eio_strbuf_free(&text);
    return err;
}

eio_err *run_client(eio_switch *sw, eio_net *net, const eio_sockaddr &addr) {
    eio_traceln("Connecting to server...");
    eio_stream_socket *flow;
    EIO_TRY(eio_net_connect(net, sw, &addr, nullptr, &flow));
    EIO_TRY(eio_flow_copy_string("Hello from client", &flow->flow.sink));
    EIO_TRY(eio_flow_shutdown(&flow->flow, EIO_SHUTDOWN_SEND));
    std::string msg;
    EIO_TRY(read_all(&flow->flow, &msg));
    eio_traceln("Client received: %s", Quoted(msg).c_str());
    return nullptr;
}

static eio_err *receive(eio_flow *flow) {
    std::string msg;
    EIO_TRY(read_all(flow, &msg));
    eio_traceln("Server received: %s", Quoted(msg).c_str());
    return nullptr;
}

/// `Fun.protect (fun () -> ...) ~finally`: the clean-up runs in any case, and its error doesn't
/// hide the first one.
static eio_err *handle(void *, eio_flow *flow, const eio_sockaddr *) {
    eio_traceln("Server accepted connection from client");
    eio_err *err = receive(flow);
    auto finally = [flow] { return eio_flow_copy_string("Bye", &flow->sink); };
    eio_cleanup(&err, Fn<decltype(finally)>::Call, &finally);
    return err;
}

static eio_err *report(void *, eio_err *err) {
    if (eio_err_catch(&err, &graceful_shutdown_kind))
        return nullptr;
    eio_traceln("Error handling connection: %s", TakeText(err).c_str());
    return nullptr;
}

eio_err *run_server(eio_switch *sw, eio_listener *socket) {
    for (;;)
        EIO_TRY(eio_net_accept_fork(socket, sw, handle, nullptr, report, nullptr));
}

eio_err *client_cancels_server(eio_switch *sw, eio_net *net, eio_listener *server,
                               const eio_sockaddr &addr) {
    return Both([&] { return run_server(sw, server); },
                [&]() -> eio_err * {
                    EIO_TRY(run_client(sw, net, addr));
                    eio_traceln("Client finished - cancelling server");
                    return Graceful_shutdown();
                });
}

eio_err *test_address(eio_net *net, eio_switch *sw, const eio_sockaddr &addr) {
    const eio_listen_opts opts = ReuseAddr();
    eio_listener *server;
    EIO_TRY(eio_net_listen(net, sw, &addr, &opts, &server));
    return client_cancels_server(sw, net, server, addr);
}

eio_err *assert_false(void *, eio_flow *, const eio_sockaddr *) {
    ADD_FAILURE() << "the handler must not run";
    return nullptr;
}

} // namespace seed
