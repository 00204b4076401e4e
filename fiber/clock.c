// SPDX-License-Identifier: ISC
// Clocks and time-outs. A time-out is a race of a timer's fiber, forked first, against the body in
// the calling fiber; after a body that was quicker the timer is cancelled and joined, so nothing of
// it is left.

#include "eio/clock.h"

#include "eio/fiber.h"

int64_t eio_clock_now(eio_clock *self) {
    return self->ops->now(self);
}

eio_err *eio_clock_sleep_until(eio_clock *self, int64_t deadline_ns) {
    return self->ops->sleep_until(self, deadline_ns);
}

/** `now + duration`, or INT64_MAX where that would be later. */
static int64_t add_saturating(int64_t now, int64_t duration_ns) {
    int64_t sum;
    if (duration_ns <= 0)
        return now;
    return __builtin_add_overflow(now, duration_ns, &sum) ? INT64_MAX : sum;
}

eio_err *eio_clock_sleep(eio_clock *self, int64_t duration_ns) {
    return eio_clock_sleep_until(self, add_saturating(eio_clock_now(self), duration_ns));
}

int64_t eio_mono_clock_now(eio_mono_clock *self) {
    return self->ops->now(self);
}

eio_err *eio_mono_clock_sleep_until(eio_mono_clock *self, int64_t deadline_ns) {
    return self->ops->sleep_until(self, deadline_ns);
}

eio_err *eio_mono_clock_sleep(eio_mono_clock *self, int64_t duration_ns) {
    return eio_mono_clock_sleep_until(self, add_saturating(eio_mono_clock_now(self), duration_ns));
}

eio_timeout eio_timeout_none(void) {
    return (eio_timeout){0};
}

eio_timeout eio_timeout_ns(eio_mono_clock *clock, int64_t duration_ns) {
    return (eio_timeout){.clock = clock, .duration_ns = duration_ns > 0 ? duration_ns : 0};
}

eio_timeout eio_timeout_seconds(eio_mono_clock *clock, double seconds) {
    double ns = seconds * 1e9;
    if (!(ns > 0)) // NaN, too
        return eio_timeout_ns(clock, 0);
    return eio_timeout_ns(clock, ns >= 0x1p63 ? INT64_MAX : (int64_t)ns);
}

eio_err *eio_timeout_sleep(eio_timeout self) {
    if (self.clock == NULL)
        return eio_fiber_await_cancel();
    return eio_mono_clock_sleep(self.clock, self.duration_ns);
}

static eio_err *timer(void *arg) {
    const eio_timeout *self = arg;
    EIO_TRY(eio_timeout_sleep(*self));
    return eio_err_const(&eio_err_timeout);
}

eio_err *eio_timeout_run(eio_timeout self, eio_call_fn *fn, void *arg) {
    if (self.clock == NULL)
        return fn(arg);
    return eio_fiber_first(timer, &self, fn, arg, NULL);
}
