// SPDX-License-Identifier: ISC
#include <stdio.h>

#include "eio/mock/backend.h"
#include "eio/resolver.h"

static eio_err *look_up(void *arg, eio_switch *sw) {
    const eio_env *env = (const eio_env *)arg;
    eio_resolver *resolver;
    EIO_TRY(eio_resolver_create(sw, env->mono_clock, NULL, &resolver));
    eio_sockaddr_list list;
    eio_lookup *lookup = &resolver->lookup;
    EIO_TRY(lookup->ops->getaddrinfo(lookup, sw, "127.0.0.1", "80", &list));
    char text[EIO_SOCKADDR_STR_MAX];
    printf("%s\n", eio_sockaddr_str(&list.items[0], text));
    return NULL;
}

static eio_err *run(void *arg, const eio_env *env) {
    (void)arg;
    return eio_switch_run(look_up, (void *)env);
}

int main(void) {
    eio_err *err = eio_mock_run_full(run, NULL);
    eio_err_drop(err);
    return err != NULL;
}
