// SPDX-License-Identifier: ISC
#include "backends/unix/err_os.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "eio/err_net.h"
#include "tests/support/support.h"

using namespace eio_test;

class ErrOsTest : public EioTest {};

TEST_F(ErrOsTest, EachErrnoHasOneMeaning) {
    const struct {
        int errnum;
        const eio_err_kind *kind;
    } table[] = {
        {ECONNREFUSED, &eio_err_net_refused},
        {ECONNRESET, &eio_err_net_connection_reset},
        {EPIPE, &eio_err_net_connection_reset},
        {ECONNABORTED, &eio_err_net_connection_reset},
        {ENOENT, &eio_err_fs_not_found},
        {EEXIST, &eio_err_fs_already_exists},
        {EXDEV, &eio_err_fs_permission_denied},
        {EPERM, &eio_err_fs_permission_denied},
        {EACCES, &eio_err_fs_permission_denied},
        {ENOPROTOOPT, &eio_err_net_invalid_option},
        {ENOSYS, &eio_err_not_available},
        {EOPNOTSUPP, &eio_err_not_available},
        {ETIMEDOUT, &eio_err_x},
        {EMFILE, &eio_err_x},
        {EADDRINUSE, &eio_err_x},
    };
    for (const auto &row : table) {
        eio_err *err = eioi_err_of_errno(row.errnum, "call");
        EXPECT_EQ(eio_err_kind_of(err), row.kind) << strerror(row.errnum);
        EXPECT_EQ(eio_err_errno(err), row.errnum);
        eio_err_drop(err);
    }
}

TEST_F(ErrOsTest, TheDetailNamesTheCall) {
    eio_err_show_backend(true);
    EXPECT_ERR_TEXT(eioi_err_of_errno(EADDRINUSE, "bind"),
                    "Eio.Io Unix_error (Address already in use, \"bind\", \"\")");
    eio_err_show_backend(false);
}
