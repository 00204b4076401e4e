// SPDX-License-Identifier: ISC
// A server that signals end: the first drains, the second stops.

#include <signal.h>
#include <stdio.h>

#include "eio/signal.h"
#include "tools/eio/commands.h"

struct server {
    const eio_env *env;
    eio_listener *listener;
    eio_connection_fn *handler;
    void *arg;
    const struct options *options;
    eio_signal *signals;
    eio_promise_resolver *stop;
};

/** A daemon: it ends with the server. */
static eio_err *watch_signals(void *arg) {
    struct server *self = arg;
    int signum;
    EIO_TRY(eio_signal_wait(self->signals, &signum));
    fprintf(stderr, "no new connections; those there are may finish (another signal stops them)\n");
    eio_promise_resolve(self->stop, NULL);
    EIO_TRY(eio_signal_wait(self->signals, &signum));
    return eio_err_failure("stopped by a second signal");
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct server *self = arg;
    static const int ends[] = {SIGINT, SIGTERM};
    eio_promise *stopped;
    EIO_TRY(eio_promise_create(sw, &stopped, &self->stop));
    EIO_TRY(eio_signal_open(sw, ends, 2, &self->signals));
    const struct eio_fork_opts opts = {.name = "signals"};
    EIO_TRY(eio_fiber_fork_daemon(sw, watch_signals, self, &opts));
    const struct eio_server_opts server = {
        .max_connections = self->options->max_connections,
        .stop = stopped,
        .domain_mgr = self->env->domain_mgr,
        .additional_domains = self->options->domains - 1,
        .clock = self->env->mono_clock,
    };
    return eio_net_run_server(self->listener, self->handler, self->arg, eio_on_error_log, NULL,
                              &server);
}

eio_err *serve_until_signal(const eio_env *env, eio_listener *listener, eio_connection_fn *handler,
                            void *arg, const struct options *options) {
    struct server self = {
        .env = env,
        .listener = listener,
        .handler = handler,
        .arg = arg,
        .options = options,
    };
    return eio_switch_run(run, &self);
}
