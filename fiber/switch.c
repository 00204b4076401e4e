// SPDX-License-Identifier: ISC
// Switches.
//
// A switch lives in the frame of `run`, which ends in this order: the function returns; its error
// fails the switch; wait (uncancellably) until no fiber is left; run the hooks, newest first, each
// protected; if those forked, wait again; free the memory; return the combined error. `fibers`
// counts the function itself, so that daemons are cancelled when it and all others but them have
// ended.
//
// A cancelled fiber's error never hides the failure that cancelled it: combine drops Cancelled
// beside anything else. A switch that was only cancelled from outside, and in which nothing failed,
// returns what its function returned: NULL.

#include "eio/switch.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/canary.h"
#include "fiber/switch_impl.h"

enum { CHUNK_MIN = 1024, CHUNK_MAX = 64 * 1024, ALIGN = 16 };

/** A piece of a switch's memory; `used` and `size` count the bytes after this header. */
struct eioi_chunk {
    struct eioi_chunk *next;
    size_t used;
    size_t size;
    _Alignas(ALIGN) unsigned char bytes[];
};

void eioi_switch_assert_usable(const struct eio_switch *sw) {
    EIO_ASSERT(!sw->cc.finished, "Switch finished!");
    EIO_ASSERT(sw->cc.sched == eioi_tls_sched, "Switch accessed from wrong domain!");
}

/** When only daemons are left they are told to stop; that is no failure. */
static void stop_daemons_if_alone(struct eio_switch *sw) {
    if (sw->daemons > 0 && sw->fibers == sw->daemons)
        eio_cancel_cancel(&sw->cc, eio_err_const(&eio_err_exit));
}

void eioi_switch_dec(struct eio_switch *sw) {
    sw->fibers--;
    stop_daemons_if_alone(sw);
    if (sw->fibers == 0 && sw->idle != NULL) {
        struct eioi_waiter *w = sw->idle;
        sw->idle = NULL;
        eioi_wake(w, NULL);
    }
}

void eio_switch_fail(eio_switch *sw, eio_err *err) {
    eioi_switch_assert_usable(sw);
    EIO_ASSERT(err != NULL, "a switch can't fail with NULL");
    eio_err *reason = eio_err_ref(err);
    sw->err =
        EIOI_CANARY(first_error) ? eio_err_combine(err, sw->err) : eio_err_combine(sw->err, err);
    eio_cancel_cancel(&sw->cc, reason);
}

eio_err *eio_switch_check(eio_switch *sw) {
    eioi_switch_assert_usable(sw);
    return eio_err_ref(sw->cc.reason);
}

eio_err *eio_switch_error(eio_switch *sw) {
    return sw->err;
}

// Hooks

void eio_switch_attach(eio_switch *sw, eio_hook *hook, eio_hook_fn *fn) {
    eioi_switch_assert_usable(sw);
    EIO_ASSERT(!sw->hooks_closed, "Switch finished!");
    EIO_ASSERT(hook->sw == NULL, "the hook is attached already");
    hook->fn = fn;
    hook->sw = sw;
    hook->prev = EIOI_CANARY(hook_order) ? sw->hooks.prev : &sw->hooks;
    hook->next = hook->prev->next;
    hook->next->prev = hook;
    hook->prev->next = hook;
}

void eio_hook_remove(eio_hook *hook) {
    if (hook->sw == NULL)
        return;
    EIO_ASSERT(hook->sw->cc.sched == eioi_tls_sched, "Switch accessed from wrong domain!");
    hook->prev->next = hook->next;
    hook->next->prev = hook->prev;
    hook->next = hook->prev = NULL;
    hook->sw = NULL;
}

static eio_err *call_hook(void *arg) {
    eio_hook *hook = arg;
    return hook->fn(hook);
}

static void run_hooks(eio_switch *sw) {
    sw->hooks_closed = true;
    while (sw->hooks.next != &sw->hooks) {
        eio_hook *hook = sw->hooks.next;
        eio_hook_remove(hook);
        eio_err *err = eio_cancel_protect(call_hook, hook);
        if (err != NULL)
            eio_switch_fail(sw, err);
    }
}

// Memory

eio_err *eio_switch_alloc(eio_switch *sw, size_t size, void **out) {
    eioi_switch_assert_usable(sw);
    struct eioi_chunk *chunk = sw->memory;
    if (size > SIZE_MAX / 2)
        return eio_err_const(&eio_err_out_of_memory);
    size_t need = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    if (chunk == NULL || chunk->size - chunk->used < need) {
        size_t want = chunk == NULL ? (size_t)CHUNK_MIN : chunk->size * 2;
        want = want > CHUNK_MAX ? (size_t)CHUNK_MAX : want;
        want = want > need ? want : need;
        struct eioi_chunk *fresh = eioi_alloc(sizeof *fresh + want);
        if (fresh == NULL)
            return eio_err_const(&eio_err_out_of_memory);
        fresh->used = 0;
        fresh->size = want;
        fresh->next = chunk;
        sw->memory = chunk = fresh;
    }
    void *bytes = chunk->bytes + chunk->used;
    chunk->used += need;
    *out = memset(bytes, 0, size);
    return NULL;
}

static void free_memory(eio_switch *sw) {
    while (sw->memory != NULL) {
        struct eioi_chunk *chunk = sw->memory;
        sw->memory = chunk->next;
        eioi_free(chunk);
    }
}

// The scope

static void wait_for_fibers(eio_switch *sw) {
    stop_daemons_if_alone(sw); // a hook may have forked one
    while (sw->fibers > 0) {
        struct eioi_waiter w;
        eioi_waiter_init(&w, "the fibers of its switch");
        sw->idle = &w;
        eio_err_drop(eioi_wait(&w, NULL));
    }
}

static eio_err *run(eio_switch_fn *fn, void *arg, bool protect) {
    eio_switch sw;
    eioi_cancel_open(&sw.cc, protect);
    sw.fibers = 1;
    sw.daemons = 0;
    sw.err = NULL;
    sw.hooks = (eio_hook){.next = &sw.hooks, .prev = &sw.hooks};
    sw.hooks_closed = false;
    sw.idle = NULL;
    sw.memory = NULL;
    eio_err *err = fn(arg, &sw);
    eioi_switch_dec(&sw);
    if (err != NULL)
        eio_switch_fail(&sw, err);
    if (EIOI_CANARY(free_early))
        free_memory(&sw);
    do {
        wait_for_fibers(&sw);
        run_hooks(&sw);
    } while (sw.fibers > 0);
    eioi_cancel_close(&sw.cc);
    if (sw.memory != NULL)
        free_memory(&sw);
    return sw.err;
}

eio_err *eio_switch_run(eio_switch_fn *fn, void *arg) {
    EIO_TRY(eio_fiber_check());
    return run(fn, arg, false);
}

eio_err *eio_switch_run_protected(eio_switch_fn *fn, void *arg) {
    return run(fn, arg, true);
}
