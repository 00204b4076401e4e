// SPDX-License-Identifier: ISC
#ifndef EIO_ERR_KINDS_H
#define EIO_ERR_KINDS_H

/*
 * The kinds of errors that need no other module. A kind is a static node of a tree; an error
 * matches its own kind and every kind above it. Modules and programs add theirs the same way:
 *
 *     static const eio_err_kind graceful_shutdown = {NULL, "Graceful_shutdown"};
 *     return eio_err_const(&graceful_shutdown);
 */

#include "eio/macros.h"

EIO_BEGIN_DECLS

/** A node in the tree of error kinds, compared by address. */
typedef struct eio_err_kind {
    const struct eio_err_kind *parent; /**< the more general kind; NULL at a root */
    /** one word, as it is printed; NULL (below `eio_err_io` only): the detail alone prints */
    const char *name;
} eio_err_kind;

/**
 * Failures of the world outside; they carry context lines. Prints as `Eio.Io CODE`, CODE being the
 * names below this.
 */
extern EIO_API const eio_err_kind eio_err_io;
/** An operating-system error that no other kind classifies; `eio_err_errno` has the number. */
extern EIO_API const eio_err_kind eio_err_x;
/** Two or more `eio_err_io` errors, combined. */
extern EIO_API const eio_err_kind eio_err_multiple_io;
/** The operation doesn't exist on this system. Below `eio_err_io`. */
extern EIO_API const eio_err_kind eio_err_not_available;
/** File-system failures, below `eio_err_io`. */
extern EIO_API const eio_err_kind eio_err_fs;
extern EIO_API const eio_err_kind eio_err_fs_not_found;
extern EIO_API const eio_err_kind eio_err_fs_already_exists;
extern EIO_API const eio_err_kind eio_err_fs_permission_denied;
extern EIO_API const eio_err_kind eio_err_fs_file_too_large;

/**
 * You were asked to stop; `eio_err_inner` says because of what. Propagate it; never hide another
 * error with it.
 */
extern EIO_API const eio_err_kind eio_err_cancelled;
/** Two or more failures, not all of them `eio_err_io`; `eio_err_child` gives each. */
extern EIO_API const eio_err_kind eio_err_multiple;

/** The peer has stopped sending; no more bytes will come. */
extern EIO_API const eio_err_kind eio_err_end_of_file;
/** An allocation failed. */
extern EIO_API const eio_err_kind eio_err_out_of_memory;
/** The system has no room for another fiber's stack (mappings or address space). */
extern EIO_API const eio_err_kind eio_err_stack_limit;
/** What `eio_err_failure` makes. */
extern EIO_API const eio_err_kind eio_err_failure_kind;
/** A value from outside that the called function can't take. */
extern EIO_API const eio_err_kind eio_err_invalid_argument;
/**
 * The descriptor was closed; prints as Invalid_argument, and is below `eio_err_invalid_argument`.
 */
extern EIO_API const eio_err_kind eio_err_closed;
/** A time-out ran out. */
extern EIO_API const eio_err_kind eio_err_timeout;
/** The reason given to daemons when only they are left. */
extern EIO_API const eio_err_kind eio_err_exit;
/** The reason given to the losers of a race. */
extern EIO_API const eio_err_kind eio_err_not_first;
/** A lookup found nothing. */
extern EIO_API const eio_err_kind eio_err_not_found;
/** Every fiber waits, and nothing is left that could wake one (mock backend). */
extern EIO_API const eio_err_kind eio_err_deadlock_detected;

EIO_END_DECLS

#endif
