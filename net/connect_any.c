// SPDX-License-Identifier: ISC

// A connection belongs to the switch of the whole call from its first moment, so that whoever ends
// the call, at whatever point, ends it, too. An attempt that lost (to its time-out, or to a quicker
// one) may have connected all the same: then it's closed and freed by the one who knows that it
// isn't wanted.
//
// Happy Eyeballs: a scope in which the calling fiber directs, and each lookup and each attempt is a
// daemon, so that they are cancelled and waited for as soon as the director returns, be it with a
// winner or an error. Daemons never fail their scope; they write down what happened and broadcast,
// and the director looks again. All is done in one domain, so between its look and its wait nothing
// can change.
//
// Who wins: the first daemon that finds no winner. Attempts' errors are kept in the order in which
// the attempts began.

#include "eio/connect_any.h"

#include <stdbool.h>
#include <string.h>

#include "eio/condition.h"
#include "eio/err_net.h"
#include "eio/fiber.h"
#include "eio/net_pi.h"
#include "net/context.h"

#define ATTEMPT_DELAY_NS (250 * EIO_MILLISECOND)
#define RESOLUTION_DELAY_NS (50 * EIO_MILLISECOND)

/** A call of eio_net_with_tcp_connect. */
struct call {
    eio_net *net;
    const char *host;
    const char *service;
    const struct eio_tcp_connect_opts *opts; // never NULL
    eio_connected_fn *fn;
    void *arg;
};

// --- One attempt ---------------------------------------------------------------------------------

/** An attempt within its time-out. */
struct attempt {
    const struct call *call;
    eio_switch *sw; // of the connection
    eio_sockaddr addr;
    eio_stream_socket *socket; // NULL until connected
};

static eio_err *connect_one(void *arg) {
    struct attempt *self = arg;
    return eio_net_connect(self->call->net, self->sw, &self->addr, /* opts= */ NULL, &self->socket);
}

/**
 * Whether an attempt took too long. Its connect may have failed, too, while it was being cancelled.
 */
static bool took_too_long(const eio_err *err) {
    if (eio_err_is(err, &eio_err_timeout))
        return true;
    return eio_err_child_count(err) == 2 && eio_err_is(eio_err_child(err, 0), &eio_err_timeout) &&
           eio_err_is(eio_err_child(err, 1), &eio_err_io);
}

/** Connects; an attempt that took too long has failed with Net Connection_failure Timeout. */
static eio_err *try_one(struct attempt *self) {
    eio_err *err = eio_timeout_run(self->call->opts->timeout, connect_one, self);
    if (err != NULL && self->socket != NULL) {
        eio_flow_free(&self->socket->flow); // connected, but too late
        self->socket = NULL;
    }
    if (!took_too_long(err))
        return err;
    eio_err_drop(err);
    return eio_err_const(&eio_err_net_timeout);
}

// --- One address after another -------------------------------------------------------------------

/** Drops all but TCP addresses, keeping the order. */
static void keep_tcp(eio_sockaddr_list *list) {
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == EIO_TCP)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

static eio_err *lookup(const struct call *call, eio_switch *sw, eio_sockaddr_list *out) {
    EIO_TRY(eio_net_getaddrinfo_stream(call->net, sw, call->host, call->service, out));
    keep_tcp(out);
    return NULL;
}

static eio_err *connect_in_turn(const struct call *call, eio_switch *sw, eio_stream_socket **out) {
    eio_sockaddr_list addrs;
    EIO_TRY(lookup(call, sw, &addrs));
    eio_err *err = eio_err_const(&eio_err_net_no_matching_addresses);
    for (size_t i = 0; i < addrs.count; i++) {
        struct attempt attempt = {.call = call, .sw = sw, .addr = addrs.items[i]};
        eio_err_drop(err);
        err = try_one(&attempt);
        if (err == NULL) {
            *out = attempt.socket;
            return NULL;
        }
        if (!eio_err_is(err, &eio_err_io))
            return err;
    }
    return err;
}

// --- Happy Eyeballs ------------------------------------------------------------------------------

