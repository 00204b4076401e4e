// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_ERR_OS_H
#define EIO_UNIX_ERR_OS_H

// From the system's errors to ours.

#include "eio/err.h"
#include "eio/macros.h"

EIO_BEGIN_DECLS

/** The error of errno value `errnum` from call `op`, a literal; one table for all backends. */
EIO_MUST_USE eio_err *eioi_err_of_errno(int errnum, const char *op);

EIO_END_DECLS

#endif
