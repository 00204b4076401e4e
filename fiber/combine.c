// SPDX-License-Identifier: ISC
// Shapes of fibers: both, pair, all, for_each (all must succeed) and first, any, n_any (one is
// enough).
//
// The last branch always runs in the calling fiber, the others in new ones, in order. All-shapes
// are a switch: a branch isn't started once another has failed. Races are a bare context, and start
// every branch even when one has already won: it then runs cancelled. The first success cancels the
// rest with Not_first; a later success is discarded; Cancelled is expected then; any other error,
// whenever it comes, is what the race returns.

#include "eio/fiber.h"

#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/switch_impl.h"

struct all {
    const struct eio_call *calls;
    size_t n;
};

static eio_err *run_all(void *arg, eio_switch *sw) {
    struct all *self = arg;
    for (size_t i = 0; i + 1 < self->n; i++)
        EIO_TRY(eio_fiber_fork(sw, self->calls[i].fn, self->calls[i].arg, NULL));
    EIO_TRY(eio_switch_check(sw));
    const struct eio_call *last = &self->calls[self->n - 1];
    return last->fn(last->arg);
}

eio_err *eio_fiber_all(const struct eio_call *calls, size_t n) {
    if (n == 0)
        return NULL;
    return eio_switch_run(run_all, &(struct all){.calls = calls, .n = n});
}

eio_err *eio_fiber_both(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g, void *g_arg) {
    const struct eio_call calls[2] = {{.fn = f, .arg = f_arg}, {.fn = g, .arg = g_arg}};
    return eio_fiber_all(calls, 2);
}

// pair

struct pair {
    const struct eio_call *calls;
};

static eio_err *run_pair(void *arg, eio_switch *sw) {
    struct pair *self = arg;
    eio_promise *f;
    EIO_TRY(eio_fiber_fork_promise(sw, self->calls[0].fn, self->calls[0].arg, NULL, &f));
    EIO_TRY(self->calls[1].fn(self->calls[1].arg));
    return eio_promise_await(f, NULL);
}

eio_err *eio_fiber_pair(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g, void *g_arg) {
    const struct eio_call calls[2] = {{.fn = f, .arg = f_arg}, {.fn = g, .arg = g_arg}};
    return eio_switch_run(run_pair, &(struct pair){.calls = calls});
}

// for_each

struct each {
    eio_switch *sw;
    size_t n;
    size_t room;             // calls that may start now
    struct each_wait *waits; // the caller's, while there is no room; else NULL
    eio_fiber_each_fn *fn;
    void *arg;
};

struct each_wait {
    struct eioi_waiter waiter;
    struct each *each;
};

/** One call, in a fiber of its own. */
struct each_one {
    struct each *each;
    size_t i;
};

/** Whoever ends the caller's wait. */
static void each_wake(struct each *self, eio_err *err) {
    struct each_wait *wait = self->waits;
    if (wait == NULL)
        return;
    self->waits = NULL;
    eioi_wake(&wait->waiter, err);
}

static void each_wait_cancel(struct eioi_waiter *w, eio_err *reason) {
    each_wake(EIOI_CONTAINER_OF(w, struct each_wait, waiter)->each, eio_err_ref(reason));
}

static eio_err *each_step(void *arg) {
    struct each_one *self = arg;
    EIO_TRY(self->each->fn(self->each->arg,
                           self->i)); // a failure cancels the caller: room is of no use then
    self->each->room++;
    each_wake(self->each, NULL);
    return NULL;
}

/** Waits until one more call may start, and takes its room; an error when none may any more. */
static eio_err *each_take_room(struct each *self) {
    if (self->room == 0) {
        struct each_wait wait = {.each = self};
        EIO_TRY(eioi_wait_begin(&wait.waiter, "room in for_each"));
        self->waits = &wait;
        EIO_TRY(eioi_wait(&wait.waiter, each_wait_cancel));
    }
    EIO_TRY(eio_switch_check(self->sw));
    self->room--;
    return NULL;
}

static eio_err *run_each(void *arg, eio_switch *sw) {
    struct each *self = arg;
    self->sw = sw;
    for (size_t i = 0; i + 1 < self->n; i++) {
        EIO_TRY(each_take_room(self));
        struct each_one one = {.each = self, .i = i};
        EIO_TRY(
            eio_fiber_fork_copy(sw, each_step, &one, sizeof one, _Alignof(struct each_one), NULL));
    }
    EIO_TRY(each_take_room(self));
    return self->fn(self->arg, self->n - 1);
}

eio_err *eio_fiber_for_each(size_t n, size_t max_fibers, eio_fiber_each_fn *fn, void *arg) {
    if (n == 0)
        return NULL;
    size_t room = max_fibers == 0 ? n : max_fibers;
    return eio_switch_run(run_each, &(struct each){.n = n, .room = room, .fn = fn, .arg = arg});
}

// Races

struct race;

