// SPDX-License-Identifier: ISC
#include "eio/mock/backend.h"

static eio_err *nothing(void *arg, const eio_env *env) {
    (void)arg;
    (void)env;
    return NULL;
}

int main(void) {
    eio_err *err = eio_mock_run_full(nothing, NULL);
    eio_err_drop(err);
    return err != NULL;
}
