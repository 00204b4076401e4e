// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_URING_FAKE_KERNEL_H
#define EIO_TESTS_URING_FAKE_KERNEL_H

// io_uring without a kernel: what the backend calls of liburing and of the C library is answered
// here, in virtual time, as a kernel may answer it, chosen from a seed. See the theory at the head
// of fake_kernel.c.

#include <stdbool.h>
#include <stdint.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** How it behaves. Each is a chance out of 256, but where it says otherwise. */
struct fake_opts {
    uint64_t seed;
    uint8_t late;         // what could complete now doesn't
    uint8_t short_count;  // fewer bytes than could be had
    uint8_t refuse;       // enter: EAGAIN, EBUSY, EINTR, ENOMEM
    uint8_t partial;      // enter takes some of the entries only
    uint8_t no_answer;    // a cancel request says EALREADY or ENOENT, and nothing happens
    uint8_t race;         // a cancelled operation succeeds all the same, if it can
    uint8_t drop_more;    // a multishot operation ends with a result
    uint8_t no_buffers;   // a receive finds no buffer
    unsigned cq_entries;  // room for so many completions; 0: as asked for
    unsigned socket_room; // bytes a socket holds
    bool old;             // without DEFER_TASKRUN
};

/** What it did. */
struct fake_counts {
    uint64_t enters, operations, completions, cancels;
    uint64_t already, not_found, raced, refused, partial, overflowed, dropped_more, no_buffers,
        short_counts;
};

/** From here on, for the calling process. Time is `now` then, and moves on when nothing else can. */
void fake_begin(const struct fake_opts *opts);
/** Stops the process when an operation, a socket or a ring is left. */
void fake_end(struct fake_counts *out);
/** Two connected stream sockets, with numbers of their own. */
void fake_socketpair(int out_fds[2]);
/** Virtual nanoseconds. */
int64_t fake_now(void);

EIO_END_DECLS

#endif
