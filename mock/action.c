// SPDX-License-Identifier: ISC

// A handler is a list of steps still to come and a list of those used. A call moves the first step
// from one to the other before it performs it, so an action that suspends is used up whatever
// happens meanwhile, and a script that is replaced under a suspended action does no harm: used
// steps, and with them the values that calls were given, live until the handler's end. A step is
// one block: the action, then copies of what its value points to. A fallback that a caller set has
// a step too, on the used list, for its copies.

#include "eio/mock/action.h"

#include <string.h>

#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "mock/script.h"

struct eioi_mock_step {
    struct eioi_mock_step *next;
    eio_mock_action action;
    _Alignas(max_align_t) unsigned char copies[];
};

eio_mock_action eio_mock_return(eio_mock_value value) {
    return (eio_mock_action){.kind = EIO_MOCK_RETURN, .value = value};
}

eio_mock_action eio_mock_return_unit(void) {
    return (eio_mock_action){.kind = EIO_MOCK_RETURN};
}

eio_mock_action eio_mock_return_str(const char *str) {
    return eio_mock_return_bytes(eio_slice_of_str(str));
}

eio_mock_action eio_mock_return_bytes(eio_slice bytes) {
    return eio_mock_return((eio_mock_value){.bytes = bytes});
}

eio_mock_action eio_mock_return_size(size_t size) {
    return eio_mock_return((eio_mock_value){.size = size});
}

eio_mock_action eio_mock_return_flow(eio_stream_socket *flow) {
    return eio_mock_return((eio_mock_value){.flow = flow});
}

eio_mock_action eio_mock_return_conn(eio_stream_socket *flow, eio_sockaddr peer) {
    return eio_mock_return((eio_mock_value){.flow = flow, .addr = peer});
}

eio_mock_action eio_mock_return_listener(eio_listener *listener) {
    return eio_mock_return((eio_mock_value){.listener = listener});
}

eio_mock_action eio_mock_return_datagram(eio_datagram_socket *socket) {
    return eio_mock_return((eio_mock_value){.datagram = socket});
}

eio_mock_action eio_mock_return_packet(eio_slice bytes, eio_sockaddr from) {
    return eio_mock_return((eio_mock_value){.bytes = bytes, .addr = from});
}

eio_mock_action eio_mock_return_addrs(const eio_sockaddr *addrs, size_t n) {
    return eio_mock_return((eio_mock_value){.addrs = addrs, .addr_count = n});
}

eio_mock_action eio_mock_return_name(const char *host, const char *service) {
    return eio_mock_return((eio_mock_value){.host = host, .service = service});
}

eio_mock_action eio_mock_raise(eio_err *err) {
    return (eio_mock_action){.kind = EIO_MOCK_RAISE, .err = err};
}

eio_mock_action eio_mock_await(eio_promise *promise) {
    return (eio_mock_action){.kind = EIO_MOCK_AWAIT, .promise = promise};
}

eio_mock_action eio_mock_yield_then(eio_mock_action action) {
    action.yields++;
    return action;
}

eio_mock_action eio_mock_call(eio_mock_value_fn *fn, void *arg) {
    return (eio_mock_action){.kind = EIO_MOCK_CALL, .fn = fn, .arg = arg};
}

static eio_err *await_cancel(void *arg, eio_mock_value *out) {
    (void)arg;
    (void)out;
    return eio_fiber_await_cancel();
}

eio_mock_action eio_mock_await_cancel(void) {
    return eio_mock_call(await_cancel, NULL);
}

eio_mock_action eio_mock_unexpected(void) {
    return (eio_mock_action){.kind = EIO_MOCK_UNEXPECTED};
}

eio_err *eio_mock_simulated_failure(const eio_err_kind *kind) {
    return eio_err_backend(kind, "Simulated_failure");
}

static size_t str_size(const char *str) {
    return str == NULL ? 0 : strlen(str) + 1;
}

// Copies `len` bytes to `*at`, moves `*at` on, and returns the copy. The addresses come first, so
// they are aligned.
static void *copy(unsigned char **at, const void *from, size_t len) {
    void *to = *at;
    if (len > 0)
        memcpy(to, from, len);
    *at += len;
    return to;
}

static struct eioi_mock_step *step_new(const eio_mock_action *action) {
    const eio_mock_value *from = &action->value;
    size_t addrs_len = from->addr_count * sizeof *from->addrs;
    size_t host_len = str_size(from->host);
    size_t service_len = str_size(from->service);
    size_t size =
        sizeof(struct eioi_mock_step) + addrs_len + from->bytes.len + host_len + service_len;
    struct eioi_mock_step *self = eioi_alloc(size);
    if (self == NULL)
        return NULL;
    self->next = NULL;
    self->action = *action;
    eio_mock_value *to = &self->action.value;
    unsigned char *at = self->copies;
    to->addrs = copy(&at, from->addrs, addrs_len);
    to->bytes.base = copy(&at, from->bytes.base, from->bytes.len);
    if (from->host != NULL)
        to->host = copy(&at, from->host, host_len);
    if (from->service != NULL)
        to->service = copy(&at, from->service, service_len);
    return self;
}

