// SPDX-License-Identifier: ISC

// Who asks makes a request (counted: one reference is the asker's, one the daemon's), puts it into
// the inbox, wakes the daemon if it sleeps, and waits for the request's promise. A cancelled asker
// gives its reference up and is gone; nothing of its stack is known to anybody else.
//
// The daemon fiber takes the inbox and joins each request to the query that asks the same, or makes
// one. When a query has ended its record is taken out of the table first, then all its requests get
// the answer. The daemon sleeps on a promise of its own, which who fills the inbox resolves; the
// lock makes "the inbox is empty" and "I sleep" one step.
//
// Queries are paced: a burst of a thousand would overrun the receive buffer of many a server, and
// what is dropped costs a whole time-out. So at most WINDOW queries are unanswered and young at a
// time. A server that keeps up is never waited for. A query that has no answer after YOUNG_MS isn't
// in anybody's buffer any more, most likely, and no longer counts: so names that nobody answers for
// don't hold the others up until they time out.
//
// The end: the switch cancels the daemon, when it fails or when only daemons are left. Its inner
// switch ends first, and with it the channel's fibers; then the inbox is shut, and what is left is
// answered with "shut down".

#include "resolver/dns.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "eio/err_net.h"
#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "resolver/index.h"
#include "resolver/sort.h"

enum { WINDOW = 40, YOUNG_MS = 100, RETRY_MS = 10, DNS_PORT = 53 };

static const char shut_down[] = "the resolver was shut down";

/** Somebody waits for an answer, or did. */
struct request {
    struct eioi_list node; // in the inbox, then its query's
    atomic_uint refs;
    struct eioi_question question;
    eio_promise *done; // a reference
    eio_promise_resolver *set_done;
    struct eioi_answer *answer; // a reference; set before `done` is resolved; NULL: no memory
};

/** A question on its way, or in the backlog. */
struct query {
    struct eioi_query base;
    struct eioi_list in_bucket;
    struct eioi_list
        in_line;     // in the backlog, or among the young ones; linked to itself when it is old
    int64_t sent_ns; // valid once it is out of the backlog
    struct eioi_list requests;
};

// --- Answers and requests ---

void eioi_answer_unref(struct eioi_answer *self) {
    if (self == NULL || atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    eioi_ip_list_free(&self->ips);
    eioi_free(self);
}

static void request_unref(struct request *self) {
    if (atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel) != 1)
        return;
    eioi_answer_unref(self->answer);
    eio_promise_unref(self->done);
    eioi_free(self);
}

// Gives `answer` (NULL: there is no memory for one) to the asker, and the daemon's reference up.
static void request_finish(struct request *self, struct eioi_answer *answer) {
    if (answer != NULL) {
        atomic_fetch_add_explicit(&answer->refs, 1, memory_order_relaxed);
        self->answer = answer;
    }
    eio_promise_resolve(self->set_done, NULL);
    request_unref(self);
}

// Takes the addresses of `query` over. NULL: no memory.
static struct eioi_answer *answer_create(enum eioi_outcome outcome, const char *reason,
                                         struct eioi_query *query) {
    struct eioi_answer *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return NULL;
    atomic_init(&self->refs, 1);
    self->outcome = outcome;
    self->reason = reason;
    if (query != NULL && outcome == EIOI_ANSWERED) {
        self->ips = query->ips;
        query->ips = (struct eioi_ip_list){0};
        memcpy(self->name, query->name, sizeof self->name);
        eioi_sort_ips(self->ips.items, self->ips.count);
    }
    return self;
}

// --- Queries ---

static uint32_t hash_question(const struct eioi_question *question) {
    uint32_t hash = question->kind == EIOI_ASK_NAME
                        ? eioi_hash_bytes(question->ip.bytes, question->ip.len, 0)
                        : eioi_hash_name(question->name, strlen(question->name));
    return (hash + (uint32_t)question->kind) % EIOI_QUERY_BUCKETS;
}

