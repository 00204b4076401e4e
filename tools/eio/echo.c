// SPDX-License-Identifier: ISC
// eio echo ADDR: sends back what comes, until a signal.

#include "tools/eio/commands.h"

struct echo {
    const struct options *options;
    const eio_env *env;
};

static eio_err *handle(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg;
    (void)peer;
    return eio_flow_copy(&flow->source, &flow->sink);
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct echo *self = arg;
    eio_listener *listener;
    EIO_TRY(listen_on(self->env, sw, self->options->addr, &listener));
    return serve_until_signal(self->env, listener, handle, NULL, self->options);
}

eio_err *echo_command(void *arg, const eio_env *env) {
    return eio_switch_run(run, &(struct echo){.options = arg, .env = env});
}
