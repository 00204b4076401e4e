// SPDX-License-Identifier: ISC

// Theory. The model knows what the program did (which error went to which scope, which byte was
// written), and nothing of how the library does its part. So each law is looked at where it can be
// seen from outside:
//   - a scope's end: no fiber of it is left, its hooks have run, newest first, each once, and its
//     error holds exactly those that were given to it, in their order, Cancelled only when there is
//     nothing else;
//   - an operation's end: it is the one that its fiber was in; a time is not before its deadline;
//     bytes and items are those that were put in, once each;
//   - the moment before virtual time moves on, when no fiber is ready: whoever waits in a cancelled
//     scope, or for what is there, waits for ever. This bounds every reaction to no time at all;
//   - the program's end: no fiber, no object and no memory is left.

#include "tests/stress/model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/err_net.h"
#include "eio/fiber.h"

enum { ARENA_SIZE = 1 << 20 };

struct world world;

void violated(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "violated: ");
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\n");
    va_end(args);
    if (world.trace != NULL)
        fprintf(stderr, "what came before:\n%.*s", (int)world.trace_len, world.trace);
    abort();
}

void note(const char *fmt, ...) {
    struct world *w = &world;
    if (w->trace == NULL)
        return;
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(w->trace + w->trace_len, w->trace_room - w->trace_len, fmt, args);
    va_end(args);
    w->trace_len += (size_t)len;
    MUST(w->trace_len + 1 < w->trace_room, "the trace needs more room");
    w->trace[w->trace_len++] = '\n';
}

void *keep(size_t size) {
    if (world.arena == NULL)
        world.arena = malloc(ARENA_SIZE);
    size = (size + 15) & ~(size_t)15;
    MUST(world.arena != NULL && world.arena_used + size <= ARENA_SIZE, "the program's memory");
    void *at = world.arena + world.arena_used;
    world.arena_used += size;
    return memset(at, 0, size);
}

// --- Errors --------------------------------------------------------------------------------------

static void add_leaves(struct collected *self, const eio_err *err) {
    size_t n = eio_err_child_count(err);
    for (size_t i = 0; i < n; i++)
        add_leaves(self, eio_err_child(err, i));
    if (n > 0)
        return;
    MUST(!eio_err_is(err, &eio_err_cancelled), "a Cancelled stands beside other errors");
    if (self->count < LEAVES_MAX)
        self->leaves[self->count] = (struct leaf){.kind = eio_err_kind_of(err),
                                                  .number = strtoul(eio_err_text(err), NULL, 10)};
    self->count++;
}

void collect(struct collected *self, eio_err *err) {
    if (err == NULL) {
        self->successes++;
        return;
    }
    if (eio_err_is(err, &eio_err_cancelled)) {
        self->cancelled++;
        return;
    }
    if (err == self->sole)
        return; // the same error twice is that error
    eio_err_drop(self->sole);
    self->sole = self->count == 0 ? eio_err_ref(err) : NULL;
    add_leaves(self, err);
}

static bool same_leaves(const struct leaf *a, const struct leaf *b, unsigned n) {
    for (unsigned i = 0; i < n; i++)
        if (a[i].kind != b[i].kind || a[i].number != b[i].number)
            return false;
    return true;
}

void give_up(struct collected *self) {
    eio_err_drop(self->sole);
    self->sole = NULL;
}

void check_collected(struct collected *self, const eio_err *err, const char *what) {
    give_up(self);
    if (self->count == 0) {
        MUST(err == NULL || eio_err_is(err, &eio_err_cancelled),
             "%s returns an error that nobody gave it", what);
        return;
    }
    MUST(err != NULL, "%s has lost its errors", what);
    if (self->count > LEAVES_MAX)
        return;
    struct collected got = {.count = 0};
    add_leaves(&got, err);
    MUST(got.count == self->count, "%s was given %u errors, and returns %u", what, self->count,
         got.count);
    MUST(same_leaves(got.leaves, self->leaves, got.count), "%s returns its errors in another order",
         what);
}

void check_timed_out(struct collected *self, const eio_err *err, bool due) {
    struct collected got = {.count = 0};
    bool failed = err != NULL && !eio_err_is(err, &eio_err_cancelled);
    if (failed)
        add_leaves(&got, err);
    if (!due || !failed || got.count == self->count) {
        check_collected(self, err, "a time-out");
        return;
    }
    give_up(self);
    if (got.count > LEAVES_MAX)
        return;
    MUST(got.count == self->count + 1, "a time-out was given %u errors, and returns %u",
         self->count, got.count);
    const struct leaf *last = &got.leaves[got.count - 1];
    MUST((got.leaves[0].kind == &eio_err_timeout &&
          same_leaves(got.leaves + 1, self->leaves, self->count)) ||
             (last->kind == &eio_err_timeout && same_leaves(got.leaves, self->leaves, self->count)),
         "a time-out returns other errors than it was given");
}

// --- Fibers --------------------------------------------------------------------------------------

void strand_begin(struct strand *self, struct scope *scope) {
    *self = (struct strand){.scope = scope, .number = world.next_strand++};
    eioi_list_push_tail(&world.strands, &self->node);
}

void strand_end(struct strand *self) {
    MUST(self->step == NULL, "a fiber ends inside an operation");
    eioi_list_unlink(&self->node);
}

void wait_begin(struct strand *self, const struct stress_step *step, struct object *object) {
    MUST(self->step == NULL, "a fiber begins an operation inside another one");
    self->step = step;
    self->object = object;
    self->cancellable = true;
    note("%u %s %u {", self->number, stress_op_name(step->op), object == NULL ? 0 : object->number);
}

