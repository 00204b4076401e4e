// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_PAIR_H
#define EIO_MOCK_PAIR_H

/*
 * Two connected stream sockets in memory: what is written to one end is read from the other. They
 * print nothing.
 *
 *     eio_stream_socket *client, *server;
 *     EIO_TRY(eio_mock_flow_pair(sw, 4096, &client, &server));
 *     EIO_TRY(eio_mock_on_default(&listener->on_accept, eio_mock_return_conn(server, peer)));
 *     EIO_TRY(eio_flow_copy_string("GET /", &client->flow.sink));
 *     EIO_TRY(eio_flow_shutdown(&client->flow, EIO_SHUTDOWN_SEND));
 */

#include <stddef.h>

#include "eio/err.h"
#include "eio/macros.h"
#include "eio/net.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/**
 * Two connected ends. Each direction holds `bound_bytes` (at least 1, asserted) that were written
 * and not yet read; a write takes what there is room for, and waits when there is none. With 1,
 * every read and write is of one byte.
 *
 * Half-close, close and cancellation are as with sockets: after a shutdown or close the other end
 * reads what is left, then End_of_file; writing to an end that doesn't read any more fails with Net
 * Connection_reset; closing an end makes its own operations under way fail with `eio_err_closed`; a
 * cancelled operation has read or written nothing.
 *
 * Suspends:  never.
 * Errors:    Out_of_memory.
 * Owner:     `sw` closes and frees both ends when it ends.
 * Domain:    both ends stay in that of `sw`. One reader and one writer an end at a time (asserted).
 */
EIO_API EIO_MUST_USE eio_err *eio_mock_flow_pair(eio_switch *sw, size_t bound_bytes,
                                                 eio_stream_socket **out_a,
                                                 eio_stream_socket **out_b);
/**
 * Breaks the connection, as a peer that crashes does: what was not read yet is lost, and each
 * operation of both ends, under way or to come, fails with Net Connection_reset. `end` must be of
 * `eio_mock_flow_pair` (asserted).
 *
 * Suspends:  never.
 */
EIO_API void eio_mock_flow_pair_reset(eio_stream_socket *end);

EIO_END_DECLS

#endif
