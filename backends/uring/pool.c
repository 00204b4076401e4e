// SPDX-License-Identifier: ISC

// Theory. A connection that waits for bytes holds no buffer: the kernel takes one out of the pool
// when there are bytes for it, and whoever has used them gives it back. A buffer is in the ring
// (the kernel's), filled (a socket's), or retired (nobody's, and without memory).
//
// Address space for the most buffers there may be is set aside at once; memory comes to a buffer
// with its first bytes. So growing is a matter of a few stores: it is done when an operation found
// no buffer, and before that, when few are left. The kernel takes buffers in the order in which
// they were given, so all of them are used by turns, and too many of them cost cache misses; a pool
// that has much more than it needed lately retires some as they come back. A pause says nothing of
// what is needed: after it, the same buffers are filled as before.
//
// Memory is given back where nothing was received for a while, by dropping the pages of the buffers
// that are in the ring. That takes a ring whose completions are made inside our own calls only
// (else the kernel may be writing to one), and that all completions were taken; the first is asked
// for when the pool is opened.
//
// Buffers follow each other at a distance that isn't a power of two, so that their first lines
// don't compete for the same few sets of the cache.

#include "backends/uring/pool.h"

#include <string.h>
#include <sys/mman.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/hint.h"

enum {
    FIRST_COUNT = 32,
    STRIDE = EIOI_POOL_BUF_BYTES + 64,
    PAGE = 4096,
    RING_BYTES = EIOI_POOL_MAX * sizeof(struct io_uring_buf),
    BYTES = EIOI_POOL_MAX * STRIDE,
};

_Static_assert((EIOI_POOL_MAX & (EIOI_POOL_MAX - 1)) == 0, "the ring's size is a power of two");
_Static_assert(RING_BYTES % PAGE == 0, "the buffers begin on a page of their own");
_Static_assert(EIOI_POOL_BUF_BYTES <= UINT16_MAX, "`start` and `end` fit");

static uint8_t *base_of(const struct eioi_pool *self, uint16_t id) {
    return self->bytes + (size_t)id * STRIDE;
}

static void put_into_ring(struct eioi_pool *self, uint16_t id) {
    struct io_uring_buf *entry = &self->ring->bufs[self->tail & (EIOI_POOL_MAX - 1)];
    // Not the whole struct: the first entry's last two bytes are the ring's tail.
    entry->addr = (uintptr_t)base_of(self, id);
    entry->len = EIOI_POOL_BUF_BYTES;
    entry->bid = id;
    self->tail++;
    self->in_ring++;
    io_uring_smp_store_release(&self->ring->tail, self->tail);
}

/** Puts one more buffer into use. */
static void add(struct eioi_pool *self) {
    uint16_t id = self->retired;
    if (id != EIOI_POOL_NONE)
        self->retired = self->bufs[id].next;
    else
        id = self->made++;
    self->count++;
    put_into_ring(self, id);
}

static void add_up_to(struct eioi_pool *self, unsigned count) {
    while (self->count < count)
        add(self);
    self->wanted = self->count;
}

void eioi_pool_open(struct eioi_pool *self, struct eioi_ring *ring) {
    *self = (struct eioi_pool){.retired = EIOI_POOL_NONE};
    if (!ring->deferred)
        return;
    struct eioi_pool_buf *bufs = eioi_alloc(EIOI_POOL_MAX * sizeof *bufs);
    if (bufs == NULL)
        return;
    void *memory = EIOI_SYS_PTR(mmap, mmap(NULL, RING_BYTES + BYTES, PROT_READ | PROT_WRITE,
                                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (memory == MAP_FAILED) {
        eioi_free(bufs);
        return;
    }
    if (eioi_ring_add_buffers(ring, memory, EIOI_POOL_MAX, EIOI_POOL_GROUP) < 0) {
        munmap(memory, RING_BYTES + BYTES); // fault: it gives back what was mapped here
        eioi_free(bufs);
        return;
    }
    self->ring = memory;
    self->bytes = (uint8_t *)memory + RING_BYTES;
    self->bufs = bufs;
    add_up_to(self, FIRST_COUNT);
    self->least = self->in_ring;
}

void eioi_pool_close(struct eioi_pool *self) {
    if (self->ring == NULL)
        return;
    EIO_ASSERT(self->in_ring == self->count, "every buffer has been given back");
    munmap(self->ring, RING_BYTES + BYTES); // fault: it gives back what was mapped here
    eioi_free(self->bufs);
    self->ring = NULL;
}

EIOI_INLINE void eioi_pool_take(struct eioi_pool *self, uint16_t id, size_t len) {
    EIO_ASSERT(self->in_ring > 0, "a buffer (%u) that was filled was in the ring", id);
    EIO_ASSERT(id < self->made && len <= EIOI_POOL_BUF_BYTES, "a buffer is one of ours");
    self->in_ring--;
    if (self->in_ring < self->least)
        self->least = self->in_ring;
    self->used = self->dirty = true;
    self->bufs[id] = (struct eioi_pool_buf){.end = (uint16_t)len, .next = EIOI_POOL_NONE};
    if (eioi_pool_low(self))
        eioi_pool_grow(self);
}

/** Its pages go; what it holds is nobody's. */
static void drop_memory(uint8_t *from, uint8_t *to) {
    uintptr_t first = ((uintptr_t)from + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = (uintptr_t)to & ~(uintptr_t)(PAGE - 1);
    if (first < end)
        (void)EIOI_SYS(madvise, madvise((void *)first, end - first, MADV_DONTNEED));
}

EIOI_INLINE void eioi_pool_give(struct eioi_pool *self, uint16_t id) {
    EIO_ASSERT(self->in_ring < self->count, "a buffer (%u) is given back once", id);
    if (self->count <= self->wanted) {
        put_into_ring(self, id);
        return;
    }
    self->count--;
    self->bufs[id].next = self->retired;
    self->retired = id;
    drop_memory(base_of(self, id), base_of(self, id) + EIOI_POOL_BUF_BYTES);
}

eio_slice eioi_pool_bytes(const struct eioi_pool *self, uint16_t id) {
    const struct eioi_pool_buf *buf = &self->bufs[id];
    return eio_slice_of(base_of(self, id) + buf->start, (size_t)(buf->end - buf->start));
}

bool eioi_pool_grow(struct eioi_pool *self) {
    if (self->count == EIOI_POOL_MAX)
        return false;
    unsigned twice = 2u * self->count;
    add_up_to(self, twice < EIOI_POOL_MAX ? twice : EIOI_POOL_MAX);
    return true;
}

void eioi_pool_look(struct eioi_pool *self) {
    if (!self->used) {
        if (self->in_ring == self->count) // else somebody still holds one in between
            drop_memory(self->bytes, self->bytes + (size_t)self->made * STRIDE);
        self->dirty = self->in_ring < self->count;
    } else if (self->least > self->wanted / 4 * 3 && self->wanted > FIRST_COUNT) {
        self->wanted /= 2;
    }
    self->used = false;
    self->least = self->in_ring;
}
