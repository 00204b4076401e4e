// SPDX-License-Identifier: ISC

// Theory. An operation makes its system call in its own fiber:
//
// - Nobody stands in line, and the descriptor may be ready: the call is tried at once. If it has a
//   result the fiber goes to the tail of the run queue and returns it, whatever happens meanwhile.
// - Else it joins the line, and waits to be woken by one of: its turn (an event; the call is tried
//   again), a cancel, a close. Exactly one of them wakes it, which `waiter.woken` decides; a cancel
//   or close takes it out of the line. When the call would block again, it waits again, still the
//   first in its line: to its caller that is one suspension.
//
// So data is read just before it is used, in the fiber that uses it, and a write follows its read
// without a detour. The turn after an immediate success is what keeps two busy connections fair to
// each other, and to timers.
//
// Whoever had his turn keeps it: when a cancel or close comes between the event and the fiber's
// resumption, the call is still made, and its result is returned if it has one; nothing that the
// kernel gave out is lost. Who leaves the line passes the turn on if there may be more.
//
// A full Unix listener is the one thing that no event tells of: connect(2) is tried again by a
// timer.

#include "backends/epoll/low_level.h"

#include <errno.h>

#include "backends/epoll/attempt.h"
#include "backends/epoll/lend.h"
#include "backends/epoll/poll.h"
#include "eio/fiber.h"
#include "fiber/base/fault.h"
#include "fiber/base/list.h"

#define RETRY_MIN_NS INT64_C(1000000)
#define RETRY_MAX_NS INT64_C(50000000)

/** An operation under way. In the frame of `perform`. */
struct op {
    struct eioi_poll_wait wait;
    struct eioi_inflight inflight;
    struct eioi_timer retry; // armed while waiting for `retry_ns`
    struct eioi_epoll *loop;
    struct eioi_polled *polled;
    struct eioi_io *io;
    struct eioi_list *line;
    struct eioi_loan *loan; // a read into a buffer of the loop; NULL: into the caller's
    int64_t retry_ns;       // how long the last retry waited
    bool started;           // see eioi_epoll_attempt
};

static bool *flag_of(struct op *op) {
    return eioi_io_is_reading(op->io->op) ? &op->polled->readable : &op->polled->writable;
}

/** Into a buffer of the loop, which is held only if bytes came. */
static int32_t attempt_to_lend(struct op *op) {
    if (!eioi_loan_take_buffer(op->loan))
        return -ENOMEM;
    const struct iovec iov = {
        .iov_base = op->loan->buffer->bytes,
        .iov_len = EIOI_LIMIT(short_read, (size_t)EIOI_BUFFER_BYTES),
    };
    op->io->rw.iov = &iov;
    op->io->rw.iov_count = 1;
    int32_t res = eioi_epoll_attempt(op->loop, op->polled, op->io, &op->started);
    eioi_loan_fill(op->loan, res > 0 ? (size_t)res : 0);
    return res;
}

static int32_t attempt(struct op *op) {
    if (op->loan != NULL)
        return attempt_to_lend(op);
    return eioi_epoll_attempt(op->loop, op->polled, op->io, &op->started);
}

/** Of a file that can't be polled (a disk), whose data wasn't at hand: it is read all the same. */
static int32_t attempt_blocking(struct op *op) {
    op->polled->no_nowait = true;
    int32_t res = attempt(op);
    return res == EIOI_WOULD_BLOCK ? -EAGAIN : res;
}

static bool has_result(int32_t res) {
    return res != EIOI_WOULD_BLOCK && res != EIOI_TRY_LATER;
}

static void stop_waiting(struct op *op) {
    eioi_list_unlink(&op->wait.waiter.node);
    eioi_timer_disarm(&op->retry);
}

static void op_on_cancel(struct eioi_waiter *w, eio_err *reason) {
    struct op *op = EIOI_CONTAINER_OF(w, struct op, wait.waiter);
    stop_waiting(op);
    eioi_wake(w, eio_err_ref(reason));
}

static void op_on_close(struct eioi_inflight *inflight) {
    struct op *op = EIOI_CONTAINER_OF(inflight, struct op, inflight);
    if (op->wait.waiter.woken) // it is running, or ready to
        return;
    stop_waiting(op);
    eioi_wake(&op->wait.waiter, NULL);
}

/** Asks for what will wake it: an event, or the timer. 0 or errno. */
static int arm(struct op *op, bool later) {
    if (!later)
        return eioi_poll_arm(op->loop, op->io->fd->fd, op->polled,
                             eioi_io_is_reading(op->io->op) ? EPOLLIN : EPOLLOUT);
    op->retry_ns = op->retry_ns == 0 ? RETRY_MIN_NS : op->retry_ns * 2;
    if (op->retry_ns > RETRY_MAX_NS)
        op->retry_ns = RETRY_MAX_NS;
    eioi_timer_arm(&op->retry, eioi_now() + op->retry_ns);
    return 0;
}

/**
 * Waits once. NULL: it's worth trying again, or `*out_res` is a result; else why there is none.
 */
