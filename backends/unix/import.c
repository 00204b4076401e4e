// SPDX-License-Identifier: ISC

// Theory. An import looks at the descriptor before it takes it over: until the shell exists, and
// the descriptor is known to be open and set up as the backend wants it, it stays the caller's.

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backends/unix/datagram.h"
#include "backends/unix/import.h"
#include "backends/unix/listener.h"
#include "backends/unix/low_level.h"
#include "backends/unix/unix_flow.h"
#include "fiber/base/fault.h"

int eioi_set_nonblock(int fd) {
    int flags = EIOI_SYS(fcntl, fcntl(fd, F_GETFL));
    if (flags < 0)
        return errno;
    if ((flags & O_NONBLOCK) == 0 && EIOI_SYS(fcntl, fcntl(fd, F_SETFL, flags | O_NONBLOCK)) != 0)
        return errno;
    return 0;
}

eio_err *eioi_fd_flags_of(int fd, unsigned *out_flags) {
    struct stat st;
    if (EIOI_SYS(fstat, fstat(fd, &st)) != 0)
        return eioi_err_of_errno(errno, "fstat");
    *out_flags = S_ISSOCK(st.st_mode) ? EIOI_FD_SOCKET : S_ISREG(st.st_mode) ? EIOI_FD_REGULAR : 0;
    return NULL;
}

/** The flags for `fd`, which is set up as the backend wants it. */
static eio_err *prepare(int fd, const struct eio_import_opts *opts, unsigned *out_flags) {
    const struct eioi_io_ops *ops = NULL;
    unsigned flags = 0;
    EIO_TRY(eioi_io_ops_current("import", &ops));
    EIO_TRY(eioi_fd_flags_of(fd, &flags));
    int errnum = ops->wants_nonblock && !(flags & EIOI_FD_REGULAR) ? eioi_set_nonblock(fd) : 0;
    if (errnum != 0)
        return eioi_err_of_errno(errnum, "fcntl");
    if (opts != NULL && opts->keep_open)
        flags |= EIOI_FD_KEEP_OPEN;
    *out_flags = flags;
    return NULL;
}

/** Adds EIOI_FD_AHEAD where bytes may be received ahead: from a stream that becomes ours. */
static eio_err *consider_ahead(int fd, unsigned *flags) {
    int type = 0;
    socklen_t len = sizeof type;
    if ((*flags & (EIOI_FD_SOCKET | EIOI_FD_KEEP_OPEN)) != EIOI_FD_SOCKET)
        return NULL;
    if (EIOI_SYS(getsockopt, getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len)) != 0)
        return eioi_err_of_errno(errno, "getsockopt");
    if (type == SOCK_STREAM)
        *flags |= EIOI_FD_AHEAD;
    return NULL;
}

eio_err *eio_import_stream(eio_switch *sw, int fd, const struct eio_import_opts *opts,
                           eio_stream_socket **out) {
    struct eioi_stream *flow;
    unsigned flags = 0;
    EIO_TRY(prepare(fd, opts, &flags));
    EIO_TRY(consider_ahead(fd, &flags));
    EIO_TRY(eioi_stream_new(flags, &flow));
    eioi_stream_open(flow, sw, fd);
    *out = &flow->flow.socket;
    return NULL;
}

eio_err *eio_import_listening(eio_switch *sw, int fd, const struct eio_import_opts *opts,
                              eio_listener **out) {
    struct eioi_listener *listener;
    unsigned flags = 0;
    EIO_TRY(prepare(fd, opts, &flags));
    EIO_TRY(eioi_listener_new(flags, &listener));
    eioi_listener_open(listener, sw, fd);
    *out = &listener->listener.listener;
    return NULL;
}

eio_err *eio_import_datagram(eio_switch *sw, int fd, const struct eio_import_opts *opts,
                             eio_datagram_socket **out) {
    struct eioi_datagram *datagram;
    unsigned flags = 0;
    EIO_TRY(prepare(fd, opts, &flags));
    EIO_TRY(eioi_datagram_new(flags, &datagram));
    eioi_datagram_open(datagram, sw, fd);
    *out = &datagram->datagram.socket;
    return NULL;
}
