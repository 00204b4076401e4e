// SPDX-License-Identifier: ISC
#include "backends/epoll/epoll.h"

static eio_err *nothing(void *arg) {
    (void)arg;
    return NULL;
}

int main(void) {
    struct eioi_epoll *epoll;
    eio_err *err = eioi_epoll_create(&epoll);
    if (err == NULL) {
        const struct eioi_sched_opts opts = {.ops = &eioi_epoll_ops, .backend = epoll};
        err = eioi_sched_run(&opts, nothing, NULL);
        eioi_epoll_destroy(epoll);
    }
    eio_err_drop(err);
    return err != NULL;
}
