// SPDX-License-Identifier: ISC

// c-ares is only ever entered by fibers of the channel (its sockets' and its timer's) and by the
// one that asks, which is the resolver's daemon: all of one domain, and none suspends inside. What
// c-ares calls back therefore only takes notes: a query that has ended goes to `done` (c-ares may
// do so inside the very call that asks), a socket says what it is to be watched for (sock.c).
// `eioi_channel_settle` acts on the notes when c-ares has returned: it forks a fiber for each
// wanted direction that has none, and hands the ended queries on.
//
// A channel that is retired lives until its last query has ended, and its memory until the last
// fiber is gone.
//
// c-ares keeps its own time, by the same CLOCK_MONOTONIC as the loop: the timer fiber sleeps for as
// long as c-ares wants to wait, then lets it look. The fiber is woken early when a new query may
// time out before what it sleeps for.

#include "resolver/channel.h"

#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CARES_NO_DEPRECATED // 1.34 deprecates what 1.18 has no replacement for
#include <ares.h>

#include "eio/await_fd.h"
#include "eio/cancel.h"
#include "eio/err_net.h"
#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "resolver/sock.h"

enum {
    EDNS_BYTES = 1232,     // what an answer over UDP may have: no fragments on any path
    ADAPTIVE_MIN_MS = 250, // c-ares 1.34 measures its servers, and waits no less than this
    RETRY_MS = 10,         // after a wait for a descriptor failed
    CLASS_IN = 1,
    TYPE_PTR = 12,
    REVERSE_NAME_MAX = 80, // 32 digits with their dots, and "ip6.arpa"
};

struct eioi_channel {
    ares_channel ares; // NULL once destroyed
    eio_switch *sw;
    eio_mono_clock *clock;
    eioi_query_done_fn *on_done;
    void *on_done_arg;
    struct eioi_sock_set socks;
    struct eioi_list done; // queries that have ended, of which nobody was told yet
    unsigned queries;      // asked, and not told of
    unsigned fibers;       // that run in `sw`
    bool retired;
    bool starved;           // a fiber could not be had: queries end for want of memory
    bool has_timer;         // its fiber is there
    eio_cancel *timer_wait; // it sleeps in this context; else NULL
    int64_t deadline_ns;    // until when it sleeps; valid with `timer_wait`
    int64_t soonest_ns;     // a new query can't time out before this has passed
};

// --- Fibers ---

// Frees a retired channel when there is nothing left of it.
static void reap(struct eioi_channel *self) {
    if (!self->retired || self->queries > 0)
        return;
    if (self->ares != NULL) {
        ares_channel ares = self->ares;
        self->ares = NULL;
        ares_destroy(ares);
        if (self->timer_wait != NULL)
            eio_cancel_cancel(self->timer_wait, eio_err_const(&eio_err_closed));
    }
    if (self->fibers == 0)
        eioi_free(self);
}

static void fiber_gone(struct eioi_channel *self) {
    self->fibers--;
    reap(self);
}

static void process(struct eioi_channel *self, int read_fd, int write_fd) {
    if (self->ares == NULL)
        return;
    ares_process_fd(self->ares, read_fd, write_fd);
    eioi_channel_settle(self);
}

struct watch {
    struct eioi_channel *channel;
    struct eioi_sock *sock;
    enum eioi_direction direction;
};

static eio_err *watch_wait(void *arg, eio_cancel *cc) {
    const struct watch *self = arg;
    self->sock->waits[self->direction] = cc;
    eio_err *err = self->direction == EIOI_READABLE ? eio_await_readable(self->sock->fd)
                                                    : eio_await_writable(self->sock->fd);
    self->sock->waits[self->direction] = NULL;
    return err;
}

static eio_err *watch_pause(void *arg, eio_cancel *cc) {
    const struct watch *self = arg;
    self->sock->waits[self->direction] = cc;
    eio_err *err = eio_mono_clock_sleep(self->channel->clock, RETRY_MS * EIO_MILLISECOND);
    self->sock->waits[self->direction] = NULL;
    return err;
}

