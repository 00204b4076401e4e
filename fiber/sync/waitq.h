// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_SYNC_WAITQ_H
#define EIO_FIBER_SYNC_WAITQ_H

// What the primitives of this folder share: a lock, and lists of fibers (of any domains) that wait,
// first in first out.
//
//     eioi_spin_lock(&self->lock);
//     if (available) { take it; unlock; return NULL; }
//     eioi_waitq_push(&self->waiters, &parked);     // to be found by who makes it available
//     eioi_spin_unlock(&self->lock);
//     return eioi_parked_wait(&parked);
//
// Who unlinks a parked fiber under the lock has won it, and is the only one to wake it: a fiber
// that was popped gets what it waited for even when it is cancelled before it runs again, and one
// whose cancellation came first is in no list any more. The wake comes after the unlock, so a
// critical section is a few loads and stores. Once woken, a parked fiber may return, and end the
// object that it waited for: whoever wakes doesn't touch either after that.

#include "fiber/base/list.h"
#include "fiber/base/spin.h"
#include "fiber/sched.h"

/** A waiting fiber, in its own frame. */
struct eioi_parked {
    struct eioi_waiter waiter; // its node is linked while nobody has won; under `lock`
    struct eioi_spin *lock;    // of the object waited for
    struct eioi_parked *next;  // of those that were taken off together
    void *item;                // what goes from one side to the other, where something does
};

/**
 * Starts a wait. When the fiber is cancelled already it waits for one turn of the run queue, then
 * returns Cancelled.
 */
EIO_MUST_USE eio_err *eioi_parked_begin(struct eioi_parked *self, struct eioi_spin *lock,
                                        const char *what);
/**
 * Suspends until woken, or cancelled. The fiber has been pushed, or popped again meanwhile; the
 * lock isn't held.
 */
EIO_MUST_USE eio_err *eioi_parked_wait(struct eioi_parked *self);
/** Wakes a popped fiber; takes `err` over. */
void eioi_parked_wake(struct eioi_parked *self, eio_err *err);
/**
 * Wakes what `eioi_waitq_take_all` gave, each with a reference to `err`, which stays the caller's.
 */
void eioi_parked_wake_all(struct eioi_parked *first, eio_err *err);

/** Appends; under the lock. */
static inline void eioi_waitq_push(struct eioi_list *queue, struct eioi_parked *parked) {
    eioi_list_push_tail(queue, &parked->waiter.node);
}

/** Takes the oldest off, or NULL; under the lock. The caller has to wake it. */
static inline struct eioi_parked *eioi_waitq_pop(struct eioi_list *queue) {
    struct eioi_list *node = eioi_list_pop_head(queue);
    return node != NULL ? EIOI_CONTAINER_OF(node, struct eioi_parked, waiter.node) : NULL;
}

/**
 * Takes all off, the oldest first; NULL when there is none; under the lock. The caller has to wake
 * them.
 */
static inline struct eioi_parked *eioi_waitq_take_all(struct eioi_list *queue) {
    struct eioi_parked *first = NULL, **end = &first;
    for (struct eioi_parked *parked; (parked = eioi_waitq_pop(queue)) != NULL; end = &parked->next)
        *end = parked;
    *end = NULL;
    return first;
}

#endif
