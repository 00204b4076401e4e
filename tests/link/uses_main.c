// SPDX-License-Identifier: ISC
#include "eio/main.h"

static eio_err *nothing(void *arg, const eio_env *env) {
    (void)arg;
    (void)env;
    return NULL;
}

int main(void) {
    return eio_main(nothing, NULL);
}
