// SPDX-License-Identifier: ISC

// Theory. Each body is played by a strand: the model's view of a fiber, or of a branch that runs in
// its caller's. A step that fails ends its body unless it is tolerant, as in any program. Every wait
// ends: the whole program stands in a time-out, and what cancellation doesn't reach (release hooks,
// protected bodies) gets one of its own. Repeating steps stop repeating when a program has become
// long.

#include "tests/stress/play.h"

#include <stdlib.h>
#include <string.h>

#include "eio/clock.h"
#include "eio/fiber.h"
#include "eio/mock/backend.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"

enum {
    EVENTS_SOFT = 1500,  // no more repetitions
    EVENTS_HARD = 3000,  // no more steps
    EVENTS_MAX = 100000, // something goes round and round
};
#define MS INT64_C(1000000)
#define BOUND (20 * MS)
#define PROGRAM_BOUND (1000000 * MS)

eio_err *fresh_error(void) {
    return eio_err_failure("%lu", ++world.next_error);
}

int64_t play_now(void) {
    return eio_mono_clock_now(world.env->mono_clock);
}

static bool is_on(const struct scope *scope) {
    eio_err *err = eio_switch_check(scope->sw);
    eio_err_drop(err);
    return err == NULL;
}

static struct scope *nearest_switch(struct strand *self) {
    struct scope *scope = self->scope;
    while (scope->sw == NULL)
        scope = scope->parent;
    return scope;
}

struct scope *switch_of(struct strand *self) {
    struct scope *scope = nearest_switch(self);
    return scope->simple ? NULL : scope;
}

// --- Scopes --------------------------------------------------------------------------------------

struct body_call {
    struct strand *strand;
    int body;
    bool bounded;
    bool entered;
    struct scope scope;
};

static eio_err *play_in(struct body_call *self) {
    struct strand *strand = self->strand;
    struct scope *outer = strand->scope;
    self->entered = true;
    self->scope.parent = outer;
    strand->scope = &self->scope;
    eio_err *err = self->bounded ? play_bounded(strand, self->body) : play_body(strand, self->body);
    strand->scope = outer;
    return err;
}

/** A daemon that ends what cancellation doesn't reach. */
static eio_err *end_in_time(void *arg) {
    struct scope *scope = arg;
    EIO_TRY(eio_mono_clock_sleep(world.env->mono_clock, BOUND));
    collect(&scope->errors, eio_err_const(&eio_err_timeout));
    return eio_err_const(&eio_err_timeout);
}

static eio_err *in_switch(void *arg, eio_switch *sw) {
    struct body_call *self = arg;
    self->scope.sw = sw;
    if (self->bounded)
        EIO_TRY(eio_fiber_fork_daemon(sw, end_in_time, &self->scope, NULL));
    eio_err *err = play_in(self);
    collect(&self->scope.errors, err);
    return err;
}

static eio_err *play_switch(struct strand *self, int body, bool protect) {
    struct body_call *call = keep(sizeof *call);
    *call = (struct body_call){.strand = self, .body = body, .bounded = protect};
    eio_err *err =
        protect ? eio_switch_run_protected(in_switch, call) : eio_switch_run(in_switch, call);
    MUST(err != NULL || call->scope.errors.cancelled == 0, "a switch has lost a Cancelled");
    MUST(call->entered || (!protect && eio_err_is(err, &eio_err_cancelled)),
         "a switch didn't call its function");
    check_collected(&call->scope.errors, err, "a switch");
    scope_end(&call->scope, "a switch");
    return err;
}

static eio_err *in_sub(void *arg, eio_cancel *cc) {
    struct body_call *self = arg;
    self->scope.cc = cc;
    return play_in(self);
}

static eio_err *play_sub(struct strand *self, int body) {
    struct body_call call = {.strand = self, .body = body};
    return eio_cancel_sub(in_sub, &call);
}

struct protect_call {
    struct strand *strand;
    int body;
};

static eio_err *in_protect(void *arg) {
    struct protect_call *self = arg;
    struct body_call call = {.strand = self->strand, .body = self->body, .bounded = true};
    eio_err *err = eio_cancel_sub(in_sub, &call); // whose state can be looked at
    MUST(!eio_fiber_is_cancelled(), "a cancellation came through a protection");
    return err;
}

