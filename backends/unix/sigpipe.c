// SPDX-License-Identifier: ISC

// Theory. Whether the kernel knows RWF_NOSIGNAL is found out once in the process, on a pipe of our
// own whose reading end is closed: EPIPE from a write with the flag means that it does. The answer
// is cached in an atomic; two threads that find out at the same time find the same.
//
// Without the flag, the signal that a write raises is directed at the writing thread, so blocking
// it in that thread keeps it pending there, and one sigtimedwait(2) with no time takes it away.
// When one was pending before we began, it stays: a pending signal has no count, so the two can't
// be told apart.

#include "backends/unix/sigpipe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "fiber/base/fault.h"

#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

enum { UNKNOWN = -1 };
static atomic_int known_rwf = UNKNOWN;

static void sigpipe_set(sigset_t *set) {
    sigemptyset(set);
    sigaddset(set, SIGPIPE);
}

/** Takes a pending SIGPIPE of this thread away. */
static void take_pending(void) {
    static const struct timespec no_time = {0, 0};
    sigset_t set;
    sigpipe_set(&set);
    while (EIOI_SYS(sigtimedwait, sigtimedwait(&set, NULL, &no_time)) < 0 && errno == EINTR) {
    }
}

static bool is_pending(void) {
    sigset_t set;
    sigpending(&set);
    return sigismember(&set, SIGPIPE) == 1;
}

/** With SIGPIPE blocked in this thread, so that a kernel that ignored the flag would do no harm. */
static int probe(void) {
    int fds[2];
    if (EIOI_SYS(pipe2, pipe2(fds, O_CLOEXEC)) != 0)
        return UNKNOWN;
    bool pending = is_pending();
    char byte = 0;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    close(fds[0]); // fault: none, the number is free whatever it says
    ssize_t wrote = EIOI_SYS(pwritev2_nosignal, pwritev2(fds[1], &iov, 1, -1, RWF_NOSIGNAL));
    int rwf = wrote < 0 && errno == EPIPE ? RWF_NOSIGNAL : 0;
    close(fds[1]); // fault: none, as above
    if (!pending && is_pending()) {
        take_pending();
        rwf = 0;
    }
    return rwf;
}

int eioi_sigpipe_rwf(void) {
    int rwf = atomic_load_explicit(&known_rwf, memory_order_relaxed);
    if (rwf != UNKNOWN)
        return rwf;
    sigset_t set;
    sigset_t old;
    sigpipe_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    rwf = probe();
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    atomic_store_explicit(&known_rwf, rwf, memory_order_relaxed);
    return rwf == UNKNOWN ? 0 : rwf;
}

void eioi_sigpipe_begin(struct eioi_sigpipe *self) {
    sigset_t set;
    sigset_t old;
    *self = (struct eioi_sigpipe){.blocked = false};
    if (eioi_sigpipe_rwf() != 0)
        return;
    self->pending = is_pending();
    sigpipe_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    self->blocked = sigismember(&old, SIGPIPE) == 0;
}

void eioi_sigpipe_take(struct eioi_sigpipe *self) {
    if (eioi_sigpipe_rwf() == 0 && !self->pending && is_pending())
        take_pending();
}

void eioi_sigpipe_block(struct eioi_sigpipe_hold *self) {
    sigset_t set;
    sigset_t old;
    sigpipe_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, &old);
    self->blocked = sigismember(&old, SIGPIPE) == 0;
}

void eioi_sigpipe_unblock(struct eioi_sigpipe_hold *self, bool raised) {
    sigset_t set;
    if (!self->blocked) // then whoever did block it gets the one that is pending
        return;
    // None was pending before, or it would have been delivered: what is pending is ours.
    if (raised)
        take_pending();
    sigpipe_set(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

void eioi_sigpipe_end(struct eioi_sigpipe *self) {
    sigset_t set;
    if (!self->blocked)
        return;
    sigpipe_set(&set);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    self->blocked = false;
}
