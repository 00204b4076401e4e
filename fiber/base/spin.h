// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_SPIN_H
#define EIO_BASE_SPIN_H

// A spin lock for critical sections of a few instructions that several domains may enter. Nothing
// in such a section suspends, allocates or calls the system, so a holder is off its processor only
// when the kernel takes it away: then the others give theirs up, too.

#include <sched.h>
#include <stdatomic.h>

#include "fiber/base/single.h"

struct eioi_spin {
    atomic_bool held;
};

#define EIOI_SPIN_INIT \
    { false }

static inline void eioi_spin_lock(struct eioi_spin *self) {
    unsigned tries = 0;
    if (eioi_single_threaded() && !atomic_load_explicit(&self->held, memory_order_relaxed)) {
        atomic_store_explicit(&self->held, true, memory_order_relaxed);
        return;
    }
    while (__builtin_expect(atomic_exchange_explicit(&self->held, true, memory_order_acquire), 0))
        if (++tries % 64 == 0)
            sched_yield();
}

static inline void eioi_spin_unlock(struct eioi_spin *self) {
    atomic_store_explicit(&self->held, false, memory_order_release);
}

#endif
