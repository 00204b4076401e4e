// SPDX-License-Identifier: ISC
// eio connect ADDR: joins standard input and output to a connection. The end of the input is passed
// on as a half-close; the program ends when the peer has sent its last byte, and gives up reading
// its input then.

#include "tools/eio/commands.h"

struct connection {
    const struct options *options;
    const eio_env *env;
    eio_flow *flow;
};

/** A daemon: what is left of the input is of no use once the peer has ended. */
static eio_err *send_input(void *arg) {
    struct connection *self = arg;
    EIO_TRY(eio_flow_copy(self->env->stdin_, &self->flow->sink));
    return eio_flow_shutdown(self->flow, EIO_SHUTDOWN_SEND);
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct connection *self = arg;
    eio_stream_socket *socket;
    EIO_TRY(connect_to(self->env, sw, self->options->addr, &socket));
    self->flow = &socket->flow;
    const struct eio_fork_opts opts = {.name = "stdin"};
    EIO_TRY(eio_fiber_fork_daemon(sw, send_input, self, &opts));
    return eio_flow_copy(&self->flow->source, self->env->stdout_);
}

eio_err *connect_command(void *arg, const eio_env *env) {
    return eio_switch_run(run, &(struct connection){.options = arg, .env = env});
}
