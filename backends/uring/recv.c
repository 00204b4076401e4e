// SPDX-License-Identifier: ISC

// Theory. A connection's bytes come in one of two ways:
//
//   single-shot   each read is an operation of its fiber: into the caller's buffer, or, for a loan,
//                 into a buffer that the kernel picks from the pool when bytes have come.
//   armed         one multishot receive, which belongs to the connection's engine, puts what comes
//                 into buffers of the pool. Reads take from those, and wait for the engine.
//
// A connection starts single-shot, since many are read once or twice only, and is armed when it is
// read for the third time; by a copy, which reads to the end, at once. Large reads into the caller's
// own memory stay single-shot: to copy them costs more than to ask for each. So do all reads of what
// is O_NONBLOCK where the kernel doesn't wait by itself then (6.18 does). A receive that is armed goes
// on by itself, so:
//
//   It runs ahead of the readers by HELD_MAX buffers, by one when the pool is low. Then it is
//   cancelled, and what came until its last completion is kept; the next read that finds nothing
//   arms it again. Nothing ever waits for a buffer: a receive that finds none ends (ENOBUFS), and the
//   pool grows; once it can't, that read is done into memory of its own.
//   What is held is read before anything else: before the end or error that came after it, also
//   when the descriptor was taken out (eio_fd_remove), which nothing held goes with. Only a close
//   forgets it.
//   A reader that waits for the engine isn't known to the kernel, nor listed with the descriptor: a
//   close finds it through the engine, as it finds a write (send.c). So the frame of the usual read
//   has little in it. When it is cancelled it leaves at once, and the bytes stay for the next. It is
//   given its buffer at the moment when that comes: neither a cancel nor a close takes it away again.
//   When the engine ends without bytes, the read goes on as one that may be single-shot (`struct
//   reading`), with the share that it has: a descriptor that is being taken out waits for it.
//
// The record is made by the first loan or the first arming. It lives until its descriptor's memory
// is gone and the kernel has said its last word. What is armed has a share of the descriptor, but
// a close needs no number any more once the kernel has taken the entry: then the share goes at once,
// and the kernel's own reference with the cancel request, so that the peer sees the close.
//
// Whoever takes a held buffer without suspending yields after STREAK_MAX times in a row.
//
// Who copies waits for bytes, and then for their write, and then for the next bytes, with nothing to do
// in between but to have one loan and to give it back. `pass` does that where the completions are
// taken: the engine's bytes are lent to the fiber, which sleeps on, and their write is started; the
// write's completion gives the loan back, and makes the fiber the engine's reader again. So a message
// that is copied resumes nobody. Whatever else a write or the engine comes to wakes the fiber at once.
// While a write is under way a cancel, or a close of where it goes, is the operation's; after it, a
// cancel, or a close of where the bytes come from, is the reader's. What wakes it then is not yet a
// loan: after a cancel the next reader has it, after a close it is forgotten with the rest. Who takes
// the descriptor out ends the copy, too, when that waits for bytes: those are in the descriptor then.

#include "backends/uring/recv.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "backends/unix/splice.h"
#include "backends/uring/run.h"
#include "backends/uring/send.h"
#include "backends/uring/state.h"
#include "eio/fiber.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"

enum {
    HELD_MAX = 4,       // buffers that nobody has asked for
    STREAK_MAX = 16,    // reads that find something, in a row
    LARGE_BYTES = 4096, // not worth to be copied
};
#define NOTHING_YET INT32_MIN

struct reader;

struct recv {
    struct eioi_fd_engine engine;
    struct eioi_op op; // the armed receive
    struct eioi_uring *uring;
    eio_fd *fd;                    // NULL: its memory is gone
    struct reader *reader;         // waits for what is armed
    struct eioi_op *writer;        // a write that a close is to end; NULL: none
    struct eioi_list disarm_waits; // eioi_waiter.node: wait for the end of what is armed
    uint8_t *own;                  // memory of its own instead of a buffer of the pool; NULL: none
    uint16_t own_start, own_end;   // of the bytes in it that nobody has used yet
    uint16_t first, last;          // queue of held buffers of the pool
    uint16_t held;                 // their number
    uint16_t lent;                 // buffer that is lent; EIOI_POOL_NONE: none
    int32_t end;                   // what comes after the held bytes: 0 or -errno; NOTHING_YET
    uint8_t streak;                // reads that found something, in a row
    bool own_lent;                 // `own` is lent
    bool armed;                    // `op` isn't done
    bool share;                    // and has a share of the descriptor
    bool starved; // the pool had no buffer for it: the next read has memory of its own
    bool closed;  // what comes is forgotten
};

/** Who waits for the engine; in his frame. */
struct reader {
    struct eioi_waiter waiter;
    struct recv *recv; // the engine
    int32_t res;       // the result; NOTHING_YET
    uint16_t id;       // the buffer that it got, if `res` > 0
    bool passes;       // it's a pass's: bytes needn't wake it
};

/** A read that may be single-shot; in its fiber's frame. */
struct reading {
    struct reader reader; // its engine is NULL while there is none
    struct eioi_run run;
    eio_buf buf; // where a single-shot read goes; empty: to a buffer of the pool
};

