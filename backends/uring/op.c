// SPDX-License-Identifier: ISC

// Theory. An operation's record is in the frame of the fiber that waits for it, and its address is
// its user_data. The kernel may write to the frame until the operation's own completion, so the
// fiber is not woken before that one was taken. Cancelling changes nothing in this: it only asks.
// (The operations of a socket's engine are in the engine's record, which stays until `done` just as
// a frame does. Read "its owner hears that it is over" for "the fiber is woken", then. They may
// complete many times: only the last completion, which the kernel marks as such, is the end.)
//
// A cancel request names its target by user_data, so it must never be carried out when another
// operation has come to live at the same address. It can't be:
//   1. There is at most one request for an operation at a time, and it is made only between the
//      making of the operation's submission entry and the taking of its completion. Entries are
//      carried out in the order in which they are queued, so it is carried out after its target was
//      started, never before.
//   2. A request that has no entry yet (the queue is full) is an operation's place in a list, out
//      of which the operation is taken when it completes.
//   3. When a request has its entry, the fiber is not woken before the request's own completion was
//      taken, too.
// So from the making of a request's entry to its completion the record stands where it stood, and
// the name means it.
//
// Nor can a request be lost: with the queue full it waits in `starved_cancels`, which goes before
// everything else when entries are free again; if the kernel says that the target can't be stopped
// now (EALREADY: a worker thread has it) or isn't there (it is between two states, or its
// completion is on the way) and no completion comes, it is repeated. An operation that hasn't even
// an entry is taken off `starved` or out of its line, and the kernel never hears of it.
//
// One that was held and has a result at once (`at_once`) is DONE without ever being STARVED.
//
//         start       first in line      entry made         completion
//   (new) -----> HELD -------------> STARVED -----> STARTED ------------> DONE
//                 |                     |                                  ^
//                 +---------------------+---------- cancel ----------------+

#include "backends/uring/op.h"

#include <errno.h>

#include "fiber/base/assert.h"
#include "fiber/base/canary.h"

enum { AGAIN_AFTER_NS = 10 * 1000 * 1000 };

_Static_assert(_Alignof(struct eioi_op) > EIOI_TAG_MASK,
               "the low bits of a record's address are free for the tag");

static void finish(struct eioi_op *self) {
    self->owner->done(self);
}

static void make_entry(struct eioi_op *self, struct io_uring_sqe *sqe) {
    if (self->injected == 0)
        self->prepare(self, sqe);
    else
        io_uring_prep_nop(sqe);
    sqe->user_data = eioi_tagged(self, EIOI_TAG_OP);
    self->state = EIOI_OP_STARTED;
    self->entry_end = eioi_ring_end(&self->uring->ring);
}

bool eioi_op_is_submitted(const struct eioi_op *self) {
    return self->state == EIOI_OP_STARTED &&
           eioi_ring_has_taken(&self->uring->ring, self->entry_end);
}

/** Without the kernel having heard of it. */
static void finish_unstarted(struct eioi_op *self, int32_t res) {
    self->state = EIOI_OP_DONE;
    self->res = res;
    self->flags = 0;
    finish(self);
}

static bool finish_at_once(struct eioi_op *self) {
    if (self->at_once == NULL || self->injected != 0)
        return false;
    int32_t res = self->at_once(self);
    if (res == -EAGAIN)
        return false;
    finish_unstarted(self, res);
    return true;
}

static void start(struct eioi_op *self) {
    struct eioi_uring *uring = self->uring;
    // Whoever came first goes first.
    struct io_uring_sqe *sqe = eioi_list_empty(&uring->starved) ? eioi_uring_sqe(uring) : NULL;
    if (sqe != NULL) {
        make_entry(self, sqe);
        return;
    }
    self->state = EIOI_OP_STARVED;
    eioi_list_push_tail(&uring->starved, &self->node);
}

void eioi_op_start_held(struct eioi_op *self) {
    EIO_ASSERT(self->state == EIOI_OP_HELD, "who stands in line (%s) wasn't started", self->what);
    if (!finish_at_once(self))
        start(self);
}

void eioi_op_launch(struct eioi_op *self) {
    if (self->place == NULL || self->place->first) {
        start(self);
    } else {
        self->state = EIOI_OP_HELD;
        eioi_line_hold(&self->uring->lines, self->place, self);
    }
}

static struct eioi_fiber_op *fiber_op_of(struct eioi_op *op) {
    return EIOI_CONTAINER_OF(op, struct eioi_fiber_op, op);
}

static void wake_fiber(struct eioi_op *self) {
    eioi_wake(&fiber_op_of(self)->waiter, NULL);
}

const struct eioi_op_owner eioi_op_fiber_owner = {.done = wake_fiber};

void eioi_op_cancel_wait(struct eioi_waiter *w, eio_err *reason) {
    (void)reason; // the fiber finds it in its context
    eioi_op_cancel(&EIOI_CONTAINER_OF(w, struct eioi_fiber_op, waiter)->op);
}

