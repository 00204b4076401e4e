// SPDX-License-Identifier: ISC
// The scheduler of one domain.
//
// A fiber that suspends looks for the next ready one itself and switches straight to it; there is
// no scheduler stack in between. When none is ready it runs the loop on its own stack: messages
// from other domains, due timers, the backend's poll, until some fiber (perhaps itself) is ready.
// The loop runs no user code: it marks waits as done, and a backend sends a copy's messages on.
//
// Order (the transcripts depend on it): wakes go to the tail of the run queue, in the order in
// which they happen; a fork puts the parent at its head. With fibers ready the backend and the
// timers are looked at every POLL_EVERY resumptions, so that neither I/O nor fibers starve.
//
// Sleep: the inbox's word says ASLEEP from before the last look at it until it is emptied, so a
// message that comes in between pokes the backend, and its poll returns at once. `pokers` counts
// the threads inside eioi_post, so that the domain isn't taken down under one of them.

#include "fiber/sched.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "eio/trace.h"
#include "fiber/base/canary.h"
#include "fiber/base/fault.h"
#include "fiber/base/hint.h"
#include "fiber/impl.h"

// A backend that picks who goes on (`eioi_sched_opts.pick`) is asked before every resumption: the
// loop is gone through each time, so that the usual way stays what it is.
enum { POLL_EVERY = 128, FIRE_AT_ONCE = POLL_EVERY };
// How much of its stack a fiber touches when it goes on: from a sleep, from a read or write.
enum { CACHE_LINE = 64, SLEEP_LINES = 4, WAIT_LINES = 10 };
#define TRIM_INTERVAL (5 * INT64_C(1000000000))

#define FIBER_IDS UINT64_C(4096)

__thread struct eioi_sched *eioi_tls_sched;
static atomic_uint next_domain_id;

struct eioi_sched *eioi_sched_current(void) {
    return eioi_tls_sched;
}

void eioi_no_loop(const char *func) {
    EIO_ASSERT(eioi_tls_sched != NULL, "%s was called %s", func, eioi_why_no_loop());
    __builtin_unreachable();
}

struct eioi_sched *eioi_sched_require(const char *func) {
    return eioi_here(func);
}

void *eioi_backend(void) {
    return eioi_sched_require(__func__)->backend;
}

const struct eioi_backend_ops *eioi_backend_ops_current(void) {
    return eioi_sched_require(__func__)->ops;
}

unsigned eioi_domain_id(void) {
    return eioi_sched_require(__func__)->id;
}

void eioi_sched_poll_soon(void) {
    eioi_sched_require(__func__)->budget = 1;
}

int64_t eioi_now(void) {
    struct eioi_sched *s = eioi_sched_require(__func__);
    return s->ops->now(s->backend);
}

// Timers

void eioi_timer_arm(struct eioi_timer *self, int64_t deadline_ns) {
    eioi_heap_insert(&eioi_sched_require(__func__)->timers, &self->node, deadline_ns);
}

void eioi_timer_disarm(struct eioi_timer *self) {
    if (self->node.slot != 0)
        eioi_heap_remove(&eioi_sched_require(__func__)->timers, &self->node);
}

static inline void prefetch_lines(const char *at, int n) {
    for (int i = 0; i < n; i++)
        __builtin_prefetch(at + (ptrdiff_t)i * CACHE_LINE, 1);
}

/** What a fiber that has slept for long touches first, and won't be in the cache. */
static inline void prefetch_frames(const struct eioi_fiber *f) {
    prefetch_lines(f->context.sp, SLEEP_LINES);
    __builtin_prefetch(&f->fn, 1);
    __builtin_prefetch(f->cc_node.next, 1); // mostly it ends
    __builtin_prefetch(f->cc_node.prev, 1);
}

/**
 * Wakes the first of those whose time has come; false when there is none. Never inlined: the loop
 * runs on the stack of whoever waits, and a page of it more is touched sooner.
 */
static __attribute__((noinline)) bool fire_some(struct eioi_sched *s, int64_t now) {
    struct eioi_heap_node *due[EIOI_HEAP_POP_MOST];
    struct eioi_waiter *waiters[EIOI_HEAP_POP_MOST];
    const size_t n = eioi_heap_pop(&s->timers, now, due, EIOI_HEAP_POP_MOST);
    for (size_t i = 0; i < n; i++) {
        waiters[i] = EIOI_CONTAINER_OF(due[i], struct eioi_timer, node)->waiter;
        __builtin_prefetch(waiters[i]->fiber, 1);
    }
    for (size_t i = 0; i < n; i++) {
        prefetch_frames(waiters[i]->fiber);
        eioi_wake(waiters[i], NULL);
    }
    return n == EIOI_HEAP_POP_MOST;
}

