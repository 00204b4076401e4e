// SPDX-License-Identifier: ISC
// The twin of types_pass.c, which must not compile: a generic network is no Unix network. Only the type of `net` differs.

#include "eio/unix_net.h"

static eio_err *handle(void *arg, eio_unix_flow *flow, const eio_sockaddr *peer) {
    (void)arg;
    (void)peer;
    return eio_fd_is_open(flow->fd) ? NULL : eio_err_failure("assert false");
}

eio_err *check_types(eio_net *net, eio_switch *sw);

eio_err *check_types(eio_net *net, eio_switch *sw) {
    eio_sockaddr addr;
    EIO_TRY(eio_sockaddr_unix(eio_slice_of_str("/socket"), &addr));
    const struct eio_listen_opts opts = {.backlog = 5};
    eio_unix_listener *server;
    EIO_TRY(eio_unix_listen(net, sw, &addr, &opts, &server));
    EIO_TRY(eio_unix_accept_fork(server, sw, handle, NULL, eio_on_error_fail, NULL));
    eio_unix_flow *client;
    EIO_TRY(eio_unix_connect(net, sw, &addr, NULL, &client));
    return eio_fd_is_open(server->fd) && eio_fd_is_open(client->fd)
               ? NULL
               : eio_err_failure("assert false");
}
