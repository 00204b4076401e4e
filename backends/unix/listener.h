// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_LISTENER_H
#define EIO_UNIX_LISTENER_H

// Listening sockets.

#include "backends/unix/rcfd.h"
#include "eio/unix_net.h"

struct eioi_listener {
    struct eio_fd fd; // first: it decides when the memory is freed
    eio_unix_listener listener;
    eio_hook hook;
};

/** Makes a shell without a descriptor. */
EIO_MUST_USE eio_err *eioi_listener_new(unsigned flags, struct eioi_listener **out);
/** Gives it `fd` and attaches it to `sw`. */
void eioi_listener_open(struct eioi_listener *self, eio_switch *sw, int fd);
/** Closes, takes it off its switch if it is on one, and frees it. */
void eioi_listener_free(struct eioi_listener *self);
/** The real listener that `listener` is part of; stops the program when it isn't a real one. */
eio_unix_listener *eioi_listener_of(eio_listener *listener);

#endif
