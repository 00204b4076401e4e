// SPDX-License-Identifier: ISC
#include "eio/eio.h"

static eio_connection_fn greet;
static eio_switch_fn talk;
static eio_main_fn app;

static eio_err *greet(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)peer;
    return eio_flow_copy_string(arg, &flow->sink);
}

static eio_err *talk(void *arg, eio_switch *sw) {
    const eio_env *env = arg;
    const eio_sockaddr any_port = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    eio_listener *listener;
    eio_sockaddr addr;
    eio_stream_socket *conn;
    EIO_TRY(eio_net_listen(&env->net->net, sw, &any_port, NULL, &listener));
    EIO_TRY(eio_listener_addr(listener, &addr));
    EIO_TRY(eio_net_connect(&env->net->net, sw, &addr, NULL, &conn));
    EIO_TRY(eio_net_accept_fork(listener, sw, greet, "hello over TCP\n", eio_on_error_fail, NULL));
    return eio_flow_copy(&conn->flow.source, env->stdout_);
}

static eio_err *app(void *arg, const eio_env *env) {
    (void)arg;
    eio_env own = *env;
    return eio_switch_run(talk, &own);
}

int main(void) {
    return eio_main(app, NULL);
}
