// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_FILE_CACHE_H
#define EIO_RESOLVER_FILE_CACHE_H

// A local file that is kept parsed. It is read at the first use, and again when it has changed,
// which is looked at once a second at most. Usable from any domain.

#include <stdint.h>

#include "resolver/snapshot.h"

struct eioi_file_cache;

/** Copies `path`; reads nothing. Errors: Out_of_memory. */
EIO_MUST_USE eio_err *eioi_file_cache_create(const char *path, eioi_snapshot_parse_fn *parse,
                                             struct eioi_file_cache **out);
/** NULL is fine. */
void eioi_file_cache_destroy(struct eioi_file_cache *self);
/**
 * What the file says at `now_ns`, as a reference of the caller's own. A file that isn't there,
 * can't be opened by this user or isn't a regular one counts as empty. While a file that was read
 * before can't be read again its old content stands. Errors: Address_lookup_failed that names the
 * file; Out_of_memory.
 */
EIO_MUST_USE eio_err *eioi_file_cache_get(struct eioi_file_cache *self, int64_t now_ns,
                                          struct eioi_snapshot **out);

#endif
