// SPDX-License-Identifier: ISC

// Theory. A run is: a backend, a loop on it, a main fiber, a switch in it that owns what the
// environment opened, and the program's function inside. It ends in the reverse order, whatever
// fails; the first error is the result.

#include "eio/main.h"

#include <stdio.h>
#include <unistd.h>

#include "backends/choice.h"
#include "backends/overflow.h"
#include "backends/real_env.h"
#include "eio/clock.h"
#include "eio/strbuf.h"
#include "eio/switch.h"
#include "fiber/base/assert.h"
#include "fiber/sched.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_NO_BACKEND = 2 };
#define MAX_SPIN_NS EIO_SECOND

struct run {
    const struct eioi_backend *backend;
    struct eioi_loop_opts loop;
    eio_main_fn *fn;
    void *arg;
};

static eio_err *with_environment(void *arg, eio_switch *sw) {
    struct run *self = arg;
    struct eioi_real_env env EIO_CLEANUP(eioi_real_env_fini) = {.env = {0}};
    EIO_TRY(eioi_real_env_open(&env, sw, self->backend, &self->loop));
    return self->fn(self->arg, &env.env);
}

static eio_err *main_fiber(void *arg) {
    return eio_switch_run(with_environment, arg);
}

static struct eioi_loop_opts loop_opts(const struct eio_run_opts *given) {
    struct eioi_loop_opts loop = {.stack_bytes = 0};
    if (given == NULL)
        return loop;
    loop.stack_bytes = given->stack_bytes;
    loop.guard_bytes = given->guard_bytes;
    loop.spin_ns = given->spin_ns < 0 ? 0 : given->spin_ns;
    if (loop.spin_ns > MAX_SPIN_NS)
        loop.spin_ns = MAX_SPIN_NS;
    return loop;
}

/** Runs a loop on `backend`, which it stops then. */
static eio_err *run_on(struct eioi_backend *backend, const struct eio_run_opts *given,
                       eio_main_fn *fn, void *arg) {
    const struct eioi_loop_opts loop = loop_opts(given);
    struct run self = {.backend = backend, .loop = loop, .fn = fn, .arg = arg};
    struct eioi_alternate_stack alternate;
    const struct eioi_sched_opts opts = {
        .ops = backend->ops,
        .backend = backend->instance,
        .loop = loop,
    };
    eioi_alternate_stack_begin(&alternate);
    eio_err *err = eioi_sched_run(&opts, main_fiber, &self);
    eioi_alternate_stack_end(&alternate);
    eioi_backend_stop(backend);
    return err;
}

static void assert_outside(const char *func) {
    EIO_ASSERT(eioi_sched_current() == NULL,
               "%s was called by a fiber: it is for threads without a loop", func);
}

eio_err *eio_run(const struct eio_run_opts *opts, eio_main_fn *fn, void *arg) {
    struct eioi_backend backend;
    assert_outside(__func__);
    EIO_TRY(eioi_backend_choose(opts == NULL ? NULL : opts->backend, &backend));
    return run_on(&backend, opts, fn, arg);
}

/** Prints `err`, which it takes over, and returns `status`. */
static int report(eio_err *err, int status) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    eio_err_print_toplevel(err, &text);
    eio_err_drop(err);
    fprintf(stderr, "%s\n", eio_strbuf_str(&text));
    fflush(stderr);
    return status;
}

int eio_main(eio_main_fn *fn, void *arg) {
    struct eioi_backend backend;
    assert_outside(__func__);
    eio_install_overflow_handler();
    eio_err *err = eioi_backend_choose(/* asked= */ NULL, &backend);
    if (err != NULL)
        return report(err, EXIT_NO_BACKEND);
    err = run_on(&backend, /* given= */ NULL, fn, arg);
    return err == NULL ? (int)EXIT_OK : report(err, EXIT_FAILED);
}