/** The addresses of one family, and their lookup where there is one of its own. */
struct family {
    struct race *race;
    eio_ip_family which;
    eio_sockaddr_list addrs; // valid when `done`; in the memory of the call's switch
    size_t next;             // the first one that wasn't tried
    bool done;               // nothing is being looked up
    eio_err *err;            // why the lookup failed; NULL: it didn't
};

/** An attempt in a fiber of its own; in the scope's memory. */
struct runner {
    struct attempt attempt;
    struct race *race;
    struct runner *younger; // the attempt that began next
    eio_err *err;           // why it failed; NULL: it hasn't, or that was taken off
};

struct race {
    const struct call *call;
    eio_switch *sw;                        // of the call: connections, addresses
    eio_switch *scope;                     // of the daemons
    eio_condition *changed;                // something below has changed
    struct family families[2];             // the preferred one first
    size_t turn;                           // index of the family that is tried next
    struct runner *oldest, **youngest_end; // attempts, in the order in which they began
    size_t active;                         // attempts that haven't ended
    size_t failures;                       // attempts that have failed
    bool fatal;                            // one of them not because of the world outside
    bool over;                             // the director has left: nobody hears of errors any more
    eio_stream_socket *winner;             // NULL: none yet
};

static bool has_next(const struct family *self) {
    return self->done && self->next < self->addrs.count;
}

static eio_err *await_broadcast(void *arg) {
    struct race *race = arg;
    return eio_condition_await_no_mutex(race->changed);
}

/**
 * Waits for a change, at most until `deadline_ns` (INT64_MAX: without end); which it was isn't
 * said.
 */
static eio_err *await_change(struct race *race, int64_t deadline_ns) {
    eio_mono_clock *clock = race->call->opts->happy_clock;
    if (deadline_ns == INT64_MAX)
        return await_broadcast(race);
    eio_timeout rest = eio_timeout_ns(clock, deadline_ns - eio_mono_clock_now(clock));
    eio_err *err = eio_timeout_run(rest, await_broadcast, race);
    eio_err_catch(&err, &eio_err_timeout);
    return err;
}

/** The moment `delay_ns`, or where that is 0 `standard_ns`, from now. */
static int64_t deadline_after(const struct race *race, int64_t delay_ns, int64_t standard_ns) {
    int64_t delay = delay_ns > 0 ? delay_ns : standard_ns, deadline;
    int64_t now = eio_mono_clock_now(race->call->opts->happy_clock);
    return __builtin_add_overflow(now, delay, &deadline) ? INT64_MAX : deadline;
}

static bool has_passed(const struct race *race, int64_t deadline_ns) {
    return eio_mono_clock_now(race->call->opts->happy_clock) >= deadline_ns;
}

/** An attempt's fiber. */
static eio_err *run_attempt(void *arg) {
    struct runner *self = arg;
    struct race *race = self->race;
    eio_err *err = try_one(&self->attempt);
    race->active--;
    if (err == NULL && race->winner == NULL && !race->over) {
        race->winner = self->attempt.socket;
    } else if (err == NULL) {
        eio_flow_free(&self->attempt.socket->flow);
    } else if (race->over) {
        eio_err_drop(err);
    } else {
        race->failures++;
        race->fatal = race->fatal || !eio_err_is(err, &eio_err_io);
        self->err = err;
    }
    eio_condition_broadcast(race->changed);
    return NULL;
}

static eio_err *start_attempt(struct race *race, const eio_sockaddr *addr) {
    struct runner *runner;
    EIO_TRY(EIO_SWITCH_NEW(race->scope, &runner));
    runner->race = race;
    runner->attempt = (struct attempt){.call = race->call, .sw = race->sw, .addr = *addr};
    *race->youngest_end = runner;
    race->youngest_end = &runner->younger;
    race->active++;
    const struct eio_fork_opts opts = {.name = "connect"};
    eio_err *err = eio_fiber_fork_daemon(race->scope, run_attempt, runner, &opts);
    if (err != NULL)
        race->active--;
    return err;
}

/**
 * The next address: of the family whose turn it is, else of the other one; NULL when there is none
 * now.
 */
