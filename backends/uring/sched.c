// SPDX-License-Identifier: ISC

// Theory. One system call a turn: it submits everything that was queued since the last one, and
// waits if the loop has nothing else to do. With fibers ready it is made only when there is
// something queued, or the kernel says (by a flag in shared memory) that it has completions which
// it would only show inside a call. All completions there are, are taken in one go: each marks its
// wait as done, and runs nothing.
//
// What enter may say, and what is done:
//   a count, maybe short   the rest stays queued for the next turn (the kernel doesn't wait then)
//   ETIME, EINTR           the turn is over; the scheduler looks at its clock and comes again
//   EBUSY                  completions that found no room must be taken first: fetch them
//   EAGAIN, ENOMEM         no memory for a request: take completions, then wait up to 1 ms without
//                          submitting; after a second of it, what is queued fails with ENOMEM
//   EBADR                  the kernel has lost a completion: nothing is true any more, stop
//   anything else          can't be: stop
// A blocking call is made only when everything is queued (no operation waits for an entry), and the
// read of the wake-up descriptor is armed, so that `poke` from another thread ends it.
//
// The ring is destroyed when nothing is in flight: the kernel may write to the memory of an
// operation until then.

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "backends/unix/std_stream.h"
#include "backends/uring/op.h"
#include "backends/uring/state.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"

enum { REFUSALS_MAX = 1000, LOOK_AFTER_S = 2 };
#define MS INT64_C(1000000)
#define S (1000 * MS)

int64_t eioi_uring_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * S + ts.tv_nsec;
}

static int64_t uring_now(void *backend) {
    (void)backend;
    return eioi_uring_now();
}

// Completions

static void wake_completed(struct eioi_uring *self, int32_t res) {
    EIO_ASSERT(res > 0 || res == -EINTR || res == -EAGAIN || res == -ENOMEM,
               "the wake-up descriptor can be read (%s)", strerror(-res));
    self->wake_armed = false;
}

static void look_completed(struct eioi_uring *self) {
    self->look_armed = false;
    self->look_due = true;
}

/** A submission entry's last completion was taken, or there will be none: it isn't in flight. */
static void uncount(struct eioi_uring *self, uint64_t user_data) {
    if ((user_data & EIOI_TAG_MASK) != EIOI_TAG_CLOSE) // which never was
        self->in_flight--;
}

static void take(struct eioi_uring *self, const struct io_uring_cqe *cqe) {
    uint64_t rest = cqe->user_data & ~(uint64_t)EIOI_TAG_MASK;
    if (cqe->flags & IORING_CQE_F_MORE) { // only operations of engines have it
        eioi_op_came((struct eioi_op *)(uintptr_t)rest, cqe->res, cqe->flags);
        return;
    }
    uncount(self, cqe->user_data);
    switch (cqe->user_data & EIOI_TAG_MASK) {
    case EIOI_TAG_OP:
        eioi_op_completed((struct eioi_op *)(uintptr_t)rest, cqe->res, cqe->flags);
        break;
    case EIOI_TAG_CANCEL:
        eioi_op_cancel_answered((struct eioi_op *)(uintptr_t)rest,
                                EIOI_FAULT(cqe_cancel) ? -errno : cqe->res);
        break;
    case EIOI_TAG_WAKE: wake_completed(self, EIOI_FAULT(cqe_wake) ? -errno : cqe->res); break;
    case EIOI_TAG_LOOK: look_completed(self); break;
    default: // EIOI_TAG_CLOSE, EIOI_TAG_UNLOOK: nobody waits for it
        break;
    }
}

/** Takes every completion that is visible; returns how many. */
static unsigned take_all(struct eioi_uring *self) {
    struct io_uring *io = &self->ring.io;
    struct io_uring_cqe *cqe;
    unsigned head;
    unsigned n = 0;
    io_uring_for_each_cqe(io, head, cqe) {
        take(self, cqe);
        n++;
    }
    io_uring_cq_advance(io, n);
    if (self->look_due) { // all buffers that the kernel has filled are known now
        self->look_due = false;
        eioi_pool_look(&self->pool);
    }
    return n;
}

// Submissions

static void arm_wake(struct eioi_uring *self) {
    struct io_uring_sqe *sqe = self->wake_armed ? NULL : eioi_uring_sqe(self);
    if (sqe == NULL)
        return;
    io_uring_prep_read(sqe, self->wake_fd, &self->wake_count, sizeof self->wake_count, 0);
    sqe->user_data = EIOI_TAG_WAKE;
    self->wake_armed = true;
}

