// SPDX-License-Identifier: ISC
// Waiting for foreign descriptors is the backend's business; here is only the way to it.

#include "eio/await_fd.h"

#include <poll.h>

#include "fiber/sched.h"

static eio_err *await(int fd, short events) {
    const struct eioi_backend_ops *ops = eioi_backend_ops_current();
    if (ops->await_fd == NULL)
        return eio_err_new(&eio_err_not_available, "(the %s backend has no descriptors)",
                           ops->name);
    return ops->await_fd(eioi_backend(), fd, events);
}

eio_err *eio_await_readable(int fd) {
    return await(fd, POLLIN);
}

eio_err *eio_await_writable(int fd) {
    return await(fd, POLLOUT);
}
