// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_NET_H
#define EIO_MOCK_NET_H

/*
 * A network that does what a script says, and prints what is asked of it.
 *
 *     eio_mock_net *net;
 *     EIO_TRY(eio_mock_net_create("net", &net));
 *     EIO_TRY(eio_mock_on_default(&net->on_connect, eio_mock_return_flow(&conn->socket)));
 *     EIO_TRY(eio_net_connect(&net->net, sw, &addr, NULL, &socket));
 *                                                      // +net: connect to tcp:127.0.0.1:80
 *
 * And the sockets that only servers and datagrams need; for connections see `eio/mock/flow.h`.
 */

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/mock/action.h"
#include "eio/net.h"
#include "eio/unix_net.h"

EIO_BEGIN_DECLS

/**
 * A network with scripts. It prints `LABEL: connect to ADDR`, `listen on ADDR`, `datagram_socket
 * ADDR` (or UDPv4, UDPv6), `getaddrinfo ~service:SERVICE HOST`, `getnameinfo ADDR` before it
 * performs the action. Default of each: Failure `Mock connect handler not configured`, and so on.
 */
typedef struct eio_mock_net {
    union {
        eio_net net;           /**< what is tested gets this */
        eio_unix_net unix_net; /**< or this, as `env->net` */
    };
    eio_mock_handler on_connect;         /**< gives a flow */
    eio_mock_handler on_listen;          /**< gives a listener */
    eio_mock_handler on_datagram_socket; /**< gives a datagram socket */
    eio_mock_handler on_getaddrinfo;     /**< gives addresses */
    eio_mock_handler on_getnameinfo;     /**< gives names */
} eio_mock_net;

/**
 * A network without scripts.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it. `label` is copied.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_net_create(const char *label, eio_mock_net **out);
/** Frees a network; NULL is fine. Suspends: never. */
EIO_API void eio_mock_net_destroy(eio_mock_net *self);
/**
 * The mock network behind `net`, as `&env->net->net`; anything else is asserted. Suspends: never.
 */
EIO_API eio_mock_net *eio_mock_net_of(eio_net *net);

/**
 * A listener with a script. An accept performs its action, puts the connection into the switch
 * (closed with it, unless before), and prints `LABEL: accepted connection from ADDR`. Each close
 * prints `LABEL: closed`.
 */
typedef struct eio_mock_listener {
    union {
        eio_listener listener;           /**< what is tested gets this */
        eio_unix_listener unix_listener; /**< or this; `fd` is NULL */
    };
    eio_mock_handler on_accept; /**< default: Failure `Mock accept handler not configured` */
    eio_sockaddr addr; /**< what `eio_listener_addr` gives; tcp:0.0.0.0:0 until it is set */
} eio_mock_listener;

/**
 * A listener that belongs to no switch.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it. `label` is copied.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_listener_create(const char *label, eio_mock_listener **out);
/**
 * Takes a listener off its switch and frees it, printing nothing; NULL is fine. Suspends: never.
 */
EIO_API void eio_mock_listener_destroy(eio_mock_listener *self);
/** The mock listener behind `listener`; anything else is asserted. Suspends: never. */
EIO_API eio_mock_listener *eio_mock_listener_of(eio_listener *listener);

/**
 * A datagram socket with scripts. It prints `LABEL: sent to ADDR "..."` (without `to ADDR` when
 * there is none) after the action of a send, `LABEL: received from ADDR "..."` after that of a
 * receive, and `LABEL: closed` at each close.
 */
typedef struct eio_mock_datagram {
    union {
        eio_datagram_socket socket;      /**< what is tested gets this */
        eio_unix_datagram unix_datagram; /**< or this; `fd` is NULL */
    };
    /** Each send, which takes the whole datagram. Default: success. */
    eio_mock_handler on_send;
    /**
     * Each receive: what comes, cut when the buffer is shorter. Default: Failure `Mock recv handler
     * not configured`.
     */
    eio_mock_handler on_recv;
    eio_sockaddr addr; /**< what `eio_datagram_addr` gives; udp:0.0.0.0:0 until it is set */
} eio_mock_datagram;

/**
 * A datagram socket that belongs to no switch.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it. `label` is copied.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_datagram_create(const char *label, eio_mock_datagram **out);
/** Takes a socket off its switch and frees it, printing nothing; NULL is fine. Suspends: never. */
EIO_API void eio_mock_datagram_destroy(eio_mock_datagram *self);
/** The mock socket behind `socket`; anything else is asserted. Suspends: never. */
EIO_API eio_mock_datagram *eio_mock_datagram_of(eio_datagram_socket *socket);

EIO_END_DECLS

#endif
