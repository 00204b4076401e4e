// SPDX-License-Identifier: ISC

// Theory. An object belongs to the switch that was innermost when it was made, and is found by
// every fiber in that switch, or in a scope inside it, until the switch runs its hooks. The model's
// side of an operation is brought up to date before it waits, or in the same turn in which it
// returns, so it is never behind what other fibers can see.

#include <string.h>

#include "eio/err_net.h"
#include "eio/fiber.h"
#include "eio/flow.h"
#include "eio/mock/pair.h"
#include "tests/stress/play.h"

static eio_err *look_at_object(eio_hook *hook) {
    struct model_hook *self = EIOI_CONTAINER_OF(hook, struct model_hook, hook);
    MUST(self->scope->simple || self->scope->fibers == 0, "hooks run when the fibers have ended");
    self->scope->simple = true;
    hook_gone(self, /* run= */ true);
    check_object(self->object);
    return NULL;
}

struct object *new_object(enum object_kind kind) {
    struct object *self = keep(sizeof *self);
    self->kind = kind;
    self->number = ++world.next_object;
    self->check.object = self;
    return self;
}

void show_object(struct object *self, struct scope *scope) {
    self->next = scope->objects;
    scope->objects = self;
    hook_attach(&self->check, scope, look_at_object);
}

/** One of `kind` that the fiber may use; NULL: there is none. */
static struct object *find(struct strand *self, enum object_kind kind, unsigned pick) {
    struct object *found[16];
    unsigned n = 0;
    for (struct scope *scope = self->scope; scope != NULL; scope = scope->parent)
        for (struct object *o = scope->simple ? NULL : scope->objects; o != NULL; o = o->next)
            if (o->kind == kind && n < sizeof found / sizeof *found)
                found[n++] = o;
    return n == 0 ? NULL : found[pick % n];
}

static eio_err *make(enum object_kind kind, unsigned a, eio_switch *sw, struct object *o) {
    switch (kind) {
    case OBJECT_PROMISE:
        return eio_promise_create(sw, &o->u.promise.promise, &o->u.promise.resolver);
    case OBJECT_STREAM:
        o->u.stream.capacity = a % 4;
        return eio_stream_create(sw, a % 4, &o->u.stream.stream);
    case OBJECT_MUTEX: return eio_mutex_create(sw, &o->u.mutex.mutex);
    case OBJECT_SEMAPHORE:
        o->u.semaphore.count = a % 3;
        return eio_semaphore_create(sw, a % 3, &o->u.semaphore.semaphore);
    case OBJECT_CONDITION: return eio_condition_create(sw, &o->u.condition.condition);
    case OBJECT_PAIR:
        o->u.pair.bound = 1 + a % 32;
        return eio_mock_flow_pair(sw, o->u.pair.bound, &o->u.pair.ends[0], &o->u.pair.ends[1]);
    }
    return NULL;
}

static eio_err *play_new(struct strand *self, const struct stress_step *step) {
    struct scope *scope = switch_of(self);
    if (scope == NULL || scope->hook_count > HOOKS_SOFT)
        return NULL;
    enum object_kind kind = (enum object_kind)(step->op - STRESS_new_promise);
    struct object *o = new_object(kind);
    EIO_TRY(make(kind, step->a, scope->sw, o));
    show_object(o, scope);
    return NULL;
}

// --- Promises and streams ------------------------------------------------------------------------

static void play_resolve(struct object *o, const struct stress_step *step) {
    if (o->u.promise.resolver == NULL)
        return;
    bool was_resolved = o->u.promise.resolved;
    void *value = &o->u.promise.value;
    eio_err *err = (step->b & 3) == 0 ? fresh_error() : NULL;
    eio_err *kept = was_resolved ? NULL : eio_err_ref(err);
    bool resolved = err != NULL ? eio_promise_try_resolve_error(o->u.promise.resolver, err)
                                : eio_promise_try_resolve(o->u.promise.resolver, value);
    MUST(resolved == !was_resolved, "a promise is resolved once");
    if (was_resolved)
        return;
    o->u.promise.resolved = true;
    o->u.promise.value = kept == NULL ? value : NULL;
    o->u.promise.err = kept;
}

