// SPDX-License-Identifier: ISC

// Theory. Both shells are made first; then the two descriptors come at once, and each has its
// owner.

#include <errno.h>
#include <sys/socket.h>

#include "backends/unix/datagram.h"
#include "backends/unix/low_level.h"
#include "backends/unix/unix_flow.h"
#include "fiber/base/fault.h"

static eio_err *make_pair(int type, int fds[2]) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("socketpair", &ops));
    int flags = SOCK_CLOEXEC | (ops->wants_nonblock ? SOCK_NONBLOCK : 0);
    if (EIOI_SYS(socketpair, socketpair(AF_UNIX, type | flags, 0, fds)) != 0)
        return eioi_err_of_errno(errno, "socketpair");
    return NULL;
}

eio_err *eio_socketpair_stream(eio_switch *sw, eio_stream_socket **out_a,
                               eio_stream_socket **out_b) {
    struct eioi_stream *a = NULL;
    struct eioi_stream *b = NULL;
    int fds[2];
    EIO_TRY(eioi_stream_new(EIOI_FD_SOCKET | EIOI_FD_AHEAD, &a));
    eio_err *err = eioi_stream_new(EIOI_FD_SOCKET | EIOI_FD_AHEAD, &b);
    if (err == NULL)
        err = make_pair(SOCK_STREAM, fds);
    if (err != NULL) {
        eioi_stream_free(a);
        if (b != NULL)
            eioi_stream_free(b);
        return err;
    }
    eioi_stream_open(a, sw, fds[0]);
    eioi_stream_open(b, sw, fds[1]);
    *out_a = &a->flow.socket;
    *out_b = &b->flow.socket;
    return NULL;
}

eio_err *eio_socketpair_datagram(eio_switch *sw, eio_datagram_socket **out_a,
                                 eio_datagram_socket **out_b) {
    struct eioi_datagram *a = NULL;
    struct eioi_datagram *b = NULL;
    int fds[2];
    EIO_TRY(eioi_datagram_new(0, &a));
    eio_err *err = eioi_datagram_new(0, &b);
    if (err == NULL)
        err = make_pair(SOCK_DGRAM, fds);
    if (err != NULL) {
        eioi_datagram_free(a);
        if (b != NULL)
            eioi_datagram_free(b);
        return err;
    }
    eioi_datagram_open(a, sw, fds[0]);
    eioi_datagram_open(b, sw, fds[1]);
    *out_a = &a->datagram.socket;
    *out_b = &b->datagram.socket;
    return NULL;
}
