// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_STD_STREAM_H
#define EIO_UNIX_STD_STREAM_H

// Standard input, output and error as flows.

#include "eio/err.h"
#include "eio/net.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/**
 * The flow of descriptor `fd` (0, 1, 2), which stays open when `sw` ends. It never becomes
 * O_NONBLOCK: that flag belongs to the open file, which the shell and other programs share. A
 * descriptor that isn't open makes a flow all the same, whose calls fail with EBADF.
 */
EIO_MUST_USE eio_err *eioi_std_stream(eio_switch *sw, int fd, eio_stream_socket **out);
/**
 * A descriptor of the library's own, moved out of the standard numbers where one of these was
 * closed: what a program prints must not end up in it. Takes `fd` over; -1 with errno when it
 * can't, or when `fd` is -1.
 */
int eioi_above_std(int fd);

EIO_END_DECLS

#endif
