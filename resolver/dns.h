// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_DNS_H
#define EIO_RESOLVER_DNS_H

// Questions to name servers: the daemon fiber that asks them, and the waiting for an answer from
// any fiber of any domain.

#include <stdatomic.h>
#include <stdbool.h>

#include "eio/clock.h"
#include "eio/promise.h"
#include "eio/switch.h"
#include "fiber/base/list.h"
#include "fiber/base/spin.h"
#include "resolver/channel.h"
#include "resolver/file_cache.h"

enum { EIOI_QUERY_BUCKETS = 256 };

/** An answer, shared by all who asked; never changed. */
struct eioi_answer {
    atomic_uint refs;
    enum eioi_outcome outcome;
    const char *reason;      // valid with EIOI_NO_ANSWER: a static string
    struct eioi_ip_list ips; // valid with EIOI_ANSWERED: sorted; empty when a name was asked for
    char name[EIOI_NAME_MAX + 1]; // valid with EIOI_ANSWERED, when a name was asked for
};
/** Gives a reference up; NULL is fine. */
void eioi_answer_unref(struct eioi_answer *self);

/** What the resolver's options say; wins over resolv.conf. Zero: resolv.conf's. */
struct eioi_dns_opts {
    struct eioi_server servers[EIOI_SERVERS_MAX];
    unsigned server_count;
    char *search[EIOI_SEARCH_MAX]; // owned by `struct eioi_dns`
    unsigned search_count;
    unsigned ndots, tries;
    int timeout_ms;
    bool no_search, rotate, use_tcp;
};

struct eioi_dns {
    eio_mono_clock *clock;
    struct eioi_dns_opts opts;
    struct eioi_file_cache *resolv_conf;

    struct eioi_spin lock;  // guards the next four
    struct eioi_list inbox; // requests that the daemon hasn't seen
    bool open;              // the daemon takes requests
    eio_promise *wake; // the daemon waits for it; a reference for who takes it. NULL: it is awake
    eio_promise_resolver *waker; // of `wake`

    // The daemon's own.
    eio_switch *sw;                               // its fibers' switch
    struct eioi_channel *channel;                 // NULL until the first question
    struct eioi_snapshot *conf;                   // what `channel` was made from
    struct eioi_list backlog;                     // queries that wait for their turn
    struct eioi_list young;                       // queries sent not long ago, the oldest first
    unsigned young_count;                         // how many these are
    bool pacing;                                  // a fiber is there that lets them grow old
    struct eioi_list buckets[EIOI_QUERY_BUCKETS]; // all queries, by question
};

/** All zero but what the caller sets before: `opts`. Errors: Out_of_memory. */
EIO_MUST_USE eio_err *eioi_dns_init(struct eioi_dns *self, eio_mono_clock *clock,
                                    const char *resolv_conf_path);
/** Starts the daemon. Errors: Out_of_memory; Stack_limit. */
EIO_MUST_USE eio_err *eioi_dns_start(struct eioi_dns *self, eio_switch *sw);
/** The daemon has ended, or was never started. */
void eioi_dns_fini(struct eioi_dns *self);

/**
 * Asks, from any domain, and waits; the answer is the caller's to unref. Names don't differ by
 * case. When the caller is cancelled it returns at once; the query goes on, and whoever asks the
 * same meanwhile gets its answer.
 * Errors:    Cancelled; Out_of_memory; Address_lookup_failed when the resolver was shut down.
 */
EIO_MUST_USE eio_err *eioi_dns_ask(struct eioi_dns *self, const struct eioi_question *question,
                                   struct eioi_answer **out);

#endif
