// SPDX-License-Identifier: ISC

// Broadcasts are numbered. A fiber waits for one with a higher number than it knew when it last
// looked: if that has been already it doesn't wait at all, so none is lost between the look and the
// wait. A broadcast takes all waiters off at once, so one that is woken (perhaps in another domain)
// and waits again before the next is woken isn't woken twice.

#include "eio/condition.h"

#include <stddef.h>

#include "eio/cancel.h"
#include "eio/fiber.h"
#include "fiber/base/assert.h"
#include "fiber/base/hint.h"
#include "fiber/sync/waitq.h"

struct eio_condition {
    struct eioi_spin lock;    // guards all below
    uint64_t broadcasts;      // so far
    struct eioi_list waiters; // eioi_parked, oldest first
    eio_hook hook;            // looks that nobody waits when the switch ends
};

static eio_err *condition_end(eio_hook *hook) {
    eio_condition *self = EIOI_CONTAINER_OF(hook, eio_condition, hook);
    EIO_ASSERT(eioi_list_empty(&self->waiters),
               "a switch ended while fibers waited for its condition");
    return NULL;
}

eio_err *eio_condition_create(eio_switch *sw, eio_condition **out) {
    eio_condition *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    eioi_list_init(&self->waiters);
    eio_switch_attach(sw, &self->hook, condition_end);
    *out = self;
    return NULL;
}

static uint64_t broadcasts(eio_condition *self) {
    eioi_spin_lock(&self->lock);
    uint64_t n = self->broadcasts;
    eioi_spin_unlock(&self->lock);
    return n;
}

/**
 * Waits until there have been more than `seen` broadcasts. `mutex` (may be NULL) is given up when
 * nothing can be lost.
 */
static eio_err *await_after(eio_condition *self, uint64_t seen, eio_mutex *mutex) {
    struct eioi_parked parked;
    EIO_TRY(eioi_parked_begin(&parked, &self->lock, "condition"));
    eioi_spin_lock(&self->lock);
    bool over = self->broadcasts > seen;
    if (!over)
        eioi_waitq_push(&self->waiters, &parked);
    eioi_spin_unlock(&self->lock);
    if (mutex != NULL)
        eio_mutex_unlock(mutex);
    return over ? NULL : eioi_parked_wait(&parked);
}

static eio_err *lock_again(void *arg) {
    return eio_mutex_lock(arg);
}

eio_err *eio_condition_await(eio_condition *self, eio_mutex *mutex) {
    // Cancelled already: others have the mutex in the turn that this fiber then waits.
    bool cancelled = eio_fiber_is_cancelled();
    if (cancelled)
        eio_mutex_unlock(mutex);
    eio_err *err = await_after(self, broadcasts(self), cancelled ? NULL : mutex);
    return eio_err_combine(err, eio_cancel_protect(lock_again, mutex));
}

eio_err *eio_condition_await_no_mutex(eio_condition *self) {
    return await_after(self, broadcasts(self), NULL);
}

eio_err *eio_condition_loop_no_mutex(eio_condition *self, eio_condition_fn *fn, void *arg) {
    for (;;) {
        uint64_t seen = broadcasts(self);
        bool done = false;
        EIO_TRY(fn(arg, &done));
        if (done)
            return NULL;
        EIO_TRY(await_after(self, seen, NULL));
    }
}

// One that nobody waits for costs a few loads and stores.
EIOI_INLINE void eio_condition_broadcast(eio_condition *self) {
    struct eioi_parked *waiters = NULL;
    eioi_spin_lock(&self->lock);
    self->broadcasts++;
    if (!eioi_list_empty(&self->waiters))
        waiters = eioi_waitq_take_all(&self->waiters);
    eioi_spin_unlock(&self->lock);
    if (waiters != NULL)
        eioi_parked_wake_all(waiters, NULL);
}