static const eio_sockaddr *next_addr(struct race *race) {
    struct family *family = &race->families[race->turn];
    if (!has_next(family))
        family = &race->families[1 - race->turn];
    if (!has_next(family))
        return NULL;
    race->turn = family == &race->families[0] ? 1 : 0;
    return &family->addrs.items[family->next++];
}

/** Combines what the attempts failed with, in the order in which they began. */
static eio_err *take_errors(struct race *race) {
    eio_err *all = NULL;
    for (struct runner *it = race->oldest; it != NULL; it = it->younger) {
        eio_err *err = it->err;
        it->err = NULL;
        if (err == eio_err_const(&eio_err_net_timeout)) {
            char addr[EIO_SOCKADDR_STR_MAX];
            err = eio_err_add_context(err, "connecting to %s",
                                      eio_sockaddr_str(&it->attempt.addr, addr));
        }
        all = eio_err_collect(all, err);
    }
    return all;
}

/** Starts an attempt at each address in turn, until one has won or all have failed. */
static eio_err *try_all(struct race *race) {
    const struct eio_tcp_connect_opts *opts = race->call->opts;
    while (race->winner == NULL && !race->fatal) {
        size_t failures = race->failures;
        const eio_sockaddr *addr = next_addr(race);
        if (addr != NULL) {
            EIO_TRY(start_attempt(race, addr));
            int64_t next = deadline_after(race, opts->attempt_delay_ns, ATTEMPT_DELAY_NS);
            while (race->winner == NULL && race->failures == failures && !has_passed(race, next))
                EIO_TRY(await_change(race, next));
        } else if (race->active > 0 || !race->families[0].done || !race->families[1].done) {
            EIO_TRY(await_change(race, INT64_MAX));
        } else {
            break;
        }
    }
    return NULL;
}

// --- Happy Eyeballs: lookups ---------------------------------------------------------------------

/** A lookup's fiber. */
static eio_err *run_lookup(void *arg) {
    struct family *self = arg;
    struct race *race = self->race;
    const struct call *call = race->call;
    eio_sockaddr_list addrs;
    eio_err *err = call->net->ops->getaddrinfo_family(call->net, race->sw, call->host,
                                                      call->service, self->which, &addrs);
    if (race->over) {
        eio_err_drop(err);
        return NULL;
    }
    self->err = eioi_net_looking_up(err, call->host);
    if (err == NULL) {
        keep_tcp(&addrs);
        self->addrs = addrs;
    }
    self->done = true;
    eio_condition_broadcast(race->changed);
    return NULL;
}

/** Asks for both families at once; returns when there is something to try, or nothing will come. */
static eio_err *lookup_families(struct race *race) {
    struct family *v6 = &race->families[0], *v4 = &race->families[1];
    const struct eio_fork_opts opts = {.name = "lookup"};
    v6->done = v4->done = false;
    EIO_TRY(eio_fiber_fork_daemon(race->scope, run_lookup, v6, &opts));
    EIO_TRY(eio_fiber_fork_daemon(race->scope, run_lookup, v4, &opts));
    while (!has_next(v6) && !has_next(v4) && !(v6->done && v4->done))
        EIO_TRY(await_change(race, INT64_MAX));
    if (!has_next(v4))
        return NULL;
    // A came first. AAAA is preferred, so it gets a moment more.
    int64_t deadline =
        deadline_after(race, race->call->opts->resolution_delay_ns, RESOLUTION_DELAY_NS);
    while (!v6->done && !has_passed(race, deadline))
        EIO_TRY(await_change(race, deadline));
    return NULL;
}

/**
 * Distributes the addresses of one lookup to the families: that of the first address is the
 * preferred one.
 */
static eio_err *lookup_together(struct race *race) {
    eio_sockaddr_list all;
    EIO_TRY(lookup(race->call, race->sw, &all));
    if (all.count == 0)
        return NULL;
    void *other;
    EIO_TRY(eio_switch_alloc(race->sw, all.count * sizeof *all.items, &other));
    struct family *first = &race->families[0], *second = &race->families[1];
    size_t preferred_len = all.items[0].ip.len;
    first->addrs.items = all.items;
    second->addrs.items = other;
    for (size_t i = 0; i < all.count; i++) {
        struct family *family = all.items[i].ip.len == preferred_len ? first : second;
        family->addrs.items[family->addrs.count++] = all.items[i];
    }
    return NULL;
}

