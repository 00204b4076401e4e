// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_SCHED_H
#define EIO_FIBER_SCHED_H

// The scheduler's contract with backends, mocks and the synchronisation primitives: how to wait,
// how to wake, what a backend provides. Not for programs.
//
// A fiber waits through a waiter, a record in its own frame:
//
//     struct eioi_waiter w;
//     EIO_TRY(eioi_wait_begin(&w, "promise"));      // cancelled already: one turn, then Cancelled
//     eioi_list_push_tail(&self->waiters, &w.node); // nothing completes between here and the wait
//     return eioi_wait(&w, promise_cancel);         // suspends; gives what it was woken with
//
// Exactly one party wins a waiter (completion, timer, cancel, close) and calls `eioi_wake` (from
// its own domain) or `eioi_wake_remote` (from any other). Where several threads may try, the lock
// of the object waited on decides who. A wake puts the fiber at the tail of the run queue; it never
// runs it. A result once given stands: being cancelled between wake and resume doesn't change it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"
#include "eio/fiber.h"
#include "fiber/base/heap.h"
#include "fiber/base/list.h"
#include "fiber/base/mpsc.h"

EIO_BEGIN_DECLS

struct eioi_fiber;
struct eioi_sched;
struct eioi_waiter;

/**
 * A message to a domain: `run` is called there, by its loop, and may free the message. It runs no
 * user code.
 */
struct eioi_message {
    struct eioi_mpsc_node node;
    void (*run)(struct eioi_message *self);
};

/**
 * The fiber's context was cancelled while it waited. Called at most once, in the fiber's domain,
 * and not any more once the waiter was woken (by its own domain). Either unlinks the waiter and
 * calls `eioi_wake(w, eio_err_ref(reason))`, or asks for completion (an operation in the kernel),
 * or does nothing (somebody else has won already).
 */
typedef void eioi_waiter_cancel_fn(struct eioi_waiter *w, eio_err *reason);

struct eioi_waiter {
    struct eioi_list node;    // for the object waited on; the waiter doesn't look at it
    struct eioi_fiber *fiber; // who waits
    struct eioi_sched *sched; // its domain
    eio_err *err;             // valid once woken: what eioi_wait returns
    bool woken;
    eioi_waiter_cancel_fn *cancel; // valid between eioi_wait and the wake; NULL: can't be cancelled
    struct eioi_message remote;    // carries a wake from another domain
    const char *what;              // for dumps: what it waits for, a static string
    int64_t what_arg;              // for dumps: descriptor or deadline; -1: none
};

/**
 * Prepares a wait of the running fiber, which can't be cancelled (`eioi_wait(&w, NULL)`) or whose
 * caller has checked.
 */
void eioi_waiter_init(struct eioi_waiter *w, const char *what);
/**
 * Prepares a wait. When the fiber is cancelled already it waits for one turn of the run queue, then
 * returns Cancelled.
 */
EIO_MUST_USE eio_err *eioi_wait_begin(struct eioi_waiter *w, const char *what);
/**
 * Suspends until woken; returns what the waker gave. `cancel` NULL: cancellation doesn't touch this
 * wait.
 */
EIO_MUST_USE eio_err *eioi_wait(struct eioi_waiter *w, eioi_waiter_cancel_fn *cancel);
/**
 * Ends a wait of a fiber of this domain; takes `err` over. The waiter must not have been woken
 * (asserted).
 */
void eioi_wake(struct eioi_waiter *w, eio_err *err);
/** Ends a wait of a fiber of another domain (or this one), from any thread; takes `err` over. */
void eioi_wake_remote(struct eioi_waiter *w, eio_err *err);
/** Whether `w` belongs to the calling thread's domain. */
bool eioi_waiter_is_local(const struct eioi_waiter *w);
/** `eioi_wake` or `eioi_wake_remote`, whichever fits. */
void eioi_wake_any(struct eioi_waiter *w, eio_err *err);

/** The running domain; NULL outside a loop. */
struct eioi_sched *eioi_sched_current(void);
/** The running domain; stops the program with `func` in the message when there is none. */
struct eioi_sched *eioi_sched_require(const char *func);
/**
 * Sends `msg` to `sched` from any thread. Something must keep that domain alive until then (a
 * waiter that is won, a share).
 */
