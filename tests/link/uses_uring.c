// SPDX-License-Identifier: ISC
#include "backends/uring/uring.h"

static eio_err *nothing(void *arg) {
    (void)arg;
    return NULL;
}

int main(void) {
    struct eioi_uring *uring;
    eio_err *err = eioi_uring_create(&uring);
    if (err == NULL) {
        const struct eioi_sched_opts opts = {.ops = &eioi_uring_ops, .backend = uring};
        err = eioi_sched_run(&opts, nothing, NULL);
        eioi_uring_destroy(uring);
    }
    eio_err_drop(err);
    return err != NULL;
}
