// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_CONFORMANCE_SOCKETS_H
#define EIO_TESTS_CONFORMANCE_SOCKETS_H

// Real sockets for the tests of this folder, and the other side of them by plain system calls that
// never wait.

#include <sys/types.h>

#include <string>

#include "eio/env.h"
#include "eio/fd.h"
#include "eio/net.h"

namespace eio_test {

/// A connected TCP pair on loopback.
eio_err *TcpPair(eio_switch *sw, const eio_env *env, eio_stream_socket **a, eio_stream_socket **b);
/// A listener on loopback: TCP with any port, or a Unix socket with an abstract name.
eio_err *Listen(eio_switch *sw, const eio_env *env, bool tcp, unsigned backlog, eio_listener **out);
/// A raw socket that connects to `addr`; -1 when that would wait. `flags`: SOCK_NONBLOCK.
int ConnectRaw(const eio_sockaddr &addr, int flags = 0);
/// connect(2) of a UDP socket.
int ConnectUdpRaw(int fd, const eio_sockaddr &addr);
/// Sends a UDP datagram from a socket of its own.
void SendUdpRaw(const eio_sockaddr &addr, const std::string &text);

/// The number behind `fd`, which the caller keeps open meanwhile.
int NumberOf(eio_fd *fd);
/// write(2) of all of `text`, which must fit; what it returned.
ssize_t WriteRaw(eio_fd *fd, const std::string &text);
/// Writes to `fd` until it takes no more.
eio_err *FillRaw(const eio_env *env, eio_fd *fd);
/// Reads from `fd` until it is empty; how many bytes there were.
size_t DrainRaw(eio_fd *fd);

} // namespace eio_test

#endif
