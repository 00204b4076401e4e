// SPDX-License-Identifier: ISC

// A ring of items, fibers that wait to take, fibers that wait to add, under one lock. Takers wait
// only while the ring is empty and nobody waits to add; adders only while the ring is full. So at
// most one of the queues has anyone in it, except that with capacity 0 the ring is empty and full
// at once, and then too a taker finds a waiting adder first, or the other way round. Items keep
// their order: an added one goes to the oldest taker, else to the end of the ring; a taken one
// comes from the front, and the oldest adder's item takes the room that this made, in the same
// critical section.
//
// An item is never in two hands, nor in none. An adder's is in its own frame until a taker has
// popped the adder; a taker's is put into its frame by whoever pops it. Who was popped succeeds,
// cancelled or not (waitq.h).

#include "eio/stream.h"

#include <stdint.h>

#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/sync/waitq.h"

struct eio_stream {
    struct eioi_spin lock;   // guards all below
    void **ring;             // room for `capacity`; not valid when that is 0
    size_t capacity;         // items it holds at most
    size_t first;            // index of the oldest item
    size_t length;           // items in it
    struct eioi_list takers; // eioi_parked, oldest first; `item` is set when one is popped
    struct eioi_list adders; // eioi_parked, oldest first; `item` is what they add
    eio_hook hook;           // looks that nobody waits when the switch ends
};

static eio_err *stream_end(eio_hook *hook) {
    eio_stream *self = EIOI_CONTAINER_OF(hook, eio_stream, hook);
    EIO_ASSERT(eioi_list_empty(&self->takers),
               "a switch ended while fibers waited to take from its stream");
    EIO_ASSERT(eioi_list_empty(&self->adders),
               "a switch ended while fibers waited to add to its stream");
    return NULL;
}

eio_err *eio_stream_create(eio_switch *sw, size_t capacity, eio_stream **out) {
    eio_stream *self;
    void *ring = NULL;
    size_t bytes;
    if (__builtin_mul_overflow(capacity, sizeof(void *), &bytes))
        return eio_err_const(&eio_err_out_of_memory);
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    if (capacity > 0)
        EIO_TRY(eio_switch_alloc(sw, bytes, &ring));
    self->ring = ring;
    self->capacity = capacity;
    eioi_list_init(&self->takers);
    eioi_list_init(&self->adders);
    eio_switch_attach(sw, &self->hook, stream_end);
    *out = self;
    return NULL;
}

/** Puts `item` at the end of the ring, which has room. Under the lock. */
static void ring_push(eio_stream *self, void *item) {
    size_t at = self->first + self->length++;
    if (EIOI_CANARY(stream_wrap) && at == self->capacity)
        at++;
    self->ring[at < self->capacity ? at : at - self->capacity] = item;
}

/** Takes the item at the front of the ring, which has one. Under the lock. */
static void *ring_pop(eio_stream *self) {
    void *item = self->ring[self->first];
    self->first = self->first + 1 < self->capacity ? self->first + 1 : 0;
    self->length--;
    return item;
}

/**
 * Gives `item` to a taker, who is to be woken then, or to the ring; false when neither has room.
 * Under the lock.
 */
static bool put(eio_stream *self, void *item, struct eioi_parked **out_taker) {
    *out_taker = eioi_waitq_pop(&self->takers);
    if (*out_taker != NULL) {
        (*out_taker)->item = item;
        return true;
    }
    if (self->length == self->capacity)
        return false;
    ring_push(self, item);
    return true;
}

/**
 * Takes the oldest item, and lets in that of the oldest adder, who is to be woken then. Under the
 * lock.
 */
static bool get(eio_stream *self, void **out, struct eioi_parked **out_adder) {
    *out_adder = eioi_waitq_pop(&self->adders);
    if (self->length > 0) {
        *out = ring_pop(self);
        if (*out_adder != NULL)
            ring_push(self, (*out_adder)->item);
        return true;
    }
    if (*out_adder == NULL)
        return false;
    *out = (*out_adder)->item;
    return true;
}

static bool try_add(eio_stream *self, void *item, struct eioi_parked *parked) {
    struct eioi_parked *taker;
    eioi_spin_lock(&self->lock);
    bool added = put(self, item, &taker);
    if (!added && parked != NULL)
        eioi_waitq_push(&self->adders, parked);
    eioi_spin_unlock(&self->lock);
    if (taker != NULL)
        eioi_parked_wake(taker, NULL);
    return added;
}

static bool try_take(eio_stream *self, void **out, struct eioi_parked *parked) {
    struct eioi_parked *adder;
    eioi_spin_lock(&self->lock);
    bool taken = get(self, out, &adder);
    if (!taken && parked != NULL)
        eioi_waitq_push(&self->takers, parked);
    eioi_spin_unlock(&self->lock);
    if (adder != NULL)
        eioi_parked_wake(adder, NULL);
    return taken;
}

eio_err *eio_stream_add(eio_stream *self, void *item) {
    if (try_add(self, item, NULL))
        return NULL;
    struct eioi_parked parked;
    EIO_TRY(eioi_parked_begin(&parked, &self->lock, "room in a stream"));
    parked.item = item;
    if (try_add(self, item, &parked)) // another domain has made room
        return NULL;
    return eioi_parked_wait(&parked);
}

eio_err *eio_stream_take(eio_stream *self, void **out) {
    if (try_take(self, out, NULL))
        return NULL;
    struct eioi_parked parked;
    EIO_TRY(eioi_parked_begin(&parked, &self->lock, "an item of a stream"));
    if (try_take(self, out, &parked)) // another domain has added one
        return NULL;
    EIO_TRY(eioi_parked_wait(&parked));
    *out = parked.item;
    return NULL;
}

bool eio_stream_take_nonblocking(eio_stream *self, void **out) {
    return try_take(self, out, NULL);
}

size_t eio_stream_length(eio_stream *self) {
    eioi_spin_lock(&self->lock);
    size_t length = self->length;
    eioi_spin_unlock(&self->lock);
    return length;
}

bool eio_stream_is_empty(eio_stream *self) {
    return eio_stream_length(self) == 0;
}
