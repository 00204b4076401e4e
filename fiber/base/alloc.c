// SPDX-License-Identifier: ISC

// malloc with a counter. The count is one relaxed atomic: it is exact whenever no other thread is
// inside the library, which is when somebody asks. Every allocation passes the fault point `alloc`
// first, so that a test can fail each one.

#include "fiber/base/alloc.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fiber/base/assert.h"
#include "fiber/base/fault.h"

static _Atomic int64_t live_objects;

enum {
    // Up to here glibc keeps freed blocks at hand for each thread, but not for calloc. So malloc and a
    // memset take a third of its time; for large blocks calloc knows of pages that are clear already.
    CLEAR_MAX = 1024,
};

// malloc(0) may return NULL, which would look like a failure.
static size_t at_least_one(size_t size) {
    return size == 0 ? 1 : size;
}

static void *counted(void *ptr) {
    if (ptr != NULL)
        atomic_fetch_add_explicit(&live_objects, 1, memory_order_relaxed);
    return ptr;
}

void *eioi_alloc(size_t size) {
    if (EIOI_FAULT(alloc))
        return NULL;
    return counted(malloc(at_least_one(size))); // fault: asked above
}

// Never inlined: where the compiler knows the size, it makes a calloc of malloc and memset.
__attribute__((noinline)) void *eioi_zalloc(size_t size) {
    if (EIOI_FAULT(alloc))
        return NULL;
    if (size > CLEAR_MAX)
        return counted(calloc(1, size));    // fault: asked above
    void *ptr = malloc(at_least_one(size)); // fault: asked above
    return ptr == NULL ? NULL : counted(memset(ptr, 0, size));
}

void *eioi_realloc(void *ptr, size_t size) {
    if (EIOI_FAULT(alloc))
        return NULL;
    void *moved = realloc(ptr, at_least_one(size)); // fault: asked above
    return ptr == NULL ? counted(moved) : moved;
}

void eioi_free(void *ptr) {
    if (ptr == NULL)
        return;
    int64_t before = atomic_fetch_sub_explicit(&live_objects, 1, memory_order_relaxed);
    EIO_ASSERT(before > 0, "more blocks were freed than allocated");
    free(ptr);
}

int64_t eioi_live_objects(void) {
    return atomic_load_explicit(&live_objects, memory_order_relaxed);
}
