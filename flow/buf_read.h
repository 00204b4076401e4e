// SPDX-License-Identifier: ISC
#ifndef EIO_BUF_READ_H
#define EIO_BUF_READ_H

/*
 * Buffered reading with a bound: lines, blocks, numbers. A reader takes what the source has, hands
 * out slices of its buffer, and never holds more than it was allowed to.
 *
 *     eio_buf_read in EIO_CLEANUP(eio_buf_read_fini);
 *     EIO_TRY(eio_buf_read_init(&in, &conn->source, 8192));
 *     eio_slice line;
 *     EIO_TRY(eio_buf_read_line(&in, &line));         // valid until the next call with `in`
 *
 * Every slice points into the reader's buffer: the next call with the reader may overwrite it, so
 * what is to be kept is copied first. An operation that fails, or is cancelled, has consumed
 * nothing, unless its comment says otherwise: what had come stays in the buffer.
 *
 * Errors that any reading operation can return: End_of_file when the source ends too early;
 * Buffer_limit_exceeded when more than `max_size` bytes would have to be held; those of the source;
 * Out_of_memory. Each suspends as often as the source does until there is enough, and not at all
 * when there is enough already; that isn't repeated below.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/slice.h"
#include "eio/strbuf.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** Reading would need a buffer larger than allowed. */
extern EIO_API const eio_err_kind eio_err_buffer_limit_exceeded;

/**
 * A buffered reader. It lives in the caller's memory; only `source` is for others to use: the
 * reader as a source, which gives what is in the buffer, then the rest. To be used by one fiber at
 * a time, in the thread that made it (asserted), and not while its bytes are lent through `source`
 * (asserted).
 */
typedef struct eio_buf_read {
    eio_source source;  /**< the reader as a source; valid as long as the reader */
    eio_source *from;   /**< where the bytes come from; borrowed */
    uint8_t *bytes;     /**< the buffer; NULL until the first read */
    size_t cap;         /**< bytes at `bytes` */
    size_t start;       /**< where the buffered bytes start */
    size_t end;         /**< where they end */
    size_t no_lf;       /**< so many of them, from `start` on, are known to hold no LF */
    size_t max_size;    /**< most bytes to buffer; 0: not to be used (any more) */
    uint64_t consumed;  /**< bytes consumed since the reader was made */
    const void *thread; /**< the thread that made it */
    bool at_eof;        /**< the source has ended: it isn't asked again */
    bool passing;       /**< the loan under way is one of `from`, not of the buffer */
    eio_hook hook;      /**< frees the buffer; attached by `eio_buf_read_create` */
} eio_buf_read;

/**
 * Makes `self` a reader of `from`, which buffers at most `max_size` bytes: the longest line, block
 * or literal that can be read is as long. The buffer is allocated at the first read, of 4 KiB or
 * `max_size` if that is less, and grows as needed.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `Max size 0 should be positive!`; `eio_buf_read_fini` is fine even
 *            then.
 * Owner:     `from` is borrowed as long as the reader is used; end with `eio_buf_read_fini`.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_init(eio_buf_read *self, eio_source *from,
                                                size_t max_size);
/**
 * Frees the buffer and what is in it; the reader can't be used again. A loan under way is dead.
 * Again, and NULL, are fine.
 *
 * Suspends:  never.
 */