static const struct eioi_fd_engine_ops recv_engine_ops;

static struct recv *of_fd(const eio_fd *fd) {
    return (struct recv *)(void *)fd->engine; // its first member
}

static struct recv *of_engine(struct eioi_fd_engine *engine) {
    return EIOI_CONTAINER_OF(engine, struct recv, engine);
}

static struct recv *of_op(struct eioi_op *op) {
    return EIOI_CONTAINER_OF(op, struct recv, op);
}

static eio_err *create(struct eioi_uring *uring, eio_fd *fd) {
    struct recv *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    self->engine.ops = &recv_engine_ops;
    self->uring = uring;
    self->fd = fd;
    self->first = self->lent = EIOI_POOL_NONE;
    self->end = NOTHING_YET;
    eioi_list_init(&self->disarm_waits);
    fd->engine = &self->engine;
    return NULL;
}

// What is held

static bool has_bytes(const struct recv *self) {
    return (self->own != NULL && !self->own_lent) || self->first != EIOI_POOL_NONE;
}

static void push(struct recv *self, uint16_t id) {
    struct eioi_pool_buf *bufs = self->uring->pool.bufs;
    if (self->first == EIOI_POOL_NONE)
        self->first = id;
    else
        bufs[self->last].next = id;
    self->last = id;
    self->held++;
}

static void push_front(struct recv *self, uint16_t id) {
    struct eioi_pool_buf *bufs = self->uring->pool.bufs;
    bufs[id].next = self->first;
    if (self->first == EIOI_POOL_NONE)
        self->last = id;
    self->first = id;
    self->held++;
}

static uint16_t pop(struct recv *self) {
    struct eioi_pool_buf *bufs = self->uring->pool.bufs;
    uint16_t id = self->first;
    self->first = bufs[id].next;
    bufs[id].next = EIOI_POOL_NONE;
    self->held--;
    return id;
}

static void free_own(struct recv *self) {
    eioi_free(self->own);
    self->own = NULL;
    self->own_lent = false;
}

static void forget_held(struct recv *self) {
    if (!self->own_lent)
        free_own(self);
    while (self->first != EIOI_POOL_NONE)
        eioi_pool_give(&self->uring->pool, pop(self));
    self->end = NOTHING_YET;
}

/** Some bytes of buffer `id` were used; the rest comes first. */
static void use(struct recv *self, uint16_t id, size_t used) {
    struct eioi_pool_buf *buf = &self->uring->pool.bufs[id];
    buf->start = (uint16_t)(buf->start + used);
    if (buf->start == buf->end || self->closed)
        eioi_pool_give(&self->uring->pool, id);
    else
        push_front(self, id);
}

static void use_own(struct recv *self, size_t used) {
    self->own_lent = false;
    self->own_start = (uint16_t)(self->own_start + used);
    if (self->own_start == self->own_end || self->closed)
        free_own(self);
}

static eio_slice own_bytes(const struct recv *self) {
    return eio_slice_of(self->own + self->own_start, (size_t)(self->own_end - self->own_start));
}

/** Lends the first of what is held. */
static eio_slice lend_held(struct recv *self) {
    eio_slice bytes;
    if (self->own != NULL) {
        self->own_lent = true;
        bytes = own_bytes(self);
    } else {
        self->lent = pop(self);
        bytes = eioi_pool_bytes(&self->uring->pool, self->lent);
    }
    bytes.len = EIOI_LIMIT(short_read, bytes.len);
    return bytes;
}

static size_t copy_slice(eio_buf *to, eio_slice from) {
    size_t len = from.len < to->len ? from.len : to->len;
    memcpy(to->base, from.base, len);
    *to = eio_buf_of(to->base + len, to->len - len);
    return len;
}

/** As much as is held and fits; returns how much. */
static size_t copy_held(struct recv *self, eio_buf buf) {
    size_t room = buf.len;
    if (self->own != NULL)
        use_own(self, copy_slice(&buf, own_bytes(self)));
    while (buf.len > 0 && self->first != EIOI_POOL_NONE) {
        uint16_t id = pop(self);
        use(self, id, copy_slice(&buf, eioi_pool_bytes(&self->uring->pool, id)));
    }
    return room - buf.len;
}

/** What the kernel says of the socket when it has given some of its bytes. */
static void note_drained(eio_fd *fd, uint32_t flags) {
    fd->drained = (flags & IORING_CQE_F_SOCK_NONEMPTY) == 0;
}

// What is armed

static unsigned held_max(const struct recv *self) {
    return eioi_pool_low(&self->uring->pool) ? 1 : HELD_MAX;
}

/** A completion has come, with bytes or without. */
static void came(struct recv *self, int32_t res, uint32_t flags) {
    if ((flags & IORING_CQE_F_BUFFER) == 0)
        return;
    uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
    eioi_pool_take(&self->uring->pool, id, res > 0 ? (size_t)res : 0);
    if (res > 0 && !self->closed)
        push(self, id);
    else
        eioi_pool_give(&self->uring->pool, id);
}

static bool pass_next(struct reader *reader);