static bool same_question(const struct eioi_question *a, const struct eioi_question *b) {
    if (a->kind != b->kind)
        return false;
    if (a->kind == EIOI_ASK_NAME)
        return eio_ip_equal(&a->ip, &b->ip);
    return eioi_name_equal(a->name, strlen(a->name), b->name, strlen(b->name));
}

static struct query *find_query(struct eioi_dns *self, const struct eioi_question *question) {
    EIOI_LIST_EACH (it, &self->buckets[hash_question(question)]) {
        struct query *query = EIOI_CONTAINER_OF(it, struct query, in_bucket);
        if (same_question(&query->base.question, question))
            return query;
    }
    return NULL;
}

static void finish_query(struct query *query, struct eioi_answer *answer) {
    struct eioi_list *node;
    eioi_list_unlink(&query->in_bucket);
    eioi_list_unlink(&query->in_line);
    while ((node = eioi_list_pop_head(&query->requests)) != NULL)
        request_finish(EIOI_CONTAINER_OF(node, struct request, node), answer);
    eioi_answer_unref(answer);
    eioi_ip_list_free(&query->base.ips);
    eioi_free(query);
}

static void fail_query(struct query *query, const char *reason) {
    finish_query(query, answer_create(EIOI_NO_ANSWER, reason, NULL));
}

// --- The channel ---

// Where names are searched when nothing says it: in the domain of this machine's name
// (resolv.conf(5)). NULL: it has none.
static const char *local_domain(char host[HOST_NAME_MAX + 1]) {
    if (EIOI_SYS(gethostname, gethostname(host, HOST_NAME_MAX)) != 0)
        return NULL;
    host[HOST_NAME_MAX] = '\0';
    const char *dot = strchr(host, '.');
    return dot == NULL || dot[1] == '\0' ? NULL : dot + 1;
}

// What to make a channel from; `host` is room for what it points to. `conf` was parsed from
// resolv.conf, `opts` win over it.
static void merge_conf(const struct eioi_dns_opts *opts, const struct eioi_resolv_conf *conf,
                       char host[HOST_NAME_MAX + 1], struct eioi_channel_conf *out) {
    *out = (struct eioi_channel_conf){
        .ndots = opts->ndots != 0 ? opts->ndots : conf->ndots,
        .tries = opts->tries != 0 ? opts->tries : conf->tries,
        .timeout_ms = opts->timeout_ms != 0 ? opts->timeout_ms : (int)conf->timeout_s * 1000,
        .rotate = opts->rotate || conf->rotate,
        .use_tcp = opts->use_tcp || conf->use_tcp,
    };
    for (unsigned i = 0; i < opts->server_count; i++)
        out->servers[out->server_count++] = opts->servers[i];
    for (unsigned i = 0; i < conf->server_count && opts->server_count == 0; i++)
        out->servers[out->server_count++] = (struct eioi_server){conf->servers[i], DNS_PORT};
    if (out->server_count == 0)
        out->servers[out->server_count++] = (struct eioi_server){eio_ip_v4_loopback(), DNS_PORT};
    for (unsigned i = 0; i < opts->search_count && !opts->no_search; i++)
        out->search[out->search_count++] = opts->search[i];
    for (unsigned i = 0; i < conf->search_count && opts->search_count == 0 && !opts->no_search; i++)
        out->search[out->search_count++] = conf->search[i];
    const char *domain = NULL;
    if (opts->search_count == 0 && !opts->no_search && !conf->has_search)
        domain = local_domain(host);
    if (domain != NULL)
        out->search[out->search_count++] = domain;
}

static eioi_query_done_fn on_query_done;

