// SPDX-License-Identifier: ISC

// A connection has an owner at every instant: the accept puts it into the switch; the handler's
// fiber frees it when the handler has ended, before anyone hears of the handler's error; if that
// fiber couldn't be started, who accepted frees it.
//
// A server is a switch with an accept loop of its own in each domain, and, where there is a limit,
// one semaphore for all of them. A slot is taken before the accept, so what is over the limit waits
// in the listener's queue. From then on it's the loop's, until a handler's fiber has started: then
// that one's, which gives it back before its connection is closed.
//
// Stopping: each loop races against the stop promise, the wait being in the domain's own fiber. So
// only the loop is cancelled; the handlers are the switch's, whose end waits for them. The
// promise's error comes out only after that.
//
// Not every failed accept ends a server. What time may cure (no descriptors, no memory, no stacks)
// is reported and waited for, without a slot, longer each time; what concerns one connection in the
// queue is reported and skipped, unless it happens so often in a row that it's rather a lack, too.
// Anything else would come again for ever, and ends the server.
//
// Where the listener says that it pays, a loop has several fibers that accept, in a switch of its
// own: the first one, and the others from the first connection on. They are one to the outside: a
// lack is reported by the first that finds it, and the error that ends the server is one error,
// though it ends all of them. Domains that share a listener have one each, so that a few connections
// are spread over them.

#include "eio/server.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "eio/err_net.h"
#include "eio/fiber.h"
#include "eio/net_pi.h"
#include "eio/semaphore.h"
#include "eio/trace.h"
#include "fiber/base/assert.h"
#include "fiber/pause.h"

#define BACKOFF_MIN_NS (5 * EIO_MILLISECOND)
#define BACKOFF_MAX_NS (1 * EIO_SECOND)

enum { SKIPS_IN_A_ROW = 16 };

eio_err *eio_on_error_fail(void *arg, eio_err *err) {
    (void)arg;
    return err;
}

eio_err *eio_on_error_log(void *arg, eio_err *err) {
    (void)arg;
    EIO_CLEANUP(eio_strbuf_free) eio_strbuf text = EIO_STRBUF_INIT;
    eio_err_print(err, &text);
    eio_traceln("%s", eio_strbuf_str(&text));
    eio_err_drop(err);
    return NULL;
}

// --- One connection ------------------------------------------------------------------------------

/** A connection and what to do with it: copied to the stack of the handler's fiber. */
struct connection {
    eio_stream_socket *socket;
    eio_sockaddr peer;
    eio_connection_fn *handler;
    void *arg;
    eio_on_error_fn *on_error;
    void *on_error_arg;
    eio_semaphore *slots; // one is taken for it; NULL: there is no limit
};

static eio_fiber_fn handle;

static eio_err *handle(void *arg) {
    struct connection *self = arg;
    eio_err *err = self->handler(self->arg, &self->socket->flow, &self->peer);
    if (self->slots != NULL)
        eio_semaphore_release(self->slots);
    eio_flow_free(&self->socket->flow);
    if (err == NULL || eio_err_is(err, &eio_err_cancelled))
        return err;
    char peer[EIO_SOCKADDR_STR_MAX];
    err = eio_err_add_context(err, "handling connection from %s",
                              eio_sockaddr_str(&self->peer, peer));
    return self->on_error(self->on_error_arg, err);
}

/** Where connections come from, and where they go. */
struct acceptance {
    eio_err *(*accept)(eio_listener *self, eio_switch *sw, eio_stream_socket **out,
                       eio_sockaddr *out_peer); // one of the listener's
    eio_listener *listener;
    eio_switch *sw;     // of the handlers
    size_t stack_bytes; // of a handler; 0: the default
};

/**
 * Accepts into `self`, and starts its handler; `*out_started` says whether that has run, whatever
 * is returned.
 */
static eio_err *accept_one(struct connection *self, const struct acceptance *how,
                           bool *out_started) {
    eio_listener *listener = how->listener;
    eio_switch *sw = how->sw;
    *out_started = false;
    EIO_TRY_CTX(how->accept(listener, sw, &self->socket, &self->peer), "accepting a connection");
    bool refused = false;
    const struct eio_fork_opts opts = {
        .name = "connection", .stack_bytes = how->stack_bytes, .refused = &refused};
    eio_err *err =
        eio_fiber_fork_copy(sw, handle, self, sizeof *self, _Alignof(struct connection), &opts);
    *out_started = err == NULL && !refused;
    if (!*out_started)
        eio_flow_free(&self->socket->flow);
    return err;
}

eio_err *eio_net_accept_fork(eio_listener *listener, eio_switch *sw, eio_connection_fn *handler,
                             void *arg, eio_on_error_fn *on_error, void *on_error_arg) {
    struct connection connection = {
        .handler = handler, .arg = arg, .on_error = on_error, .on_error_arg = on_error_arg};
    const struct acceptance how = {.accept = listener->ops->accept, .listener = listener, .sw = sw};
    bool started;
    return accept_one(&connection, &how, &started);
}

