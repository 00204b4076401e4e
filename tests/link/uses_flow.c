// SPDX-License-Identifier: ISC
#include "eio/buf_read.h"
#include "eio/flow.h"
#include "eio/mem.h"

static eio_flow *no_flow;

int main(int argc, char **argv) {
    (void)argv;
    if (argc > 1) { // links it; is never called
        eio_slice line;
        eio_buf_read reader;
        eio_err_drop(eio_buf_read_init(&reader, &no_flow->source, 100));
        eio_err_drop(eio_buf_read_line(&reader, &line));
        eio_err_drop(eio_flow_copy(&no_flow->source, &no_flow->sink));
        eio_flow_close(no_flow);
    }
    return 0;
}
