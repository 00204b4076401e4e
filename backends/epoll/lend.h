// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_LEND_H
#define EIO_EPOLL_LEND_H

// Loans of what has come on connections. See the theory at the head of lend.c.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "backends/unix/rcfd.h"
#include "eio/slice.h"
#include "fiber/base/fault.h"

enum {
    EIOI_BUFFER_BYTES = 20 * 1024, // more than the 16 KiB that many programs write at once
    EIOI_BUFFER_ALIGN = 64,        // a cache line: the kernel copies faster to where one begins
    EIOI_BUFFERS_KEPT = 512,       // 10 MiB
};

struct eioi_buffer {
    struct eioi_buffer *next; // in `eioi_buffers.first`, when nobody uses it
    uint8_t *bytes;           // EIOI_BUFFER_BYTES in `space`, where a cache line begins
    uint8_t space[EIOI_BUFFER_BYTES + EIOI_BUFFER_ALIGN];
};

/** A loop's. All zero: none. */
struct eioi_buffers {
    struct eioi_buffer *first; // last used, first used again
    unsigned count;
};

/** A connection's loan, or what is left of one; made by its first loan. */
struct eioi_loan {
    struct eioi_fd_engine engine;
    struct eioi_buffers *buffers; // the loop's
    struct eioi_buffer *buffer;   // NULL: nothing is lent and nothing left
    uint32_t start, end;          // of the bytes in it that nobody has used
    bool lent;                    // to a reader; else they are left over
    bool closed;                  // what isn't used is forgotten
};

/** The descriptor's; NULL: out of memory. */
struct eioi_loan *eioi_loan_of(eio_fd *fd, struct eioi_buffers *buffers);
/** Whether bytes are left over. */
bool eioi_loan_has_rest(const eio_fd *fd);
/** Copies of them what fits into `buf`. */
size_t eioi_loan_copy_rest(eio_fd *fd, eio_buf buf);
/** What was just received; or lends what is left over. */
eio_slice eioi_loan_begin(struct eioi_loan *self);
/** Ends it. */
void eioi_loan_end(eio_fd *fd, size_t used);
/** `len` bytes (at least 1) were received into a buffer, and are lent. */
void eioi_loan_hold(struct eioi_loan *self, struct eioi_buffer *buffer, size_t len);
/**
 * At the end of a read of `fd` (with `loan`: to lend) that came to `res`, while it has its share yet:
 * eio_err_closed when the flow was freed meanwhile, with which the loan goes.
 */
EIO_MUST_USE eio_err *eioi_loan_orphaned(eio_fd *fd, const struct eioi_loan *loan, int32_t res);
/** A buffer to receive into; NULL: out of memory. */
struct eioi_buffer *eioi_buffer_take(struct eioi_buffers *buffers);
/** To receive into it. */
static inline struct iovec eioi_buffer_iovec(struct eioi_buffer *self) {
    return (struct iovec){.iov_base = self->bytes,
                          .iov_len = EIOI_LIMIT(short_read, (size_t)EIOI_BUFFER_BYTES)};
}
/** It isn't used any more. */
void eioi_buffer_give(struct eioi_buffers *buffers, struct eioi_buffer *self);
/** Frees the buffers that are kept. */
void eioi_buffers_fini(struct eioi_buffers *self);

#endif
