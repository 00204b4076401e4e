// SPDX-License-Identifier: ISC
#ifndef EIO_PROMISE_H
#define EIO_PROMISE_H

/*
 * A result that will be there once. Any number of fibers of any domains may wait for it; one, of
 * any domain or thread, resolves it.
 *
 *     eio_promise *done;
 *     eio_promise_resolver *set_done;
 *     EIO_TRY(eio_promise_create(sw, &done, &set_done));
 *     ...
 *     eio_promise_resolve(set_done, NULL);        // here or elsewhere
 *     EIO_TRY(eio_promise_await(done, NULL));
 */

#include <stdbool.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** The waiting end; counted. */
typedef struct eio_promise eio_promise;
/** The resolving end of the same object; it lives as long as the promise does. */
typedef struct eio_promise_resolver eio_promise_resolver;

/**
 * A promise that nobody has resolved yet.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw` holds one reference until it ends; who uses it longer, or from another domain,
 *            takes one of his own.
 */
EIO_API EIO_MUST_USE eio_err *eio_promise_create(eio_switch *sw, eio_promise **out,
                                                 eio_promise_resolver **out_resolver);
/** One more reference; returns `self`. Any thread. Suspends: never. */
EIO_API eio_promise *eio_promise_ref(eio_promise *self);
/** Gives a reference up; NULL is fine. Any thread. Suspends: never. */
EIO_API void eio_promise_unref(eio_promise *self);

/**
 * Waits until the promise is resolved; then returns its error (a reference of one's own), or sets
 * `*out_value` (may be NULL) to its value.
 *
 * Suspends:  until resolved. Not at all, without a look at cancellation, when it is resolved
 *            already.
 * Errors:    what it was resolved with; Cancelled.
 * Owner:     who resolved it guarantees that the value outlives those who wait.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_promise_await(eio_promise *self, void **out_value);
/**
 * Resolves with a value. Resolving twice is a broken program (asserted). Any thread. Suspends:
 * never.
 */
EIO_API void eio_promise_resolve(eio_promise_resolver *self, void *value);
/**
 * Resolves with an error, which it takes over. Resolving twice is asserted. Any thread. Suspends:
 * never.
 */
EIO_API void eio_promise_resolve_error(eio_promise_resolver *self, eio_err *err);
/**
 * As `eio_promise_resolve`, for races: false, and nothing done, when it is resolved already.
 * Suspends: never.
 */
EIO_API bool eio_promise_try_resolve(eio_promise_resolver *self, void *value);
/** As `eio_promise_resolve_error`, for races; takes `err` over in any case. Suspends: never. */
EIO_API bool eio_promise_try_resolve_error(eio_promise_resolver *self, eio_err *err);
/** Whether it is resolved. Any thread. Suspends: never. */
EIO_API bool eio_promise_is_resolved(const eio_promise *self);

EIO_END_DECLS

#endif