// Makes a channel, or another one when resolv.conf has changed; the old one ends with its last
// query. While none can be made the old one goes on.
static eio_err *refresh_channel(struct eioi_dns *self) {
    struct eioi_snapshot *conf;
    struct eioi_channel_conf merged;
    char host[HOST_NAME_MAX + 1];
    struct eioi_channel *channel;
    eio_err *err = eioi_file_cache_get(self->resolv_conf, eio_mono_clock_now(self->clock), &conf);
    if (err != NULL)
        return err;
    if (conf == self->conf) {
        eioi_snapshot_unref(conf);
        return NULL;
    }
    merge_conf(&self->opts, EIOI_CONTAINER_OF(conf, struct eioi_resolv_conf, snapshot), host,
               &merged);
    err = eioi_channel_create(self->sw, self->clock, &merged, on_query_done, self, &channel);
    if (err != NULL) {
        eioi_snapshot_unref(conf);
        return err;
    }
    if (self->channel != NULL)
        eioi_channel_retire(self->channel);
    eioi_snapshot_unref(self->conf);
    self->channel = channel;
    self->conf = conf;
    return NULL;
}

static struct query *of_line(struct eioi_list *node) {
    return EIOI_CONTAINER_OF(node, struct query, in_line);
}

static void send_backlog(struct eioi_dns *self) {
    while (self->young_count < WINDOW && self->channel != NULL &&
           !eioi_list_empty(&self->backlog)) {
        struct query *query = of_line(eioi_list_pop_head(&self->backlog));
        query->sent_ns = eio_mono_clock_now(self->clock);
        eioi_list_push_tail(&self->young, &query->in_line);
        self->young_count++;
        eioi_channel_ask(self->channel, &query->base);
    }
}

static void on_query_done(void *arg, struct eioi_query *base) {
    struct eioi_dns *self = arg;
    struct query *query = EIOI_CONTAINER_OF(base, struct query, base);
    struct eioi_answer *answer = NULL;
    if (base->outcome != EIOI_NO_MEMORY)
        answer = answer_create(base->outcome, base->reason, base);
    if (!eioi_list_empty(&query->in_line))
        self->young_count--;
    finish_query(query, answer);
    send_backlog(self);
}

// Takes those off `young` that are young no more. Returns how long the next one still is; 0 when
// there is none.
static int64_t age(struct eioi_dns *self) {
    int64_t now = eio_mono_clock_now(self->clock);
    while (!eioi_list_empty(&self->young)) {
        struct query *oldest = of_line(self->young.next);
        int64_t left = oldest->sent_ns + YOUNG_MS * EIO_MILLISECOND - now;
        if (left > 0)
            return left;
        eioi_list_unlink(&oldest->in_line);
        self->young_count--;
    }
    return 0;
}

static eio_err *pace(void *arg) {
    struct eioi_dns *self = arg;
    while (!eioi_list_empty(&self->backlog)) {
        eio_err *err = eio_mono_clock_sleep(self->clock, age(self));
        if (err != NULL) {
            eio_err_drop(err); // the end
            break;
        }
        age(self);
        send_backlog(self);
        eioi_channel_settle(self->channel);
    }
    self->pacing = false;
    return NULL;
}

// Without a fiber for it the backlog goes out at once: worse manners, but no harm.
static void start_pacing(struct eioi_dns *self) {
    const struct eio_fork_opts opts = {.name = "resolver pacer"};
    if (self->pacing || eioi_list_empty(&self->backlog))
        return;
    self->pacing = true;
    eio_err *err = eio_fiber_fork(self->sw, pace, self, &opts);
    if (err == NULL)
        return;
    eio_err_drop(err);
    self->pacing = false;
    while (!eioi_list_empty(&self->backlog)) {
        while (!eioi_list_empty(&self->young))
            (void)eioi_list_pop_head(&self->young);
        self->young_count = 0;
        send_backlog(self);
    }
    eioi_channel_settle(self->channel);
}

// --- The daemon ---

static void take_request(struct eioi_dns *self, struct request *request) {
    struct query *query = find_query(self, &request->question);
    if (query == NULL) {
        query = eioi_zalloc(sizeof *query);
        if (query == NULL) {
            request_finish(request, NULL);
            return;
        }
        query->base.question = request->question;
        eioi_list_init(&query->requests);
        eioi_list_push_tail(&self->buckets[hash_question(&request->question)], &query->in_bucket);
        eioi_list_push_tail(&self->backlog, &query->in_line);
    }
    eioi_list_push_tail(&query->requests, &request->node);
}

