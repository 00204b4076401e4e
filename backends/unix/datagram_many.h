// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_DATAGRAM_MANY_H
#define EIO_UNIX_DATAGRAM_MANY_H

// Many datagrams by one system call.

#include "eio/net_pi.h"

/** `eio_datagram_socket_ops.recv_many` of a real socket. */
EIO_MUST_USE eio_err *eioi_datagram_recv_many(eio_datagram_socket *socket,
                                              struct eio_datagram_in *items, size_t n,
                                              size_t *out_n);
/** `eio_datagram_socket_ops.send_many` of a real socket. */
EIO_MUST_USE eio_err *eioi_datagram_send_many(eio_datagram_socket *socket,
                                              const struct eio_datagram_out *items, size_t n,
                                              size_t *out_n);

#endif