static bool watch_goes_on(const struct watch *self) {
    return eioi_sock_is_wanted(self->sock, self->direction) && !eio_fiber_is_cancelled();
}

// Waits for one direction of one socket, again and again, for as long as c-ares wants it.
static eio_err *watch_run(void *arg) {
    struct watch *self = arg;
    struct eioi_channel *channel = self->channel;
    while (watch_goes_on(self)) {
        eio_err *err = eio_cancel_sub(watch_wait, self);
        bool failed = err != NULL;
        eio_err_drop(err);
        if (!watch_goes_on(self))
            break;
        int fd = self->sock->fd;
        process(channel, self->direction == EIOI_READABLE ? fd : ARES_SOCKET_BAD,
                self->direction == EIOI_WRITABLE ? fd : ARES_SOCKET_BAD);
        if (failed && watch_goes_on(self)) // c-ares found nothing wrong with it, so it's our wait
            eio_err_drop(eio_cancel_sub(watch_pause, self));
    }
    eioi_sock_unwatch(self->sock, self->direction);
    fiber_gone(channel);
    return NULL;
}

static eio_err *timer_wait(void *arg, eio_cancel *cc) {
    struct eioi_channel *self = arg;
    self->timer_wait = cc;
    eio_err *err = eio_mono_clock_sleep_until(self->clock, self->deadline_ns);
    self->timer_wait = NULL;
    return err;
}

// How long c-ares wants to wait; false when it has nothing to wait for.
static bool next_timeout(const struct eioi_channel *self, int64_t *out_ns) {
    struct timeval tv;
    if (self->ares == NULL || ares_timeout(self->ares, NULL, &tv) == NULL)
        return false;
    *out_ns = tv.tv_sec * EIO_SECOND + tv.tv_usec * EIO_MICROSECOND + EIO_MILLISECOND;
    return true;
}

