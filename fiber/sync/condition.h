// SPDX-License-Identifier: ISC
#ifndef EIO_CONDITION_H
#define EIO_CONDITION_H

/*
 * Waiting until something has changed. Who changes it calls `eio_condition_broadcast` afterwards;
 * who waits looks again.
 *
 *     static eio_err *enough(void *arg, bool *out_done) {
 *         struct pot *pot = arg;
 *         *out_done = atomic_load(&pot->coins) >= pot->wanted;
 *         return NULL;
 *     }
 *     EIO_TRY(eio_condition_loop_no_mutex(pot->changed, enough, pot));
 */

#include <stdbool.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/mutex.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A condition. */
typedef struct eio_condition eio_condition;

/**
 * A condition.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw`; nobody may wait for it any more when that ends (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_condition_create(eio_switch *sw, eio_condition **out);
/**
 * Unlocks `mutex`, which this fiber holds, waits for a broadcast, and locks it again. No broadcast
 * is missed by one that held the mutex when it last looked. When this returns the mutex is held,
 * also after a Cancelled, but not after Poisoned.
 *
 *     while (err == NULL && !what_is_wanted(x))
 *         err = eio_condition_await(changed, mutex);
 *
 * Suspends:  until there is a broadcast, and `mutex` can be had.
 * Errors:    Cancelled; Poisoned.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_condition_await(eio_condition *self, eio_mutex *mutex);
/**
 * Waits for the next broadcast. One that comes between the caller's look and this call is missed:
 * safe only when all is done in one domain and nothing suspends in between. See
 * `eio_condition_loop_no_mutex`.
 *
 * Suspends:  until there is a broadcast.
 * Errors:    Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_condition_await_no_mutex(eio_condition *self);
/**
 * Looks whether what is waited for has come; sets `*out_done`, which is false at first. It may
 * suspend.
 */
typedef eio_err *eio_condition_fn(void *arg, bool *out_done);
/**
 * Calls `fn(arg, &done)`, now and after broadcasts, until it sets `done`. No broadcast is missed:
 * one during the call makes for another call. Several broadcasts may make for one call.
 *
 * Suspends:  until `fn` is done; not at all if it is at once.
 * Errors:    those of `fn`; Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_condition_loop_no_mutex(eio_condition *self, eio_condition_fn *fn,
                                                          void *arg);
/**
 * Wakes all who wait, the oldest first.
 *
 * Suspends:  never.
 * Domain:    any thread. Not from a signal handler.
 */
EIO_API void eio_condition_broadcast(eio_condition *self);

EIO_END_DECLS

#endif
