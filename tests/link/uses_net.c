// SPDX-License-Identifier: ISC
#include "eio/connect_any.h"
#include "eio/net.h"
#include "eio/server.h"

static eio_net *no_net;
static eio_listener *no_listener;

static eio_err *handle(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg;
    (void)peer;
    return eio_flow_copy(&flow->source, &flow->sink);
}

static eio_err *talk(void *arg, eio_flow *flow) {
    (void)arg;
    eio_flow_close(flow);
    return NULL;
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) { // links it; is never called
        eio_err_drop(eio_net_run_server(no_listener, handle, NULL, eio_on_error_log, NULL, NULL));
        eio_err_drop(eio_net_with_tcp_connect(no_net, "localhost", "http", NULL, talk, NULL));
    }
    return 0;
}
