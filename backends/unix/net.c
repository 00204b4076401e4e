// SPDX-License-Identifier: ISC

// Theory. Each constructor goes the same way: the shell (memory), the descriptor (attached to the
// switch through the shell at once), then the steps that may fail or wait. A failure frees the
// shell, which takes it off the switch and closes the descriptor there and then; so a failed
// attempt leaves nothing, and there is one way out. That the addresses are of the right kind was
// checked by net's public functions.

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "backends/unix/bound_path.h"
#include "backends/unix/datagram.h"
#include "backends/unix/listener.h"
#include "backends/unix/low_level.h"
#include "backends/unix/sockaddr.h"
#include "backends/unix/socket.h"
#include "backends/unix/unix_flow.h"
#include "eio/fiber.h"
#include "eio/unix_net.h"
#include "fiber/base/fault.h"

static const struct eio_net_ops unix_net_ops;

static unsigned linger_of(const eio_sockaddr *addr) {
    return addr->kind == EIO_TCP ? EIOI_FD_LINGER_CLOSE : 0;
}

static eio_err *perform_connect(eio_fd *fd, const struct eioi_os_addr *os) {
    struct eioi_io io = {
        .op = EIOI_IO_CONNECT,
        .fd = fd,
        .name = "connect",
        .connect = {.addr = (const struct sockaddr *)&os->storage, .addr_len = os->len}};
    int32_t res;
    return eioi_io_perform(&io, &res);
}

static eio_err *connect_flow(struct eioi_stream *self, const eio_sockaddr *addr,
                             const struct eio_connect_opts *opts) {
    struct eioi_os_addr os;
    EIO_TRY(eioi_sockaddr_to_os(addr, &os));
    if (addr->kind == EIO_TCP && !opts->delay)
        EIO_TRY(eioi_socket_set(self->fd.fd, IPPROTO_TCP, TCP_NODELAY, true));
    if (opts->bind_to != NULL)
        EIO_TRY(eioi_socket_bind(&self->fd, opts->bind_to, 0));
    return perform_connect(&self->fd, &os);
}

static eio_err *unix_connect(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                             const struct eio_connect_opts *opts, eio_stream_socket **out) {
    struct eioi_stream *flow;
    int fd = -1;
    (void)net;
    EIO_TRY(eio_fiber_check());
    EIO_TRY(eioi_stream_new(EIOI_FD_SOCKET | EIOI_FD_AHEAD | linger_of(addr), &flow));
    eio_err *err = eioi_socket_new(eioi_sockaddr_family(addr), SOCK_STREAM, &fd);
    if (err == NULL) {
        eioi_stream_open(flow, sw, fd);
        err = connect_flow(flow, addr, opts);
    }
    if (err != NULL) {
        eioi_stream_free(flow);
        return err;
    }
    *out = &flow->flow.socket;
    return NULL;
}

static eio_err *set_up_listener(struct eioi_listener *self, const eio_sockaddr *addr,
                                const struct eio_listen_opts *opts) {
    int fd = self->fd.fd;
    if (addr->kind == EIO_TCP) {
        if (opts->reuse_addr)
            EIO_TRY(eioi_socket_set(fd, SOL_SOCKET, SO_REUSEADDR, true));
        if (opts->reuse_port)
            EIO_TRY(eioi_socket_set(fd, SOL_SOCKET, SO_REUSEPORT, true));
        if (addr->ip.len == 16) // said either way: the system's default is a sysctl
            EIO_TRY(eioi_socket_set(fd, IPPROTO_IPV6, IPV6_V6ONLY, opts->v6_only));
        if (!opts->delay) // accepted sockets inherit it
            EIO_TRY(eioi_socket_set(fd, IPPROTO_TCP, TCP_NODELAY, true));
    }
    EIO_TRY(eioi_socket_bind(&self->fd, addr, opts->unix_mode));
    int backlog = opts->backlog < INT_MAX ? (int)opts->backlog : INT_MAX;
    if (EIOI_SYS(listen, listen(fd, backlog)) != 0)
        return eioi_err_of_errno(errno, "listen");
    return NULL;
}

static eio_err *unix_listen(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                            const struct eio_listen_opts *opts, eio_listener **out) {
    struct eioi_listener *self;
    int fd = -1;
    (void)net;
    if (opts->reuse_addr && eioi_addr_is_path(addr))
        EIO_TRY(eioi_remove_stale_socket(addr));
    EIO_TRY(eioi_listener_new(linger_of(addr), &self));
    eio_err *err = eioi_socket_new(eioi_sockaddr_family(addr), SOCK_STREAM, &fd);
    if (err == NULL) {
        eioi_listener_open(self, sw, fd);
        err = set_up_listener(self, addr, opts);
    }
    if (err != NULL) {
        eioi_listener_free(self);
        return err;
    }
    *out = &self->listener.listener;
    return NULL;
}

