// SPDX-License-Identifier: ISC

// Theory. `perform` is: look whether the fiber is cancelled; take a share of the descriptor, so
// that its number stays what it is; run the operation to its result (run.c); give the share back.
// Reads of connections are recv.c's, since what they ask for may have come already; their writes of
// one piece are send.c's. A datagram that can be sent or received at once doesn't go through the ring.

#include <errno.h>
#include <poll.h>

#include "backends/unix/low_level.h"
#include "backends/uring/recv.h"
#include "backends/uring/run.h"
#include "backends/uring/send.h"
#include "backends/uring/state.h"
#include "eio/fiber.h"
#include "fiber/base/assert.h"

#define CURRENT_POSITION ((uint64_t)-1)

/** Of a server's accepts in flight: with so many, a burst costs as little as by a multishot one. */
enum { ACCEPTORS = 8 };

/** One `perform`, in the frame of the fiber that waits. */
struct io_op {
    struct eioi_run run;
    struct eioi_io *io;
    struct msghdr msg; // reads and writes of several slices on a socket
};

static const char *const fault_names[] = {
    [EIOI_IO_READ] = "cqe_read",       [EIOI_IO_WRITE] = "cqe_write",
    [EIOI_IO_RECVMSG] = "cqe_recvmsg", [EIOI_IO_SENDMSG] = "cqe_sendmsg",
    [EIOI_IO_ACCEPT] = "cqe_accept",   [EIOI_IO_CONNECT] = "cqe_connect",
    [EIOI_IO_READY_IN] = "cqe_poll",   [EIOI_IO_READY_OUT] = "cqe_poll",
};

static struct io_op *io_op_of(struct eioi_op *op) {
    return EIOI_CONTAINER_OF(op, struct io_op, run.op.op);
}

static unsigned capped(size_t len) {
    return len < EIOI_IO_LEN_MAX ? (unsigned)len : EIOI_IO_LEN_MAX;
}

static struct msghdr *msg_of_iov(struct io_op *self) {
    const struct eioi_io *io = self->io;
    self->msg = (struct msghdr){.msg_iov = (struct iovec *)(uintptr_t)io->rw.iov,
                                .msg_iovlen = (size_t)io->rw.iov_count};
    return &self->msg;
}

static void prepare_read(struct io_op *self, struct io_uring_sqe *sqe) {
    const struct eioi_io *io = self->io;
    const struct iovec *iov = io->rw.iov;
    bool single = io->rw.iov_count == 1;
    if ((io->fd->flags & EIOI_FD_SOCKET) && single)
        io_uring_prep_recv(sqe, io->fd->fd, iov->iov_base, capped(iov->iov_len), 0);
    else if (io->fd->flags & EIOI_FD_SOCKET)
        io_uring_prep_recvmsg(sqe, io->fd->fd, msg_of_iov(self), 0);
    else if (single)
        io_uring_prep_read(sqe, io->fd->fd, iov->iov_base, capped(iov->iov_len), CURRENT_POSITION);
    else
        io_uring_prep_readv(sqe, io->fd->fd, iov, (unsigned)io->rw.iov_count, CURRENT_POSITION);
}

static void prepare_write(struct io_op *self, struct io_uring_sqe *sqe) {
    const struct eioi_io *io = self->io;
    const struct iovec *iov = io->rw.iov;
    bool single = io->rw.iov_count == 1;
    if (io->fd->flags & EIOI_FD_SOCKET) {
        if (single)
            io_uring_prep_send(sqe, io->fd->fd, iov->iov_base, capped(iov->iov_len),
                               EIOI_SEND_FLAGS);
        else
            io_uring_prep_sendmsg(sqe, io->fd->fd, msg_of_iov(self), EIOI_SEND_FLAGS);
        return;
    }
    if (single)
        io_uring_prep_write(sqe, io->fd->fd, iov->iov_base, capped(iov->iov_len), CURRENT_POSITION);
    else
        io_uring_prep_writev(sqe, io->fd->fd, iov, (unsigned)io->rw.iov_count, CURRENT_POSITION);
    if (!(io->fd->flags & EIOI_FD_REGULAR))
        sqe->rw_flags = eioi_sigpipe_rwf();
}

