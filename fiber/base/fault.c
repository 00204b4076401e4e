// SPDX-License-Identifier: ISC

// The slow path of the fault points. The hook is a plain pointer: it is set while no other thread
// runs the library, so the fast path needs no atomic load.

#include "fiber/base/fault.h"

const struct eioi_fault_hook *eioi_fault_hook;

bool eioi_fault_fails(const char *name) {
    int errnum = eioi_fault_hook->fn(eioi_fault_hook->arg, name);
    if (errnum == 0)
        return false;
    errno = errnum;
    return true;
}

size_t eioi_fault_limited(const char *name, size_t len) {
    const struct eioi_fault_hook *hook = eioi_fault_hook;
    return hook->limit == NULL || len == 0 ? len : hook->limit(hook->arg, name, len);
}