static const char *short_name(const eio_err *err) {
    return err == NULL ? "ok" : eio_err_is(err, &eio_err_cancelled) ? "cancelled" : "error";
}

void wait_end(struct strand *self, const eio_err *err) {
    MUST(self->step != NULL, "an operation has ended twice");
    note("%u %s } %s", self->number, stress_op_name(self->step->op), short_name(err));
    self->step = NULL;
    self->object = NULL;
}

// --- Scopes --------------------------------------------------------------------------------------

void hook_attach(struct model_hook *self, struct scope *scope, eio_hook_fn *fn) {
    MUST(scope->hook_count < HOOKS_MAX, "too many hooks");
    self->scope = scope;
    scope->hooks[scope->hook_count++] = self;
    eio_switch_attach(scope->sw, &self->hook, fn);
}

void hook_gone(struct model_hook *self, bool run) {
    struct scope *scope = self->scope;
    MUST(!self->done, "a hook is run or removed once");
    self->done = true;
    MUST(!run || scope->fibers == 0 || scope->hooks[scope->hook_count - 1] == self,
         "hooks run when the fibers have ended");
    MUST(!run || scope->hooks[scope->hook_count - 1] == self, "hooks run newest first");
    unsigned i = scope->hook_count;
    while (scope->hooks[i - 1] != self)
        i--;
    for (; i < scope->hook_count; i++)
        scope->hooks[i - 1] = scope->hooks[i];
    scope->hook_count--;
}

void scope_end(struct scope *self, const char *what) {
    MUST(self->fibers == 0, "%s has ended before %u of its fibers", what, self->fibers);
    MUST(self->hook_count == 0, "%s has ended, and %u hooks haven't run", what, self->hook_count);
}

// --- When nothing is ready -----------------------------------------------------------------------

static bool is_cancelled(const struct scope *scope) {
    eio_err *err = scope->sw != NULL ? eio_switch_check(scope->sw) : eio_cancel_check(scope->cc);
    bool cancelled = err != NULL;
    eio_err_drop(err);
    return cancelled;
}

static bool may_read(const struct object *self, unsigned end) {
    const struct direction *d = &self->u.pair.to[end];
    return d->written > d->read || d->stopped_writes || d->stopped_reads || self->u.pair.reset;
}

static bool may_write(const struct object *self, unsigned end) {
    const struct direction *d = &self->u.pair.to[1 - end];
    return d->written - d->read < self->u.pair.bound || d->stopped_writes || d->stopped_reads ||
           self->u.pair.reset;
}

/** Whether what `step` waits for is there. */
static bool is_there(const struct stress_step *step, const struct object *o) {
    switch ((enum stress_op)step->op) {
    case STRESS_await: return o->u.promise.resolved;
    case STRESS_take: return eio_stream_length(o->u.stream.stream) > 0;
    case STRESS_add: return eio_stream_length(o->u.stream.stream) < o->u.stream.capacity;
    case STRESS_use_mutex: return o->u.mutex.inside == 0 || o->u.mutex.poisoned;
    case STRESS_acquire: return eio_semaphore_value(o->u.semaphore.semaphore) > 0;
    case STRESS_read:
    case STRESS_lend: return may_read(o, step->b & 1);
    case STRESS_write: return may_write(o, step->b & 1);
    default: return false;
    }
}

void check_quiescent(void) {
    EIOI_LIST_EACH (it, &world.strands) {
        struct strand *strand = EIOI_CONTAINER_OF(it, struct strand, node);
        if (strand->step == NULL)
            continue;
        const char *name = stress_op_name(strand->step->op);
        MUST(!strand->cancellable || !is_cancelled(strand->scope),
             "fiber %u waits (%s) in a scope that was cancelled", strand->number, name);
        MUST(strand->object == NULL || !is_there(strand->step, strand->object),
             "fiber %u waits (%s %u) for what is there", strand->number, name,
             strand->object->number);
    }
}

// --- What fibers share ---------------------------------------------------------------------------

static void check_pair(const struct object *self) {
    for (unsigned end = 0; end < 2; end++) {
        const struct direction *d = &self->u.pair.to[end];
        MUST(d->read <= d->written, "more was read than written");
        MUST(!d->reading && !d->writing, "a flow ends before its operations");
    }
}

static void check_stream(struct object *self) {
    void *item;
    while (eio_stream_take_nonblocking(self->u.stream.stream, &item)) {
        uint8_t *state = &world.items[(uintptr_t)item];
        MUST(*state == ITEM_ADDED, "what is left in a stream was added, and not taken");
        *state = ITEM_TAKEN;
        self->u.stream.taken++;
    }
    MUST(self->u.stream.taken == self->u.stream.added, "a stream was given %zu items, and gave %zu",
         self->u.stream.added, self->u.stream.taken);
}

void check_object(struct object *self) {
    switch (self->kind) {
    case OBJECT_PROMISE: eio_err_drop(self->u.promise.err); break;
    case OBJECT_STREAM: check_stream(self); break;
    case OBJECT_MUTEX: MUST(self->u.mutex.inside == 0, "a mutex ends while a fiber has it"); break;
    case OBJECT_SEMAPHORE:
        MUST(self->u.semaphore.held == 0 &&
                 eio_semaphore_value(self->u.semaphore.semaphore) == self->u.semaphore.count,
             "a semaphore of %zu ends with %zu", self->u.semaphore.count,
             eio_semaphore_value(self->u.semaphore.semaphore));
        break;
    case OBJECT_CONDITION: break;
    case OBJECT_PAIR: check_pair(self); break;
    }
}
