// SPDX-License-Identifier: ISC

// A mock clock is a time and a heap of those who sleep, by (deadline, order of arrival). A sleeper
// is in the heap from the moment it suspends until it is woken or cancelled, whichever comes first;
// both take it out, in the clock's own domain, so nobody else can win in between. Moving the clock
// wakes first, then sets the time, then prints: those woken only go to the run queue. A deadline of
// INT64_MAX is no event: nobody moves a clock that far. The clock of a run is moved by its
// backend's poll, when the run queue is empty; any other only by the test.

#include "eio/mock/clock.h"

#include "eio/fiber.h"
#include "eio/self.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/heap.h"
#include "fiber/sched.h"
#include "mock/next_event.h"
#include "mock/object.h"

struct mock_clock {
    eio_mock_clock pub;
    struct eioi_mock_object object;
    struct eioi_heap sleepers;
    int64_t now_ns;
};

struct sleeper {
    struct eioi_waiter waiter;
    struct eioi_heap_node node;
    struct mock_clock *clock;
};

static const struct eio_clock_ops clock_ops;
static const struct eio_mono_clock_ops mono_ops;

static struct mock_clock *of_pub(eio_mock_clock *pub) {
    return EIOI_CONTAINER_OF(pub, struct mock_clock, pub);
}

eio_mock_clock *eio_mock_clock_of(eio_clock *clock) {
    return EIO_SELF(eio_mock_clock, clock, clock, &clock_ops);
}

eio_mock_clock *eio_mock_clock_of_mono(eio_mono_clock *mono) {
    return EIO_SELF(eio_mock_clock, mono, mono, &mono_ops);
}

static void sleeper_cancel(struct eioi_waiter *w, eio_err *reason) {
    struct sleeper *self = EIOI_CONTAINER_OF(w, struct sleeper, waiter);
    eioi_heap_remove(&self->clock->sleepers, &self->node);
    eioi_wake(w, eio_err_ref(reason));
}

static eio_err *sleep_until(struct mock_clock *self, int64_t deadline_ns) {
    if (deadline_ns <= self->now_ns)
        return eio_fiber_yield();
    struct sleeper s = {.clock = self};
    EIO_TRY(eioi_heap_reserve(&self->sleepers, (size_t)self->sleepers.count + 1));
    EIO_TRY(eioi_wait_begin(&s.waiter, "mock clock"));
    s.waiter.what_arg = deadline_ns;
    eioi_heap_insert(&self->sleepers, &s.node, deadline_ns);
    return eioi_wait(&s.waiter, sleeper_cancel);
}

static int64_t clock_now(eio_clock *clock) {
    return of_pub(eio_mock_clock_of(clock))->now_ns;
}

static eio_err *clock_sleep_until(eio_clock *clock, int64_t deadline_ns) {
    return sleep_until(of_pub(eio_mock_clock_of(clock)), deadline_ns);
}

static int64_t mono_now(eio_mono_clock *mono) {
    return of_pub(eio_mock_clock_of_mono(mono))->now_ns;
}

static eio_err *mono_sleep_until(eio_mono_clock *mono, int64_t deadline_ns) {
    return sleep_until(of_pub(eio_mock_clock_of_mono(mono)), deadline_ns);
}

static const struct eio_clock_ops clock_ops = {
    .name = "mock",
    .now = clock_now,
    .sleep_until = clock_sleep_until,
};

static const struct eio_mono_clock_ops mono_ops = {
    .name = "mock",
    .now = mono_now,
    .sleep_until = mono_sleep_until,
};

int64_t eioi_mock_clock_next_event(eio_mock_clock *self) {
    return eioi_heap_first_key(&of_pub(self)->sleepers);
}

void eio_mock_clock_set_time(eio_mock_clock *pub, int64_t now_ns) {
    struct mock_clock *self = of_pub(pub);
    EIO_ASSERT(now_ns >= self->now_ns, "a mock clock can't go back");
    for (;;) {
        struct eioi_heap_node *first;
        if (eioi_heap_pop(&self->sleepers, now_ns, &first, 1) == 0)
            break;
        eioi_wake(&EIOI_CONTAINER_OF(first, struct sleeper, node)->waiter, NULL);
    }
    self->now_ns = now_ns;
    eio_traceln("mock time is now %g", (double)now_ns / 1e9);
}

bool eio_mock_clock_try_advance(eio_mock_clock *self) {
    int64_t next_ns = eioi_mock_clock_next_event(self);
    if (next_ns == INT64_MAX)
        return false;
    eio_mock_clock_set_time(self, next_ns);
    return true;
}

eio_err *eio_mock_clock_advance(eio_mock_clock *self) {
    if (!eio_mock_clock_try_advance(self))
        return eio_err_new(&eio_err_invalid_argument, "No further events scheduled on mock clock");
    return NULL;
}

static void clock_destroy(struct eioi_mock_object *object) {
    struct mock_clock *self = EIOI_CONTAINER_OF(object, struct mock_clock, object);
    bool asleep = self->sleepers.count > 0 && !object->abandoned;
    EIO_ASSERT(!asleep, "a mock clock was destroyed while somebody sleeps on it");
    eioi_mock_object_fini(object);
    eioi_heap_fini(&self->sleepers);
    eioi_free(self);
}

static const struct eioi_mock_object_ops object_ops = {.destroy = clock_destroy};

eio_err *eio_mock_clock_create(eio_mock_clock **out) {
    struct mock_clock *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, "clock", &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    self->pub.clock.ops = &clock_ops;
    self->pub.mono.ops = &mono_ops;
    *out = &self->pub;
    return NULL;
}

void eio_mock_clock_destroy(eio_mock_clock *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_pub(self)->object);
}
