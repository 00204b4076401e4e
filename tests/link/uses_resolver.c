// SPDX-License-Identifier: ISC
#include "eio/resolver.h"

static eio_switch *no_switch;
static eio_mono_clock *no_clock;

int main(int argc, char **argv) {
    (void)argv;
    eio_resolver *resolver;
    if (argc > 1) // links it; is never called
        eio_err_drop(eio_resolver_create(no_switch, no_clock, NULL, &resolver));
    return 0;
}
