// SPDX-License-Identifier: ISC
#include "eio/await_fd.h"
#include "eio/clock.h"
#include "eio/fiber.h"
#include "eio/promise.h"
#include "eio/switch.h"
#include "eio/trace.h"

static eio_err *wait(void *arg) {
    return eio_await_readable(*(int *)arg);
}

static eio_err *all(void *arg, eio_switch *sw) {
    eio_promise *promise;
    eio_promise_resolver *resolver;
    EIO_TRY(eio_promise_create(sw, &promise, &resolver));
    EIO_TRY(eio_timeout_run(eio_timeout_none(), wait, arg));
    EIO_TRY(eio_fiber_first(wait, arg, wait, arg, NULL));
    eio_traceln("linked, and never called");
    return eio_promise_await(promise, NULL);
}

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1)
        eio_err_drop(eio_switch_run(all, &argc));
    return 0;
}
