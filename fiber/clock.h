// SPDX-License-Identifier: ISC
#ifndef EIO_CLOCK_H
#define EIO_CLOCK_H

/*
 * Clocks, sleeping and time-outs. All times are int64_t nanoseconds: of the monotonic clock since
 * some fixed moment, of the wall clock since 1970-01-01 UTC. Blocking calls take no time-out of
 * their own; the scope around them does.
 *
 *     eio_timeout t = eio_timeout_ns(env->mono_clock, 5 * EIO_SECOND);
 *     eio_err *err = eio_timeout_run(t, fetch, &request);
 *     if (eio_err_catch(&err, &eio_err_timeout)) ...
 */

#include <stdint.h>

#include "eio/cancel.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

#define EIO_MICROSECOND INT64_C(1000)
#define EIO_MILLISECOND INT64_C(1000000)
#define EIO_SECOND INT64_C(1000000000)

typedef struct eio_clock eio_clock;
typedef struct eio_mono_clock eio_mono_clock;

/** For implementers of wall clocks. */
struct eio_clock_ops {
    const char *name;
    int64_t (*now)(eio_clock *self);                               /**< ns since 1970 */
    eio_err *(*sleep_until)(eio_clock *self, int64_t deadline_ns); /**< never returns NULL early */
};
/** For implementers of monotonic clocks. */
struct eio_mono_clock_ops {
    const char *name;
    int64_t (*now)(eio_mono_clock *self); /**< ns, never going back */
    eio_err *(*sleep_until)(eio_mono_clock *self,
                            int64_t deadline_ns); /**< never returns NULL early */
};

/** A wall clock: it tells the date, and can be set. */
struct eio_clock {
    const struct eio_clock_ops *ops;
};
/** A monotonic clock: for measuring and waiting. */
struct eio_mono_clock {
    const struct eio_mono_clock_ops *ops;
};

/** Now, in ns since 1970-01-01 UTC (clock_gettime(2), CLOCK_REALTIME). Suspends: never. */
EIO_API int64_t eio_clock_now(eio_clock *self);
/**
 * Waits until the wall clock shows `deadline_ns` or more.
 *
 * Suspends:  always, at least for one turn.
 * Errors:    Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_clock_sleep_until(eio_clock *self, int64_t deadline_ns);
/**
 * Waits for `duration_ns` by the wall clock; a duration that isn't positive waits for one turn.
 *
 * Suspends:  always, at least for one turn.
 * Errors:    Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_clock_sleep(eio_clock *self, int64_t duration_ns);

/** Now, in ns since a fixed moment (clock_gettime(2), CLOCK_MONOTONIC). Suspends: never. */
EIO_API int64_t eio_mono_clock_now(eio_mono_clock *self);
/**
 * Waits until the clock shows `deadline_ns` or more; INT64_MAX waits for ever.
 *
 * Suspends:  always, at least for one turn.
 * Errors:    Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_mono_clock_sleep_until(eio_mono_clock *self, int64_t deadline_ns);
/**
 * Waits for `duration_ns`; one that isn't positive waits for one turn; one beyond the clock's end
 * waits for ever.
 *
 * Suspends:  always, at least for one turn.
 * Errors:    Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_mono_clock_sleep(eio_mono_clock *self, int64_t duration_ns);

/**
 * A duration by a clock, or none; a value to pass around and use many times, each use starting
 * anew.
 */
typedef struct eio_timeout {
    eio_mono_clock *clock; /**< NULL: no time-out */
    int64_t duration_ns;   /**< valid when `clock` is set; not negative */
} eio_timeout;

/** No time-out. Suspends: never. */
EIO_API eio_timeout eio_timeout_none(void);
/** `duration_ns` by `clock`; a negative one counts as 0. Suspends: never. */
EIO_API eio_timeout eio_timeout_ns(eio_mono_clock *clock, int64_t duration_ns);
/**
 * As `eio_timeout_ns`; negative and NaN count as 0, what 2^63 ns can't hold as for ever. Suspends:
 * never.
 */
EIO_API eio_timeout eio_timeout_seconds(eio_mono_clock *clock, double seconds);
/**
 * Runs `fn(arg)` in this fiber; when the time is over before it has ended it is cancelled (with
 * Timeout as the reason), waited for, and Timeout is returned. A body that succeeded first has
 * succeeded.
 *
 * Suspends:  as `fn` does, and once more to stop the timer.
 * Errors:    Timeout; those of `fn` (beside a Timeout: combined with it); Cancelled; Out_of_memory,
 *            Stack_limit.
 */
EIO_API EIO_MUST_USE eio_err *eio_timeout_run(eio_timeout self, eio_call_fn *fn, void *arg);
/**
 * Waits for the time-out's duration; `eio_timeout_none` waits for ever.
 *
 * Suspends:  always, at least for one turn.
 * Errors:    Cancelled.
 */
EIO_API EIO_MUST_USE eio_err *eio_timeout_sleep(eio_timeout self);

EIO_END_DECLS

#endif
