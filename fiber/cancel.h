// SPDX-License-Identifier: ISC
#ifndef EIO_CANCEL_H
#define EIO_CANCEL_H

/*
 * Cancellation contexts, the tree below the switches. Most programs need only switches, time-outs
 * and `eio_cancel_protect`; a bare context is for cancelling a piece of work without failing a
 * scope.
 *
 *     static eio_err *save(void *arg) { ... }        // must finish, whatever happens around it
 *     EIO_TRY(eio_cancel_protect(save, doc));
 */

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A node of the cancellation tree. It lives in the frame of the function that opened it. */
typedef struct eio_cancel eio_cancel;

/** What runs in a context of its own. */
typedef eio_err *eio_cancel_sub_fn(void *arg, eio_cancel *cc);
/** What runs protected, and in general a function with one argument. */
typedef eio_err *eio_call_fn(void *arg);

/**
 * Runs `fn(arg, cc)` in a new context `cc`, which `eio_cancel` can cancel without anything else
 * being cancelled. What `fn` returns is returned, also when `cc` was cancelled.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`; Cancelled at once (`fn` not called) when the calling fiber is cancelled
 *            already.
 */
EIO_API EIO_MUST_USE eio_err *eio_cancel_sub(eio_cancel_sub_fn *fn, void *arg);
/**
 * Runs `fn(arg)` out of reach of the cancellation of the scopes around it. Fibers that it forks
 * onto an outer switch are not protected.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`. Neither entry nor exit checks for cancellation.
 */
EIO_API EIO_MUST_USE eio_err *eio_cancel_protect(eio_call_fn *fn, void *arg);
/**
 * Cancels a context and all below it that is not protected: every fiber there that waits gets
 * `Cancelled: REASON`. Only the first cancel of a context counts.
 *
 * Suspends:  never.
 * Owner:     takes `reason` over.
 * Domain:    the context's own (asserted); the context must not have ended (asserted).
 */
EIO_API void eio_cancel_cancel(eio_cancel *cc, eio_err *reason);
/** NULL while the context is on; else its Cancelled error. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_cancel_check(eio_cancel *cc);

/**
 * Clean-up that must not be lost or hide what went wrong: runs `fn(arg)` protected and combines its
 * error into `*err`, the original first.
 *
 * Suspends:  as `fn` does.
 */
EIO_API void eio_cleanup(eio_err **err, eio_call_fn *fn, void *arg);

EIO_END_DECLS

#endif