static eio_err *play_await(struct strand *self, struct object *o, const struct stress_step *step) {
    void *value = NULL;
    bool was_resolved = o->u.promise.resolved;
    wait_begin(self, step, o);
    eio_err *err = eio_promise_await(o->u.promise.promise, &value);
    wait_end(self, err);
    if (err == NULL || was_resolved) {
        MUST(o->u.promise.resolved, "a promise has a result before it was resolved");
        MUST(value == o->u.promise.value && err == o->u.promise.err, "another result");
    } else {
        MUST(err == o->u.promise.err || eio_err_is(err, &eio_err_cancelled), "another error");
    }
    return err;
}

static eio_err *play_add(struct strand *self, struct object *o, const struct stress_step *step) {
    unsigned item = world.next_item + 1;
    if (item == ITEMS_MAX)
        return NULL;
    world.next_item = item;
    world.items[item] = ITEM_ADDING;
    wait_begin(self, step, o);
    eio_err *err = eio_stream_add(o->u.stream.stream, (void *)(uintptr_t)item);
    wait_end(self, err);
    if (err != NULL) {
        MUST(world.items[item] == ITEM_ADDING, "what was taken had been added");
        world.items[item] = ITEM_FREE;
        return err;
    }
    if (world.items[item] == ITEM_ADDING)
        world.items[item] = ITEM_ADDED;
    o->u.stream.added++;
    return NULL;
}

static eio_err *play_take(struct strand *self, struct object *o, const struct stress_step *step) {
    void *item = NULL;
    wait_begin(self, step, o);
    eio_err *err = eio_stream_take(o->u.stream.stream, &item);
    wait_end(self, err);
    EIO_TRY(err);
    MUST(item != NULL && (uintptr_t)item < ITEMS_MAX, "an item that nobody added");
    uint8_t *state = &world.items[(uintptr_t)item];
    MUST(*state == ITEM_ADDING || *state == ITEM_ADDED, "an item is taken once, if it was added");
    *state = ITEM_TAKEN;
    o->u.stream.taken++;
    return NULL;
}

// --- Mutexes, semaphores, conditions -------------------------------------------------------------

struct holding {
    struct strand *strand;
    struct object *mutex;
    const struct stress_step *step;
    bool entered;
};

static void mutex_in(struct object *mutex) {
    MUST(++mutex->u.mutex.inside == 1, "two fibers have one mutex");
}

static eio_err *hold_mutex(void *arg) {
    struct holding *self = arg;
    struct strand *strand = self->strand;
    self->entered = true;
    wait_end(strand, NULL);
    mutex_in(self->mutex);
    struct object *outer = strand->mutex;
    strand->mutex = self->mutex;
    eio_err *err = self->step->a % 4 == 1 ? play_bounded(strand, self->step->bodies[0])
                                          : play_body(strand, self->step->bodies[0]);
    // Somebody else may have poisoned it while this fiber waited for a condition: then nobody has it.
    if (strand->mutex == self->mutex)
        self->mutex->u.mutex.inside--;
    strand->mutex = outer;
    if (err != NULL && self->step->a % 4 <= 1)
        self->mutex->u.mutex.poisoned = true;
    return err;
}

static eio_err *play_mutex(struct strand *self, struct object *o, const struct stress_step *step) {
    struct holding holding = {.strand = self, .mutex = o, .step = step};
    const struct eio_mutex_opts opts = {.protect = step->a % 4 == 1};
    wait_begin(self, step, o);
    eio_err *err = step->a % 4 <= 1
                       ? eio_mutex_use_rw(o->u.mutex.mutex, hold_mutex, &holding, &opts)
                       : eio_mutex_use_ro(o->u.mutex.mutex, hold_mutex, &holding);
    if (holding.entered)
        return err;
    wait_end(self, err);
    MUST(err != NULL, "a mutex was had without its function being called");
    MUST(eio_err_is(err, &eio_err_cancelled) ||
             (o->u.mutex.poisoned && eio_err_is(err, &eio_err_poisoned)),
         "a mutex gives another error");
    return err;
}

