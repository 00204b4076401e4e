// SPDX-License-Identifier: ISC

// Theory. A call lives in the frame of the fiber that makes it, and that fiber stays until the
// thread has been joined; so both sides may use it, and nothing is allocated.
//
// The thread: starts a backend, runs the function in a context of its own, stops the backend, and
// then wakes the caller: its last act, after which joining it takes no time. A backend or a loop
// that can't be started is the call's error.
//
// Cancelling the caller doesn't end its wait. It sends the thread a message, which cancels the
// context there. `phase` says, under the call's lock, whether that message has somebody to go to:
// before the context exists the request is left for the thread to find; once the context is gone
// there is nothing to cancel. While it exists its domain is alive, so the message may be posted.
// One that has been posted by the time the context is to end is waited for: it is in the caller's
// frame, and must not lie in an inbox that nobody empties.

#include "backends/domain_mgr.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>

#include "backends/overflow.h"
#include "eio/cancel.h"
#include "eio/fiber.h"
#include "eio/self.h"
#include "fiber/base/fault.h"
#include "fiber/base/spin.h"
#include "fiber/sched.h"

static const struct eio_domain_mgr_ops real_ops;

enum phase {
    STARTING, // no context yet
    RUNNING,  // `cc` is valid, in domain `sched`
    ENDED,    // no context any more
};

struct call {
    const struct eioi_domain_mgr *mgr;
    eio_call_fn *fn;
    void *arg;
    struct eioi_waiter waiter; // the caller's
    eio_err *err;              // the result; the thread's until it has woken the caller

    struct eioi_spin lock; // guards the below
    enum phase phase;
    struct eioi_sched *sched; // valid while RUNNING
    eio_cancel *cc;           // valid while RUNNING
    eio_err *reason;          // why it is to be cancelled; taken by the thread; NULL: it isn't
    bool posted;              // `message` is on its way
    struct eioi_message message;
};

// In the new domain

/**
 * What the function is to be cancelled with, if that was asked for; the caller's reason is then
 * consumed.
 */
static eio_err *take_reason(struct call *self) {
    eioi_spin_lock(&self->lock);
    eio_err *reason = self->reason;
    self->reason = NULL;
    eioi_spin_unlock(&self->lock);
    return reason;
}

static void cancel_message_run(struct eioi_message *message) {
    struct call *self = EIOI_CONTAINER_OF(message, struct call, message);
    eio_err *reason = take_reason(self);
    if (reason != NULL)
        eio_cancel_cancel(self->cc, reason);
    eioi_spin_lock(&self->lock);
    self->posted = false;
    eioi_spin_unlock(&self->lock);
}

static void start_running(struct call *self, eio_cancel *cc) {
    eioi_spin_lock(&self->lock);
    self->phase = RUNNING;
    self->sched = eioi_sched_current();
    self->cc = cc;
    eioi_spin_unlock(&self->lock);
    eio_err *reason = take_reason(self);
    if (reason != NULL)
        eio_cancel_cancel(cc, reason);
}

static void stop_running(struct call *self) {
    eioi_spin_lock(&self->lock);
    self->phase = ENDED;
    while (self->posted) {
        eioi_spin_unlock(&self->lock);
        eioi_drain_messages();
        sched_yield(); // the caller is between marking and posting
        eioi_spin_lock(&self->lock);
    }
    eioi_spin_unlock(&self->lock);
}

static eio_err *run_in_context(void *arg, eio_cancel *cc) {
    struct call *self = arg;
    start_running(self, cc);
    eio_err *err = self->fn(self->arg);
    stop_running(self);
    return err;
}

static eio_err *domain_main(void *arg) {
    return eio_cancel_sub(run_in_context, arg);
}

static eio_err *run_loop(struct call *self) {
    struct eioi_backend backend;
    struct eioi_alternate_stack alternate;
    EIO_TRY(eioi_backend_start_another(self->mgr->kind, &backend));
    eioi_alternate_stack_begin(&alternate);
    const struct eioi_sched_opts opts = {
        .ops = backend.ops,
        .backend = backend.instance,
        .loop = self->mgr->loop,
    };
    eio_err *err = eioi_sched_run(&opts, domain_main, self);
    eioi_alternate_stack_end(&alternate);
    eioi_backend_stop(&backend);
    return err;
}

static void *thread_main(void *arg) {
    struct call *self = arg;
    self->err = run_loop(self);
    eioi_wake_remote(&self->waiter, NULL);
    return NULL;
}

// In the caller's

static void call_cancel(struct eioi_waiter *w, eio_err *reason) {
    struct call *self = EIOI_CONTAINER_OF(w, struct call, waiter);
    eio_err *inner = eio_err_inner(reason); // NULL: there was no memory for a proper Cancelled
    eioi_spin_lock(&self->lock);
    self->reason = eio_err_ref(inner == NULL ? reason : inner);
    bool post = self->phase == RUNNING;
    self->posted = post;
    struct eioi_sched *sched = self->sched;
    eioi_spin_unlock(&self->lock);
    if (post)
        eioi_post(sched, &self->message); // its domain waits for it
}

static int start_thread(struct call *self, pthread_t *out) {
    if (EIOI_FAULT(pthread_create))
        return errno;
    return pthread_create(out, NULL, thread_main, self); // fault: asked above
}

static eio_err *real_run(eio_domain_mgr *mgr, eio_call_fn *fn, void *arg) {
    struct call self = {
        .mgr = EIO_SELF(struct eioi_domain_mgr, mgr, mgr, &real_ops),
        .fn = fn,
        .arg = arg,
        .lock = EIOI_SPIN_INIT,
        .message = {.run = cancel_message_run},
    };
    pthread_t thread;
    EIO_TRY(eio_fiber_check());
    eioi_waiter_init(&self.waiter, "another domain");
    int errnum = start_thread(&self, &thread);
    if (errnum == ENOMEM)
        return eio_err_const(&eio_err_out_of_memory);
    if (errnum != 0)
        return eio_err_os(&eio_err_x, errnum, "pthread_create");
    eio_err_drop(eioi_wait(&self.waiter, call_cancel));
    pthread_join(thread, NULL);
    eio_err_drop(self.reason); // it came too late
    return self.err;
}

static const struct eio_domain_mgr_ops real_ops = {.name = "threads", .run = real_run};

void eioi_domain_mgr_init(struct eioi_domain_mgr *self, enum eioi_backend_kind kind,
                          const struct eioi_loop_opts *loop) {
    *self = (struct eioi_domain_mgr){.mgr.ops = &real_ops, .kind = kind, .loop = *loop};
}