static eio_err *play_protect(struct strand *self, int body) {
    return eio_cancel_protect(in_protect, &(struct protect_call){.strand = self, .body = body});
}

// --- Branches: one strand each -------------------------------------------------------------------

struct branch {
    struct scope *scope;
    int body;
    bool sub; // in a context of its own
    struct collected *errors;
    unsigned *running; // how many there are now; NULL: nobody counts
    unsigned running_max;
};

static eio_err *play_branch(void *arg) {
    struct branch *self = arg;
    struct strand strand;
    strand_begin(&strand, self->scope);
    if (self->running != NULL)
        MUST(++*self->running <= self->running_max, "more calls at once than were asked for");
    eio_err *err = self->sub ? play_sub(&strand, self->body) : play_body(&strand, self->body);
    if (self->running != NULL)
        --*self->running;
    strand_end(&strand);
    collect(self->errors, err);
    return err;
}

static struct branch branch_of(struct strand *self, const struct stress_step *step, unsigned i,
                               struct collected *errors) {
    return (struct branch){.scope = self->scope,
                           .body = step->bodies[i],
                           .sub = (step->a >> i & 1) != 0,
                           .errors = errors};
}

static eio_err *play_all(struct strand *self, const struct stress_step *step, unsigned n) {
    struct collected errors = {.count = 0};
    struct branch branches[STRESS_BODIES];
    struct eio_call calls[STRESS_BODIES] = {{NULL, NULL, NULL}};
    for (unsigned i = 0; i < n; i++) {
        branches[i] = branch_of(self, step, i, &errors);
        calls[i] = (struct eio_call){.fn = play_branch, .arg = &branches[i]};
    }
    eio_err *err = n == 2 ? eio_fiber_both(play_branch, &branches[0], play_branch, &branches[1])
                          : eio_fiber_all(calls, n);
    MUST(err != NULL || errors.successes == n, "not every branch was run");
    check_collected(&errors, err, "all");
    return err;
}

static eio_err *play_pair(struct strand *self, const struct stress_step *step) {
    struct collected f_errors = {.count = 0}, g_errors = {.count = 0};
    struct branch f = branch_of(self, step, 0, &f_errors), g = branch_of(self, step, 1, &g_errors);
    eio_err *err = eio_fiber_pair(play_branch, &f, play_branch, &g);
    // The result of `f` is asked for only when `g` has one.
    bool g_failed = g_errors.count > 0 || g_errors.cancelled > 0;
    if (g_failed || !eio_err_is(err, &eio_err_cancelled))
        check_collected(g_failed ? &g_errors : &f_errors, err, "pair");
    give_up(&f_errors);
    give_up(&g_errors);
    return err;
}

static eio_err *play_race(struct strand *self, const struct stress_step *step, unsigned n) {
    struct collected errors = {.count = 0};
    struct branch branches[STRESS_BODIES];
    struct eio_call calls[STRESS_BODIES] = {{NULL, NULL, NULL}};
    size_t winner = n;
    for (unsigned i = 0; i < n; i++) {
        branches[i] = branch_of(self, step, i, &errors);
        calls[i] = (struct eio_call){.fn = play_branch, .arg = &branches[i]};
    }
    eio_err *err = eio_fiber_any(calls, n, &winner);
    MUST(err != NULL || (errors.successes > 0 && winner < n), "a race that nobody won");
    MUST(err == NULL || errors.successes == 0 || errors.count > 0 || errors.cancelled > 0,
         "a race has lost its winner");
    check_collected(&errors, err, "a race");
    return err;
}

struct each {
    struct strand *strand;
    struct branch branch;
};

static eio_err *play_each(void *arg, size_t i) {
    struct each *self = arg;
    (void)i;
    return play_branch(&self->branch);
}

