// SPDX-License-Identifier: ISC
#ifndef EIO_CONNECT_ANY_H
#define EIO_CONNECT_ANY_H

/*
 * Connecting by name: each address of a host is tried, one after another or staggered (Happy
 * Eyeballs, RFC 8305).
 *
 *     EIO_TRY(eio_net_with_tcp_connect(net, "www.example.com", "http", NULL, fetch, &req));
 */

#include "eio/clock.h"
#include "eio/net.h"

EIO_BEGIN_DECLS

/** Uses one connection, which is borrowed until it returns. */
typedef eio_err *eio_connected_fn(void *arg, eio_flow *flow);

/** How to connect by name. NULL, or all zero: one address after another, no time-out. */
struct eio_tcp_connect_opts {
    eio_timeout timeout; /**< for each attempt; all zero: none */
    /** Set: Happy Eyeballs, its delays by this clock; NULL: one after another. */
    eio_mono_clock *happy_clock;
    int64_t attempt_delay_ns;    /**< Happy Eyeballs: before the next attempt; 0: 250 ms */
    int64_t resolution_delay_ns; /**< Happy Eyeballs: how long A waits for AAAA; 0: 50 ms */
};

/**
 * Looks `host` up, connects to its first address that answers, and runs `fn(arg, flow)`; the
 * connection is closed and freed when that has ended.
 *
 * One after another: an attempt that fails, or takes too long, makes way for the next address; the
 * last one's error is the call's. Happy Eyeballs: the addresses are tried alternately from both
 * families, starting with the preferred one; when an attempt fails, or hasn't succeeded after the
 * delay, the next one begins beside it. The first to succeed wins; the others are cancelled, and
 * closed, before `fn` is called. When all fail the error holds every attempt's, in order. An
 * attempt that fails for another reason than the world outside (not Io) ends the call at once.
 *
 * Suspends:  for the lookup, the attempts, and as `fn` does.
 * Errors:    of the lookup and the attempts: Net Connection_failure (No_matching_addresses,
 *            Timeout, Refused, ...), Net Address_lookup_failed, other Io, with the line `connecting
 *            to "HOST":SERVICE`; those of `fn` as they are; Cancelled; Out_of_memory, Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_with_tcp_connect(eio_net *net, const char *host,
                                                       const char *service,
                                                       const struct eio_tcp_connect_opts *opts,
                                                       eio_connected_fn *fn, void *arg);

EIO_END_DECLS

#endif