static eio_err *wait_turn(struct op *op, bool again, bool later, int32_t *out_res) {
    struct eioi_waiter *w = &op->wait.waiter;
    eioi_waiter_init(w, op->io->name);
    w->what_arg = op->io->fd->fd;
    op->wait.served = false;
    if (again)
        eioi_list_push_head(op->line, &w->node);
    else
        eioi_list_push_tail(op->line, &w->node);
    int errnum = arm(op, later);
    if (errnum != 0) {
        stop_waiting(op);
        w->woken = true;
        *out_res = errnum == EPERM ? attempt_blocking(op) : -errnum;
        if (!again)
            eioi_poll_take_turn(op->io->name);
        return NULL;
    }
    EIO_TRY(eioi_wait(w, op_on_cancel));
    stop_waiting(op);
    if (op->inflight.closed && !op->wait.served)
        return eioi_err_closed(op->io->name);
    *out_res = attempt(op);
    if (has_result(*out_res))
        return NULL;
    if (op->inflight.closed)
        return eioi_err_closed(op->io->name);
    return eio_fiber_check();
}

static bool only_waits(const struct op *op) {
    return op->io->op == EIOI_IO_READY_IN || op->io->op == EIOI_IO_READY_OUT;
}

static eio_err *run(struct op *op, int32_t *out_res) {
    int32_t res = EIOI_WOULD_BLOCK;
    bool *ready = flag_of(op);
    if (only_waits(op)) {
        *ready = false;
        op->polled->doubtful |= eioi_fault_hook != NULL; // what said EAGAIN may have been a test
    }
    if (eioi_list_empty(op->line) && (*ready || op->io->op == EIOI_IO_CONNECT)) {
        res = attempt(op);
        if (has_result(res)) {
            eioi_poll_take_turn(op->io->name);
            *out_res = res;
            return NULL;
        }
        *ready = false;
    }
    for (bool again = false; !has_result(res); again = true) {
        bool later = res == EIOI_TRY_LATER;
        EIO_TRY(wait_turn(op, again, later, &res));
        if (!has_result(res))
            *ready = false;
    }
    *out_res = res;
    return NULL;
}

/** With a share of the descriptor. */
static eio_err *perform_in_share(struct op *op, int32_t *out_res) {
    eio_fd *fd = op->io->fd;
    op->polled = fd->fd < 0 ? NULL : eioi_poll_of(op->loop, fd);
    if (op->polled == NULL) {
        eioi_poll_take_turn(op->io->name);
        *out_res = fd->fd < 0 ? -EBADF : -ENOMEM;
        return NULL;
    }
    op->line = eioi_io_is_reading(op->io->op) ? &op->polled->readers : &op->polled->writers;
    eio_err *err = run(op, out_res);
    if (*flag_of(op))
        (void)eioi_poll_serve(op->line);
    return err;
}

static eio_err *perform_with(struct eioi_epoll *loop, struct eioi_io *io, struct eioi_loan *loan,
                             int32_t *out_res) {
    struct op op = {.loop = loop, .io = io, .loan = loan};
    op.inflight.on_close = op_on_close;
    op.inflight.role = io->role;
    op.wait.waiter.woken = true;
    op.retry.waiter = &op.wait.waiter;
    EIO_TRY(eioi_fd_enter(io->fd, io->name, &op.inflight));
    eio_err *err = perform_in_share(&op, out_res);
    eioi_fd_leave(io->fd, &op.inflight);
    return err;
}

static eio_err *perform(void *backend, struct eioi_io *io, int32_t *out_res) {
    EIO_TRY(eio_fiber_check());
    if (io->op == EIOI_IO_READ && eioi_loan_has_rest(io->fd)) {
        const struct iovec *iov = io->rw.iov;
        *out_res = (int32_t)eioi_loan_copy_rest(io->fd, eio_buf_of(iov->iov_base, iov->iov_len));
        return NULL;
    }
    return perform_with(backend, io, /* loan= */ NULL, out_res);
}

static eio_err *lend(void *backend, eio_fd *fd, eio_slice *out, int32_t *out_res) {
    struct eioi_epoll *self = backend;
    struct eioi_io io = {.op = EIOI_IO_READ, .fd = fd, .name = "readv", .role = EIOI_FD_READS};
    EIO_TRY(eio_fiber_check());
    struct eioi_loan *loan = eioi_loan_of(fd, &self->buffers);
    if (loan == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *out_res = 1;
    if (!eioi_loan_has_rest(fd))
        EIO_TRY(perform_with(self, &io, loan, out_res));
    *out = *out_res > 0 ? eioi_loan_begin(loan) : eio_slice_of(NULL, 0);
    return NULL;
}

static void release(void *backend, eio_fd *fd, size_t used) {
    struct eioi_epoll *self = backend;
    eioi_loan_end(eioi_loan_of(fd, &self->buffers), used);
}

static struct eioi_pipes *pipes(void *backend) {
    struct eioi_epoll *self = backend;
    return &self->pipes;
}

const struct eioi_io_ops eioi_epoll_io_ops = {
    .perform = perform,
    .lend = lend,
    .release = release,
    .forget = eioi_poll_forget,
    .pipes = pipes,
    .acceptors = 1,
    .wants_nonblock = true,
};