static eio_err *play_for_each(struct strand *self, const struct stress_step *step) {
    struct collected errors = {.count = 0};
    unsigned running = 0;
    size_t n = world.events > EVENTS_SOFT ? 1 : 1 + step->b % 4;
    size_t max = step->b / 4 % 3;
    struct each each = {.strand = self, .branch = branch_of(self, step, 0, &errors)};
    each.branch.running = &running;
    each.branch.running_max = max == 0 ? (unsigned)n : (unsigned)max;
    eio_err *err = eio_fiber_for_each(n, max, play_each, &each);
    MUST(err != NULL || errors.successes == n, "not every call was made");
    check_collected(&errors, err, "for_each");
    return err;
}

static eio_err *play_timeout(struct strand *self, const struct stress_step *step) {
    struct collected errors = {.count = 0};
    struct branch branch = branch_of(self, step, 0, &errors);
    int64_t deadline = play_now() + step->b % 8 * 2 * MS;
    eio_err *err = eio_timeout_run(eio_timeout_ns(world.env->mono_clock, deadline - play_now()),
                                   play_branch, &branch);
    MUST(err != NULL || errors.successes == 1, "a time-out's body has failed, unheard");
    check_timed_out(&errors, err, play_now() >= deadline);
    return err;
}

eio_err *play_bounded(struct strand *self, int at) {
    struct collected errors = {.count = 0};
    struct branch branch = {.scope = self->scope, .body = at, .sub = true, .errors = &errors};
    eio_err *err =
        eio_timeout_run(eio_timeout_ns(world.env->mono_clock, BOUND), play_branch, &branch);
    give_up(&errors);
    return err;
}

// --- Forks ---------------------------------------------------------------------------------------

enum fork_kind { FORK_PLAIN, FORK_DAEMON, FORK_PROMISE };

struct forked {
    struct scope *scope;
    int body;
    enum fork_kind kind;
    struct object *promise;
};

/** A daemon that was told to stop, and did. */
static bool has_stopped(const struct scope *scope, const eio_err *err) {
    if (is_on(scope) || !eio_err_is(err, &eio_err_cancelled))
        return false;
    const eio_err *reason = eio_err_inner(err);
    return reason == NULL || eio_err_is(reason, &eio_err_exit);
}

static eio_err *play_forked(void *arg) {
    struct forked *self = arg;
    struct strand strand;
    strand_begin(&strand, self->scope);
    eio_err *err = play_body(&strand, self->body);
    strand_end(&strand);
    self->scope->fibers--;
    if (self->kind == FORK_PROMISE) {
        self->promise->u.promise.resolved = true;
        self->promise->u.promise.err = eio_err_ref(err);
    } else if (self->kind == FORK_PLAIN || !has_stopped(self->scope, err)) {
        collect(&self->scope->errors, err);
    }
    return err;
}

static void refuse(void *arg) {
    struct forked *self = arg;
    self->scope->fibers--;
}

static eio_err *fork_promised(struct forked *self, struct eio_fork_opts *opts) {
    self->promise = new_object(OBJECT_PROMISE);
    eio_err *err = eio_fiber_fork_promise(self->scope->sw, play_forked, self, opts,
                                          &self->promise->u.promise.promise);
    if (*opts->refused) {
        self->promise->u.promise.resolved = true;
        self->promise->u.promise.err = eio_switch_check(self->scope->sw);
    }
    if (err == NULL)
        show_object(self->promise, self->scope);
    return err;
}

static eio_err *play_fork(struct strand *self, const struct stress_step *step,
                          enum fork_kind kind) {
    struct scope *scope = nearest_switch(self);
    if (kind == FORK_PROMISE && (scope->simple || scope->hook_count > HOOKS_SOFT))
        return NULL;
    struct forked *forked = keep(sizeof *forked);
    *forked = (struct forked){.scope = scope, .body = step->bodies[0], .kind = kind};
    bool on = is_on(scope);
    bool refused = false;
    struct eio_fork_opts opts = {.name = "forked", .refused = &refused, .on_refused = refuse};
    scope->fibers++;
    eio_err *err = kind == FORK_PLAIN ? eio_fiber_fork(scope->sw, play_forked, forked, &opts)
                   : kind == FORK_DAEMON
                       ? eio_fiber_fork_daemon(scope->sw, play_forked, forked, &opts)
                       : fork_promised(forked, &opts);
    MUST(err != NULL || refused != on, "a fork is refused when its switch is off, and only then");
    if (err != NULL)
        scope->fibers--;
    return err;
}

