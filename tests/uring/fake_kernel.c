// SPDX-License-Identifier: ISC

// Theory. The fake stands in for the functions of liburing that make, close and enter a ring, and
// for close, shutdown and the clock: the definitions of a program go before those of a library. So
// the backend is tested from its operations down to the last store to the queues.
//
// An operation is pending until something decides its result; then its completion is `posted`, and
// appears in the queue in some later enter, in an order that keeps only that of one operation's own.
// What a kernel may do, this one does by chance: it takes some of the entries, or none; it answers
// a cancel request before or after its target, with or without having done anything; it lets an
// operation succeed that was cancelled; it fills the completion queue, and keeps the rest back. It
// writes to an operation's memory until its result is decided, so that memory that went too early
// shows.
//
// It doesn't wait: when the backend would, whatever can complete does, and else time jumps to the
// next moment at which something is due. When nothing ever would be, a wake-up is lost.

#include "tests/uring/fake_kernel.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "fiber/base/splitmix.h"

enum {
    FDS_MAX = 20000,
    GROUPS_MAX = 4,
    REFUSALS_IN_A_ROW = 20,
    NO_ANSWERS = 3, // to one operation
    ROUNDS_MAX = 1 << 20,
};

/** An open file: the number has a share, and so has each operation. */
struct file {
    struct file *peer;
    uint8_t *in; // bytes that were sent to it
    size_t in_len;
    bool in_ended; // nothing more will come
    bool receive_off, send_off;
    bool reset;
    unsigned shares;
};

struct op {
    struct op *next;
    struct io_uring_sqe sqe;
    struct file *file; // NULL: a number that isn't ours
    int64_t due;       // of a time-out
    unsigned no_answers;
    bool forced; // what can complete must
};

struct posted {
    struct posted *next;
    uint64_t user_data;
    int32_t res;
    uint32_t flags;
};

static struct kernel {
    struct fake_opts opts;
    struct fake_counts counts;
    uint64_t random;
    bool on;
    int64_t now;
    struct io_uring *ring; // NULL: none is open
    struct file *files[FDS_MAX];
    unsigned files_alive;
    struct op *ops;        // pending, oldest first
    struct posted *posted; // decided, oldest first
    unsigned refusals;     // in a row
    struct io_uring_buf_ring *buffers[GROUPS_MAX];
    unsigned buffer_mask[GROUPS_MAX];
    uint16_t buffer_head[GROUPS_MAX];
} k;

_Noreturn static void violated(const char *what) {
    fprintf(stderr, "fake kernel, seed %llu: %s\n", (unsigned long long)k.opts.seed, what);
    abort();
}

static unsigned below(unsigned n) {
    return (unsigned)(eioi_splitmix(&k.random) % n);
}

static bool chance(unsigned of_256) {
    return of_256 != 0 && below(256) < of_256;
}

// --- Files ---------------------------------------------------------------------------------------

static struct file *file_of(int fd) {
    return k.on && fd >= 0 && fd < FDS_MAX ? k.files[fd] : NULL;
}

static void drop_file(struct file *self) {
    if (--self->shares > 0)
        return;
    if (self->peer != NULL) {
        self->peer->in_ended = true;
        if (self->in_len > 0)
            self->peer->reset = true;
        self->peer->peer = NULL;
    }
    k.files_alive--;
    free(self->in);
    free(self);
}

static struct file *new_file(int *out_fd) {
    struct file *self = calloc(1, sizeof *self);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); // for a number that nobody else has
    if (self == NULL || fd < 0 || fd >= FDS_MAX)
        violated("no number for a socket");
    self->in = malloc(k.opts.socket_room);
    self->shares = 1;
    k.files[fd] = self;
    k.files_alive++;
    *out_fd = fd;
    return self;
}

void fake_socketpair(int out_fds[2]) {
    struct file *a = new_file(&out_fds[0]);
    struct file *b = new_file(&out_fds[1]);
    a->peer = b;
    b->peer = a;
}

int close(int fd) {
    struct file *file = file_of(fd);
    if (file != NULL) {
        k.files[fd] = NULL;
        drop_file(file);
    }
    int rc = (int)syscall(SYS_close, fd);
    if (rc != 0 && k.on)
        violated("a number is closed that isn't open");
    return rc;
}