static eio_err *timer_run(void *arg) {
    struct eioi_channel *self = arg;
    int64_t wait_ns;
    while (!eio_fiber_is_cancelled() && next_timeout(self, &wait_ns)) {
        self->deadline_ns = eio_mono_clock_now(self->clock) + wait_ns;
        eio_err *err = eio_cancel_sub(timer_wait, self);
        if (err == NULL)
            process(self, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        eio_err_drop(err); // woken early, or ended: the loop finds out
    }
    self->has_timer = false;
    fiber_gone(self);
    return NULL;
}

// A query that may time out before the timer looks makes it look again.
static void hurry_timer(struct eioi_channel *self) {
    if (self->timer_wait == NULL ||
        self->deadline_ns <= eio_mono_clock_now(self->clock) + self->soonest_ns)
        return;
    self->deadline_ns = INT64_MIN; // not twice
    eio_cancel_cancel(self->timer_wait, eio_err_const(&eio_err_timeout));
}

// Notes that one more fiber runs, or (false) why it doesn't.
static bool forked(struct eioi_channel *self, eio_err *err, bool refused) {
    if (err != NULL || refused) {
        self->fibers--;
        self->starved = err != NULL;
        eio_err_drop(err);
        return false;
    }
    return true;
}

static bool start_timer(struct eioi_channel *self) {
    bool refused = false;
    const struct eio_fork_opts opts = {.name = "resolver timer", .refused = &refused};
    self->has_timer = true;
    self->fibers++;
    eio_err *err = eio_fiber_fork(self->sw, timer_run, self, &opts);
    if (forked(self, err, refused))
        return true;
    self->has_timer = false;
    return false;
}

static bool start_watch(struct eioi_channel *self, struct eioi_sock *sock,
                        enum eioi_direction direction) {
    struct watch watch = {.channel = self, .sock = sock, .direction = direction};
    bool refused = false;
    const struct eio_fork_opts opts = {.name = "resolver socket", .refused = &refused};
    sock->watched[direction] = true;
    self->fibers++;
    eio_err *err = eio_fiber_fork_copy(self->sw, watch_run, &watch, sizeof watch,
                                       _Alignof(struct watch), &opts);
    if (forked(self, err, refused))
        return true;
    sock->watched[direction] = false;
    return false;
}

// False when a fiber that is needed can't be had. Each fork may change the list, so the search
// begins anew.
static bool start_fibers(struct eioi_channel *self) {
    enum eioi_direction direction;
    struct eioi_sock *sock;
    while (self->ares != NULL && (sock = eioi_sock_set_unwatched(&self->socks, &direction)) != NULL)
        if (!start_watch(self, sock, direction))
            return false;
    int64_t wait_ns;
    if (!self->has_timer && next_timeout(self, &wait_ns))
        return start_timer(self);
    hurry_timer(self);
    return true;
}

// --- Queries ---

static void end_query(struct eioi_query *query) {
    eioi_list_push_tail(&query->channel->done, &query->node);
}

static void fail_query(struct eioi_query *query, enum eioi_outcome outcome, const char *reason) {
    eioi_ip_list_free(&query->ips);
    query->outcome = outcome;
    query->reason = reason;
    end_query(query);
}

static const char *reason_of(int status) {
    switch (status) {
    case ARES_EFORMERR: return "the name server didn't understand the query (FORMERR)";
    case ARES_ESERVFAIL: return "the name server failed (SERVFAIL)";
    case ARES_ENOTIMP: return "the name server doesn't answer such queries (NOTIMP)";
    case ARES_EREFUSED: return "the name server refuses to answer (REFUSED)";
    case ARES_ETIMEOUT: return "no name server answered in time";
    case ARES_ECONNREFUSED: return "no name server can be reached";
    case ARES_EBADNAME:
    case ARES_EBADQUERY:
    case ARES_EBADSTR: return "not a valid name";
    case ARES_EBADRESP: return "the name server's answer makes no sense";
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED: return "the resolver was shut down";
    default: return ares_strerror(status);
    }
}

static void end_with_status(struct eioi_query *query, int status) {
    if (status == ARES_SUCCESS)
        end_query(query);
    else if (status == ARES_ENOTFOUND)
        fail_query(query, EIOI_NO_SUCH_NAME, NULL);
    else if (status == ARES_ENODATA)
        fail_query(query, EIOI_NO_DATA, NULL);
    else if (status == ARES_ENOMEM || (status == ARES_ECANCELLED && query->channel->starved))
        fail_query(query, EIOI_NO_MEMORY, NULL);
    else
        fail_query(query, EIOI_NO_ANSWER, reason_of(status));
}

// A server that won't answer is no server that can't be reached.
static int true_status(const struct eioi_query *query, int status) {
    if (status != ARES_ECONNREFUSED)
        return status;
    switch (query->channel->socks.refusal) {
    case 2: return ARES_ESERVFAIL;
    case 4: return ARES_ENOTIMP;
    case 5: return ARES_EREFUSED;
    default: return status;
    }
}

static bool ip_of_sockaddr(const struct sockaddr *addr, eio_ip *out) {
    *out = (eio_ip){0};
    if (addr->sa_family == AF_INET) {
        out->len = 4;
        memcpy(out->bytes, (const char *)addr + offsetof(struct sockaddr_in, sin_addr), 4);
    } else if (addr->sa_family == AF_INET6) {
        out->len = 16;
        memcpy(out->bytes, (const char *)addr + offsetof(struct sockaddr_in6, sin6_addr), 16);
    }
    return out->len != 0;
}

static void on_addrinfo(void *arg, int status, int timeouts, struct ares_addrinfo *res) {
    struct eioi_query *query = arg;
    (void)timeouts;
    query->outcome = EIOI_ANSWERED;
    for (struct ares_addrinfo_node *it = res == NULL ? NULL : res->nodes; it != NULL;
         it = it->ai_next) {
        eio_ip ip;
        if (ip_of_sockaddr(it->ai_addr, &ip) && !eioi_ip_list_add(&query->ips, &ip))
            status = ARES_ENOMEM;
    }
    if (res != NULL)
        ares_freeaddrinfo(res);
    if (status == ARES_SUCCESS && query->ips.count == 0)
        status = ARES_ENODATA;
    end_with_status(query, true_status(query, status));
}

// Whether a name may be shown and logged: letters, digits, `-`, `_` and dots.
static bool is_host_name(const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && c != '-' && c != '_' && c != '.')
            return false;
    }
    return len > 0 && len <= EIOI_NAME_MAX;
}

