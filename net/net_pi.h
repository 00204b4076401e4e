// SPDX-License-Identifier: ISC
#ifndef EIO_NET_PI_H
#define EIO_NET_PI_H

/*
 * For those who implement networks: the ops tables behind `eio/net.h`. The public functions add the
 * context lines.
 *
 *     static const struct eio_net_ops my_net_ops = {.name = "my", .connect = my_connect, ...};
 */

#include "eio/flow_pi.h"
#include "eio/net.h"

EIO_BEGIN_DECLS

/** One of the two families of IP addresses. */
typedef enum eio_ip_family { EIO_IP_V4 = 4, EIO_IP_V6 = 6 } eio_ip_family;

/**
 * What a network provides. Options are never NULL here, and `backlog` is never 0; `service` may be
 * NULL.
 */
struct eio_net_ops {
    const char *name; /**< for messages */
    eio_err *(*connect)(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                        const struct eio_connect_opts *opts, eio_stream_socket **out);
    eio_err *(*listen)(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                       const struct eio_listen_opts *opts, eio_listener **out);
    /** `addr` NULL: unbound, of `family`. `connect_to` is of the same kind. */
    eio_err *(*datagram_socket)(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                                eio_udp_family family, const struct eio_datagram_opts *opts,
                                eio_datagram_socket **out);
    /** The items go into `sw`'s memory, and may be moved there by the caller. */
    eio_err *(*getaddrinfo)(eio_net *self, eio_switch *sw, const char *host, const char *service,
                            eio_sockaddr_list *out);
    eio_err *(*getnameinfo)(eio_net *self, const eio_sockaddr *addr, eio_nameinfo *out);
    /**
     * Optional (default, and the same as Not_available: `getaddrinfo` is asked for both): as
     * `getaddrinfo`, only the addresses of one family, so that Happy Eyeballs can ask for A and
     * AAAA side by side. None is no error.
     */
    eio_err *(*getaddrinfo_family)(eio_net *self, eio_switch *sw, const char *host,
                                   const char *service, eio_ip_family family,
                                   eio_sockaddr_list *out);
};

/** What a listener provides. */
struct eio_listener_ops {
    const char *name; /**< for messages */
    eio_err *(*accept)(eio_listener *self, eio_switch *sw, eio_stream_socket **out,
                       eio_sockaddr *out_peer);
    eio_err *(*addr)(eio_listener *self, eio_sockaddr *out);
    void (*close)(eio_listener *self);
    /** Optional (default: none): the implementation of `iface`, or NULL. */
    void *(*query)(eio_listener *self, const eio_iface *iface);
    /**
     * Optional (default: 1): how many fibers of a server had better accept at a time, so that
     * connections that come together are accepted in one turn of the loop. It's asked in the domain
     * that is going to accept.
     */
    unsigned (*acceptors)(eio_listener *self);
    /**
     * Needed where `acceptors` is provided: as `accept`, for those fibers. Any of them may be served
     * first, and when one is cancelled, so are all.
     */
    eio_err *(*accept_abreast)(eio_listener *self, eio_switch *sw, eio_stream_socket **out,
                               eio_sockaddr *out_peer);
};

/** What a datagram socket provides. */
struct eio_datagram_socket_ops {
    const char *name; /**< for messages */
    eio_err *(*send)(eio_datagram_socket *self, const eio_sockaddr *dst, const eio_slice *slices,
                     size_t n);
    eio_err *(*recv)(eio_datagram_socket *self, eio_buf buf, struct eio_datagram_info *out);
    eio_err *(*addr)(eio_datagram_socket *self, eio_sockaddr *out);
    void (*close)(eio_datagram_socket *self);
    /** Optional (default: none): the implementation of `iface`, or NULL. */
    void *(*query)(eio_datagram_socket *self, const eio_iface *iface);
    /** Optional (default: `recv`, once). `n` is at least 1, `*out_n` is 0. */
    eio_err *(*recv_many)(eio_datagram_socket *self, struct eio_datagram_in *items, size_t n,
                          size_t *out_n);
    /** Optional (default: `send`, for each). `*out_n` is 0; it is valid after an error, too. */
    eio_err *(*send_many)(eio_datagram_socket *self, const struct eio_datagram_out *items, size_t n,
                          size_t *out_n);
};

/** What looks names up: embedded in resolvers, put into networks. */
typedef struct eio_lookup {
    const struct eio_lookup_ops *ops; /**< set by the implementer */
} eio_lookup;

/** What a resolver provides. */
struct eio_lookup_ops {
    const char *name; /**< for messages */
    eio_err *(*getaddrinfo)(eio_lookup *self, eio_switch *sw, const char *host, const char *service,
                            eio_sockaddr_list *out);
    eio_err *(*getnameinfo)(eio_lookup *self, const eio_sockaddr *addr, eio_nameinfo *out);
    /** Optional, as in `eio_net_ops`. */
    eio_err *(*getaddrinfo_family)(eio_lookup *self, eio_switch *sw, const char *host,
                                   const char *service, eio_ip_family family,
                                   eio_sockaddr_list *out);
};

EIO_END_DECLS

#endif