/**
 * Where many are due, not all at once: between being woken and running, a fiber would leave the
 * cache again. The others have their turn when these have run.
 */
static void fire_due_timers(struct eioi_sched *s) {
    if (s->timers.count == 0)
        return;
    int64_t now = s->ops->now(s->backend) + (EIOI_CANARY(timer_early) ? 1 : 0);
    for (int i = 0; i < FIRE_AT_ONCE / EIOI_HEAP_POP_MOST; i++)
        if (!fire_some(s, now))
            return;
}

struct sleep {
    struct eioi_timer timer; // beside what a wake needs of the waiter
    struct eioi_waiter waiter;
};

static void sleep_cancel(struct eioi_waiter *w, eio_err *reason) {
    struct sleep *self = EIOI_CONTAINER_OF(w, struct sleep, waiter);
    eioi_timer_disarm(&self->timer);
    eioi_wake(w, eio_err_ref(reason));
}

eio_err *eioi_sleep_until(int64_t deadline_ns) {
    struct sleep self;
    EIO_TRY(eioi_wait_begin(&self.waiter, "sleep"));
    self.waiter.what_arg = deadline_ns;
    self.timer = (struct eioi_timer){.waiter = &self.waiter};
    if (deadline_ns != INT64_MAX)
        eioi_timer_arm(&self.timer, deadline_ns);
    return eioi_wait(&self.waiter, sleep_cancel);
}

// Messages from other threads

void eioi_post(struct eioi_sched *sched, struct eioi_message *msg) {
    atomic_fetch_add_explicit(&sched->pokers, 1, memory_order_acq_rel);
    if (eioi_mpsc_push(&sched->inbox, &msg->node))
        sched->ops->poke(sched->backend);
    atomic_fetch_sub_explicit(&sched->pokers, 1, memory_order_acq_rel);
}

static void drain_inbox(struct eioi_sched *s) {
    struct eioi_mpsc_node *node = eioi_mpsc_take_all(&s->inbox);
    while (node != NULL) {
        struct eioi_mpsc_node *next = node->next; // the message may be gone after run
        struct eioi_message *msg = EIOI_CONTAINER_OF(node, struct eioi_message, node);
        msg->run(msg);
        node = next;
    }
}

void eioi_drain_messages(void) {
    drain_inbox(eioi_sched_require(__func__));
}

// The loop

/**
 * Nothing can make any fiber ready: says which wait for what, cancels them all; the second time
 * gives them up.
 */
static __attribute__((noinline, cold)) void handle_deadlock(struct eioi_sched *s) {
    if (s->deadlocked) {
        s->abandoned = true;
        return;
    }
    s->deadlocked = true;
    eio_strbuf report = EIO_STRBUF_INIT;
    eio_strbuf_adds(&report,
                    "eio: deadlock: every fiber waits, and nothing is left that could wake one\n");
    eioi_dump_sched(s, &report);
    const char *text = eio_strbuf_str(&report);
    ssize_t n = EIOI_SYS(write, write(STDERR_FILENO, text, strlen(text)));
    (void)n; // a report that can't be written changes nothing
    eio_strbuf_free(&report);
    eio_cancel_cancel(&s->root, eio_err_const(&eio_err_deadlock_detected));
}

static int64_t next_deadline(struct eioi_sched *s) {
    int64_t deadline = eioi_heap_first_key(&s->timers); // EIOI_POLL_FOREVER when there is none
    return s->trim_at < deadline ? s->trim_at : deadline;
}

/** Idle stacks give their pages back after a while; only where time is real. */
static void consider_trim(struct eioi_sched *s) {
    if (s->ops->io_ops == NULL)
        return;
    if (s->trim_at == INT64_MAX) {
        if (eioi_stack_has_idle(s))
            s->trim_at = s->ops->now(s->backend) + TRIM_INTERVAL;
        return;
    }
    if (s->ops->now(s->backend) < s->trim_at)
        return;
    eioi_stack_trim(s);
    s->trim_at = eioi_stack_has_idle(s) ? s->ops->now(s->backend) + TRIM_INTERVAL : INT64_MAX;
}

