// SPDX-License-Identifier: ISC

// Theory. Everything waits by the monotonic clock, which nobody can set. A sleep by the wall clock
// is turned into one by the monotonic clock, and the wall clock is looked at again after it: if it
// was set back meanwhile the rest is slept, so a sleep is never early; if it was set forward, the
// sleep lasts as long as it would have.

#include "backends/real_clock.h"

#include <time.h>

#include "fiber/sched.h"

static int64_t wall_now(eio_clock *self) {
    struct timespec ts;
    (void)self;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * EIO_SECOND + ts.tv_nsec;
}

/** When the monotonic clock will have gone on by `ns`, which is positive. */
static int64_t mono_after(int64_t ns) {
    int64_t now_ns = eioi_now();
    return now_ns > INT64_MAX - ns ? INT64_MAX : now_ns + ns;
}

static eio_err *wall_sleep_until(eio_clock *self, int64_t deadline_ns) {
    int64_t now_ns = wall_now(self);
    if (now_ns >= deadline_ns)
        return eioi_sleep_until(eioi_now()); // one turn
    for (; now_ns < deadline_ns; now_ns = wall_now(self))
        EIO_TRY(eioi_sleep_until(mono_after(deadline_ns - now_ns)));
    return NULL;
}

static const struct eio_clock_ops wall_ops = {
    .name = "real",
    .now = wall_now,
    .sleep_until = wall_sleep_until,
};

static int64_t mono_now(eio_mono_clock *self) {
    (void)self;
    return eioi_now();
}

static eio_err *mono_sleep_until(eio_mono_clock *self, int64_t deadline_ns) {
    (void)self;
    return eioi_sleep_until(deadline_ns);
}

static const struct eio_mono_clock_ops mono_ops = {
    .name = "real",
    .now = mono_now,
    .sleep_until = mono_sleep_until,
};

eio_clock eioi_real_clock = {&wall_ops};
eio_mono_clock eioi_real_mono_clock = {&mono_ops};
