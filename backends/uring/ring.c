// SPDX-License-Identifier: ISC

// Theory. A ring is opened with the best set of flags that the kernel knows:
//   SINGLE_ISSUER | DEFER_TASKRUN (6.1): completions are made only inside our own system calls, so
//     the kernel never interrupts a running fiber for one; TASKRUN_FLAG tells by a load that there
//     are some.
//   COOP_TASKRUN (5.19): the next best.
//   neither.
// EINVAL says that a flag isn't known; ENOMEM that the queues are too large: they are charged to the
// user as locked memory (before 5.12, and again from 6.14 on). The kernel gives that back some time
// after a ring was closed, so when not even small queues can be had, they are asked for again a few
// times. A kernel that has the flags but lacks a feature or an operation that we can't do without is
// refused here, so that nothing has to be checked later.
//
// The library's own submit functions aren't used: they loop, swallow errors and read the clock in
// ways that differ from version to version. Publishing entries is one store, entering is one call,
// and the loop above decides the rest.

#include "backends/uring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "backends/unix/rcfd.h"
#include "backends/unix/std_stream.h"
#include "fiber/sanitizer.h"

enum {
    MEMORY_PAUSE_MIN_NS = 1000 * 1000,       // before queues are asked for again; doubled each time
    MEMORY_PAUSE_MAX_NS = 128 * 1000 * 1000, // the last one: about a quarter of a second in all
};

// What liburing 2.3's header has, named here so that an older one fails at this line.
_Static_assert(IORING_SETUP_DEFER_TASKRUN == 1U << 13, "liburing 2.3 or newer is needed");

static const unsigned flag_sets[] = {
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_TASKRUN_FLAG |
        IORING_SETUP_COOP_TASKRUN,
    IORING_SETUP_CQSIZE,
};

static const struct {
    unsigned bit;
    const char *name;
} features[] = {
    {IORING_FEAT_NODROP, "NODROP"},
    {IORING_FEAT_RW_CUR_POS, "RW_CUR_POS"},
    {IORING_FEAT_FAST_POLL, "FAST_POLL"},
    {IORING_FEAT_EXT_ARG, "EXT_ARG"},
};

static const struct {
    uint8_t op;
    const char *name;
} operations[] = {
    {IORING_OP_NOP, "NOP"},         {IORING_OP_READ, "READ"},
    {IORING_OP_READV, "READV"},     {IORING_OP_WRITE, "WRITE"},
    {IORING_OP_WRITEV, "WRITEV"},   {IORING_OP_RECV, "RECV"},
    {IORING_OP_SEND, "SEND"},       {IORING_OP_RECVMSG, "RECVMSG"},
    {IORING_OP_SENDMSG, "SENDMSG"}, {IORING_OP_ACCEPT, "ACCEPT"},
    {IORING_OP_CONNECT, "CONNECT"}, {IORING_OP_POLL_ADD, "POLL_ADD"},
    {IORING_OP_CLOSE, "CLOSE"},     {IORING_OP_ASYNC_CANCEL, "ASYNC_CANCEL"},
};

// Why it can't be had

/** The value of the sysctl kernel.io_uring_disabled; 0 when it can't be read. */
static int sysctl_disabled(void) {
    char text[8] = "";
    int fd = EIOI_SYS(open, open("/proc/sys/kernel/io_uring_disabled", O_RDONLY | O_CLOEXEC));
    if (fd < 0)
        return 0;
    ssize_t got = EIOI_SYS(read, read(fd, text, sizeof text - 1));
    eioi_close_number(fd);
    return got <= 0 ? 0 : atoi(text);
}

static eio_err *no_permission(void) {
    int disabled = sysctl_disabled();
    if (disabled != 0)
        return eio_err_failure(
            "io_uring_setup: not permitted (the sysctl kernel.io_uring_disabled is %d)", disabled);
    return eio_err_failure(
        "io_uring_setup: not permitted (most likely a seccomp filter, as containers have)");
}

static eio_err *no_memory(void) {
    struct rlimit limit = {0, 0};
    (void)EIOI_SYS(getrlimit, getrlimit(RLIMIT_MEMLOCK, &limit));
    return eio_err_failure("io_uring_setup: no memory for the queues (ulimit -l, the limit on "
                           "locked memory, is %llu KiB)",
                           (unsigned long long)limit.rlim_cur / 1024);
}

static eio_err *why(int errnum) {
    switch (errnum) {
    case EPERM:
    case EACCES: return no_permission();
    case ENOSYS:
        return eio_err_failure(
            "io_uring_setup: the kernel doesn't have it (or a seccomp filter says so)");
    case ENOMEM: return no_memory();
    case EINVAL: return eio_err_failure("the kernel is too old (5.11 is needed)");
    default: return eio_err_failure("io_uring_setup: %s", strerror(errnum));
    }
}

// Setting up

// The library maps and unmaps rings by system calls that TSan doesn't see. So it has to be told that
// a ring comes after those that were unmapped before it, at whose address it may stand.
#ifdef EIOI_TSAN
static char ring_addresses; // stands for them all
#endif

static void tell_tools_mapped(void) {
#ifdef EIOI_TSAN
    __tsan_acquire(&ring_addresses);
#endif
}

static void unmap(struct io_uring *io) {
#ifdef EIOI_TSAN
    __tsan_release(&ring_addresses);
#endif
    io_uring_queue_exit(io);
}

static int set_up(struct io_uring *io, unsigned entries, unsigned flags) {
    struct io_uring_params params = {.flags = flags, .cq_entries = entries * EIOI_RING_CQ_FACTOR};
    int rc = EIOI_FAULT(io_uring_setup) ? -errno : io_uring_queue_init_params(entries, io, &params);
    tell_tools_mapped();
    if (rc == 0)
        (void)io_uring_ring_dontfork(io); // refused: a child has it, and no way to use it
    return rc;
}