/** While buffers hold memory, somebody looks every few seconds whether they still need it. */
static void arm_look(struct eioi_uring *self) {
    if (self->look_armed || !self->pool.dirty)
        return;
    struct io_uring_sqe *sqe = eioi_uring_sqe(self);
    if (sqe == NULL)
        return;
    self->look_after = (struct __kernel_timespec){.tv_sec = LOOK_AFTER_S};
    io_uring_prep_timeout(sqe, &self->look_after, /* count= */ 0, /* flags= */ 0);
    sqe->user_data = EIOI_TAG_LOOK;
    self->look_armed = true;
}

/** Ends the wait for the next look; false: no room in the queue. */
static bool end_look(struct eioi_uring *self) {
    struct io_uring_sqe *sqe = eioi_uring_sqe(self);
    if (sqe == NULL)
        return false;
    io_uring_prep_timeout_remove(sqe, EIOI_TAG_LOOK, /* flags= */ 0);
    sqe->user_data = EIOI_TAG_UNLOOK;
    return true;
}

/**
 * Nothing queued could be submitted for a long time: gives up on it, but for what can't be given
 * up.
 */
static void fail_queued(struct eioi_uring *self) {
    struct io_uring_sqe sqe;
    while (eioi_ring_take_back(&self->ring, &sqe)) {
        uint64_t rest = sqe.user_data & ~(uint64_t)EIOI_TAG_MASK;
        uncount(self, sqe.user_data);
        switch (sqe.user_data & EIOI_TAG_MASK) {
        case EIOI_TAG_OP: eioi_op_taken_back((struct eioi_op *)(uintptr_t)rest, -ENOMEM); break;
        case EIOI_TAG_CANCEL: eioi_op_cancel_taken_back((struct eioi_op *)(uintptr_t)rest); break;
        case EIOI_TAG_WAKE: self->wake_armed = false; break;
        case EIOI_TAG_LOOK: self->look_armed = false; break;
        case EIOI_TAG_CLOSE: eioi_close_number(sqe.fd); break;
        default: // EIOI_TAG_UNLOOK: then it comes in its time
            break;
        }
    }
    eioi_op_fail_starved(self, -ENOMEM);
}

static void enter_or_sleep(struct eioi_uring *self, int64_t ns) {
    struct __kernel_timespec ts = {.tv_nsec = ns};
    if (eioi_ring_enter(&self->ring, 0, true, &ts) == -ETIME)
        return;
    if (eioi_ring_ready(&self->ring) == 0) {
        struct timespec pause = {.tv_nsec = ns};
        nanosleep(&pause, NULL); // fault: none, a shorter one does as well
    }
}

/** The kernel has no memory for what is queued. */
static void refused(struct eioi_uring *self) {
    if (take_all(self) > 0)
        return;
    if (++self->refusals >= REFUSALS_MAX) {
        self->refusals = 0;
        fail_queued(self);
        return;
    }
    enter_or_sleep(self, MS);
}

/** Deals with what enter has returned; true: it has taken entries. */
static bool entered(struct eioi_uring *self, int rc) {
    if (rc >= 0) {
        self->refusals = 0;
        return rc > 0;
    }
    switch (-rc) {
    case ETIME:
    case EINTR: break;
    case EBUSY:
        if (take_all(self) == 0)
            (void)eioi_ring_enter(&self->ring, 0, false, NULL);
        break;
    case EAGAIN:
    case ENOMEM: refused(self); break;
    case EBADR:
        eioi_panic(__FILE__, __LINE__, __func__, NULL, "the kernel has lost a completion (EBADR)");
    case EEXIST:
        eioi_panic(__FILE__, __LINE__, __func__, NULL,
                   "a ring is used by the thread that made it (EEXIST)");
    default: eioi_panic(__FILE__, __LINE__, __func__, NULL, "io_uring_enter: %s", strerror(-rc));
    }
    return false;
}

static bool enter_now(struct eioi_uring *self) {
    return entered(self, eioi_ring_enter(&self->ring, eioi_ring_queued(&self->ring), false, NULL));
}

static void enter_until(struct eioi_uring *self, int64_t deadline_ns) {
    struct __kernel_timespec ts;
    struct __kernel_timespec *timeout = NULL;
    bool wait = true;
    if (deadline_ns != EIOI_POLL_FOREVER) {
        int64_t left = deadline_ns - uring_now(self);
        wait = left > 0;
        ts.tv_sec = left / S;
        ts.tv_nsec = left % S;
        timeout = wait ? &ts : NULL;
    }
    entered(self, eioi_ring_enter(&self->ring, eioi_ring_queued(&self->ring), wait, timeout));
}

/**
 * Sees to it that every operation and cancel request has an entry; false when the kernel takes no
 * more now.
 */
