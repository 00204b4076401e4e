// SPDX-License-Identifier: ISC

// A count and a queue of waiting fibers, under one lock. Fibers wait only while the count is 0, so
// one that comes later can't overtake them: what is released while there are waiters never shows in
// the count, but goes to the oldest one. That fiber owns it from then on, cancelled or not; a
// cancellation that came first has taken it off the queue (waitq.h).

#include "eio/semaphore.h"

#include <stdint.h>

#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/sync/waitq.h"

struct eio_semaphore {
    struct eioi_spin lock;
    size_t count;             // what can be had; 0 while `waiters` isn't empty
    struct eioi_list waiters; // eioi_parked, oldest first
    eio_hook hook;            // looks that nobody waits when the switch ends
};

static eio_err *semaphore_end(eio_hook *hook) {
    eio_semaphore *self = EIOI_CONTAINER_OF(hook, eio_semaphore, hook);
    EIO_ASSERT(eioi_list_empty(&self->waiters),
               "a switch ended while fibers waited for its semaphore");
    return NULL;
}

eio_err *eio_semaphore_create(eio_switch *sw, size_t count, eio_semaphore **out) {
    eio_semaphore *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    self->count = count;
    eioi_list_init(&self->waiters);
    eio_switch_attach(sw, &self->hook, semaphore_end);
    *out = self;
    return NULL;
}

bool eio_semaphore_try_acquire(eio_semaphore *self) {
    eioi_spin_lock(&self->lock);
    bool got = self->count > 0;
    if (got)
        self->count--;
    eioi_spin_unlock(&self->lock);
    return got;
}

eio_err *eio_semaphore_acquire(eio_semaphore *self) {
    if (eio_semaphore_try_acquire(self))
        return NULL;
    struct eioi_parked parked;
    EIO_TRY(eioi_parked_begin(&parked, &self->lock, "semaphore"));
    eioi_spin_lock(&self->lock);
    if (self->count > 0) { // another domain was quick
        self->count--;
        eioi_spin_unlock(&self->lock);
        return NULL;
    }
    eioi_waitq_push(&self->waiters, &parked);
    eioi_spin_unlock(&self->lock);
    return eioi_parked_wait(&parked);
}

void eio_semaphore_release(eio_semaphore *self) {
    eioi_spin_lock(&self->lock);
    struct eioi_parked *next = eioi_waitq_pop(&self->waiters);
    bool full = self->count == SIZE_MAX;
    if (next == NULL && !full && !EIOI_CANARY(lose_slot))
        self->count++;
    eioi_spin_unlock(&self->lock);
    EIO_ASSERT(!full, "a semaphore was released more often than it can count");
    if (next != NULL)
        eioi_parked_wake(next, NULL);
}

size_t eio_semaphore_value(eio_semaphore *self) {
    eioi_spin_lock(&self->lock);
    size_t count = self->count;
    eioi_spin_unlock(&self->lock);
    return count;
}
