// SPDX-License-Identifier: ISC
#ifndef EIO_BUF_WRITE_H
#define EIO_BUF_WRITE_H

/*
 * Buffered writing: small pieces are gathered, and go to the sink together, when the buffer is full
 * or when they are flushed.
 *
 *     eio_buf_write out EIO_CLEANUP(eio_buf_write_fini);
 *     EIO_TRY(eio_buf_write_init(&out, &conn->sink, 4096));
 *     EIO_TRY(eio_buf_write_printf(&out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body.len));
 *     EIO_TRY(eio_buf_write_bytes(&out, body));
 *     EIO_TRY(eio_buf_write_flush(&out));             // else the peer waits for what stays here
 *
 * Errors that any writing operation can return: those of the sink; Out_of_memory. Each suspends
 * only when the buffer is full, and then until the sink has taken enough; that isn't repeated
 * below. After an error, or a cancellation, what had been gathered before the call is still there,
 * but for what the sink took: a flush goes on where it stopped. How much of what the failed call
 * itself was given went out is unknown.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/slice.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/**
 * A buffered writer. It lives in the caller's memory; only `sink` is for others to use: the writer
 * as a sink, into which a copy can be made. To be used by one fiber at a time, in the thread that
 * made it (asserted).
 */
typedef struct eio_buf_write {
    eio_sink sink;      /**< the writer as a sink; valid as long as the writer */
    eio_sink *to;       /**< where the bytes go; borrowed */
    uint8_t *bytes;     /**< the buffer; NULL until the first write */
    size_t size;        /**< bytes at `bytes`, once it's there; 0: not to be used (any more) */
    size_t start;       /**< where the gathered bytes start */
    size_t end;         /**< where they end */
    const void *thread; /**< the thread that made it */
    bool busy;          /**< a fiber waits for the sink */
    eio_hook hook;      /**< frees the buffer; attached by `eio_buf_write_create` */
} eio_buf_write;

/**
 * Makes `self` a writer to `to`, with a buffer of `size` bytes, allocated at the first write.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `Size 0 should be positive!`; `eio_buf_write_fini` is fine even then.
 * Owner:     `to` is borrowed as long as the writer is used; end with `eio_buf_write_fini`.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_init(eio_buf_write *self, eio_sink *to, size_t size);
/**
 * Frees the buffer; what wasn't flushed is lost. The writer can't be used again. Again, and NULL,
 * are fine.
 *
 * Suspends:  never.
 */
EIO_API void eio_buf_write_fini(eio_buf_write *self);
/**
 * As `eio_buf_write_init`, for a writer that lives as long as a switch.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `Size 0 should be positive!`; Out_of_memory.
 * Owner:     `sw` holds the writer, and flushes nothing; `to` is borrowed until it ends.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_create(eio_switch *sw, eio_sink *to, size_t size,
                                                   eio_buf_write **out);

/** What is done with a writer. */
typedef eio_err *eio_buf_write_fn(void *arg, eio_buf_write *out);
/**
 * Runs `fn(arg, writer)` with a writer to `to`, and flushes it when `fn` has succeeded; when it has
 * failed, what is still gathered is dropped.
 *
 * Suspends:  as `fn` does, and until the sink has taken what was left.
 * Errors:    those of `fn`; those of the sink; Invalid_argument, as `eio_buf_write_init`.
 * Owner:     the writer is gone when this returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_run(eio_sink *to, size_t size, eio_buf_write_fn *fn,
                                                void *arg);

/**
 * Writes `bytes`. More than the buffer has room for goes out at once, uncopied, together with what
 * was gathered before.
 *
 * Suspends:  until what the buffer has no room for was taken.
 * Owner:     `bytes` are borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_bytes(eio_buf_write *self, eio_slice bytes);
/** Writes a text, without its NUL. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_string(eio_buf_write *self, const char *str);
/** Writes a formatted text, as printf(3) does. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_printf(eio_buf_write *self, const char *fmt, ...)
    EIO_PRINTF(2, 3);
/** Writes one byte. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_uint8(eio_buf_write *self, uint8_t n);
/** Writes 2 bytes, the most significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_be_uint16(eio_buf_write *self, uint16_t n);
/** Writes 4 bytes, the most significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_be_uint32(eio_buf_write *self, uint32_t n);
/** Writes 8 bytes, the most significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_be_uint64(eio_buf_write *self, uint64_t n);
/** Writes 2 bytes, the least significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_le_uint16(eio_buf_write *self, uint16_t n);
/** Writes 4 bytes, the least significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_le_uint32(eio_buf_write *self, uint32_t n);
/** Writes 8 bytes, the least significant first. Suspends: as `eio_buf_write_bytes`. */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_le_uint64(eio_buf_write *self, uint64_t n);

/**
 * Passes on all that was gathered.
 *
 * Suspends:  until the sink has taken it; not at all when there is nothing.
 * Errors:    those of the sink; what it didn't take stays, for another flush.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_write_flush(eio_buf_write *self);
/** How many bytes are gathered and not passed on yet. Suspends: never. */
EIO_API size_t eio_buf_write_pending(const eio_buf_write *self);

EIO_END_DECLS

#endif
