// SPDX-License-Identifier: ISC
// Streams, as in Eio's benchmark: ten fibers add, one takes, in each of the domains that send and
// of those that receive; beside them a fiber yields all the time.

#include "eio/stream.h"

#include <stdatomic.h>
#include <stdio.h>

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

enum { SENDERS = 10 };

struct sends {
    eio_domain_mgr *mgr; // NULL: all in this domain
    size_t domains;      // that send, and that receive; 0: this one does both
    size_t capacity;
    size_t each; // items of a sender
    eio_stream *stream;
    atomic_size_t total;
};

static eio_err *add(void *arg) {
    struct sends *self = arg;
    for (size_t i = 1; i <= self->each; i++)
        EIO_TRY(eio_stream_add(self->stream, (void *)(uintptr_t)i));
    return NULL;
}

static eio_err *send_in(void *arg, eio_switch *sw) {
    EIO_TRY(eio_fiber_fork_daemon(sw, place_spin, NULL, NULL));
    for (size_t i = 0; i < SENDERS; i++)
        EIO_TRY(eio_fiber_fork(sw, add, arg, NULL));
    return NULL;
}

static eio_err *sender(void *arg) {
    return eio_switch_run(send_in, arg);
}

static eio_err *sender_in_place(void *arg) {
    return run_in_place(((struct sends *)arg)->mgr, sender, arg);
}

static eio_err *receive_in(void *arg, eio_switch *sw) {
    struct sends *self = arg;
    size_t sum = 0;
    EIO_TRY(eio_fiber_fork_daemon(sw, place_spin, NULL, NULL));
    for (size_t i = 0; i < self->each * SENDERS; i++) {
        void *item;
        EIO_TRY(eio_stream_take(self->stream, &item));
        sum += (size_t)(uintptr_t)item;
    }
    atomic_fetch_add(&self->total, sum);
    return NULL;
}

static eio_err *receiver(void *arg) {
    return eio_switch_run(receive_in, arg);
}

static eio_err *receiver_in_place(void *arg) {
    return run_in_place(((struct sends *)arg)->mgr, receiver, arg);
}

static eio_err *parties(void *arg, eio_switch *sw) {
    struct sends *self = arg;
    const size_t domains = self->domains == 0 ? 1 : self->domains;
    EIO_TRY(eio_stream_create(sw, self->capacity, &self->stream));
    for (size_t i = 0; i < domains; i++)
        EIO_TRY(eio_fiber_fork(sw, sender_in_place, self, NULL));
    for (size_t i = 1; i < domains; i++)
        EIO_TRY(eio_fiber_fork(sw, receiver_in_place, self, NULL));
    return eio_fiber_fork(sw, receiver, self, NULL);
}

static eio_err *sends(void *arg, size_t n, int64_t *out_ns) {
    struct sends *self = arg;
    const size_t domains = self->domains == 0 ? 1 : self->domains;
    self->each = n / SENDERS / domains;
    atomic_store(&self->total, 0);
    int64_t start = place_now(self->mgr);
    EIO_TRY(eio_switch_run(parties, self));
    *out_ns = place_now(self->mgr) - start;
    const size_t expected = domains * SENDERS * (self->each * (self->each + 1) / 2);
    return atomic_load(&self->total) == expected ? NULL : eio_err_failure("items were lost");
}

static eio_err *stream_cases(const struct bench *bench, size_t domains) {
    static const size_t capacities[] = {0, 1, 100};
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        struct sends self = {.mgr = domains == 0 ? NULL : bench->env->domain_mgr,
                             .domains = domains,
                             .capacity = capacities[i]};
        const size_t parties = domains == 0 ? 1 : domains;
        char label[64];
        if (domains == 0)
            snprintf(label, sizeof label, "%zu", capacities[i]);
        else
            snprintf(label, sizeof label, "%zu domains, capacity %zu", domains, capacities[i]);
        const struct subject subject = {.row = domains == 0 ? "stream" : "stream-domains",
                                        .label = label,
                                        .fn = sends,
                                        .arg = &self};
        EIO_TRY(measure(&subject, bench->size, domains == 0 ? 400000 : 4000, SENDERS * parties));
    }
    return NULL;
}

eio_err *row_stream(const struct bench *bench) {
    return stream_cases(bench, 0);
}

eio_err *row_stream_domains(const struct bench *bench) {
    const size_t most = bench->size == SIZE_SHORTEST ? 1 : 4;
    for (size_t domains = 1; domains <= most; domains *= 2)
        EIO_TRY(stream_cases(bench, domains));
    return NULL;
}