/** Blocks until there is something to look at. */
static void wait_for_events(struct eioi_sched *s) {
    consider_trim(s);
    if (!eioi_mpsc_sleep(&s->inbox)) {
        drain_inbox(s);
        return;
    }
    struct eioi_fiber *self = s->current;
    s->current = &s->thread; // what the backend prints is no fiber's, and gets no prefix
    enum eioi_poll_result result = s->ops->poll(s->backend, next_deadline(s));
    s->current = self;
    drain_inbox(s); // ends the sleep, too
    fire_due_timers(s);
    if (result == EIOI_POLL_DEADLOCK && s->run_head == NULL)
        handle_deadlock(s);
}

/**
 * Looks again and again, for a while, and for as long again after whatever came: what comes soon is
 * had without going to sleep. (Much is dealt with by the backend, and makes no fiber ready.)
 */
static __attribute__((noinline)) void spin(struct eioi_sched *s) {
    int64_t now = s->ops->now(s->backend);
    int64_t end = now + s->spin_ns;
    while (s->run_head == NULL && now < end) {
        enum eioi_poll_result result = s->ops->poll(s->backend, EIOI_POLL_NOW);
        if (eioi_mpsc_has_any(&s->inbox))
            drain_inbox(s);
        fire_due_timers(s);
        now = s->ops->now(s->backend);
        if (result == EIOI_POLL_BUSY) { // it may be long before it blocks
            end = now + s->spin_ns;
            consider_trim(s);
        }
    }
}

/** The ready fiber that the backend picks becomes the first. */
static void bring_forward(struct eioi_sched *s) {
    size_t n = 0;
    for (struct eioi_fiber *f = s->run_head; f != NULL; f = f->next)
        n++;
    size_t i = s->pick(s->backend, n);
    EIO_ASSERT(i < n, "%zu fibers are ready, and number %zu was picked", n, i);
    if (i == 0)
        return;
    struct eioi_fiber *before = s->run_head;
    while (--i > 0)
        before = before->next;
    struct eioi_fiber *picked = before->next;
    before->next = picked->next;
    if (picked == s->run_tail)
        s->run_tail = before;
    eioi_run_push_head(s, picked);
}

static unsigned full_budget(const struct eioi_sched *s) {
    return s->pick == NULL ? (unsigned)POLL_EVERY : 1;
}

/** Looks at messages, timers and the backend; blocks only while no fiber is ready. */
static __attribute__((noinline)) void run_loop(struct eioi_sched *s) {
    s->budget = full_budget(s);
    if (eioi_mpsc_has_any(&s->inbox))
        drain_inbox(s);
    fire_due_timers(s);
    if (s->run_head != NULL)
        s->ops->poll(s->backend, EIOI_POLL_NOW);
    while (s->run_head == NULL && !s->abandoned) {
        if (s->spin_ns != 0)
            spin(s);
        if (s->run_head == NULL)
            wait_for_events(s);
    }
    if (s->pick != NULL && s->run_head != NULL)
        bring_forward(s);
}

/**
 * Takes the first of the ready fibers, of which there is one. The record of the one behind it will
 * be wanted next: it is on its way into the cache while the first one runs.
 */
static inline struct eioi_fiber *pop_ready(struct eioi_sched *s) {
    struct eioi_fiber *f = s->run_head;
    struct eioi_fiber *behind = f->next;
    s->run_head = behind;
    __builtin_prefetch(behind);
    return f;
}

/** Takes the next ready fiber off the queue; NULL when the rest of the fibers was given up. */
static inline struct eioi_fiber *next_ready(struct eioi_sched *s) {
    if (__builtin_expect(--s->budget == 0 || s->run_head == NULL, 0)) {
        run_loop(s);
        if (s->run_head == NULL)
            return NULL;
    }
    return pop_ready(s);
}

/**
 * The one place where stacks are changed. Returns `from` when it is resumed. `dying`: it will not be.
 */
static inline __attribute__((always_inline)) struct eioi_fiber *switch_to(struct eioi_sched *s,
                                                                          struct eioi_fiber *from,
                                                                          struct eioi_fiber *to,
                                                                          bool dying) {
    s->current = to;
#ifdef EIOI_ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->asan_fake_stack, to->asan_bottom,
                                   to->asan_size);