static void prepare_io(struct eioi_op *op, struct io_uring_sqe *sqe) {
    struct io_op *self = io_op_of(op);
    struct eioi_io *io = self->io;
    switch (io->op) {
    case EIOI_IO_READ: prepare_read(self, sqe); break;
    case EIOI_IO_WRITE: prepare_write(self, sqe); break;
    case EIOI_IO_RECVMSG:
        io_uring_prep_recvmsg(sqe, io->fd->fd, io->msg.msg, (unsigned)io->msg.flags);
        break;
    case EIOI_IO_SENDMSG:
        io_uring_prep_sendmsg(sqe, io->fd->fd, io->msg.msg, (unsigned)io->msg.flags | MSG_NOSIGNAL);
        break;
    case EIOI_IO_ACCEPT:
        io_uring_prep_accept(sqe, io->fd->fd, (struct sockaddr *)io->accept.addr,
                             io->accept.addr == NULL ? NULL : &io->accept.addr_len, SOCK_CLOEXEC);
        break;
    case EIOI_IO_CONNECT:
        io_uring_prep_connect(sqe, io->fd->fd, io->connect.addr, io->connect.addr_len);
        break;
    case EIOI_IO_READY_IN: io_uring_prep_poll_add(sqe, io->fd->fd, POLLIN | POLLRDHUP); break;
    case EIOI_IO_READY_OUT: io_uring_prep_poll_add(sqe, io->fd->fd, POLLOUT); break;
    }
}

// Datagrams. Who answers them one by one has nothing to submit but the one operation that he waits
// for: it takes a system call through the ring, too, and a request that is made, completed, looked
// at and thrown away. So a plain call is tried first, unless others wait to receive.

static bool is_datagram(const struct eioi_io *io) {
    return io->op == EIOI_IO_RECVMSG || io->op == EIOI_IO_SENDMSG;
}

/** The result, if it can be sent or received now; else -EAGAIN. */
static int32_t try_datagram(const struct eioi_io *io) {
    int fd = io->fd->fd;
    int flags = io->msg.flags | MSG_DONTWAIT | MSG_NOSIGNAL;
    ssize_t n = io->op == EIOI_IO_RECVMSG ? EIOI_SYS(recvmsg, recvmsg(fd, io->msg.msg, flags))
                                          : EIOI_SYS(sendmsg, sendmsg(fd, io->msg.msg, flags));
    if (n >= 0)
        return (int32_t)n;
    return errno == EINTR || errno == ECANCELED ? -EAGAIN : -errno; // then the ring will tell
}

static int32_t datagram_at_once(struct eioi_op *op) {
    return try_datagram(io_op_of(op)->io);
}

/** `*out_res` is the result, after a turn, or -EAGAIN: nothing has happened. */
static eio_err *perform_at_once(struct eioi_uring *uring, struct eioi_io *io, int32_t *out_res) {
    EIO_TRY(eioi_fd_begin(io->fd, io->name, io->role));
    if (io->op == EIOI_IO_SENDMSG || eioi_line_is_empty(&uring->lines, io->fd->fd, EIOI_LINE_OWN))
        *out_res = try_datagram(io);
    if (*out_res != -EAGAIN)
        eio_err_drop(eio_fiber_yield()); // the result stands, whatever happens meanwhile
    eioi_fd_end(io->fd, io->role);
    return NULL;
}

static eio_err *run(struct io_op *self, struct eioi_place *place, int32_t *out_res) {
    const struct eioi_io *io = self->io;
    const struct eioi_op_spec spec = {.prepare = prepare_io,
                                      .at_once = is_datagram(io) ? datagram_at_once : NULL,
                                      .what = io->name,
                                      .fault = fault_names[io->op],
                                      .fd = io->fd->fd,
                                      .place = place};
    self->run.poll_events = eioi_io_is_reading(io->op) ? POLLIN : POLLOUT;
    return eioi_run_op(&self->run, &spec, out_res);
}

static bool stands_in_line(const struct eioi_io *io) {
    if (io->op == EIOI_IO_ACCEPT && io->accept.abreast)
        return false;
    return (io->fd->flags & EIOI_FD_SHARED) && eioi_io_is_reading(io->op);
}

