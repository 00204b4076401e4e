// SPDX-License-Identifier: ISC
// The cancellation tree.
//
// A context is on, cancelling (`reason` set) or finished. Cancelling marks the whole subtree first,
// leaving out protected contexts and all below them and what is cancelling already; then it calls
// the cancel functions of the fibers that wait there, each once: children before parents, and
// within a context in the order of the fibers' arrival. Leaving a sub-context is an arrival. A
// fiber that runs or is ready isn't woken: it finds out at its next check.
//
// The walk uses parent pointers and a list threaded through the contexts: no recursion, however deep
// the scopes, and no memory.

#include "eio/cancel.h"

#include <string.h>

#include "fiber/base/canary.h"
#include "fiber/impl.h"

void eioi_cancel_open(struct eio_cancel *cc, bool protect) {
    struct eioi_sched *s = eioi_here(__func__);
    struct eioi_fiber *f = s->current;
    cc->parent = f->cc;
    eioi_list_push_tail(&f->cc->children, &cc->sibling);
    eioi_list_init(&cc->children);
    eioi_list_init(&cc->fibers);
    cc->reason = NULL;
    cc->sched = s;
    cc->protect = protect;
    cc->finished = false;
    eioi_list_unlink(&f->cc_node);
    eioi_list_push_tail(&cc->fibers, &f->cc_node);
    f->cc = cc;
}

void eioi_cancel_close(struct eio_cancel *cc) {
    struct eioi_fiber *f = cc->sched->current;
    EIO_ASSERT(f->cc == cc, "a cancellation context is left from inside another one");
    eioi_list_unlink(&f->cc_node);
    EIO_ASSERT(eioi_list_empty(&cc->fibers), "a cancellation context ends before its fibers");
    EIO_ASSERT(eioi_list_empty(&cc->children),
               "a cancellation context ends before those inside it");
    eioi_list_push_tail(&cc->parent->fibers, &f->cc_node);
    f->cc = cc->parent;
    eioi_list_unlink(&cc->sibling);
    cc->finished = true;
    eio_err_drop(cc->reason);
    cc->reason = NULL;
}

/** The next child after `after` (NULL: the first) that the walk goes into. */
static struct eio_cancel *next_child(struct eio_cancel *cc, struct eio_cancel *after) {
    struct eioi_list *it = after == NULL ? cc->children.next : after->sibling.next;
    for (; it != &cc->children; it = it->next) {
        struct eio_cancel *child = EIOI_CONTAINER_OF(it, struct eio_cancel, sibling);
        if ((!child->protect || EIOI_CANARY(skip_protect)) && child->reason == NULL)
            return child;
    }
    return NULL;
}

/** Marks the subtree; returns its contexts, children before parents, linked by `next_marked`. */
static struct eio_cancel *mark(struct eio_cancel *top, eio_err *reason) {
    struct eio_cancel *first = NULL;
    struct eio_cancel **tail = &first;
    struct eio_cancel *cc = top;
    struct eio_cancel *after = NULL;
    top->reason = eio_err_ref(reason);
    for (;;) {
        struct eio_cancel *child = next_child(cc, after);
        if (child != NULL) {
            child->reason = eio_err_ref(reason);
            cc = child;
            after = NULL;
            continue;
        }
        *tail = cc;
        tail = &cc->next_marked;
        if (cc == top)
            break;
        after = cc;
        cc = cc->parent;
    }
    *tail = NULL;
    return first;
}

/** Calls the cancel functions of the fibers of `cc` that wait. No fiber runs meanwhile. */
static void cancel_waits(struct eio_cancel *cc, eio_err *reason) {
    EIOI_LIST_EACH (it, &cc->fibers) {
        __builtin_prefetch(it_next);
        struct eioi_waiter *w = EIOI_CONTAINER_OF(it, struct eioi_fiber, cc_node)->waiter;
        if (w == NULL || w->cancel == NULL || EIOI_CANARY(drop_cancel))
            continue;
        eioi_waiter_cancel_fn *cancel = w->cancel;
        w->cancel = NULL;
        cancel(w, reason);
    }
}

void eio_cancel_cancel(eio_cancel *cc, eio_err *reason) {
    EIO_ASSERT(cc->sched == eioi_tls_sched, "Cancellation context accessed from wrong domain!");
    EIO_ASSERT(!cc->finished, "Cancellation context finished!");
    if (cc->reason != NULL) {
        eio_err_drop(reason);
        return;
    }
    eio_err *cancelled = eio_err_cancelled_new(reason);
    for (struct eio_cancel *it = mark(cc, cancelled); it != NULL; it = it->next_marked)
        cancel_waits(it, cancelled);
    eio_err_drop(cancelled);
}

eio_err *eio_cancel_check(eio_cancel *cc) {
    EIO_ASSERT(!cc->finished, "Cancellation context finished!");
    return eio_err_ref(cc->reason);
}

eio_err *eio_cancel_sub(eio_cancel_sub_fn *fn, void *arg) {
    EIO_TRY(eio_fiber_check());
    struct eio_cancel cc;
    eioi_cancel_open(&cc, false);
    eio_err *err = fn(arg, &cc);
    eioi_cancel_close(&cc);
    return err;
}

eio_err *eio_cancel_protect(eio_call_fn *fn, void *arg) {
    struct eio_cancel cc;
    eioi_cancel_open(&cc, true);
    eio_err *err = fn(arg);
    eioi_cancel_close(&cc);
    return err;
}

void eio_cleanup(eio_err **err, eio_call_fn *fn, void *arg) {
    *err = eio_err_combine(*err, eio_cancel_protect(fn, arg));
}
