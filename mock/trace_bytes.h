// SPDX-License-Identifier: ISC
#ifndef EIO_MOCK_TRACE_BYTES_H
#define EIO_MOCK_TRACE_BYTES_H

#include "eio/err.h"
#include "eio/mock/flow.h"
#include "eio/slice.h"

/**
 * Prints the formatted head and behind it `bytes`, by `printer`; NULL: quoted and cut after each
 * newline, the pieces under one another. Out_of_memory: nothing was printed.
 */
EIO_MUST_USE eio_err *eioi_mock_trace_bytes(const eio_mock_printer *printer, eio_slice bytes,
                                            const char *head, ...) EIO_PRINTF(3, 4);
/** As `eioi_mock_trace_bytes`, with the bytes of `n` slices as `[...; ...]`. */
EIO_MUST_USE eio_err *eioi_mock_trace_list(const eio_mock_printer *printer, const eio_slice *slices,
                                           size_t n, const char *head, ...) EIO_PRINTF(4, 5);

#endif
