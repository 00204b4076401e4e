// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_SNAPSHOT_H
#define EIO_RESOLVER_SNAPSHOT_H

// What was read from a local file at one moment: never changed, counted, used by any domain. The
// first member of what a parser makes.

#include <stddef.h>

#include "eio/err.h"
#include "eio/slice.h"

struct eioi_snapshot {
    unsigned refs;                               // touched by the functions below only, atomically
    void (*free_fn)(struct eioi_snapshot *self); // frees the whole object
};

/**
 * Makes a snapshot of a file's text (borrowed). Lines that make no sense are skipped. Errors:
 * Out_of_memory.
 */
typedef eio_err *eioi_snapshot_parse_fn(eio_slice text, struct eioi_snapshot **out);

static inline void eioi_snapshot_init(struct eioi_snapshot *self,
                                      void (*free_fn)(struct eioi_snapshot *self)) {
    self->refs = 1;
    self->free_fn = free_fn;
}

static inline void eioi_snapshot_ref(struct eioi_snapshot *self) {
    __atomic_fetch_add(&self->refs, 1, __ATOMIC_RELAXED);
}

/** Gives a reference up; NULL is fine. */
static inline void eioi_snapshot_unref(struct eioi_snapshot *self) {
    if (self != NULL && __atomic_fetch_sub(&self->refs, 1, __ATOMIC_ACQ_REL) == 1)
        self->free_fn(self);
}

#endif
