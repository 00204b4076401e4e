// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_CHANNEL_H
#define EIO_RESOLVER_CHANNEL_H

// A c-ares channel, driven by fibers: one for each socket that c-ares has open, one for its
// time-outs. Everything here belongs to one domain, that of the switch which the fibers run in.

#include <stdbool.h>
#include <stdint.h>

#include "eio/addr.h"
#include "eio/clock.h"
#include "eio/switch.h"
#include "fiber/base/list.h"
#include "resolver/ip_list.h"
#include "resolver/sock.h"

enum { EIOI_NAME_MAX = 255 }; // bytes of a host name, a final dot included

/** What can be asked. */
enum eioi_question_kind {
    EIOI_ASK_ADDRESSES, // both families
    EIOI_ASK_V4,
    EIOI_ASK_V6,
    EIOI_ASK_NAME, // of an address
};

struct eioi_question {
    enum eioi_question_kind kind;
    char name[EIOI_NAME_MAX + 1]; // NUL-terminated; valid unless a name is asked for
    eio_ip ip;                    // valid when a name is asked for
};

/** How a query ended. */
enum eioi_outcome {
    EIOI_ANSWERED,
    EIOI_NO_SUCH_NAME, // the servers know that there is none
    EIOI_NO_DATA,      // the name is there, but not with what was asked for
    EIOI_NO_ANSWER,    // nobody could say; `reason` says why
    EIOI_NO_MEMORY,
};

/**
 * One question on its way. Embedded in a larger record, which stays where it is until `on_done`.
 */
struct eioi_query {
    struct eioi_list node; // the channel's, while it has ended and `on_done` was not called yet
    struct eioi_channel *channel;  // who has it
    struct eioi_question question; // set by the caller
    enum eioi_outcome outcome;     // valid once it has ended
    const char *reason;            // valid with EIOI_NO_ANSWER: a static string
    // Valid with EIOI_ANSWERED: the addresses as they came, or the name, whichever was asked for.
    struct eioi_ip_list ips;
    char name[EIOI_NAME_MAX + 1];
};

/** How to ask. Borrowed while a channel is made. */
struct eioi_channel_conf {
    struct eioi_server servers[EIOI_SERVERS_MAX];
    unsigned server_count; // at least 1
    const char *search[EIOI_SEARCH_MAX];
    unsigned search_count; // 0: names are asked as they are
    unsigned ndots, tries;
    int timeout_ms;
    bool rotate, use_tcp;
};

/**
 * Called in a fiber of the channel or of `eioi_channel_settle`'s caller, outside c-ares. Never
 * suspends.
 */
typedef void eioi_query_done_fn(void *arg, struct eioi_query *query);

struct eioi_channel;

/** A channel whose fibers run in `sw`. Errors: Out_of_memory; Address_lookup_failed. */
EIO_MUST_USE eio_err *eioi_channel_create(eio_switch *sw, eio_mono_clock *clock,
                                          const struct eioi_channel_conf *conf,
                                          eioi_query_done_fn *on_done, void *arg,
                                          struct eioi_channel **out);
/**
 * Asks. The answer may be there at once; `on_done` is called by `eioi_channel_settle` at the
 * earliest.
 */
void eioi_channel_ask(struct eioi_channel *self, struct eioi_query *query);
/**
 * To be called when all has been asked: starts fibers for new sockets, tells of queries that have
 * ended.
 */
void eioi_channel_settle(struct eioi_channel *self);
/** Nothing more will be asked: the channel destroys itself when its last query has ended. */
void eioi_channel_retire(struct eioi_channel *self);
/**
 * Ends all queries, which is told. The fibers have ended by then, since their switch has
 * (asserted).
 */
void eioi_channel_destroy(struct eioi_channel *self);

#endif
