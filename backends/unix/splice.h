// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_SPLICE_H
#define EIO_UNIX_SPLICE_H

// Copying from connection to connection without the bytes ever being in this program's memory. See
// the theory at the head of splice.c.

#include <stdbool.h>

#include "backends/unix/rcfd.h"
#include "eio/slice.h"

/** Whether a loan of `loan.len` bytes says that much is coming on `from`. */
bool eioi_splice_is_much(const eio_fd *from, eio_slice loan);
/**
 * Moves what comes on `from` to `to` (EIOI_FD_AHEAD both) while much is coming, and at least until
 * it waits; nothing may be held by the engine of `from`. `*out_ended`: at its end.
 */
EIO_MUST_USE eio_err *eioi_splice(eio_fd *from, eio_fd *to, bool *out_ended);
/** An open descriptor that nobody uses is about to be handed over, as it was. */
void eioi_splice_forget(eio_fd *fd);

#endif