static bool same_error(const eio_err *a, const eio_err *b) {
    return a != NULL && b != NULL && eio_err_kind_of(a) == eio_err_kind_of(b) &&
           eio_err_errno(a) == eio_err_errno(b) && strcmp(eio_err_text(a), eio_err_text(b)) == 0;
}

/**
 * What the lookups failed with, once if it's the same; No_matching_addresses when they found
 * nothing usable.
 */
static eio_err *take_lookup_errors(struct race *race) {
    struct family *v6 = &race->families[0], *v4 = &race->families[1];
    if (same_error(v6->err, v4->err))
        eio_err_cleanup(&v6->err);
    eio_err *err = eio_err_combine(v6->err, v4->err);
    v6->err = v4->err = NULL;
    return err != NULL ? err : eio_err_const(&eio_err_net_no_matching_addresses);
}

static eio_err *find_addresses(struct race *race) {
    struct family *families = race->families;
    if (race->call->net->ops->getaddrinfo_family == NULL)
        return lookup_together(race);
    EIO_TRY(lookup_families(race));
    if (eio_err_is(families[0].err, &eio_err_not_available) &&
        eio_err_is(families[1].err, &eio_err_not_available)) {
        eio_err_cleanup(&families[0].err);
        eio_err_cleanup(&families[1].err);
        return lookup_together(race);
    }
    return NULL;
}

// --- Happy Eyeballs: the whole -------------------------------------------------------------------

/** Returns when there is a winner, or with what the race failed with. */
static eio_err *direct(struct race *race) {
    EIO_TRY(eio_condition_create(race->scope, &race->changed));
    EIO_TRY(find_addresses(race));
    EIO_TRY(try_all(race));
    if (race->winner != NULL)
        return NULL;
    return race->oldest != NULL ? take_errors(race) : take_lookup_errors(race);
}

static eio_err *run_race(void *arg, eio_switch *scope) {
    struct race *race = arg;
    race->scope = scope;
    eio_err *err = direct(race);
    race->over = true;
    for (struct runner *it = race->oldest; it != NULL; it = it->younger)
        eio_err_cleanup(&it->err);
    eio_err_cleanup(&race->families[0].err);
    eio_err_cleanup(&race->families[1].err);
    return err;
}

static eio_err *connect_racing(const struct call *call, eio_switch *sw, eio_stream_socket **out) {
    struct race race = {.call = call, .sw = sw};
    race.families[0] = (struct family){.race = &race, .which = EIO_IP_V6, .done = true};
    race.families[1] = (struct family){.race = &race, .which = EIO_IP_V4, .done = true};
    race.youngest_end = &race.oldest;
    eio_err *err = eio_switch_run(run_race, &race);
    if (err != NULL && race.winner != NULL) {
        eio_flow_free(&race.winner->flow);
        return err;
    }
    EIO_TRY(err);
    *out = race.winner;
    return NULL;
}

// --- The call ------------------------------------------------------------------------------------

static eio_err *with_connection(void *arg, eio_switch *sw) {
    const struct call *self = arg;
    eio_stream_socket *socket = NULL;
    eio_err *err = self->opts->happy_clock != NULL ? connect_racing(self, sw, &socket)
                                                   : connect_in_turn(self, sw, &socket);
    EIO_TRY(eioi_net_connecting_to(err, self->host, self->service));
    return self->fn(self->arg, &socket->flow);
}

eio_err *eio_net_with_tcp_connect(eio_net *net, const char *host, const char *service,
                                  const struct eio_tcp_connect_opts *opts, eio_connected_fn *fn,
                                  void *arg) {
    static const struct eio_tcp_connect_opts defaults;
    struct call call = {.net = net,
                        .host = host,
                        .service = service,
                        .opts = opts != NULL ? opts : &defaults,
                        .fn = fn,
                        .arg = arg};
    return eio_switch_run(with_connection, &call);
}
