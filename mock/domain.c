// SPDX-License-Identifier: ISC

// A fake domain is a binding of a fiber-local number and a race around the function: against a
// fiber that waits to be cancelled, as a real domain has one that passes the caller's cancellation
// on. That fiber never wins, but it is there, so the run queue sees what it would see. The prefix
// is looked up by the fiber that prints, which has the number from whoever forked it. The number is
// the bound pointer itself, plus one: a fiber may outlive the call that bound it.

#include "eio/mock/domain.h"

#include <stdint.h>
#include <stdio.h>

#include "eio/fiber.h"
#include "eio/self.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"
#include "fiber/base/list.h"
#include "mock/object.h"

struct mock_domain_mgr {
    eio_domain_mgr base;
    struct eioi_mock_object object;
    uintptr_t last_id;
};

static const struct eio_domain_mgr_ops domain_ops;

static const eio_local_key id_key = {"mock domain"};

static struct mock_domain_mgr *of_base(eio_domain_mgr *base) {
    return EIO_SELF(struct mock_domain_mgr, base, base, &domain_ops);
}

static eio_err *with_id(uintptr_t id, eio_call_fn *fn, void *arg) {
    return eio_fiber_with_local(&id_key, (void *)(id + 1), /* free_fn= */ NULL, fn, arg);
}

struct call {
    eio_call_fn *fn;
    void *arg;
};

static eio_err *await_cancelled(void *arg) {
    (void)arg;
    return eio_fiber_await_cancel();
}

static eio_err *run_race(void *arg) {
    struct call *call = arg;
    return eio_fiber_first(await_cancelled, NULL, call->fn, call->arg, /* out_winner= */ NULL);
}

static eio_err *domain_run(eio_domain_mgr *base, eio_call_fn *fn, void *arg) {
    struct mock_domain_mgr *self = of_base(base);
    struct call call = {fn, arg};
    return with_id(++self->last_id, run_race, &call);
}

static const struct eio_domain_mgr_ops domain_ops = {.name = "mock", .run = domain_run};

static void object_destroy(struct eioi_mock_object *object) {
    struct mock_domain_mgr *self = EIOI_CONTAINER_OF(object, struct mock_domain_mgr, object);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static const struct eioi_mock_object_ops object_ops = {.destroy = object_destroy};

eio_err *eio_mock_domain_mgr_create(eio_domain_mgr **out) {
    struct mock_domain_mgr *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, "domain_mgr", &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    self->base.ops = &domain_ops;
    *out = &self->base;
    return NULL;
}

void eio_mock_domain_mgr_destroy(eio_domain_mgr *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_base(self)->object);
}

static void id_prefix(void *arg, char *buf, size_t len) {
    (void)arg;
    uintptr_t bound = (uintptr_t)eio_fiber_local(&id_key);
    if (bound == 0)
        buf[0] = '\0';
    else
        (void)snprintf(buf, len, "[%ju] ", (uintmax_t)(bound - 1));
}

static eio_err *run_as_domain_0(void *arg) {
    struct call *call = arg;
    return with_id(0, call->fn, call->arg);
}

eio_err *eio_mock_with_domain_tracing(eio_call_fn *fn, void *arg) {
    struct call call = {fn, arg};
    return eio_with_trace_prefix(id_prefix, /* prefix_arg= */ NULL, run_as_domain_0, &call);
}

struct mgr_call {
    eio_mock_domain_mgr_fn *fn;
    void *arg;
    eio_domain_mgr *mgr;
};

static eio_err *run_with_mgr(void *arg) {
    struct mgr_call *call = arg;
    return call->fn(call->arg, call->mgr);
}

eio_err *eio_mock_domain_mgr_run(eio_mock_domain_mgr_fn *fn, void *arg) {
    struct mgr_call call = {.fn = fn, .arg = arg};
    EIO_TRY(eio_mock_domain_mgr_create(&call.mgr));
    eio_err *err = eio_mock_with_domain_tracing(run_with_mgr, &call);
    eio_mock_domain_mgr_destroy(call.mgr);
    return err;
}
