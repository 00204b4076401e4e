// SPDX-License-Identifier: ISC

// Theory. A result that is one (not negative) is returned whatever happened meanwhile: bytes were
// moved, or a connection was made. Without one, the reason for it is looked for where it would be:
// the fiber's context, then the descriptor. A completion that has neither reason (a signal in a
// worker thread, a descriptor whose owner made it O_NONBLOCK) is no answer, and the operation is run
// again.

#include "backends/uring/run.h"

#include <errno.h>

#include "eio/fiber.h"

void eioi_run_prepare(struct eioi_run *self, struct eioi_uring *uring, eio_fd *fd, const char *name,
                      enum eioi_fd_role role, eioi_inflight_close_fn *on_close) {
    self->uring = uring;
    self->fd = fd;
    self->name = name;
    self->inflight.on_close = on_close;
    self->inflight.role = role;
}

eio_err *eioi_run_begin(struct eioi_run *self, struct eioi_uring *uring, eio_fd *fd,
                        const char *name, enum eioi_fd_role role,
                        eioi_inflight_close_fn *on_close) {
    eioi_run_prepare(self, uring, fd, name, role, on_close);
    return eioi_fd_enter(fd, name, &self->inflight);
}

void eioi_run_end(struct eioi_run *self) {
    eioi_fd_leave(self->fd, &self->inflight);
}

void eioi_run_closed(struct eioi_inflight *inflight) {
    eioi_op_cancel(&EIOI_CONTAINER_OF(inflight, struct eioi_run, inflight)->op.op);
}

eio_err *eioi_run_reason_to_stop(struct eioi_run *self) {
    eio_err *err = eio_fiber_check();
    if (err == NULL && self->inflight.closed)
        err = eioi_err_closed(self->name);
    return err;
}

static void prepare_ready(struct eioi_op *op, struct io_uring_sqe *sqe) {
    struct eioi_run *self = EIOI_CONTAINER_OF(op, struct eioi_run, op.op);
    io_uring_prep_poll_add(sqe, self->fd->fd, (unsigned)self->poll_events);
}

/** The descriptor is O_NONBLOCK, so the kernel doesn't wait by itself. */
static eio_err *wait_until_ready(struct eioi_run *self) {
    const struct eioi_op_spec spec = {
        .prepare = prepare_ready, .what = self->name, .fault = "cqe_poll", .fd = self->fd->fd};
    int32_t res = eioi_op_run(&self->op, self->uring, &spec);
    return res >= 0 ? NULL : eioi_run_reason_to_stop(self);
}

eio_err *eioi_run_op(struct eioi_run *self, const struct eioi_op_spec *spec, int32_t *out_res) {
    for (bool again = false;; again = true) {
        int32_t res = eioi_op_run(&self->op, self->uring, spec);
        if (res == -EISCONN && again)
            res = 0; // a connect's first attempt went on by itself
        if (res < 0)
            EIO_TRY(eioi_run_reason_to_stop(self));
        if (res == -EAGAIN)
            EIO_TRY(wait_until_ready(self));
        else if (res != -EINTR && res != -ECANCELED) {
            *out_res = res;
            return NULL;
        }
    }
}