/** The reader gets what there is; `last`: it is told, too, when there is nothing. */
static void serve_reader(struct recv *self, bool last) {
    struct reader *reader = self->reader;
    if (reader == NULL)
        return;
    if (self->first != EIOI_POOL_NONE) {
        reader->id = pop(self);
        reader->res = 1;
        if (reader->passes && pass_next(reader))
            return;
    } else if (self->end != NOTHING_YET) {
        reader->res = self->end;
        self->end = NOTHING_YET;
    } else if (!last) {
        return;
    }
    self->reader = NULL;
    eioi_wake(&reader->waiter, NULL);
}

/** The reader, who is about to go on, will want it: the descriptor, and what stands behind that. */
static inline void prefetch_flow(const eio_fd *fd) {
    __builtin_prefetch(fd, 1);
    __builtin_prefetch((const char *)fd + 64, 1);
}

static void armed_more(struct eioi_op *op, int32_t res, uint32_t flags) {
    struct recv *self = of_op(op);
    if (self->fd != NULL)
        prefetch_flow(self->fd);
    came(self, res, flags);
    serve_reader(self, /* last= */ false);
    if (self->held >= held_max(self))
        eioi_op_cancel(op);
}

/** Why the armed receive has ended. */
static void note_end(struct recv *self, int32_t res) {
    switch (-res) {
    case ECANCELED:
    case EINTR:
    case EAGAIN: break;
    case ENOBUFS: self->starved = !eioi_pool_grow(&self->uring->pool); break;
    case EINVAL: // the kernel doesn't know it
        self->uring->no_multishot = true;
        break;
    default: // the end, or an error
        if (res <= 0 && !self->closed)
            self->end = res;
        break;
    }
}

static void destroy(struct recv *self) {
    if (self->lent != EIOI_POOL_NONE)
        eioi_pool_give(&self->uring->pool, self->lent);
    self->own_lent = false;
    forget_held(self);
    eioi_free(self);
}

static void give_share_back(struct recv *self) {
    self->share = false;
    eioi_fd_unhold(self->fd); // with it the descriptor and this record may go
}

static void armed_done(struct eioi_op *op) {
    struct recv *self = of_op(op);
    self->armed = false;
    came(self, op->res, op->flags);
    note_end(self, op->res);
    if (op->res == -EAGAIN && self->fd != NULL)
        self->fd->reads = EIOI_FD_READ_SINGLY; // the kernel doesn't wait by itself
    serve_reader(self, /* last= */ true);
    struct eioi_list *it;
    while ((it = eioi_list_pop_head(&self->disarm_waits)) != NULL)
        eioi_wake(EIOI_CONTAINER_OF(it, struct eioi_waiter, node), NULL);
    if (self->fd == NULL)
        destroy(self);
    else if (self->share)
        give_share_back(self);
}

static const struct eioi_op_owner armed_owner = {.done = armed_done, .more = armed_more};

static void prepare_armed(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const eio_fd *fd = of_op(op)->fd;
    io_uring_prep_recv_multishot(sqe, fd->fd, NULL, 0, 0);
    // Without POLL_FIRST: by it the kernel (6.18) overlooks an end that has come with the bytes.
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = EIOI_POOL_GROUP;
}

static bool may_arm(const struct eioi_uring *uring, const eio_fd *fd) {
    return eioi_pool_exists(&uring->pool) && !uring->no_multishot && fd->reads == EIOI_FD_READ_ON &&
           fd->raw_users == 0;
}

/** Arms it unless it is; the caller has a share of the descriptor, which is open or closing. */
static void arm(struct recv *self) {
    int number;
    if (self->armed)
        return;
    eio_err *err = eioi_fd_hold(self->fd, "readv", &number);
    if (err != NULL) { // it closes; so will the caller find
        eio_err_drop(err);
        return;
    }
    const struct eioi_op_spec spec = {
        .prepare = prepare_armed, .what = "bytes to come", .fault = "cqe_recv", .fd = number};
    self->armed = self->share = true;
    eioi_op_start(&self->op, self->uring, &armed_owner, &spec);
}

// Who waits for it

static void leave_engine(struct reader *self, eio_err *err) {
    EIO_ASSERT(self->recv->reader == self, "a reader waits for its engine");
    self->recv->reader = NULL;
    eioi_wake(&self->waiter, err);
}

static void cancel_reader(struct eioi_waiter *w, eio_err *reason) {
    leave_engine(EIOI_CONTAINER_OF(w, struct reader, waiter), eio_err_ref(reason));
}

/** `self` waits for `recv` from now on. */
static inline void join_engine(struct reader *self, struct recv *recv) {
    EIO_ASSERT(recv->reader == NULL, "one fiber reads at a time");
    recv->reader = self;
    recv->streak = 0;
    self->waiter.what = "bytes to come";
    self->waiter.what_arg = recv->fd->fd;
}

/** Suspends. `res` is NOTHING_YET if the engine has ended without anything to read. */
static inline eio_err *wait_for_engine(struct reader *self) {
    eioi_waiter_init(&self->waiter, "bytes to come");
    join_engine(self, self->recv);
    return eioi_wait(&self->waiter, cancel_reader);
}

