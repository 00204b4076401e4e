// SPDX-License-Identifier: ISC

// Theory. A loan's bytes are in a buffer of the loop. It is taken just before a receive is tried and
// given back at once when that would block, so that those who wait hold none; and the one that was
// given back last is taken first, so that it is still in the processor's cache. So those who copy use
// one after the other the same buffer. Of those who lend and write, all that have an event hold one
// for a turn, since a write is followed by one; so many are kept. A buffer is larger
// than most of what comes at once: a receive that fills less of it has emptied a TCP socket, and no
// second one has to find that out.
//
// A connection's record remembers its buffer while that is lent, and what a reader left of it, which
// is read before anything else. A close forgets the rest, but a loan stays until its release.

#include "backends/epoll/lend.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"

static struct eioi_loan *of_engine(struct eioi_fd_engine *engine) {
    return EIOI_CONTAINER_OF(engine, struct eioi_loan, engine);
}

static __attribute__((noinline)) struct eioi_buffer *new_buffer(void) {
    struct eioi_buffer *self = eioi_alloc(sizeof *self);
    if (self != NULL)
        self->bytes = self->space + -(uintptr_t)self->space % EIOI_BUFFER_ALIGN;
    return self;
}

struct eioi_buffer *eioi_buffer_take(struct eioi_buffers *buffers) {
    struct eioi_buffer *self = buffers->first;
    if (__builtin_expect(self == NULL, 0))
        return new_buffer();
    buffers->first = self->next;
    buffers->count--;
    return self;
}

void eioi_buffer_give(struct eioi_buffers *buffers, struct eioi_buffer *self) {
    if (__builtin_expect(buffers->count >= EIOI_BUFFERS_KEPT, 0)) {
        eioi_free(self);
        return;
    }
    self->next = buffers->first;
    buffers->first = self;
    buffers->count++;
}

static void give(struct eioi_loan *self) {
    struct eioi_buffer *buffer = self->buffer;
    self->buffer = NULL;
    eioi_buffer_give(self->buffers, buffer);
}

void eioi_loan_hold(struct eioi_loan *self, struct eioi_buffer *buffer, size_t len) {
    EIO_ASSERT(self->buffer == NULL, "one loan at a time");
    self->buffer = buffer;
    self->start = 0;
    self->end = (uint32_t)len;
    self->lent = true;
}

eio_slice eioi_loan_begin(struct eioi_loan *self) {
    self->lent = true;
    return eio_slice_of(self->buffer->bytes + self->start, self->end - self->start);
}

void eioi_loan_end(eio_fd *fd, size_t used) {
    struct eioi_loan *self = of_engine(fd->engine);
    EIO_ASSERT(used <= self->end - self->start, "release of more than was lent");
    self->lent = false;
    self->start += (uint32_t)used;
    if (self->start == self->end || self->closed)
        give(self);
}

eio_err *eioi_loan_orphaned(eio_fd *fd, const struct eioi_loan *loan, int32_t res) {
    if (__builtin_expect(loan == NULL || !fd->orphan, 1))
        return NULL;
    if (res > 0)
        eioi_loan_end(fd, (size_t)res);
    return eioi_err_closed("readv");
}

bool eioi_loan_has_rest(const eio_fd *fd) {
    const struct eioi_loan *self = (const struct eioi_loan *)(const void *)fd->engine;
    return self != NULL && self->buffer != NULL && !self->lent;
}

size_t eioi_loan_copy_rest(eio_fd *fd, eio_buf buf) {
    struct eioi_loan *self = of_engine(fd->engine);
    size_t rest = self->end - self->start;
    size_t len = rest < buf.len ? rest : buf.len;
    memcpy(buf.base, self->buffer->bytes + self->start, len);
    eioi_loan_end(fd, len);
    return len;
}

void eioi_buffers_fini(struct eioi_buffers *self) {
    while (self->first != NULL) {
        struct eioi_buffer *buffer = self->first;
        self->first = buffer->next;
        eioi_free(buffer);
    }
}

// The engine, for the descriptor: nothing is ever armed.

static void loan_close(struct eioi_fd_engine *engine) {
    struct eioi_loan *self = of_engine(engine);
    self->closed = true;
    if (self->buffer != NULL && !self->lent)
        give(self);
}

static void loan_disarm(struct eioi_fd_engine *engine) {
    (void)engine;
}

static bool loan_holds(const struct eioi_fd_engine *engine) {
    const struct eioi_loan *self = (const struct eioi_loan *)(const void *)engine;
    return self->buffer != NULL && !self->lent;
}

static void loan_orphan(struct eioi_fd_engine *engine) {
    struct eioi_loan *self = of_engine(engine);
    if (self->buffer != NULL)
        give(self);
    eioi_free(self);
}

static const struct eioi_fd_engine_ops loan_engine_ops = {
    .close = loan_close,
    .disarm = loan_disarm,
    .await_disarmed = loan_disarm,
    .holds = loan_holds,
    .orphan = loan_orphan,
};

struct eioi_loan *eioi_loan_of(eio_fd *fd, struct eioi_buffers *buffers) {
    if (fd->engine != NULL)
        return of_engine(fd->engine);
    struct eioi_loan *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return NULL;
    self->engine.ops = &loan_engine_ops;
    self->buffers = buffers;
    fd->engine = &self->engine;
    return self;
}