#endif
#ifdef EIOI_TSAN
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
    (void)dying;
    struct eioi_context *resumed = eioi_context_switch(&from->context, &to->context);
    from = EIOI_CONTAINER_OF(resumed, struct eioi_fiber, context);
#ifdef EIOI_ASAN
    __sanitizer_finish_switch_fiber(from->asan_fake_stack, NULL, NULL);
#endif
    return from;
}

static __attribute__((noinline)) void leave_for_thread(struct eioi_sched *s,
                                                       struct eioi_fiber *from, bool dying) {
    switch_to(s, from, &s->thread, dying);
}

/**
 * Who was woken for what it has waited for goes up through its frames, which other fibers and the
 * kernel have since put out of the cache: those of the next one are on their way in while this one
 * runs.
 */
static inline void prefetch_behind(const struct eioi_sched *s) {
    const struct eioi_fiber *behind = s->run_head;
    if (behind == NULL)
        return;
    __builtin_prefetch(behind->next);
    prefetch_lines(behind->context.sp, WAIT_LINES);
}

void eioi_park(struct eioi_sched *s) {
    struct eioi_fiber *self = s->current;
    int saved = *s->errno_at;
    struct eioi_fiber *next = next_ready(s);
    prefetch_behind(s);
    if (__builtin_expect(next == NULL, 0))
        leave_for_thread(s, self, false);
    else if (next != self)
        switch_to(s, self, next, false);
    *s->errno_at = saved;
}

/** A yield in whose course the loop is gone through. */
static __attribute__((noinline)) void yield_and_look(struct eioi_sched *s) {
    struct eioi_fiber *self = s->current;
    eioi_run_push_tail(s, self);
    run_loop(s);
    struct eioi_fiber *next = pop_ready(s);
    if (next != self)
        switch_to(s, self, next, false);
}

/** The running fiber's turn is over: it becomes the last of the queue, and the next one goes on. */
static inline __attribute__((always_inline)) struct eioi_fiber *yield_turn(struct eioi_sched *s) {
    struct eioi_fiber *self = s->current;
    if (__builtin_expect(--s->budget == 0, 0)) {
        yield_and_look(s);
    } else if (s->run_head != NULL) { // else there is nobody but this one
        self->next = NULL;
        s->run_tail->next = self;
        s->run_tail = self;
        self = switch_to(s, self, pop_ready(s), false);
    }
    return self;
}

// Nothing but errno's address and value is kept over the switch: who this is comes back from it.
// Inlined it also has no return, which the processor would expect to go where the fiber came from
// that ran before.
EIOI_INLINE eio_err *eio_fiber_yield(void) {
    struct eioi_sched *s = eioi_here(__func__);
    int *errno_at = s->errno_at;
    int saved = *errno_at;
    struct eioi_fiber *self = yield_turn(s);
    if (__builtin_expect(*errno_at != saved,
                         0)) // mostly nobody has changed it: no store to wait for
        *errno_at = saved;
    eio_err *reason = self->cc->reason;
    return __builtin_expect(reason == NULL, 1) ? NULL : eio_err_ref(reason);
}

// Waiting

void eioi_waiter_init(struct eioi_waiter *w, const char *what) {
    struct eioi_sched *s = eioi_tls_sched;
    EIO_ASSERT(s != NULL, "waiting (%s) %s", what, eioi_why_no_loop());
    eioi_list_init(&w->node);
    w->fiber = s->current;
    w->sched = s;
    w->cancel = NULL;
    w->err = NULL;
    w->what = what;
    w->what_arg = -1;
    w->woken = false;
}

eio_err *eioi_wait_begin(struct eioi_waiter *w, const char *what) {
    eioi_waiter_init(w, what);
    return __builtin_expect(w->fiber->cc->reason != NULL, 0) ? eio_fiber_yield() : NULL;
}

EIOI_INLINE_ALWAYS eio_err *eioi_wait(struct eioi_waiter *w, eioi_waiter_cancel_fn *cancel) {
    if (!w->woken) {
        w->cancel = cancel;
        w->fiber->waiter = w;
    }
    eioi_park(w->sched);
    EIO_ASSERT(w->woken, "the fiber was resumed, but not what it waits for (%s)", w->what);
    return w->err;
}

