// SPDX-License-Identifier: ISC

// Theory. An operation makes its system call in its own fiber (but for copies of connections, whose
// rounds are made in the loop, and have, as the ordinary reads and writes of connections, a short way
// in stream.c):
//
// - Nobody stands in line, and the descriptor may be ready: the call is tried at once. If it has a
//   result the fiber goes to the tail of the run queue (unless a suspension follows anyway) and
//   returns it, whatever happens meanwhile.
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
#include "backends/epoll/stream.h"
#include "eio/fiber.h"
#include "fiber/base/fault.h"
#include "fiber/base/list.h"

#define RETRY_MIN_NS INT64_C(1000000)
#define RETRY_MAX_NS INT64_C(50000000)

/** An operation. In the frame of `perform`. */
struct call {
    struct eioi_epoll *loop;
    struct eioi_polled *polled;
    struct eioi_io *io;
    struct eioi_loan *loan; // a read into a buffer of the loop; NULL: into the caller's
    bool started;           // see eioi_epoll_attempt
};

/** One that has to wait. In the frame of `wait_for_result`. */
struct op {
    struct call *call;
    struct eioi_list *line;
    struct eioi_poll_wait wait;
    struct eioi_inflight inflight;
    struct eioi_timer retry; // armed while waiting for `retry_ns`; valid when that isn't 0
    int64_t retry_ns;        // how long the last retry waited; 0: there was none
};

static bool *flag_of(const struct call *call) {
    return eioi_io_is_reading(call->io->op) ? &call->polled->readable : &call->polled->writable;
}

static struct eioi_list *line_of(const struct call *call) {
    return eioi_io_is_reading(call->io->op) ? &call->polled->readers : &call->polled->writers;
}

/** Into a buffer of the loop, which is held only if bytes came. */
static int32_t attempt_to_lend(struct call *call) {
    struct eioi_buffers *buffers = &call->loop->buffers;
    struct eioi_buffer *buffer = eioi_buffer_take(buffers);
    if (buffer == NULL)
        return -ENOMEM;
    const struct iovec iov = eioi_buffer_iovec(buffer);
    call->io->rw.iov = &iov;
    call->io->rw.iov_count = 1;
    int32_t res = eioi_epoll_attempt(call->loop, call->polled, call->io, &call->started);
    if (res > 0)
        eioi_loan_hold(call->loan, buffer, (size_t)res);
    else
        eioi_buffer_give(buffers, buffer);
    return res;
}

static int32_t attempt(struct call *call) {
    if (call->loan != NULL)
        return attempt_to_lend(call);
    return eioi_epoll_attempt(call->loop, call->polled, call->io, &call->started);
}

/** Of a file that can't be polled (a disk), whose data wasn't at hand: it is read all the same. */
static int32_t attempt_blocking(struct call *call) {
    call->polled->no_nowait = true;
    int32_t res = attempt(call);
    return res == EIOI_WOULD_BLOCK ? -EAGAIN : res;
}

static bool has_result(int32_t res) {
    return res != EIOI_WOULD_BLOCK && res != EIOI_TRY_LATER;
}

static void stop_waiting(struct op *op) {
    eioi_list_unlink(&op->wait.waiter.node);
    if (op->retry_ns != 0)
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
    const struct call *call = op->call;
    if (!later)
        return eioi_poll_arm(call->loop, call->io->fd->fd, call->polled,
                             eioi_io_is_reading(call->io->op) ? EPOLLIN : EPOLLOUT);
    if (op->retry_ns == 0)
        op->retry = (struct eioi_timer){.waiter = &op->wait.waiter};
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
    struct call *call = op->call;
    struct eioi_waiter *w = &op->wait.waiter;
    eioi_waiter_init(w, call->io->name);
    w->what_arg = call->io->fd->fd;
    op->wait.served = false;
    if (again)
        eioi_list_push_head(op->line, &w->node);
    else
        eioi_list_push_tail(op->line, &w->node);
    int errnum = arm(op, later);
    if (errnum != 0) {
        stop_waiting(op);
        w->woken = true;
        *out_res = errnum == EPERM ? attempt_blocking(call) : -errnum;
        if (!again)
            eioi_poll_take_turn();
        return NULL;
    }
    EIO_TRY(eioi_wait(w, op_on_cancel));
    stop_waiting(op);
    if (op->inflight.closed && !op->wait.served)
        return eioi_err_closed(call->io->name);
    *out_res = attempt(call);
    if (has_result(*out_res))
        return NULL;
    if (op->inflight.closed)
        return eioi_err_closed(call->io->name);
    return eio_fiber_check();
}

