// SPDX-License-Identifier: ISC

// Theory. A subscription has a counter for each of its signals and an eventfd. The handler, which
// may run in any thread at any instruction, walks the list of subscriptions, counts, and writes to
// the eventfds: atomics and write(2) only. A waiting fiber takes from the counters; when there is
// nothing it waits for the eventfd to be readable, empties it, and looks again. The handler counts
// before it writes, and the fiber empties before it looks: nothing is lost between them.
//
// The list is changed under a mutex, with atomic links, so a handler sees a subscription or
// doesn't. Whoever takes one off waits until no handler runs any more before it is freed: handlers
// take no lock, so that's soon. A handler that interrupts the very thread that waits ends before
// that goes on.
//
// `handled[signum].count` says how many subscriptions want a signal. The first one installs the
// handler and keeps what was there, the last one puts that back, unless somebody has installed
// something else meanwhile.

#include "eio/signal.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "eio/await_fd.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"
#include "fiber/base/list.h"

#ifndef NSIG
#define NSIG 65
#endif

struct eio_signal {
    _Atomic(struct eio_signal *) next; // in the list of subscriptions
    eio_hook hook;                     // the switch's
    int event_fd;                      // readable when a counter may not be 0; -1: not opened
    size_t count;                      // of `wanted`, those for which the handler is installed
    struct {
        int signum;
        atomic_uint came; // and not waited for yet
    } wanted[];
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // guards changes of the below
static _Atomic(struct eio_signal *) first;
static struct {
    size_t count;         // subscriptions that want it
    struct sigaction old; // valid when `count` isn't 0
} handled[NSIG];
static atomic_uint handlers; // that run now

static void on_signal(int signum) {
    int saved = errno;
    const uint64_t one = 1;
    atomic_fetch_add(&handlers, 1);
    for (struct eio_signal *self = atomic_load(&first); self != NULL;
         self = atomic_load(&self->next)) {
        for (size_t i = 0; i < self->count; i++) {
            if (self->wanted[i].signum != signum)
                continue;
            atomic_fetch_add(&self->wanted[i].came, 1);
            ssize_t n = write(self->event_fd, &one, sizeof one); // fault: none, a signal handler
            (void)n; // EAGAIN: it is readable as never before
        }
    }
    atomic_fetch_sub(&handlers, 1);
    errno = saved;
}

static bool is_ours(const struct sigaction *action) {
    return (action->sa_flags & SA_SIGINFO) == 0 && action->sa_handler == on_signal;
}

/** With the mutex. Installs the handler if this is the first who wants `signum`. */
static eio_err *want(int signum) {
    if (signum <= 0 || signum >= NSIG)
        return eio_err_os(&eio_err_x, EINVAL, "sigaction");
    if (handled[signum].count == 0) {
        // The alternate stack, where a thread has one: a fiber's may be nearly full.
        struct sigaction ours = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
        sigemptyset(&ours.sa_mask);
        if (EIOI_SYS(sigaction, sigaction(signum, &ours, &handled[signum].old)) != 0)
            return eio_err_os(&eio_err_x, errno, "sigaction");
    }
    handled[signum].count++;
    return NULL;
}

/** With the mutex. Puts back what was there before if this was the last. */
static void unwant(int signum) {
    struct sigaction now;
    if (--handled[signum].count > 0)
        return;
    // fault: none, both are valid
    if (sigaction(signum, NULL, &now) == 0 && is_ours(&now))
        (void)sigaction(signum, &handled[signum].old, NULL); // fault: none, as above
}

/** With the mutex. */
static void link_in(struct eio_signal *self) {
    atomic_store(&self->next, atomic_load(&first));
    atomic_store(&first, self);
}

/** With the mutex. When it returns no handler knows of `self`. */
static void unlink_from(struct eio_signal *self) {
    _Atomic(struct eio_signal *) *link = &first;
    while (atomic_load(link) != self)
        link = &atomic_load(link)->next;
    atomic_store(link, atomic_load(&self->next));
    while (atomic_load(&handlers) != 0)
        sched_yield();
}

static void destroy(struct eio_signal *self) {
    if (self->event_fd >= 0)
        close(self->event_fd); // fault: none, the number is free whatever it says
    eioi_free(self);
}

static eio_err *signal_hook(eio_hook *hook) {
    struct eio_signal *self = EIOI_CONTAINER_OF(hook, struct eio_signal, hook);
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < self->count; i++)
        unwant(self->wanted[i].signum);
    unlink_from(self);
    pthread_mutex_unlock(&mutex);
    destroy(self);
    return NULL;
}

/** Subscribes; on an error it is subscribed to nothing. */
static eio_err *subscribe(struct eio_signal *self, size_t n) {
    eio_err *err = NULL;
    pthread_mutex_lock(&mutex);
    // In the list first, so that the first signal after its handler is installed is counted.
    size_t wanted = 0;
    self->count = n;
    link_in(self);
    while (wanted < n && err == NULL) {
        err = want(self->wanted[wanted].signum);
        wanted += err == NULL;
    }
    if (err != NULL) {
        while (wanted > 0)
            unwant(self->wanted[--wanted].signum);
        unlink_from(self);
    }
    pthread_mutex_unlock(&mutex);
    return err;
}

/** A child of fork(2) has none of the parent's subscribers: signals do there what they did before. */
static void in_child(void) {
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    atomic_store(&first, NULL);
    for (int signum = 1; signum < NSIG; signum++) {
        if (handled[signum].count == 0)
            continue;
        handled[signum].count = 1;
        unwant(signum);
    }
    atomic_store(&handlers, 0);
}

static int fork_status;

static void prepare_for_fork(void) {
    fork_status = pthread_atfork(NULL, NULL, in_child); // fault: none, once in a process
}

eio_err *eio_signal_open(eio_switch *sw, const int *signums, size_t n, eio_signal **out) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    EIO_ASSERT(n > 0, "a subscription is to one signal at least");
    pthread_once(&once, prepare_for_fork);
    if (fork_status != 0)
        return eio_err_const(&eio_err_out_of_memory);
    struct eio_signal *self = eioi_zalloc(sizeof *self + n * sizeof self->wanted[0]);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    for (size_t i = 0; i < n; i++)
        self->wanted[i].signum = signums[i];
    self->event_fd = EIOI_SYS(eventfd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    eio_err *err =
        self->event_fd < 0 ? eio_err_os(&eio_err_x, errno, "eventfd") : subscribe(self, n);
    if (err != NULL) {
        destroy(self);
        return err;
    }
    eio_switch_attach(sw, &self->hook, signal_hook);
    *out = self;
    return NULL;
}

/** Takes one signal that has come, if there is one. */
static bool take(struct eio_signal *self, int *out_signum) {
    for (size_t i = 0; i < self->count; i++) {
        unsigned came = atomic_load(&self->wanted[i].came);
        while (came > 0) {
            if (atomic_compare_exchange_weak(&self->wanted[i].came, &came, came - 1)) {
                *out_signum = self->wanted[i].signum;
                return true;
            }
        }
    }
    return false;
}

eio_err *eio_signal_wait(eio_signal *self, int *out_signum) {
    uint64_t count;
    while (!take(self, out_signum)) {
        EIO_TRY(eio_await_readable(self->event_fd));
        ssize_t n = EIOI_SYS(read_signal, read(self->event_fd, &count, sizeof count));
        (void)n; // EAGAIN: another fiber has emptied it, and then looks
    }
    return NULL;
}
