// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_REAL_CLOCK_H
#define EIO_BACKENDS_REAL_CLOCK_H

// The clocks of the machine, as real loops have them. They have no state, and act on the caller's
// own loop.

#include "eio/clock.h"

/** CLOCK_REALTIME. */
extern eio_clock eioi_real_clock;
/** The backend's monotonic clock. */
extern eio_mono_clock eioi_real_mono_clock;

#endif
