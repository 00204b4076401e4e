// SPDX-License-Identifier: ISC

// Theory. One epoll descriptor and one eventfd a loop. A poll takes one batch of events; what
// didn't fit is there at the next. The eventfd is edge-triggered and never read: each write to it
// is an edge, and its count can't overflow in any program's life.
//
// Time-outs are given in nanoseconds where the kernel has epoll_pwait2 (5.11), else in
// milliseconds, rounded up: a poll may end late, and the scheduler compares each deadline with the
// clock, so no timer is early.

#include <errno.h>
#include <limits.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "backends/epoll/epoll.h"
#include "backends/epoll/low_level.h"
#include "backends/epoll/poll.h"
#include "backends/unix/rcfd.h"
#include "backends/unix/std_stream.h"
#include "fiber/base/alloc.h"
#include "fiber/base/fault.h"

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static int64_t epoll_now(void *backend) {
    struct timespec ts;
    (void)backend;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

/** epoll_pwait2(2) with a time-out; -1 with ENOSYS where there is none. */
static int wait_ns(struct eioi_epoll *self, int64_t timeout_ns) {
#ifdef SYS_epoll_pwait2
    const struct {
        int64_t sec, nsec; // the kernel's own timespec, whatever libc's is
    } ts = {timeout_ns / NS_PER_S, timeout_ns % NS_PER_S};
    return (int)EIOI_SYS(epoll_pwait2, syscall(SYS_epoll_pwait2, self->epoll_fd, self->events,
                                               (int)EIOI_EPOLL_BATCH, &ts, NULL, (size_t)0));
#else
    (void)self;
    (void)timeout_ns;
    errno = ENOSYS;
    return -1;
#endif
}

static int wait_ms(struct eioi_epoll *self, int timeout_ms) {
    return EIOI_SYS(epoll_wait,
                    epoll_wait(self->epoll_fd, self->events, EIOI_EPOLL_BATCH, timeout_ms));
}

/**
 * How many events came. An interrupted wait has none: the scheduler looks at what woke it and comes
 * back.
 */
static int wait_events(struct eioi_epoll *self, int64_t deadline_ns) {
    if (deadline_ns == EIOI_POLL_NOW)
        return wait_ms(self, 0);
    if (deadline_ns == EIOI_POLL_FOREVER)
        return wait_ms(self, -1);
    int64_t timeout_ns = deadline_ns - epoll_now(self);
    if (timeout_ns <= 0)
        return wait_ms(self, 0);
    if (!self->no_pwait2) {
        int n = wait_ns(self, timeout_ns);
        if (n >= 0 ||
            (errno != ENOSYS && errno != EPERM)) // EPERM: a seccomp filter older than the call
            return n;
        self->no_pwait2 = true;
    }
    int64_t timeout_ms = (timeout_ns - 1) / NS_PER_MS + 1;
    return wait_ms(self, timeout_ms < INT_MAX ? (int)timeout_ms : INT_MAX);
}

static enum eioi_poll_result epoll_poll(void *backend, int64_t deadline_ns) {
    struct eioi_epoll *self = backend;
    int count = wait_events(self, deadline_ns);
    eioi_poll_dispatch(self, count);
    return count > 0 ? EIOI_POLL_BUSY : EIOI_POLL_OK;
}

static void epoll_poke(void *backend) {
    struct eioi_epoll *self = backend;
    const uint64_t one = 1;
    // A poke must not get lost; EINTR is the only error there is.
    // fault: none, see above
    while (write(self->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

static eio_err *open_fds(struct eioi_epoll *self) {
    self->epoll_fd = eioi_above_std(EIOI_SYS(epoll_create1, epoll_create1(EPOLL_CLOEXEC)));
    if (self->epoll_fd < 0)
        return eioi_err_of_errno(errno, "epoll_create1");
    self->wake_fd = eioi_above_std(EIOI_SYS(eventfd, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)));
    if (self->wake_fd < 0)
        return eioi_err_of_errno(errno, "eventfd");
    // Generation 0: no record uses it, since each starts with its first descriptor by going on to
    // 1.
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = (uint32_t)self->wake_fd};
    if (EIOI_SYS(epoll_ctl, epoll_ctl(self->epoll_fd, EPOLL_CTL_ADD, self->wake_fd, &event)) != 0)
        return eioi_err_of_errno(errno, "epoll_ctl");
    return NULL;
}

eio_err *eioi_epoll_create(struct eioi_epoll **out) {
    struct eioi_epoll *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    self->epoll_fd = self->wake_fd = -1;
    eioi_sigpipe_begin(&self->sigpipe);
    eio_err *err = open_fds(self);
    if (err != NULL) {
        eioi_epoll_destroy(self);
        return err;
    }
    *out = self;
    return NULL;
}

void eioi_epoll_destroy(struct eioi_epoll *self) {
    if (self == NULL)
        return;
    if (self->wake_fd >= 0)
        eioi_close_number(self->wake_fd);
    if (self->epoll_fd >= 0)
        eioi_close_number(self->epoll_fd);
    eioi_sigpipe_end(&self->sigpipe);
    eioi_pipes_fini(&self->pipes);
    eioi_buffers_fini(&self->buffers);
    eioi_poll_table_free(&self->table);
    eioi_free(self);
}

static void epoll_forked(void *backend) {
    struct eioi_epoll *self = backend;
    eioi_close_number(self->wake_fd);
    eioi_close_number(self->epoll_fd);
    eioi_pipes_fini(&self->pipes);
}

const struct eioi_backend_ops eioi_epoll_ops = {
    .name = "epoll",
    .poll = epoll_poll,
    .poke = epoll_poke,
    .now = epoll_now,
    .await_fd = eioi_epoll_await_fd,
    .io_ops = &eioi_epoll_io_ops,
    .forked = epoll_forked,
};