static void fail_backlog(struct eioi_dns *self, eio_err *err) {
    struct eioi_list *node;
    while ((node = eioi_list_pop_head(&self->backlog)) != NULL) {
        struct query *query = of_line(node);
        if (eio_err_is(err, &eio_err_out_of_memory))
            finish_query(query, NULL);
        else
            fail_query(query, "the resolver's configuration can't be used");
    }
}

static void serve(struct eioi_dns *self, struct eioi_list *requests) {
    struct eioi_list *node;
    while ((node = eioi_list_pop_head(requests)) != NULL)
        take_request(self, EIOI_CONTAINER_OF(node, struct request, node));
    eio_err *err = refresh_channel(self);
    if (err != NULL && self->channel == NULL)
        fail_backlog(self, err);
    eio_err_drop(err);
    if (self->channel == NULL)
        return;
    send_backlog(self);
    eioi_channel_settle(self->channel);
    start_pacing(self);
}

static void move_all(struct eioi_list *from, struct eioi_list *to) {
    struct eioi_list *node;
    while ((node = eioi_list_pop_head(from)) != NULL)
        eioi_list_push_tail(to, node);
}

// Sleeps until there is something in the inbox.
static eio_err *sleep_empty(void *arg, eio_switch *sw) {
    struct eioi_dns *self = arg;
    eio_promise *wake;
    eio_promise_resolver *waker;
    EIO_TRY(eio_promise_create(sw, &wake, &waker));
    eio_promise_ref(wake); // for who wakes us
    eioi_spin_lock(&self->lock);
    bool empty = eioi_list_empty(&self->inbox);
    if (empty) {
        self->wake = wake;
        self->waker = waker;
    }
    eioi_spin_unlock(&self->lock);
    if (!empty) {
        eio_promise_unref(wake);
        return NULL;
    }
    return eio_promise_await(wake, NULL);
}

static eio_err *daemon_body(void *arg, eio_switch *sw) {
    struct eioi_dns *self = arg;
    self->sw = sw;
    while (true) {
        struct eioi_list requests;
        eioi_list_init(&requests);
        eioi_spin_lock(&self->lock);
        move_all(&self->inbox, &requests);
        eioi_spin_unlock(&self->lock);
        if (!eioi_list_empty(&requests))
            serve(self, &requests);
        eio_err *err = eio_switch_run(sleep_empty, self);
        if (err != NULL && !eio_fiber_is_cancelled()) { // no memory to sleep with
            eio_err_drop(err);
            err = eio_mono_clock_sleep(self->clock, RETRY_MS * EIO_MILLISECOND);
        }
        EIO_TRY(err);
    }
}

static void shut_inbox(struct eioi_dns *self) {
    struct eioi_list requests, *node;
    eioi_list_init(&requests);
    eioi_spin_lock(&self->lock);
    self->open = false;
    eio_promise *wake = self->wake;
    self->wake = NULL;
    move_all(&self->inbox, &requests);
    eioi_spin_unlock(&self->lock);
    eio_promise_unref(wake);
    while ((node = eioi_list_pop_head(&requests)) != NULL) {
        struct eioi_answer *answer = answer_create(EIOI_NO_ANSWER, shut_down, NULL);
        request_finish(EIOI_CONTAINER_OF(node, struct request, node), answer);
        eioi_answer_unref(answer);
    }
}

