// SPDX-License-Identifier: ISC
// A pause is a sleep of the scheduler's: it needs no clock, and the mock's time moves for it as for
// any other.

#include "fiber/pause.h"

#include "fiber/sched.h"

eio_err *eioi_pause(int64_t duration_ns) {
    int64_t deadline_ns;
    if (__builtin_add_overflow(eioi_now(), duration_ns, &deadline_ns))
        deadline_ns = INT64_MAX;
    return eioi_sleep_until(deadline_ns);
}