EIO_API void eio_buf_read_fini(eio_buf_read *self);
/**
 * As `eio_buf_read_init`, for a reader that lives as long as a switch.
 *
 * Suspends:  never.
 * Errors:    Invalid_argument `Max size 0 should be positive!`; Out_of_memory.
 * Owner:     `sw` holds the reader; `from` is borrowed until it ends.
 * Domain:    the switch's own (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_create(eio_switch *sw, eio_source *from, size_t max_size,
                                                  eio_buf_read **out);

/** A parser: reads what it wants from `in`, and puts what it found where `arg` says. */
typedef eio_err *eio_buf_read_fn(void *arg, eio_buf_read *in);
/**
 * Runs the parser `fn(arg, in)` over all of `src`: when it has ended, so must have the input. What
 * goes wrong in the input is reported as a Failure that says where.
 *
 * Suspends:  as `src` and `fn` do.
 * Errors:    Failure `Unexpected end-of-file at offset N`, `Unexpected data after parsing (at
 *            offset N)`, `Buffer size limit exceeded when reading at offset N`, `TEXT (at offset
 *            N)` for a Failure of the parser; Invalid_argument, as `eio_buf_read_init`; those
 *            of `fn` and of `src`, but for these, as they are.
 * Owner:     slices that `fn` was given are invalid when this returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_parse(eio_source *src, size_t max_size,
                                                 eio_buf_read_fn *fn, void *arg);

/**
 * Reads a line: the bytes up to a LF, without it, and without a CR before it. Returns as soon as
 * the LF has come. What comes after the last LF is a line, too (with its CR, if it ends in one).
 *
 * Suspends:  until a LF or the end has come.
 * Errors:    End_of_file when nothing is left; Buffer_limit_exceeded when `max_size` bytes hold no
 *            LF, even if they are the last.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_line(eio_buf_read *self, eio_slice *out);
/**
 * As `eio_buf_read_line`, and appends the line to `out`.
 *
 * Suspends:  as `eio_buf_read_line`.
 * Errors:    as `eio_buf_read_line`; Out_of_memory: the line is lost if `out` couldn't take it.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_line_to(eio_buf_read *self, eio_strbuf *out);
/**
 * Reads everything up to the end; nothing is fine, too.
 *
 * Suspends:  until the end has come.
 * Errors:    Buffer_limit_exceeded when there are `max_size` bytes or more: to see the end takes
 *            room for one byte more.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_take_all(eio_buf_read *self, eio_slice *out);
/** Reads exactly `len` bytes. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_take(eio_buf_read *self, size_t len, eio_slice *out);
/** Says whether `byte` belongs to what is read; it must not use the reader. */
typedef bool eio_byte_fn(void *arg, uint8_t byte);
/**
 * Reads the bytes before the first one for which `fn(arg, byte)` is false, or up to the end; there
 * may be none.
 *
 * Suspends:  until such a byte or the end has come.
 * Errors:    Buffer_limit_exceeded when `max_size` bytes hold no such byte.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_take_while(eio_buf_read *self, eio_byte_fn *fn,
                                                      void *arg, eio_slice *out);
/**
 * Passes over `len` bytes, which may be more than `max_size`.
 *
 * Suspends:  until they have come.
 * Errors:    End_of_file when there are fewer. Whatever the error, what had come is consumed.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_skip(eio_buf_read *self, uint64_t len);
/**
 * Passes over the bytes before the first one for which `fn(arg, byte)` is false, or up to the end;
 * they may be more than `max_size`.
 *
 * Suspends:  until such a byte or the end has come.
 * Errors:    no End_of_file. Whatever the error, what had come is consumed.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_skip_while(eio_buf_read *self, eio_byte_fn *fn,
                                                      void *arg);

/**
 * Reads the byte `expected`.
 *
 * Suspends:  until a byte has come.
 * Errors:    Failure `Expected 'x' but got 'a'`.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_char(eio_buf_read *self, char expected);
/** Reads one byte. Suspends: until it has come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_any_char(eio_buf_read *self, char *out);
/** Looks at the next byte without consuming it. Suspends: until it has come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_peek_char(eio_buf_read *self, char *out);
/**
 * Reads exactly the bytes `expected`. Fails as soon as a byte differs, without waiting for more.
 *
 * Suspends:  until they, or one that differs, have come.
 * Errors:    Failure `Expected "abc" but got "abd"`, with as many bytes as are there.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_string(eio_buf_read *self, eio_slice expected);

/** Reads one byte as a number. Suspends: until it has come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_uint8(eio_buf_read *self, uint8_t *out);
/** Reads 2 bytes as a number, the most significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_be_uint16(eio_buf_read *self, uint16_t *out);
/** Reads 4 bytes as a number, the most significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_be_uint32(eio_buf_read *self, uint32_t *out);
/** Reads 8 bytes as a number, the most significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_be_uint64(eio_buf_read *self, uint64_t *out);
/** Reads 2 bytes as a number, the least significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_le_uint16(eio_buf_read *self, uint16_t *out);
/** Reads 4 bytes as a number, the least significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_le_uint32(eio_buf_read *self, uint32_t *out);
/** Reads 8 bytes as a number, the least significant first. Suspends: until they have come. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_le_uint64(eio_buf_read *self, uint64_t *out);

/**
 * Whether there is no more to read.
 *
 * Suspends:  until a byte or the end has come.
 * Errors:    no End_of_file.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_at_end(eio_buf_read *self, bool *out);
/**
 * Makes sure that there is no more to read.
 *
 * Suspends:  until a byte or the end has come.
 * Errors:    Failure `Unexpected data after parsing`; no End_of_file.
 */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_end_of_input(eio_buf_read *self);

/** Waits until at least `len` bytes are buffered. Suspends: until then. */
EIO_API EIO_MUST_USE eio_err *eio_buf_read_ensure(eio_buf_read *self, size_t len);
/** What is buffered; it may be nothing. Suspends: never. */
EIO_API eio_slice eio_buf_read_peek(const eio_buf_read *self);
/** Consumes `len` bytes of what is buffered; there must be as many (asserted). Suspends: never. */
EIO_API void eio_buf_read_consume(eio_buf_read *self, size_t len);
/** How many bytes are buffered. Suspends: never. */
EIO_API size_t eio_buf_read_buffered(const eio_buf_read *self);
/** How many bytes were consumed so far: the offset of the next. Suspends: never. */
EIO_API uint64_t eio_buf_read_consumed(const eio_buf_read *self);

EIO_END_DECLS

#endif
