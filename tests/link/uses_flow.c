// SPDX-License-Identifier: ISC
#include "eio/flow.h"

static eio_flow *no_flow;

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1)
        eio_flow_close(no_flow); // links it; is never called
    return 0;
}
