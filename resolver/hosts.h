// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_HOSTS_H
#define EIO_RESOLVER_HOSTS_H

// The hosts file: names to addresses and back.

#include "resolver/ip_list.h"
#include "resolver/snapshot.h"

/** Parses a hosts file into a snapshot for the functions below. */
eioi_snapshot_parse_fn eioi_hosts_parse;

/**
 * Appends every address of `name` (a final dot doesn't matter, nor does case) in the order of the
 * file. Errors: Out_of_memory.
 */
EIO_MUST_USE eio_err *eioi_hosts_find(const struct eioi_snapshot *hosts, const char *name,
                                      struct eioi_ip_list *out);
/**
 * The first name of the first line of `ip`, NUL-terminated; NULL when there is none. Valid as long
 * as the snapshot.
 */
const char *eioi_hosts_name_of(const struct eioi_snapshot *hosts, const eio_ip *ip);

#endif
