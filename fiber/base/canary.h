// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_CANARY_H
#define EIO_BASE_CANARY_H

// Mistakes on purpose, to see that the tests notice: tests/canary. `if (EIOI_CANARY(skip_close))
// return;` is nothing at all in every build but one, `--config=canary`, where the environment
// variable EIOI_CANARY names the one mistake that is made; canary.def lists them.

#ifdef EIOI_CANARIES

#include <stdbool.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

enum eioi_canary {
#define CANARY(name, what) EIOI_CANARY_##name,
#include "fiber/base/canary.def"
#undef CANARY
    EIOI_CANARY_NONE
};

/** Whether `canary` is the mistake to make. */
bool eioi_canary_is(enum eioi_canary canary);

EIO_END_DECLS

#define EIOI_CANARY(name) eioi_canary_is(EIOI_CANARY_##name)

#else

#define EIOI_CANARY(name) 0

#endif

#endif