/** A branch of a race. Its fiber, or the caller for the last one, fills it. */
struct branch {
    struct race *race;
    const struct eio_call *call;
    bool done;
    struct eioi_waiter *joiner; // the caller waits for this branch; NULL: it doesn't
};

struct race {
    const struct eio_call *calls;
    size_t n;
    struct branch *branches;
    struct eio_cancel *cc;
    bool won;
    eio_err *err;  // replaces a success
    size_t *order; // room for n, or for 1 when only the winner is wanted
    size_t wanted; // how many successes to keep
    size_t count;  // successes kept
};

static void branch_succeeded(struct branch *self) {
    struct race *race = self->race;
    if (race->count < race->wanted)
        race->order[race->count++] = (size_t)(self - race->branches);
    else if (self->call->discard != NULL)
        self->call->discard(self->call->arg);
    if (race->err != NULL || race->won)
        return;
    race->won = true;
    eio_cancel_cancel(race->cc, eio_err_const(&eio_err_not_first));
}

static void branch_failed(struct branch *self, eio_err *err) {
    struct race *race = self->race;
    if (race->cc->reason != NULL && eio_err_is(err, &eio_err_cancelled)) {
        eio_err_drop(err);
        return;
    }
    eio_err *reason = eio_err_ref(err);
    race->err = eio_err_combine(race->err, err);
    eio_cancel_cancel(race->cc, reason);
}

static void branch_ended(struct branch *self, eio_err *err) {
    if (err == NULL)
        branch_succeeded(self);
    else
        branch_failed(self, err);
    self->done = true;
    if (self->joiner != NULL)
        eioi_wake(self->joiner, NULL);
}

static void branch_finish(struct eioi_fiber *fiber, eio_err *err) {
    branch_ended(fiber->owner, err);
}

/**
 * Waits, uncancellably, for the branches in order: who waits for which decides who is woken when.
 */
static void join_branches(struct race *race) {
    for (size_t i = 0; i + 1 < race->n; i++) {
        struct branch *branch = &race->branches[i];
        if (branch->done)
            continue;
        struct eioi_waiter w;
        eioi_waiter_init(&w, "the losers of a race");
        branch->joiner = &w;
        eio_err_drop(eioi_wait(&w, NULL));
    }
}

/** Gives back what the branches got that the caller will not hear of, because the race failed. */
static void discard_kept(struct race *race) {
    for (size_t i = 0; i < race->count; i++) {
        const struct eio_call *call = &race->calls[race->order[i]];
        if (call->discard != NULL)
            call->discard(call->arg);
    }
}

static eio_err *run_race(void *arg, eio_cancel *cc) {
    struct race *race = arg;
    race->cc = cc;
    for (size_t i = 0; i + 1 < race->n; i++) {
        struct branch *branch = &race->branches[i];
        const struct eio_call *call = branch->call;
        eio_err *err = eioi_fiber_start(cc, call->fn, call->arg, 0, 0, NULL, branch_finish, branch);
        if (err != NULL)
            branch_ended(branch, err);
    }
    struct branch *last = &race->branches[race->n - 1];
    branch_ended(last, last->call->fn(last->call->arg));
    join_branches(race);
    if (race->err != NULL)
        return race->err;
    return race->won ? NULL : eio_cancel_check(cc);
}

static eio_err *race_any(const struct eio_call *calls, size_t n, size_t *order, size_t wanted,
                         size_t *out_count) {
    enum { FEW = 8 };
    struct branch few[FEW];
    struct branch *many = NULL;
    if (n > FEW) {
        many = eioi_alloc(n * sizeof *many);
        if (many == NULL)
            return eio_err_const(&eio_err_out_of_memory);
    }
    struct race race = {.calls = calls,
                        .n = n,
                        .branches = many != NULL ? many : few,
                        .order = order,
                        .wanted = wanted};
    for (size_t i = 0; i < n; i++)
        race.branches[i] = (struct branch){.race = &race, .call = &calls[i]};
    eio_err *err = eio_cancel_sub(run_race, &race);
    eioi_free(many);
    if (err != NULL)
        discard_kept(&race);
    else
        *out_count = race.count;
    return err;
}

eio_err *eio_fiber_any(const struct eio_call *calls, size_t n, size_t *out_winner) {
    if (n == 0)
        return eio_fiber_await_cancel();
    size_t winner;
    size_t count;
    EIO_TRY(race_any(calls, n, &winner, 1, &count));
    if (out_winner != NULL)
        *out_winner = winner;
    return NULL;
}

eio_err *eio_fiber_n_any(const struct eio_call *calls, size_t n, size_t *out_order,
                         size_t *out_count) {
    if (n == 0)
        return eio_fiber_await_cancel();
    return race_any(calls, n, out_order, n, out_count);
}

eio_err *eio_fiber_first(eio_fiber_fn *f, void *f_arg, eio_fiber_fn *g, void *g_arg,
                         size_t *out_winner) {
    const struct eio_call calls[2] = {{.fn = f, .arg = f_arg}, {.fn = g, .arg = g_arg}};
    return eio_fiber_any(calls, 2, out_winner);
}
