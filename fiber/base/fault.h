// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_FAULT_H
#define EIO_BASE_FAULT_H

// The seam for injected faults. Each allocation and each system call of the library passes one of
// these points; a test installs a hook that decides, point by point, what fails. Unset (always,
// outside tests), a point costs one load and a branch that is never taken.

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * Decides one point: 0 lets it happen, an errno value makes it fail with that. `name` is the call's
 * name.
 */
typedef int eioi_fault_fn(void *arg, const char *name);
/**
 * Cuts one point: of the `len` bytes (at least 1) that the call `name` is about, so many may be
 * asked for: 1 to `len`.
 */
typedef size_t eioi_fault_limit_fn(void *arg, const char *name, size_t len);

struct eioi_fault_hook {
    eioi_fault_fn *fn;
    void *arg;
    eioi_fault_limit_fn *limit; // NULL: nothing is cut
};

/** The hook, or NULL. Set it while no other thread runs the library. */
extern const struct eioi_fault_hook *eioi_fault_hook;

/** Slow path of the macros below: asks the hook; true sets errno. */
bool eioi_fault_fails(const char *name);
/** Slow path of EIOI_LIMIT. */
size_t eioi_fault_limited(const char *name, size_t len);

/** Whether the point `name` (a bare word) is to fail now; sets errno then. */
#define EIOI_FAULT(name) (__builtin_expect(eioi_fault_hook != NULL, 0) && eioi_fault_fails(#name))
/**
 * A system call that returns -1 and sets errno on failure: `EIOI_SYS(accept4, accept4(fd, NULL,
 * NULL, 0))`.
 */
#define EIOI_SYS(name, call) (EIOI_FAULT(name) ? -1 : (call))
/** mmap and its like: `EIOI_SYS_PTR(mmap, mmap(...))` is MAP_FAILED on failure. */
#define EIOI_SYS_PTR(name, call) (EIOI_FAULT(name) ? (void *)-1 : (call))
/** How many of `len` bytes a read or write asks for: all of them, unless a test makes it short. */
#define EIOI_LIMIT(name, len) \
    (__builtin_expect(eioi_fault_hook != NULL, 0) ? eioi_fault_limited(#name, len) : (len))

EIO_END_DECLS

#endif