int shutdown(int fd, int how) {
    struct file *file = file_of(fd);
    if (file == NULL)
        return (int)syscall(SYS_shutdown, fd, how);
    if (how != SHUT_WR)
        file->receive_off = true;
    if (how != SHUT_RD) {
        file->send_off = true;
        if (file->peer != NULL)
            file->peer->in_ended = true;
    }
    return 0;
}

// --- Time ----------------------------------------------------------------------------------------

int64_t fake_now(void) {
    return k.now;
}

int clock_gettime(clockid_t clock, struct timespec *out) {
    if (!k.on || clock != CLOCK_MONOTONIC)
        return (int)syscall(SYS_clock_gettime, clock, out);
    k.now += 100; // whoever looks takes time
    *out = (struct timespec){.tv_sec = k.now / 1000000000, .tv_nsec = k.now % 1000000000};
    return 0;
}

int nanosleep(const struct timespec *time, struct timespec *left) {
    if (!k.on)
        return (int)syscall(SYS_nanosleep, time, left);
    k.now += time->tv_sec * 1000000000 + time->tv_nsec;
    return 0;
}

// --- Completions ---------------------------------------------------------------------------------

static void post(uint64_t user_data, int32_t res, uint32_t flags) {
    struct posted *self = calloc(1, sizeof *self);
    *self = (struct posted){.user_data = user_data, .res = res, .flags = flags};
    struct posted **link = &k.posted;
    while (*link != NULL)
        link = &(*link)->next;
    *link = self;
}

/** Its result is decided, and it is over. */
static void finish(struct op *self, int32_t res, uint32_t flags) {
    struct op **link = &k.ops;
    while (*link != self)
        link = &(*link)->next;
    *link = self->next;
    post(self->sqe.user_data, res, flags);
    if (self->file != NULL)
        drop_file(self->file);
    free(self);
}

static unsigned cq_room(void) {
    return k.opts.cq_entries - (*k.ring->cq.ktail - *k.ring->cq.khead);
}

/** Any of those that are the oldest of their operation. */
static struct posted **pick_posted(void) {
    unsigned n = 0;
    for (struct posted *it = k.posted; it != NULL; it = it->next)
        n++;
    unsigned skip = below(n < 8 ? n : 8);
    struct posted **picked = &k.posted;
    while (skip-- > 0)
        picked = &(*picked)->next;
    for (struct posted **it = &k.posted; it != picked; it = &(*it)->next)
        if ((*it)->user_data == (*picked)->user_data)
            return it;
    return picked;
}

static void show_posted(void) {
    while (k.posted != NULL && cq_room() > 0) {
        struct posted **link = pick_posted();
        struct posted *self = *link;
        *link = self->next;
        unsigned tail = *k.ring->cq.ktail;
        struct io_uring_cqe *cqe = &k.ring->cq.cqes[tail & k.ring->cq.ring_mask];
        cqe->user_data = self->user_data;
        cqe->res = self->res;
        cqe->flags = self->flags;
        io_uring_smp_store_release(k.ring->cq.ktail, tail + 1);
        k.counts.completions++;
        free(self);
    }
    unsigned flags = 0;
    if (k.posted != NULL) {
        flags = IORING_SQ_CQ_OVERFLOW;
        k.counts.overflowed++;
    }
    IO_URING_WRITE_ONCE(*k.ring->sq.kflags, flags);
}

// --- Operations ----------------------------------------------------------------------------------

static size_t short_of(size_t len) {
    if (len > 1 && chance(k.opts.short_count)) {
        k.counts.short_counts++;
        return 1 + below((unsigned)(len - 1));
    }
    return len;
}

static size_t take_in(struct file *file, uint8_t *to, size_t len) {
    len = len < file->in_len ? len : file->in_len;
    memcpy(to, file->in, len);
    memmove(file->in, file->in + len, file->in_len - len);
    file->in_len -= len;
    return len;
}

/** Why a receive can't wait any longer; 1: it can. */
static int32_t receive_end(const struct file *file) {
    if (file->reset)
        return -ECONNRESET;
    return file->in_ended || file->receive_off ? 0 : 1;
}

