// SPDX-License-Identifier: ISC
#include "eio/mock/backend.h"

static eio_err *wait_an_hour(void *arg, const eio_env *env) {
    (void)arg;
    return eio_mono_clock_sleep(env->mono_clock, 3600 * EIO_SECOND);
}

int main(void) {
    eio_err *err = eio_mock_run_full(wait_an_hour, NULL);
    eio_err_drop(err);
    return err != NULL;
}
