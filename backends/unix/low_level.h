// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_LOW_LEVEL_H
#define EIO_UNIX_LOW_LEVEL_H

// What io_uring and epoll provide to the flows, listeners and datagram sockets of this folder: one
// operation on a descriptor, performed by the running fiber. All that differs between the two real
// backends is behind `struct eioi_io_ops`.
//
// The rules of its operations (both backends, tested by the conformance suite):
// - in a cancelled context it returns Cancelled at once, and the kernel is not asked;
// - else it suspends exactly once (also when a system call succeeds at the first try, unless the
//   caller says that a suspension follows), and returns only after the kernel's last completion for
//   it: buffers and records may be in the caller's frame;
// - but a read or accept that finds what the descriptor's engine holds already returns at once; of
//   many such in a row one yields, now and then;
// - a result that arrives after a cancel or close is not lost: it is returned as a result;
// - no result and the fiber cancelled: Cancelled. No result and the descriptor closed:
//   eio_err_closed.

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "backends/unix/err_os.h"
#include "backends/unix/rcfd.h"
#include "eio/err.h"

enum eioi_io_op {
    EIOI_IO_READ,    // read(2)/recv(2) into iov (EIOI_FD_SOCKET: recv semantics)
    EIOI_IO_WRITE,   // write(2)/send(2) of iov; no SIGPIPE; may be short
    EIOI_IO_RECVMSG, // recvmsg(2) with msg, flags
    EIOI_IO_SENDMSG, // sendmsg(2) with msg, flags (MSG_NOSIGNAL is added)
    EIOI_IO_ACCEPT,  // accept4(2): the new descriptor, SOCK_CLOEXEC
    EIOI_IO_CONNECT, // connect(2) to addr
    // After a call of the caller's own on it has said EAGAIN: until it is worth repeating.
    EIOI_IO_READY_IN,
    EIOI_IO_READY_OUT,
};

static inline bool eioi_io_is_reading(enum eioi_io_op op) {
    return op == EIOI_IO_READ || op == EIOI_IO_RECVMSG || op == EIOI_IO_ACCEPT ||
           op == EIOI_IO_READY_IN;
}

/** One operation. In the caller's frame. */
struct eioi_io {
    enum eioi_io_op op;
    eio_fd *fd;
    const char *name; // in errors: "readv", "writev", "recv_msg", "send_msg", "accept", "connect"
    enum eioi_fd_role role; // on streams
    bool turn_follows; // the caller suspends next, whatever comes: success takes no turn (epoll)
    union {
        struct {
            const struct iovec *iov; // at most IOV_MAX, none empty
            int iov_count;
        } rw;
        struct {
            struct msghdr *msg;
            int flags;
        } msg;
        struct {
            struct sockaddr_storage *addr; // filled with the peer's address; may be NULL
            socklen_t addr_len;            // out
            bool abreast; // of several that wait, any may be served first; all end together
        } accept;
        struct {
            const struct sockaddr *addr;
            socklen_t addr_len;
        } connect;
    };
};

/** A loan that is to be passed on, and what became of it. */
struct eioi_passed {
    eio_slice loan; // what is lent; empty: nothing, any more
    size_t wrote;   // of that
    bool another;   // that isn't what the caller had: that, if it had any, was written
};

struct eioi_pipes;
/** The operations of a real backend: `eioi_backend_ops.io_ops`. */
struct eioi_io_ops {
    /**
     * Performs `io`. `*out_res` is the call's result, or -errno. Errors: Cancelled, eio_err_closed
     * only.
     */
    eio_err *(*perform)(void *backend, struct eioi_io *io, int32_t *out_res);
    // The three that a connection (EIOI_FD_AHEAD) does all day. Their callers have nothing to do after
    // them, so that whoever is resumed in one goes on in its own code at once (fiber/base/hint.h).
    /** Reads into one piece of memory (not empty). Errors: as perform; End_of_file; the read's own. */
    eio_err *(*recv)(void *backend, eio_fd *fd, eio_buf buf, size_t *out_got);
    /** Lends bytes that have come, in the backend's memory. Errors: as recv; Out_of_memory. */
    eio_err *(*lend)(void *backend, eio_fd *fd, eio_slice *out);
    /** Writes some of `bytes` (not empty). Errors: as perform; the write's own. */
    eio_err *(*send)(void *backend, eio_fd *fd, eio_slice bytes, size_t *out_wrote);
    /** Ends the loan. */
    void (*release)(void *backend, eio_fd *fd, size_t used);
    /**
     * Writes to `to` (EIOI_FD_AHEAD both) what `from` has lent, if it has, and ends the loan when all
     * of it was written. Then, or if nothing was lent, it may suspend until `from` has something, and
     * pass that on without the fiber's being resumed, and so on; a loan that is much
     * (`eioi_splice_is_much`) is the last. The caller goes on with what is lent in the end; after an
     * error, too, it is to give that back. Errors: those of lend and send.
     */
    eio_err *(*pass)(void *backend, eio_fd *from, eio_fd *to, struct eioi_passed *passed);
    /**
     * Closes the descriptor of a stream socket with the next submission; NULL: close(2) is used.
     */
    void (*close_later)(void *backend, int fd);
    /**
     * Carries out what close_later has queued: a descriptor is wanted and none is left. NULL:
     * nothing is ever queued.
     */
    void (*flush)(void *backend);
    /**
     * Nothing of this loop may know `fd` any more: it is about to be handed over, open, and nobody
     * uses it. NULL: nothing to do.
     */
    void (*forget)(void *backend, eio_fd *fd);
    /** The pipes that the loop keeps for copying. */
    struct eioi_pipes *(*pipes)(void *backend);
    /** How many fibers of a server accept at a time (`eio_listener_ops.acceptors`). */
    unsigned acceptors;
    /** New descriptors must be O_NONBLOCK (epoll). */
    bool wants_nonblock;
};

/** Why a read with that result, which isn't positive, has brought nothing. */
EIO_MUST_USE eio_err *eioi_io_nothing_read(int32_t res);
/** Performs `io` on the running domain's backend and maps -errno to an error. `*out_res` >= 0. */
EIO_MUST_USE eio_err *eioi_io_perform(struct eioi_io *io, int32_t *out_res);
/** The operations of the running domain's backend; Not_available under a mock. */
EIO_MUST_USE eio_err *eioi_io_ops_current(const char *op, const struct eioi_io_ops **out);

#endif
