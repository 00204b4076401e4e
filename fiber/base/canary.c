// SPDX-License-Identifier: ISC

// Which mistake to make is read once, before main() and any thread. A name that isn't known stops
// the program, so that no run passes for want of its canary.

#include "fiber/base/canary.h"

#include <stdlib.h>
#include <string.h>

#include "fiber/base/assert.h"

static const char *const names[] = {
#define CANARY(name, what) #name,
#include "fiber/base/canary.def"
#undef CANARY
};

static enum eioi_canary chosen = EIOI_CANARY_NONE;

__attribute__((constructor)) static void choose(void) {
    const char *asked = getenv("EIOI_CANARY");
    if (asked == NULL || asked[0] == '\0')
        return;
    for (unsigned i = 0; i < EIOI_CANARY_NONE; i++)
        if (strcmp(names[i], asked) == 0)
            chosen = (enum eioi_canary)i;
    EIO_ASSERT(chosen != EIOI_CANARY_NONE, "there is no canary %s", asked);
}

bool eioi_canary_is(enum eioi_canary canary) {
    return canary == chosen;
}
