// SPDX-License-Identifier: ISC
#ifndef EIO_MEM_H
#define EIO_MEM_H

/*
 * Flows in memory: bytes as a source, a text buffer as a sink, and a flow with nothing behind it.
 * The first two live in the caller's memory, own nothing, and need no clean-up.
 *
 *     eio_strbuf text = EIO_STRBUF_INIT;
 *     eio_buffer_sink sink;
 *     eio_buffer_sink_init(&sink, &text, 1 << 20);
 *     EIO_TRY(eio_flow_copy(&conn->source, &sink.sink));
 */

#include <stddef.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/slice.h"
#include "eio/strbuf.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/** A source that reads out given bytes, and lends them uncopied. */
typedef struct eio_string_source {
    eio_source source; /**< to read from */
    eio_slice rest;    /**< what hasn't been read yet */
} eio_string_source;

/**
 * Makes `self` the source of `bytes`.
 *
 * Suspends:  never.
 * Owner:     `bytes` are borrowed as long as the source is used.
 */
EIO_API void eio_string_source_init(eio_string_source *self, eio_slice bytes);
/**
 * As `eio_string_source_init`, with a copy of `bytes`.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw` holds the source and the copy until it ends.
 * Domain:    the switch's own.
 */
EIO_API EIO_MUST_USE eio_err *eio_string_source_create(eio_switch *sw, eio_slice bytes,
                                                       eio_source **out);

/** A sink that appends to a text buffer. */
typedef struct eio_buffer_sink {
    eio_sink sink;   /**< to write to */
    eio_strbuf *out; /**< what is appended to; borrowed */
    size_t room;     /**< bytes that may still be added */
} eio_buffer_sink;

/**
 * Makes `self` a sink that appends to `out`, at most `max_bytes` (SIZE_MAX: no limit). A write
 * takes what there is room for; one that finds no room fails with Buffer_limit_exceeded
 * (`eio/buf_read.h`). Where memory runs out a write fails with Out_of_memory, and so does every
 * later one.
 *
 * Suspends:  never.
 * Owner:     `out` is borrowed as long as the sink is used; its text is the caller's.
 */
EIO_API void eio_buffer_sink_init(eio_buffer_sink *self, eio_strbuf *out, size_t max_bytes);

/**
 * The flow with nothing behind it: reads get End_of_file, writes are swallowed, shutting down and
 * closing do nothing. There is one, for everybody.
 *
 * Suspends:  never; neither do reads from it and writes to it.
 * Domain:    any.
 */
EIO_API eio_flow *eio_null_flow(void);

EIO_END_DECLS

#endif
