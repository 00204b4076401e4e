// SPDX-License-Identifier: ISC
#ifndef EIO_NET_H
#define EIO_NET_H

/*
 * Networks make sockets: streams, listeners, datagram sockets. A program gets one from its
 * environment (or a mock), and passes it on to what needs it.
 *
 *     eio_stream_socket *conn;
 *     EIO_TRY(eio_net_connect(net, sw, &addr, NULL, &conn));
 *     EIO_TRY(eio_flow_copy_string("hello", &conn->flow.sink));
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/addr.h"
#include "eio/err.h"
#include "eio/err_net.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

struct eio_net_ops;
struct eio_listener_ops;
struct eio_datagram_socket_ops;

/** A network. Usable from any domain; acts on the caller's own loop. */
typedef struct eio_net {
    const struct eio_net_ops *ops; /**< from `eio/net_pi.h` */
} eio_net;

/** A connected stream socket: a flow. */
typedef struct eio_stream_socket {
    eio_flow flow; /**< read, write, shut down, close through this */
} eio_stream_socket;

/** A listening socket. Any number of fibers of any domains may accept from it. */
typedef struct eio_listener {
    const struct eio_listener_ops *ops; /**< from `eio/net_pi.h` */
} eio_listener;

/** A datagram socket. Any number of fibers of any domains may send and receive. */
typedef struct eio_datagram_socket {
    const struct eio_datagram_socket_ops *ops; /**< from `eio/net_pi.h` */
} eio_datagram_socket;

/** How to listen. NULL, or all zero: defaults. */
struct eio_listen_opts {
    unsigned backlog; /**< connections that may wait to be accepted (listen(2)); 0: 128 */
    bool reuse_addr;  /**< SO_REUSEADDR; for a Unix path: removes a socket that stands there */
    /** SO_REUSEPORT: listeners that share a port; what one has queued is lost when it closes. */
    bool reuse_port;
    /** Leaves Nagle's algorithm on for the accepted sockets; off by default (TCP_NODELAY). */
    bool delay;
    bool v6_only;       /**< an IPv6 listener takes no IPv4 connections */
    unsigned unix_mode; /**< permissions of a Unix path, as chmod(2); 0: what umask(2) leaves */
};
/** How to connect. NULL, or all zero: defaults. */
struct eio_connect_opts {
    const eio_sockaddr *bind_to; /**< the local address; NULL: the system picks */
    bool delay;                  /**< leaves Nagle's algorithm on; off by default (TCP_NODELAY) */
};
/** How to make a datagram socket. NULL, or all zero: defaults. */
struct eio_datagram_opts {
    bool reuse_addr; /**< SO_REUSEADDR; for a Unix path: removes a socket that stands there */
    bool reuse_port; /**< SO_REUSEPORT */
    /**
     * The only peer: sends without an address go there, only its datagrams come, and that nobody
     * listens there is said (Net Connection_failure Refused). NULL: none. Others' datagrams may have come
     * to a bound address before, `from` tells.
     */
    const eio_sockaddr *connect_to;
};