/** A buffer out of the ring; false: there is none. */
static bool take_buffer(unsigned group, struct io_uring_buf *out) {
    struct io_uring_buf_ring *ring = group < GROUPS_MAX ? k.buffers[group] : NULL;
    if (ring == NULL)
        return false;
    if (k.buffer_head[group] == io_uring_smp_load_acquire(&ring->tail))
        return false;
    *out = ring->bufs[k.buffer_head[group]++ & k.buffer_mask[group]];
    return true;
}

static bool is_multishot(const struct op *self) {
    return self->sqe.opcode == IORING_OP_RECV && (self->sqe.ioprio & IORING_RECV_MULTISHOT) != 0;
}

/** Into a buffer of a ring. */
static void receive_selected(struct op *self) {
    struct io_uring_buf buf;
    if (chance(k.opts.no_buffers) || !take_buffer(self->sqe.buf_group, &buf)) {
        k.counts.no_buffers++;
        finish(self, -ENOBUFS, 0);
        return;
    }
    uint8_t *to = (uint8_t *)(uintptr_t)buf.addr;
    memset(to, 0xee, buf.len);
    size_t want = short_of(buf.len < self->file->in_len ? buf.len : self->file->in_len);
    size_t got = take_in(self->file, to, want);
    uint32_t flags = IORING_CQE_F_BUFFER | (uint32_t)buf.bid << IORING_CQE_BUFFER_SHIFT;
    if (self->file->in_len > 0)
        flags |= IORING_CQE_F_SOCK_NONEMPTY;
    if (is_multishot(self) && !chance(k.opts.drop_more)) {
        post(self->sqe.user_data, (int32_t)got, flags | IORING_CQE_F_MORE);
        return;
    }
    k.counts.dropped_more += is_multishot(self);
    finish(self, (int32_t)got, flags);
}

static size_t receive_iov(struct op *self, const struct iovec *iov, size_t n) {
    size_t total = 0;
    size_t left = short_of(self->file->in_len);
    for (size_t i = 0; i < n && left > 0; i++) {
        size_t got =
            take_in(self->file, iov[i].iov_base, iov[i].iov_len < left ? iov[i].iov_len : left);
        total += got;
        left -= got;
    }
    return total;
}

static bool try_receive(struct op *self) {
    struct file *file = self->file;
    const struct io_uring_sqe *sqe = &self->sqe;
    if (file->reset || file->in_len == 0 || file->receive_off) {
        int32_t end = receive_end(file);
        if (end <= 0)
            finish(self, end, 0);
        return end <= 0;
    }
    if (sqe->flags & IOSQE_BUFFER_SELECT) {
        receive_selected(self);
        return true;
    }
    const struct iovec one = {(void *)(uintptr_t)sqe->addr, sqe->len};
    const struct msghdr *msg = (const struct msghdr *)(uintptr_t)sqe->addr;
    size_t got = sqe->opcode == IORING_OP_RECVMSG ? receive_iov(self, msg->msg_iov, msg->msg_iovlen)
                                                  : receive_iov(self, &one, 1);
    finish(self, (int32_t)got, file->in_len > 0 ? IORING_CQE_F_SOCK_NONEMPTY : 0);
    return true;
}

static size_t send_iov(struct file *to, const struct iovec *iov, size_t n, size_t limit) {
    size_t total = 0;
    for (size_t i = 0; i < n && limit > 0; i++) {
        size_t len = iov[i].iov_len < limit ? iov[i].iov_len : limit;
        memcpy(to->in + to->in_len, iov[i].iov_base, len);
        to->in_len += len;
        total += len;
        limit -= len;
    }
    return total;
}