/** A datagram socket only notes its peer: nothing waits. */
static eio_err *connect_datagram(int fd, const eio_sockaddr *peer) {
    struct eioi_os_addr os;
    EIO_TRY(eioi_sockaddr_to_os(peer, &os));
    if (EIOI_SYS(connect, connect(fd, (const struct sockaddr *)&os.storage, os.len)) != 0)
        return eioi_err_of_errno(errno, "connect");
    return NULL;
}

static eio_err *set_up_datagram(struct eioi_datagram *self, const eio_sockaddr *addr,
                                const struct eio_datagram_opts *opts) {
    bool is_unix = addr != NULL && addr->kind == EIO_UNIX;
    if (opts->reuse_addr && !is_unix)
        EIO_TRY(eioi_socket_set(self->fd.fd, SOL_SOCKET, SO_REUSEADDR, true));
    if (opts->reuse_port && !is_unix)
        EIO_TRY(eioi_socket_set(self->fd.fd, SOL_SOCKET, SO_REUSEPORT, true));
    if (addr != NULL)
        EIO_TRY(eioi_socket_bind(&self->fd, addr, 0));
    char peer[EIO_SOCKADDR_STR_MAX];
    if (opts->connect_to != NULL)
        EIO_TRY_CTX(connect_datagram(self->fd.fd, opts->connect_to), "connecting to %s",
                    eio_sockaddr_str(opts->connect_to, peer));
    return NULL;
}

static eio_err *unix_datagram_socket(eio_net *net, eio_switch *sw, const eio_sockaddr *addr,
                                     eio_udp_family family, const struct eio_datagram_opts *opts,
                                     eio_datagram_socket **out) {
    struct eioi_datagram *self;
    int fd = -1;
    (void)net;
    if (addr != NULL && opts->reuse_addr && eioi_addr_is_path(addr))
        EIO_TRY(eioi_remove_stale_socket(addr));
    EIO_TRY(eioi_datagram_new(0, &self));
    int os_family = addr != NULL           ? eioi_sockaddr_family(addr)
                    : family == EIO_UDP_V4 ? AF_INET
                                           : AF_INET6;
    eio_err *err = eioi_socket_new(os_family, SOCK_DGRAM, &fd);
    if (err == NULL) {
        eioi_datagram_open(self, sw, fd);
        err = set_up_datagram(self, addr, opts);
    }
    if (err != NULL) {
        eioi_datagram_free(self);
        return err;
    }
    *out = &self->datagram.socket;
    return NULL;
}

static eio_err *unix_getaddrinfo(eio_net *net, eio_switch *sw, const char *host,
                                 const char *service, eio_sockaddr_list *out) {
    eio_lookup *lookup = EIO_SELF(eio_unix_net, net, net, &unix_net_ops)->lookup;
    if (lookup == NULL)
        return eio_err_const(&eio_err_not_available);
    return lookup->ops->getaddrinfo(lookup, sw, host, service, out);
}

static eio_err *unix_getaddrinfo_family(eio_net *net, eio_switch *sw, const char *host,
                                        const char *service, eio_ip_family family,
                                        eio_sockaddr_list *out) {
    eio_lookup *lookup = EIO_SELF(eio_unix_net, net, net, &unix_net_ops)->lookup;
    if (lookup == NULL || lookup->ops->getaddrinfo_family == NULL)
        return eio_err_const(&eio_err_not_available);
    return lookup->ops->getaddrinfo_family(lookup, sw, host, service, family, out);
}

static eio_err *unix_getnameinfo(eio_net *net, const eio_sockaddr *addr, eio_nameinfo *out) {
    eio_lookup *lookup = EIO_SELF(eio_unix_net, net, net, &unix_net_ops)->lookup;
    if (lookup == NULL)
        return eio_err_const(&eio_err_not_available);
    return lookup->ops->getnameinfo(lookup, addr, out);
}

static const struct eio_net_ops unix_net_ops = {.name = "unix",
                                                .connect = unix_connect,
                                                .listen = unix_listen,
                                                .datagram_socket = unix_datagram_socket,
                                                .getaddrinfo = unix_getaddrinfo,
                                                .getnameinfo = unix_getnameinfo,
                                                .getaddrinfo_family = unix_getaddrinfo_family};

void eio_unix_net_init(eio_unix_net *self, eio_lookup *lookup) {
    *self = (eio_unix_net){.net.ops = &unix_net_ops, .lookup = lookup};
}
