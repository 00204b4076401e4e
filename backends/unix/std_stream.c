// SPDX-License-Identifier: ISC

// Theory. A program may be started with a standard descriptor closed; the first file or socket that
// it opens then gets that number. So whether it is open is decided here, at the start, once: a
// closed one is number -1 for ever, and what the program prints to its closed stdout can't end up
// in one of its sockets. The backend's own descriptors come before that decision, and therefore
// avoid these numbers.

#include "backends/unix/std_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "backends/unix/import.h"
#include "backends/unix/unix_flow.h"
#include "fiber/base/fault.h"

eio_err *eioi_std_stream(eio_switch *sw, int fd, eio_stream_socket **out) {
    struct eioi_stream *flow;
    unsigned flags = 0;
    eio_err *err = eioi_fd_flags_of(fd, &flags);
    bool closed = err != NULL && eio_err_errno(err) == EBADF;
    if (!closed)
        EIO_TRY(err);
    eio_err_drop(closed ? err : NULL);
    EIO_TRY(eioi_stream_new(flags | EIOI_FD_KEEP_OPEN | EIOI_FD_BLOCKING, &flow));
    eioi_stream_open(flow, sw, closed ? -1 : fd);
    *out = &flow->flow.socket;
    return NULL;
}

int eioi_above_std(int fd) {
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    int moved = EIOI_SYS(fcntl, fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
    int errnum = errno;
    eioi_close_number(fd);
    errno = errnum;
    return moved;
}