void eioi_wake(struct eioi_waiter *w, eio_err *err) {
    EIO_ASSERT(!w->woken, "a wait (%s) was ended twice", w->what);
    EIO_ASSERT(w->sched == eioi_tls_sched, "a wait (%s) was ended from another domain", w->what);
    w->woken = true;
    w->err = err;
    w->fiber->waiter = NULL;
    eioi_run_push_tail(w->sched, w->fiber);
}

static void wake_message(struct eioi_message *msg) {
    struct eioi_waiter *w = EIOI_CONTAINER_OF(msg, struct eioi_waiter, remote);
    eioi_wake(w, w->err);
}

void eioi_wake_remote(struct eioi_waiter *w, eio_err *err) {
    w->err = err;
    w->remote.run = wake_message;
    eioi_post(w->sched, &w->remote);
}

bool eioi_waiter_is_local(const struct eioi_waiter *w) {
    return w->sched == eioi_tls_sched;
}

void eioi_wake_any(struct eioi_waiter *w, eio_err *err) {
    if (eioi_waiter_is_local(w))
        eioi_wake(w, err);
    else
        eioi_wake_remote(w, err);
}

// Fibers begin and end

static atomic_ullong next_fiber_ids;

/** A domain takes its fibers' numbers in blocks: an atomic operation for each would be felt. */
static inline uint64_t new_fiber_id(struct eioi_sched *s) {
    if (__builtin_expect(s->next_id == s->end_id, 0)) {
        s->next_id =
            atomic_fetch_add_explicit(&next_fiber_ids, FIBER_IDS, memory_order_relaxed) + 1;
        s->end_id = s->next_id + FIBER_IDS;
    }
    return s->next_id++;
}

static void set_name(struct eioi_fiber *f, const char *name) {
    size_t len = strnlen(name, sizeof f->name - 1);
    memcpy(f->name, name, len);
    f->name[len] = '\0';
}

static inline void prepare(struct eioi_fiber *f, struct eioi_sched *s, struct eio_cancel *cc,
                           const struct eio_fork_opts *opts) {
    f->next = NULL;
    f->waiter = NULL;
    f->cc = cc;
    f->id = new_fiber_id(s);
    f->name[0] = '\0';
    if (opts != NULL && opts->name != NULL)
        set_name(f, opts->name);
    struct eioi_local *locals = s->current->locals;
    f->locals = locals == NULL ? NULL : eioi_locals_ref(locals);
    eioi_list_push_tail(&cc->fibers, &f->cc_node);
    s->fibers++;
}

eio_err *eioi_fiber_start(struct eio_cancel *cc, eio_fiber_fn *fn, const void *arg, size_t copy_len,
                          size_t copy_align, const struct eio_fork_opts *opts,
                          eioi_fiber_finish_fn *finish, void *owner) {
    struct eioi_sched *s = cc->sched;
    EIO_ASSERT(s == eioi_tls_sched, "Switch accessed from wrong domain!");
    struct eioi_fiber *f;
    size_t bytes = opts != NULL && opts->stack_bytes != 0 ? opts->stack_bytes : s->stack_bytes;
    EIO_TRY(eioi_stack_get(s, bytes, &f));
    prepare(f, s, cc, opts);
    char *top = (char *)f;
    if (copy_len > 0) {
        top = (char *)(((uintptr_t)top - copy_len) & ~(uintptr_t)(copy_align - 1));
        memcpy(top, arg, copy_len);
        arg = top;
    }
    f->fn = fn;
    f->arg = (void *)(uintptr_t)arg;
    f->finish = finish;
    f->owner = owner;
    eioi_context_init(&f->context, top);
    struct eioi_fiber *parent = s->current;
    if (parent != &s->thread)
        EIOI_CANARY(fork_to_tail) ? eioi_run_push_tail(s, parent) : eioi_run_push_head(s, parent);
    int saved = *s->errno_at;
    switch_to(s, parent, f, false);
    *s->errno_at = saved;
    return NULL;
}