static void action_fini(eio_mock_action *self) {
    eio_err_drop(self->err);
    eio_promise_unref(self->promise);
}

static void steps_free(struct eioi_mock_step *step) {
    while (step != NULL) {
        struct eioi_mock_step *next = step->next;
        action_fini(&step->action);
        eioi_free(step);
        step = next;
    }
}

eio_err *eio_mock_on(eio_mock_handler *self, const eio_mock_action *actions, size_t n) {
    struct eioi_mock_step *first = NULL;
    struct eioi_mock_step **end = &first;
    bool failed = false;
    for (size_t i = 0; i < n; i++) {
        struct eioi_mock_step *step = failed ? NULL : step_new(&actions[i]);
        if (step == NULL) {
            // The errors were handed over, so none may be left behind.
            failed = true;
            eio_err_drop(actions[i].err);
            continue;
        }
        if (step->action.promise != NULL)
            eio_promise_ref(step->action.promise);
        *end = step;
        end = &step->next;
    }
    if (failed) {
        steps_free(first);
        return eio_err_const(&eio_err_out_of_memory);
    }
    steps_free(self->next);
    self->next = first;
    return NULL;
}

eio_err *eio_mock_on_default(eio_mock_handler *self, eio_mock_action action) {
    struct eioi_mock_step *step = step_new(&action);
    if (step == NULL) {
        eio_err_drop(action.err);
        return eio_err_const(&eio_err_out_of_memory);
    }
    if (step->action.promise != NULL)
        eio_promise_ref(step->action.promise);
    // The step keeps what the fallback points to; the fallback itself owns only its error, of which
    // it gets another share.
    step->next = self->used;
    self->used = step;
    eio_err_drop(self->fallback.err);
    self->fallback = step->action;
    self->fallback.err = eio_err_ref(step->action.err);
    return NULL;
}

size_t eio_mock_left(const eio_mock_handler *self) {
    size_t count = 0;
    for (const struct eioi_mock_step *step = self->next; step != NULL; step = step->next)
        count++;
    return count;
}

void eioi_mock_report_unused(const eio_mock_handler *self, eio_strbuf *out) {
    size_t left = eio_mock_left(self);
    if (left > 0)
        eio_strbuf_addf(out, "; %s: %s: %zu left", self->label, self->name, left);
}

void eio_mock_handler_init(eio_mock_handler *self, const char *label, const char *name,
                           eio_mock_action fallback) {
    *self = (eio_mock_handler){.label = label, .name = name, .fallback = fallback};
}

void eio_mock_handler_fini(eio_mock_handler *self) {
    steps_free(self->next);
    steps_free(self->used);
    eio_err_drop(self->fallback.err);
    *self = (eio_mock_handler){.label = self->label, .name = self->name};
}

static eio_err *not_configured(void *arg, eio_mock_value *out) {
    const eio_mock_handler *self = arg;
    (void)out;
    return eio_err_failure("Mock %s handler not configured", self->name + strlen("on_"));
}

void eioi_mock_handler_init_failing(eio_mock_handler *self, const char *label, const char *name) {
    eio_mock_handler_init(self, label, name, eio_mock_call(not_configured, self));
}

eio_err *eioi_mock_gave_no(const eio_mock_handler *self, const char *thing) {
    return eio_err_failure("%s: %s: the action gave no %s", self->label, self->name, thing);
}

static eio_err *perform(const eio_mock_action *action, eio_mock_handler *self,
                        eio_mock_value *out) {
    size_t call = self->calls;
    for (size_t i = 0; i < action->yields; i++)
        EIO_TRY(eio_fiber_yield());
    switch (action->kind) {
    case EIO_MOCK_RETURN: *out = action->value; break;
    case EIO_MOCK_RAISE: return eio_err_ref(action->err);
    case EIO_MOCK_AWAIT: {
        void *value = NULL;
        EIO_TRY(eio_promise_await(action->promise, &value));
        if (value != NULL)
            *out = *(const eio_mock_value *)value;
        break;
    }
    case EIO_MOCK_CALL: return action->fn(action->arg, out);
    case EIO_MOCK_UNEXPECTED:
        return eio_err_failure("%s: %s: call %zu was not expected", self->label, self->name, call);
    }
    return NULL;
}

eio_err *eio_mock_handler_run(eio_mock_handler *self, eio_mock_value *out) {
    *out = (eio_mock_value){0};
    self->calls++;
    struct eioi_mock_step *step = self->next;
    if (step == NULL) {
        // The fallback may be replaced while this one waits; what a replaced one points to stays,
        // but for its error.
        eio_mock_action fallback = self->fallback;
        eio_err *held = eio_err_ref(fallback.err);
        eio_err *err = perform(&fallback, self, out);
        eio_err_drop(held);
        return err;
    }
    self->next = step->next;
    step->next = self->used;
    self->used = step;
    return perform(&step->action, self, out);
}