// The name in a PTR answer. One that makes no sense is none: who owns the address can write there
// what he likes.
static int parse_name(const struct eioi_query *query, unsigned char *answer, int len, char *out) {
    struct hostent *host = NULL;
    const eio_ip *ip = &query->question.ip;
    int status = ares_parse_ptr_reply(answer, len, ip->bytes, ip->len,
                                      ip->len == 4 ? AF_INET : AF_INET6, &host);
    if (status == ARES_SUCCESS && host->h_name != NULL && is_host_name(host->h_name))
        memcpy(out, host->h_name, strlen(host->h_name) + 1);
    else if (status != ARES_ENOMEM)
        status = ARES_ENODATA;
    if (host != NULL)
        ares_free_hostent(host);
    return status;
}

static void on_ptr(void *arg, int status, int timeouts, unsigned char *answer, int len) {
    struct eioi_query *query = arg;
    (void)timeouts;
    query->outcome = EIOI_ANSWERED;
    if (status == ARES_SUCCESS)
        status = parse_name(query, answer, len, query->name);
    else if (status == ARES_EBADRESP)
        status = ARES_ENODATA;
    end_with_status(query, true_status(query, status));
}

// The name under which the name of `ip` is to be found.
static void reverse_name(const eio_ip *ip, char out[REVERSE_NAME_MAX]) {
    static const char hex[] = "0123456789abcdef";
    const uint8_t *b = ip->bytes;
    if (ip->len == 4) {
        (void)snprintf(out, REVERSE_NAME_MAX, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
        return;
    }
    for (int i = 15; i >= 0; i--) {
        *out++ = hex[b[i] & 0xf];
        *out++ = '.';
        *out++ = hex[b[i] >> 4];
        *out++ = '.';
    }
    memcpy(out, "ip6.arpa", sizeof "ip6.arpa");
}

static int family_of(enum eioi_question_kind kind) {
    if (kind == EIOI_ASK_ADDRESSES)
        return AF_UNSPEC;
    return kind == EIOI_ASK_V4 ? AF_INET : AF_INET6;
}

void eioi_channel_ask(struct eioi_channel *self, struct eioi_query *query) {
    const struct eioi_question *question = &query->question;
    EIO_ASSERT(self->ares != NULL && !self->retired, "this channel takes no more questions");
    query->channel = self;
    query->ips = (struct eioi_ip_list){0};
    self->queries++;
    if (question->kind == EIOI_ASK_NAME) {
        char name[REVERSE_NAME_MAX];
        reverse_name(&question->ip, name);
        ares_query(self->ares, name, CLASS_IN, TYPE_PTR, on_ptr, query);
        return;
    }
    const struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, // sorted by ourselves
        .ai_family = family_of(question->kind),
        .ai_socktype = SOCK_STREAM,
    };
    ares_getaddrinfo(self->ares, question->name, /* service= */ NULL, &hints, on_addrinfo, query);
}

static void tell(struct eioi_channel *self) {
    struct eioi_list *node;
    while ((node = eioi_list_pop_head(&self->done)) != NULL) {
        self->queries--;
        self->on_done(self->on_done_arg, EIOI_CONTAINER_OF(node, struct eioi_query, node));
    }
}

void eioi_channel_settle(struct eioi_channel *self) {
    self->fibers++; // the channel stays while we are here
    tell(self);
    while (!start_fibers(self)) {
        ares_cancel(self->ares); // nobody would hear an answer
        tell(self);
        if (self->queries == 0)
            break;
    }
    self->starved = false;
    fiber_gone(self);
}

void eioi_channel_retire(struct eioi_channel *self) {
    self->retired = true;
    reap(self);
}

void eioi_channel_destroy(struct eioi_channel *self) {
    EIO_ASSERT(self->fibers == 0, "%u fibers still use the channel", self->fibers);
    if (self->ares != NULL)
        ares_destroy(self->ares);
    tell(self);
    EIO_ASSERT(self->queries == 0, "%u queries outlived their channel", self->queries);
    eioi_free(self);
}

