// SPDX-License-Identifier: ISC
// Forks and the small operations of a fiber. What runs side by side in shapes (both, any, ...) is
// in combine.c.
//
// A fork counts the fiber into its switch before it starts, and its finish function counts it out
// after its error went into the switch; so a switch can't end in between. The child belongs to the
// switch's context, and inherits the forking fiber's locals.

#include "eio/fiber.h"

#include "fiber/base/hint.h"
#include "fiber/switch_impl.h"

static void fork_finish(struct eioi_fiber *self, eio_err *err) {
    eio_switch *sw = self->owner;
    if (err != NULL)
        eio_switch_fail(sw, err);
    eioi_switch_dec(sw);
}

/**
 * Cancelled with Exit is how daemons are told to stop; without a reason, when there was no memory
 * for one.
 */
static bool is_stop(const eio_err *err) {
    if (!eio_err_is(err, &eio_err_cancelled))
        return false;
    const eio_err *reason = eio_err_inner(err);
    return reason == NULL || eio_err_is(reason, &eio_err_exit);
}

static void daemon_finish(struct eioi_fiber *self, eio_err *err) {
    eio_switch *sw = self->owner;
    if (sw->cc.reason != NULL && is_stop(err)) {
        eio_err_drop(err);
        err = NULL;
    }
    if (err != NULL)
        eio_switch_fail(sw, err);
    sw->daemons--;
    eioi_switch_dec(sw);
}

static eio_err *refuse(void *arg, const struct eio_fork_opts *opts) {
    if (opts != NULL && opts->refused != NULL)
        *opts->refused = true;
    if (opts != NULL && opts->on_refused != NULL)
        opts->on_refused(arg);
    return NULL;
}

static eio_err *fork_on(eio_switch *sw, eio_fiber_fn *fn, const void *arg, size_t len, size_t align,
                        const struct eio_fork_opts *opts, eioi_fiber_finish_fn *finish) {
    eioi_switch_assert_usable(sw);
    EIO_ASSERT(sw->fibers > 0 || sw->hooks_closed, "Switch finished!");
    if (sw->cc.reason != NULL)
        return refuse((void *)(uintptr_t)arg, opts);
    if (opts != NULL && opts->refused != NULL)
        *opts->refused = false;
    bool daemon = finish == daemon_finish;
    sw->fibers++;
    sw->daemons += daemon;
    eio_err *err = eioi_fiber_start(&sw->cc, fn, arg, len, align, opts, finish, sw);
    if (err != NULL) {
        sw->daemons -= daemon;
        eioi_switch_dec(sw);
    }
    return err;
}

eio_err *eio_fiber_fork(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                        const struct eio_fork_opts *opts) {
    return fork_on(sw, fn, arg, 0, 0, opts, fork_finish);
}

eio_err *eio_fiber_fork_copy(eio_switch *sw, eio_fiber_fn *fn, const void *arg, size_t len,
                             size_t align, const struct eio_fork_opts *opts) {
    EIO_ASSERT(len <= 1024, "a forked fiber's argument has %zu bytes; at most 1024 are copied",
               len);
    EIO_ASSERT(align > 0 && align <= 64 && (align & (align - 1)) == 0,
               "an alignment of %zu can't be had", align);
    return fork_on(sw, fn, arg, len, align, opts, fork_finish);
}

eio_err *eio_fiber_fork_daemon(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                               const struct eio_fork_opts *opts) {
    return fork_on(sw, fn, arg, 0, 0, opts, daemon_finish);
}

/** A promise's fiber: the function and where its result goes. Copied to the fiber's stack. */
struct promised {
    eio_fiber_fn *fn;
    void *arg;
    eio_promise_resolver *resolver;
};

static eio_err *run_promised(void *arg) {
    struct promised *self = arg;
    eio_err *err = self->fn(self->arg);
    if (err == NULL)
        eio_promise_resolve(self->resolver, NULL);
    else
        eio_promise_resolve_error(self->resolver, err);
    return NULL;
}

eio_err *eio_fiber_fork_promise(eio_switch *sw, eio_fiber_fn *fn, void *arg,
                                const struct eio_fork_opts *opts, eio_promise **out) {
    eio_promise *promise;
    struct promised self = {.fn = fn, .arg = arg};
    EIO_TRY(eio_promise_create(sw, &promise, &self.resolver));
    bool refused = false;
    struct eio_fork_opts with_refused = opts == NULL ? (struct eio_fork_opts){0} : *opts;
    with_refused.refused = &refused;
    with_refused.on_refused = NULL;
    EIO_TRY(eio_fiber_fork_copy(sw, run_promised, &self, sizeof self, _Alignof(struct promised),
                                &with_refused));
    if (refused) {
        eio_promise_resolve_error(self.resolver, eio_switch_check(sw));
        EIO_TRY(refuse(arg, opts));
    } else if (opts != NULL && opts->refused != NULL) {
        *opts->refused = false;
    }
    *out = promise;
    return NULL;
}

EIOI_INLINE eio_err *eio_fiber_check(void) {
    return eioi_current_cancelled(eioi_here(__func__));
}

bool eio_fiber_is_cancelled(void) {
    struct eioi_sched *s = eioi_tls_sched;
    return s != NULL && s->current->cc->reason != NULL;
}

static void await_cancel_cancel(struct eioi_waiter *w, eio_err *reason) {
    eioi_wake(w, eio_err_ref(reason));
}

eio_err *eio_fiber_await_cancel(void) {
    struct eioi_waiter w;
    EIO_TRY(eioi_wait_begin(&w, "cancellation"));
    return eioi_wait(&w, await_cancel_cancel);
}

const char *eio_fiber_name(void) {
    struct eioi_sched *s = eioi_tls_sched;
    return s == NULL ? "" : s->current->name;
}

unsigned long long eio_fiber_id(void) {
    struct eioi_sched *s = eioi_tls_sched;
    return s == NULL ? 0 : s->current->id;
}
