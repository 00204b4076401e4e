// SPDX-License-Identifier: ISC
#ifndef EIO_SERVER_H
#define EIO_SERVER_H

/*
 * Servers: accept, handle each connection in a fiber of its own, close it whatever happens.
 *
 *     static eio_err *echo(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
 *         return eio_flow_copy(&flow->source, &flow->sink);
 *     }
 *     EIO_TRY(eio_net_run_server(listener, echo, NULL, eio_on_error_log, NULL, NULL));
 */

#include <stddef.h>

#include "eio/clock.h"
#include "eio/domain.h"
#include "eio/net.h"
#include "eio/promise.h"

EIO_BEGIN_DECLS

/**
 * Handles one connection; `flow` and `peer` are borrowed until it returns. With more domains:
 * called by several threads.
 */
typedef eio_err *eio_connection_fn(void *arg, eio_flow *flow, const eio_sockaddr *peer);
/**
 * Takes an error over; returns NULL (handled) or what fails the switch. With more domains: called
 * by several threads.
 */
typedef eio_err *eio_on_error_fn(void *arg, eio_err *err);
/** Hands the error on: the first failing handler ends the server. Suspends: never. */
EIO_API eio_err *eio_on_error_fail(void *arg, eio_err *err);
/** Prints the error as a trace line, and goes on. Suspends: never. */
EIO_API eio_err *eio_on_error_log(void *arg, eio_err *err);

/**
 * Accepts one connection and runs `handler(arg, flow, peer)` in a new fiber of `sw`; the connection
 * is closed and freed when the handler has ended, before `on_error` gets its error (with the line
 * `handling connection from ADDR`). Cancelled never reaches `on_error`. When `sw` is off by then
 * the connection is closed, and NULL returned.
 *
 * Suspends:  until somebody connects.
 * Errors:    those of `eio_listener_accept`; Out_of_memory, Stack_limit (the connection is closed).
 * Domain:    `sw`'s own.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_accept_fork(eio_listener *listener, eio_switch *sw,
                                                  eio_connection_fn *handler, void *arg,
                                                  eio_on_error_fn *on_error, void *on_error_arg);

/** How to run a server. NULL, or all zero: defaults. */
struct eio_server_opts {
    /** Handled at a time, in all domains together; 0: no limit; negative: Invalid_argument. */
    int max_connections;
    /** When resolved: no more accepts, the handlers finish, then the call returns. May be NULL. */
    eio_promise *stop;
    /** Where additional domains come from; needed when there are any (asserted). */
    eio_domain_mgr *domain_mgr;
    /** Domains beside this one; negative: Invalid_argument. */
    int additional_domains;
    /** To wait by when accept lacks something; NULL: the running loop's own. */
    eio_mono_clock *clock;
    /** At least so much stack for each handler; 0: the loop's default. */
    size_t stack_bytes;
    /**
     * Set: each additional domain listens by itself, on the listener's address with SO_REUSEPORT,
     * through this network (the listener must have `reuse_port`, too). It saves the domains from
     * competing for one queue. But the connections that the system has queued for a domain and that
     * it hasn't accepted are reset when it stops. NULL: all domains accept from `listener`.
     */
    eio_net *shard_net;
    /** How those listen, `reuse_port` is added. May be NULL. */
    const struct eio_listen_opts *shard_opts;
};
/**
 * Accepts and handles connections until stopped, cancelled, or failed. A lack of descriptors,
 * memory or stacks, and a connection that died in the queue, are reported to `on_error` and don't
 * end the server; after a lack it waits a little (5 ms, doubling up to 1 s) before it accepts again.
 *
 * Suspends:  until the end.
 * Errors:    what `on_error` returned; those of `eio_listener_accept` that no waiting cures;
 *            Cancelled; Invalid_argument `max_connections`, `additional_domains`; those of
 *            `eio_net_listen` (`shard_net`); Out_of_memory. After a graceful stop the stop
 *            promise's own error.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_run_server(eio_listener *listener, eio_connection_fn *handler,
                                                 void *arg, eio_on_error_fn *on_error,
                                                 void *on_error_arg,
                                                 const struct eio_server_opts *opts);

EIO_END_DECLS

#endif