// --- A server ------------------------------------------------------------------------------------

/** A server. All domains read it; nobody writes to it once it has started. */
struct server {
    eio_listener *listener;
    eio_connection_fn *handler;
    void *arg;
    eio_on_error_fn *on_error;
    void *on_error_arg;
    const struct eio_server_opts *opts; // never NULL
    eio_semaphore *slots;               // NULL: no limit
    eio_sockaddr addr;                  // of the listener; valid when opts->shard_net is set
};

/** The accept loop of one domain. */
struct loop {
    const struct server *server;
    struct acceptance how;
    eio_switch *own;    // of the fibers that accept; NULL: there is one
    unsigned to_start;  // of those fibers
    int64_t backoff_ns; // how long the next lack waits; 0: there was none since the last success
    unsigned skips;     // connections skipped since the last success
    bool backing_off;   // a fiber does
    bool over;          // a fiber has the error that ends the server
};

/** What a failed accept means for the server. */
enum verdict {
    VERDICT_LACK, // something may be free again later
    VERDICT_SKIP, // one connection was lost
    VERDICT_END,  // no accept will succeed
};

static enum verdict judge(const eio_err *err) {
    if (eio_err_is(err, &eio_err_out_of_memory) || eio_err_is(err, &eio_err_stack_limit))
        return VERDICT_LACK;
    switch (eio_err_errno(err)) {
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM: return VERDICT_LACK;
    // accept(2): the network's errors of a connection in the queue come out of accept.
    case ECONNABORTED:
    case ECONNRESET:
    case EPROTO:
    case EPERM:
    case ETIMEDOUT:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EAGAIN:
    case EINTR: return VERDICT_SKIP;
    default: break;
    }
    return eio_err_is(err, &eio_err_net_connection_reset) ? VERDICT_SKIP : VERDICT_END;
}

static eio_err *wait_for(const struct loop *self, int64_t ns) {
    eio_mono_clock *clock = self->server->opts->clock;
    return clock != NULL ? eio_mono_clock_sleep(clock, ns) : eioi_pause(ns);
}

/** Waits before the next accept, twice as long as the last time. */
static eio_err *back_off(struct loop *self) {
    int64_t doubled = self->backoff_ns * 2;
    self->backoff_ns = doubled < BACKOFF_MIN_NS ? BACKOFF_MIN_NS : doubled;
    if (self->backoff_ns > BACKOFF_MAX_NS)
        self->backoff_ns = BACKOFF_MAX_NS;
    self->backing_off = true;
    eio_err *err = wait_for(self, self->backoff_ns);
    self->backing_off = false;
    return err;
}

/** Goes on after a failed accept, or returns what ends the server; takes `err` over. */
static eio_err *recover(struct loop *self, eio_err *err) {
    const struct server *server = self->server;
    enum verdict verdict = judge(err);
    if (verdict == VERDICT_END)
        return err;
    if (verdict == VERDICT_LACK && self->backing_off) { // reported by another fiber
        eio_err_drop(err);
        // Since then there may have been a success: all the same it isn't tried again at once.
        return wait_for(self,
                        self->backoff_ns > BACKOFF_MIN_NS ? self->backoff_ns : BACKOFF_MIN_NS);
    }
    EIO_TRY(server->on_error(server->on_error_arg, err));
    if (verdict == VERDICT_SKIP && ++self->skips < SKIPS_IN_A_ROW)
        return NULL;
    return back_off(self);
}

/**
 * Takes a slot, accepts one connection in it, starts its handler; the slot is free again unless
 * that was started.
 */
static eio_err *serve_one(struct loop *self) {
    const struct server *server = self->server;
    struct connection connection = {.handler = server->handler,
                                    .arg = server->arg,
                                    .on_error = server->on_error,
                                    .on_error_arg = server->on_error_arg,
                                    .slots = server->slots};
    bool started;
    if (server->slots != NULL)
        EIO_TRY(eio_semaphore_acquire(server->slots));
    eio_err *err = accept_one(&connection, &self->how, &started);
    if (!started && server->slots != NULL)
        eio_semaphore_release(server->slots);
    // A refused fork means that the switch is off: then this loop, too, is over.
    return err == NULL && !started ? eio_switch_check(self->how.sw) : err;
}

static eio_fiber_fn accept_too;

/** For want of memory or stacks, those that there are go on without them. */
static void start_others(struct loop *self) {
    const struct eio_fork_opts opts = {.name = "acceptor"};
    while (self->to_start > 0) {
        self->to_start--;
        eio_err_drop(eio_fiber_fork(self->own, accept_too, self, &opts));
    }
}

/** Accepts until an error ends it. */
static eio_err *accept_loop(void *arg) {
    struct loop *self = arg;
    for (;;) {
        eio_err *err = serve_one(self);
        if (err != NULL) {
            EIO_TRY(recover(self, err));
            continue;
        }
        self->backoff_ns = 0;
        self->skips = 0;
        start_others(self);
    }
}

