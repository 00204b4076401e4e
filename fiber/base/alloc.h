// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_ALLOC_H
#define EIO_BASE_ALLOC_H

// The one allocator: counts what is alive, and can be told to fail. Everything that the library
// allocates (its mappings, too: see `EIOI_SYS`) comes through here, so "nothing leaked" is a
// number, and every failure can be had on demand.

#include <stddef.h>
#include <stdint.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** `size` bytes, uninitialised; NULL when there is no memory. */
void *eioi_alloc(size_t size) __attribute__((malloc, warn_unused_result));
/** `size` bytes of zeros; NULL when there is no memory. */
void *eioi_zalloc(size_t size) __attribute__((malloc, warn_unused_result));
/** As realloc: NULL leaves `ptr` as it was. */
void *eioi_realloc(void *ptr, size_t size) __attribute__((warn_unused_result));
/** Frees what the functions above gave; NULL is fine. */
void eioi_free(void *ptr);
/** Blocks allocated and not yet freed, in the whole process. */
int64_t eioi_live_objects(void);

EIO_END_DECLS

#endif
