// SPDX-License-Identifier: ISC

// Theory. An accepted descriptor has an owner at every instant: the shell for it is made before the
// kernel is asked, so that nothing can fail between the completion and the switch that gets it.
// That holds when the accept completes while it is being cancelled, too: the connection is
// returned, since nobody else knows of it. The check that counts for a switch that is off comes
// before: a server that was told to stop accepts no more.

#include "backends/unix/listener.h"

#include "backends/unix/low_level.h"
#include "backends/unix/sockaddr.h"
#include "backends/unix/unix_flow.h"
#include "fiber/base/alloc.h"
#include "fiber/base/canary.h"

static const struct eio_listener_ops unix_listener_ops;

eio_unix_listener *eioi_listener_of(eio_listener *listener) {
    return EIO_SELF(eio_unix_listener, listener, listener, &unix_listener_ops);
}

static struct eioi_listener *of_listener(eio_listener *listener) {
    return EIOI_CONTAINER_OF(eioi_listener_of(listener), struct eioi_listener, listener);
}

static eio_err *accept_number(eio_fd *fd, bool abreast, struct eioi_os_addr *peer, int *out_fd) {
    struct eioi_io io = {.op = EIOI_IO_ACCEPT, .fd = fd, .name = "accept"};
    int32_t res = -1;
    io.accept.addr = peer == NULL ? NULL : &peer->storage;
    io.accept.addr_len = sizeof peer->storage;
    io.accept.abreast = abreast;
    EIO_TRY(eioi_io_perform(&io, &res));
    if (peer != NULL)
        peer->len = io.accept.addr_len;
    *out_fd = res;
    return NULL;
}

static eio_err *accept_stream(eio_listener *listener, bool abreast, eio_switch *sw,
                              eio_stream_socket **out, eio_sockaddr *out_peer) {
    struct eioi_listener *self = of_listener(listener);
    struct eioi_stream *flow;
    struct eioi_os_addr peer;
    int fd = -1;
    EIO_TRY(eio_switch_check(sw));
    EIO_TRY(eioi_stream_new(
        EIOI_FD_SOCKET | EIOI_FD_AHEAD | (self->fd.flags & EIOI_FD_LINGER_CLOSE), &flow));
    eio_err *err = accept_number(&self->fd, abreast, out_peer == NULL ? NULL : &peer, &fd);
    if (EIOI_CANARY(leak_accepted) && err == NULL)
        err = eio_fiber_check();
    if (err != NULL) {
        eioi_stream_free(flow);
        return err;
    }
    eioi_stream_open(flow, sw, fd);
    if (out_peer != NULL)
        err = eioi_sockaddr_of_os(&peer.storage, peer.len, EIO_TCP, out_peer);
    if (err != NULL) {
        eioi_stream_free(flow);
        return err;
    }
    *out = &flow->flow.socket;
    return NULL;
}

static eio_err *unix_accept(eio_listener *listener, eio_switch *sw, eio_stream_socket **out,
                            eio_sockaddr *out_peer) {
    return accept_stream(listener, /* abreast= */ false, sw, out, out_peer);
}

static eio_err *unix_accept_abreast(eio_listener *listener, eio_switch *sw, eio_stream_socket **out,
                                    eio_sockaddr *out_peer) {
    return accept_stream(listener, /* abreast= */ true, sw, out, out_peer);
}

static unsigned unix_acceptors(eio_listener *listener) {
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    (void)listener;
    return ops == NULL ? 1 : ops->acceptors;
}

static eio_err *unix_listener_addr(eio_listener *listener, eio_sockaddr *out) {
    eio_fd *fd = &of_listener(listener)->fd;
    int number = -1;
    EIO_TRY(eioi_fd_hold(fd, "listening_addr", &number));
    eio_err *err = eioi_sockaddr_local(number, EIO_TCP, out);
    eioi_fd_unhold(fd);
    return err;
}

static void unix_listener_close(eio_listener *listener) {
    eioi_fd_close(&of_listener(listener)->fd);
}

static void *unix_listener_query(eio_listener *listener, const eio_iface *iface) {
    return iface == &eioi_iface_fd ? &of_listener(listener)->fd : NULL;
}

static const struct eio_listener_ops unix_listener_ops = {.name = "unix",
                                                          .accept = unix_accept,
                                                          .addr = unix_listener_addr,
                                                          .close = unix_listener_close,
                                                          .query = unix_listener_query,
                                                          .acceptors = unix_acceptors,
                                                          .accept_abreast = unix_accept_abreast};

eio_err *eioi_listener_new(unsigned flags, struct eioi_listener **out) {
    struct eioi_listener *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_fd_init(&self->fd, flags | EIOI_FD_SOCKET | EIOI_FD_SHARED);
    self->listener.fd = &self->fd;
    self->listener.listener.ops = &unix_listener_ops;
    *out = self;
    return NULL;
}

static eio_err *listener_hook(eio_hook *hook) {
    eioi_listener_free(EIOI_CONTAINER_OF(hook, struct eioi_listener, hook));
    return NULL;
}

void eioi_listener_open(struct eioi_listener *self, eio_switch *sw, int fd) {
    eioi_fd_open(&self->fd, fd);
    eio_switch_attach(sw, &self->hook, listener_hook);
}

void eioi_listener_free(struct eioi_listener *self) {
    eio_hook_remove(&self->hook);
    eioi_fd_close(&self->fd);
    eioi_fd_orphan(&self->fd);
}
