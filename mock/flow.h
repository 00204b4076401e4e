// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_FLOW_H
#define EIO_MOCK_FLOW_H

/*
 * A stream socket that reads what a script says, and prints what is done to it.
 *
 *     eio_mock_flow *conn;
 *     EIO_TRY(eio_mock_flow_create("conn", &conn));
 *     EIO_TRY(eio_mock_on(&conn->on_read, EIO_MOCK_ACTIONS(eio_mock_return_str("GET /"))));
 *     EIO_TRY(handle_request(&conn->flow));            // +conn: read "GET /"
 *                                                      // +conn: wrote "HTTP/1.1 200 OK\r\n"
 *     eio_flow_close(&conn->flow);                     // +conn: closed
 *
 * For two ends that are connected see `eio/mock/pair.h`.
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/err.h"
#include "eio/flow.h"
#include "eio/macros.h"
#include "eio/mock/action.h"
#include "eio/net.h"
#include "eio/slice.h"
#include "eio/strbuf.h"
#include "eio/switch.h"
#include "eio/unix_net.h"

EIO_BEGIN_DECLS

/**
 * Appends the text of `bytes` to `out`, whose current line has reached `column`: where a text of
 * several lines starts its others. No NUL bytes.
 */
typedef void eio_mock_print_fn(void *arg, eio_slice bytes, size_t column, eio_strbuf *out);
/**
 * How bytes are printed. All zero: quoted, cut after each newline, the pieces under one another.
 */
typedef struct eio_mock_printer {
    eio_mock_print_fn *fn; /**< NULL: see above */
    void *arg;             /**< its first argument; borrowed */
} eio_mock_printer;

/**
 * A flow with scripts. It prints `LABEL: ` and what happened: `read "..."`, `wrote "..."`,
 * `shutdown send`, `closed`.
 */
typedef struct eio_mock_flow {
    union {
        eio_flow flow;            /**< what is tested gets this */
        eio_stream_socket socket; /**< or this */
        eio_unix_flow unix_flow;  /**< or this, in networks of real sockets; `fd` is NULL */
    };
    /**
     * Each read: the bytes that it gets, which must fit the reader's buffer. Default: End_of_file
     * (prints nothing).
     */
    eio_mock_handler on_read;
    /**
     * Each write, and each round of a copy to this flow, the last one too, which finds the end: how
     * many bytes it takes at most. Default: 4096.
     */
    eio_mock_handler on_copy_bytes;
    /** How the bytes that are read and written are printed; to be set before the flow is used. */
    eio_mock_printer printer;
    /**
     * A copy to this flow borrows the source's bytes (`eio_source_lend`) where it would else read
     * them: it asks for the size when it has them, not at the end, and prints `wrote (rsb) [...]`.
     */
    bool copy_by_lending;
} eio_mock_flow;

/**
 * A flow that belongs to no switch: what accepts or connects puts it into one.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     the running mock loop; outside of one, the caller, who destroys it. `label` is copied.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_flow_create(const char *label, eio_mock_flow **out);
/** Takes a flow off its switch and frees it, printing nothing; NULL is fine. Suspends: never. */
EIO_API void eio_mock_flow_destroy(eio_mock_flow *self);
/** The mock flow behind `flow`; anything else is asserted. Suspends: never. */
EIO_API eio_mock_flow *eio_mock_flow_of(eio_flow *flow);
/**
 * The mock flow of which `source` is the reading end, as `env->stdin_`; anything else is asserted.
 * Suspends: never.
 */
EIO_API eio_mock_flow *eio_mock_flow_of_source(eio_source *source);
/**
 * The mock flow of which `sink` is the writing end, as `env->stdout_`; anything else is asserted.
 * Suspends: never.
 */
EIO_API eio_mock_flow *eio_mock_flow_of_sink(eio_sink *sink);

/** Called when a flow is closed. It must not suspend. */
typedef void eio_mock_close_fn(void *arg);
/**
 * Has `fn(arg)` called, once, when the flow is next closed, before that is printed. First come,
 * first called.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `arg` is borrowed until the call.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_flow_on_close(eio_mock_flow *self, eio_mock_close_fn *fn,
                                                     void *arg);
/**
 * Has the flow closed when `sw` ends, unless it is closed before. (A connection that a mock network
 * made with connect is closed at the switch's end in any case, so an explicit close makes a second
 * line; `eio_flow_free` doesn't.)
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Domain:    the switch's own.
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_flow_attach_to_switch(eio_mock_flow *self, eio_switch *sw);

EIO_END_DECLS

#endif
