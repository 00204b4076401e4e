// SPDX-License-Identifier: ISC

// One table for every backend: what an errno value means to a program. A value that isn't in it is
// `eio_err_x`, whose detail still has the number and the call.

#include "backends/unix/err_os.h"

#include <errno.h>

#include "eio/err_net.h"

static const eio_err_kind *kind_of(int errnum) {
    switch (errnum) {
    case ECONNREFUSED: return &eio_err_net_refused;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED: return &eio_err_net_connection_reset;
    case ENOENT: return &eio_err_fs_not_found;
    case EEXIST: return &eio_err_fs_already_exists;
    case EXDEV:
    case EPERM:
    case EACCES: return &eio_err_fs_permission_denied;
    case ENOPROTOOPT: return &eio_err_net_invalid_option;
    case ENOSYS:
    case EOPNOTSUPP: return &eio_err_not_available;
    default: return &eio_err_x;
    }
}

eio_err *eioi_err_of_errno(int errnum, const char *op) {
    return eio_err_os(kind_of(errnum), errnum, op);
}
