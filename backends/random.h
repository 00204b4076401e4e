// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_RANDOM_H
#define EIO_BACKENDS_RANDOM_H

// The machine's secure random bytes.

#include "eio/flow.h"

/**
 * A source that never ends, of getrandom(2). The caller has it, and ends it with `eio_source_fini`.
 */
void eioi_random_init(eio_source *self);

#endif
