// SPDX-License-Identifier: ISC
// Promises: reading a resolved one; Eio's client and server, each of whose messages carries the
// resolver for the answer.

#include "eio/promise.h"

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

eio_err *place_spin(void *arg) {
    (void)arg;
    for (;;)
        EIO_TRY(eio_fiber_yield());
}

struct message {
    size_t number;
    bool last;
    eio_promise_resolver *answer; // not valid in the last one
};

struct exchange {
    eio_domain_mgr *mgr; // NULL: both in this domain
    bool spin;
    size_t n;
    eio_promise *first;
    eio_promise_resolver *set_first;
    struct message responses[3], requests[2]; // a message is valid until it has been answered
};

/** One turn of either party: its promise lives as long as the turn. */
struct turn {
    struct message *message;  // to be sent
    eio_promise_resolver *to; // to whom; afterwards not valid any more
    const struct message *got;
};

static eio_err *turn_in(void *arg, eio_switch *sw) {
    struct turn *self = arg;
    eio_promise *promise;
    void *value;
    EIO_TRY(eio_promise_create(sw, &promise, &self->message->answer));
    eio_promise_resolve(self->to, self->message);
    EIO_TRY(eio_promise_await(promise, &value));
    self->got = value;
    return NULL;
}

static eio_err *serve(struct exchange *self) {
    struct turn turn = {.to = self->set_first};
    for (size_t i = 0; i <= self->n; i++) {
        turn.message = &self->responses[i % 2];
        turn.message->number = i;
        turn.message->last = false;
        EIO_TRY(eio_switch_run(turn_in, &turn));
        if (turn.got->number != i)
            return eio_err_failure("a wrong request");
        turn.to = turn.got->answer;
    }
    self->responses[2].last = true;
    eio_promise_resolve(turn.to, &self->responses[2]);
    return NULL;
}

static eio_err *ask(struct exchange *self) {
    struct turn turn = {0};
    void *first;
    EIO_TRY(eio_promise_await(self->first, &first));
    turn.got = first;
    for (size_t i = 0; !turn.got->last; i++) {
        if (turn.got->number != i)
            return eio_err_failure("a wrong response");
        turn.to = turn.got->answer;
        turn.message = &self->requests[i % 2];
        turn.message->number = i;
        EIO_TRY(eio_switch_run(turn_in, &turn));
    }
    return NULL;
}

static eio_err *serve_in(void *arg, eio_switch *sw) {
    struct exchange *self = arg;
    if (self->spin)
        EIO_TRY(eio_fiber_fork_daemon(sw, place_spin, NULL, NULL));
    return serve(self);
}

static eio_err *ask_in(void *arg, eio_switch *sw) {
    struct exchange *self = arg;
    if (self->spin)
        EIO_TRY(eio_fiber_fork_daemon(sw, place_spin, NULL, NULL));
    return ask(self);
}

static eio_err *server(void *arg) {
    return eio_switch_run(serve_in, arg);
}

static eio_err *server_in_place(void *arg) {
    return run_in_place(((struct exchange *)arg)->mgr, server, arg);
}

static eio_err *client(void *arg) {
    return eio_switch_run(ask_in, arg);
}

static eio_err *exchange_in(void *arg, eio_switch *sw) {
    struct exchange *self = arg;
    EIO_TRY(eio_promise_create(sw, &self->first, &self->set_first));
    return eio_fiber_both(server_in_place, self, client, self);
}

static eio_err *exchanges(void *arg, size_t n, int64_t *out_ns) {
    struct exchange *self = arg;
    self->n = n;
    int64_t start = place_now(self->mgr);
    EIO_TRY(eio_switch_run(exchange_in, self));
    *out_ns = place_now(self->mgr) - start;
    return NULL;
}

// A resolved one

struct reads {
    size_t n;
    int64_t ns;
};

static eio_err *read_in(void *arg, eio_switch *sw) {
    struct reads *self = arg;
    eio_promise *promise;
    eio_promise_resolver *resolver;
    size_t sum = 0;
    int one = 1;
    EIO_TRY(eio_promise_create(sw, &promise, &resolver));
    eio_promise_resolve(resolver, &one);
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++) {
        void *value;
        EIO_TRY(eio_promise_await(promise, &value));
        sum += (size_t)(*(const int *)value);
    }
    self->ns = measure_cpu_ns() - start;
    return sum == self->n ? NULL : eio_err_failure("a wrong sum");
}

static eio_err *reads(void *arg, size_t n, int64_t *out_ns) {
    struct reads self = {.n = n};
    (void)arg;
    EIO_TRY(eio_switch_run(read_in, &self));
    *out_ns = self.ns;
    return NULL;
}

eio_err *row_promise_read(const struct bench *bench) {
    const struct subject subject = {.row = "promise-read", .label = "", .fn = reads};
    return measure(&subject, bench->size, 5000000, 1);
}

eio_err *row_promise(const struct bench *bench) {
    struct exchange here = {.mgr = NULL};
    const struct subject subject = {.row = "promise", .label = "", .fn = exchanges, .arg = &here};
    return measure(&subject, bench->size, 200000, 1);
}

eio_err *row_promise_domains(const struct bench *bench) {
    struct exchange spinning = {.mgr = bench->env->domain_mgr, .spin = true};
    struct exchange sleeping = {.mgr = bench->env->domain_mgr};
    const struct subject subjects[] = {
        {.row = "promise-domains", .label = "busy", .fn = exchanges, .arg = &spinning},
        {.row = "promise-domains", .label = "asleep", .fn = exchanges, .arg = &sleeping}};
    EIO_TRY(measure(&subjects[0], bench->size, 5000, 1));
    return measure(&subjects[1], bench->size, 2000, 1);
}
