// SPDX-License-Identifier: ISC

// The calls of every network: they check what is the caller's mistake whatever the network, fill
// defaults in, hand on to the provider's table, and say in a context line what was being done. So
// each of these exists once, and providers (real sockets, mocks) hold nothing but their own work.
// Nothing here suspends by itself or has any state.

#include "eio/net.h"

#include "eio/net_pi.h"
#include "fiber/base/assert.h"
#include "net/context.h"

enum { DEFAULT_BACKLOG = 128, MODE_BITS = 07777 };

/** The address kinds of one type of socket, by name, for messages. */
struct socket_type {
    const char *name;
    eio_sockaddr_kind ip_kind; // Unix sockets are of both types
};

static const struct socket_type stream = {"stream", EIO_TCP};
static const struct socket_type datagram = {"datagram", EIO_UDP};

/** Invalid_argument unless sockets of `type` can have the address. */
static eio_err *check_kind(const char *op, const eio_sockaddr *addr,
                           const struct socket_type *type) {
    if (addr->kind == type->ip_kind || addr->kind == EIO_UNIX)
        return NULL;
    char text[EIO_SOCKADDR_STR_MAX];
    return eio_err_new(&eio_err_invalid_argument, "%s: %s is not the address of a %s socket", op,
                       eio_sockaddr_str(addr, text), type->name);
}

// --- Sockets -------------------------------------------------------------------------------------

eio_err *eio_net_connect(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                         const struct eio_connect_opts *opts, eio_stream_socket **out) {
    static const struct eio_connect_opts defaults;
    char text[EIO_SOCKADDR_STR_MAX];
    opts = opts != NULL ? opts : &defaults;
    EIO_TRY(check_kind("connect", addr, &stream));
    if (opts->bind_to != NULL && opts->bind_to->kind != addr->kind)
        return eio_err_new(&eio_err_invalid_argument,
                           "connect: bind_to is %s, another kind of address",
                           eio_sockaddr_str(opts->bind_to, text));
    EIO_TRY_CTX(self->ops->connect(self, sw, addr, opts, out), "connecting to %s",
                eio_sockaddr_str(addr, text));
    return NULL;
}

eio_err *eio_net_listen(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                        const struct eio_listen_opts *opts, eio_listener **out) {
    struct eio_listen_opts filled = {0};
    char text[EIO_SOCKADDR_STR_MAX];
    if (opts != NULL)
        filled = *opts;
    if (filled.backlog == 0)
        filled.backlog = DEFAULT_BACKLOG;
    EIO_TRY(check_kind("listen", addr, &stream));
    if ((filled.unix_mode & ~(unsigned)MODE_BITS) != 0)
        return eio_err_new(&eio_err_invalid_argument,
                           "listen: unix_mode has more than permissions: %#o", filled.unix_mode);
    EIO_TRY_CTX(self->ops->listen(self, sw, addr, &filled, out), "listening on %s",
                eio_sockaddr_str(addr, text));
    return NULL;
}

/** Invalid_argument unless a datagram socket of this kind and family can have the peer. */
static eio_err *check_peer(const struct eio_datagram_opts *opts, eio_sockaddr_kind kind,
                           eio_udp_family family) {
    const eio_sockaddr *peer = opts->connect_to;
    char text[EIO_SOCKADDR_STR_MAX];
    if (peer == NULL)
        return NULL;
    bool same_family = peer->kind != EIO_UDP || (peer->ip.len == 4) == (family == EIO_UDP_V4);
    if (peer->kind == kind && same_family)
        return NULL;
    return eio_err_new(&eio_err_invalid_argument,
                       "datagram_socket: connect_to is %s, another kind of address",
                       eio_sockaddr_str(peer, text));
}

