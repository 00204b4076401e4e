// SPDX-License-Identifier: ISC

// c-ares opens, connects, reads, writes and closes through these functions. They never suspend;
// what has to be done about a change is noted, and done by the channel when c-ares has returned.
//
// A descriptor that somebody waits for must not be closed, so c-ares' close only takes the socket
// off the list and cancels its fibers; the last of them closes the descriptor. Until then its
// number is taken, so no other socket can get it.
//
// A stream that has ended isn't read again: c-ares closes it then, but for 1.34.8, which forgets to
// when the end comes in the middle of an answer, and goes on when the query has timed out.
//
// Link-local servers have a zone, which c-ares 1.18 can't be told and 1.34 asks of calls that are
// not ours. So c-ares knows them by stand-ins from an address block that is never assigned, and
// `on_connect` puts the real address in.

#include "resolver/sock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define CARES_NO_DEPRECATED // 1.34 deprecates what 1.18 has no replacement for
#include <ares.h>

#include "eio/err.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"

// Room for the answers to a burst while this thread waits for a processor; the usual 208 KiB hold
// fewer than 300.
enum { RECEIVE_BYTES = 1 << 20 };

// The documentation block 2001:db8::/32, with the number of the server in the last byte.
static const uint8_t stand_in[15] = {0x20, 0x01, 0x0d, 0xb8, 'e', 'i', 'o'};

static bool is_link_local(const eio_ip *ip) {
    return ip->len == 16 && ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

static const struct eioi_server *behind_stand_in(const struct eioi_sock_set *self,
                                                 const struct sockaddr *addr) {
    if (addr->sa_family != AF_INET6)
        return NULL;
    struct sockaddr_in6 v6;
    memcpy(&v6, addr, sizeof v6);
    const uint8_t *bytes = (const uint8_t *)&v6.sin6_addr;
    if (memcmp(bytes, stand_in, sizeof stand_in) != 0 || bytes[15] >= EIOI_SERVERS_MAX)
        return NULL;
    const struct eioi_server *server = &self->servers[bytes[15]];
    return is_link_local(&server->ip) ? server : NULL;
}

static struct eioi_sock *find_sock(const struct eioi_sock_set *self, int fd) {
    EIOI_LIST_EACH (it, &self->socks) {
        struct eioi_sock *sock = EIOI_CONTAINER_OF(it, struct eioi_sock, node);
        if (sock->fd == fd)
            return sock;
    }
    return NULL;
}

static void sock_free(struct eioi_sock *sock) {
    close(sock->fd); // fault: none, the number is free whatever it says
    eioi_free(sock);
}

static ares_socket_t on_socket(int family, int type, int protocol, void *arg) {
    struct eioi_sock_set *self = arg;
    struct eioi_sock *sock = eioi_zalloc(sizeof *sock);
    if (sock == NULL) {
        errno = ENOMEM;
        return ARES_SOCKET_BAD;
    }
    int fd = EIOI_SYS(socket, socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
    if (fd < 0) {
        eioi_free(sock);
        return ARES_SOCKET_BAD;
    }
    const int on = 1, receive_bytes = RECEIVE_BYTES;
    if (type == SOCK_STREAM) // slower without either, not wrong
        (void)EIOI_SYS(setsockopt, setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on));
    else
        (void)EIOI_SYS(setsockopt,
                       setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes));
    *sock = (struct eioi_sock){.set = self, .fd = fd, .is_stream = type == SOCK_STREAM};
    eioi_list_push_tail(&self->socks, &sock->node);
    return fd;
}

static int on_close(ares_socket_t fd, void *arg) {
    struct eioi_sock *sock = find_sock(arg, fd);
    EIO_ASSERT(sock != NULL, "c-ares closes descriptor %d, which it has not opened", fd);
    eioi_list_unlink(&sock->node);
    sock->closed = true;
    if (!sock->watched[EIOI_READABLE] && !sock->watched[EIOI_WRITABLE]) {
        sock_free(sock);
        return 0;
    }
    for (int i = 0; i < EIOI_DIRECTIONS; i++)
        if (sock->waits[i] != NULL)
            eio_cancel_cancel(sock->waits[i], eio_err_const(&eio_err_closed));
    return 0;
}

static int on_connect(ares_socket_t fd, const struct sockaddr *addr, ares_socklen_t len,
                      void *arg) {
    struct eioi_sock *sock = find_sock(arg, fd);
    struct sockaddr_in6 v6;
    sock->behind = behind_stand_in(sock->set, addr);
    if (sock->behind != NULL) {
        memcpy(&v6, addr, sizeof v6);
        memcpy(&v6.sin6_addr, sock->behind->ip.bytes, 16);
        v6.sin6_scope_id = sock->behind->ip.scope_id;
        addr = (const struct sockaddr *)&v6;
        len = sizeof v6;
    }
    return EIOI_SYS(connect, connect(fd, addr, len));
}