/**
 * Connects to a TCP or Unix address. A failed attempt closes its socket at once.
 *
 * Suspends:  until connected.
 * Errors:    Net Connection_failure Refused; Fs Not_found, Permission_denied (Unix);
 *            other Io; all with the line `connecting to ADDR`. Invalid_argument for an address of
 *            the wrong kind (also of `bind_to`, which must be of the same). Cancelled.
 *            Out_of_memory.
 * Owner:     `sw` closes and frees the socket when it ends.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_connect(eio_net *self, eio_switch *sw,
                                              const eio_sockaddr *addr,
                                              const struct eio_connect_opts *opts,
                                              eio_stream_socket **out);
/**
 * Listens on a TCP (port 0: any free one) or Unix address (unnamed: any free abstract one). A Unix
 * path is removed when the listener closes.
 *
 * Suspends:  never.
 * Errors:    Io (address in use, permission denied, ...) with the line `listening on ADDR`;
 *            Invalid_argument; Out_of_memory.
 * Owner:     `sw` closes and frees the listener when it ends.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_listen(eio_net *self, eio_switch *sw,
                                             const eio_sockaddr *addr,
                                             const struct eio_listen_opts *opts,
                                             eio_listener **out);
/**
 * A datagram socket bound to a UDP or Unix address (unnamed: any free abstract one). A Unix path is
 * removed when the socket closes. See `eio_net_datagram_socket_unbound` for a host-assigned one.
 *
 * Suspends:  never.
 * Errors:    Io with the line `binding to ADDR` (before it `connecting to ADDR` where that failed);
 *            Invalid_argument; Out_of_memory.
 * Owner:     `sw` closes and frees the socket when it ends.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_datagram_socket(eio_net *self, eio_switch *sw,
                                                      const eio_sockaddr *addr,
                                                      const struct eio_datagram_opts *opts,
                                                      eio_datagram_socket **out);
/** Which protocol an unbound datagram socket speaks. */
typedef enum eio_udp_family { EIO_UDP_V4 = 4, EIO_UDP_V6 = 6 } eio_udp_family;
/**
 * A UDP socket whose address the system assigns at the first send, or when it connects.
 *
 * Suspends:  never.
 * Errors:    Io, with the line `connecting to ADDR` where that failed; Invalid_argument;
 *            Out_of_memory.
 * Owner:     `sw` closes and frees the socket when it ends.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_datagram_socket_unbound(eio_net *self, eio_switch *sw,
                                                              eio_udp_family family,
                                                              const struct eio_datagram_opts *opts,
                                                              eio_datagram_socket **out);

/**
 * Accepts one connection; `*out_peer` (may be NULL) is its address.
 *
 * Suspends:  until somebody connects.
 * Errors:    Io (EMFILE and its like too) with the line `accepting a connection`; closed;
 *            Cancelled, also when `sw` is off; Out_of_memory (the connection is closed).
 * Owner:     `sw` closes and frees the connection when it ends.
 */
EIO_API EIO_MUST_USE eio_err *eio_listener_accept(eio_listener *self, eio_switch *sw,
                                                  eio_stream_socket **out, eio_sockaddr *out_peer);
/**
 * The address that it listens on, with the port that the system picked. Suspends: never. Errors:
 * closed; Io.
 */
EIO_API EIO_MUST_USE eio_err *eio_listener_addr(eio_listener *self, eio_sockaddr *out);
/** Stops listening now; blocked accepts end with `eio_err_closed`. Idempotent. Suspends: never. */
EIO_API void eio_listener_close(eio_listener *self);

