// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_NET_H
#define EIO_UNIX_NET_H

/*
 * Networks of real sockets keep that in their types: what they make has a descriptor, without a
 * cast or a lookup that could fail. Each type has the generic one as its first member.
 *
 *     eio_unix_listener *listener;
 *     EIO_TRY(eio_unix_listen(env->net, sw, &addr, NULL, &listener));
 *     eio_fd *fd = listener->fd;
 */

#include "eio/fd.h"
#include "eio/net_pi.h"
#include "eio/server.h"

EIO_BEGIN_DECLS

/** A network of real sockets. */
typedef struct eio_unix_net {
    eio_net net;        /**< the generic network */
    eio_lookup *lookup; /**< what looks names up; NULL: lookups fail with Not_available */
} eio_unix_net;
/** A real listener. */
typedef struct eio_unix_listener {
    eio_listener listener; /**< the generic listener */
    eio_fd *fd;            /**< its descriptor; lives as long as the listener */
} eio_unix_listener;
/** A real stream socket. */
typedef struct eio_unix_flow {
    eio_stream_socket socket; /**< the generic stream socket */
    eio_fd *fd;               /**< its descriptor; lives as long as the flow */
} eio_unix_flow;
/** A real datagram socket. */
typedef struct eio_unix_datagram {
    eio_datagram_socket socket; /**< the generic datagram socket */
    eio_fd *fd;                 /**< its descriptor; lives as long as the socket */
} eio_unix_datagram;

/** A network that looks names up through `lookup` (may be NULL). Suspends: never. */
EIO_API void eio_unix_net_init(eio_unix_net *self, eio_lookup *lookup);
/**
 * As `eio_net_listen`.
 *
 * Suspends:  never.
 * Errors:    as `eio_net_listen`.
 */
EIO_API EIO_MUST_USE eio_err *eio_unix_listen(eio_unix_net *self, eio_switch *sw,
                                              const eio_sockaddr *addr,
                                              const struct eio_listen_opts *opts,
                                              eio_unix_listener **out);
/**
 * As `eio_net_connect`.
 *
 * Suspends:  until connected.
 * Errors:    as `eio_net_connect`.
 */
EIO_API EIO_MUST_USE eio_err *eio_unix_connect(eio_unix_net *self, eio_switch *sw,
                                               const eio_sockaddr *addr,
                                               const struct eio_connect_opts *opts,
                                               eio_unix_flow **out);
/**
 * As `eio_listener_accept`.
 *
 * Suspends:  until somebody connects.
 * Errors:    as `eio_listener_accept`.
 */
EIO_API EIO_MUST_USE eio_err *eio_unix_accept(eio_unix_listener *self, eio_switch *sw,
                                              eio_unix_flow **out, eio_sockaddr *out_peer);
/** Handles one connection of a real listener. */
typedef eio_err *eio_unix_connection_fn(void *arg, eio_unix_flow *flow, const eio_sockaddr *peer);
/**
 * As `eio_net_accept_fork`.
 *
 * Suspends:  until somebody connects.
 * Errors:    as `eio_net_accept_fork`.
 */
EIO_API EIO_MUST_USE eio_err *eio_unix_accept_fork(eio_unix_listener *self, eio_switch *sw,
                                                   eio_unix_connection_fn *handler, void *arg,
                                                   eio_on_error_fn *on_error, void *on_error_arg);

EIO_END_DECLS

#endif
