// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_UNIX_FLOW_H
#define EIO_UNIX_UNIX_FLOW_H

// Stream sockets, pipes and terminals as flows.

#include "backends/unix/rcfd.h"
#include "eio/unix_net.h"

/**
 * A stream: its descriptor, what a program sees, and the hook by which its switch closes it. One
 * allocation.
 */
struct eioi_stream {
    struct eio_fd fd; // first: it decides when the memory is freed
    eio_unix_flow flow;
    eio_hook hook; // attached while the shell belongs to a switch
};

/**
 * Makes a shell that has no descriptor and belongs to no switch yet, so that later steps can't fail
 * for memory.
 */
EIO_MUST_USE eio_err *eioi_stream_new(unsigned flags, struct eioi_stream **out);
/** Gives it `fd` and attaches it to `sw`. */
void eioi_stream_open(struct eioi_stream *self, eio_switch *sw, int fd);
/** Closes, takes it off its switch if it is on one, and frees it. */
void eioi_stream_free(struct eioi_stream *self);
/** The last share of `fd`, an eioi_stream's, is gone: frees what else the flow has. */
void eioi_stream_fini(struct eio_fd *fd);

#endif
