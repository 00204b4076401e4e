// SPDX-License-Identifier: ISC
#ifndef EIO_URING_STATE_H
#define EIO_URING_STATE_H

// What a domain's io_uring backend holds.

#include <stdbool.h>
#include <stdint.h>

#include "backends/unix/low_level.h"
#include "backends/unix/pipes.h"
#include "backends/unix/sigpipe.h"
#include "backends/uring/line.h"
#include "backends/uring/pool.h"
#include "backends/uring/ring.h"
#include "backends/uring/uring.h"
#include "fiber/base/list.h"

/**
 * The low bits of user_data say what a completion belongs to; the rest is a pointer, or a number.
 */
enum eioi_tag {
    EIOI_TAG_OP = 0,     // a struct eioi_op
    EIOI_TAG_CANCEL = 1, // the cancel request of a struct eioi_op
    EIOI_TAG_WAKE = 2,   // the loop's own read of `wake_fd`
    EIOI_TAG_CLOSE = 3,  // the closing of a descriptor, whose number it is
    EIOI_TAG_LOOK = 4,   // the time-out after which the pool is looked at
    EIOI_TAG_UNLOOK = 5, // the end of that time-out before its time
    EIOI_TAG_MASK = 7,
    EIOI_TAG_BITS = 3,
};

struct eioi_uring {
    struct eioi_ring ring;
    struct eioi_list starved;         // operations that wait for a submission entry, oldest first
    struct eioi_list starved_cancels; // operations whose cancel request does
    struct eioi_list again;  // operations whose cancel request is to be repeated at `again_at`
    struct eioi_lines lines; // who waits to read one descriptor
    int64_t again_at;        // valid while `again` isn't empty
    // Submission entries made whose (last) completion hasn't been taken; but closes, which have none.
    unsigned in_flight;
    unsigned refusals;     // times in a row that the kernel had no memory for a submission
    int wake_fd;           // an eventfd: poke
    uint64_t wake_count;   // where the read of it goes
    bool wake_armed;       // that read is queued or in flight
    struct eioi_pool pool; // receive buffers
    bool no_multishot;     // the kernel can't receive again and again by one operation
    bool look_armed;       // the time-out for the next look at `pool` is queued or in flight
    bool look_due;         // it has passed
    struct __kernel_timespec look_after; // where the kernel reads it
    struct eioi_sigpipe sigpipe;
    struct eioi_pipes pipes; // for copying
};

/** A submission entry, counted as in flight; NULL when the queue is full. */
static inline struct io_uring_sqe *eioi_uring_sqe(struct eioi_uring *self) {
    struct io_uring_sqe *sqe = eioi_ring_sqe(&self->ring);
    if (sqe != NULL)
        self->in_flight++;
    return sqe;
}

static inline uint64_t eioi_tagged(const void *ptr, enum eioi_tag tag) {
    return (uint64_t)(uintptr_t)ptr | (uint64_t)tag;
}

/** Now, by the monotonic clock; also when no loop runs any more (sched.c). */
int64_t eioi_uring_now(void);
/** Submits what is queued, without waiting (sched.c). */
void eioi_uring_flush(void *backend);
/** The descriptor operations (low_level.c). */
extern const struct eioi_io_ops eioi_uring_io_ops;
/** `eioi_backend_ops.await_fd`. */
EIO_MUST_USE eio_err *eioi_uring_await_fd(void *backend, int fd, short events);

#endif
