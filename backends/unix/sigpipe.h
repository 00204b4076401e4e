// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_SIGPIPE_H
#define EIO_UNIX_SIGPIPE_H

// Writing to a pipe that nobody reads is an error here, never a signal. Sockets have MSG_NOSIGNAL
// for it. For the rest there is RWF_NOSIGNAL on new kernels; elsewhere SIGPIPE stays blocked in a
// domain's thread while its loop runs. The process's disposition of the signal is never changed.

#include <stdbool.h>

#include "eio/err.h"

EIO_BEGIN_DECLS

struct eioi_sigpipe {
    bool blocked; // by us, for this thread
    bool pending; // somebody else's was pending at the start: none may be taken away
};

/**
 * The flag for pwritev2(2) and its like that keeps the signal away; 0 where the kernel has none.
 */
int eioi_sigpipe_rwf(void);
/** In a thread whose loop starts. */
void eioi_sigpipe_begin(struct eioi_sigpipe *self);
/** In the same thread after EPIPE from a descriptor that is no socket: takes the signal away. */
void eioi_sigpipe_take(struct eioi_sigpipe *self);
/** In the same thread, when its loop has ended. */
void eioi_sigpipe_end(struct eioi_sigpipe *self);

/** For calls that know no flag: splice(2) to a socket. */
struct eioi_sigpipe_hold {
    bool blocked; // by us
};
/** From now on SIGPIPE stays away from this thread. */
void eioi_sigpipe_block(struct eioi_sigpipe_hold *self);
/** Until here; `raised`: a call has returned EPIPE. */
void eioi_sigpipe_unblock(struct eioi_sigpipe_hold *self, bool raised);

EIO_END_DECLS

#endif
