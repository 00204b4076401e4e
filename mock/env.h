// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_ENV_INTERNAL_H
#define EIO_MOCK_ENV_INTERNAL_H

// The environment that `eio_mock_run_full` gives.

#include "eio/env.h"
#include "eio/mock/clock.h"

/** Fills `out` with mocks of the running mock loop. */
EIO_MUST_USE eio_err *eioi_mock_env_init(eio_env *out, eio_mock_clock *clock, uint64_t seed);

#endif
