// SPDX-License-Identifier: ISC
#ifndef EIO_TRACE_H
#define EIO_TRACE_H

/*
 * Trace lines for programs and tests: each line goes to stderr with a `+` before it.
 *
 *     eio_traceln("got %zu bytes", n);        // +got 12 bytes
 */

#include <stddef.h>

#include "eio/cancel.h"
#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * Prints a trace message, every line of it with a `+` before it. From any thread, before, in and
 * after a loop, not from a signal handler. Keeps errno. Suspends: never.
 */
EIO_API void eio_traceln(const char *fmt, ...) EIO_PRINTF(1, 2);

/** Gets whole lines, each with its `+` and newline, one call a message, one call at a time. */
typedef void eio_traceln_sink_fn(void *arg, const char *text, size_t len);
/** Sends the trace of the whole process to `fn`; NULL: to stderr again. Suspends: never. */
EIO_API void eio_traceln_set_sink(eio_traceln_sink_fn *fn, void *arg);

/**
 * Writes the prefix for the fiber that prints now into `buf` (at most `len` bytes with its NUL).
 */
typedef void eio_trace_prefix_fn(void *arg, char *buf, size_t len);
/**
 * Runs `fn(fn_arg)` with `prefix(prefix_arg, ...)` before each message of this fiber and those
 * forked meanwhile. Only the first line of a message carries it.
 *
 * Suspends:  as `fn` does.
 * Errors:    those of `fn`; Out_of_memory.
 */
EIO_API EIO_MUST_USE eio_err *eio_with_trace_prefix(eio_trace_prefix_fn *prefix, void *prefix_arg,
                                                    eio_call_fn *fn, void *fn_arg);
/** Length in bytes of the prefix that the running fiber's messages get now. Suspends: never. */
EIO_API size_t eio_trace_prefix_len(void);

EIO_END_DECLS

#endif