/** One of several accept loops: the first that fails says why, for all. */
static eio_err *accept_too(void *arg) {
    struct loop *self = arg;
    eio_err *err = accept_loop(self);
    if (eio_err_is(err, &eio_err_cancelled))
        return err;
    if (self->over) {
        eio_err_drop(err);
        return NULL;
    }
    self->over = true;
    return err;
}

static eio_err *accept_in_own(void *arg, eio_switch *sw) {
    struct loop *self = arg;
    self->own = sw;
    return accept_too(self);
}

static eio_err *accept_abreast(void *arg) {
    return eio_switch_run(accept_in_own, arg);
}

/** Succeeds once the stop promise is resolved, with whatever. */
static eio_err *await_stop(void *arg) {
    struct loop *self = arg;
    eio_promise *stop = self->server->opts->stop;
    eio_err *err = eio_promise_await(stop, /* out_value= */ NULL);
    bool cancelled = eio_err_is(err, &eio_err_cancelled) && eio_fiber_is_cancelled();
    if (err != NULL && eio_promise_is_resolved(stop) && !cancelled) {
        eio_err_drop(err);
        return NULL;
    }
    return err;
}

/** How many fibers of a domain accept. */
static unsigned acceptors(const struct server *server, eio_listener *listener) {
    const struct eio_server_opts *opts = server->opts;
    bool limited = opts->max_connections > 0;
    // Fibers that wait in one domain must not keep connections, or slots, from another.
    if (opts->additional_domains > 0 && (limited || opts->shard_net == NULL))
        return 1;
    unsigned n = listener->ops->acceptors == NULL ? 1 : listener->ops->acceptors(listener);
    return limited && n > (unsigned)opts->max_connections ? (unsigned)opts->max_connections : n;
}

/** The part of one domain: `sw` is its own, and the handlers'. */
static eio_err *serve(const struct server *server, eio_listener *listener, eio_switch *sw) {
    unsigned n = acceptors(server, listener);
    const struct eio_listener_ops *ops = listener->ops;
    struct loop loop = {.server = server,
                        .how = {.accept = n > 1 ? ops->accept_abreast : ops->accept,
                                .listener = listener,
                                .sw = sw,
                                .stack_bytes = server->opts->stack_bytes},
                        .to_start = n - 1};
    eio_fiber_fn *run = n > 1 ? accept_abreast : accept_loop;
    if (server->opts->stop == NULL)
        return run(&loop);
    return eio_fiber_first(run, &loop, await_stop, &loop, /* out_winner= */ NULL);
}

static eio_err *serve_domain(void *arg, eio_switch *sw) {
    const struct server *self = arg;
    const struct eio_server_opts *opts = self->opts;
    eio_listener *listener = self->listener;
    if (opts->shard_net != NULL) {
        struct eio_listen_opts own = {0};
        if (opts->shard_opts != NULL)
            own = *opts->shard_opts;
        own.reuse_port = true;
        EIO_TRY(eio_net_listen(opts->shard_net, sw, &self->addr, &own, &listener));
    }
    return serve(self, listener, sw);
}

static eio_err *domain_main(void *arg) {
    return eio_switch_run(serve_domain, arg);
}

/** The fiber, in the first domain, that stands for an additional one. */
static eio_err *run_domain(void *arg) {
    struct server *self = arg;
    return eio_domain_run(self->opts->domain_mgr, domain_main, self);
}

static eio_err *run_server(void *arg, eio_switch *sw) {
    struct server *self = arg;
    const struct eio_server_opts *opts = self->opts;
    if (opts->max_connections > 0)
        EIO_TRY(eio_semaphore_create(sw, (size_t)opts->max_connections, &self->slots));
    if (opts->shard_net != NULL)
        EIO_TRY(eio_listener_addr(self->listener, &self->addr));
    const struct eio_fork_opts fork_opts = {.name = "domain"};
    for (int i = 0; i < opts->additional_domains; i++)
        EIO_TRY(eio_fiber_fork(sw, run_domain, self, &fork_opts));
    return serve(self, self->listener, sw);
}

eio_err *eio_net_run_server(eio_listener *listener, eio_connection_fn *handler, void *arg,
                            eio_on_error_fn *on_error, void *on_error_arg,
                            const struct eio_server_opts *opts) {
    static const struct eio_server_opts defaults;
    opts = opts != NULL ? opts : &defaults;
    if (opts->max_connections < 0)
        return eio_err_new(&eio_err_invalid_argument, "max_connections");
    if (opts->additional_domains < 0)
        return eio_err_new(&eio_err_invalid_argument, "additional_domains");
    EIO_ASSERT(opts->additional_domains == 0 || opts->domain_mgr != NULL,
               "a server with additional domains needs a domain manager");
    struct server server = {.listener = listener,
                            .handler = handler,
                            .arg = arg,
                            .on_error = on_error,
                            .on_error_arg = on_error_arg,
                            .opts = opts};
    EIO_TRY(eio_switch_run(run_server, &server));
    // Only the stop promise ends a server without an error; if it carries one, that is the result.
    return eio_promise_await(opts->stop, /* out_value= */ NULL);
}
