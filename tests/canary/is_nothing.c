// SPDX-License-Identifier: ISC
// In the ordinary build a canary is a constant, whatever its name: the compiler drops what hangs on it.

#include "fiber/base/canary.h"

_Static_assert(EIOI_CANARY(any_name_at_all) == 0, "a canary is in the ordinary build");
