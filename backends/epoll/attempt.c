// SPDX-License-Identifier: ISC

// Theory. Sockets are asked with MSG_DONTWAIT, so they needn't be O_NONBLOCK (but listeners and
// sockets that connect must be); pipes and terminals are O_NONBLOCK, unless they are standard
// streams: those are asked with RWF_NOWAIT where the file knows it, else polled, and then one call
// takes what is there. Another process that reads the same terminal may be quicker between the two:
// then the call blocks the loop, as it would block any other program.
//
// No call raises SIGPIPE: send(2) has a flag for it, writes to pipes have RWF_NOSIGNAL; where the
// kernel lacks that, the thread of the loop keeps the signal blocked (backends/unix/sigpipe.c).
//
// connect(2) is simply called again when the socket has become writable: it says EALREADY, success,
// or why it failed.

#include "backends/epoll/attempt.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "backends/unix/import.h"
#include "backends/unix/sigpipe.h"
#include "fiber/base/fault.h"

/** A call's injected failure: "would block" may be untrue, so the kernel has to be asked again. */
static int injected(struct eioi_polled *polled) {
    polled->doubtful = true;
    return -1;
}

/** As EIOI_SYS, for calls after which the fiber may wait. */
#define TRY(polled, name, call) (EIOI_FAULT(name) ? injected(polled) : (call))

enum { EINTR_MAX = 64 }; // a call that is interrupted so often isn't going to happen

/** A call's result as an int32_t: how much, or -errno, or EIOI_WOULD_BLOCK. */
static int32_t result_of(ssize_t n) {
    if (n >= 0)
        return n > INT32_MAX ? INT32_MAX : (int32_t)n;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return EIOI_WOULD_BLOCK;
    return errno == ECANCELED ? -EIO : -errno; // ECANCELED has a meaning of its own one floor up
}

/** Whether `got` bytes fill the slices. */
static bool is_full(const struct iovec *iov, int count, size_t got) {
    if (count == 1)
        return got == iov->iov_len;
    size_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += iov[i].iov_len;
    return got == sum;
}

// Reading

/**
 * Whether a short read says that there is nothing left. Asked at the second one, since most sockets
 * have only one.
 */
static bool is_tcp(struct eioi_polled *polled, int fd) {
    if (polled->kind == EIOI_POLLED_NEW) {
        polled->kind = EIOI_POLLED_ONCE;
    } else if (polled->kind == EIOI_POLLED_ONCE) {
        int protocol = 0;
        socklen_t len = sizeof protocol;
        bool known =
            EIOI_SYS(getsockopt, getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len)) == 0;
        polled->kind = known && protocol == IPPROTO_TCP ? EIOI_POLLED_TCP : EIOI_POLLED_OTHER;
    }
    return polled->kind == EIOI_POLLED_TCP;
}

static ssize_t receive_some(struct eioi_polled *polled, int fd, const struct iovec *iov,
                            int count) {
    if (count == 1)
        return TRY(polled, recv, recv(fd, iov->iov_base, iov->iov_len, MSG_DONTWAIT));
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    return TRY(polled, recvmsg, recvmsg(fd, &msg, MSG_DONTWAIT));
}

int32_t eioi_epoll_receive(struct eioi_polled *polled, int fd, const struct iovec *iov, int count) {
    int32_t got = result_of(receive_some(polled, fd, iov, count));
    if (got > 0 && !polled->greedy && !is_full(iov, count, (size_t)got) && is_tcp(polled, fd))
        polled->readable = false;
    return got;
}

/** Whether preadv2 and its like said that they don't know a flag, or not for this file. */
static bool is_unsupported(int errnum) {
    return errnum == EOPNOTSUPP || errnum == EINVAL || errnum == ENOSYS || errnum == ESPIPE;
}

static bool is_ready(int fd, short events) {
    struct pollfd p = {.fd = fd, .events = events};
    return EIOI_SYS(poll, poll(&p, 1, 0)) != 0; // an error shows in the call that follows
}

static ssize_t read_what_is_there(struct eioi_polled *polled, int fd, const struct iovec *iov,
                                  int count) {
    if (!polled->no_nowait) {
        ssize_t n = TRY(polled, preadv2, preadv2(fd, iov, count, -1, RWF_NOWAIT));
        if (n >= 0 || !is_unsupported(errno))
            return n;
        polled->no_nowait = true;
    }
    if (!is_ready(fd, POLLIN)) {
        errno = EAGAIN;
        return -1;
    }
    return TRY(polled, readv, readv(fd, iov, count));
}

static int32_t try_read(struct eioi_polled *polled, struct eioi_io *io) {
    int fd = io->fd->fd;
    unsigned flags = io->fd->flags;
    if (flags & EIOI_FD_SOCKET)
        return eioi_epoll_receive(polled, fd, io->rw.iov, io->rw.iov_count);
    if ((flags & (EIOI_FD_BLOCKING | EIOI_FD_REGULAR)) == EIOI_FD_BLOCKING)
        return result_of(read_what_is_there(polled, fd, io->rw.iov, io->rw.iov_count));
    return result_of(TRY(polled, readv, readv(fd, io->rw.iov, io->rw.iov_count)));
}

// Writing