// --- Release hooks -------------------------------------------------------------------------------

static eio_err *run_hook(eio_hook *hook) {
    struct model_hook *self = EIOI_CONTAINER_OF(hook, struct model_hook, hook);
    struct scope *scope = self->scope;
    MUST(scope->simple || scope->fibers == 0, "hooks run when the fibers have ended");
    scope->simple = true; // from now on it takes nothing more, and what is in it goes
    hook_gone(self, /* run= */ true);
    MUST(!eio_fiber_is_cancelled(), "a hook is protected");
    note("hook");
    struct collected errors = {.count = 0};
    struct branch branch = {
        .scope = scope, .body = self->step->bodies[0], .sub = true, .errors = &errors};
    eio_err *err =
        eio_timeout_run(eio_timeout_ns(world.env->mono_clock, BOUND), play_branch, &branch);
    give_up(&errors);
    MUST(!eio_fiber_is_cancelled(), "a cancellation came through to a hook");
    collect(&scope->errors, err);
    return err;
}

static void play_hook(struct strand *self, const struct stress_step *step) {
    struct scope *scope = switch_of(self);
    if (scope == NULL || scope->hook_count > HOOKS_SOFT)
        return;
    struct model_hook *hook = keep(sizeof *hook);
    hook->step = step;
    hook_attach(hook, scope, run_hook);
}

static void play_remove_hook(struct strand *self, const struct stress_step *step) {
    struct scope *scope = switch_of(self);
    if (scope == NULL || scope->hook_count == 0)
        return;
    struct model_hook *hook = scope->hooks[step->a % scope->hook_count];
    if (hook->step == NULL) // an object's
        return;
    hook_gone(hook, /* run= */ false);
    eio_hook_remove(&hook->hook);
}

// --- Steps ---------------------------------------------------------------------------------------

static eio_err *play_sleep(struct strand *self, const struct stress_step *step) {
    static const int64_t some_ms[] = {0, 1, 1, 2, 3, 5, 10, 20};
    int64_t deadline = play_now() + some_ms[step->a % 8] * MS;
    wait_begin(self, step, NULL);
    eio_err *err = eio_mono_clock_sleep_until(world.env->mono_clock, deadline);
    wait_end(self, err);
    MUST(err != NULL || play_now() == deadline, "a sleep ended at the wrong time");
    return err;
}

static eio_err *play_wait(struct strand *self, const struct stress_step *step,
                          eio_err *(*wait)(void)) {
    wait_begin(self, step, NULL);
    eio_err *err = wait();
    wait_end(self, err);
    return err;
}

static void play_cancel_sub(struct strand *self, const struct stress_step *step) {
    unsigned skip = step->a % 3;
    for (struct scope *scope = self->scope; scope != NULL; scope = scope->parent)
        if (scope->cc != NULL && skip-- == 0) {
            note("%u cancel_sub", self->number);
            eio_cancel_cancel(scope->cc, fresh_error());
            return;
        }
}

static void play_fail_switch(struct strand *self) {
    struct scope *scope = nearest_switch(self);
    eio_err *err = fresh_error();
    note("%u fail_switch", self->number);
    collect(&scope->errors, err);
    eio_switch_fail(scope->sw, err);
}

static eio_err *play_repeat(struct strand *self, const struct stress_step *step) {
    for (unsigned n = 1 + step->a % 3; n > 0; n--) {
        EIO_TRY(play_body(self, step->bodies[0]));
        if (world.events > EVENTS_SOFT)
            break;
    }
    return NULL;
}

