// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_SOCK_H
#define EIO_RESOLVER_SOCK_H

// The sockets of a c-ares channel: what c-ares calls instead of the system, and notes of what it
// wants to know of each.

#include <stdbool.h>
#include <stdint.h>

#include "eio/addr.h"
#include "eio/cancel.h"
#include "fiber/base/list.h"
#include "resolver/resolv_conf.h"

struct ares_channeldata;

enum eioi_direction { EIOI_READABLE, EIOI_WRITABLE, EIOI_DIRECTIONS };

struct eioi_server {
    eio_ip ip;
    uint16_t port;
};

/** The sockets that c-ares has open, and the servers they go to. */
struct eioi_sock_set {
    struct eioi_list socks;
    struct eioi_server servers[EIOI_SERVERS_MAX];
    int refusal; // RCODE of the datagram being processed, if a server won't answer; else 0
};

struct eioi_sock {
    struct eioi_list node; // the set's, while c-ares has it open
    const struct eioi_sock_set *set;
    int fd;
    bool is_stream;
    bool closed;                        // by c-ares
    bool ended;                         // a stream of which nothing more will come
    bool want[EIOI_DIRECTIONS];         // what c-ares wants to know
    bool watched[EIOI_DIRECTIONS];      // a fiber is there
    eio_cancel *waits[EIOI_DIRECTIONS]; // that fiber waits in this context; else NULL
    const struct eioi_server *behind;   // the server behind a stand-in; else NULL
};

/** A set without sockets. */
void eioi_sock_set_init(struct eioi_sock_set *self);
/**
 * Has a c-ares channel use the set's calls. Its servers are set with the address that
 * `eioi_sock_set_server` gives.
 */
void eioi_sock_set_use(struct eioi_sock_set *self, struct ares_channeldata *ares);
/** Notes server number `i`; the address by which c-ares is to know it. */
eio_ip eioi_sock_set_server(struct eioi_sock_set *self, unsigned i,
                            const struct eioi_server *server);
/** For ARES_OPT_SOCK_STATE_CB, with the set as its argument. */
void eioi_sock_state(void *arg, int fd, int readable, int writable);
/** A socket that nobody watches although c-ares wants it; NULL when there is none. */
struct eioi_sock *eioi_sock_set_unwatched(const struct eioi_sock_set *self,
                                          enum eioi_direction *out);
/** Whether c-ares wants to know when something can be done with a socket, which it has open. */
static inline bool eioi_sock_is_wanted(const struct eioi_sock *self,
                                       enum eioi_direction direction) {
    return !self->closed && self->want[direction] && !(self->ended && direction == EIOI_READABLE);
}
/**
 * A fiber watches no more: closes and frees the socket if it was the last one, and c-ares is done
 * with it.
 */
void eioi_sock_unwatch(struct eioi_sock *self, enum eioi_direction direction);

#endif
