// SPDX-License-Identifier: ISC
#ifndef EIO_EPOLL_POLL_H
#define EIO_EPOLL_POLL_H

// What a loop knows of each descriptor number, and who waits for it. See the theory at the head of
// poll.c.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "backends/epoll/lend.h"
#include "backends/unix/pipes.h"
#include "backends/unix/rcfd.h"
#include "backends/unix/sigpipe.h"
#include "fiber/base/list.h"
#include "fiber/sched.h"

enum {
    EIOI_EPOLL_BATCH = 256,    // events a call of epoll_wait
    EIOI_POLLED_CHUNK = 32,    // descriptors whose records are allocated together
    EIOI_POLLED_IDLE_MAX = 16, // events in a row that nobody waits for, before they are given up
};

/** Whether a short read means that a socket is empty. */
enum eioi_polled_kind {
    EIOI_POLLED_NEW,   // no short read yet
    EIOI_POLLED_ONCE,  // one short read: it may be a short-lived connection, so don't ask yet
    EIOI_POLLED_TCP,   // yes
    EIOI_POLLED_OTHER, // no
};

/** A copy that goes round in the loop, see stream.c. */
struct eioi_polled_copy {
    eio_fd *from, *to;
    struct eioi_polled *out; // what is known of `to`
    uint64_t serial;         // of `to`
};

/** One descriptor number. */
struct eioi_polled {
    // What messages on a connection need: one cache line.
    _Alignas(64) struct eioi_list readers; // struct eioi_poll_wait: operations that wait to read,
                                           // oldest first
    struct eioi_list writers;              // the same, to write
    uint64_t serial;           // the eio_fd that the below is about; 0: a foreign descriptor
    uint32_t generation;       // goes with each event: one with another is of an earlier descriptor
    uint32_t interest;         // what is registered and can be relied on
    uint8_t kind;              // enum eioi_polled_kind
    uint8_t idle_in, idle_out; // events of that direction in a row that nobody waited for
    bool registered; // a guess whether the kernel knows the number: ADD or MOD is tried first
    bool readable;   // a read is worth a system call; false: an event will come first
    bool writable;   // the same for writing
    bool greedy;     // there was more than data: a short read doesn't mean empty
    bool doubtful;   // a "would block" was injected by a test: the kernel must be asked again
    bool no_nowait;  // RWF_NOWAIT doesn't work on it
    bool nonblock;   // a listener that is known to be O_NONBLOCK
    bool watched;    // somebody is in `watchers`
    bool copies;     // the first of `readers` is a copy that goes round in the loop: `copy`; it
                     // hasn't had its turn, and `readable` is false
    // What such a copy needs: another line.
    struct eioi_polled_copy copy;
    // The rest.
    struct eioi_list watchers; // struct eioi_poll_wait: those who wait for a foreign descriptor
    void *block;               // of a chunk's first: what the allocator gave
};

_Static_assert(offsetof(struct eioi_polled, copy) == 64, "what messages need is one line");
_Static_assert(sizeof(struct eioi_polled) == 128, "and what copies need is another");

/** One who waits. In the waiting fiber's frame. */
struct eioi_poll_wait {
    struct eioi_waiter waiter; // its node is in one of the lists above
    uint32_t events;           // watchers: EPOLLIN, EPOLLOUT or both
    bool served;               // operations: it is this one's turn; nobody overtakes it
};

/** A loop's descriptors, by number. */
struct eioi_poll_table {
    struct eioi_polled **chunks; // EIOI_POLLED_CHUNK records each; NULL where none was needed yet
    size_t count;                // of `chunks`
};

struct eioi_epoll {
    int epoll_fd;
    int wake_fd;                 // an eventfd: poke
    bool no_pwait2;              // the kernel has no epoll_pwait2
    struct eioi_sigpipe sigpipe; // of the loop's thread
    struct eioi_buffers buffers; // for loans
    struct eioi_pipes pipes;     // for copying
    struct eioi_poll_table table;
    struct epoll_event events[EIOI_EPOLL_BATCH];
};

/**
 * The record of an open eio_fd (of which `fd` isn't -1), brought up to date if it was about
 * another; NULL: no memory.
 */
struct eioi_polled *eioi_poll_of(struct eioi_epoll *self, eio_fd *fd);
/** `eioi_io_ops.forget`: takes the registration of an open eio_fd back. */
void eioi_poll_forget(void *backend, eio_fd *fd);
/** Frees all records. */
void eioi_poll_table_free(struct eioi_poll_table *self);

/** What a reader wants to know of: the end and urgent data, too. See the theory. */
#define EIOI_POLL_READ_EVENTS ((uint32_t)(EPOLLIN | EPOLLPRI | EPOLLRDHUP))

/** What is registered for `want` (EPOLLIN, EPOLLOUT). */
static inline uint32_t eioi_poll_events(uint32_t want) {
    return want | EPOLLET | (want & EPOLLIN ? EIOI_POLL_READ_EVENTS : 0);
}
/** Whether an event will come, as below, without anything being done for it. */
static inline bool eioi_poll_is_armed(const struct eioi_polled *self, uint32_t want) {
    uint32_t events = eioi_poll_events(want);
    return (self->interest & events) == events && !self->doubtful;
}
/**
 * Sees to it that an event will come when the descriptor becomes ready for `want` (EPOLLIN,
 * EPOLLOUT). 0 or errno.
 */
int eioi_poll_arm(struct eioi_epoll *self, int fd, struct eioi_polled *polled, uint32_t want);
/** It's the turn of the first in `line`, if there is one. */
bool eioi_poll_serve(struct eioi_list *line);
/** Takes `self->events[0 .. count)`: notes what they say, and wakes those who waited for it. */
void eioi_poll_dispatch(struct eioi_epoll *self, int count);

/** `eioi_backend_ops.await_fd`. */
EIO_MUST_USE eio_err *eioi_epoll_await_fd(void *backend, int fd, short events);
/**
 * Goes to the tail of the run queue, for an operation that succeeded without waiting; can't be
 * cancelled.
 */
void eioi_poll_take_turn(void);

#endif
