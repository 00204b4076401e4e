// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_IMPORT_H
#define EIO_UNIX_IMPORT_H

// Looking at descriptors that somebody else has opened.

#include "eio/err.h"

/** What kind of file `fd` is, as EIOI_FD_SOCKET, EIOI_FD_REGULAR, or 0. */
EIO_MUST_USE eio_err *eioi_fd_flags_of(int fd, unsigned *out_flags);
/** Makes `fd` O_NONBLOCK; 0 or errno. */
int eioi_set_nonblock(int fd);

#endif
