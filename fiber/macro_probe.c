// SPDX-License-Identifier: ISC
// EIO_FORK and EIO_SWITCH_NEW as programs use them; C++ has neither.

#include "fiber/macro_probe.h"

#include <stdint.h>

#include "eio/fiber.h"
#include "eio/trace.h"

struct greeting {
    const char *name;
    int number;
    _Alignas(64) char tag;
};

static eio_fiber_fn greet;
static eio_fiber_fn count;

static eio_err *greet(void *arg) {
    const struct greeting *self = arg;
    if ((uintptr_t)self % 64 != 0)
        return eio_err_failure("the copy isn't aligned");
    EIO_TRY(eio_fiber_yield());
    eio_traceln("%s %d %c", self->name, self->number, self->tag);
    return NULL;
}

static eio_err *count(void *arg) {
    const int *n = arg;
    EIO_TRY(eio_fiber_yield());
    eio_traceln("%d", *n);
    return NULL;
}

eio_err *probe_fork_by_value(eio_switch *sw) {
    int n = 1;
    EIO_TRY(EIO_FORK(sw, greet, (struct greeting){.name = "greeting", .number = n, .tag = 'x'}));
    EIO_TRY(EIO_FORK(sw, count, n));
    n = 2;
    EIO_TRY(EIO_FORK(sw, count, n));
    n = 3;
    return NULL;
}

struct object {
    long numbers[20];
    struct object *self;
};

eio_err *probe_switch_new(eio_switch *sw) {
    struct object *object;
    EIO_TRY(EIO_SWITCH_NEW(sw, &object));
    for (unsigned i = 0; i < 20; i++) {
        if (object->numbers[i] != 0)
            return eio_err_failure("number %u isn't 0", i);
    }
    if (object->self != NULL)
        return eio_err_failure("the pointer isn't NULL");
    object->self = object;
    return NULL;
}
