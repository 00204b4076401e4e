// SPDX-License-Identifier: ISC

// The mock backend has no world to wait for: an event is a deadline, or nothing. Its poll, called
// when no fiber is ready, moves the run's clock to whichever comes first, the earliest sleeper of
// that clock or the scheduler's own earliest timer (`deadline_ns`), and says so in a trace line;
// when there is neither, that is a deadlock, which the scheduler reports. A poke (a message from
// another thread) ends a poll without an event; where the test says that there are other threads,
// poll waits for one before it would speak of a deadlock.
//
// Shuffled, the scheduler asks before each resumption which fiber it shall be. The numbers are drawn
// from a state of this run alone, so that the seed decides everything.
//
// The loop owns every mock made while it runs, through an intrusive list, and destroys them, newest
// first, when the scheduler has returned: by then no fiber and no switch is left that could use
// one, or the scheduler has given its fibers up, and the mocks must not look into their frames.

#include "eio/mock/backend.h"

#include <pthread.h>

#include "eio/mock/clock.h"
#include "eio/strbuf.h"
#include "fiber/base/assert.h"
#include "fiber/base/list.h"
#include "fiber/base/splitmix.h"
#include "fiber/sched.h"
#include "mock/env.h"
#include "mock/next_event.h"
#include "mock/object.h"

struct mock_run {
    const struct eio_mock_opts *opts;
    eio_mock_fn *fn;           // set by eio_mock_run
    eio_mock_main_fn *main_fn; // set by the others
    void *arg;
    eio_mock_clock *clock;    // the run's; NULL until its main fiber has started
    struct eioi_list objects; // every mock made in this run, newest last
    unsigned deadlocks;       // the scheduler gives its fibers up at the second one
    uint64_t shuffle;         // the state that picks are drawn from
    pthread_mutex_t lock;     // guards `poked`
    pthread_cond_t has_poked; // signalled when `poked` is set
    bool poked;
};

// Takes the poke that has come; with `wait` waits for one first.
static bool take_poke(struct mock_run *self, bool wait) {
    pthread_mutex_lock(&self->lock);
    while (wait && !self->poked)
        pthread_cond_wait(&self->has_poked, &self->lock);
    bool poked = self->poked;
    self->poked = false;
    pthread_mutex_unlock(&self->lock);
    return poked;
}

static enum eioi_poll_result mock_poll(void *backend, int64_t deadline_ns) {
    struct mock_run *self = backend;
    if (deadline_ns == EIOI_POLL_NOW || take_poke(self, /* wait= */ false))
        return EIOI_POLL_OK;
    int64_t next_ns = self->clock == NULL ? INT64_MAX : eioi_mock_clock_next_event(self->clock);
    if (deadline_ns < next_ns)
        next_ns = deadline_ns;
    if (next_ns != EIOI_POLL_FOREVER && self->clock != NULL) {
        eio_mock_clock_set_time(self->clock, next_ns);
        return EIOI_POLL_OK;
    }
    if (self->opts->other_threads) {
        take_poke(self, /* wait= */ true);
        return EIOI_POLL_OK;
    }
    self->deadlocks++;
    return EIOI_POLL_DEADLOCK;
}

static void mock_poke(void *backend) {
    struct mock_run *self = backend;
    pthread_mutex_lock(&self->lock);
    self->poked = true;
    pthread_cond_signal(&self->has_poked);
    pthread_mutex_unlock(&self->lock);
}

static int64_t mock_now(void *backend) {
    struct mock_run *self = backend;
    return self->clock == NULL ? 0 : eio_mono_clock_now(&self->clock->mono);
}

static size_t mock_pick(void *backend, size_t ready) {
    struct mock_run *self = backend;
    return ready == 1 ? 0 : (size_t)(eioi_splitmix(&self->shuffle) % ready);
}

static const struct eioi_backend_ops mock_ops = {
    .name = "mock",
    .poll = mock_poll,
    .poke = mock_poke,
    .now = mock_now,
};

static struct mock_run *current(void) {
    if (eioi_sched_current() == NULL || eioi_backend_ops_current() != &mock_ops)
        return NULL;
    return eioi_backend();
}

struct eioi_list *eioi_mock_run_objects(void) {
    struct mock_run *self = current();
    return self == NULL ? NULL : &self->objects;
}

static eio_err *check_used(struct mock_run *self) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    EIOI_LIST_EACH (node, &self->objects) {
        struct eioi_mock_object *object = EIOI_CONTAINER_OF(node, struct eioi_mock_object, node);
        if (object->ops->report_unused != NULL)
            object->ops->report_unused(object, &text);
    }
    if (text.failed)
        return eio_err_const(&eio_err_out_of_memory);
    if (text.len == 0)
        return NULL;
    return eio_err_failure("not all scripted actions were used: %s", eio_strbuf_str(&text) + 2);
}

eio_err *eio_mock_check_used(void) {
    struct mock_run *self = current();
    EIO_ASSERT(self != NULL, "eio_mock_check_used is for fibers of a mock loop");
    return check_used(self);
}

static eio_err *mock_main(void *arg) {
    struct mock_run *self = arg;
    EIO_TRY(eio_mock_clock_create(&self->clock));
    if (self->fn != NULL)
        return self->fn(self->arg);
    eio_env env = {0};
    EIO_TRY(eioi_mock_env_init(&env, self->clock, self->opts->seed));
    return self->main_fn(self->arg, &env);
}

static void destroy_objects(struct mock_run *self) {
    while (!eioi_list_empty(&self->objects)) {
        struct eioi_mock_object *object =
            EIOI_CONTAINER_OF(self->objects.prev, struct eioi_mock_object, node);
        object->abandoned = self->deadlocks > 1;
        eioi_mock_object_destroy(object);
    }
}

static eio_err *run(struct mock_run *self) {
    eioi_list_init(&self->objects);
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->has_poked, NULL);
    struct eioi_sched_opts sched_opts = {
        .ops = &mock_ops,
        .backend = self,
        .loop.stack_bytes = self->opts->stack_bytes,
        .pick = self->opts->shuffle_seed != 0 ? mock_pick : NULL,
    };
    self->shuffle = self->opts->shuffle_seed;
    eio_err *err = eioi_sched_run(&sched_opts, mock_main, self);
    if (err == NULL && self->opts->strict)
        err = check_used(self);
    destroy_objects(self);
    pthread_cond_destroy(&self->has_poked);
    pthread_mutex_destroy(&self->lock);
    return err;
}

static const struct eio_mock_opts default_opts;

eio_err *eio_mock_run(eio_mock_fn *fn, void *arg) {
    struct mock_run self = {.opts = &default_opts, .fn = fn, .arg = arg};
    return run(&self);
}

eio_err *eio_mock_run_full(eio_mock_main_fn *fn, void *arg) {
    return eio_mock_run_opts(NULL, fn, arg);
}

eio_err *eio_mock_run_opts(const struct eio_mock_opts *opts, eio_mock_main_fn *fn, void *arg) {
    struct mock_run self = {.opts = opts == NULL ? &default_opts : opts, .main_fn = fn, .arg = arg};
    return run(&self);
}
