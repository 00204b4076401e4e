// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_RCFD_H
#define EIO_UNIX_RCFD_H

// The inside of eio_fd: a descriptor with its users counted, so that a number is never closed (and
// given to somebody else) while an operation still uses it.
//
// States: closed (new) -> open -> closing -> closed. Each operation holds a share from
// `eioi_fd_enter` to `eioi_fd_leave`. Close marks it closing (new operations get eio_err_closed)
// and asks every operation under way to cancel; the last one out closes the descriptor. Operations
// stand on an intrusive list, guarded by a spin lock when several domains may use the descriptor, or
// the descriptor's engine knows them.
//
// An eio_fd is the first member of the socket it serves, and allocated with it: the socket's owner
// gives it up (`eioi_fd_orphan`), and the last share to come back after that frees both.

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "eio/fd.h"
#include "fiber/base/list.h"
#include "fiber/base/spin.h"
#include "fiber/sched.h"

enum eioi_fd_flags {
    EIOI_FD_KEEP_OPEN = 1 << 0,    // the descriptor is somebody else's: close only forgets it
    EIOI_FD_SOCKET = 1 << 1,       // send and receive calls work on it (else: pipe, terminal, file)
    EIOI_FD_SHARED = 1 << 2,       // used by several domains: listeners, datagram sockets
    EIOI_FD_LINGER_CLOSE = 1 << 3, // TCP of ours: a connection's close may go through the ring
    EIOI_FD_REGULAR = 1 << 4,      // a regular file: reads and writes never wait
    EIOI_FD_BLOCKING = 1 << 5,     // must not get O_NONBLOCK (standard streams): epoll polls first
    EIOI_FD_STREAM = 1 << 6,       // part of a stream socket (struct eioi_stream)
    EIOI_FD_AHEAD = 1 << 7,        // a connection of ours alone: bytes may be received ahead
};

/** What an operation does with a stream, which has one reader and one writer at a time. */
enum eioi_fd_role {
    EIOI_FD_ANY, // neither, or there may be many
    EIOI_FD_READS,
    EIOI_FD_WRITES,
};

enum {
    EIOI_FD_RAW_USERS_MAX = 31,
    // What `reads` of an eio_fd counts up to, and what else it may be:
    EIOI_FD_READ_ON = 2,     // it will be read on: receiving ahead is worth while
    EIOI_FD_READ_SINGLY = 3, // it can't be received ahead: by some kernels, what is O_NONBLOCK
};

struct eioi_inflight;
/**
 * Asks an operation to end because its descriptor closes; `closed` is set already. In the
 * operation's own domain; runs no user code, and neither enters nor leaves the descriptor (its lock
 * may be held).
 */
typedef void eioi_inflight_close_fn(struct eioi_inflight *self);

/**
 * An operation under way on a descriptor; embedded in the backend's operation record, in the
 * waiting fiber's frame.
 */
struct eioi_inflight {
    struct eioi_list node;             // in eio_fd.inflight
    struct eioi_sched *sched;          // its domain
    eioi_inflight_close_fn *on_close;  // see above; set before eioi_fd_enter
    enum eioi_fd_role role;            // set before eioi_fd_enter
    struct eioi_message close_message; // carries the close to another domain
    bool message_sent; // close_message is on its way; set under the descriptor's lock
    bool closed;       // the descriptor was closed under it: no result means eio_err_closed
};

struct eioi_bound_path;
struct eioi_fd_engine;
/** What a descriptor asks of its engine; all of it in the descriptor's domain. */
struct eioi_fd_engine_ops {
    /**
     * The descriptor closes: what came and wasn't read is forgotten; what is armed ends soon, and
     * what the engine knows of that isn't listed.
     */
    void (*close)(struct eioi_fd_engine *self);
    /** Ends soon what is armed, without losing anything; its share comes back then. */
    void (*disarm)(struct eioi_fd_engine *self);
    /** As disarm, and suspends until the share has come back. */
    void (*await_disarmed)(struct eioi_fd_engine *self);
    /** Whether bytes have come that nobody has asked for. */
    bool (*holds)(const struct eioi_fd_engine *self);
    /** The descriptor's memory goes. The engine frees its own when the kernel is done with it. */
    void (*orphan)(struct eioi_fd_engine *self);
};
/**
 * What a backend keeps armed on a descriptor between calls, and what came of it that nobody has
 * asked for yet. While something is armed it has a share.
 */
