// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_STRESS_MODEL_H
#define EIO_TESTS_STRESS_MODEL_H

// What must be true of a random program while it runs and when it has ended, kept beside the
// library and compared with it. See the theory at the head of model.c.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/cancel.h"
#include "eio/condition.h"
#include "eio/env.h"
#include "eio/err.h"
#include "eio/mutex.h"
#include "eio/net.h"
#include "eio/promise.h"
#include "eio/semaphore.h"
#include "eio/stream.h"
#include "eio/switch.h"
#include "fiber/base/list.h"
#include "tests/stress/plan.h"

enum { LEAVES_MAX = 48, ITEMS_MAX = 512, HOOKS_MAX = 128, HOOKS_SOFT = 64 };

/** One error that isn't a collection of others. */
struct leaf {
    const eio_err_kind *kind;
    unsigned long number; // its text
};

/** Errors that were given to one scope, in their order, and what they must have become. */
struct collected {
    struct leaf leaves[LEAVES_MAX];
    unsigned count;     // may be more than there is room for: then it isn't compared
    eio_err *sole;      // the only error so far, a reference; NULL: none, or several
    unsigned cancelled; // Cancelled ones: they count only when there is nothing else
    unsigned successes; // branches that returned no error
};

struct scope;
struct object;

/** A fiber, as the program sees it. */
struct strand {
    struct eioi_list node; // in world.strands while it lives
    struct scope *scope;   // the innermost it is in
    unsigned number;
    struct stress_step const *step; // the operation that it waits in; NULL: it is in none
    struct object *object;          // what that operation is on
    bool cancellable;               // whether a cancellation ends that operation at once
    struct object *mutex;           // the innermost that it has; NULL: none
};

struct scope {
    struct scope *parent;
    eio_switch *sw; // NULL: a context without one
    eio_cancel *cc; // NULL: a switch
    bool simple;    // of a release hook: nothing is shared in it
    struct collected errors;
    unsigned fibers;                     // alive on it, without the one that opened it
    struct object *objects;              // newest first
    struct model_hook *hooks[HOOKS_MAX]; // attached, oldest first
    unsigned hook_count;
};

/** A release hook of the program. */
struct model_hook {
    eio_hook hook;
    struct scope *scope;
    struct strand *strand;          // what its fiber was at the time; of the one who runs it
    const struct stress_step *step; // NULL: it looks at `object`
    struct object *object;
    bool done;
};

enum object_kind {
    OBJECT_PROMISE,
    OBJECT_STREAM,
    OBJECT_MUTEX,
    OBJECT_SEMAPHORE,
    OBJECT_CONDITION,
    OBJECT_PAIR,
};

enum item_state { ITEM_FREE, ITEM_ADDING, ITEM_ADDED, ITEM_TAKEN };

/** One direction of a pair of flows: bytes by their offset. */
struct direction {
    size_t written, read;
    bool reading, writing; // somebody is about it
    bool stopped_writes, stopped_reads;
};

struct object {
    struct object *next;
    enum object_kind kind;
    unsigned number;
    union {
        struct {
            eio_promise *promise;
            eio_promise_resolver *resolver; // NULL: of a forked fiber
            bool resolved;
            void *value;
            eio_err *err; // a reference
        } promise;
        struct {
            eio_stream *stream;
            size_t capacity, added, taken;
        } stream;
        struct {
            eio_mutex *mutex;
            unsigned inside; // fibers that have it
            bool poisoned;
        } mutex;
        struct {
            eio_semaphore *semaphore;
            size_t count, held;
        } semaphore;
        struct {
            eio_condition *condition;
            uint64_t broadcasts;
        } condition;
        struct {
            eio_stream_socket *ends[2];
            size_t bound;
            struct direction to[2]; // what is read from that end
            bool closed[2];
            bool reset;
            bool closing_lost[2]; // bytes that were for that end went with it
        } pair;
    } u;
    struct model_hook check; // looks at it before it goes
};

struct world {
    const struct stress_plan *plan;
    const eio_env *env;
    struct eioi_list strands;
    unsigned next_strand, next_object;
    unsigned long next_error;
    unsigned events; // steps that have begun
    int64_t now;
    unsigned next_item;
    uint8_t items[ITEMS_MAX]; // enum item_state
    char *arena;              // what the program needs until it ends
    size_t arena_used;
    char *trace; // everything that happened, as text; NULL: isn't kept
    size_t trace_len, trace_room;
};

/** The program that runs; there is one at a time. */
extern struct world world;

/** Stops the process: what must be true isn't. */
_Noreturn void violated(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
#define MUST(condition, ...)       \
    do {                           \
        if (!(condition))          \
            violated(__VA_ARGS__); \
    } while (0)

/** A line of the trace. */
void note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/** Zeroed memory until the program ends. */
void *keep(size_t size);

/** `err`, which stays the caller's, is given to a scope. */
void collect(struct collected *self, eio_err *err);
/** `err`, which stays the caller's, must be what was collected; gives `self` up. */
void check_collected(struct collected *self, const eio_err *err, const char *what);

/** The same for a time-out, which may have had a Timeout of its own, before or after all others. */
void check_timed_out(struct collected *self, const eio_err *err, bool due);
/** What was collected isn't compared with anything. */
void give_up(struct collected *self);

void strand_begin(struct strand *self, struct scope *scope);
void strand_end(struct strand *self);
/** From here to `wait_end` the fiber is in one operation, which may suspend. */
void wait_begin(struct strand *self, const struct stress_step *step, struct object *object);
void wait_end(struct strand *self, const eio_err *err);

void hook_attach(struct model_hook *self, struct scope *scope, eio_hook_fn *fn);
/** It has been run, or removed. */
void hook_gone(struct model_hook *self, bool run);
/** A scope has ended, and its memory may go. */
void scope_end(struct scope *self, const char *what);

/** Nothing is ready any more: nobody may still wait for what is there. */
void check_quiescent(void);
/** An object's last look, before the library takes it away. */
void check_object(struct object *self);

/** Byte `at` of what is sent to an end. */
static inline uint8_t byte_at(const struct object *pair, unsigned end, size_t at) {
    return (uint8_t)(at * 31 + at / 251 + pair->number * 7 + end * 113);
}

#endif