/** What came with a datagram. */
struct eio_datagram_info {
    eio_sockaddr from; /**< the sender; an unnamed Unix sender has an empty path */
    size_t len;        /**< bytes in the buffer; 0 is a datagram too */
    bool truncated;    /**< the datagram was longer than the buffer; the rest is gone */
};
/**
 * Sends the bytes of `n` slices as one datagram, to `dst`, or (NULL) to the peer of a connected or
 * paired socket.
 *
 * Suspends:  until the system has taken it.
 * Errors:    Io with the line `sending to ADDR` (where there is one); Refused on a connected
 *            socket; Invalid_argument for an address of the wrong kind; closed; Cancelled.
 * Owner:     everything is borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_datagram_send(eio_datagram_socket *self, const eio_sockaddr *dst,
                                                const eio_slice *slices, size_t n);
/**
 * Receives one datagram into `buf`.
 *
 * Suspends:  until one arrives.
 * Errors:    Io; Refused on a connected socket; closed; Cancelled.
 * Owner:     `buf` is borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_datagram_recv(eio_datagram_socket *self, eio_buf buf,
                                                struct eio_datagram_info *out);
/** A place for one of many datagrams. */
struct eio_datagram_in {
    eio_buf buf;                   /**< where its bytes go */
    struct eio_datagram_info info; /**< set when one was received: what came with it */
};
/**
 * Receives at least one datagram, and what else has arrived, up to `n` (not 0: asserted), into
 * `items[0]`, `items[1]`, ...; `*out_n` is how many. For servers of many small datagrams: on a real
 * socket all but the first cost one system call together (recvmmsg(2)).
 *
 * Suspends:  until one arrives.
 * Errors:    as `eio_datagram_recv`; then nothing was received. An error of the socket that comes
 *            after a datagram is the next call's.
 * Owner:     `items` and their buffers are borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_datagram_recv_many(eio_datagram_socket *self,
                                                     struct eio_datagram_in *items, size_t n,
                                                     size_t *out_n);
/** One of many datagrams to send. */
struct eio_datagram_out {
    const eio_sockaddr *dst; /**< to whom; NULL: the peer of a connected or paired socket */
    const eio_slice *slices; /**< its bytes, in `n` pieces; may be NULL for none */
    size_t n;                /**< how many pieces */
};
/**
 * Sends `n` datagrams, in their order; `*out_n` is how many were sent, also after an error, which
 * is that of `items[*out_n]`: who wants to go on begins behind that one. On a real socket they go in
 * one system call, as far as the system takes them at once (sendmmsg(2)).
 *
 * Suspends:  once, and until the system has taken them.
 * Errors:    as `eio_datagram_send`.
 * Owner:     everything is borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_datagram_send_many(eio_datagram_socket *self,
                                                     const struct eio_datagram_out *items, size_t n,
                                                     size_t *out_n);
/** The local address. Suspends: never. Errors: closed; Io. */
EIO_API EIO_MUST_USE eio_err *eio_datagram_addr(eio_datagram_socket *self, eio_sockaddr *out);
/** Closes now; blocked calls end with `eio_err_closed`. Idempotent. Suspends: never. */
EIO_API void eio_datagram_close(eio_datagram_socket *self);

/** Addresses, in the memory of the switch that was given to the lookup. */
typedef struct eio_sockaddr_list {
    eio_sockaddr *items; /**< `count` of them, the preferred one first */
    size_t count;        /**< how many */
} eio_sockaddr_list;
/** The name and the service of an address. */
typedef struct eio_nameinfo {
    char host[1025]; /**< a name, or the address in numbers when it has none */
    char service[EIO_UNIX_PATH_MAX +
                 1]; /**< a name, or the port in decimal when it has none; a Unix address's path */
} eio_nameinfo;

/**
 * Looks up a host name or literal and a service name or number (NULL or "": port 0). Each address
 * comes as TCP, then as UDP, where the service has that protocol.
 *
 * Suspends:  until answered. No thread and no blocking call is used, but for the first read of a
 *            local file.
 * Errors:    Net Address_lookup_failed with the line `looking up "HOST"`; Cancelled; Out_of_memory.
 * Owner:     the list is in `sw`'s memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_getaddrinfo(eio_net *self, eio_switch *sw, const char *host,
                                                  const char *service, eio_sockaddr_list *out);
/**
 * As `eio_net_getaddrinfo`, only the addresses of stream sockets; there may be none.
 *
 * Suspends:  as `eio_net_getaddrinfo`.
 * Errors:    as `eio_net_getaddrinfo`.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_getaddrinfo_stream(eio_net *self, eio_switch *sw,
                                                         const char *host, const char *service,
                                                         eio_sockaddr_list *out);
/**
 * As `eio_net_getaddrinfo`, only the addresses of datagram sockets; there may be none.
 *
 * Suspends:  as `eio_net_getaddrinfo`.
 * Errors:    as `eio_net_getaddrinfo`.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_getaddrinfo_datagram(eio_net *self, eio_switch *sw,
                                                           const char *host, const char *service,
                                                           eio_sockaddr_list *out);
/**
 * The host and service names of an address.
 *
 * Suspends:  until answered.
 * Errors:    Net Address_lookup_failed with the line `looking up ADDR`; Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_net_getnameinfo(eio_net *self, const eio_sockaddr *addr,
                                                  eio_nameinfo *out);

EIO_END_DECLS

#endif