eio_err *eio_net_datagram_socket(eio_net *self, eio_switch *sw, const eio_sockaddr *addr,
                                 const struct eio_datagram_opts *opts, eio_datagram_socket **out) {
    static const struct eio_datagram_opts defaults;
    char text[EIO_SOCKADDR_STR_MAX];
    EIO_TRY(check_kind("datagram_socket", addr, &datagram));
    // The family is in the address; who looks at this one all the same finds nothing absurd.
    eio_udp_family family = addr->kind == EIO_UDP && addr->ip.len == 16 ? EIO_UDP_V6 : EIO_UDP_V4;
    opts = opts != NULL ? opts : &defaults;
    EIO_TRY(check_peer(opts, addr->kind, family));
    EIO_TRY_CTX(self->ops->datagram_socket(self, sw, addr, family, opts, out), "binding to %s",
                eio_sockaddr_str(addr, text));
    return NULL;
}

eio_err *eio_net_datagram_socket_unbound(eio_net *self, eio_switch *sw, eio_udp_family family,
                                         const struct eio_datagram_opts *opts,
                                         eio_datagram_socket **out) {
    static const struct eio_datagram_opts defaults;
    EIO_ASSERT(family == EIO_UDP_V4 || family == EIO_UDP_V6, "no such family: %d", (int)family);
    opts = opts != NULL ? opts : &defaults;
    EIO_TRY(check_peer(opts, EIO_UDP, family));
    EIO_TRY(self->ops->datagram_socket(self, sw, /* addr= */ NULL, family, opts, out));
    return NULL;
}

eio_err *eio_listener_accept(eio_listener *self, eio_switch *sw, eio_stream_socket **out,
                             eio_sockaddr *out_peer) {
    eio_sockaddr unwanted;
    EIO_TRY_CTX(self->ops->accept(self, sw, out, out_peer != NULL ? out_peer : &unwanted),
                "accepting a connection");
    return NULL;
}

eio_err *eio_listener_addr(eio_listener *self, eio_sockaddr *out) {
    EIO_TRY(self->ops->addr(self, out));
    return NULL;
}

void eio_listener_close(eio_listener *self) {
    self->ops->close(self);
}

eio_err *eio_datagram_send(eio_datagram_socket *self, const eio_sockaddr *dst,
                           const eio_slice *slices, size_t n) {
    char text[EIO_SOCKADDR_STR_MAX];
    if (dst == NULL) {
        EIO_TRY(self->ops->send(self, dst, slices, n));
        return NULL;
    }
    EIO_TRY(check_kind("send", dst, &datagram));
    EIO_TRY_CTX(self->ops->send(self, dst, slices, n), "sending to %s",
                eio_sockaddr_str(dst, text));
    return NULL;
}

eio_err *eio_datagram_recv(eio_datagram_socket *self, eio_buf buf, struct eio_datagram_info *out) {
    EIO_TRY(self->ops->recv(self, buf, out));
    EIO_ASSERT(out->len <= buf.len, "%s received more than the buffer holds", self->ops->name);
    return NULL;
}

eio_err *eio_datagram_recv_many(eio_datagram_socket *self, struct eio_datagram_in *items, size_t n,
                                size_t *out_n) {
    EIO_ASSERT(n > 0, "there must be room for a datagram");
    *out_n = 0;
    if (self->ops->recv_many == NULL) {
        EIO_TRY(eio_datagram_recv(self, items[0].buf, &items[0].info));
        *out_n = 1;
        return NULL;
    }
    EIO_TRY(self->ops->recv_many(self, items, n, out_n));
    EIO_ASSERT(*out_n >= 1 && *out_n <= n, "%s received %zu datagrams into %zu places",
               self->ops->name, *out_n, n);
    return NULL;
}

static eio_err *send_each(eio_datagram_socket *self, const struct eio_datagram_out *items, size_t n,
                          size_t *out_n) {
    for (; *out_n < n; ++*out_n) {
        const struct eio_datagram_out *item = &items[*out_n];
        EIO_TRY(self->ops->send(self, item->dst, item->slices, item->n));
    }
    return NULL;
}