static bool try_send(struct op *self) {
    struct file *file = self->file;
    const struct io_uring_sqe *sqe = &self->sqe;
    if (file->reset || file->send_off || file->peer == NULL || file->peer->receive_off) {
        finish(self, file->reset ? -ECONNRESET : -EPIPE, 0);
        return true;
    }
    size_t room = k.opts.socket_room - file->peer->in_len;
    if (room == 0)
        return false;
    const struct iovec one = {(void *)(uintptr_t)sqe->addr, sqe->len};
    const struct msghdr *msg = (const struct msghdr *)(uintptr_t)sqe->addr;
    room = short_of(room);
    size_t sent = sqe->opcode == IORING_OP_SENDMSG
                      ? send_iov(file->peer, msg->msg_iov, msg->msg_iovlen, room)
                      : send_iov(file->peer, &one, 1, room);
    finish(self, (int32_t)sent, 0);
    return true;
}

/** The loop's own descriptor, which is a real one. */
static bool try_read(struct op *self) {
    struct pollfd poll_fd = {.fd = self->sqe.fd, .events = POLLIN};
    if (poll(&poll_fd, 1, 0) != 1)
        return false;
    ssize_t got = read(self->sqe.fd, (void *)(uintptr_t)self->sqe.addr, self->sqe.len);
    finish(self, got < 0 ? -errno : (int32_t)got, 0);
    return true;
}

static bool try_poll(struct op *self) {
    const struct file *file = self->file;
    unsigned events = self->sqe.poll32_events;
    unsigned ready = 0;
    if (file->in_len > 0 || receive_end(file) <= 0)
        ready |= POLLIN;
    if (file->peer == NULL || file->peer->in_len < k.opts.socket_room)
        ready |= POLLOUT;
    if ((ready & events) == 0)
        return false;
    finish(self, (int32_t)(ready & events), 0);
    return true;
}

static bool try_time_out(struct op *self) {
    if (k.now < self->due)
        return false;
    finish(self, -ETIME, 0);
    return true;
}

/** Completes it if that can be; false: it can't now. */
static bool try_op(struct op *self) {
    switch (self->sqe.opcode) {
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG: return try_receive(self);
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG: return try_send(self);
    case IORING_OP_READ: return try_read(self);
    case IORING_OP_POLL_ADD: return try_poll(self);
    case IORING_OP_TIMEOUT: return try_time_out(self);
    case IORING_OP_NOP: finish(self, 0, 0); return true;
    default: violated("an operation that the fake doesn't know");
    }
}

/** What is still pending may be written to. */
static void scribble(const struct op *self) {
    if (self->sqe.opcode == IORING_OP_RECV && !(self->sqe.flags & IOSQE_BUFFER_SELECT))
        memset((void *)(uintptr_t)self->sqe.addr, 0xdd, self->sqe.len);
}

/** Returns how many have completed. */
static unsigned try_all(bool all) {
    unsigned done = 0;
    for (struct op *op = k.ops, *next; op != NULL; op = next) {
        next = op->next;
        if (!all && chance(k.opts.late)) {
            scribble(op);
            continue;
        }
        done += try_op(op);
    }
    return done;
}

static struct op *find_op(uint64_t user_data) {
    for (struct op *op = k.ops; op != NULL; op = op->next)
        if (op->sqe.user_data == user_data)
            return op;
    return NULL;
}

static void cancel(const struct io_uring_sqe *sqe) {
    struct op *target = find_op(sqe->addr);
    k.counts.cancels++;
    if (target == NULL) {
        k.counts.not_found++;
        post(sqe->user_data, -ENOENT, 0);
        return;
    }
    if (target->no_answers < NO_ANSWERS && chance(k.opts.no_answer)) {
        target->no_answers++;
        bool already = below(2) == 0;
        k.counts.already += already;
        k.counts.not_found += !already;
        post(sqe->user_data, already ? -EALREADY : -ENOENT, 0);
        return;
    }
    bool first = below(2) == 0;
    if (first)
        post(sqe->user_data, 0, 0);
    if (chance(k.opts.race) && !is_multishot(target) && try_op(target)) {
        k.counts.raced++;
    } else {
        scribble(target);
        finish(target, -ECANCELED, 0);
    }
    if (!first)
        post(sqe->user_data, 0, 0);
}

static void remove_time_out(const struct io_uring_sqe *sqe) {
    struct op *target = find_op(sqe->addr);
    if (target != NULL)
        finish(target, -ECANCELED, 0);
    post(sqe->user_data, target != NULL ? 0 : -ENOENT, 0);
}

