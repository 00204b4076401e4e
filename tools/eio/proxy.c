// SPDX-License-Identifier: ISC
// eio proxy LISTEN TARGET: forwards each connection both ways. The end of one direction is passed
// on as a half-close, so that the other may go on.

#include "tools/eio/commands.h"

struct proxy {
    const struct options *options;
    const eio_env *env;
};

struct direction {
    eio_flow *from;
    eio_flow *to;
};

static eio_err *forward(void *arg) {
    struct direction *self = arg;
    EIO_TRY(eio_flow_copy(&self->from->source, &self->to->sink));
    return eio_flow_shutdown(self->to, EIO_SHUTDOWN_SEND);
}

struct session {
    struct proxy *proxy;
    eio_flow *client;
};

static eio_err *run_session(void *arg, eio_switch *sw) {
    struct session *self = arg;
    eio_stream_socket *target;
    EIO_TRY(connect_to(self->proxy->env, sw, self->proxy->options->target, &target));
    struct direction there = {.from = self->client, .to = &target->flow};
    struct direction back = {.from = &target->flow, .to = self->client};
    return eio_fiber_both(forward, &there, forward, &back);
}

static eio_err *handle(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)peer;
    return eio_switch_run(run_session, &(struct session){.proxy = arg, .client = flow});
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct proxy *self = arg;
    eio_listener *listener;
    EIO_TRY(listen_on(self->env, sw, self->options->addr, &listener));
    return serve_until_signal(self->env, listener, handle, self, self->options);
}

eio_err *proxy_command(void *arg, const eio_env *env) {
    return eio_switch_run(run, &(struct proxy){.options = arg, .env = env});
}