static eio_err *wait_in_line(struct op *op, int32_t res, int32_t *out_res) {
    bool *ready = flag_of(op->call);
    for (bool again = false; !has_result(res); again = true) {
        bool later = res == EIOI_TRY_LATER;
        EIO_TRY(wait_turn(op, again, later, &res));
        if (!has_result(res))
            *ready = false;
    }
    *out_res = res;
    return NULL;
}

/** With a share, which is given back: `res` is none yet. */
static eio_err *wait_for_result(struct call *call, int32_t res, int32_t *out_res) {
    struct eioi_io *io = call->io;
    struct op op; // large: the rest is set when it is needed
    op.call = call;
    op.line = line_of(call);
    op.retry_ns = 0;
    op.inflight.on_close = op_on_close;
    op.inflight.role = io->role;
    op.wait.waiter.woken = true;
    if (!eioi_fd_list(io->fd, &op.inflight)) {
        eioi_fd_end(io->fd, io->role);
        return eioi_err_closed(io->name);
    }
    eio_err *err = wait_in_line(&op, res, out_res);
    if (err == NULL)
        err = eioi_loan_orphaned(io->fd, call->loan, *out_res);
    if (*flag_of(call))
        (void)eioi_poll_serve(op.line);
    eioi_fd_leave(io->fd, &op.inflight);
    return err;
}

static bool only_waits(const struct eioi_io *io) {
    return io->op == EIOI_IO_READY_IN || io->op == EIOI_IO_READY_OUT;
}

/** Tries it if it may succeed, and it is nobody else's turn. */
static int32_t try_at_once(struct call *call) {
    bool *ready = flag_of(call);
    if (only_waits(call->io)) {
        *ready = false;
        call->polled->doubtful |= eioi_fault_hook != NULL; // what said EAGAIN may have been a test
    }
    if (!eioi_list_empty(line_of(call)) || !(*ready || call->io->op == EIOI_IO_CONNECT))
        return EIOI_WOULD_BLOCK;
    int32_t res = attempt(call);
    if (!has_result(res))
        *ready = false;
    return res;
}

eio_err *eioi_epoll_perform(struct eioi_epoll *loop, struct eioi_io *io, struct eioi_loan *loan,
                            int32_t *out_res) {
    eio_fd *fd = io->fd;
    struct call call = {.loop = loop, .io = io, .loan = loan};
    int32_t res;
    EIO_TRY(eioi_fd_begin(fd, io->name, io->role));
    call.polled = fd->fd < 0 ? NULL : eioi_poll_of(loop, fd);
    if (call.polled == NULL)
        res = fd->fd < 0 ? -EBADF : -ENOMEM;
    else
        res = try_at_once(&call);
    if (!has_result(res))
        return wait_for_result(&call, res, out_res);
    if (!io->turn_follows)
        eioi_poll_take_turn();
    *out_res = res;
    eio_err *err = eioi_loan_orphaned(fd, loan, res);
    eioi_fd_end(fd, io->role);
    return err;
}

static eio_err *perform(void *backend, struct eioi_io *io, int32_t *out_res) {
    EIO_TRY(eio_fiber_check());
    return eioi_epoll_perform(backend, io, /* loan= */ NULL, out_res);
}

static void release(void *backend, eio_fd *fd, size_t used) {
    (void)backend;
    eioi_loan_end(fd, used);
}

static struct eioi_pipes *pipes(void *backend) {
    struct eioi_epoll *self = backend;
    return &self->pipes;
}

const struct eioi_io_ops eioi_epoll_io_ops = {
    .perform = perform,
    .recv = eioi_stream_recv,
    .lend = eioi_stream_lend,
    .send = eioi_stream_send,
    .release = release,
    .pass = eioi_stream_pass,
    .forget = eioi_poll_forget,
    .pipes = pipes,
    .acceptors = 1,
    .wants_nonblock = true,
};