/** Ends the running fiber; its stack goes back to the pool. */
static inline __attribute__((always_inline)) EIOI_NEVER_LEFT void fiber_exit(struct eioi_sched *s) {
    struct eioi_fiber *self = s->current;
    eioi_list_unlink(&self->cc_node);
    // What the values' free functions trace must not look at what is being freed.
    struct eioi_local *locals = self->locals;
    self->locals = NULL;
    if (__builtin_expect(locals != NULL, 0))
        eioi_locals_unref(locals);
    // From here on nothing may take a stack from the pool until this one is left: the loop forks
    // nothing, and trims only stacks that stand further down in the list.
    eioi_stack_put(s, self);
    s->fibers--;
    struct eioi_fiber *next = s->fibers == 0 ? NULL : next_ready(s);
    if (next == NULL)
        leave_for_thread(s, self, true);
    else
        switch_to(s, self, next, true);
}

EIOI_NEVER_LEFT _Noreturn void eioi_fiber_main(void) {
    struct eioi_sched *s = eioi_tls_sched;
    struct eioi_fiber *self = s->current;
#ifdef EIOI_ASAN
    // The first time a domain switches, this is how the bounds of the thread's own stack are
    // learned.
    if (s->thread.asan_bottom == NULL)
        __sanitizer_finish_switch_fiber(NULL, &s->thread.asan_bottom, &s->thread.asan_size);
    else
        __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    eio_err *err = self->fn(self->arg);
    EIO_ASSERT(s == eioi_tls_sched,
               "a fiber has returned in a child of fork(2), which has no loop: "
               "such a child ends with _exit(2) or execve(2)");
    self->finish(self, err);
    fiber_exit(s);
    __builtin_unreachable();
}

// Domains begin and end

static void describe_running_fiber(char *buf, unsigned len) {
    struct eioi_sched *s = eioi_tls_sched;
    buf[0] = '\0';
    if (s != NULL && s->current != &s->thread && s->current != NULL)
        snprintf(buf, len, "in fiber %llu '%s' of domain %u", (unsigned long long)s->current->id,
                 s->current->name, s->id);
}

static void main_finish(struct eioi_fiber *self, eio_err *err) {
    struct eioi_sched *s = self->owner;
    s->result = err;
}

static void sched_init(struct eioi_sched *s, const struct eioi_sched_opts *opts) {
    memset(s, 0, sizeof *s);
    s->ops = opts->ops;
    s->backend = opts->backend;
    s->stack_bytes =
        opts->loop.stack_bytes != 0 ? opts->loop.stack_bytes : (size_t)EIOI_STACK_DEFAULT;
    s->guard_bytes = opts->loop.guard_bytes;
    s->spin_ns = opts->loop.spin_ns;
    s->pick = opts->pick;
    s->budget = full_budget(s);
    s->id = atomic_fetch_add_explicit(&next_domain_id, 1, memory_order_relaxed);
    s->errno_at = &errno;
    s->trim_at = INT64_MAX;
    s->root.sched = s;
    eioi_list_init(&s->root.sibling);
    eioi_list_init(&s->root.children);
    eioi_list_init(&s->root.fibers);
    s->current = &s->thread;
    s->thread.cc = &s->root;
#ifdef EIOI_TSAN
    s->thread.tsan_fiber = __tsan_get_current_fiber();
#endif
}

eio_err *eioi_sched_run(const struct eioi_sched_opts *opts, eio_fiber_fn *fn, void *arg) {
    EIO_ASSERT(eioi_tls_sched == NULL, "a loop was started inside a loop (of the same thread)");
    EIO_TRY(eioi_fork_prepare());
    struct eioi_sched sched;
    struct eioi_sched *s = &sched;
    sched_init(s, opts);
    eioi_tls_sched = s;
    eioi_panic_set_describe(describe_running_fiber);
    const struct eio_fork_opts main_opts = {.name = "main"};
    eio_err *err = eioi_fiber_start(&s->root, fn, arg, 0, 0, &main_opts, main_finish, s);
    if (err == NULL)
        err = s->result;
    EIO_ASSERT(s->fibers == 0 || s->abandoned, "the loop has ended with %zu fibers alive",
               s->fibers);
    if (s->deadlocked) {
        eio_err_drop(err);
        err = eio_err_const(&eio_err_deadlock_detected);
    }
    while (atomic_load_explicit(&s->pokers, memory_order_acquire) != 0)
        sched_yield(); // a thread that has just posted the last message is still on its way out
    drain_inbox(s);
    eioi_stack_destroy_all(s);
    eioi_heap_fini(&s->timers);
    eio_err_drop(s->root.reason);
    eioi_tls_sched = NULL;
    return err;
}
