// SPDX-License-Identifier: ISC

// Theory. A copy of a few bytes is cheapest by a loan and a write. One of very many is cheapest by
// splice(2), which hands the kernel's own buffers from one socket to the other through a pipe. So a
// copy lends until much has come in a row, then splices until little has come in a row.
//
// A burst moves what is there: in, out, in, out, until the source has no more. Within a burst the
// bytes in the pipe are the copy's only state; it suspends where the sink takes no more, and for a
// turn after each filling of the pipe, so that one copy doesn't keep the loop from everything else.
// Between bursts it waits for the source, with nothing in its hands: the pipe is back with the
// loop's others.
//
// Both descriptors are made O_NONBLOCK when first spliced, until they are taken out: splice(2) has no
// flag of its own for that. They are connections of ours alone, so nobody else sees it, and to the operations on
// sockets of both backends it makes no difference. The engine of the source is disarmed meanwhile,
// as for any other user of the raw descriptor.
//
// Where there is no pipe (descriptors are used up) the copy goes on by loans.
//
// No suspension is in a held section: a close in between is seen by the next call.

#include "backends/unix/splice.h"

#include <errno.h>
#include <fcntl.h>

#include "backends/unix/low_level.h"
#include "backends/unix/pipes.h"
#include "backends/unix/sigpipe.h"
#include "eio/fiber.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "fiber/sched.h"

enum {
    MUCH_BYTES = 16 * 1024, // that come at once
    LITTLE_IN_A_ROW = 4,    // bursts
};

bool eioi_splice_is_much(const eio_fd *from, eio_slice loan) {
    if (loan.len > MUCH_BYTES)
        return true;
    return loan.len == MUCH_BYTES && from->engine != NULL && from->engine->ops->holds(from->engine);
}

/** One copy, while it splices. */
struct copy {
    eio_fd *from, *to;
    struct eioi_pipe pipe; // valid in a burst
    size_t piped;          // bytes in the pipe
    size_t moved;          // bytes in this burst
    bool ended;            // the source is at its end
    bool unable;           // no pipe is to be had, or the sockets are none that splice(2) knows
};

static eio_err *wait_for(eio_fd *fd, enum eioi_io_op op, enum eioi_fd_role role, const char *name) {
    struct eioi_io io = {.op = op, .fd = fd, .name = name, .role = role};
    int32_t res;
    return eioi_io_perform(&io, &res);
}

/** splice(2): how much, or -errno. */
static ssize_t splice_once(int from, int to, size_t len) {
    for (;;) {
        ssize_t n = EIOI_SYS(splice, splice(from, NULL, to, NULL, EIOI_LIMIT(short_write, len),
                                            SPLICE_F_NONBLOCK | SPLICE_F_MOVE));
        if (n >= 0 || errno != EINTR)
            return n >= 0 ? n : -errno;
    }
}

/** Fills the pipe with what is there; -EAGAIN: nothing. */
static eio_err *fill(struct copy *self, ssize_t *out_res) {
    int number = -1;
    EIO_TRY(eioi_fd_hold(self->from, "readv", &number));
    ssize_t n = splice_once(number, self->pipe.in, self->pipe.bytes);
    eioi_fd_unhold(self->from);
    if (n == -EINVAL || n == -ENOSYS || n == -ENOMEM)
        self->unable = true;
    else if (n < 0 && n != -EAGAIN)
        return eioi_err_of_errno((int)-n, "splice");
    *out_res = n;
    return NULL;
}

/** Gives the sink as much of the pipe as it takes. */
static eio_err *drain_some(struct copy *self) {
    struct eioi_sigpipe_hold quiet;
    int number = -1;
    ssize_t n = 0;
    EIO_TRY(eioi_fd_hold(self->to, "writev", &number));
    eioi_sigpipe_block(&quiet);
    while (self->piped > 0) {
        n = splice_once(self->pipe.out, number, self->piped);
        if (n <= 0)
            break;
        self->piped -= (size_t)n;
    }
    eioi_sigpipe_unblock(&quiet, n == -EPIPE);
    eioi_fd_unhold(self->to);
    return n >= 0 || n == -EAGAIN ? NULL : eioi_err_of_errno((int)-n, "splice");
}

static eio_err *drain(struct copy *self) {
    EIO_TRY(drain_some(self));
    while (self->piped > 0) {
        EIO_TRY(wait_for(self->to, EIOI_IO_READY_OUT, EIOI_FD_WRITES, "writev"));
        EIO_TRY(drain_some(self));
    }
    return NULL;
}

/** Until nothing more is there. */
static eio_err *run_burst(struct copy *self) {
    for (;;) {
        ssize_t n = 0;
        EIO_TRY(fill(self, &n));
        if (n <= 0) {
            self->ended = n == 0;
            return NULL;
        }
        self->piped = (size_t)n;
        self->moved += (size_t)n;
        EIO_TRY(drain(self));
        eioi_sched_poll_soon();
        EIO_TRY(eio_fiber_yield());
    }
}

static eio_err *burst(struct copy *self) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("splice", &ops));
    struct eioi_pipes *pipes = ops->pipes(eioi_backend());
    int errnum = eioi_pipes_take(pipes, &self->pipe);
    self->unable = errnum != 0;
    if (self->unable)
        return NULL;
    self->moved = self->piped = 0;
    eio_err *err = run_burst(self);
    if (self->piped == 0)
        eioi_pipes_give(pipes, &self->pipe);
    else
        eioi_pipe_close(&self->pipe);
    return err;
}

static eio_err *copy_bursts(struct copy *self) {
    for (unsigned little = 0; little < LITTLE_IN_A_ROW;) {
        EIO_TRY(burst(self));
        if (self->ended || self->unable)
            return NULL;
        little = self->moved < MUCH_BYTES ? little + 1 : 0;
        EIO_TRY(wait_for(self->from, EIOI_IO_READY_IN, EIOI_FD_READS, "readv"));
    }
    return NULL;
}

static eio_err *make_nonblocking(eio_fd *fd, const char *op) {
    int number = -1;
    EIO_TRY(eioi_fd_hold(fd, op, &number));
    int flags = EIOI_SYS(fcntl, fcntl(number, F_GETFL));
    int errnum = flags < 0 ? errno : 0;
    if (errnum == 0 && !(flags & O_NONBLOCK)) {
        errnum = EIOI_SYS(fcntl, fcntl(number, F_SETFL, flags | O_NONBLOCK)) == 0 ? 0 : errno;
        fd->unblocked = errnum == 0;
    }
    eioi_fd_unhold(fd);
    return errnum == 0 ? NULL : eioi_err_of_errno(errnum, "fcntl");
}

void eioi_splice_forget(eio_fd *fd) {
    int flags = fd->unblocked ? fcntl(fd->fd, F_GETFL) : -1; // fault: none, it was asked for before
    if (flags >= 0)
        (void)fcntl(fd->fd, F_SETFL, flags & ~O_NONBLOCK); // fault: none, as above
    fd->unblocked = false;
}

eio_err *eioi_splice(eio_fd *from, eio_fd *to, bool *out_ended) {
    struct copy self = {.from = from, .to = to};
    EIO_TRY(make_nonblocking(from, "readv"));
    EIO_TRY(make_nonblocking(to, "writev"));
    EIO_TRY(copy_bursts(&self));
    *out_ended = self.ended;
    return NULL;
}
