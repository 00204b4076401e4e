// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_RESOLV_CONF_H
#define EIO_RESOLVER_RESOLV_CONF_H

// resolv.conf(5): which servers to ask, and how. Read by ourselves, not by c-ares, so that every
// version of it behaves alike, link-local servers work, a change of the file is noticed, and
// nothing depends on the environment.

#include <stdbool.h>
#include <stddef.h>

#include "eio/addr.h"
#include "resolver/snapshot.h"

enum {
    EIOI_SERVERS_MAX = 8,         // more than resolv.conf(5) allows
    EIOI_SEARCH_MAX = 16,         // domains
    EIOI_SEARCH_DOMAIN_MAX = 253, // bytes of one
};

struct eioi_resolv_conf {
    struct eioi_snapshot snapshot;
    eio_ip servers[EIOI_SERVERS_MAX]; // `server_count`
    unsigned server_count;
    char *search[EIOI_SEARCH_MAX]; // `search_count` domains, allocated
    unsigned search_count;
    bool has_search;    // the file says where to search, maybe nowhere
    unsigned ndots;     // 1 unless the file says so
    unsigned timeout_s; // 5
    unsigned tries;     // 2
    bool rotate, use_tcp;
};

/** Parses a resolv.conf; the snapshot is in a `struct eioi_resolv_conf`. */
eioi_snapshot_parse_fn eioi_resolv_conf_parse;

#endif
