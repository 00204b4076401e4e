// SPDX-License-Identifier: ISC
// Cancellation: of a scope whose fibers all wait; and Eio's case, the first of two streams to have
// an item, again and again.

#include <stdio.h>

#include "eio/cancel.h"
#include "eio/fiber.h"
#include "eio/stream.h"
#include "tools/bench/fibers/rows.h"

struct waiting {
    size_t fibers;
    int64_t start;
};

static eio_err *wait_for_cancel(void *arg) {
    (void)arg;
    return eio_fiber_await_cancel();
}

static eio_err *fork_and_fail(void *arg, eio_switch *sw) {
    struct waiting *self = arg;
    for (size_t i = 0; i < self->fibers; i++)
        EIO_TRY(eio_fiber_fork(sw, wait_for_cancel, NULL, NULL));
    self->start = measure_wall_ns();
    return eio_err_const(&eio_err_exit);
}

/**
 * From the failure of the scope until it has ended; the forks aren't counted. By the wall clock:
 * asking for CPU time costs more than a scope of one fiber.
 */
static eio_err *cancels(void *arg, size_t n, int64_t *out_ns) {
    struct waiting self = {.fibers = *(const size_t *)arg};
    *out_ns = 0;
    for (size_t i = 0; i < n; i += self.fibers) {
        eio_err *err = eio_switch_run(fork_and_fail, &self);
        *out_ns += measure_wall_ns() - self.start;
        if (!eio_err_catch(&err, &eio_err_exit))
            return err;
    }
    return NULL;
}

// The first of two

struct sender {
    eio_stream *stream;
    size_t n;
};

struct take_first {
    struct sender senders[2];
    size_t n;
    int64_t ns;
};

static eio_err *send(void *arg) {
    struct sender *self = arg;
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(eio_stream_add(self->stream, self));
    return NULL;
}

static eio_err *take(void *arg) {
    void *item;
    return eio_stream_take(arg, &item);
}

static eio_err *take_first_in(void *arg, eio_switch *sw) {
    struct take_first *self = arg;
    for (size_t i = 0; i < 2; i++) {
        self->senders[i].n = self->n;
        EIO_TRY(eio_stream_create(sw, 1, &self->senders[i].stream));
        EIO_TRY(eio_fiber_fork(sw, send, &self->senders[i], NULL));
    }
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < self->n; i++)
        EIO_TRY(
            eio_fiber_first(take, self->senders[0].stream, take, self->senders[1].stream, NULL));
    self->ns = measure_cpu_ns() - start;
    return eio_err_const(&eio_err_exit);
}

static eio_err *take_first(void *arg, size_t n, int64_t *out_ns) {
    struct take_first self = {.n = n};
    (void)arg;
    eio_err *err = eio_switch_run(take_first_in, &self);
    *out_ns = self.ns;
    return eio_err_catch(&err, &eio_err_exit) ? NULL : err;
}

eio_err *row_cancel(const struct bench *bench) {
    static const size_t fibers[] = {1, 10, 100, 1000, 10000, 100000};
    const size_t most = bench->size == SIZE_SHORTEST ? 1000 : 100000;
    for (size_t i = 0; i < sizeof fibers / sizeof fibers[0] && fibers[i] <= most; i++) {
        char label[32];
        size_t count = fibers[i];
        snprintf(label, sizeof label, "%zu", count);
        const struct subject subject = {
            .row = "cancel", .label = label, .fn = cancels, .arg = &count};
        EIO_TRY(measure(&subject, bench->size, 50000, count));
    }
    return NULL;
}

eio_err *row_take_first(const struct bench *bench) {
    const struct subject subject = {.row = "take-first", .label = "", .fn = take_first};
    return measure(&subject, bench->size, 100000, 1);
}