static void make_cancel_entry(struct eioi_op *self, struct io_uring_sqe *sqe) {
    io_uring_prep_cancel64(sqe, eioi_tagged(self, EIOI_TAG_OP), 0);
    sqe->user_data = eioi_tagged(self, EIOI_TAG_CANCEL);
    self->cancel = EIOI_CANCEL_SENT;
}

static void wait_to_cancel(struct eioi_op *self) {
    self->cancel = EIOI_CANCEL_STARVED;
    eioi_list_push_tail(&self->uring->starved_cancels, &self->node);
}

void eioi_op_cancel(struct eioi_op *self) {
    if (self->state == EIOI_OP_STARVED || self->state == EIOI_OP_HELD ||
        (EIOI_CANARY(cancel_is_over) && self->state == EIOI_OP_STARTED)) {
        eioi_list_unlink(&self->node);
        finish_unstarted(self, -ECANCELED);
        return;
    }
    if (self->state == EIOI_OP_DONE || self->cancel != EIOI_CANCEL_NONE)
        return;
    struct io_uring_sqe *sqe =
        eioi_list_empty(&self->uring->starved_cancels) ? eioi_uring_sqe(self->uring) : NULL;
    if (sqe != NULL)
        make_cancel_entry(self, sqe);
    else
        wait_to_cancel(self);
}

void eioi_op_came(struct eioi_op *self, int32_t res, uint32_t flags) {
    EIO_ASSERT(self->state == EIOI_OP_STARTED && self->owner->more != NULL,
               "an operation (%s) completes once", self->what);
    self->owner->more(self, res, flags);
}

void eioi_op_completed(struct eioi_op *self, int32_t res, uint32_t flags) {
    EIO_ASSERT(self->state == EIOI_OP_STARTED, "an operation (%s) completes once", self->what);
    self->state = EIOI_OP_DONE;
    self->res = self->injected == 0 ? res : -self->injected;
    self->flags = flags;
    if (self->cancel == EIOI_CANCEL_SENT)
        return;                    // its answer names this record
    eioi_list_unlink(&self->node); // of a request that wasn't made yet, or isn't repeated
    self->cancel = EIOI_CANCEL_NONE;
    finish(self);
}

void eioi_op_cancel_answered(struct eioi_op *self, int32_t res) {
    EIO_ASSERT(self->cancel == EIOI_CANCEL_SENT, "a cancel request (%s) is answered once",
               self->what);
    self->cancel = EIOI_CANCEL_ANSWERED;
    if (self->state == EIOI_OP_DONE) {
        finish(self);
        return;
    }
    if (res >= 0)
        return;
    struct eioi_uring *uring = self->uring;
    if (eioi_list_empty(&uring->again))
        uring->again_at = eioi_uring_now() + AGAIN_AFTER_NS;
    self->cancel = EIOI_CANCEL_AGAIN;
    eioi_list_push_tail(&uring->again, &self->node);
}

void eioi_op_taken_back(struct eioi_op *self, int32_t res) {
    self->injected = 0;
    eioi_op_completed(self, res, /* flags= */ 0);
}

void eioi_op_cancel_taken_back(struct eioi_op *self) {
    EIO_ASSERT(self->cancel == EIOI_CANCEL_SENT, "only what was queued is taken back");
    if (self->state == EIOI_OP_DONE) {
        self->cancel = EIOI_CANCEL_NONE;
        finish(self);
        return;
    }
    wait_to_cancel(self);
}

static struct eioi_op *first_of(struct eioi_list *list) {
    return eioi_list_empty(list) ? NULL : EIOI_CONTAINER_OF(list->next, struct eioi_op, node);
}

void eioi_op_feed(struct eioi_uring *uring) {
    struct eioi_op *op;
    struct io_uring_sqe *sqe;
    while ((op = first_of(&uring->starved_cancels)) != NULL &&
           (sqe = eioi_uring_sqe(uring)) != NULL) {
        eioi_list_unlink(&op->node);
        make_cancel_entry(op, sqe);
    }
    while ((op = first_of(&uring->starved)) != NULL && (sqe = eioi_uring_sqe(uring)) != NULL) {
        eioi_list_unlink(&op->node);
        make_entry(op, sqe);
    }
}

void eioi_op_repeat_cancels(struct eioi_uring *uring) {
    struct eioi_op *op;
    while ((op = first_of(&uring->again)) != NULL) {
        eioi_list_unlink(&op->node);
        wait_to_cancel(op);
    }
}

void eioi_op_fail_starved(struct eioi_uring *uring, int32_t res) {
    struct eioi_op *op;
    while ((op = first_of(&uring->starved)) != NULL) {
        eioi_list_unlink(&op->node);
        finish_unstarted(op, res);
    }
}
