// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_IMPL_H
#define EIO_FIBER_IMPL_H

// The structs that the files of this folder share. Nobody else includes this.

#include <stdatomic.h>

#include "eio/fiber.h"
#include "fiber/base/assert.h"
#include "fiber/context.h"
#include "fiber/sanitizer.h"
#include "fiber/sched.h"
#include "fiber/stack.h"

struct eioi_local;

/** A cancellation context. States: on (`reason` NULL), cancelling, finished. */
struct eio_cancel {
    struct eio_cancel *parent;
    struct eioi_list sibling;  // in parent->children
    struct eioi_list children; // in the order in which they were opened
    struct eioi_list fibers;   // in the order of arrival, a return from a sub-context being one
    eio_err *reason;           // the Cancelled error; NULL while on
    struct eioi_sched *sched;  // the only domain that may touch it
    bool protect;              // cancellation from above stops here
    bool finished;
    struct eio_cancel *next_marked; // in the list that eio_cancel_cancel makes
};

/** Called in the fiber when its function has returned; takes `err` over. */
typedef void eioi_fiber_finish_fn(struct eioi_fiber *self, eio_err *err);

/** A fiber. It stands at the top of its own stack, so that an idle fiber touches one page. */
struct eioi_fiber {
    // All that a switch, a wait, a wake and a cancel need: one cache line.
    struct eioi_context context; // valid while suspended
    struct eioi_fiber *next;     // in the run queue, or in the pool of free stacks
    struct eioi_waiter *waiter;  // what it waits on; NULL while running or ready
    struct eio_cancel *cc;       // its context now
    struct eioi_list cc_node;    // in cc->fibers
    // What a fork sets, and the end reads.
    eio_fiber_fn *fn;
    void *arg;
    eioi_fiber_finish_fn *finish;
    void *owner;               // finish's: the switch, or the branch of a race
    struct eioi_local *locals; // innermost binding
    struct eioi_slab *slab;    // where the stack came from
    uint64_t id;
    char name[24];
#ifdef EIOI_ASAN
    void *asan_fake_stack;
    const void *asan_bottom;
    size_t asan_size;
#endif
#ifdef EIOI_TSAN
    void *tsan_fiber; // belongs to the stack: made with it, destroyed with it
#endif
};

_Static_assert(offsetof(struct eioi_fiber, fn) == 64, "what a switch touches is one cache line");

#ifdef EIOI_ASAN // whose frames gcc 12 doesn't align to more than 32 bytes
#define EIOI_OWN_LINE
#else
#define EIOI_OWN_LINE _Alignas(64)
#endif

/**
 * A domain: a thread's loop. Everything but `inbox` and `pokers` is touched by that thread only.
 */
struct eioi_sched {
    // What a switch needs: one cache line. The ends of the queue stand apart, since two stores that
    // the compiler makes one would hold up the next load of either.
    EIOI_OWN_LINE struct eioi_fiber *run_head; // ready fibers
    struct eioi_fiber *current;
    int *errno_at; // the thread's errno: each fiber has its own, kept while it isn't running
    struct eioi_fiber *run_tail; // valid when run_head isn't NULL
    unsigned budget;             // resumptions until the next look at the backend
    unsigned id;
    struct eioi_heap timers; // has room for one of each of the stacks
    const struct eioi_backend_ops *ops;
    void *backend;
    size_t stack_bytes;
    size_t guard_bytes;
    int64_t spin_ns;                             // how long to look for events before blocking
    size_t (*pick)(void *backend, size_t ready); // NULL: the first goes on
    size_t fibers;                               // alive
    size_t stacks;                               // slots of all pools
    uint64_t next_id, end_id; // numbers for fibers, which no other domain gives out
    struct eioi_stack_pool *pools[EIOI_STACK_CLASSES];
    struct eio_cancel root;
    struct eioi_fiber thread; // stands for the thread's own stack
    eio_err *result;
    bool deadlocked;
    bool
        abandoned; // a deadlock that cancellation could not end: the rest of the fibers is given up
    int64_t trim_at;        // when idle stacks give their pages back; INT64_MAX: nothing to give
    struct eioi_mpsc inbox; // messages from other threads
    atomic_int pokers;      // threads inside eioi_post for this domain
};

extern __thread struct eioi_sched *eioi_tls_sched
    __attribute__((visibility("hidden"), tls_model("initial-exec")));

/** Sees to it that a child of fork(2) has no loop (forked.c). */
EIO_MUST_USE eio_err *eioi_fork_prepare(void);
/** For a message: in what way the caller is where it can't be. */
const char *eioi_why_no_loop(void);
/** In a child of fork(2): whoever traces in the parent may have held the lock. */
void eioi_trace_forked(void);

/** Stops the program: `func` needs a loop. */
_Noreturn void eioi_no_loop(const char *func) __attribute__((cold));

/** The running domain; stops the program with `func` in the message when there is none. */
static inline struct eioi_sched *eioi_here(const char *func) {
    struct eioi_sched *s = eioi_tls_sched;
    if (__builtin_expect(s == NULL, 0))
        eioi_no_loop(func);
    return s;
}

/** Ready, last. */
static inline void eioi_run_push_tail(struct eioi_sched *s, struct eioi_fiber *f) {
    f->next = NULL;
    if (s->run_head == NULL)
        s->run_head = f;
    else
        s->run_tail->next = f;
    s->run_tail = f;
}

/** Ready, first. */
static inline void eioi_run_push_head(struct eioi_sched *s, struct eioi_fiber *f) {
    f->next = s->run_head;
    if (s->run_head == NULL)
        s->run_tail = f;
    s->run_head = f;
}

/**
 * Leaves the running fiber, which is in the run queue or waits, for the next ready one; returns
 * when it is resumed.
 */
void eioi_park(struct eioi_sched *s);
/**
 * Starts a fiber in `cc` at once; the caller becomes the head of the queue. `copy_len` 0: `arg` is
 * passed as it is.
 */
EIO_MUST_USE eio_err *eioi_fiber_start(struct eio_cancel *cc, eio_fiber_fn *fn, const void *arg,
                                       size_t copy_len, size_t copy_align,
                                       const struct eio_fork_opts *opts,
                                       eioi_fiber_finish_fn *finish, void *owner);

/** Opens a context below the running fiber's and moves the fiber into it. */
void eioi_cancel_open(struct eio_cancel *cc, bool protect);
/** Moves the running fiber back to the parent (last in its list), and ends the context. */
void eioi_cancel_close(struct eio_cancel *cc);
/** A reference to the Cancelled error of the running fiber's context; NULL while it is on. */
static inline eio_err *eioi_current_cancelled(const struct eioi_sched *s) {
    eio_err *reason = s->current->cc->reason;
    return __builtin_expect(reason == NULL, 1) ? NULL : eio_err_ref(reason);
}

/** Drops the innermost binding's reference; NULL is fine. */
void eioi_locals_unref(struct eioi_local *self);
/** One more reference; NULL is fine. */
struct eioi_local *eioi_locals_ref(struct eioi_local *self);
/** The value bound to `key` in `f`. */
void *eioi_local_get(const struct eioi_fiber *f, const eio_local_key *key);

/** Writes the tree of `s`, which must be the running domain (or stopped). */
void eioi_dump_sched(struct eioi_sched *s, eio_strbuf *out);

#endif