// --- Making one ---

static int library_status;

static void library_init(void) {
    library_status = ares_library_init_mem(ARES_LIB_INIT_ALL, eioi_alloc, eioi_free, eioi_realloc);
}

static eio_err *of_status(int status) {
    if (status == ARES_SUCCESS)
        return NULL;
    if (status == ARES_ENOMEM)
        return eio_err_const(&eio_err_out_of_memory);
    return eio_err_new(&eio_err_net_address_lookup_failed, "can't start c-ares: %s",
                       ares_strerror(status));
}

// Everything that c-ares would else take from files, the environment or the host's name.
static int init_ares(struct eioi_channel *self, const struct eioi_channel_conf *conf) {
    static char no_file[] = "/dev/null", only_dns[] = "b";
    struct ares_options options = {
        .flags = ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
        .timeout = conf->timeout_ms,
        .tries = (int)conf->tries,
        .ndots = (int)conf->ndots,
        .domains = (char **)conf->search,
        .ndomains = (int)conf->search_count,
        .lookups = only_dns,
        .sock_state_cb = eioi_sock_state,
        .sock_state_cb_data = &self->socks,
        .ednspsz = EDNS_BYTES,
        .resolvconf_path = no_file,
    };
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NDOTS |
               ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS | ARES_OPT_SORTLIST | ARES_OPT_SOCK_STATE_CB |
               ARES_OPT_EDNSPSZ | ARES_OPT_RESOLVCONF |
               (conf->rotate ? ARES_OPT_ROTATE : ARES_OPT_NOROTATE);
    if (conf->use_tcp)
        options.flags |= ARES_FLAG_USEVC;
    if (conf->search_count == 0)
        options.flags |= ARES_FLAG_NOSEARCH;
#if ARES_VERSION >= 0x011f00 // 1.31: a cache, of which earlier versions have none
    options.qcache_max_ttl = 0;
    mask |= ARES_OPT_QUERY_CACHE;
#endif
    return ares_init_options(&self->ares, &options, mask);
}

static int set_servers(struct eioi_channel *self, const struct eioi_channel_conf *conf) {
    struct ares_addr_port_node nodes[EIOI_SERVERS_MAX];
    memset(nodes, 0, sizeof nodes);
    for (unsigned i = 0; i < conf->server_count; i++) {
        const struct eioi_server *server = &conf->servers[i];
        const eio_ip ip = eioi_sock_set_server(&self->socks, i, server);
        nodes[i].next = i + 1 < conf->server_count ? &nodes[i + 1] : NULL;
        nodes[i].family = ip.len == 4 ? AF_INET : AF_INET6;
        nodes[i].udp_port = nodes[i].tcp_port = server->port;
        memcpy(&nodes[i].addr, ip.bytes, ip.len);
    }
    return ares_set_servers_ports(self->ares, nodes);
}

eio_err *eioi_channel_create(eio_switch *sw, eio_mono_clock *clock,
                             const struct eioi_channel_conf *conf, eioi_query_done_fn *on_done,
                             void *arg, struct eioi_channel **out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, library_init);
    EIO_TRY(of_status(library_status));
    struct eioi_channel *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    self->sw = sw;
    self->clock = clock;
    self->on_done = on_done;
    self->on_done_arg = arg;
    int shortest_ms = conf->timeout_ms;
#if ARES_VERSION >= 0x012000
    if (shortest_ms > ADAPTIVE_MIN_MS)
        shortest_ms = ADAPTIVE_MIN_MS;
#endif
    self->soonest_ns = shortest_ms * EIO_MILLISECOND;
    eioi_sock_set_init(&self->socks);
    eioi_list_init(&self->done);
    int status = init_ares(self, conf);
    if (status == ARES_SUCCESS) {
        eioi_sock_set_use(&self->socks, self->ares);
        status = set_servers(self, conf);
        if (status != ARES_SUCCESS)
            ares_destroy(self->ares);
    }
    if (status != ARES_SUCCESS)
        eioi_free(self);
    else
        *out = self;
    return of_status(status);
}