// Retired channels have ended with their fibers, unless queries of theirs were still out: those are
// found by the table.
static void end_queries(struct eioi_dns *self) {
    while (!eioi_list_empty(&self->backlog))
        fail_query(of_line(self->backlog.next), shut_down);
    if (self->channel != NULL)
        eioi_channel_destroy(self->channel);
    self->channel = NULL;
    for (unsigned i = 0; i < EIOI_QUERY_BUCKETS; i++)
        while (!eioi_list_empty(&self->buckets[i]))
            eioi_channel_destroy(
                EIOI_CONTAINER_OF(self->buckets[i].next, struct query, in_bucket)->base.channel);
    eioi_snapshot_unref(self->conf);
    self->conf = NULL;
}

static eio_err *daemon_run(void *arg) {
    struct eioi_dns *self = arg;
    eio_err *err = eio_switch_run(daemon_body, self);
    shut_inbox(self);
    end_queries(self);
    return err;
}

eio_err *eioi_dns_init(struct eioi_dns *self, eio_mono_clock *clock, const char *resolv_conf_path) {
    self->clock = clock;
    eioi_list_init(&self->inbox);
    eioi_list_init(&self->backlog);
    eioi_list_init(&self->young);
    for (unsigned i = 0; i < EIOI_QUERY_BUCKETS; i++)
        eioi_list_init(&self->buckets[i]);
    return eioi_file_cache_create(resolv_conf_path, eioi_resolv_conf_parse, &self->resolv_conf);
}

eio_err *eioi_dns_start(struct eioi_dns *self, eio_switch *sw) {
    bool refused = false;
    const struct eio_fork_opts opts = {.name = "resolver", .refused = &refused};
    self->open = true;
    eio_err *err = eio_fiber_fork_daemon(sw, daemon_run, self, &opts);
    if (err != NULL || refused)
        self->open = false;
    return err;
}

void eioi_dns_fini(struct eioi_dns *self) {
    EIO_ASSERT(self->channel == NULL, "the resolver's daemon outlived its switch");
    for (unsigned i = 0; i < self->opts.search_count; i++)
        eioi_free(self->opts.search[i]);
    self->opts.search_count = 0;
    eioi_file_cache_destroy(self->resolv_conf);
}

// --- Asking ---

struct ask {
    struct eioi_dns *dns;
    const struct eioi_question *question;
    struct eioi_answer *answer; // set when the answer came
};

// Puts a request into the inbox; false when nobody would take it out.
static bool post(struct eioi_dns *self, struct request *request) {
    eioi_spin_lock(&self->lock);
    bool open = self->open;
    eio_promise *wake = NULL;
    eio_promise_resolver *waker = self->waker;
    if (open) {
        eioi_list_push_tail(&self->inbox, &request->node);
        wake = self->wake;
        self->wake = NULL;
    }
    eioi_spin_unlock(&self->lock);
    if (wake != NULL) {
        eio_promise_resolve(waker, NULL);
        eio_promise_unref(wake);
    }
    return open;
}

// The asker's reference of a request.
static void request_cleanup(struct request **self) {
    if (*self != NULL)
        request_unref(*self);
}

static eio_err *ask_body(void *arg, eio_switch *sw) {
    struct ask *ask = arg;
    eio_promise *done;
    eio_promise_resolver *set_done;
    EIO_TRY(eio_promise_create(sw, &done, &set_done));
    EIO_CLEANUP(request_cleanup) struct request *request = eioi_zalloc(sizeof *request);
    if (request == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    atomic_init(&request->refs, 2);
    request->question = *ask->question;
    request->done = eio_promise_ref(done);
    request->set_done = set_done;
    if (!post(ask->dns, request)) {
        request_unref(request); // the daemon's
        return eio_err_new(&eio_err_net_address_lookup_failed, shut_down);
    }
    EIO_TRY(eio_promise_await(done, NULL));
    if (request->answer == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    ask->answer = request->answer;
    request->answer = NULL;
    return NULL;
}

eio_err *eioi_dns_ask(struct eioi_dns *self, const struct eioi_question *question,
                      struct eioi_answer **out) {
    struct ask ask = {.dns = self, .question = question};
    EIO_TRY(eio_switch_run(ask_body, &ask));
    *out = ask.answer;
    return NULL;
}
