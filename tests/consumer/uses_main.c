// SPDX-License-Identifier: ISC
#include "eio/main.h"

static eio_main_fn hello;

static eio_err *hello(void *arg, const eio_env *env) {
    EIO_TRY(eio_mono_clock_sleep(env->mono_clock, 1000000));
    return eio_flow_copy_string(arg, env->stdout_);
}

int main(void) {
    return eio_main(hello, "hello from the main fiber\n");
}
