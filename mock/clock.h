// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_CLOCK_H
#define EIO_MOCK_CLOCK_H

/*
 * A clock that a test moves. It starts at 0, and is a wall clock and a monotonic clock at once.
 *
 *     eio_mock_clock *clock;
 *     EIO_TRY(eio_mock_clock_create(&clock));
 *     ... a fiber sleeps: eio_mono_clock_sleep(&clock->mono, 10 * EIO_SECOND) ...
 *     EIO_TRY(eio_mock_clock_advance(clock));          // +mock time is now 10
 *
 * The clocks of `eio_mock_run_full`'s environment are such a clock, which moreover advances by
 * itself when no fiber is ready. One made here doesn't.
 */

#include <stdbool.h>
#include <stdint.h>

#include "eio/clock.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A clock that moves when it is told to. */
typedef struct eio_mock_clock {
    eio_clock clock;     /**< pass this on as a wall clock */
    eio_mono_clock mono; /**< pass this on as a monotonic clock; it shows the same time */
} eio_mock_clock;

/**
 * A clock that shows 0.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_clock_create(eio_mock_clock **out);
/** Frees a clock, on which nobody may sleep (asserted); NULL is fine. Suspends: never. */
EIO_API void eio_mock_clock_destroy(eio_mock_clock *self);
/** The mock clock that `clock` is part of; anything else is asserted. Suspends: never. */
EIO_API eio_mock_clock *eio_mock_clock_of(eio_clock *clock);
/** The mock clock that `mono` is part of; anything else is asserted. Suspends: never. */
EIO_API eio_mock_clock *eio_mock_clock_of_mono(eio_mono_clock *mono);

/**
 * Wakes everybody who sleeps until `now_ns` or earlier, in the order of their deadlines (equal
 * ones: in the order in which they went to sleep), sets the clock, and prints `mock time is now
 * SECONDS`. Those woken run when the caller waits.
 *
 * Suspends:  never.
 * Domain:    the one that sleeps on it. The clock can't go back (asserted).
 */
EIO_API void eio_mock_clock_set_time(eio_mock_clock *self, int64_t now_ns);
/**
 * Sets the clock to the earliest deadline that somebody sleeps until.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `No further events scheduled on mock clock`.
 * Domain:    the one that sleeps on it.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_clock_advance(eio_mock_clock *self);
/** As `eio_mock_clock_advance`; false, and nothing done, when nobody sleeps. Suspends: never. */
EIO_API bool eio_mock_clock_try_advance(eio_mock_clock *self);

EIO_END_DECLS

#endif
