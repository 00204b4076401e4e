// SPDX-License-Identifier: ISC
#ifndef EIO_FLOW_H
#define EIO_FLOW_H

/*
 * Streams of bytes: sources to read from, sinks to write to, flows that are both and can be
 * half-closed.
 *
 *     uint8_t space[4096];
 *     size_t got;
 *     EIO_TRY(eio_source_single_read(&conn->source, eio_buf_of(space, sizeof space), &got));
 *     EIO_TRY(eio_sink_write(&conn->sink, eio_slice_of(space, got)));
 *
 * A flow is passed on as one of its ends by the address of that member:
 *
 *     EIO_TRY(eio_flow_copy(&conn->source, out));
 */

#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/slice.h"
#include "eio/strbuf.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

struct eio_source_ops;
struct eio_sink_ops;
struct eio_flow_ops;
struct eioi_lend_buf;

/** Where bytes come from. Embedded in what implements it; all but `ops` starts as zero. */
typedef struct eio_source {
    const struct eio_source_ops *ops; /**< from `eio/flow_pi.h`; set by the implementer */
    struct eioi_lend_buf *lent; /**< the library's: a loan, or what is left of one; else NULL */
} eio_source;

/** Where bytes go. Embedded in what implements it. */
typedef struct eio_sink {
    const struct eio_sink_ops *ops; /**< from `eio/flow_pi.h`; set by the implementer */
} eio_sink;

/** Both, with an end that can be shut down. Embedded in what implements it. */
typedef struct eio_flow {
    eio_source source;              /**< the reading end */
    eio_sink sink;                  /**< the writing end */
    const struct eio_flow_ops *ops; /**< from `eio/flow_pi.h`; set by the implementer */
} eio_flow;

/** Which direction to shut down, as in shutdown(2). */
typedef enum eio_shutdown {
    EIO_SHUTDOWN_RECEIVE, /**< a blocked read gets End_of_file */
    EIO_SHUTDOWN_SEND,    /**< the peer gets End_of_file after what was written */
    EIO_SHUTDOWN_ALL      /**< both */
} eio_shutdown;

/**
 * Reads at least one byte into `buf`.
 *
 * Suspends:  until data arrives or the peer stops sending. A cancelled read loses no data: it may
 *            succeed instead. Not at all when a loan that was released in part left bytes.
 * Errors:    End_of_file (again at each later call); Net Connection_reset; Cancelled; closed.
 * Owner:     `buf` is borrowed until the call returns, even when cancelled. It must not be empty
 *            (asserted).
 * Domain:    the domain that opened `src`. One reader at a time (asserted by sockets).
 */
EIO_API EIO_MUST_USE eio_err *eio_source_single_read(eio_source *src, eio_buf buf, size_t *out_got);
/**
 * Fills `buf`; an empty one at once.
 *
 * Suspends:  as often as needed.
 * Errors:    End_of_file when the source ends before `buf` is full (what had come is in `buf`, its
 *            length is lost); those of `eio_source_single_read`.
 * Owner:     `buf` is borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_source_read_exact(eio_source *src, eio_buf buf);
/**
 * Reads at least one byte into memory that stays the source's. The bytes stay valid until
 * `eio_source_release`. One loan at a time, and no other read meanwhile (asserted). What an earlier
 * loan left comes first, alone: more than that is to be had only once all of it was used.
 *
 * A source with memory of its own (sockets, strings, buffered readers) lends that: no copy, and who
 * waits for data holds no buffer. For any other the library reads into 16 KiB that it allocates for
 * the loan and frees with it.
 *
 * Suspends:  as `eio_source_single_read`.
 * Errors:    as `eio_source_single_read`; Out_of_memory.
 * Owner:     the source; give the loan back with `eio_source_release`.
 * Domain:    as `eio_source_single_read`.
 */
