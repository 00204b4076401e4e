// SPDX-License-Identifier: ISC

// Theory. A write of one piece of memory to a connection is what most writes are, so it has a way of
// its own, with nothing in its frame but what it needs: between two messages of one connection come
// those of all others, and what isn't touched needn't be fetched again. Where the connection has an
// engine, a close finds the write through it, so it stands on no list. If there is no result, and no
// reason for that either (run.c), it is run again like any other operation.

#include "backends/uring/send.h"

#include <errno.h>
#include <poll.h>

#include "backends/uring/recv.h"
#include "backends/uring/run.h"
#include "backends/uring/state.h"
#include "eio/fiber.h"
#include "fiber/base/fault.h"

void eioi_send_prepare(struct io_uring_sqe *sqe, const eio_fd *fd, eio_slice bytes) {
    const size_t len = EIOI_LIMIT(short_write, bytes.len);
    io_uring_prep_send(sqe, fd->fd, bytes.base, len < EIOI_IO_LEN_MAX ? len : EIOI_IO_LEN_MAX,
                       EIOI_SEND_FLAGS);
}

/** A write that is tried until there is a result. In the frame of the fiber that waits. */
struct run_send {
    struct eioi_run run;
    eio_slice bytes;
};

static void prepare_run(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const struct run_send *self = EIOI_CONTAINER_OF(op, struct run_send, run.op.op);
    eioi_send_prepare(sqe, self->run.fd, self->bytes);
}

/** `with_share`: the caller has one for it. Never inlined: mostly this large frame isn't needed. */
static __attribute__((noinline)) eio_err *run(struct eioi_uring *uring, eio_fd *fd, bool with_share,
                                              eio_slice bytes, size_t *out_wrote) {
    const struct eioi_op_spec spec = {
        .prepare = prepare_run, .what = "writev", .fault = "cqe_write", .fd = fd->fd};
    struct run_send self;
    int32_t res = 0;
    self.bytes = bytes;
    self.run.poll_events = POLLOUT;
    eioi_run_prepare(&self.run, uring, fd, "writev", EIOI_FD_WRITES, eioi_run_closed);
    if (with_share)
        eioi_fd_stay(fd, &self.run.inflight);
    else
        EIO_TRY(eioi_fd_enter(fd, "writev", &self.run.inflight));
    eio_err *err = eioi_run_op(&self.run, &spec, &res);
    eioi_run_end(&self.run);
    EIO_TRY(err);
    if (res < 0)
        return eioi_err_of_errno(-res, "writev");
    *out_wrote = (size_t)res;
    return NULL;
}

/** One try. */
struct sending {
    struct eioi_fiber_op op;
    const eio_fd *fd;
    eio_slice bytes;
};

static void prepare(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const struct sending *self = EIOI_CONTAINER_OF(op, struct sending, op.op);
    eioi_send_prepare(sqe, self->fd, self->bytes);
}

/** Why there will be no result; NULL: no reason. */
static eio_err *reason_to_stop(const eio_fd *fd) {
    EIO_TRY(eio_fiber_check());
    return fd->interrupted ? eioi_err_closed("writev") : NULL;
}

eio_err *eioi_send(void *backend, eio_fd *fd, eio_slice bytes, size_t *out_wrote) {
    struct eioi_op **writer = eioi_recv_writer(fd);
    EIO_TRY(eio_fiber_check());
    if (__builtin_expect(writer == NULL, 0))
        return run(backend, fd, /* with_share= */ false, bytes, out_wrote);
    EIO_TRY(eioi_fd_begin(fd, "writev", EIOI_FD_WRITES));
    const struct eioi_op_spec spec = {
        .prepare = prepare, .what = "writev", .fault = "cqe_write", .fd = fd->fd};
    struct sending self;
    self.fd = fd;
    self.bytes = bytes;
    *writer = &self.op.op; // stays what it is until the operation is over
    int32_t res = eioi_op_run(&self.op, backend, &spec);
    *writer = NULL;
    if (__builtin_expect(res >= 0, 1)) {
        *out_wrote = (size_t)res;
        eioi_fd_end(fd, EIOI_FD_WRITES);
        return NULL;
    }
    eio_err *err = reason_to_stop(fd);
    if (err == NULL && (res == -EINTR || res == -EAGAIN || res == -ECANCELED))
        return run(backend, fd, /* with_share= */ true, bytes, out_wrote);
    eioi_fd_end(fd, EIOI_FD_WRITES);
    return err != NULL ? err : eioi_err_of_errno(-res, "writev");
}
