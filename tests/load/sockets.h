// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_LOAD_SOCKETS_H
#define EIO_TESTS_LOAD_SOCKETS_H

// Small things that each load test does with sockets.

#include <sys/socket.h>

#include "eio/env.h"
#include "eio/fd.h"
#include "eio/net.h"
#include "tests/support/support.h"

namespace eio_test {

/// A listener on every address of this machine, with a long queue.
inline eio_err *ListenAnywhere(eio_switch *sw, const eio_env *env, eio_listener **out,
                               uint16_t *out_port) {
    const eio_sockaddr any = eio_sockaddr_tcp(eio_ip_v4_any(), 0);
    eio_listen_opts opts = {};
    opts.backlog = 4096;
    EIO_TRY(eio_net_listen(&env->net->net, sw, &any, &opts, out));
    eio_sockaddr addr;
    EIO_TRY(eio_listener_addr(*out, &addr));
    *out_port = addr.port;
    return nullptr;
}

inline eio_sockaddr Loopback(uint64_t port) {
    return eio_sockaddr_tcp(eio_ip_v4_loopback(), static_cast<uint16_t>(port));
}

/// When it is closed the peer gets a reset, and no port waits (socket(7), SO_LINGER).
inline eio_err *ResetAtClose(eio_flow *flow) {
    auto set = [](void *, int fd) -> eio_err * {
        const struct linger now = {1, 0};
        if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0)
            return eio_err_failure("SO_LINGER can't be set");
        return nullptr;
    };
    return eio_fd_use(eio_fd_of_flow(flow), "setsockopt", set, nullptr);
}

} // namespace eio_test

#endif
