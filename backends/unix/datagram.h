// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_DATAGRAM_H
#define EIO_UNIX_DATAGRAM_H

// Datagram sockets.

#include "backends/unix/rcfd.h"
#include "eio/unix_net.h"

struct eioi_datagram {
    struct eio_fd fd; // first: it decides when the memory is freed
    eio_unix_datagram datagram;
    eio_hook hook;
};

/** Makes a shell without a descriptor. */
EIO_MUST_USE eio_err *eioi_datagram_new(unsigned flags, struct eioi_datagram **out);
/** Gives it `fd` and attaches it to `sw`. */
void eioi_datagram_open(struct eioi_datagram *self, eio_switch *sw, int fd);
/** Closes, takes it off its switch if it is on one, and frees it. */
void eioi_datagram_free(struct eioi_datagram *self);

#endif
