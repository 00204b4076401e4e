// SPDX-License-Identifier: ISC
// Semaphores, as in Eio's benchmark: four workers, each with a fiber beside it that yields all the
// time, acquire, yield and release; a unit is one round of all four.

#include "eio/semaphore.h"

#include <stdatomic.h>
#include <stdio.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

enum { WORKERS = 4 };

struct rounds {
    eio_domain_mgr *mgr; // NULL: all in this domain
    size_t resources;
    size_t n;
    eio_semaphore *semaphore;
    eio_promise *all_started;
    eio_promise_resolver *set_all_started;
    atomic_size_t pending;
    int64_t start; // when the last worker has started
};

static eio_err *work_in(void *arg, eio_switch *sw) {
    struct rounds *self = arg;
    EIO_TRY(eio_fiber_fork_daemon(sw, place_spin, NULL, NULL));
    if (atomic_fetch_sub(&self->pending, 1) == 1) {
        self->start = place_now(self->mgr);
        eio_promise_resolve(self->set_all_started, NULL);
    } else {
        EIO_TRY(eio_promise_await(self->all_started, NULL));
    }
    for (size_t i = 0; i < self->n; i++) {
        EIO_TRY(eio_semaphore_acquire(self->semaphore));
        EIO_TRY(eio_fiber_yield());
        eio_semaphore_release(self->semaphore);
    }
    return NULL;
}

static eio_err *work(void *arg) {
    return eio_switch_run(work_in, arg);
}

static eio_err *work_in_place(void *arg) {
    return run_in_place(((struct rounds *)arg)->mgr, work, arg);
}

static eio_err *work_all(void *arg, eio_switch *sw) {
    struct rounds *self = arg;
    EIO_TRY(eio_semaphore_create(sw, self->resources, &self->semaphore));
    EIO_TRY(eio_promise_create(sw, &self->all_started, &self->set_all_started));
    const struct eio_call worker = {.fn = work_in_place, .arg = self};
    return eio_fiber_all((const struct eio_call[WORKERS]){worker, worker, worker, worker}, WORKERS);
}

static eio_err *rounds(void *arg, size_t n, int64_t *out_ns) {
    struct rounds *self = arg;
    self->n = n;
    atomic_store(&self->pending, WORKERS);
    EIO_TRY(eio_switch_run(work_all, self));
    *out_ns = place_now(self->mgr) - self->start;
    return NULL;
}

static eio_err *semaphore_cases(const struct bench *bench, eio_domain_mgr *mgr) {
    for (size_t resources = 2; resources <= WORKERS; resources++) {
        struct rounds self = {.mgr = mgr, .resources = resources};
        char label[32];
        snprintf(label, sizeof label, "%zu", resources);
        const struct subject subject = {.row = mgr == NULL ? "semaphore" : "semaphore-domains",
                                        .label = label,
                                        .fn = rounds,
                                        .arg = &self};
        EIO_TRY(measure(&subject, bench->size, mgr == NULL ? 100000 : 1000, 1));
    }
    return NULL;
}

eio_err *row_semaphore(const struct bench *bench) {
    return semaphore_cases(bench, NULL);
}

eio_err *row_semaphore_domains(const struct bench *bench) {
    return semaphore_cases(bench, bench->env->domain_mgr);
}
