// SPDX-License-Identifier: ISC
// Mutexes, as in Eio's benchmark: fibers, or domains, that each lock, yield, and unlock.

#include "eio/mutex.h"

#include <stdio.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

struct workers {
    eio_domain_mgr *mgr; // NULL: all in this domain
    size_t count;
    size_t each;
    eio_mutex *mutex;
    size_t value; // under the mutex
};

static eio_err *work(void *arg) {
    struct workers *self = arg;
    for (size_t i = 0; i < self->each; i++) {
        EIO_TRY(eio_mutex_lock(self->mutex));
        const size_t x = self->value;
        self->value = x + 1;
        EIO_TRY(eio_fiber_yield());
        if (self->value != x + 1)
            return eio_err_failure("two hold the mutex");
        self->value = x;
        eio_mutex_unlock(self->mutex);
    }
    return NULL;
}

static eio_err *work_in_place(void *arg) {
    return run_in_place(((struct workers *)arg)->mgr, work, arg);
}

static eio_err *work_in(void *arg, eio_switch *sw) {
    struct workers *self = arg;
    EIO_TRY(eio_mutex_create(sw, &self->mutex));
    for (size_t i = 0; i < self->count; i++)
        EIO_TRY(eio_fiber_fork(sw, work_in_place, self, NULL));
    return NULL;
}

static eio_err *locks(void *arg, size_t n, int64_t *out_ns) {
    struct workers *self = arg;
    self->each = n / self->count;
    int64_t start = place_now(self->mgr);
    EIO_TRY(eio_switch_run(work_in, self));
    *out_ns = place_now(self->mgr) - start;
    return NULL;
}

static eio_err *mutex_cases(const struct bench *bench, eio_domain_mgr *mgr) {
    static const size_t counts[] = {1, 2, 8};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct workers self = {.mgr = mgr, .count = counts[i]};
        char label[32];
        snprintf(label, sizeof label, "%zu", counts[i]);
        const struct subject subject = {.row = mgr == NULL ? "mutex" : "mutex-domains",
                                        .label = label,
                                        .fn = locks,
                                        .arg = &self};
        EIO_TRY(measure(&subject, bench->size, mgr == NULL ? 400000 : 4000, counts[i]));
    }
    return NULL;
}

eio_err *row_mutex(const struct bench *bench) {
    return mutex_cases(bench, NULL);
}

eio_err *row_mutex_domains(const struct bench *bench) {
    return mutex_cases(bench, bench->env->domain_mgr);
}