static eio_err *play_step(struct strand *self, const struct stress_step *step) {
    switch ((enum stress_op)step->op) {
    case STRESS_yield: return play_wait(self, step, eio_fiber_yield);
    case STRESS_check: return eio_fiber_check();
    case STRESS_await_cancel: return play_wait(self, step, eio_fiber_await_cancel);
    case STRESS_sleep: return play_sleep(self, step);
    case STRESS_fail: return fresh_error();
    case STRESS_fail_switch: play_fail_switch(self); return NULL;
    case STRESS_cancel_sub: play_cancel_sub(self, step); return NULL;
    case STRESS_in_switch: return play_switch(self, step->bodies[0], false);
    case STRESS_in_protected_switch: return play_switch(self, step->bodies[0], true);
    case STRESS_in_sub: return play_sub(self, step->bodies[0]);
    case STRESS_in_protect: return play_protect(self, step->bodies[0]);
    case STRESS_in_timeout: return play_timeout(self, step);
    case STRESS_repeat: return play_repeat(self, step);
    case STRESS_fork: return play_fork(self, step, FORK_PLAIN);
    case STRESS_fork_daemon: return play_fork(self, step, FORK_DAEMON);
    case STRESS_fork_promise: return play_fork(self, step, FORK_PROMISE);
    case STRESS_both: return play_all(self, step, 2);
    case STRESS_all: return play_all(self, step, 3);
    case STRESS_pair: return play_pair(self, step);
    case STRESS_first: return play_race(self, step, 2);
    case STRESS_any: return play_race(self, step, 3);
    case STRESS_for_each: return play_for_each(self, step);
    case STRESS_hook: play_hook(self, step); return NULL;
    case STRESS_remove_hook: play_remove_hook(self, step); return NULL;
    default: return play_shared(self, step);
    }
}

eio_err *play_body(struct strand *self, int at) {
    for (; at != STRESS_NONE; at = world.plan->steps[at].next) {
        const struct stress_step *step = &world.plan->steps[at];
        MUST(++world.events < EVENTS_MAX, "the program doesn't end");
        if (step->off || world.events > EVENTS_HARD)
            continue;
        eio_err *err = play_step(self, step);
        if (err == NULL)
            continue;
        note("%u %s fails%s", self->number, stress_op_name(step->op),
             step->tolerant ? ", tolerated" : "");
        if (!step->tolerant)
            return err;
        eio_err_drop(err);
    }
    return NULL;
}

// --- The program ---------------------------------------------------------------------------------

/** The mock clock prints a line when it moves on, and nobody else prints any. */
static void clock_moves(void *arg, const char *text, size_t len) {
    (void)arg;
    note("%.*s", (int)len - 1, text);
    check_quiescent();
}

static eio_err *root(void *arg, eio_switch *sw) {
    struct scope *scope = arg;
    struct strand strand;
    scope->sw = sw;
    strand_begin(&strand, scope);
    eio_err *err = play_body(&strand, world.plan->count > 0 ? 0 : STRESS_NONE);
    strand_end(&strand);
    collect(&scope->errors, err);
    return err;
}

static eio_err *root_switch(void *arg) {
    return eio_switch_run(root, arg);
}

static eio_err *program(void *arg, const eio_env *env) {
    world.env = env;
    return eio_timeout_run(eio_timeout_ns(env->mono_clock, PROGRAM_BOUND), root_switch, arg);
}

size_t play(const struct stress_plan *plan, char *trace, size_t room) {
    char *arena = world.arena;
    world = (struct world){.plan = plan, .arena = arena, .trace = trace, .trace_room = room};
    eioi_list_init(&world.strands);
    struct scope *scope = keep(sizeof *scope);
    int64_t live = eioi_live_objects();
    eio_traceln_set_sink(clock_moves, NULL);
    struct eio_mock_opts opts = {.seed = plan->seed, .shuffle_seed = plan->seed * 2 + 1};
    eio_err *err = eio_mock_run_opts(&opts, program, scope);
    eio_traceln_set_sink(NULL, NULL);
    note("%s", err == NULL ? "ok" : eio_err_kind_of(err)->name);
    MUST(!eio_err_is(err, &eio_err_deadlock_detected), "a deadlock");
    check_timed_out(&scope->errors, err, /* due= */ true);
    eio_err_drop(err);
    scope_end(scope, "the program");
    MUST(eioi_list_empty(&world.strands), "a fiber has outlived the program");
    MUST(eioi_live_objects() == live, "%lld objects are left",
         (long long)(eioi_live_objects() - live));
    return world.trace_len;
}
