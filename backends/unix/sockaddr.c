// SPDX-License-Identifier: ISC

// Theory. A Unix address is its bytes and their number: unnamed (no bytes), abstract (the first
// byte is NUL, and every byte counts, later NULs too), or a path (then the system counts a NUL
// behind it, and stops at the first one it finds). So lengths go in and out explicitly, and nothing
// here looks for a terminator but in a path.

#include "backends/unix/sockaddr.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "backends/unix/low_level.h"
#include "fiber/base/fault.h"

_Static_assert(sizeof(struct sockaddr_un) - offsetof(struct sockaddr_un, sun_path) ==
                   EIO_UNIX_PATH_MAX + 1,
               "a path of EIO_UNIX_PATH_MAX bytes and its NUL fill sun_path");

static const socklen_t path_offset = offsetof(struct sockaddr_un, sun_path);

static eio_err *unix_to_os(const eio_unix_addr *addr, struct eioi_os_addr *out) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (addr->len > EIO_UNIX_PATH_MAX)
        return eio_err_new(&eio_err_invalid_argument,
                           "A Unix address has at most %d bytes (this one has %d)",
                           EIO_UNIX_PATH_MAX, addr->len);
    bool is_path = addr->len > 0 && addr->path[0] != '\0';
    if (is_path && memchr(addr->path, '\0', addr->len) != NULL)
        return eio_err_new(&eio_err_invalid_argument, "A Unix path can't have a NUL in it");
    memcpy(un.sun_path, addr->path, addr->len);
    memcpy(&out->storage, &un, sizeof un);
    out->len = path_offset + addr->len + (is_path ? 1 : 0);
    return NULL;
}

static eio_err *ip_to_os(const eio_ip *ip, uint16_t port, struct eioi_os_addr *out) {
    if (ip->len == 4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
        memcpy(&in.sin_addr, ip->bytes, 4);
        memcpy(&out->storage, &in, sizeof in);
        out->len = sizeof in;
        return NULL;
    }
    if (ip->len != 16)
        return eio_err_new(&eio_err_invalid_argument,
                           "An IP address must be either 4 or 16 bytes long (this one is %d)",
                           ip->len);
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_scope_id = ip->scope_id};
    memcpy(&in6.sin6_addr, ip->bytes, 16);
    memcpy(&out->storage, &in6, sizeof in6);
    out->len = sizeof in6;
    return NULL;
}

eio_err *eioi_sockaddr_to_os(const eio_sockaddr *addr, struct eioi_os_addr *out) {
    switch (addr->kind) {
    case EIO_TCP:
    case EIO_UDP: return ip_to_os(&addr->ip, addr->port, out);
    case EIO_UNIX: return unix_to_os(&addr->unix_, out);
    }
    return eio_err_new(&eio_err_invalid_argument, "Not a socket address (kind %d)",
                       (int)addr->kind);
}

int eioi_sockaddr_family(const eio_sockaddr *addr) {
    if (addr->kind == EIO_UNIX)
        return AF_UNIX;
    return addr->ip.len == 4 ? AF_INET : AF_INET6;
}

static void unix_of_os(const struct sockaddr_storage *storage, socklen_t len, eio_unix_addr *out) {
    struct sockaddr_un un;
    memcpy(&un, storage, sizeof un);
    size_t bytes = len > path_offset ? len - path_offset : 0;
    if (bytes > sizeof un.sun_path)
        bytes = sizeof un.sun_path; // the system counts a NUL that it had no room for
    if (bytes > 0 && un.sun_path[0] != '\0')
        bytes = strnlen(un.sun_path, bytes);
    if (bytes > EIO_UNIX_PATH_MAX)
        bytes = EIO_UNIX_PATH_MAX;
    out->len = (uint8_t)bytes;
    memcpy(out->path, un.sun_path, bytes);
}

eio_err *eioi_sockaddr_of_os(const struct sockaddr_storage *storage, socklen_t len,
                             eio_sockaddr_kind ip_kind, eio_sockaddr *out) {
    eio_sockaddr addr = {.kind = ip_kind};
    int family = len < sizeof storage->ss_family ? AF_UNIX : storage->ss_family;
    if (family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, storage, sizeof in);
        addr.port = ntohs(in.sin_port);
        addr.ip.len = 4;
        memcpy(addr.ip.bytes, &in.sin_addr, 4);
    } else if (family == AF_INET6 && len >= sizeof(struct sockaddr_in6)) {
        struct sockaddr_in6 in6;
        memcpy(&in6, storage, sizeof in6);
        addr.port = ntohs(in6.sin6_port);
        addr.ip.len = 16;
        memcpy(addr.ip.bytes, &in6.sin6_addr, 16);
        addr.ip.scope_id = in6.sin6_scope_id;
    } else if (family == AF_UNIX) {
        addr.kind = EIO_UNIX;
        unix_of_os(storage, len, &addr.unix_);
    } else {
        return eio_err_os(&eio_err_x, EAFNOSUPPORT, "getsockname");
    }
    *out = addr;
    return NULL;
}

eio_err *eioi_sockaddr_local(int fd, eio_sockaddr_kind ip_kind, eio_sockaddr *out) {
    struct sockaddr_storage storage;
    socklen_t len = sizeof storage;
    if (EIOI_SYS(getsockname, getsockname(fd, (struct sockaddr *)&storage, &len)) != 0)
        return eioi_err_of_errno(errno, "getsockname");
    return eioi_sockaddr_of_os(&storage, len, ip_kind, out);
}
