// SPDX-License-Identifier: ISC

// The typed faces of a real network: the generic calls, with what they make known to be real.

#include "backends/unix/listener.h"
#include "backends/unix/unix_flow.h"
#include "eio/unix_net.h"

/** The real stream socket that `socket`, of a real network, is part of. */
static eio_unix_flow *flow_of(eio_stream_socket *socket) {
    return EIOI_CONTAINER_OF(socket, eio_unix_flow, socket);
}

eio_err *eio_unix_listen(eio_unix_net *self, eio_switch *sw, const eio_sockaddr *addr,
                         const struct eio_listen_opts *opts, eio_unix_listener **out) {
    eio_listener *listener;
    EIO_TRY(eio_net_listen(&self->net, sw, addr, opts, &listener));
    *out = eioi_listener_of(listener);
    return NULL;
}

eio_err *eio_unix_connect(eio_unix_net *self, eio_switch *sw, const eio_sockaddr *addr,
                          const struct eio_connect_opts *opts, eio_unix_flow **out) {
    eio_stream_socket *socket;
    EIO_TRY(eio_net_connect(&self->net, sw, addr, opts, &socket));
    *out = flow_of(socket);
    return NULL;
}

eio_err *eio_unix_accept(eio_unix_listener *self, eio_switch *sw, eio_unix_flow **out,
                         eio_sockaddr *out_peer) {
    eio_stream_socket *socket;
    EIO_TRY(eio_listener_accept(&self->listener, sw, &socket, out_peer));
    *out = flow_of(socket);
    return NULL;
}

struct typed_handler {
    eio_unix_connection_fn *fn;
    void *arg;
};

static eio_connection_fn handle_typed;

static eio_err *handle_typed(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    struct typed_handler self = *(const struct typed_handler *)arg; // valid until we first wait
    eio_stream_socket *socket = EIOI_CONTAINER_OF(flow, eio_stream_socket, flow);
    return self.fn(self.arg, flow_of(socket), peer);
}

eio_err *eio_unix_accept_fork(eio_unix_listener *self, eio_switch *sw,
                              eio_unix_connection_fn *handler, void *arg, eio_on_error_fn *on_error,
                              void *on_error_arg) {
    // A fork runs its child at once, so the handler has copied this before accept_fork returns.
    struct typed_handler typed = {.fn = handler, .arg = arg};
    return eio_net_accept_fork(&self->listener, sw, handle_typed, &typed, on_error, on_error_arg);
}
