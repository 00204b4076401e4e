// SPDX-License-Identifier: ISC
#ifndef EIO_MUTEX_H
#define EIO_MUTEX_H

/*
 * Mutual exclusion between fibers of any domains. Between fibers of one domain it's needed only
 * where the holder may suspend. A mutex remembers when a holder failed half-way through a change:
 * it's poisoned, and nobody gets it any more.
 *
 *     static eio_err *deposit(void *arg) { ... }   // changes both accounts; an error poisons
 *
 *     eio_mutex *mutex;
 *     EIO_TRY(eio_mutex_create(sw, &mutex));
 *     EIO_TRY(eio_mutex_use_rw(mutex, deposit, &transfer, NULL));
 */

#include <stdbool.h>

#include "eio/cancel.h"
#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A mutex. */
typedef struct eio_mutex eio_mutex;

/**
 * The mutex's holder failed while it was changing what the mutex protects; the text is that
 * failure's.
 */
extern EIO_API const eio_err_kind eio_err_poisoned;

/**
 * A mutex that nobody holds.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw`; nobody may wait for it any more when that ends (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_mutex_create(eio_switch *sw, eio_mutex **out);
/**
 * Takes the mutex; prefer `eio_mutex_use_rw` and `eio_mutex_use_ro`. A fiber that was given it has
 * it, even when it is cancelled before it runs again.
 *
 * Suspends:  until it is free, and the turn of this fiber, first come first served. Not at all,
 *            without a look at cancellation, when it's free.
 * Errors:    Poisoned; Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_mutex_lock(eio_mutex *self);
/**
 * Takes the mutex if it is free; `*out_locked` says whether.
 *
 * Suspends:  never.
 * Errors:    Poisoned.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_mutex_try_lock(eio_mutex *self, bool *out_locked);
/**
 * Gives the mutex to the fiber that has waited longest for it, or frees it. Somebody must hold it
 * (asserted). Nothing happens when it was poisoned meanwhile.
 *
 * Suspends:  never.
 * Domain:    any.
 */
EIO_API void eio_mutex_unlock(eio_mutex *self);

/** How to use a mutex for writing. NULL, or all zero: defaults. */
struct eio_mutex_opts {
    /** Out of reach of cancellation, so that being cancelled half-way can't poison the mutex. */
    bool protect;
};
/**
 * Runs `fn(arg)`, which may change what the mutex protects, while holding it. If it fails (being
 * cancelled is a failure, too) the mutex is poisoned: all who wait for it, and will ask for it, get
 * Poisoned.
 *
 * Suspends:  as `eio_mutex_lock`, and as `fn` does.
 * Errors:    those of `fn`; Poisoned; Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_mutex_use_rw(eio_mutex *self, eio_call_fn *fn, void *arg,
                                               const struct eio_mutex_opts *opts);
/**
 * Runs `fn(arg)`, which only looks at what the mutex protects, while holding it; its failure
 * poisons nothing.
 *
 * Suspends:  as `eio_mutex_lock`, and as `fn` does.
 * Errors:    those of `fn`; Poisoned; Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_mutex_use_ro(eio_mutex *self, eio_call_fn *fn, void *arg);

EIO_END_DECLS

#endif