// The sockets are connected, so everything comes from the server; c-ares compares the sender all
// the same.
static void put_stand_in(const struct eioi_sock *sock, struct sockaddr *from,
                         const ares_socklen_t *len) {
    struct sockaddr_in6 v6;
    if (sock->behind == NULL || from == NULL || *len < sizeof v6)
        return;
    memcpy(&v6, from, sizeof v6);
    memcpy(&v6.sin6_addr, stand_in, sizeof stand_in);
    ((uint8_t *)&v6.sin6_addr)[15] = (uint8_t)(sock->behind - sock->set->servers);
    memcpy(from, &v6, sizeof v6);
}

// c-ares 1.18 goes on to the next server when one won't answer, and at the end says that none could
// be reached. That end comes while the last such answer is being processed, so what it says is the
// better reason.
static int refusal_in(const uint8_t *answer, ares_ssize_t len) {
    if (len < 4)
        return 0;
    int rcode = answer[3] & 0xf;
    return rcode == 2 || rcode == 4 || rcode == 5 ? rcode : 0; // SERVFAIL, NOTIMP, REFUSED
}

static ares_ssize_t on_recvfrom(ares_socket_t fd, void *buf, size_t size, int flags,
                                struct sockaddr *from, ares_socklen_t *from_len, void *arg) {
    struct eioi_sock_set *self = arg;
    struct eioi_sock *sock = find_sock(self, fd);
    ares_ssize_t got;
    if (sock->is_stream)
        size = EIOI_LIMIT(short_read, size);
    do
        got = EIOI_SYS(recvfrom, recvfrom(fd, buf, size, flags, from, from_len));
    while ((got < 0 && errno == EINTR) || (got == 0 && !sock->is_stream)); // 0: an empty datagram
    self->refusal = sock->is_stream ? 0 : refusal_in(buf, got);
    sock->ended = sock->is_stream && (got == 0 || (got < 0 && errno != EAGAIN));
    if (got > 0)
        put_stand_in(sock, from, from_len);
    return got;
}

// A datagram that nobody took is reported by the next call on its socket. When that is a send it
// takes the report away from the read that c-ares would learn it by, and sends nothing; so the
// datagram is sent again, and reported again.
static ares_ssize_t on_sendv(ares_socket_t fd, const struct iovec *vec, int n, void *arg) {
    const struct eioi_sock *sock = find_sock(arg, fd);
    struct msghdr msg = {.msg_iov = (struct iovec *)vec, .msg_iovlen = (size_t)n};
    struct iovec first = vec[0];
    first.iov_len = sock->is_stream ? EIOI_LIMIT(short_write, first.iov_len) : first.iov_len;
    if (first.iov_len < vec[0].iov_len) {
        msg.msg_iov = &first;
        msg.msg_iovlen = 1;
    }
    bool again = !sock->is_stream;
    while (true) {
        ares_ssize_t sent = EIOI_SYS(sendmsg, sendmsg(fd, &msg, MSG_NOSIGNAL));
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent >= 0 || errno != ECONNREFUSED || !again)
            return sent;
        again = false;
    }
}

void eioi_sock_state(void *arg, int fd, int readable, int writable) {
    struct eioi_sock *sock = find_sock(arg, fd);
    if (sock == NULL)
        return; // told of the end after the close
    sock->want[EIOI_READABLE] = readable != 0;
    sock->want[EIOI_WRITABLE] = writable != 0;
}

static const struct ares_socket_functions socket_functions = {
    .asocket = on_socket,
    .aclose = on_close,
    .aconnect = on_connect,
    .arecvfrom = on_recvfrom,
    .asendv = on_sendv,
};

void eioi_sock_set_init(struct eioi_sock_set *self) {
    eioi_list_init(&self->socks);
}

void eioi_sock_set_use(struct eioi_sock_set *self, struct ares_channeldata *ares) {
    ares_set_socket_functions(ares, &socket_functions, self);
}

eio_ip eioi_sock_set_server(struct eioi_sock_set *self, unsigned i,
                            const struct eioi_server *server) {
    eio_ip ip = server->ip;
    self->servers[i] = *server;
    if (is_link_local(&ip)) {
        memcpy(ip.bytes, stand_in, sizeof stand_in);
        ip.bytes[15] = (uint8_t)i;
        ip.scope_id = 0;
    }
    return ip;
}

struct eioi_sock *eioi_sock_set_unwatched(const struct eioi_sock_set *self,
                                          enum eioi_direction *out) {
    EIOI_LIST_EACH (it, &self->socks) {
        struct eioi_sock *sock = EIOI_CONTAINER_OF(it, struct eioi_sock, node);
        for (int i = 0; i < EIOI_DIRECTIONS; i++) {
            if (eioi_sock_is_wanted(sock, (enum eioi_direction)i) && !sock->watched[i]) {
                *out = (enum eioi_direction)i;
                return sock;
            }
        }
    }
    return NULL;
}

void eioi_sock_unwatch(struct eioi_sock *self, enum eioi_direction direction) {
    self->watched[direction] = false;
    if (self->closed && !self->watched[EIOI_READABLE] && !self->watched[EIOI_WRITABLE])
        sock_free(self);
}