/** As `run`, in the order of arrival. Never inlined: few have a use for so large a frame. */
static __attribute__((noinline)) eio_err *run_in_turn(struct io_op *self, int32_t *out_res) {
    struct eioi_lines *lines = &self->run.uring->lines;
    struct eioi_place place;
    eioi_line_enter(lines, &place, self->io->fd->fd, EIOI_LINE_OWN);
    eio_err *err = run(self, &place, out_res);
    eioi_line_leave(&place);
    return err;
}

/** Never inlined: who is cancelled has no use for so large a frame. */
static __attribute__((noinline)) eio_err *perform(struct eioi_uring *uring, struct eioi_io *io,
                                                  int32_t *out_res) {
    struct io_op self;
    int32_t res = 0;
    if (is_datagram(io)) {
        int32_t now = -EAGAIN;
        EIO_TRY(perform_at_once(uring, io, &now));
        if (now != -EAGAIN) {
            *out_res = now;
            return NULL;
        }
    }
    self.io = io;
    EIO_TRY(eioi_run_begin(&self.run, uring, io->fd, io->name, io->role, eioi_run_closed));
    eio_err *err =
        stands_in_line(io) ? run_in_turn(&self, &res) : run(&self, /* place= */ NULL, &res);
    if (res == -EPIPE && !(io->fd->flags & EIOI_FD_SOCKET))
        eioi_sigpipe_take(&uring->sigpipe);
    eioi_run_end(&self.run);
    EIO_TRY(err);
    *out_res = res;
    return NULL;
}

static eio_err *uring_perform(void *backend, struct eioi_io *io, int32_t *out_res) {
    EIO_TRY(eio_fiber_check());
    return perform(backend, io, out_res);
}

// Foreign descriptors

struct await_op {
    struct eioi_fiber_op op;
    struct eioi_place place; // while waiting to read
    int fd;
    short events;
};

static void prepare_await(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const struct await_op *self = EIOI_CONTAINER_OF(op, struct await_op, op.op);
    io_uring_prep_poll_add(sqe, self->fd, (unsigned)(unsigned short)self->events);
}

static eio_err *run_await(struct eioi_uring *uring, struct await_op *self,
                          struct eioi_place *place) {
    const struct eioi_op_spec spec = {.prepare = prepare_await,
                                      .what = "descriptor to be ready",
                                      .fault = "cqe_poll",
                                      .fd = self->fd,
                                      .place = place};
    for (;;) {
        int32_t res = eioi_op_run(&self->op, uring, &spec);
        if (res >= 0)
            return NULL;
        EIO_TRY(eio_fiber_check());
        if (res != -EINTR && res != -EAGAIN && res != -ECANCELED)
            return eioi_err_of_errno(-res, "poll");
    }
}

eio_err *eioi_uring_await_fd(void *backend, int fd, short events) {
    struct eioi_uring *uring = backend;
    struct await_op self = {.fd = fd, .events = events};
    EIO_TRY(eio_fiber_check());
    if (events != POLLIN)
        return run_await(uring, &self, /* place= */ NULL);
    eioi_line_enter(&uring->lines, &self.place, fd, EIOI_LINE_FOREIGN);
    eio_err *err = run_await(uring, &self, &self.place);
    eioi_line_leave(&self.place);
    return err;
}

// Closing

// A close of a socket never waits and has nothing to say, so no completion is asked for, which would
// end a sleep; nor is it counted as in flight. (The kernels that complete inside our calls only, know
// how to leave it out, 5.17.) If it fails all the same, the loop overlooks what comes.
static void uring_close_later(void *backend, int fd) {
    struct eioi_uring *self = backend;
    struct io_uring_sqe *sqe = self->ring.deferred ? eioi_ring_sqe(&self->ring) : NULL;
    if (sqe == NULL) {
        eioi_close_number(fd);
        return;
    }
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = ((uint64_t)(unsigned)fd << EIOI_TAG_BITS) | EIOI_TAG_CLOSE;
}

static struct eioi_pipes *uring_pipes(void *backend) {
    struct eioi_uring *self = backend;
    return &self->pipes;
}

const struct eioi_io_ops eioi_uring_io_ops = {
    .perform = uring_perform,
    .recv = eioi_recv,
    .lend = eioi_recv_lend,
    .send = eioi_send,
    .release = eioi_recv_release,
    .pass = eioi_recv_pass,
    .close_later = uring_close_later,
    .flush = eioi_uring_flush,
    .pipes = uring_pipes,
    .acceptors = ACCEPTORS,
};