// The engine, for the descriptor

static void recv_disarm(struct eioi_fd_engine *engine) {
    struct recv *self = of_engine(engine);
    if (self->armed)
        eioi_op_cancel(&self->op);
}

static void recv_await_disarmed(struct eioi_fd_engine *engine) {
    struct recv *self = of_engine(engine);
    struct eioi_waiter w;
    recv_disarm(engine);
    if (!self->armed)
        return;
    eioi_waiter_init(&w, "a receive to end");
    eioi_list_push_tail(&self->disarm_waits, &w.node);
    eio_err_drop(eioi_wait(&w, NULL));
}

static bool recv_holds(const struct eioi_fd_engine *engine) {
    return has_bytes((const struct recv *)(const void *)engine); // its first member
}

static void recv_close(struct eioi_fd_engine *engine) {
    struct recv *self = of_engine(engine);
    if (self->closed)
        return;
    self->closed = true;
    if (self->reader != NULL) // it isn't listed
        leave_engine(self->reader, NULL);
    if (self->writer != NULL)
        eioi_op_cancel(self->writer);
    forget_held(self);
    recv_disarm(engine);
    if (!self->armed)
        return;
    // The number is wanted until the kernel has taken the entry. A peer that may want to know of the
    // close at once, does so when the kernel has dropped the receive.
    if (!(self->fd->flags & EIOI_FD_LINGER_CLOSE) || !eioi_op_is_submitted(&self->op))
        eioi_uring_flush(self->uring);
    if (self->armed && self->share && eioi_op_is_submitted(&self->op) && !self->fd->removing)
        give_share_back(self);
}

static void recv_orphan(struct eioi_fd_engine *engine) {
    struct recv *self = of_engine(engine);
    self->fd = NULL;
    self->closed = true;
    if (!self->armed)
        destroy(self);
}

static const struct eioi_fd_engine_ops recv_engine_ops = {
    .close = recv_close,
    .disarm = recv_disarm,
    .await_disarmed = recv_await_disarmed,
    .holds = recv_holds,
    .orphan = recv_orphan,
};

// Reading

static struct reading *reading_of(struct eioi_op *op) {
    return EIOI_CONTAINER_OF(op, struct reading, run.op.op);
}

static void reading_closed(struct eioi_inflight *inflight) {
    struct reading *self = EIOI_CONTAINER_OF(inflight, struct reading, run.inflight);
    if (self->reader.recv != NULL && self->reader.recv->reader == &self->reader)
        leave_engine(&self->reader, NULL);
    else
        eioi_op_cancel(&self->run.op.op);
}

static void prepare(struct reading *self, struct eioi_uring *uring, eio_fd *fd) {
    self->reader.recv = of_fd(fd);
    self->reader.res = NOTHING_YET;
    self->reader.passes = false;
    self->buf = eio_buf_of(NULL, 0);
    self->run.poll_events = POLLIN;
    self->run.op.op.state = EIOI_OP_DONE;
    eioi_run_prepare(&self->run, uring, fd, "readv", EIOI_FD_READS, reading_closed);
}

/** `with_share`: the caller has one for it, which is its own from now on. */
static eio_err *begin(struct reading *self, struct eioi_uring *uring, eio_fd *fd, bool with_share) {
    prepare(self, uring, fd);
    if (!with_share)
        return eioi_fd_enter(fd, "readv", &self->run.inflight);
    eioi_fd_stay(fd, &self->run.inflight);
    return NULL;
}

static eio_err *wait_in_reading(struct reading *self) {
    EIO_TRY(wait_for_engine(&self->reader));
    return self->reader.res == NOTHING_YET ? eioi_run_reason_to_stop(&self->run) : NULL;
}

static void prepare_once(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const struct reading *self = reading_of(op);
    const eio_fd *fd = self->run.fd;
    io_uring_prep_recv(sqe, fd->fd, self->buf.base, self->buf.len, 0);
    if (self->buf.base == NULL) {
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = EIOI_POOL_GROUP;
    }
    if (fd->drained)
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
}

/** Single-shot, into `buf`. */
static eio_err *receive_once(struct reading *self) {
    eio_fd *fd = self->run.fd;
    const struct eioi_op_spec spec = {
        .prepare = prepare_once, .what = "readv", .fault = "cqe_read", .fd = fd->fd};
    EIO_TRY(eioi_run_op(&self->run, &spec, &self->reader.res));
    note_drained(fd, self->run.op.op.flags);
    return NULL;
}

// Loans

static eio_err *lend_from_pool(struct reading *self) {
    struct recv *recv = self->reader.recv;
    struct eioi_pool *pool = &recv->uring->pool;
    eio_err *err = receive_once(self);
    const struct eioi_op *op = &self->run.op.op;
    bool has_buffer = (op->flags & IORING_CQE_F_BUFFER) != 0;
    uint16_t id = (uint16_t)(op->flags >> IORING_CQE_BUFFER_SHIFT);
    if (has_buffer)
        eioi_pool_take(pool, id, op->res > 0 ? (size_t)op->res : 0);
    if (err == NULL && self->reader.res > 0) {
        EIO_ASSERT(has_buffer, "bytes have come in a buffer of the pool");
        self->reader.id = id; // a close that came meanwhile doesn't take it away
        return NULL;
    }
    if (has_buffer)
        eioi_pool_give(pool, id);
    EIO_TRY(err);
    if (self->reader.res == -ENOBUFS) {
        recv->starved = !eioi_pool_grow(pool);
        self->reader.res = NOTHING_YET;
    }
    return NULL;
}

