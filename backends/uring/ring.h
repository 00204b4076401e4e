// SPDX-License-Identifier: ISC
#ifndef EIO_URING_RING_H
#define EIO_URING_RING_H

// The pair of queues shared with the kernel, and the one system call on them. Knows nothing of
// fibers and operations.

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "fiber/base/fault.h"

EIO_BEGIN_DECLS

enum {
    EIOI_RING_ENTRIES = 256,    // submission queue
    EIOI_RING_ENTRIES_MIN = 64, // what is tried last when there is no memory
    EIOI_RING_CQ_FACTOR = 8,    // completion queue entries for each submission queue entry
};

struct eioi_ring {
    struct io_uring io;
    bool deferred; // IORING_SETUP_DEFER_TASKRUN: completions are made inside our calls only
};

/** Errors: Failure, its text saying why and the likely cause. */
EIO_MUST_USE eio_err *eioi_ring_open(struct eioi_ring *self, unsigned entries);
/** Nothing may be in flight. */
void eioi_ring_close(struct eioi_ring *self);

/** A cleared submission entry to fill in, which is queued; NULL when the queue is full. */
static inline struct io_uring_sqe *eioi_ring_sqe(struct eioi_ring *self) {
    return EIOI_FAULT(uring_sqe_full) ? NULL : io_uring_get_sqe(&self->io);
}

/** Entries queued that the kernel hasn't taken. */
static inline unsigned eioi_ring_queued(const struct eioi_ring *self) {
    return self->io.sq.sqe_tail - *self->io.sq.khead;
}

/** Where the queue of submission entries ends now. */
static inline unsigned eioi_ring_end(const struct eioi_ring *self) {
    return self->io.sq.sqe_tail;
}

/** Whether the kernel has taken all entries up to `end`. */
static inline bool eioi_ring_has_taken(const struct eioi_ring *self, unsigned end) {
    return (int)(*self->io.sq.khead - end) >= 0;
}

/** Completions that can be taken without a system call. */
static inline unsigned eioi_ring_ready(const struct eioi_ring *self) {
    return io_uring_cq_ready(&self->io);
}

/** Whether the kernel has completions that come only with a system call. */
static inline bool eioi_ring_has_hidden(const struct eioi_ring *self) {
    return (IO_URING_READ_ONCE(*self->io.sq.kflags) &
            (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

/**
 * io_uring_enter(2): submits everything queued, and makes hidden completions visible; `wait`: until
 * there is one, or for `timeout` (NULL: no limit). Returns how many entries the kernel took, or
 * -errno.
 */
int eioi_ring_enter(struct eioi_ring *self, unsigned submit, bool wait,
                    struct __kernel_timespec *timeout);
/** Gives the kernel a ring of `entries` (a power of two) buffers to take from. 0 or -errno. */
int eioi_ring_add_buffers(struct eioi_ring *self, struct io_uring_buf_ring *ring, unsigned entries,
                          int group);
/**
 * Takes back the newest entry that the kernel hasn't taken, and copies it to `out`; false when
 * there is none.
 */
bool eioi_ring_take_back(struct eioi_ring *self, struct io_uring_sqe *out);

EIO_END_DECLS

#endif