static bool queue_all(struct eioi_uring *self) {
    for (;;) {
        eioi_op_feed(self);
        if (eioi_list_empty(&self->starved) && eioi_list_empty(&self->starved_cancels))
            return true;
        if (!enter_now(self))
            return false;
    }
}

/** Repeats the cancel requests that are due; returns until when the loop may sleep. */
static int64_t repeat_cancels(struct eioi_uring *self, int64_t deadline_ns) {
    if (eioi_list_empty(&self->again))
        return deadline_ns;
    if (uring_now(self) >= self->again_at) {
        eioi_op_repeat_cancels(self);
        return deadline_ns;
    }
    return deadline_ns < self->again_at ? deadline_ns : self->again_at;
}

void eioi_uring_flush(void *backend) {
    enter_now(backend); // completions are left for the next poll
}

static enum eioi_poll_result uring_poll(void *backend, int64_t deadline_ns) {
    struct eioi_uring *self = backend;
    deadline_ns = repeat_cancels(self, deadline_ns);
    bool all_queued = queue_all(self);
    if (deadline_ns != EIOI_POLL_NOW) {
        arm_wake(self);
        arm_look(self);
    }
    if (deadline_ns != EIOI_POLL_NOW && all_queued && self->wake_armed &&
        eioi_ring_ready(&self->ring) == 0)
        enter_until(self, deadline_ns);
    else if (all_queued && (eioi_ring_queued(&self->ring) > 0 || eioi_ring_has_hidden(&self->ring)))
        enter_now(self);
    return take_all(self) > 0 ? EIOI_POLL_BUSY : EIOI_POLL_OK;
}

static void uring_poke(void *backend) {
    struct eioi_uring *self = backend;
    static const uint64_t one = 1;
    // It can only fail when the count is full, and then the loop is being woken already.
    ssize_t n = write(self->wake_fd, &one, sizeof one); // fault: none, see above
    (void)n;
}

static void uring_forked(void *backend) {
    struct eioi_uring *self = backend;
    eioi_close_number(self->wake_fd);
    eioi_close_number(self->ring.io.ring_fd); // its memory isn't there (eioi_ring_open)
    eioi_pipes_fini(&self->pipes);
}

const struct eioi_backend_ops eioi_uring_ops = {
    .name = "io_uring",
    .poll = uring_poll,
    .poke = uring_poke,
    .now = uring_now,
    .await_fd = eioi_uring_await_fd,
    .io_ops = &eioi_uring_io_ops,
    .forked = uring_forked,
};

// Beginning and end

static eio_err *open_wake(struct eioi_uring *self) {
    self->wake_fd = eioi_above_std(EIOI_SYS(eventfd, eventfd(0, EFD_CLOEXEC)));
    if (self->wake_fd < 0)
        return eio_err_failure("eventfd: %s", strerror(errno));
    return NULL;
}

eio_err *eioi_uring_create_sized(unsigned entries, struct eioi_uring **out) {
    struct eioi_uring *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_list_init(&self->starved);
    eioi_list_init(&self->starved_cancels);
    eioi_list_init(&self->again);
    eioi_lines_init(&self->lines);
    eio_err *err = open_wake(self);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    err = eioi_ring_open(&self->ring, entries);
    if (err != NULL) {
        eioi_close_number(self->wake_fd);
        eioi_free(self);
        return err;
    }
    eioi_pool_open(&self->pool, &self->ring);
    eioi_sigpipe_begin(&self->sigpipe);
    *out = self;
    return NULL;
}

eio_err *eioi_uring_create(struct eioi_uring **out) {
    return eioi_uring_create_sized(EIOI_RING_ENTRIES, out);
}

void eioi_uring_destroy(struct eioi_uring *self) {
    if (self == NULL)
        return;
    EIO_ASSERT(eioi_list_empty(&self->starved),
               "every fiber has ended, and with it what it waited for");
    if (self->wake_armed)
        uring_poke(self);
    // Engines of sockets that were closed at last may still wait for the end of what they had armed.
    bool ending_look = false;
    while (self->in_flight > 0 || !eioi_list_empty(&self->starved_cancels)) {
        int64_t deadline_ns = repeat_cancels(self, EIOI_POLL_FOREVER);
        bool all_queued = queue_all(self);
        if (!ending_look && self->look_armed)
            ending_look = end_look(self);
        if (all_queued && eioi_ring_ready(&self->ring) == 0)
            enter_until(self, deadline_ns);
        take_all(self);
    }
    while (eioi_ring_queued(&self->ring) > 0) // closes, which aren't in flight
        enter_now(self);
    eioi_ring_close(&self->ring);
    eioi_pool_close(&self->pool);
    eioi_close_number(self->wake_fd);
    eioi_sigpipe_end(&self->sigpipe);
    eioi_pipes_fini(&self->pipes);
    eioi_free(self);
}
