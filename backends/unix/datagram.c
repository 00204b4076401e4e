// SPDX-License-Identifier: ISC

// Theory. A datagram is sent by one call, whole or not at all, whatever the number of its slices;
// an empty one is a datagram like any other, in both directions. Any number of fibers of any
// domains may send and receive at once: all that a call needs is in its own frame.

#include "backends/unix/datagram.h"

#include <errno.h>
#include <limits.h>

#include "backends/unix/datagram_many.h"
#include "backends/unix/low_level.h"
#include "backends/unix/sockaddr.h"
#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "fiber/base/canary.h"

static const struct eio_datagram_socket_ops unix_datagram_ops;

struct eioi_datagram *eioi_datagram_of(eio_datagram_socket *socket) {
    eio_unix_datagram *self = EIO_SELF(eio_unix_datagram, socket, socket, &unix_datagram_ops);
    return EIOI_CONTAINER_OF(self, struct eioi_datagram, datagram);
}

static eio_err *unix_send(eio_datagram_socket *socket, const eio_sockaddr *dst,
                          const eio_slice *slices, size_t n) {
    struct eioi_os_addr addr;
    size_t total = 0;
    int32_t res = 0;
    if (n > IOV_MAX)
        return eio_err_os(&eio_err_x, EMSGSIZE, "send_msg");
    for (size_t i = 0; i < n; i++)
        total += slices[i].len;
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)slices, .msg_iovlen = n};
    if (dst != NULL) {
        EIO_TRY(eioi_sockaddr_to_os(dst, &addr));
        msg.msg_name = &addr.storage;
        msg.msg_namelen = addr.len;
    }
    struct eioi_io io = {.op = EIOI_IO_SENDMSG,
                         .fd = &eioi_datagram_of(socket)->fd,
                         .name = "send_msg",
                         .msg = {.msg = &msg, .flags = 0}};
    EIO_TRY(eioi_io_perform(&io, &res));
    return (size_t)res == total ? NULL : eio_err_os(&eio_err_x, EMSGSIZE, "send_msg");
}

eio_err *eioi_datagram_received(const struct msghdr *msg, size_t len,
                                struct eio_datagram_info *out) {
    const struct sockaddr_storage *from = msg->msg_name;
    EIO_TRY(eioi_sockaddr_of_os(from, msg->msg_namelen, EIO_UDP, &out->from));
    out->len = len;
    out->truncated = (msg->msg_flags & MSG_TRUNC) != 0;
    return NULL;
}

void eioi_datagram_defer(struct eioi_datagram *self, int errnum) {
    atomic_store(&self->deferred, errnum);
}

static eio_err *take_deferred(struct eioi_datagram *self) {
    if (atomic_load_explicit(&self->deferred, memory_order_relaxed) == 0)
        return NULL;
    EIO_TRY(eio_fiber_check()); // it isn't for who is cancelled
    int errnum = atomic_exchange(&self->deferred, 0);
    return errnum == 0 ? NULL : eioi_err_of_errno(errnum, "recv_msg");
}

static eio_err *unix_recv(eio_datagram_socket *socket, eio_buf buf, struct eio_datagram_info *out) {
    struct eioi_datagram *self = eioi_datagram_of(socket);
    struct iovec iov = {.iov_base = buf.base, .iov_len = buf.len};
    struct sockaddr_storage storage;
    struct msghdr msg = {
        .msg_name = &storage, .msg_namelen = sizeof storage, .msg_iov = &iov, .msg_iovlen = 1};
    struct eioi_io io = {.op = EIOI_IO_RECVMSG,
                         .fd = &self->fd,
                         .name = "recv_msg",
                         .msg = {.msg = &msg, .flags = 0}};
    int32_t res = 0;
    EIO_TRY(take_deferred(self));
    EIO_TRY(eioi_io_perform(&io, &res));
    if (EIOI_CANARY(empty_is_end) && res == 0)
        return eio_err_const(&eio_err_end_of_file);
    return eioi_datagram_received(&msg, (size_t)res, out);
}

static eio_err *unix_datagram_addr(eio_datagram_socket *socket, eio_sockaddr *out) {
    eio_fd *fd = &eioi_datagram_of(socket)->fd;
    int number = -1;
    EIO_TRY(eioi_fd_hold(fd, "datagram_addr", &number));
    eio_err *err = eioi_sockaddr_local(number, EIO_UDP, out);
    eioi_fd_unhold(fd);
    return err;
}

static void unix_datagram_close(eio_datagram_socket *socket) {
    eioi_fd_close(&eioi_datagram_of(socket)->fd);
}

static void *unix_datagram_query(eio_datagram_socket *socket, const eio_iface *iface) {
    return iface == &eioi_iface_fd ? &eioi_datagram_of(socket)->fd : NULL;
}

static const struct eio_datagram_socket_ops unix_datagram_ops = {
    .name = "unix",
    .send = unix_send,
    .recv = unix_recv,
    .addr = unix_datagram_addr,
    .close = unix_datagram_close,
    .query = unix_datagram_query,
    .recv_many = eioi_datagram_recv_many,
    .send_many = eioi_datagram_send_many};

eio_err *eioi_datagram_new(unsigned flags, struct eioi_datagram **out) {
    struct eioi_datagram *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_fd_init(&self->fd, flags | EIOI_FD_SOCKET | EIOI_FD_SHARED);
    self->datagram.fd = &self->fd;
    self->datagram.socket.ops = &unix_datagram_ops;
    *out = self;
    return NULL;
}

static eio_err *datagram_hook(eio_hook *hook) {
    eioi_datagram_free(EIOI_CONTAINER_OF(hook, struct eioi_datagram, hook));
    return NULL;
}

void eioi_datagram_open(struct eioi_datagram *self, eio_switch *sw, int fd) {
    eioi_fd_open(&self->fd, fd);
    eio_switch_attach(sw, &self->hook, datagram_hook);
}

void eioi_datagram_free(struct eioi_datagram *self) {
    eio_hook_remove(&self->hook);
    eioi_fd_close(&self->fd);
    eioi_fd_orphan(&self->fd);
}
