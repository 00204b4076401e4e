// SPDX-License-Identifier: ISC

// A parked fiber is linked (waiting), then unlinked by exactly one party, under the lock of the
// object: by whoever gives it what it waits for, or by its own cancellation. Only the first wakes
// it. A domain other than the fiber's may win and send its wake-up as a message; a cancellation
// that comes before the message finds the node unlinked, and does nothing.

#include "fiber/sync/waitq.h"

static void parked_cancel(struct eioi_waiter *waiter, eio_err *reason) {
    struct eioi_parked *self = EIOI_CONTAINER_OF(waiter, struct eioi_parked, waiter);
    eioi_spin_lock(self->lock);
    bool mine = !eioi_list_empty(&waiter->node);
    eioi_list_unlink(&waiter->node);
    eioi_spin_unlock(self->lock);
    if (mine)
        eioi_wake(waiter, eio_err_ref(reason));
}

eio_err *eioi_parked_begin(struct eioi_parked *self, struct eioi_spin *lock, const char *what) {
    self->lock = lock;
    self->item = NULL;
    self->next = NULL;
    return eioi_wait_begin(&self->waiter, what);
}

eio_err *eioi_parked_wait(struct eioi_parked *self) {
    return eioi_wait(&self->waiter, parked_cancel);
}

void eioi_parked_wake(struct eioi_parked *self, eio_err *err) {
    eioi_wake_any(&self->waiter, err);
}

void eioi_parked_wake_all(struct eioi_parked *first, eio_err *err) {
    while (first != NULL) {
        struct eioi_parked *parked = first;
        first = parked->next; // once woken it may be gone
        eioi_parked_wake(parked, eio_err_ref(err));
    }
}
