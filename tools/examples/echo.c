// SPDX-License-Identifier: ISC
// An echo server on 127.0.0.1:7777, whole. As in README.

#include "eio/eio.h"

static eio_err *handle(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    return eio_flow_copy(&flow->source, &flow->sink); // until the client has sent its last byte
}

static eio_err *serve(void *arg, eio_switch *sw) {
    const eio_env *env = arg;
    eio_sockaddr addr = eio_sockaddr_tcp(eio_ip_v4_loopback(), 7777);
    eio_listener *listener;
    EIO_TRY(eio_net_listen(&env->net->net, sw, &addr, NULL, &listener));
    return eio_net_run_server(listener, handle, NULL, eio_on_error_log, NULL, NULL);
}

static eio_err *app(void *arg, const eio_env *env) {
    return eio_switch_run(serve, (void *)env);
}

int main(void) {
    return eio_main(app, NULL);
}
