// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_H
#define EIO_RESOLVER_H

/*
 * Names to addresses and back, without a thread and without the C library's name services:
 * literals, `localhost`, the hosts and services files, then DNS. `eio_main` makes one of the
 * system's files and puts it into `env->net`; a program makes its own to ask other servers.
 *
 *     eio_sockaddr server = eio_sockaddr_udp(eio_ip_v4_loopback(), 5353);
 *     struct eio_resolver_opts opts = {.servers = &server, .server_count = 1};
 *     eio_resolver *resolver;
 *     EIO_TRY(eio_resolver_create(sw, env->mono_clock, &opts, &resolver));
 *     eio_unix_net net;
 *     eio_unix_net_init(&net, &resolver->lookup);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/clock.h"
#include "eio/err.h"
#include "eio/macros.h"
#include "eio/net_pi.h"
#include "eio/switch.h"

EIO_BEGIN_DECLS

/**
 * A resolver. Put `lookup` into a network, and look names up with `eio_net_getaddrinfo` and its
 * like.
 */
typedef struct eio_resolver {
    eio_lookup lookup; /**< what networks use */
} eio_resolver;

/**
 * What to ask. NULL, or all zero: the system's files. All of it is copied. The three files are read
 * when first needed, and again when they have changed (looked at once a second at most); one that
 * is missing counts as empty.
 */
struct eio_resolver_opts {
    const eio_sockaddr *servers;  /**< TCP or UDP, both are used; NULL: resolv.conf's */
    size_t server_count;          /**< how many; 0: resolv.conf's */
    const char *resolv_conf_path; /**< NULL: "/etc/resolv.conf" */
    const char *hosts_path;       /**< NULL: "/etc/hosts" */
    const char *services_path;    /**< NULL: "/etc/services" */
    const char *const *search;    /**< domains to try a short name in; NULL: see `search_count` */
    size_t search_count; /**< how many; 0: resolv.conf's, else the domain of this machine's name */
    bool no_search;      /**< names are asked as they are, whatever resolv.conf says */
    bool rotate;         /**< takes the servers in turn; false: as resolv.conf says */
    bool use_tcp;        /**< asks over TCP from the start; false: as resolv.conf says */
    unsigned ndots;      /**< dots from which a name is asked as it is first; 0: resolv.conf's */
    unsigned tries;      /**< rounds through the servers, at most 10; 0: resolv.conf's, else 2 */
    int64_t timeout_ns;  /**< of one try, doubled each round; 0: resolv.conf's, else 5 s */
};

/**
 * A resolver. Its queries are sent and answered in the domain that makes it, by a daemon fiber of
 * `sw`; lookups from other domains are handed to that domain, so one that looks up a lot had better
 * make its own. Lookups that are waiting for the same name share one query. A lookup that is
 * cancelled returns at once; its query goes on until answered or given up. A lookup that would have
 * to ask a server when `sw` is already being cancelled fails with Address_lookup_failed.
 *
 * Beyond the C library's: `localhost` and `*.localhost` are always ::1 and 127.0.0.1, and their
 * names are never asked of a server; a name is looked up in the hosts file with or without a final
 * dot, each address once. Not done: the name service switch, gai.conf, HOSTALIASES, LOCALDOMAIN,
 * RES_OPTIONS, mDNS, caching of answers. The first resolver of a process has c-ares allocate
 * through this library: a program that uses c-ares by itself makes its own channels after that.
 *
 * Suspends:  gives its daemon fiber a first turn.
 * Errors:    Invalid_argument for options out of their range (more than 8 servers, one of them a
 *            Unix address, more than 16 search domains, one of them longer than 253 bytes, a
 *            time-out of more than half an hour); Out_of_memory; Stack_limit.
 * Owner:     `sw`, which it must not outlive; `clock` is borrowed as long.
 * Domain:    `sw`'s own. Lookups may come from any domain.
 */
EIO_API EIO_MUST_USE eio_err *eio_resolver_create(eio_switch *sw, eio_mono_clock *clock,
                                                  const struct eio_resolver_opts *opts,
                                                  eio_resolver **out);

EIO_END_DECLS

#endif
