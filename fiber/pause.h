// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_PAUSE_H
#define EIO_FIBER_PAUSE_H

// Waiting by the running loop's own clock, for library code that has to wait a little and wasn't
// given a clock. Programs take theirs from the environment.

#include <stdint.h>

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * Waits for `duration_ns`, by the clock of the backend (virtual in mocks); at least one turn.
 * Errors: Cancelled.
 */
EIO_MUST_USE eio_err *eioi_pause(int64_t duration_ns);

EIO_END_DECLS

#endif
