// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_PANIC_H
#define EIO_BASE_PANIC_H

// The panic report: what broke, where, in which fiber; then abort().

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** Prints the report to stderr (no allocation) and aborts. `cond` may be NULL. */
__attribute__((noreturn)) void eioi_panic(const char *file, int line, const char *func,
                                          const char *cond, const char *fmt, ...) EIO_PRINTF(5, 6);

/**
 * Set by the scheduler: writes one line that names the running fiber into `buf`; an empty string
 * when there is none.
 */
typedef void eioi_panic_describe_fn(char *buf, unsigned len);
void eioi_panic_set_describe(eioi_panic_describe_fn *fn);

EIO_END_DECLS

#endif