struct eioi_fd_engine {
    const struct eioi_fd_engine_ops *ops;
};

struct eio_fd {
    int fd;                    // valid while open or closing; -1 before and after
    unsigned users;            // shares held
    struct eioi_spin lock;     // guards the whole struct when EIOI_FD_SHARED
    uint8_t flags;             // enum eioi_fd_flags, constant
    bool closing : 1;          // no new operations
    bool released : 1;         // the descriptor was closed or handed over, or there never was one
    bool interrupted : 1;      // operations under way were asked to end
    bool removing : 1;         // eio_fd_remove waits for users == 0: `remover` is valid
    bool orphan : 1;           // its owner is gone: the last share back frees it
    bool reading : 1;          // streams: a fiber reads
    bool writing : 1;          // streams: a fiber writes
    bool drained : 1;          // streams: the last read took all there was
    bool unblocked : 1;        // streams: O_NONBLOCK was set by us, after the descriptor was opened
    uint8_t reads : 2;         // streams: small reads in a row, up to EIOI_FD_READ_ON; or SINGLY
    uint8_t raw_users : 5;     // streams: those inside eio_fd_use; nothing is armed meanwhile
    uint32_t home;             // eioi_domain_id of the domain that made it; asserted unless SHARED
    struct eioi_list inflight; // operations that close can interrupt
    _Atomic uint64_t serial;   // epoll's: tells it from others that had its number; 0: none yet
    struct eioi_fd_engine *engine; // the backend's; NULL: none yet
    union {
        struct eioi_bound_path *path; // until closing: the file to remove at close; NULL: none
        struct eioi_waiter *remover;  // while `removing`
    };
};

/** Makes a closed one, of the running domain, in memory from `eioi_zalloc`. */
void eioi_fd_init(struct eio_fd *self, unsigned flags);
/** Takes `fd` over (unless KEEP_OPEN): it is open. */
void eioi_fd_open(struct eio_fd *self, int fd);
/** The owner's last act, after a close: frees the memory as soon as no share is held. */
void eioi_fd_orphan(struct eio_fd *self);
/**
 * Takes a share for operation `op` (its name, for the message) and lists it; eio_err_closed when
 * closing.
 */
EIO_MUST_USE eio_err *eioi_fd_enter(eio_fd *self, const char *op, struct eioi_inflight *inflight);
/** Gives the share back; the last one out after a close closes the descriptor. */
void eioi_fd_leave(eio_fd *self, struct eioi_inflight *inflight);
/**
 * As enter and leave, for an operation that no close has to find on the list: it is under way for a
 * turn only, or the descriptor's engine ends it.
 */
EIO_MUST_USE eio_err *eioi_fd_begin(eio_fd *self, const char *op, enum eioi_fd_role role);
void eioi_fd_end(eio_fd *self, enum eioi_fd_role role);
/**
 * It is under way for longer after all: lists it, and it leaves instead of ending; false: the
 * descriptor was closed meanwhile.
 */
bool eioi_fd_list(eio_fd *self, struct eioi_inflight *inflight);
/**
 * As list, also while the descriptor is being taken out, which waits for the operation then; no close
 * has come.
 */
void eioi_fd_stay(eio_fd *self, struct eioi_inflight *inflight);
/** The stream will be read to its end. */
void eioi_fd_read_on(eio_fd *self);
/** As enter and leave, for calls that don't wait (shutdown, getsockname). */
EIO_MUST_USE eio_err *eioi_fd_hold(eio_fd *self, const char *op, int *out_fd);
void eioi_fd_unhold(eio_fd *self);
/**
 * Between these two calls nothing is armed on a stream, so that its number can be used for more than
 * a moment. The first one suspends until what is armed has ended; that wait can't be cancelled. The
 * caller has a share at both.
 */
void eioi_fd_begin_raw(eio_fd *self, const char *op);
void eioi_fd_end_raw(eio_fd *self);
/**
 * Marks it closing, interrupts what is under way, closes now or when the last share comes back.
 * Idempotent.
 */
void eioi_fd_close(eio_fd *self);
/** close(2), by number, of a descriptor that no eio_fd has; its errors mean nothing to anybody. */
void eioi_close_number(int fd);
/** The error that a closed descriptor gives to operation `op`. */
EIO_MUST_USE eio_err *eioi_err_closed(const char *op);
/** The interface by which a flow, listener or datagram socket gives its eio_fd (`query`). */
struct eio_iface;
extern const struct eio_iface eioi_iface_fd;

#endif
