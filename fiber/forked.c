// SPDX-License-Identifier: ISC

// Theory. fork(2) without exec copies a domain's memory, but what the kernel holds for it exists
// once: a ring, an epoll instance, an eventfd. Two processes that used them would take each other's
// completions. So a child has no loop. It is in the middle of a fiber, on the stack of which it may
// go on with plain C; whatever needs the loop stops it with a sentence, before anything is touched
// that the parent sees. It may start a loop of its own.
//
// What a child inherits and can't use is closed, so that it doesn't outlive the parent. All that
// costs nothing while no process forks. (posix_spawn and vfork don't come by here, and needn't:
// such a child runs no code of ours. Neither does a bare clone(2); it finds no ring in its memory.)

#include <pthread.h>

#include "fiber/impl.h"

static bool is_forked; // set before the child has a second thread

static void in_child(void) {
    struct eioi_sched *s = eioi_tls_sched;
    eioi_trace_forked();
    if (s == NULL)
        return;
    eioi_tls_sched = NULL;
    is_forked = true;
    if (s->ops->forked != NULL)
        s->ops->forked(s->backend);
}

static int status;

static void prepare(void) {
    status = pthread_atfork(NULL, NULL, in_child); // fault: none, it is called once in a process
}

eio_err *eioi_fork_prepare(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
    return status == 0 ? NULL : eio_err_const(&eio_err_out_of_memory);
}

const char *eioi_why_no_loop(void) {
    return is_forked ? "in a child of fork(2): the loop has stayed with the parent"
                     : "outside a loop (start one with eio_main or eio_run)";
}
