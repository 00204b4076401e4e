// SPDX-License-Identifier: ISC
#ifndef EIO_STREAM_H
#define EIO_STREAM_H

/*
 * Bounded queues of pointers between fibers of any domains. Who adds to a full one waits, and so
 * does who takes from an empty one. With capacity 0 nothing is stored: each item goes from hand to
 * hand (a rendezvous).
 *
 *     eio_stream *jobs;
 *     EIO_TRY(eio_stream_create(sw, 100, &jobs));
 *     EIO_TRY(eio_stream_add(jobs, job));                 // here
 *
 *     void *job;                                          // elsewhere
 *     EIO_TRY(eio_stream_take(jobs, &job));
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A stream. */
typedef struct eio_stream eio_stream;

/**
 * An empty stream that holds at most `capacity` items.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory (the room for all items is had at once).
 * Owner:     `sw`; nobody may wait for it any more when that ends (asserted). What is in it then is
 *            forgotten, not freed.
 */
EIO_API EIO_MUST_USE eio_err *eio_stream_create(eio_switch *sw, size_t capacity, eio_stream **out);
/**
 * Appends `item`. On an error it wasn't added; otherwise it was, even when the fiber has been
 * cancelled meanwhile.
 *
 * Suspends:  while the stream is full, first come first served; with capacity 0 until somebody
 *            takes it. Not at all, without a look at cancellation, when there is room, or somebody
 *            waits to take.
 * Errors:    Cancelled.
 * Owner:     what `item` points to goes from hand to hand; the stream doesn't look at it.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_stream_add(eio_stream *self, void *item);
/**
 * Takes the oldest item. On an error none was taken; a fiber that was given one has it, even when
 * it has been cancelled meanwhile: so no item gets lost.
 *
 * Suspends:  while the stream is empty, first come first served. Not at all, without a look at
 *            cancellation, when it isn't.
 * Errors:    Cancelled.
 * Domain:    any.
 */
EIO_API EIO_MUST_USE eio_err *eio_stream_take(eio_stream *self, void **out);
/** Takes the oldest item if there is one, and says whether. Any thread. Suspends: never. */
EIO_API bool eio_stream_take_nonblocking(eio_stream *self, void **out);
/** How many items it holds; what waits to be added isn't counted. Any thread. Suspends: never. */
EIO_API size_t eio_stream_length(eio_stream *self);
/** Whether it holds no items; always, with capacity 0. Any thread. Suspends: never. */
EIO_API bool eio_stream_is_empty(eio_stream *self);

EIO_END_DECLS

#endif