eio_err *eio_datagram_send_many(eio_datagram_socket *self, const struct eio_datagram_out *items,
                                size_t n, size_t *out_n) {
    char text[EIO_SOCKADDR_STR_MAX];
    size_t right = 0;
    eio_err *wrong = NULL;
    *out_n = 0;
    while (right < n && wrong == NULL) {
        if (items[right].dst != NULL)
            wrong = check_kind("send", items[right].dst, &datagram);
        right += wrong == NULL;
    }
    eio_err *err = self->ops->send_many != NULL && right > 0
                       ? self->ops->send_many(self, items, right, out_n)
                       : send_each(self, items, right, out_n);
    if (err == NULL)
        return wrong;
    eio_err_drop(wrong);
    const eio_sockaddr *dst = *out_n < right ? items[*out_n].dst : NULL;
    return dst == NULL ? err
                       : eio_err_add_context(err, "sending to %s", eio_sockaddr_str(dst, text));
}

eio_err *eio_datagram_addr(eio_datagram_socket *self, eio_sockaddr *out) {
    EIO_TRY(self->ops->addr(self, out));
    return NULL;
}

void eio_datagram_close(eio_datagram_socket *self) {
    self->ops->close(self);
}

// --- Names ---------------------------------------------------------------------------------------

eio_err *eioi_net_looking_up(eio_err *err, const char *host) {
    if (!eio_err_is(err, &eio_err_io))
        return err;
    EIO_CLEANUP(eio_strbuf_free) eio_strbuf quoted = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&quoted, eio_slice_of_str(host));
    return quoted.failed ? err : eio_err_add_context(err, "looking up %s", eio_strbuf_str(&quoted));
}

eio_err *eioi_net_connecting_to(eio_err *err, const char *host, const char *service) {
    if (!eio_err_is(err, &eio_err_io))
        return err;
    EIO_CLEANUP(eio_strbuf_free) eio_strbuf quoted = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&quoted, eio_slice_of_str(host));
    if (quoted.failed)
        return err;
    return eio_err_add_context(err, "connecting to %s:%s", eio_strbuf_str(&quoted),
                               service != NULL ? service : "");
}

eio_err *eio_net_getaddrinfo(eio_net *self, eio_switch *sw, const char *host, const char *service,
                             eio_sockaddr_list *out) {
    EIO_ASSERT(host != NULL, "a lookup needs a name (\"\" stands for this host)");
    EIO_TRY(eioi_net_looking_up(self->ops->getaddrinfo(self, sw, host, service, out), host));
    return NULL;
}

/** As `eio_net_getaddrinfo`, without the addresses that sockets of `type` can't have. */
static eio_err *getaddrinfo_of(eio_net *self, eio_switch *sw, const char *host, const char *service,
                               const struct socket_type *type, eio_sockaddr_list *out) {
    eio_sockaddr_list all;
    EIO_TRY(eio_net_getaddrinfo(self, sw, host, service, &all));
    size_t kept = 0;
    for (size_t i = 0; i < all.count; i++)
        if (all.items[i].kind == type->ip_kind || all.items[i].kind == EIO_UNIX)
            all.items[kept++] = all.items[i];
    *out = (eio_sockaddr_list){.items = all.items, .count = kept};
    return NULL;
}

eio_err *eio_net_getaddrinfo_stream(eio_net *self, eio_switch *sw, const char *host,
                                    const char *service, eio_sockaddr_list *out) {
    return getaddrinfo_of(self, sw, host, service, &stream, out);
}

eio_err *eio_net_getaddrinfo_datagram(eio_net *self, eio_switch *sw, const char *host,
                                      const char *service, eio_sockaddr_list *out) {
    return getaddrinfo_of(self, sw, host, service, &datagram, out);
}

eio_err *eio_net_getnameinfo(eio_net *self, const eio_sockaddr *addr, eio_nameinfo *out) {
    char text[EIO_SOCKADDR_STR_MAX];
    EIO_TRY_CTX(self->ops->getnameinfo(self, addr, out), "looking up %s",
                eio_sockaddr_str(addr, text));
    return NULL;
}