static eio_err *play_acquire(struct strand *self, struct object *o,
                             const struct stress_step *step) {
    wait_begin(self, step, o);
    eio_err *err = eio_semaphore_acquire(o->u.semaphore.semaphore);
    wait_end(self, err);
    EIO_TRY(err);
    MUST(++o->u.semaphore.held <= o->u.semaphore.count, "more have a semaphore than it counts");
    err = play_body(self, step->bodies[0]);
    o->u.semaphore.held--;
    eio_semaphore_release(o->u.semaphore.semaphore);
    return err;
}

static eio_err *play_wait_condition(struct strand *self, struct object *o,
                                    const struct stress_step *step) {
    struct object *mutex = (step->b & 1) != 0 ? self->mutex : NULL;
    uint64_t before = o->u.condition.broadcasts;
    eio_err *err;
    wait_begin(self, step, o);
    if (mutex == NULL) {
        err = eio_condition_await_no_mutex(o->u.condition.condition);
    } else {
        mutex->u.mutex.inside--;
        self->cancellable = false; // it waits for the mutex, whatever happens
        err = eio_condition_await(o->u.condition.condition, mutex->u.mutex.mutex);
        if (mutex->u.mutex.poisoned)
            self->mutex = NULL;
        else
            mutex_in(mutex);
    }
    wait_end(self, err);
    MUST(err != NULL || o->u.condition.broadcasts > before, "nobody has broadcast");
    return err;
}

// --- Flows ---------------------------------------------------------------------------------------

/** Whether an operation on `end` may fail with `err`. */
static void check_flow_error(const struct object *o, unsigned end, const struct direction *d,
                             const eio_err *err) {
    if (eio_err_is(err, &eio_err_cancelled))
        return;
    if (eio_err_is(err, &eio_err_closed))
        MUST(o->u.pair.closed[end], "an open flow says that it is closed");
    else if (eio_err_is(err, &eio_err_net_connection_reset))
        MUST(o->u.pair.reset || d->stopped_reads || d->stopped_writes, "a reset out of nothing");
    else
        MUST(eio_err_is(err, &eio_err_end_of_file) &&
                 (d->stopped_reads || (d->stopped_writes && d->read == d->written)),
             "a flow ends before its last byte, or with another error");
}

static void check_bytes(const struct object *o, unsigned end, const uint8_t *bytes, size_t len) {
    const struct direction *d = &o->u.pair.to[end];
    MUST(len > 0 && d->read + len <= d->written, "bytes that nobody has written");
    for (size_t i = 0; i < len; i++)
        MUST(bytes[i] == byte_at(o, end, d->read + i), "another byte than was written");
}

static eio_err *play_read(struct strand *self, struct object *o, const struct stress_step *step) {
    unsigned end = step->b & 1;
    struct direction *d = &o->u.pair.to[end];
    uint8_t space[40];
    size_t got = 0;
    if (d->reading)
        return NULL; // one at a time
    d->reading = true;
    wait_begin(self, step, o);
    eio_err *err = eio_source_single_read(&o->u.pair.ends[end]->flow.source,
                                          eio_buf_of(space, 1 + step->a % sizeof space), &got);
    wait_end(self, err);
    d->reading = false;
    if (err != NULL) {
        check_flow_error(o, end, d, err);
        return err;
    }
    check_bytes(o, end, space, got);
    d->read += got;
    return NULL;
}

static eio_err *play_lend(struct strand *self, struct object *o, const struct stress_step *step) {
    unsigned end = step->b & 1;
    struct direction *d = &o->u.pair.to[end];
    eio_source *source = &o->u.pair.ends[end]->flow.source;
    eio_slice loan;
    if (d->reading)
        return NULL;
    d->reading = true;
    wait_begin(self, step, o);
    eio_err *err = eio_source_lend(source, &loan);
    wait_end(self, err);
    if (err != NULL) {
        d->reading = false;
        check_flow_error(o, end, d, err);
        return err;
    }
    check_bytes(o, end, loan.base, loan.len);
    if (step->a & 1)
        err = eio_fiber_yield(); // it stays valid, whatever the others do
    check_bytes(o, end, loan.base, loan.len);
    size_t used = step->a / 2 % (loan.len + 1);
    eio_source_release(source, used);
    d->read += used;
    d->reading = false;
    return err;
}