/** Without the pool. */
static eio_err *lend_own(struct reading *self) {
    struct recv *recv = self->reader.recv;
    uint8_t *own = eioi_alloc(EIOI_POOL_BUF_BYTES);
    if (own == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    self->buf = eio_buf_of(own, EIOI_POOL_BUF_BYTES);
    eio_err *err = receive_once(self);
    recv->starved = false;
    if (err != NULL || self->reader.res <= 0) {
        eioi_free(own);
        return err;
    }
    recv->own = own;
    recv->own_start = 0;
    recv->own_end = (uint16_t)self->reader.res;
    self->reader.id = EIOI_POOL_NONE;
    return NULL;
}

/** Until there is a result. */
static eio_err *receive_to_lend(struct reading *self) {
    struct recv *recv = self->reader.recv;
    eio_fd *fd = self->run.fd;
    while (self->reader.res == NOTHING_YET) {
        if (!recv->starved && may_arm(self->run.uring, fd))
            arm(recv);
        if (recv->armed)
            EIO_TRY(wait_in_reading(self));
        else if (eioi_pool_exists(&self->run.uring->pool) && !recv->starved)
            EIO_TRY(lend_from_pool(self));
        else
            EIO_TRY(lend_own(self));
    }
    return NULL;
}

/** What a reader got. */
static eio_slice lend_received(const struct reader *self) {
    struct recv *recv = self->recv;
    if (self->id == EIOI_POOL_NONE)
        return lend_held(recv);
    recv->lent = self->id;
    eio_slice bytes = eioi_pool_bytes(&recv->uring->pool, recv->lent);
    bytes.len = EIOI_LIMIT(short_read, bytes.len);
    return bytes;
}

/** Whether what is held is had at once: not too often in a row. */
static bool may_take_held(struct recv *self, const eio_fd *fd) {
    if (self == NULL || (!has_bytes(self) && self->end == NOTHING_YET))
        return false;
    return ++self->streak <= STREAK_MAX || fd->closing;
}

/**
 * While the descriptor is being taken out, what is armed may still bring bytes: those are read before
 * the flow says that it is closed.
 */
static void await_last_bytes(struct recv *self, const eio_fd *fd) {
    if (self != NULL && self->armed && fd->closing && !self->closed && !has_bytes(self))
        recv_await_disarmed(&self->engine);
}

/** After too many reads that didn't suspend. */
static eio_err *take_turn(struct reading *self) {
    self->reader.recv->streak = 0;
    EIO_TRY(eio_fiber_yield());
    return self->run.inflight.closed ? eioi_err_closed(self->run.name) : NULL;
}

static int32_t take_end(struct recv *self) {
    int32_t end = self->end;
    self->end = NOTHING_YET;
    return end;
}

static void count_read(eio_fd *fd, bool worth) {
    if (fd->reads == EIOI_FD_READ_SINGLY)
        return;
    if (!worth)
        fd->reads = 0;
    else if (fd->reads < EIOI_FD_READ_ON)
        fd->reads++;
}

/** Whether a read finds nothing. */
static inline bool has_nothing(const struct recv *self) {
    return !has_bytes(self) && self->end == NOTHING_YET;
}

/** Whether the next bytes are the engine's, and there is nothing to do but to wait for them. */
static inline bool is_quiet(const struct recv *self, const eio_fd *fd) {
    return self != NULL && self->armed && has_nothing(self) && !fd->closing;
}

/** Waits for the engine; as long as that lasts, the caller has a share. */
static inline eio_err *await_bytes(struct reader *self, struct recv *recv, eio_fd *fd) {
    self->recv = recv;
    self->res = NOTHING_YET;
    self->passes = false;
    EIO_TRY(eioi_fd_begin(fd, "readv", EIOI_FD_READS));
    eio_err *err = wait_for_engine(self);
    if (__builtin_expect(err == NULL && self->res == NOTHING_YET, 0)) {
        err = eio_fiber_check();
        if (err == NULL && fd->interrupted)
            err = eioi_err_closed("readv");
    }
    if (__builtin_expect(err != NULL, 0))
        eioi_fd_end(fd, EIOI_FD_READS);
    return err;
}

/** Of a flow that there isn't any more nothing is lent. */
static inline eio_err *check_orphan(const eio_fd *fd) {
    return __builtin_expect(fd->orphan, 0) ? eioi_err_closed("readv") : NULL;
}

/**
 * With all that may be needed. `with_share`: the caller has one for it. Never inlined: mostly this
 * large frame isn't needed.
 */
static __attribute__((noinline)) eio_err *lend_any(struct eioi_uring *uring, eio_fd *fd,
                                                   bool with_share, eio_slice *out) {
    struct reading self;
    EIO_TRY(begin(&self, uring, fd, with_share));
    eio_err *err = self.reader.recv == NULL ? create(uring, fd) : NULL;
    struct recv *recv = self.reader.recv = of_fd(fd);
    if (err == NULL && recv->streak > STREAK_MAX)
        err = take_turn(&self);
    if (err == NULL && has_bytes(recv)) {
        *out = lend_held(recv);
        self.reader.res = 1;
    } else if (err == NULL && recv->end != NOTHING_YET) {
        self.reader.res = take_end(recv);
    } else if (err == NULL) {
        err = receive_to_lend(&self);
        if (err == NULL && self.reader.res > 0)
            *out = lend_received(&self.reader);
    }
    count_read(fd, /* worth= */ true);
    if (err == NULL)
        err = check_orphan(fd);
    eioi_run_end(&self.run);
    return err != NULL || self.reader.res > 0 ? err : eioi_io_nothing_read(self.reader.res);
}

eio_err *eioi_recv_lend(void *backend, eio_fd *fd, eio_slice *out) {
    struct recv *recv = of_fd(fd);
    struct reader reader;
    EIO_TRY(eio_fiber_check());
    await_last_bytes(recv, fd);
    if (may_take_held(recv, fd)) {
        if (!has_bytes(recv))
            return eioi_io_nothing_read(take_end(recv));
        *out = lend_held(recv);
        return NULL;
    }
    if (!is_quiet(recv, fd))
        return lend_any(backend, fd, /* with_share= */ false, out);
    EIO_TRY(await_bytes(&reader, recv, fd));
    if (__builtin_expect(reader.res == NOTHING_YET, 0))
        return lend_any(backend, fd, /* with_share= */ true, out);
    if (reader.res > 0)
        *out = lend_received(&reader);
    eio_err *err = check_orphan(fd);
    eioi_fd_end(fd, EIOI_FD_READS);
    return err != NULL || reader.res > 0 ? err : eioi_io_nothing_read(reader.res);
}

void eioi_recv_release(void *backend, eio_fd *fd, size_t used) {
    struct recv *self = of_fd(fd);
    (void)backend;
    if (self->own_lent) {
        EIO_ASSERT(used <= own_bytes(self).len, "release of more than was lent");
        use_own(self, used);
        return;
    }
    uint16_t id = self->lent;
    EIO_ASSERT(id != EIOI_POOL_NONE, "release without a loan");
    EIO_ASSERT(used <= eioi_pool_bytes(&self->uring->pool, id).len,
               "release of more than was lent");
    self->lent = EIOI_POOL_NONE;
    use(self, id, used);
}

// Reads into the caller's memory

/** So much at once that asking for each read is cheaper than copying it. */
static void consider_bulk(struct recv *self, eio_fd *fd, size_t got) {
    if (got < EIOI_POOL_BUF_BYTES)
        return;
    count_read(fd, /* worth= */ false);
    recv_disarm(&self->engine);
}

static int32_t copy_now(struct recv *self, eio_fd *fd, eio_buf buf) {
    size_t got = copy_held(self, buf);
    consider_bulk(self, fd, got);
    return (int32_t)got;
}

/** What the engine gave to the reader. */
static int32_t copy_received(const struct reader *self, eio_fd *fd, eio_buf buf) {
    push_front(self->recv, self->id);
    return copy_now(self->recv, fd, buf);
}

/** Whether the next bytes come from the engine, which is armed then. */
static bool is_armed(struct reading *self) {
    struct eioi_uring *uring = self->run.uring;
    eio_fd *fd = self->run.fd;
    if (self->reader.recv != NULL && self->reader.recv->armed)
        return true;
    if (!may_arm(uring, fd))
        return false;
    if (self->reader.recv == NULL) {
        eio_err_drop(create(uring, fd)); // for want of memory: single-shot
        self->reader.recv = of_fd(fd);
    }
    if (self->reader.recv == NULL || self->reader.recv->starved)
        return false;
    arm(self->reader.recv);
    return self->reader.recv->armed;
}

static eio_err *receive_to_copy(struct reading *self, eio_buf buf) {
    while (self->reader.res == NOTHING_YET) {
        if (is_armed(self)) {
            EIO_TRY(wait_in_reading(self));
            if (self->reader.res > 0)
                self->reader.res = copy_received(&self->reader, self->run.fd, buf);
            continue;
        }
        self->buf = buf;
        EIO_TRY(receive_once(self));
        count_read(self->run.fd, self->reader.res < LARGE_BYTES);
        if (self->reader.recv != NULL)
            self->reader.recv->starved = false;
    }
    return NULL;
}

/** What a read has come to. */
static inline eio_err *got(int32_t res, size_t *out_got) {
    if (__builtin_expect(res <= 0, 0))
        return eioi_io_nothing_read(res);
    *out_got = (size_t)res;
    return NULL;
}

/** As lend_any. */
static __attribute__((noinline)) eio_err *read_any(struct eioi_uring *uring, eio_fd *fd,
                                                   bool with_share, eio_buf buf, size_t *out_got) {
    struct reading self;
    EIO_TRY(begin(&self, uring, fd, with_share));
    struct recv *recv = self.reader.recv;
    eio_err *err = recv != NULL && recv->streak > STREAK_MAX ? take_turn(&self) : NULL;
    if (err == NULL && recv != NULL && has_bytes(recv))
        self.reader.res = copy_now(recv, fd, buf);
    else if (err == NULL && recv != NULL && recv->end != NOTHING_YET)
        self.reader.res = take_end(recv);
    else if (err == NULL)
        err = receive_to_copy(&self, buf);
    eioi_run_end(&self.run);
    return err != NULL ? err : got(self.reader.res, out_got);
}

eio_err *eioi_recv(void *backend, eio_fd *fd, eio_buf buf, size_t *out_got) {
    struct recv *recv = of_fd(fd);
    struct reader reader;
    int32_t res;
    EIO_TRY(eio_fiber_check());
    buf.len = EIOI_LIMIT(short_read, buf.len < EIOI_IO_LEN_MAX ? buf.len : EIOI_IO_LEN_MAX);
    await_last_bytes(recv, fd);
    if (may_take_held(recv, fd)) {
        res = has_bytes(recv) ? copy_now(recv, fd, buf) : take_end(recv);
        return got(res, out_got);
    }
    if (!is_quiet(recv, fd))
        return read_any(backend, fd, /* with_share= */ false, buf, out_got);
    EIO_TRY(await_bytes(&reader, recv, fd));
    if (__builtin_expect(reader.res == NOTHING_YET, 0))
        return read_any(backend, fd, /* with_share= */ true, buf, out_got);
    res = reader.res > 0 ? copy_received(&reader, fd, buf) : reader.res;
    eioi_fd_end(fd, EIOI_FD_READS);
    return got(res, out_got);
}

struct eioi_op **eioi_recv_writer(const eio_fd *fd) {
    struct recv *self = of_fd(fd);
    return self == NULL ? NULL : &self->writer;
}

// Passing on

/** Waits for bytes, and their writes by turns; in the frame of the fiber that copies. */
struct pass {
    struct reader reader; // of the source; its waiter is what the fiber waits on, all the time
    struct eioi_op send;
    struct eioi_inflight out; // of the sink, while `sending`
    eio_fd *to;
    eio_slice loan;
    bool sending;            // `send` isn't done
    bool stop;               // it was asked to end, so that nothing is waited for after it
    bool ended;              // the loan was given back
    bool another;            // it isn't the one that the caller had; there may be none
    struct eioi_inflight in; // of the source
    eio_fd *from;
};

static struct pass *pass_of_send(struct eioi_op *op) {
    return EIOI_CONTAINER_OF(op, struct pass, send);
}

static struct pass *pass_of_reader(struct reader *reader) {
    return EIOI_CONTAINER_OF(reader, struct pass, reader);
}

static void prepare_send(struct eioi_op *op, struct io_uring_sqe *sqe) {
    const struct pass *self = pass_of_send(op);
    eioi_send_prepare(sqe, self->to, self->loan);
}

static void start_send(struct pass *self);

/** Bytes have come while the fiber sleeps: they are lent, and on their way. False: it must see to it. */
static bool pass_next(struct reader *reader) {
    struct pass *self = pass_of_reader(reader);
    struct recv *recv = reader->recv;
    const eio_fd *to = self->to;
    const eio_slice bytes = eioi_pool_bytes(&recv->uring->pool, reader->id);
    if (to->closing || to->writing || eioi_splice_is_much(recv->fd, bytes))
        return false;
    EIO_ASSERT(recv->lent == EIOI_POOL_NONE, "one loan at a time");
    recv->reader = NULL;
    recv->lent = reader->id;
    reader->res = NOTHING_YET;
    self->loan = bytes;
    self->ended = false;
    self->another = true;
    eio_err_drop(eioi_fd_enter(self->to, "writev", &self->out)); // it isn't closed
    start_send(self);
    return true;
}

/** The loan was written: the fiber goes on sleeping, until there is something to read. */
static bool wait_on(struct pass *self) {
    struct recv *recv = self->reader.recv;
    eioi_recv_release(recv->uring, self->from, self->loan.len);
    self->ended = true;
    if (self->stop || self->in.closed || !recv->armed || has_bytes(recv) ||
        recv->end != NOTHING_YET)
        return false;
    join_engine(&self->reader, recv);
    return true;
}

static void send_done(struct eioi_op *op) {
    struct pass *self = pass_of_send(op);
    self->sending = false;
    eioi_fd_leave(self->to, &self->out);
    if (op->res < 0 || (size_t)op->res < self->loan.len || !wait_on(self))
        eioi_wake(&self->reader.waiter, NULL);
}

static const struct eioi_op_owner send_owner = {.done = send_done};

/** The loan, to where it goes, which was entered. */
static void start_send(struct pass *self) {
    struct eioi_waiter *w = &self->reader.waiter;
    const struct eioi_op_spec spec = {
        .prepare = prepare_send, .what = "writev", .fault = "cqe_write", .fd = self->to->fd};
    self->sending = true;
    w->what = spec.what;
    w->what_arg = spec.fd;
    eioi_op_start(&self->send, self->reader.recv->uring, &send_owner, &spec);
}

static void stop_send(struct pass *self) {
    self->stop = true;
    if (self->sending)
        eioi_op_cancel(&self->send);
}

static bool waits_for_engine(const struct pass *self) {
    return self->reader.recv->reader == &self->reader;
}

static void cancel_pass(struct eioi_waiter *w, eio_err *reason) {
    struct pass *self = EIOI_CONTAINER_OF(w, struct pass, reader.waiter);
    if (waits_for_engine(self))
        leave_engine(&self->reader, eio_err_ref(reason));
    else
        stop_send(self);
}

static void pass_sink_closed(struct eioi_inflight *inflight) {
    stop_send(EIOI_CONTAINER_OF(inflight, struct pass, out));
}

/** The write goes on when only the source closes. */
static void pass_source_closed(struct eioi_inflight *inflight) {
    struct pass *self = EIOI_CONTAINER_OF(inflight, struct pass, in);
    if (waits_for_engine(self))
        leave_engine(&self->reader, NULL);
}

/**
 * What the engine gave to the reader: bytes are the first to be read, unless a close has come
 * meanwhile; an end or error is the result.
 */
static eio_err *take_what_came(struct reader *self) {
    if (self->res > 0)
        use(self->recv, self->id, 0);
    else if (self->res == 0)
        return eio_err_const(&eio_err_end_of_file);
    else if (self->res != NOTHING_YET)
        return eioi_err_of_errno(-self->res, "readv");
    return NULL;
}

/** The write of the loan is on its way. */
static eio_err *begin_with_loan(struct pass *self) {
    EIO_TRY(eioi_fd_enter(self->to, "writev", &self->out));
    eio_err *err = eioi_fd_enter(self->from, "readv", &self->in);
    if (err != NULL) {
        eioi_fd_leave(self->to, &self->out);
        return err;
    }
    start_send(self);
    return NULL;
}

/** Whether the next thing to do is to wait: nothing has come, nor is anything lent. */
static bool may_wait(const struct recv *self) {
    return has_nothing(self) && self->lent == EIOI_POOL_NONE && !self->own_lent && !self->starved;
}

/** What comes first is waited for, as what comes next is; `*out_begun`: it is. */
static eio_err *begin_without(struct pass *self, struct eioi_uring *uring, bool *out_begun) {
    eio_fd *from = self->from;
    struct recv *recv = self->reader.recv;
    *out_begun = false;
    if (from->closing || !may_arm(uring, from) || (recv != NULL && !may_wait(recv)))
        return NULL;
    EIO_TRY(eioi_fd_enter(from, "readv", &self->in));
    eio_err *err = recv == NULL ? create(uring, from) : NULL;
    recv = self->reader.recv = of_fd(from);
    if (err == NULL)
        arm(recv);
    if (err != NULL || !recv->armed) {
        eioi_fd_leave(from, &self->in);
        return err;
    }
    self->ended = self->another = *out_begun = true;
    join_engine(&self->reader, recv);
    return NULL;
}

eio_err *eioi_recv_pass(void *backend, eio_fd *from, eio_fd *to, struct eioi_passed *passed) {
    struct pass self = {.to = to, .from = from, .loan = passed->loan};
    struct eioi_waiter *w = &self.reader.waiter;
    bool begun = true;
    self.reader.recv = of_fd(from);
    self.reader.res = NOTHING_YET;
    self.reader.passes = true;
    self.out.on_close = pass_sink_closed;
    self.out.role = EIOI_FD_WRITES;
    self.in.on_close = pass_source_closed;
    self.in.role = EIOI_FD_READS;
    EIO_TRY(eio_fiber_check());
    eioi_waiter_init(w, "writev");
    EIO_TRY(self.loan.len > 0 ? begin_with_loan(&self) : begin_without(&self, backend, &begun));
    if (!begun)
        return NULL;
    eio_err *err = eioi_wait(w, cancel_pass);
    EIO_ASSERT(!self.sending, "a write is over when the kernel is");
    if (err == NULL)
        err = take_what_came(&self.reader);
    const int32_t res = self.send.res;
    // Nothing is left to be done with what was closed: it may be gone.
    if (err == NULL && !self.ended && self.out.closed)
        err = eioi_err_closed("writev");
    if (from->orphan && !self.ended) {
        eioi_recv_release(backend, from, self.loan.len);
        self.ended = true;
    }
    if (err == NULL && from->orphan)
        err = eioi_err_closed("readv");
    *passed = (struct eioi_passed){.another = self.another};
    if (!self.ended) {
        passed->loan = self.loan;
        passed->wrote = res > 0 ? (size_t)res : 0;
    }
    eioi_fd_leave(from, &self.in);
    // Those three say nothing of the connection: the caller's next write will.
    if (err == NULL && res < 0 && res != -EINTR && res != -EAGAIN && res != -ECANCELED)
        err = eioi_err_of_errno(-res, "writev");
    return err;
}