EIO_API EIO_MUST_USE eio_err *eio_source_lend(eio_source *src, eio_slice *out);
/**
 * Ends a loan: its first `used` bytes count as read, the rest will be read again. More than was
 * lent, or without a loan, is a broken program (asserted).
 *
 * Suspends:  never.
 */
EIO_API void eio_source_release(eio_source *src, size_t used);

/**
 * Writes at least one byte of the `n` slices, the first ones first; `*out_wrote` says how many. It
 * may be less than all of them, and at most IOV_MAX slices are looked at.
 *
 * Suspends:  until the sink takes some.
 * Errors:    Net Connection_reset; Cancelled; closed.
 * Owner:     `slices` and their bytes are borrowed until the call returns. They must hold at least
 *            one byte (asserted); empty slices among them are skipped.
 * Domain:    the domain that opened `sink`. One writer at a time (asserted by sockets).
 */
EIO_API EIO_MUST_USE eio_err *eio_sink_single_write(eio_sink *sink, const eio_slice *slices,
                                                    size_t n, size_t *out_wrote);
/**
 * Writes all of `bytes`.
 *
 * Suspends:  until the sink has taken all.
 * Errors:    as `eio_sink_single_write`; how much was written before is then unknown.
 * Owner:     `bytes` are borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_sink_write(eio_sink *sink, eio_slice bytes);
/**
 * Writes all of `n` slices, in order, as one gathered write where the sink can.
 *
 * Suspends:  until the sink has taken all.
 * Errors:    as `eio_sink_write`.
 * Owner:     `slices` and their bytes are borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_sink_writev(eio_sink *sink, const eio_slice *slices, size_t n);

/**
 * Reads `src` to its end and writes it all to `dst`, by the best way that both know: between two
 * connections the loop itself passes messages on, and moves much at once without reading it. After a
 * failed write, what was read and how much of it was written is unknown.
 *
 * Suspends:  until the end.
 * Errors:    those of reading (but End_of_file) and writing; Out_of_memory.
 * Domain:    that of both.
 */
EIO_API EIO_MUST_USE eio_err *eio_flow_copy(eio_source *src, eio_sink *dst);
/**
 * Writes the text `str`; nothing at all when it is empty.
 *
 * Suspends:  until the sink has taken all.
 * Errors:    as `eio_sink_write`.
 */
EIO_API EIO_MUST_USE eio_err *eio_flow_copy_string(const char *str, eio_sink *dst);
/**
 * Reads `src` to its end and appends it to `out`; after an error, what came before that is there.
 *
 * Suspends:  until the end.
 * Errors:    those of reading (but End_of_file); Buffer_limit_exceeded (`eio/buf_read.h`) when more
 *            than `max_bytes` come (SIZE_MAX: no limit); Out_of_memory.
 * Owner:     `out` is borrowed until the call returns.
 */
EIO_API EIO_MUST_USE eio_err *eio_source_read_all(eio_source *src, size_t max_bytes,
                                                  eio_strbuf *out);

/**
 * Ends one direction of a connection, or both. A connection that is gone already is no error.
 *
 * Suspends:  never.
 * Errors:    closed; Io.
 */
EIO_API EIO_MUST_USE eio_err *eio_flow_shutdown(eio_flow *flow, eio_shutdown how);
/**
 * Releases what is behind the flow now, without waiting for or flushing anything; operations under
 * way on it end with `eio_err_closed`, unless they have a result; a loan stays valid until its
 * release. Idempotent; NULL is fine. A small shell stays until the switch ends, so that late use is
 * an error and not a crash.
 *
 * Suspends:  never.
 */
EIO_API void eio_flow_close(eio_flow *flow);
/**
 * Closes, and frees the shell too: the pointer is dead, and so is a loan of it. For loops that open
 * many flows in one switch. NULL is fine. No fiber may be using the flow.
 *
 * Suspends:  never.
 */
EIO_API void eio_flow_free(eio_flow *flow);

EIO_END_DECLS

#endif
