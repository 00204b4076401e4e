// SPDX-License-Identifier: ISC

// What stands between the sockets of this folder and the backend of the running domain: finds its
// operations, and turns a failed call's number into an error.

#include "backends/unix/low_level.h"

#include <errno.h>

#include "eio/err_net.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "fiber/sched.h"

eio_err *eioi_io_ops_current(const char *op, const struct eioi_io_ops **out) {
    eioi_sched_require(op);
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    if (ops == NULL)
        return eio_err_const(&eio_err_not_available);
    *out = ops;
    return NULL;
}

/** Makes a read or write short, where a test wants that. */
static void cut(struct eioi_io *io, struct iovec *first) {
    if (io->op != EIOI_IO_READ && io->op != EIOI_IO_WRITE)
        return;
    size_t total = 0;
    for (int i = 0; i < io->rw.iov_count; i++)
        total += io->rw.iov[i].iov_len;
    size_t limit =
        io->op == EIOI_IO_READ ? EIOI_LIMIT(short_read, total) : EIOI_LIMIT(short_write, total);
    if (limit == total)
        return;
    *first = io->rw.iov[0];
    if (first->iov_len > limit)
        first->iov_len = limit;
    io->rw.iov = first;
    io->rw.iov_count = 1;
}

eio_err *eioi_io_nothing_read(int32_t res) {
    EIO_ASSERT(res <= 0 && res != -ECANCELED, "a read (%d) has brought nothing", res);
    return res == 0 ? eio_err_const(&eio_err_end_of_file) : eioi_err_of_errno(-res, "readv");
}

eio_err *eioi_io_perform(struct eioi_io *io, int32_t *out_res) {
    const struct eioi_io_ops *ops = NULL;
    struct iovec first;
    int32_t res = 0;
    EIO_TRY(eioi_io_ops_current(io->name, &ops));
    if (__builtin_expect(eioi_fault_hook != NULL, 0))
        cut(io, &first);
    EIO_TRY(ops->perform(eioi_backend(), io, &res));
    if (res >= 0) {
        *out_res = res;
        return NULL;
    }
    if (io->op == EIOI_IO_CONNECT && res == -ETIMEDOUT)
        return eio_err_os(&eio_err_net_timeout, ETIMEDOUT, io->name);
    EIO_ASSERT(res != -ECANCELED, "a backend says itself why it cancelled an operation (%s)",
               io->name);
    return eioi_err_of_errno(-res, io->name);
}
