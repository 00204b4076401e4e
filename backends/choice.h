// SPDX-License-Identifier: ISC
#ifndef EIO_BACKENDS_CHOICE_H
#define EIO_BACKENDS_CHOICE_H

// Which backend a loop runs on, and instances of it.

#include <stddef.h>

#include "eio/err.h"
#include "fiber/sched.h"

enum eioi_backend_kind { EIOI_BACKEND_URING, EIOI_BACKEND_EPOLL };

/** A backend instance of the calling thread. */
struct eioi_backend {
    enum eioi_backend_kind kind;
    const struct eioi_backend_ops *ops;
    void *instance;
};

/**
 * Starts the backend called `asked` (NULL: $EIO_BACKEND; if that is unset or empty: io_uring, or
 * epoll where io_uring can't be started, of which the first such choice of the process tells in one
 * line on stderr). Errors: Failure: an unknown name; a backend that was asked for can't be started.
 * Out_of_memory and the like.
 */
EIO_MUST_USE eio_err *eioi_backend_choose(const char *asked, struct eioi_backend *out);
/**
 * Starts one of `kind` for another domain; epoll, and a line on stderr, where io_uring has no room
 * for one more.
 */
EIO_MUST_USE eio_err *eioi_backend_start_another(enum eioi_backend_kind kind,
                                                 struct eioi_backend *out);
/** Its loop has ended. */
void eioi_backend_stop(struct eioi_backend *self);

#endif
