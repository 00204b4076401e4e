// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_SORT_H
#define EIO_RESOLVER_SORT_H

// The order in which to try the addresses of a name: RFC 6724, section 6.

#include <stdbool.h>
#include <stddef.h>

#include "eio/addr.h"

/**
 * The source address that would be used to reach `dst`; false when `dst` can't be reached from
 * here.
 */
typedef bool eioi_source_fn(void *arg, const eio_ip *dst, eio_ip *out);

/**
 * Sorts `n` addresses, the preferred one first; equal ones keep their order. Left as they are
 * without memory.
 */
void eioi_sort_ips_by(eio_ip *ips, size_t n, eioi_source_fn *source, void *arg);
/** As `eioi_sort_ips_by`, with the sources that the system would pick now. Sends nothing. */
void eioi_sort_ips(eio_ip *ips, size_t n);

#endif
