// SPDX-License-Identifier: ISC

// Theory. Between bind(2) and the closing of the descriptor a path is in the file system, and
// exactly one party removes it: bind's failure path here, or the eio_fd, which gets the record as
// soon as the file is known to be ours. A path that somebody else serves is never touched, since a
// failed bind has made nothing.
//
// A Unix socket is reachable the moment it is bound, so its permissions must be no wider than asked
// for from the start: they are set on the socket before bind, which the kernel applies less umask's
// bits, and on the file after it.

#include "backends/unix/socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "backends/unix/bound_path.h"
#include "backends/unix/low_level.h"
#include "fiber/base/fault.h"

eio_err *eioi_socket_new(int family, int type, int *out_fd) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("socket", &ops));
    type |= SOCK_CLOEXEC | (ops->wants_nonblock ? SOCK_NONBLOCK : 0);
    int fd = EIOI_SYS(socket, socket(family, type, 0));
    if (fd < 0 && errno == EMFILE && ops->flush != NULL) {
        ops->flush(eioi_backend());
        fd = EIOI_SYS(socket, socket(family, type, 0));
    }
    if (fd < 0)
        return eioi_err_of_errno(errno, "socket");
    *out_fd = fd;
    return NULL;
}

eio_err *eioi_socket_set(int fd, int level, int name, bool on) {
    int value = on;
    if (EIOI_SYS(setsockopt, setsockopt(fd, level, name, &value, sizeof value)) != 0)
        return eioi_err_of_errno(errno, "setsockopt");
    return NULL;
}

static eio_err *bind_number(int fd, const eio_sockaddr *addr) {
    struct eioi_os_addr os;
    EIO_TRY(eioi_sockaddr_to_os(addr, &os));
    if (EIOI_SYS(bind, bind(fd, (const struct sockaddr *)&os.storage, os.len)) != 0)
        return eioi_err_of_errno(errno, "bind");
    return NULL;
}

static eio_err *bind_path(int fd, const eio_sockaddr *addr, unsigned mode,
                          struct eioi_bound_path *path) {
    if (mode != 0 && EIOI_SYS(fchmod, fchmod(fd, (mode_t)mode)) != 0)
        return eioi_err_of_errno(errno, "fchmod");
    EIO_TRY(bind_number(fd, addr));
    EIO_TRY(eioi_bound_path_made(path));
    return mode == 0 ? NULL : eioi_bound_path_chmod(path, mode);
}

eio_err *eioi_socket_bind(struct eio_fd *fd, const eio_sockaddr *addr, unsigned mode) {
    struct eioi_bound_path *path;
    if (!eioi_addr_is_path(addr))
        return bind_number(fd->fd, addr);
    EIO_TRY(eioi_bound_path_new(addr, &path));
    eio_err *err = bind_path(fd->fd, addr, mode, path);
    if (err != NULL) {
        eioi_bound_path_remove(path);
        return err;
    }
    fd->path = path;
    return NULL;
}
