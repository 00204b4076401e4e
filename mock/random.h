// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_RANDOM_H
#define EIO_MOCK_RANDOM_H

/*
 * Bytes that look random and are the same in every run: for tests of what draws random numbers. Not
 * for secrets.
 *
 *     eio_source *random;
 *     EIO_TRY(eio_mock_random_create(42, &random));
 */

#include <stdint.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * A source that never ends; the same seed gives the same bytes, however they are read.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_random_create(uint64_t seed, eio_source **out);
/** Frees such a source; NULL is fine. Suspends: never. */
EIO_API void eio_mock_random_destroy(eio_source *self);

EIO_END_DECLS

#endif
