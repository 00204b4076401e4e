// SPDX-License-Identifier: ISC
#include <stdio.h>

#include "eio/flow.h"
#include "eio/flow_pi.h"

static eio_err *print(eio_sink *self, const eio_slice *slices, size_t n, size_t *out_wrote) {
    (void)self;
    (void)n;
    *out_wrote = fwrite(slices[0].base, 1, slices[0].len, stdout);
    return NULL;
}

static const struct eio_sink_ops printing = {.name = "printing", .single_write = print};

int main(void) {
    eio_sink sink = {&printing};
    eio_err *err = eio_flow_copy_string("hello through a flow\n", &sink);
    eio_err_drop(err);
    return err != NULL;
}
