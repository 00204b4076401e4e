// SPDX-License-Identifier: ISC
#ifndef EIO_UNIX_BOUND_PATH_H
#define EIO_UNIX_BOUND_PATH_H

// The file that bind(2) makes for a Unix socket, which has to go when the socket does.

#include "eio/addr.h"
#include "eio/err.h"

EIO_BEGIN_DECLS

struct eioi_bound_path;

/** Whether binding to `addr` makes a file: a Unix path that is neither abstract nor empty. */
bool eioi_addr_is_path(const eio_sockaddr *addr);
/**
 * Removes a socket that stands at `addr`; nothing happens when something else stands there, or
 * nothing.
 */
EIO_MUST_USE eio_err *eioi_remove_stale_socket(const eio_sockaddr *addr);
/**
 * Remembers the path of `addr`; before bind(2), so that nothing can fail for want of memory after
 * it.
 */
EIO_MUST_USE eio_err *eioi_bound_path_new(const eio_sockaddr *addr, struct eioi_bound_path **out);
/** After bind(2): notes which file that made. On an error the file has been removed. */
EIO_MUST_USE eio_err *eioi_bound_path_made(struct eioi_bound_path *self);
/** Gives the file the permissions `mode`, whatever umask(2) is. */
EIO_MUST_USE eio_err *eioi_bound_path_chmod(struct eioi_bound_path *self, unsigned mode);
/** Removes the file if it is still the one that was made, and frees `self`. NULL is fine. */
void eioi_bound_path_remove(struct eioi_bound_path *self);
/** Frees `self` and leaves the file. NULL is fine. */
void eioi_bound_path_forget(struct eioi_bound_path *self);

EIO_END_DECLS

#endif
