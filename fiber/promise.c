// SPDX-License-Identifier: ISC
// Promises.
//
// Pending -> resolved, once. The lock guards the list of waiters and the change of state; the state
// itself is read without it. Who takes the waiters off the list, under the lock, has to wake them:
// a cancel that comes later finds the promise resolved and leaves its waiter alone. Value and error
// don't change once the state says resolved.

#include "eio/promise.h"

#include "fiber/base/alloc.h"
#include "fiber/base/canary.h"
#include "fiber/base/hint.h"
#include "fiber/base/spin.h"
#include "fiber/impl.h"

struct eio_promise {
    atomic_size_t refs;
    atomic_bool resolved;
    struct eioi_spin lock;    // guards `waiters`, and `resolved` from being set twice
    struct eioi_list waiters; // oldest first; empty once resolved
    void *value;              // valid once resolved
    eio_err *err;             // valid once resolved
    eio_hook hook;            // the creating switch's reference
};

struct wait {
    struct eioi_waiter waiter;
    eio_promise *promise;
};

static eio_promise *promise_of(eio_promise_resolver *self) {
    return (eio_promise *)(void *)self;
}

static eio_err *release_hook(eio_hook *hook) {
    eio_promise_unref(EIOI_CONTAINER_OF(hook, eio_promise, hook));
    return NULL;
}

eio_err *eio_promise_create(eio_switch *sw, eio_promise **out,
                            eio_promise_resolver **out_resolver) {
    eio_promise *self = eioi_alloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *self = (eio_promise){.refs = 1, .lock = EIOI_SPIN_INIT};
    eioi_list_init(&self->waiters);
    eio_switch_attach(sw, &self->hook, release_hook);
    *out = self;
    *out_resolver = (eio_promise_resolver *)(void *)self;
    return NULL;
}

eio_promise *eio_promise_ref(eio_promise *self) {
    atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

void eio_promise_unref(eio_promise *self) {
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    EIO_ASSERT(eioi_list_empty(&self->waiters), "a promise goes away while fibers wait for it");
    eio_err_drop(self->err);
    eioi_free(self);
}

bool eio_promise_is_resolved(const eio_promise *self) {
    return atomic_load_explicit(&self->resolved, memory_order_acquire);
}

static bool try_settle(eio_promise *self, void *value, eio_err *err) {
    struct eioi_list woken;
    eioi_list_init(&woken);
    eioi_spin_lock(&self->lock);
    if (atomic_load_explicit(&self->resolved, memory_order_relaxed)) {
        eioi_spin_unlock(&self->lock);
        eio_err_drop(err);
        return false;
    }
    self->value = value;
    self->err = err;
    for (struct eioi_list *node; (node = eioi_list_pop_head(&self->waiters)) != NULL;)
        eioi_list_push_tail(EIOI_CANARY(resolve_order) ? woken.next : &woken, node);
    atomic_store_explicit(&self->resolved, true, memory_order_release);
    eioi_spin_unlock(&self->lock);
    // A woken fiber of another domain may give up its reference before this returns: `self` isn't
    // used any more.
    for (struct eioi_list *node; (node = eioi_list_pop_head(&woken)) != NULL;)
        eioi_wake_any(EIOI_CONTAINER_OF(node, struct eioi_waiter, node), NULL);
    return true;
}

void eio_promise_resolve(eio_promise_resolver *self, void *value) {
    EIO_ASSERT(try_settle(promise_of(self), value, NULL), "Can't resolve already-resolved promise");
}

void eio_promise_resolve_error(eio_promise_resolver *self, eio_err *err) {
    EIO_ASSERT(err != NULL, "a promise can't be resolved with the error NULL");
    EIO_ASSERT(try_settle(promise_of(self), NULL, err), "Can't resolve already-resolved promise");
}

bool eio_promise_try_resolve(eio_promise_resolver *self, void *value) {
    return try_settle(promise_of(self), value, NULL);
}

bool eio_promise_try_resolve_error(eio_promise_resolver *self, eio_err *err) {
    EIO_ASSERT(err != NULL, "a promise can't be resolved with the error NULL");
    return try_settle(promise_of(self), NULL, err);
}

static void await_cancel(struct eioi_waiter *w, eio_err *reason) {
    struct wait *self = EIOI_CONTAINER_OF(w, struct wait, waiter);
    eioi_spin_lock(&self->promise->lock);
    bool mine = !atomic_load_explicit(&self->promise->resolved, memory_order_relaxed);
    if (mine)
        eioi_list_unlink(&w->node);
    eioi_spin_unlock(&self->promise->lock);
    if (mine)
        eioi_wake(w, eio_err_ref(reason));
}

static inline eio_err *result(eio_promise *self, void **out_value) {
    if (__builtin_expect(self->err != NULL, 0))
        return eio_err_ref(self->err);
    if (out_value != NULL)
        *out_value = self->value;
    return NULL;
}

static __attribute__((noinline)) eio_err *await_slowly(eio_promise *self, void **out_value) {
    struct wait wait;
    EIO_TRY(eioi_wait_begin(&wait.waiter, "promise"));
    wait.promise = self;
    eioi_spin_lock(&self->lock);
    bool late = atomic_load_explicit(&self->resolved, memory_order_relaxed);
    if (!late)
        eioi_list_push_tail(&self->waiters, &wait.waiter.node);
    eioi_spin_unlock(&self->lock);
    if (late)
        return result(self, out_value); // by another domain, since the look above
    EIO_TRY(eioi_wait(&wait.waiter, await_cancel));
    return result(self, out_value);
}

// A promise that is resolved costs a few loads.
EIOI_INLINE eio_err *eio_promise_await(eio_promise *self, void **out_value) {
    if (!atomic_load_explicit(&self->resolved, memory_order_acquire))
        return await_slowly(self, out_value);
    return result(self, out_value);
}
