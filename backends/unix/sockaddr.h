// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_SOCKADDR_H
#define EIO_UNIX_SOCKADDR_H

// Addresses as the system has them.

#include <sys/socket.h>

#include "eio/addr.h"
#include "eio/err.h"

EIO_BEGIN_DECLS

/** An address for bind, connect and sendmsg. The length is exact: it is part of a Unix address. */
struct eioi_os_addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

/** Errors: Invalid_argument for what is no address. */
EIO_MUST_USE eio_err *eioi_sockaddr_to_os(const eio_sockaddr *addr, struct eioi_os_addr *out);
/**
 * The address that the system gave; `ip_kind` is what an IP address is of, as the system doesn't
 * say. Length 0 is an unnamed Unix peer.
 */
EIO_MUST_USE eio_err *eioi_sockaddr_of_os(const struct sockaddr_storage *storage, socklen_t len,
                                          eio_sockaddr_kind ip_kind, eio_sockaddr *out);
/** getsockname(2). */
EIO_MUST_USE eio_err *eioi_sockaddr_local(int fd, eio_sockaddr_kind ip_kind, eio_sockaddr *out);
/** AF_INET, AF_INET6, AF_UNIX; the address must be one. */
int eioi_sockaddr_family(const eio_sockaddr *addr);

EIO_END_DECLS

#endif
