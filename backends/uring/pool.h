// SPDX-License-Identifier: ISC
#ifndef EIO_URING_POOL_H
#define EIO_URING_POOL_H

// A domain's receive buffers, out of which the kernel takes one when bytes have come. See the
// theory at the head of pool.c.

#include <stdbool.h>
#include <stdint.h>

#include "backends/uring/ring.h"
#include "eio/macros.h"
#include "eio/slice.h"

EIO_BEGIN_DECLS

enum {
    EIOI_POOL_BUF_BYTES = 16 * 1024,
    EIOI_POOL_MAX = 1024, // buffers
    EIOI_POOL_GROUP = 0,  // the kernel's name for it
};
#define EIOI_POOL_NONE ((uint16_t)0xffff)

/** What is known of a buffer that the kernel has filled. */
struct eioi_pool_buf {
    uint16_t start, end; // of the bytes that nobody has used yet
    uint16_t next;       // in a queue, or among the retired ones; EIOI_POOL_NONE: the last
};

struct eioi_pool {
    struct io_uring_buf_ring *ring; // shared with the kernel; NULL: there is no pool
    uint8_t *bytes;                 // of all buffers
    struct eioi_pool_buf *bufs;     // EIOI_POOL_MAX
    uint16_t tail;                  // of the ring
    uint16_t made;                  // buffers that there ever were: numbers below it
    uint16_t count;                 // buffers in use: in the ring, or filled
    uint16_t wanted;                // what `count` is to be; less while it shrinks
    uint16_t in_ring;               // those that the kernel may fill
    uint16_t least;                 // the fewest that were in the ring since the last look
    uint16_t retired;               // first of those taken out of use; EIOI_POOL_NONE: none
    bool used;                      // a buffer was filled since the last look
    bool dirty;                     // buffers hold memory that could be given back
};

/** A few buffers to begin with. Where the kernel can't, or there is no memory: no pool. */
void eioi_pool_open(struct eioi_pool *self, struct eioi_ring *ring);
/** The ring is closed. */
void eioi_pool_close(struct eioi_pool *self);
static inline bool eioi_pool_exists(const struct eioi_pool *self) {
    return self->ring != NULL;
}
/** The kernel has put `len` bytes into buffer `id`. */
void eioi_pool_take(struct eioi_pool *self, uint16_t id, size_t len);
/** Buffer `id` may be filled again. */
void eioi_pool_give(struct eioi_pool *self, uint16_t id);
/** The bytes of buffer `id` that nobody has used yet. */
eio_slice eioi_pool_bytes(const struct eioi_pool *self, uint16_t id);
/** Twice as many buffers; false when there are as many as there may be. */
bool eioi_pool_grow(struct eioi_pool *self);
/** Whether so few are left that nobody should keep many. */
static inline bool eioi_pool_low(const struct eioi_pool *self) {
    return self->in_ring < self->count / 4;
}
/** To be called now and then: gives back the memory of buffers that weren't needed lately. */
void eioi_pool_look(struct eioi_pool *self);

EIO_END_DECLS

#endif
