// SPDX-License-Identifier: ISC

// States: free, held, poisoned (for ever). Fibers wait only while it is held; unlocking gives it to
// the oldest of them without freeing it in between, so nobody overtakes. That fiber holds it from
// then on, cancelled or not: it will run, and unlock. Poisoning wakes all waiters with the error,
// which is made once and shared.

#include "eio/mutex.h"

#include <stddef.h>

#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/sync/waitq.h"

const eio_err_kind eio_err_poisoned = {NULL, "Poisoned"};

struct eio_mutex {
    struct eioi_spin lock;    // guards all below
    bool held;                // false while `waiters` isn't empty only in passing, under the lock
    eio_err *poison;          // what the next ones get; NULL until poisoned
    struct eioi_list waiters; // eioi_parked, oldest first; empty unless held
    eio_hook hook;            // of the switch whose memory this is
};

static eio_err *mutex_end(eio_hook *hook) {
    eio_mutex *self = EIOI_CONTAINER_OF(hook, eio_mutex, hook);
    EIO_ASSERT(eioi_list_empty(&self->waiters), "a switch ended while fibers waited for its mutex");
    eio_err_drop(self->poison);
    return NULL;
}

eio_err *eio_mutex_create(eio_switch *sw, eio_mutex **out) {
    eio_mutex *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    eioi_list_init(&self->waiters);
    eio_switch_attach(sw, &self->hook, mutex_end);
    *out = self;
    return NULL;
}

/** Takes it if it is free; `*out_locked` says whether. Under the lock. */
static eio_err *take(eio_mutex *self, bool *out_locked) {
    *out_locked = self->poison == NULL && !self->held;
    self->held = true;
    return eio_err_ref(self->poison);
}

eio_err *eio_mutex_try_lock(eio_mutex *self, bool *out_locked) {
    bool locked;
    eioi_spin_lock(&self->lock);
    eio_err *err = take(self, &locked);
    eioi_spin_unlock(&self->lock);
    EIO_TRY(err);
    *out_locked = locked;
    return NULL;
}

eio_err *eio_mutex_lock(eio_mutex *self) {
    bool locked;
    EIO_TRY(eio_mutex_try_lock(self, &locked));
    if (locked)
        return NULL;
    struct eioi_parked parked;
    EIO_TRY(eioi_parked_begin(&parked, &self->lock, "mutex"));
    eioi_spin_lock(&self->lock);
    eio_err *err = take(self, &locked); // another domain may have been quick
    if (err == NULL && !locked)
        eioi_waitq_push(&self->waiters, &parked);
    eioi_spin_unlock(&self->lock);
    EIO_TRY(err);
    return locked ? NULL : eioi_parked_wait(&parked);
}

void eio_mutex_unlock(eio_mutex *self) {
    eioi_spin_lock(&self->lock);
    bool was_held = self->held;
    struct eioi_parked *next = eioi_waitq_pop(&self->waiters);
    if (next == NULL && self->poison == NULL)
        self->held = false;
    eioi_spin_unlock(&self->lock);
    EIO_ASSERT(was_held, "a mutex was unlocked that nobody holds");
    if (next != NULL)
        eioi_parked_wake(next, NULL);
}

/** Nobody gets the mutex any more, because of `cause`, which stays the caller's. */
static void poison(eio_mutex *self, const eio_err *cause) {
    char text[256];
    eio_err *err = eio_err_new(&eio_err_poisoned, "%s", eio_err_str(cause, text, sizeof text));
    if (!eio_err_is(err, &eio_err_poisoned)) {
        eio_err_drop(err); // no memory for the text
        err = eio_err_const(&eio_err_poisoned);
    }
    eioi_spin_lock(&self->lock);
    struct eioi_parked *waiters = eioi_waitq_take_all(&self->waiters);
    eio_err *theirs = eio_err_ref(err);
    bool first = self->poison == NULL;
    if (first)
        self->poison = err;
    eioi_spin_unlock(&self->lock);
    eioi_parked_wake_all(waiters, theirs);
    eio_err_drop(theirs);
    if (!first)
        eio_err_drop(err);
}

eio_err *eio_mutex_use_rw(eio_mutex *self, eio_call_fn *fn, void *arg,
                          const struct eio_mutex_opts *opts) {
    EIO_TRY(eio_mutex_lock(self));
    eio_err *err = opts != NULL && opts->protect ? eio_cancel_protect(fn, arg) : fn(arg);
    if (err == NULL || EIOI_CANARY(forget_poison)) {
        eio_mutex_unlock(self);
        return err;
    }
    poison(self, err);
    return err;
}

eio_err *eio_mutex_use_ro(eio_mutex *self, eio_call_fn *fn, void *arg) {
    EIO_TRY(eio_mutex_lock(self));
    eio_err *err = fn(arg);
    eio_mutex_unlock(self);
    return err;
}
