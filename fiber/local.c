// SPDX-License-Identifier: ISC
// Fiber-local values: a chain of counted bindings, innermost first. A fork shares its parent's
// chain; leaving the scope of a binding takes it off this fiber's chain only, so those forked
// meanwhile keep it, and the last one frees the value.

#include "eio/fiber.h"

#include "fiber/base/alloc.h"
#include "fiber/impl.h"

struct eioi_local {
    atomic_size_t refs;
    struct eioi_local *outer; // one reference
    const eio_local_key *key;
    void *value;
    void (*free_fn)(void *value);
};

struct eioi_local *eioi_locals_ref(struct eioi_local *self) {
    if (self != NULL)
        atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    return self;
}

void eioi_locals_unref(struct eioi_local *self) {
    while (self != NULL && atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) == 1) {
        struct eioi_local *outer = self->outer;
        if (self->free_fn != NULL)
            self->free_fn(self->value);
        eioi_free(self);
        self = outer;
    }
}

void *eioi_local_get(const struct eioi_fiber *f, const eio_local_key *key) {
    for (const struct eioi_local *it = f->locals; it != NULL; it = it->outer)
        if (it->key == key)
            return it->value;
    return NULL;
}

void *eio_fiber_local(const eio_local_key *key) {
    struct eioi_sched *s = eioi_tls_sched;
    return s == NULL ? NULL : eioi_local_get(s->current, key);
}

eio_err *eio_fiber_with_local(const eio_local_key *key, void *value, void (*free_fn)(void *value),
                              eio_call_fn *fn, void *arg) {
    struct eioi_fiber *f = eioi_here(__func__)->current;
    struct eioi_local *local = eioi_alloc(sizeof *local);
    if (local == NULL) {
        if (free_fn != NULL)
            free_fn(value);
        return eio_err_const(&eio_err_out_of_memory);
    }
    *local = (struct eioi_local){
        .refs = 1, .outer = f->locals, .key = key, .value = value, .free_fn = free_fn};
    f->locals = local; // takes the outer chain's reference over
    eio_err *err = fn(arg);
    f->locals = eioi_locals_ref(local->outer);
    eioi_locals_unref(local);
    return err;
}
