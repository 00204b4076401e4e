// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_SWITCH_IMPL_H
#define EIO_FIBER_SWITCH_IMPL_H

// The inside of a switch, for the fork functions.

#include "fiber/impl.h"

struct eioi_chunk;

/** A scope: a cancellation context that counts its fibers and keeps hooks, memory and an error. */
struct eio_switch {
    struct eio_cancel cc;
    size_t fibers;             // alive, daemons included, and 1 for the function itself
    size_t daemons;            // of these
    eio_err *err;              // combined failures
    eio_hook hooks;            // head of the ring; next is the newest
    bool hooks_closed;         // hooks run or have run: no new ones
    struct eioi_waiter *idle;  // the end waits for fibers == 0; NULL: it doesn't
    struct eioi_chunk *memory; // newest first
};

/**
 * Counts a fiber out: the last but daemons cancels these, the very last one wakes the switch's end.
 */
void eioi_switch_dec(struct eio_switch *sw);
/** Asserts that `sw` belongs to this domain and has not ended. */
void eioi_switch_assert_usable(const struct eio_switch *sw);

#endif
