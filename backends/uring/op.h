// SPDX-License-Identifier: ISC
#ifndef EIO_URING_OP_H
#define EIO_URING_OP_H

// One operation in the kernel: of one fiber, in that fiber's frame, or of a socket's engine, in the
// engine's record. See the theory at the head of op.c.

#include <errno.h>
#include <stdint.h>

#include "backends/uring/line.h"
#include "backends/uring/state.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "fiber/sched.h"

struct eioi_op;
/** Fills in the submission entry of `self`, all but user_data. */
typedef void eioi_op_prepare_fn(struct eioi_op *self, struct io_uring_sqe *sqe);

/** The result of `self`, by a plain call that doesn't wait; -EAGAIN: there is none. */
typedef int32_t eioi_op_at_once_fn(struct eioi_op *self);

enum eioi_op_state {
    EIOI_OP_HELD,    // stands in line behind another (line.c)
    EIOI_OP_STARVED, // on uring->starved: waits for a submission entry
    EIOI_OP_STARTED, // has one: queued, or in the kernel's hands
    EIOI_OP_DONE,    // its completion was taken, or it never started
};

enum eioi_op_cancel {
    EIOI_CANCEL_NONE,     // not asked for
    EIOI_CANCEL_STARVED,  // on uring->starved_cancels: waits for a submission entry
    EIOI_CANCEL_SENT,     // has one; its answer hasn't been taken
    EIOI_CANCEL_ANSWERED, // it found the operation, whose completion must come
    EIOI_CANCEL_AGAIN,    // on uring->again: didn't find or couldn't stop it, and is repeated
};

/** Whose operation it is, that is, who hears of its results. */
struct eioi_op_owner {
    /** It is over: the kernel knows neither it nor its cancel request. The record may go. */
    void (*done)(struct eioi_op *self);
    /** Multishot: a result after which more may come; NULL: there are none. */
    void (*more)(struct eioi_op *self, int32_t res, uint32_t flags);
};

struct eioi_op {
    struct eioi_uring *uring;
    const struct eioi_op_owner *owner;
    eioi_op_prepare_fn *prepare;
    eioi_op_at_once_fn *at_once; // as in the spec
    const char *what;            // for messages: what is waited for, a static string
    struct eioi_place *place;    // in the line of its descriptor; NULL: stands in none
    struct eioi_list node;       // in the list that `state` or `cancel` names; never in two
    int32_t res;                 // valid once done: the completion's result, a count or -errno
    uint32_t flags;              // valid once done: the completion's flags
    unsigned entry_end; // valid while started: where its submission entry ends in the queue
    int32_t injected;   // tests: the errno that stands for the result; 0: none
    uint8_t state;      // enum eioi_op_state
    uint8_t cancel;     // enum eioi_op_cancel
};

/** An operation that a fiber waits for. */
struct eioi_fiber_op {
    struct eioi_op op;
    struct eioi_waiter waiter;
};

/**
 * Says what the next run is: `what` and `fd` are for dumps, `fault` is the fault point of its
 * result.
 */
struct eioi_op_spec {
    eioi_op_prepare_fn *prepare;
    eioi_op_at_once_fn *at_once; // tried when it was held and is the first; NULL: nothing is
    const char *what;
    const char *fault;
    int fd;
    struct eioi_place *place; // starts when this is the first of its line; NULL: at once
};

/** For eioi_op_start: an operation with all that it is, to the kernel or into its line. */
void eioi_op_launch(struct eioi_op *self);
/** Starts an operation that no fiber waits for. */
static inline void eioi_op_start(struct eioi_op *self, struct eioi_uring *uring,
                                 const struct eioi_op_owner *owner,
                                 const struct eioi_op_spec *spec) {
    self->uring = uring;
    self->owner = owner;
    self->prepare = spec->prepare;
    self->at_once = spec->at_once;
    self->what = spec->what;
    self->place = spec->place;
    self->cancel = EIOI_CANCEL_NONE;
    self->injected =
        __builtin_expect(eioi_fault_hook != NULL, 0) && eioi_fault_fails(spec->fault) ? errno : 0;
    eioi_list_init(&self->node);
    eioi_op_launch(self);
}

/** Whose operations wake the fiber that waits. */
extern const struct eioi_op_owner eioi_op_fiber_owner;
/** `eioi_wait`'s, for those. */
void eioi_op_cancel_wait(struct eioi_waiter *w, eio_err *reason);
/**
 * Starts the operation, waits for it, and returns its result; -ECANCELED may have any reason. Inline,
 * so that nothing of `spec` needs to be in memory.
 */
static inline int32_t eioi_op_run(struct eioi_fiber_op *self, struct eioi_uring *uring,
                                  const struct eioi_op_spec *spec) {
    eioi_waiter_init(&self->waiter, spec->what);
    self->waiter.what_arg = spec->fd;
    eioi_op_start(&self->op, uring, &eioi_op_fiber_owner, spec);
    eio_err_drop(eioi_wait(&self->waiter, eioi_op_cancel_wait));
    EIO_ASSERT(self->op.state == EIOI_OP_DONE && self->op.cancel != EIOI_CANCEL_SENT,
               "an operation (%s) is over when the kernel is", spec->what);
    return self->op.res;
}
/**
 * Asks the running operation to end soon, with a result or without. Idempotent; nothing happens
 * when it is over.
 */
void eioi_op_cancel(struct eioi_op *self);

/** Whether the kernel has taken the submission entry of the operation, which isn't done. */
bool eioi_op_is_submitted(const struct eioi_op *self);

/** For the line: the operation, which was held, is now the first. */
void eioi_op_start_held(struct eioi_op *self);
/** For the loop: the operation's last completion. */
void eioi_op_completed(struct eioi_op *self, int32_t res, uint32_t flags);
/** For the loop: a completion of the operation, after which more come. */
void eioi_op_came(struct eioi_op *self, int32_t res, uint32_t flags);
/** For the loop: the answer to its cancel request. */
void eioi_op_cancel_answered(struct eioi_op *self, int32_t res);
/** For the loop: its submission entry was taken back; `self` gets `res` as its result. */
void eioi_op_taken_back(struct eioi_op *self, int32_t res);
/**
 * For the loop: the submission entry of its cancel request was taken back, and has to be made
 * again.
 */
void eioi_op_cancel_taken_back(struct eioi_op *self);
/**
 * For the loop: gives submission entries to those who wait for one: cancel requests first, then
 * operations.
 */
void eioi_op_feed(struct eioi_uring *uring);
/** For the loop: every cancel request that is to be repeated waits for a submission entry. */
void eioi_op_repeat_cancels(struct eioi_uring *uring);
/** For the loop: operations that wait for a submission entry get `res` as their result. */
void eioi_op_fail_starved(struct eioi_uring *uring, int32_t res);

#endif
