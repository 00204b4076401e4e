// SPDX-License-Identifier: ISC

// Theory. The first datagram is received as any other: the backend waits for it. What has come with
// it is fetched by recvmmsg(2), which doesn't wait. Sending begins with sendmmsg(2), which doesn't
// either; what it won't take now is sent as any other datagram, which waits. So each datagram costs
// a share of one system call when there are many, and what single ones promise stays true.
//
// An error that recvmmsg takes from the socket belongs to a call that has something to return
// already; it's kept for the next one, as the kernel does in the middle of a recvmmsg. (In the
// middle of a sendmmsg it doesn't: that a connected peer refused an earlier datagram may be heard of
// one datagram later.)

#include "backends/unix/datagram_many.h"

#include <errno.h>
#include <limits.h>

#include "backends/unix/datagram.h"
#include "backends/unix/err_os.h"
#include "backends/unix/sockaddr.h"
#include "eio/fiber.h"
#include "fiber/base/fault.h"

/** Of one system call; what it needs is on the fiber's stack. */
enum { BATCH = 32 };

struct batch {
    struct mmsghdr headers[BATCH];
    struct eioi_os_addr addrs[BATCH];
    struct iovec pieces[BATCH]; // of those received
};

static unsigned batch_of(size_t n) {
    return n < BATCH ? (unsigned)n : BATCH;
}

/** Up to BATCH that have come; never inlined, so that who waits for the first has a small frame. */
__attribute__((noinline)) static size_t take_more(struct eioi_datagram *self,
                                                  struct eio_datagram_in *items, size_t n) {
    struct batch batch;
    int fd;
    for (size_t i = 0; i < n; i++) {
        batch.pieces[i] = (struct iovec){items[i].buf.base, items[i].buf.len};
        batch.headers[i].msg_hdr = (struct msghdr){.msg_name = &batch.addrs[i].storage,
                                                   .msg_namelen = sizeof batch.addrs[i].storage,
                                                   .msg_iov = &batch.pieces[i],
                                                   .msg_iovlen = 1};
    }
    eio_err *err = eioi_fd_hold(&self->fd, "recv_msg", &fd);
    if (err != NULL) { // the next call finds that, too
        eio_err_drop(err);
        return 0;
    }
    int got = EIOI_SYS(recvmmsg, recvmmsg(fd, batch.headers, (unsigned)n, MSG_DONTWAIT, NULL));
    int errnum = errno;
    eioi_fd_unhold(&self->fd);
    if (got < 0 && errnum != EAGAIN && errnum != EINTR)
        eioi_datagram_defer(self, errnum);
    for (int i = 0; i < got; i++) {
        const struct msghdr *msg = &batch.headers[i].msg_hdr;
        err = eioi_datagram_received(msg, batch.headers[i].msg_len, &items[i].info);
        if (err == NULL)
            continue;
        eioi_datagram_defer(self, eio_err_errno(err));
        eio_err_drop(err);
        return (size_t)i;
    }
    return got < 0 ? 0 : (size_t)got;
}

static eio_err *recv_many(eio_datagram_socket *socket, struct eio_datagram_in *items, size_t n,
                          size_t *out_n) {
    EIO_TRY(socket->ops->recv(socket, items[0].buf, &items[0].info));
    size_t got = 1;
    while (got < n) {
        unsigned asked = batch_of(n - got);
        size_t more = take_more(eioi_datagram_of(socket), items + got, asked);
        got += more;
        if (more < asked)
            break;
    }
    *out_n = got;
    return NULL;
}

eio_err *eioi_datagram_recv_many(eio_datagram_socket *socket, struct eio_datagram_in *items,
                                 size_t n, size_t *out_n) {
    eio_fd *fd = &eioi_datagram_of(socket)->fd;
    int ignored;
    EIO_TRY(eioi_fd_hold(fd, "recv_msg", &ignored)); // it may be freed while we sleep
    eio_err *err = recv_many(socket, items, n, out_n);
    eioi_fd_unhold(fd);
    return err;
}

/** Returns how many of the first `n` it could make ready; the one after those has the error. */
static size_t prepare(struct batch *batch, const struct eio_datagram_out *items, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)items[i].slices,
                             .msg_iovlen = items[i].n};
        if (items[i].n > IOV_MAX)
            return i;
        if (items[i].dst != NULL) {
            eio_err *err = eioi_sockaddr_to_os(items[i].dst, &batch->addrs[i]);
            if (err != NULL) {
                eio_err_drop(err);
                return i;
            }
            msg.msg_name = &batch->addrs[i].storage;
            msg.msg_namelen = batch->addrs[i].len;
        }
        batch->headers[i].msg_hdr = msg;
    }
    return n;
}

/** Sends what the system takes at once; `*out_n` is how many. */
__attribute__((noinline)) static eio_err *send_now(struct eioi_datagram *self,
                                                   const struct eio_datagram_out *items, size_t n,
                                                   size_t *out_n) {
    struct batch batch;
    int fd;
    size_t ready = prepare(&batch, items, n);
    *out_n = 0;
    if (ready == 0)
        return NULL;
    EIO_TRY(eioi_fd_hold(&self->fd, "send_msg", &fd));
    int sent = EIOI_SYS(sendmmsg,
                        sendmmsg(fd, batch.headers, (unsigned)ready, MSG_DONTWAIT | MSG_NOSIGNAL));
    int errnum = errno;
    eioi_fd_unhold(&self->fd);
    if (sent < 0 && errnum != EAGAIN && errnum != EINTR)
        return eioi_err_of_errno(errnum, "send_msg");
    *out_n = sent < 0 ? 0 : (size_t)sent;
    return NULL;
}

static eio_err *send_many(eio_datagram_socket *socket, const struct eio_datagram_out *items,
                          size_t n, size_t *out_n) {
    EIO_TRY(eio_fiber_yield()); // whoever does nothing else must let others run
    while (*out_n < n) {
        const struct eio_datagram_out *next = &items[*out_n];
        size_t sent;
        EIO_TRY(send_now(eioi_datagram_of(socket), next, batch_of(n - *out_n), &sent));
        *out_n += sent;
        if (sent > 0)
            continue;
        EIO_TRY(socket->ops->send(socket, next->dst, next->slices, next->n));
        ++*out_n;
    }
    return NULL;
}

eio_err *eioi_datagram_send_many(eio_datagram_socket *socket, const struct eio_datagram_out *items,
                                 size_t n, size_t *out_n) {
    eio_fd *fd = &eioi_datagram_of(socket)->fd;
    int ignored;
    EIO_TRY(eio_fiber_check());
    EIO_TRY(eioi_fd_hold(fd, "send_msg", &ignored)); // as above
    eio_err *err = send_many(socket, items, n, out_n);
    eioi_fd_unhold(fd);
    return err;
}