static void submit(const struct io_uring_sqe *sqe) {
    k.counts.operations++;
    if (sqe->opcode == IORING_OP_ASYNC_CANCEL) {
        cancel(sqe);
        return;
    }
    if (sqe->opcode == IORING_OP_TIMEOUT_REMOVE) {
        remove_time_out(sqe);
        return;
    }
    if (sqe->opcode == IORING_OP_CLOSE) {
        close(sqe->fd);
        post(sqe->user_data, 0, 0);
        return;
    }
    struct op *self = calloc(1, sizeof *self);
    self->sqe = *sqe;
    self->file =
        sqe->opcode == IORING_OP_TIMEOUT || sqe->opcode == IORING_OP_NOP ? NULL : file_of(sqe->fd);
    if (self->file != NULL)
        self->file->shares++;
    else if (sqe->opcode != IORING_OP_READ && sqe->opcode != IORING_OP_TIMEOUT &&
             sqe->opcode != IORING_OP_NOP)
        violated("an operation on a number that isn't open");
    if (sqe->opcode == IORING_OP_TIMEOUT) {
        const struct __kernel_timespec *ts = (const struct __kernel_timespec *)(uintptr_t)sqe->addr;
        self->due = k.now + ts->tv_sec * 1000000000 + ts->tv_nsec;
    }
    struct op **link = &k.ops;
    while (*link != NULL)
        link = &(*link)->next;
    *link = self;
    if (!chance(k.opts.late))
        try_op(self);
}

// --- The ring ------------------------------------------------------------------------------------

int io_uring_queue_init_params(unsigned entries, struct io_uring *ring, struct io_uring_params *p) {
    if (k.opts.old && (p->flags & IORING_SETUP_DEFER_TASKRUN))
        return -EINVAL;
    if (k.ring != NULL)
        violated("a second ring");
    unsigned cq_entries = (p->flags & IORING_SETUP_CQSIZE) != 0 ? p->cq_entries : 2 * entries;
    memset(ring, 0, sizeof *ring);
    unsigned *words = calloc(8, sizeof *words);
    ring->sq.khead = &words[0];
    ring->sq.ktail = &words[1];
    ring->sq.kflags = &words[2];
    ring->cq.khead = &words[3];
    ring->cq.ktail = &words[4];
    ring->cq.koverflow = &words[5];
    ring->cq.kflags = &words[6];
    ring->sq.array = calloc(entries, sizeof *ring->sq.array);
    ring->sq.sqes = calloc(entries, sizeof *ring->sq.sqes);
    ring->cq.cqes = calloc(cq_entries, sizeof *ring->cq.cqes);
    ring->sq.ring_entries = entries;
    ring->sq.ring_mask = entries - 1;
    ring->cq.ring_entries = cq_entries;
    ring->cq.ring_mask = cq_entries - 1;
    ring->flags = p->flags;
    ring->features =
        IORING_FEAT_NODROP | IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG;
    ring->ring_fd = ring->enter_ring_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (k.opts.cq_entries == 0 || k.opts.cq_entries > cq_entries)
        k.opts.cq_entries = cq_entries;
    k.ring = ring;
    return 0;
}

void io_uring_queue_exit(struct io_uring *ring) {
    if (k.ops != NULL || k.posted != NULL)
        violated("a ring is closed with operations under way");
    free(ring->sq.khead);
    free(ring->sq.array);
    free(ring->sq.sqes);
    free(ring->cq.cqes);
    close(ring->ring_fd);
    memset(k.buffers, 0, sizeof k.buffers);
    k.ring = NULL;
}

int io_uring_register_probe(struct io_uring *ring, struct io_uring_probe *probe, unsigned n) {
    (void)ring;
    probe->last_op = (uint8_t)(n - 1);
    probe->ops_len = (uint8_t)(n - 1);
    for (unsigned i = 0; i < n - 1; i++)
        probe->ops[i] =
            (struct io_uring_probe_op){.op = (uint8_t)i, .flags = IO_URING_OP_SUPPORTED};
    return 0;
}