static eio_err *play_write(struct strand *self, struct object *o, const struct stress_step *step) {
    unsigned end = step->b & 1;
    struct direction *d = &o->u.pair.to[1 - end];
    uint8_t space[48];
    size_t len = 1 + step->a % sizeof space;
    size_t wrote = 0;
    if (d->writing)
        return NULL;
    for (size_t i = 0; i < len; i++)
        space[i] = byte_at(o, 1 - end, d->written + i);
    const eio_slice slices[2] = {{space, len / 2}, {space + len / 2, len - len / 2}};
    d->writing = true;
    wait_begin(self, step, o);
    eio_err *err = eio_sink_single_write(&o->u.pair.ends[end]->flow.sink, slices, 2, &wrote);
    wait_end(self, err);
    d->writing = false;
    memset(space, 0, sizeof space); // whoever still looks at it sees other bytes
    if (err != NULL) {
        check_flow_error(o, end, d, err);
        return err;
    }
    MUST(wrote > 0 && wrote <= len, "a write of %zu bytes has written %zu", len, wrote);
    d->written += wrote;
    return NULL;
}

static void stop(struct object *o, unsigned end, bool sending, bool receiving) {
    if (sending)
        o->u.pair.to[1 - end].stopped_writes = true;
    if (receiving)
        o->u.pair.to[end].stopped_reads = true;
}

static eio_err *play_shut_down(struct object *o, const struct stress_step *step) {
    unsigned end = step->b & 1;
    eio_shutdown how = (eio_shutdown)(step->a % 3);
    eio_err *err = eio_flow_shutdown(&o->u.pair.ends[end]->flow, how);
    MUST(err == NULL || o->u.pair.closed[end], "an open flow can be shut down");
    EIO_TRY(err);
    stop(o, end, how != EIO_SHUTDOWN_RECEIVE, how != EIO_SHUTDOWN_SEND);
    return NULL;
}

static void play_close(struct object *o, const struct stress_step *step) {
    unsigned end = step->b & 1;
    eio_flow_close(&o->u.pair.ends[end]->flow);
    o->u.pair.closed[end] = true;
    stop(o, end, true, true);
}

static eio_err *play_flow(struct strand *self, struct object *o, const struct stress_step *step) {
    switch ((enum stress_op)step->op) {
    case STRESS_read: return play_read(self, o, step);
    case STRESS_lend: return play_lend(self, o, step);
    case STRESS_write: return play_write(self, o, step);
    case STRESS_shut_down: return play_shut_down(o, step);
    case STRESS_close: play_close(o, step); return NULL;
    default: // STRESS_reset
        eio_mock_flow_pair_reset(o->u.pair.ends[0]);
        o->u.pair.reset = true;
        return NULL;
    }
}

// --- Which is which ------------------------------------------------------------------------------

static enum object_kind kind_of(const struct stress_step *step) {
    switch ((enum stress_op)step->op) {
    case STRESS_resolve:
    case STRESS_await: return OBJECT_PROMISE;
    case STRESS_add:
    case STRESS_take: return OBJECT_STREAM;
    case STRESS_use_mutex: return OBJECT_MUTEX;
    case STRESS_acquire: return OBJECT_SEMAPHORE;
    case STRESS_wait_condition:
    case STRESS_broadcast: return OBJECT_CONDITION;
    default: return OBJECT_PAIR;
    }
}

eio_err *play_shared(struct strand *self, const struct stress_step *step) {
    if (step->op >= STRESS_new_promise && step->op <= STRESS_new_pair)
        return play_new(self, step);
    struct object *o = find(self, kind_of(step), step->b / 2);
    if (o == NULL)
        return NULL;
    switch ((enum stress_op)step->op) {
    case STRESS_resolve: play_resolve(o, step); return NULL;
    case STRESS_await: return play_await(self, o, step);
    case STRESS_add: return play_add(self, o, step);
    case STRESS_take: return play_take(self, o, step);
    case STRESS_use_mutex: return play_mutex(self, o, step);
    case STRESS_acquire: return play_acquire(self, o, step);
    case STRESS_wait_condition: return play_wait_condition(self, o, step);
    case STRESS_broadcast:
        o->u.condition.broadcasts++;
        eio_condition_broadcast(o->u.condition.condition);
        return NULL;
    default: return play_flow(self, o, step);
    }
}
