// SPDX-License-Identifier: ISC
#ifndef EIO_SEMAPHORE_H
#define EIO_SEMAPHORE_H

/*
 * A counting semaphore: so many may go on at a time, of all fibers of all domains; the others wait,
 * first in first out.
 *
 *     eio_semaphore *slots;
 *     EIO_TRY(eio_semaphore_create(sw, 10, &slots));
 *     EIO_TRY(eio_semaphore_acquire(slots));
 *     eio_err *err = use_one(arg);
 *     eio_semaphore_release(slots);
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A semaphore. */
typedef struct eio_semaphore eio_semaphore;

/**
 * A semaphore of which `count` can be had at first.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw`; nobody may wait for it any more when that ends (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_semaphore_create(eio_switch *sw, size_t count,
                                                   eio_semaphore **out);
/**
 * Takes one. A fiber that was given one has it, even when it is cancelled before it runs again.
 *
 * Suspends:  until one is there. Not at all, without a look at cancellation, when one is there
 *            already.
 * Errors:    Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_semaphore_acquire(eio_semaphore *self);
/** Takes one if one is there, and says whether. Any thread. Suspends: never. */
EIO_API bool eio_semaphore_try_acquire(eio_semaphore *self);
/**
 * Gives one back: to the fiber that has waited longest, which then needn't compete for it, or to
 * the count. Who gives back needn't have taken it.
 *
 * Suspends:  never.
 * Domain:    any thread.
 */
EIO_API void eio_semaphore_release(eio_semaphore *self);
/**
 * How many can be had now; 0 while somebody waits. Out of date at once when other domains use it.
 * Suspends: never.
 */
EIO_API size_t eio_semaphore_value(eio_semaphore *self);

EIO_END_DECLS

#endif