int io_uring_register_buf_ring(struct io_uring *ring, struct io_uring_buf_reg *reg,
                               unsigned flags) {
    (void)ring;
    (void)flags;
    if (reg->bgid >= GROUPS_MAX || k.opts.old)
        return -EINVAL;
    k.buffers[reg->bgid] = (struct io_uring_buf_ring *)(uintptr_t)reg->ring_addr;
    k.buffer_mask[reg->bgid] = reg->ring_entries - 1;
    k.buffer_head[reg->bgid] = 0;
    return 0;
}

/** What enter says instead of doing anything; 0: nothing. */
static int refusal(unsigned to_submit) {
    if (k.refusals >= REFUSALS_IN_A_ROW || !chance(k.opts.refuse)) {
        k.refusals = 0;
        return 0;
    }
    static const int some[] = {EINTR, EAGAIN, ENOMEM, EBUSY};
    k.refusals++;
    k.counts.refused++;
    return some[below(to_submit > 0 ? 4 : 1)];
}

static int submit_some(unsigned to_submit) {
    struct io_uring_sq *sq = &k.ring->sq;
    unsigned head = *sq->khead;
    unsigned queued = io_uring_smp_load_acquire(sq->ktail) - head;
    if (to_submit > queued)
        violated("more is submitted than was queued");
    if (to_submit > 1 && chance(k.opts.partial)) {
        k.counts.partial++;
        to_submit = 1 + below(to_submit - 1);
    }
    for (unsigned i = 0; i < to_submit; i++) {
        struct io_uring_sqe sqe = sq->sqes[sq->array[(head + i) & sq->ring_mask] & sq->ring_mask];
        submit(&sqe);
        io_uring_smp_store_release(sq->khead, head + i + 1);
    }
    return (int)to_submit;
}

static int64_t next_due(void) {
    int64_t due = INT64_MAX;
    for (const struct op *op = k.ops; op != NULL; op = op->next)
        if (op->sqe.opcode == IORING_OP_TIMEOUT && op->due < due)
            due = op->due;
    return due;
}

static bool has_completions(void) {
    return *k.ring->cq.ktail != *k.ring->cq.khead;
}

/** Until there is a completion, or `until`. */
static int wait_until(int64_t until) {
    for (unsigned rounds = 0;; rounds++) {
        try_all(/* all= */ rounds > 0);
        show_posted();
        if (has_completions())
            return 0;
        if (rounds == 0)
            continue;
        int64_t due = next_due();
        if (due == INT64_MAX && until == INT64_MAX)
            violated("the loop waits for ever");
        if (until <= due) {
            k.now = until > k.now ? until : k.now;
            return -ETIME;
        }
        k.now = due > k.now ? due : k.now;
    }
}

int io_uring_enter2(unsigned fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                    sigset_t *sig, size_t size) {
    (void)fd;
    (void)size;
    k.counts.enters++;
    k.now += 1000;
    int refused = refusal(to_submit);
    if (refused != 0)
        return -refused;
    if (k.posted != NULL && cq_room() == 0)
        return -EBUSY;
    unsigned wanted = to_submit;
    int taken = submit_some(to_submit);
    const struct io_uring_getevents_arg *arg =
        (flags & IORING_ENTER_EXT_ARG) != 0 ? (const void *)sig : NULL;
    const struct __kernel_timespec *ts = arg == NULL ? NULL : (const void *)(uintptr_t)arg->ts;
    int64_t until = ts == NULL ? INT64_MAX : k.now + ts->tv_sec * 1000000000 + ts->tv_nsec;
    if (min_complete > 0 && (unsigned)taken == wanted && !has_completions()) {
        int rc = wait_until(until);
        return taken > 0 ? taken : rc;
    }
    try_all(/* all= */ false);
    show_posted();
    return taken;
}

// --- Beginning and end ---------------------------------------------------------------------------

void fake_begin(const struct fake_opts *opts) {
    memset(&k, 0, sizeof k);
    k.opts = *opts;
    k.random = opts->seed;
    k.now = 1000000000;
    k.on = true;
}

void fake_end(struct fake_counts *out) {
    if (k.ring != NULL)
        violated("a ring is left");
    if (k.files_alive > 0)
        violated("a socket is left");
    k.on = false;
    *out = k.counts;
}
