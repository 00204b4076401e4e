// SPDX-License-Identifier: ISC
#ifndef EIO_SLICE_H
#define EIO_SLICE_H

/*
 * Runs of bytes: `eio_slice` to read from, `eio_buf` to fill. Both pass by value, own nothing, and
 * have the layout of `struct iovec`, so that arrays of them go to the kernel uncopied.
 *
 *     uint8_t space[512];
 *     eio_buf buf = eio_buf_of(space, sizeof space);
 *     eio_slice hello = eio_slice_of_str("hello");
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** Bytes to read. `base` may be NULL when `len` is 0. */
typedef struct eio_slice {
    const uint8_t *base; /**< first byte; borrowed */
    size_t len;          /**< bytes */
} eio_slice;

/** Bytes to fill. `base` may be NULL when `len` is 0. */
typedef struct eio_buf {
    uint8_t *base; /**< first byte; borrowed */
    size_t len;    /**< bytes */
} eio_buf;

/** The slice of `len` bytes at `base`. Suspends: never. */
static inline eio_slice eio_slice_of(const void *base, size_t len) {
    eio_slice s = {(const uint8_t *)base, len};
    return s;
}

/** The slice of a NUL-terminated string, without its NUL. Suspends: never. */
static inline eio_slice eio_slice_of_str(const char *str) {
    return eio_slice_of(str, strlen(str));
}

/** The slice of what `buf` covers, or of its first `len` bytes. Suspends: never. */
static inline eio_slice eio_slice_of_buf(eio_buf buf, size_t len) {
    return eio_slice_of(buf.base, len < buf.len ? len : buf.len);
}

/** `s` without its first `n` bytes (all of them when it has fewer). Suspends: never. */
static inline eio_slice eio_slice_drop(eio_slice s, size_t n) {
    return n < s.len ? eio_slice_of(s.base + n, s.len - n) : eio_slice_of(NULL, 0);
}

/** The buffer of `len` bytes at `base`. Suspends: never. */
static inline eio_buf eio_buf_of(void *base, size_t len) {
    eio_buf b = {(uint8_t *)base, len};
    return b;
}

/** `b` without its first `n` bytes (all of them when it has fewer). Suspends: never. */
static inline eio_buf eio_buf_drop(eio_buf b, size_t n) {
    return n < b.len ? eio_buf_of(b.base + n, b.len - n) : eio_buf_of(NULL, 0);
}

EIO_END_DECLS

#endif