/** 0 or -errno; then the ring is closed. */
static int move_above_std(struct io_uring *io) {
    int fd = eioi_above_std(io->ring_fd);
    if (fd == io->ring_fd)
        return 0;
    int rc = fd < 0 ? -errno : 0;
    io->ring_fd = io->enter_ring_fd = fd;
    if (rc < 0)
        unmap(io);
    return rc;
}

/** With the best flags that the kernel knows. 0 or -errno. */
static int set_up_best(struct io_uring *io, unsigned entries) {
    int rc = -EINVAL;
    for (size_t i = 0; rc == -EINVAL && i < sizeof flag_sets / sizeof *flag_sets; i++)
        rc = set_up(io, entries, flag_sets[i]);
    return rc;
}

static eio_err *check_features(const struct io_uring *io) {
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if ((io->features & features[i].bit) == 0)
            return eio_err_failure(
                "the kernel is too old (5.11 is needed; IORING_FEAT_%s is missing)",
                features[i].name);
    return NULL;
}

static eio_err *check_operations(struct io_uring *io) {
    enum { OPS = 256 };
    union {
        struct io_uring_probe probe;
        char room[sizeof(struct io_uring_probe) + OPS * sizeof(struct io_uring_probe_op)];
    } u;
    memset(&u, 0, sizeof u);
    int rc = EIOI_FAULT(io_uring_register) ? -errno : io_uring_register_probe(io, &u.probe, OPS);
    if (rc < 0)
        return eio_err_failure("io_uring_register: %s", strerror(-rc));
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!io_uring_opcode_supported(&u.probe, operations[i].op))
            return eio_err_failure("the kernel is too old (IORING_OP_%s is missing)",
                                   operations[i].name);
    return NULL;
}

/**
 * Slot i of the queue is entry i, for ever; some versions of the library fill this in at each
 * submission only.
 */
static void fill_array(struct io_uring *io) {
#ifdef IORING_SETUP_NO_SQARRAY
    if (io->flags & IORING_SETUP_NO_SQARRAY)
        return;
#endif
    for (unsigned i = 0; i < io->sq.ring_entries; i++)
        io->sq.array[i] = i;
}

/** With `entries`, or with fewer if there is no memory for so many. 0 or -errno. */
static int set_up_sized(struct io_uring *io, unsigned entries) {
    int rc = set_up_best(io, entries);
    for (; rc == -ENOMEM && entries > EIOI_RING_ENTRIES_MIN; rc = set_up_best(io, entries))
        entries /= 2;
    return rc;
}

/** As `set_up_sized`; what rings closed a moment ago still occupy is waited for. */
static int set_up_patiently(struct io_uring *io, unsigned entries) {
    int rc = set_up_sized(io, entries);
    for (long ns = MEMORY_PAUSE_MIN_NS; rc == -ENOMEM && ns <= MEMORY_PAUSE_MAX_NS; ns *= 2) {
        struct timespec pause = {.tv_nsec = ns};
        (void)EIOI_SYS(nanosleep, nanosleep(&pause, NULL)); // cut short: asked a bit earlier
        rc = set_up_sized(io, entries);
    }
    return rc;
}

eio_err *eioi_ring_open(struct eioi_ring *self, unsigned entries) {
    int rc = set_up_patiently(&self->io, entries);
    if (rc == 0)
        rc = move_above_std(&self->io);
    if (rc < 0)
        return why(-rc);
    eio_err *err = check_features(&self->io);
    if (err == NULL)
        err = check_operations(&self->io);
    if (err != NULL) {
        unmap(&self->io);
        return err;
    }
    fill_array(&self->io);
    self->deferred = (self->io.flags & IORING_SETUP_DEFER_TASKRUN) != 0;
    return NULL;
}

void eioi_ring_close(struct eioi_ring *self) {
    unmap(&self->io);
}

// Using it

static void publish(struct io_uring_sq *sq) {
    if (sq->sqe_head == sq->sqe_tail)
        return;
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
}

int eioi_ring_enter(struct eioi_ring *self, unsigned submit, bool wait,
                    struct __kernel_timespec *timeout) {
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)timeout, .sigmask_sz = _NSIG / 8};
    unsigned flags = IORING_ENTER_GETEVENTS;
    void *ext = NULL; // what the kernel needn't fetch isn't given
    size_t ext_size = _NSIG / 8;
    if (timeout != NULL) {
        flags |= IORING_ENTER_EXT_ARG;
        ext = &arg;
        ext_size = sizeof arg;
    }
    publish(&self->io.sq);
    if (EIOI_FAULT(io_uring_enter))
        return -errno;
    // fault: asked above
    return io_uring_enter2((unsigned)self->io.ring_fd, submit, wait ? 1 : 0, flags, ext, ext_size);
}

int eioi_ring_add_buffers(struct eioi_ring *self, struct io_uring_buf_ring *ring, unsigned entries,
                          int group) {
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)ring, .ring_entries = entries, .bgid = (uint16_t)group};
    return EIOI_FAULT(io_uring_register_buf_ring)
               ? -errno
               : io_uring_register_buf_ring(&self->io, &reg, /* flags= */ 0);
}

bool eioi_ring_take_back(struct eioi_ring *self, struct io_uring_sqe *out) {
    struct io_uring_sq *sq = &self->io.sq;
    if (eioi_ring_queued(self) == 0)
        return false;
    // The kernel reads the queue only inside our own calls, so the tail may go back.
    sq->sqe_tail--;
    *out = sq->sqes[sq->sqe_tail & sq->ring_mask];
    sq->sqe_head = sq->sqe_tail;
    io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
    return true;
}