void eioi_post(struct eioi_sched *sched, struct eioi_message *msg);
/** Runs the messages that have come so far; in their own domain only. */
void eioi_drain_messages(void);

/** A deadline on the monotonic clock of the domain. In the waiting fiber's frame. */
struct eioi_timer {
    struct eioi_heap_node node;
    struct eioi_waiter *waiter; // woken with NULL when due
};
/**
 * Arms a timer of this domain. A fiber has one armed at most: that one can't fail, room for it was
 * made when the fiber's stack was.
 */
void eioi_timer_arm(struct eioi_timer *self, int64_t deadline_ns);
/** Disarms; nothing happens when it isn't armed. */
void eioi_timer_disarm(struct eioi_timer *self);
/**
 * Suspends until `deadline_ns` of the domain's monotonic clock (INT64_MAX: for ever); at least one
 * turn.
 */
EIO_MUST_USE eio_err *eioi_sleep_until(int64_t deadline_ns);
/** The running fiber has done a lot: the loop looks at I/O and timers at the next turn already. */
void eioi_sched_poll_soon(void);
/** Now, by the backend's monotonic clock. */
int64_t eioi_now(void);

enum { EIOI_POLL_NOW = 0 };
#define EIOI_POLL_FOREVER INT64_MAX

/** What `eioi_backend_ops.poll` found. */
enum eioi_poll_result {
    EIOI_POLL_OK,   // look at the run queue again
    EIOI_POLL_BUSY, // the same; something came, by which a fiber is ready or not: more may follow
    EIOI_POLL_DEADLOCK, // nothing is ready, and nothing can come (mock)
};

/**
 * A backend, as the scheduler sees it. One instance a domain; only `poke` is called from other
 * threads.
 */
struct eioi_backend_ops {
    const char *name; // "io_uring", "epoll", "mock"
    /**
     * Submits what is queued, takes what has completed, and marks those waits as done
     * (`eioi_wake`). Runs no user code. Blocks until something completes, `poke`, or `deadline_ns`:
     * EIOI_POLL_NOW: doesn't block; EIOI_POLL_FOREVER.
     */
    enum eioi_poll_result (*poll)(void *backend, int64_t deadline_ns);
    /** Makes a blocking poll return; from any thread. */
    void (*poke)(void *backend);
    /** The monotonic clock, ns. */
    int64_t (*now)(void *backend);
    /** Waits for poll(2) `events` of a foreign descriptor. NULL: Not_available. */
    eio_err *(*await_fd)(void *backend, int fd, short events);
    /**
     * Descriptor operations of real backends (`struct eioi_io_ops`, backends/unix/low_level.h);
     * NULL in mocks.
     */
    const void *io_ops;
    /**
     * In a child of fork(2): gives up what the child shares with the parent, who goes on using it.
     * NULL: nothing is shared.
     */
    void (*forked)(void *backend);
};

/** What is the same for all the loops of a program. */
struct eioi_loop_opts {
    size_t stack_bytes; // default stack of a fiber; 0: 64 KiB (256 KiB under a sanitizer)
    int64_t spin_ns;    // how long to look for events before blocking; 0: not at all
    size_t guard_bytes; // of each stack, the part that is its guard, at most half; 0: a page
};

struct eioi_sched_opts {
    const struct eioi_backend_ops *ops;
    void *backend;
    struct eioi_loop_opts loop;
    /** Which of the `ready` fibers, counted from 0, goes on next; NULL: the first, always. */
    size_t (*pick)(void *backend, size_t ready);
};

/**
 * Makes this thread a domain, runs `fn(arg)` in its main fiber, and returns its error when it has
 * ended (with it, every fiber). A deadlock (mock) is reported to `eio_traceln`'s sink's stderr,
 * every fiber is cancelled with Deadlock_detected, and that is returned. Nested calls are asserted.
 */
EIO_MUST_USE eio_err *eioi_sched_run(const struct eioi_sched_opts *opts, eio_fiber_fn *fn,
                                     void *arg);
/** The backend instance of the running domain. */
void *eioi_backend(void);
/** The backend's operations of the running domain. */
const struct eioi_backend_ops *eioi_backend_ops_current(void);
/** A name for the running domain, as in dumps: a small number. */
unsigned eioi_domain_id(void);

EIO_END_DECLS

#endif
