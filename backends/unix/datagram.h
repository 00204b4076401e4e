// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_DATAGRAM_H
#define EIO_UNIX_DATAGRAM_H

// Datagram sockets.

#include <stdatomic.h>
#include <sys/socket.h>

#include "backends/unix/rcfd.h"
#include "eio/unix_net.h"

struct eioi_datagram {
    struct eio_fd fd; // first: it decides when the memory is freed
    eio_unix_datagram datagram;
    eio_hook hook;
    atomic_int deferred; // an errno that the next receive reports; 0: none
};

/** Makes a shell without a descriptor. */
EIO_MUST_USE eio_err *eioi_datagram_new(unsigned flags, struct eioi_datagram **out);
/** Gives it `fd` and attaches it to `sw`. */
void eioi_datagram_open(struct eioi_datagram *self, eio_switch *sw, int fd);
/** Closes, takes it off its switch if it is on one, and frees it. */
void eioi_datagram_free(struct eioi_datagram *self);
/** The real socket that `socket` is part of; stops the program when it isn't a real one. */
struct eioi_datagram *eioi_datagram_of(eio_datagram_socket *socket);
/** What came with a datagram of `len` bytes. Errors: an Io error for a sender without an address. */
EIO_MUST_USE eio_err *eioi_datagram_received(const struct msghdr *msg, size_t len,
                                             struct eio_datagram_info *out);
/** The next receive fails with this. */
void eioi_datagram_defer(struct eioi_datagram *self, int errnum);

#endif
