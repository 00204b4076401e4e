// SPDX-License-Identifier: ISC
#ifndef EIO_STRBUF_H
#define EIO_STRBUF_H

/*
 * A growing text buffer; every printer of the library writes into one. Running out of memory sets
 * `failed`, and later additions are ignored: check once, at the end.
 *
 *     eio_strbuf sb = EIO_STRBUF_INIT;
 *     eio_strbuf_addf(&sb, "%d bytes", n);
 *     puts(eio_strbuf_str(&sb));
 *     eio_strbuf_free(&sb);
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "eio/macros.h"
#include "eio/slice.h"

EIO_BEGIN_DECLS

/** Text that grows. `EIO_STRBUF_INIT` is empty and owns nothing. */
typedef struct eio_strbuf {
    char *base;  /**< `len` bytes and a NUL; NULL while nothing was added */
    size_t len;  /**< bytes, without the NUL */
    size_t cap;  /**< bytes allocated at `base` */
    bool failed; /**< an allocation failed: the text is cut at `len` */
} eio_strbuf;

#define EIO_STRBUF_INIT \
    { NULL, 0, 0, false }

/** Appends `len` bytes. Suspends: never. */
EIO_API void eio_strbuf_add(eio_strbuf *self, const void *base, size_t len);
/** Appends a NUL-terminated string. Suspends: never. */
EIO_API void eio_strbuf_adds(eio_strbuf *self, const char *str);
/** Appends one byte. Suspends: never. */
EIO_API void eio_strbuf_addc(eio_strbuf *self, char c);
/** Appends printf-formatted text. Suspends: never. */
EIO_API void eio_strbuf_addf(eio_strbuf *self, const char *fmt, ...) EIO_PRINTF(2, 3);
/** As `eio_strbuf_addf`, with a `va_list`. Suspends: never. */
EIO_API void eio_strbuf_vaddf(eio_strbuf *self, const char *fmt, va_list args) EIO_PRINTF(2, 0);
/**
 * Appends `s` in double quotes: `\"`, `\\`, `\n`, `\t`, `\r`, `\b`; 0x20 to 0x7e as they are; any
 * other byte as `\ddd`, three decimal digits (so 127 is `\127`). Suspends: never.
 */
EIO_API void eio_strbuf_add_quoted(eio_strbuf *self, eio_slice s);
/** The text, NUL-terminated; "" when empty. Valid until the next addition. Suspends: never. */
EIO_API const char *eio_strbuf_str(const eio_strbuf *self);
/** The text as a slice. Valid until the next addition. Suspends: never. */
EIO_API eio_slice eio_strbuf_slice(const eio_strbuf *self);
/** Forgets the text, keeps the memory. Suspends: never. */
EIO_API void eio_strbuf_clear(eio_strbuf *self);
/** Frees the memory; the buffer is empty again. Suspends: never. */
EIO_API void eio_strbuf_free(eio_strbuf *self);

EIO_END_DECLS

#endif
