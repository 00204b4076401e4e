// SPDX-License-Identifier: ISC
// Conditions, as in Eio's benchmark: one publishes 100,000 values, each with a broadcast, and two
// others look at a value whenever they hear of one; a unit is one broadcast.

#include "eio/condition.h"

#include <stdatomic.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

struct publication {
    eio_domain_mgr *mgr; // NULL: all in this domain
    size_t target;
    atomic_size_t value;
    eio_condition *condition;
};

static eio_err *publish(void *arg) {
    struct publication *self = arg;
    for (size_t i = 1; i <= self->target; i++) {
        atomic_store_explicit(&self->value, i, memory_order_release);
        eio_condition_broadcast(self->condition);
    }
    return NULL;
}

static eio_err *hear(void *arg) {
    struct publication *self = arg;
    return eio_condition_await_no_mutex(self->condition);
}

static eio_err *look(void *arg) {
    struct publication *self = arg;
    bool done = atomic_load_explicit(&self->value, memory_order_acquire) == self->target;
    return done ? eio_err_const(&eio_err_exit) : NULL;
}

static eio_err *consume(void *arg) {
    eio_err *err = NULL;
    while (err == NULL)
        err = eio_fiber_both(hear, arg, look, arg);
    return eio_err_catch(&err, &eio_err_exit) ? NULL : err;
}

static eio_err *consume_in_place(void *arg) {
    return run_in_place(((struct publication *)arg)->mgr, consume, arg);
}

static eio_err *all_in(void *arg, eio_switch *sw) {
    struct publication *self = arg;
    const struct eio_call calls[3] = {{.fn = consume_in_place, .arg = self},
                                      {.fn = consume_in_place, .arg = self},
                                      {.fn = publish, .arg = self}};
    EIO_TRY(eio_condition_create(sw, &self->condition));
    atomic_store(&self->value, 0);
    return eio_fiber_all(calls, 3);
}

static eio_err *broadcasts(void *arg, size_t n, int64_t *out_ns) {
    struct publication *self = arg;
    self->target = n;
    int64_t start = place_now(self->mgr);
    EIO_TRY(eio_switch_run(all_in, self));
    *out_ns = place_now(self->mgr) - start;
    return NULL;
}

static eio_err *condition_case(const struct bench *bench, eio_domain_mgr *mgr) {
    struct publication self = {.mgr = mgr};
    const struct subject subject = {.row = mgr == NULL ? "condition" : "condition-domains",
                                    .label = "broadcast",
                                    .fn = broadcasts,
                                    .arg = &self};
    return measure(&subject, bench->size, mgr == NULL ? 1000000 : 50000, 1);
}

eio_err *row_condition(const struct bench *bench) {
    return condition_case(bench, NULL);
}

eio_err *row_condition_domains(const struct bench *bench) {
    return condition_case(bench, bench->env->domain_mgr);
}