int32_t eioi_epoll_send(struct eioi_polled *polled, int fd, const struct iovec *iov, int count) {
    const int flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    if (count == 1)
        return result_of(TRY(polled, send, send(fd, iov->iov_base, iov->iov_len, flags)));
    struct msghdr msg = {.msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = (size_t)count};
    return result_of(TRY(polled, sendmsg, sendmsg(fd, &msg, flags)));
}

/** One write to something other than a socket. */
static ssize_t write_some(struct eioi_epoll *self, struct eioi_polled *polled, int fd,
                          const struct iovec *iov, int count, int flags) {
    flags |= eioi_sigpipe_rwf();
    ssize_t n = flags == 0 ? TRY(polled, writev, writev(fd, iov, count))
                           : TRY(polled, pwritev2, pwritev2(fd, iov, count, -1, flags));
    if (n < 0 && errno == EPIPE)
        eioi_sigpipe_take(&self->sigpipe);
    return n;
}

static ssize_t write_what_fits(struct eioi_epoll *self, struct eioi_polled *polled, int fd,
                               const struct iovec *iov, int count) {
    if (!polled->no_nowait) {
        ssize_t n = write_some(self, polled, fd, iov, count, RWF_NOWAIT);
        if (n >= 0 || !is_unsupported(errno))
            return n;
        polled->no_nowait = true;
    }
    if (!is_ready(fd, POLLOUT)) {
        errno = EAGAIN;
        return -1;
    }
    // So much goes into a pipe that has room at all; more might block.
    struct iovec first = {.iov_base = iov->iov_base,
                          .iov_len = iov->iov_len < PIPE_BUF ? iov->iov_len : PIPE_BUF};
    return write_some(self, polled, fd, &first, 1, 0);
}

static int32_t try_write(struct eioi_epoll *self, struct eioi_polled *polled, struct eioi_io *io) {
    int fd = io->fd->fd;
    unsigned flags = io->fd->flags;
    if (flags & EIOI_FD_SOCKET)
        return eioi_epoll_send(polled, fd, io->rw.iov, io->rw.iov_count);
    if ((flags & (EIOI_FD_BLOCKING | EIOI_FD_REGULAR)) == EIOI_FD_BLOCKING)
        return result_of(write_what_fits(self, polled, fd, io->rw.iov, io->rw.iov_count));
    return result_of(write_some(self, polled, fd, io->rw.iov, io->rw.iov_count, 0));
}

// Sockets only

static int32_t try_accept(struct eioi_polled *polled, struct eioi_io *io) {
    socklen_t len = sizeof *io->accept.addr;
    if (!polled->nonblock) { // it may be an io_uring domain's, which leaves it as it is
        int errnum = eioi_set_nonblock(io->fd->fd);
        if (errnum != 0)
            return -errnum;
        polled->nonblock = true;
    }
    struct sockaddr *addr = (struct sockaddr *)io->accept.addr;
    int32_t fd = result_of(
        TRY(polled, accept4,
            accept4(io->fd->fd, addr, addr == NULL ? NULL : &len, SOCK_CLOEXEC | SOCK_NONBLOCK)));
    if (fd >= 0)
        io->accept.addr_len = len;
    return fd;
}

static int32_t try_connect(struct eioi_polled *polled, struct eioi_io *io, bool *started) {
    if (TRY(polled, connect, connect(io->fd->fd, io->connect.addr, io->connect.addr_len)) == 0)
        return 0;
    switch (errno) {
    case EINPROGRESS:
    case EALREADY: *started = true; return EIOI_WOULD_BLOCK;
    case EISCONN: return *started ? 0 : -EISCONN;
    case EINTR:
        *started = true; // perhaps; the next call will tell
        return -EINTR;
    case EAGAIN: return io->connect.addr->sa_family == AF_UNIX ? EIOI_TRY_LATER : -EAGAIN;
    default: return -errno;
    }
}

/** All but reads and writes. */
static int32_t try_other(struct eioi_polled *polled, struct eioi_io *io, bool *started) {
    switch (io->op) {
    case EIOI_IO_RECVMSG:
        return result_of(
            TRY(polled, recvmsg, recvmsg(io->fd->fd, io->msg.msg, io->msg.flags | MSG_DONTWAIT)));
    case EIOI_IO_SENDMSG:
        return result_of(
            TRY(polled, sendmsg,
                sendmsg(io->fd->fd, io->msg.msg, io->msg.flags | MSG_DONTWAIT | MSG_NOSIGNAL)));
    case EIOI_IO_ACCEPT: return try_accept(polled, io);
    case EIOI_IO_CONNECT: return try_connect(polled, io, started);
    case EIOI_IO_READY_IN:
    case EIOI_IO_READY_OUT: return 0; // an event has come; the caller asks the kernel
    default: return -EINVAL;
    }
}

static int32_t try_once(struct eioi_epoll *self, struct eioi_polled *polled, struct eioi_io *io,
                        bool *started) {
    // Not by a table: the two that alternate in a busy server would be guessed wrong each time.
    if (io->op == EIOI_IO_READ)
        return try_read(polled, io);
    if (io->op == EIOI_IO_WRITE)
        return try_write(self, polled, io);
    return try_other(polled, io, started);
}

int32_t eioi_epoll_attempt(struct eioi_epoll *self, struct eioi_polled *polled, struct eioi_io *io,
                           bool *started) {
    int32_t res = -EINTR;
    for (int i = 0; i < EINTR_MAX && res == -EINTR; i++)
        res = try_once(self, polled, io, started);
    return res;
}
