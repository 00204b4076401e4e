// SPDX-License-Identifier: ISC

// Theory. What a connection does all day is: its fiber is woken since bytes have come, receives
// them, sends some, and waits for the next. Of all that an operation at large has to see to
// (low_level.c), little is needed then: nobody stands in line, the descriptor is registered, a send
// takes everything, a receive empties the socket. That case is here, in few instructions and few
// lines of memory, since between two messages of one connection come those of all others, and the
// kernel's own work, which leave nothing of either in the processor's caches.
//
// Whatever else comes is not for here, and goes the way of all operations. A descriptor that is
// closed, another domain's, or used by two at once is left to them, too, for the message.
//
// A copy goes round in the loop: when an event has come, its bytes are received and sent there, and
// its fiber sleeps on. So a message that is copied resumes nobody. The source is entered meanwhile,
// as by any read that waits; the sink isn't: it may be closed (not freed: flow.h), and is asked anew
// each time. The fiber is woken, and the caller goes on with the loan as it stands, when a send
// doesn't take all, when much has come at once, when no event will say that there is more, and by an
// error. Nobody looks in a round whether the fiber is cancelled: one that is doesn't wait any more.
//
// What a round needs stands in the descriptor's record, not in the fiber's frame. A record is two
// lines beside those of other descriptors, 32 to a page; each frame is on a page of its own, and with
// hundreds of connections finding a page costs more than fetching a line.

#include "backends/epoll/stream.h"

#include <errno.h>

#include "backends/epoll/attempt.h"
#include "backends/epoll/low_level.h"
#include "backends/unix/splice.h"
#include "eio/fiber.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"

/** Whoever waits for bytes. In its frame. */
struct reader {
    struct eioi_inflight inflight; // first: the rest is what each round needs
    struct eioi_poll_wait wait;
    struct eioi_epoll *loop;
    eio_fd *fd;
    struct eioi_polled *polled;
    uint64_t serial; // of `fd`
};

static bool is_here(const eio_fd *fd) {
    return !fd->closing && fd->home == eioi_domain_id();
}

// Reading

/** Into a buffer of the loop, which is lent when bytes came. */
static inline int32_t receive_to_lend(struct eioi_epoll *loop, struct eioi_polled *polled, int fd,
                                      struct eioi_loan *loan) {
    struct eioi_buffer *buffer = eioi_buffer_take(&loop->buffers);
    if (buffer == NULL)
        return -ENOMEM;
    const struct iovec iov = eioi_buffer_iovec(buffer);
    int32_t res = eioi_epoll_receive(polled, fd, &iov, 1);
    if (res > 0)
        eioi_loan_hold(loan, buffer, (size_t)res);
    else
        eioi_buffer_give(&loop->buffers, buffer);
    return res;
}

/** Where a read's bytes go. */
struct target {
    eio_buf buf;
    struct eioi_loan *loan; // not NULL: a buffer of the loop instead, which is lent then
};

static inline int32_t receive(struct eioi_epoll *loop, struct eioi_polled *polled, int fd,
                              const struct target *to) {
    const struct iovec iov = {.iov_base = to->buf.base, .iov_len = to->buf.len};
    return to->loan != NULL ? receive_to_lend(loop, polled, fd, to->loan)
                            : eioi_epoll_receive(polled, fd, &iov, 1);
}

static inline void stop_waiting(struct reader *self) {
    eioi_list_unlink(&self->wait.waiter.node);
    self->polled->copies = false; // it was this one that did, if any: who copies joins no line
}

static void reader_cancelled(struct eioi_waiter *w, eio_err *reason) {
    stop_waiting(EIOI_CONTAINER_OF(w, struct reader, wait.waiter));
    eioi_wake(w, eio_err_ref(reason));
}

static void reader_closed(struct eioi_inflight *inflight) {
    struct reader *self = EIOI_CONTAINER_OF(inflight, struct reader, inflight);
    if (self->wait.waiter.woken) // it is running, or ready to
        return;
    stop_waiting(self);
    eioi_wake(&self->wait.waiter, NULL);
}

/** Whether an event will say that there is more, and no system call is worth while before it. */
static inline bool is_quiet(const struct eioi_polled *polled, const eio_fd *fd) {
    return !polled->readable && eioi_poll_is_armed(polled, EPOLLIN) && !fd->closing;
}

/** And nobody is before it. */
static inline bool may_wait(const struct reader *self) {
    const struct eioi_polled *polled = self->polled;
    return is_quiet(polled, self->fd) && polled->serial == self->serial &&
           eioi_list_empty(&polled->readers);
}

static inline eio_err *enter(struct reader *self) {
    self->wait.waiter.woken = true;
    self->inflight.on_close = reader_closed;
    self->inflight.role = EIOI_FD_READS;
    return eioi_fd_enter(self->fd, "readv", &self->inflight);
}

static inline void leave(struct reader *self) {
    if (self->polled->readable)
        (void)eioi_poll_serve(&self->polled->readers);
    eioi_fd_leave(self->fd, &self->inflight);
}

static inline eio_err *wait_for_event(struct reader *self) {
    struct eioi_waiter *w = &self->wait.waiter;
    eioi_waiter_init(w, "readv");
    w->what_arg = self->fd->fd;
    self->wait.served = false;
    eioi_list_push_tail(&self->polled->readers, &w->node);
    EIO_TRY(eioi_wait(w, reader_cancelled));
    eioi_list_unlink(&w->node);
    return __builtin_expect(self->wait.served, 1) ? NULL : eioi_err_closed("readv");
}

/** As wait_for_event and receive. EIOI_WOULD_BLOCK: it doesn't go on here. */
static inline eio_err *receive_when_there(struct reader *self, const struct target *to,
                                          int32_t *out_res) {
    int32_t res = EIOI_WOULD_BLOCK;
    do {
        EIO_TRY(wait_for_event(self));
        res = receive(self->loop, self->polled, self->fd->fd, to);
        if (__builtin_expect(res == EIOI_WOULD_BLOCK, 0)) {
            self->polled->readable = false;
            EIO_TRY(eio_fiber_check());
        }
    } while (res == EIOI_WOULD_BLOCK && may_wait(self));
    *out_res = res;
    return NULL;
}

/** A result of `receive`, which doesn't go on here when it is none. */
static inline bool is_result(int32_t res) {
    return res != EIOI_WOULD_BLOCK && res != -EINTR;
}

/** By a try that finds something, which takes a turn. False: there is nothing, or it isn't for here. */
static inline bool read_at_once(struct reader *self, const struct target *to, int32_t *out_res,
                                eio_err **out_err) {
    *out_err = eioi_fd_begin(self->fd, "readv", EIOI_FD_READS);
    if (*out_err != NULL)
        return true;
    *out_res = receive(self->loop, self->polled, self->fd->fd, to);
    bool done = is_result(*out_res);
    if (*out_res == EIOI_WOULD_BLOCK)
        self->polled->readable = false;
    if (done) {
        eioi_poll_take_turn();
        *out_err = eioi_loan_orphaned(self->fd, to->loan, *out_res);
    }
    eioi_fd_end(self->fd, EIOI_FD_READS);
    return done;
}

/**
 * A read by a fiber that isn't cancelled. False: it isn't for here, and remains to be done; else
 * `*out_res` is the result, or `*out_err` says why there is none.
 */
static inline bool read_here(struct eioi_epoll *loop, eio_fd *fd, const struct target *to,
                             int32_t *out_res, eio_err **out_err) {
    struct reader self; // large: the rest is set when it is needed
    if (!is_here(fd) || fd->reading)
        return false;
    self.polled = eioi_poll_of(loop, fd);
    if (self.polled == NULL || !eioi_list_empty(&self.polled->readers))
        return false;
    self.loop = loop;
    self.fd = fd;
    self.serial = self.polled->serial;
    if (self.polled->readable && read_at_once(&self, to, out_res, out_err))
        return true;
    if (!may_wait(&self))
        return false;
    *out_err = enter(&self);
    if (*out_err != NULL)
        return true;
    *out_err = receive_when_there(&self, to, out_res);
    if (*out_err == NULL && is_result(*out_res))
        *out_err = eioi_loan_orphaned(fd, to->loan, *out_res);
    else if (*out_err == NULL && fd->closing) // there may be nothing left to go on with
        *out_err = eioi_err_closed("readv");
    leave(&self);
    return *out_err != NULL || is_result(*out_res);
}

/** What isn't for here. */
static __attribute__((noinline)) eio_err *read_any(struct eioi_epoll *loop, eio_fd *fd,
                                                   const struct target *to, int32_t *out_res) {
    const struct iovec iov = {.iov_base = to->buf.base, .iov_len = to->buf.len};
    struct eioi_io io = {.op = EIOI_IO_READ,
                         .fd = fd,
                         .name = "readv",
                         .role = EIOI_FD_READS,
                         .rw = {.iov = &iov, .iov_count = 1}};
    return eioi_epoll_perform(loop, &io, to->loan, out_res);
}

eio_err *eioi_stream_recv(void *backend, eio_fd *fd, eio_buf buf, size_t *out_got) {
    int32_t res = 0;
    eio_err *err = NULL;
    EIO_TRY(eio_fiber_check());
    buf.len = EIOI_LIMIT(short_read, buf.len);
    if (eioi_loan_has_rest(fd)) {
        *out_got = eioi_loan_copy_rest(fd, buf);
        return NULL;
    }
    const struct target to = {.buf = buf};
    if (!read_here(backend, fd, &to, &res, &err))
        err = read_any(backend, fd, &to, &res);
    if (err != NULL || res <= 0)
        return err != NULL ? err : eioi_io_nothing_read(res);
    *out_got = (size_t)res;
    return NULL;
}

eio_err *eioi_stream_lend(void *backend, eio_fd *fd, eio_slice *out) {
    struct eioi_epoll *loop = backend;
    int32_t res = 1;
    eio_err *err = NULL;
    EIO_TRY(eio_fiber_check());
    const struct target to = {.loan = eioi_loan_of(fd, &loop->buffers)};
    if (to.loan == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    if (!eioi_loan_has_rest(fd) && !read_here(loop, fd, &to, &res, &err))
        err = read_any(loop, fd, &to, &res);
    if (err != NULL || res <= 0)
        return err != NULL ? err : eioi_io_nothing_read(res);
    *out = eioi_loan_begin(to.loan);
    out->len = EIOI_LIMIT(short_read, out->len);
    return NULL;
}

// Writing

/** How much of it was sent, or -errno; EIOI_WOULD_BLOCK: it isn't for here. */
static inline int32_t send_some(const eio_fd *fd, struct eioi_polled *polled,
                                const struct iovec *iov) {
    if (fd->writing || !polled->writable || !eioi_list_empty(&polled->writers))
        return EIOI_WOULD_BLOCK;
    int32_t res = eioi_epoll_send(polled, fd->fd, iov, 1);
    if (res == EIOI_WOULD_BLOCK)
        polled->writable = false;
    return res == -EINTR ? EIOI_WOULD_BLOCK : res; // it is repeated
}

/** What isn't for here. */
static __attribute__((noinline)) eio_err *write_any(struct eioi_epoll *loop, eio_fd *fd,
                                                    eio_slice bytes, int32_t *out_res) {
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.base, .iov_len = bytes.len};
    struct eioi_io io = {.op = EIOI_IO_WRITE,
                         .fd = fd,
                         .name = "writev",
                         .role = EIOI_FD_WRITES,
                         .rw = {.iov = &iov, .iov_count = 1}};
    return eioi_epoll_perform(loop, &io, /* loan= */ NULL, out_res);
}

/** A write by a fiber that isn't cancelled. As read_here, but there is no error. */
static inline bool write_here(struct eioi_epoll *loop, eio_fd *fd, eio_slice bytes,
                              int32_t *out_res) {
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.base, .iov_len = bytes.len};
    if (!is_here(fd))
        return false;
    struct eioi_polled *polled = eioi_poll_of(loop, fd);
    if (polled == NULL)
        return false;
    *out_res = send_some(fd, polled, &iov);
    if (*out_res == EIOI_WOULD_BLOCK)
        return false;
    // It is under way until its turn is over.
    eio_err *err = eioi_fd_begin(fd, "writev", EIOI_FD_WRITES);
    EIO_ASSERT(err == NULL, "it was open a moment ago");
    eioi_poll_take_turn();
    eioi_fd_end(fd, EIOI_FD_WRITES);
    return true;
}

eio_err *eioi_stream_send(void *backend, eio_fd *fd, eio_slice bytes, size_t *out_wrote) {
    int32_t res = 0;
    EIO_TRY(eio_fiber_check());
    bytes.len = EIOI_LIMIT(short_write, bytes.len);
    if (!write_here(backend, fd, bytes, &res))
        EIO_TRY(write_any(backend, fd, bytes, &res));
    if (res < 0)
        return eioi_err_of_errno(-res, "writev");
    *out_wrote = (size_t)res;
    return NULL;
}

// Copying

struct pass {
    struct reader reader;
    struct eioi_passed *passed;
    eio_err *err; // what ended it; NULL: nothing that is an error
};

/** Sends; 0 is written when that isn't for here. */
static inline eio_err *pass_some(const struct eioi_polled_copy *copy, eio_slice bytes,
                                 size_t *out_wrote) {
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.base, .iov_len = bytes.len};
    *out_wrote = 0;
    if (copy->to->closing || copy->out->serial != copy->serial)
        return NULL;
    int32_t res = send_some(copy->to, copy->out, &iov);
    if (__builtin_expect(res >= 0, 1))
        *out_wrote = (size_t)res;
    else if (res != EIOI_WOULD_BLOCK)
        return eioi_err_of_errno(-res, "writev");
    return NULL;
}

static struct pass *pass_of(const struct eioi_polled *polled) {
    return EIOI_CONTAINER_OF(polled->readers.next, struct pass, reader.wait.waiter.node);
}

/** No bytes were received. False: it's over, and `err` says why. */
static __attribute__((noinline)) bool nothing_came(struct eioi_polled *polled, int32_t res) {
    struct pass *self = pass_of(polled);
    if (res == EIOI_WOULD_BLOCK)
        polled->readable = false;
    if (res == 0)
        self->err = eio_err_const(&eio_err_end_of_file);
    else if (is_result(res))
        self->err = eioi_err_of_errno(-res, "readv");
    return self->err == NULL;
}

/** Not all of what was received was sent: what came is lent. */
static __attribute__((noinline)) void hold(struct eioi_epoll *loop, struct eioi_polled *polled,
                                           struct eioi_buffer *buffer, size_t len, size_t wrote,
                                           eio_err *err) {
    struct pass *self = pass_of(polled);
    eioi_loan_hold(eioi_loan_of(self->reader.fd, &loop->buffers), buffer, len);
    *self->passed = (struct eioi_passed){
        .loan = eio_slice_of(buffer->bytes, len),
        .wrote = wrote,
        .another = true,
    };
    self->err = err;
}

/** Receives, and sends that. False: what wasn't sent is lent, or `err` says why nothing was. */
static inline bool make_round(struct eioi_epoll *loop, struct eioi_polled *polled, int fd) {
    struct eioi_buffer *buffer = eioi_buffer_take(&loop->buffers);
    if (buffer == NULL) {
        pass_of(polled)->err = eio_err_const(&eio_err_out_of_memory);
        return false;
    }
    const struct iovec iov = eioi_buffer_iovec(buffer);
    int32_t res = eioi_epoll_receive(polled, fd, &iov, 1);
    if (__builtin_expect(res <= 0, 0)) {
        eioi_buffer_give(&loop->buffers, buffer);
        return nothing_came(polled, res);
    }
    const eio_slice bytes = eio_slice_of(buffer->bytes, (size_t)res);
    size_t wrote = 0;
    eio_err *err = NULL;
    if (!eioi_splice_is_much(polled->copy.from, bytes))
        err = pass_some(&polled->copy, bytes, &wrote);
    if (__builtin_expect(wrote < bytes.len, 0)) {
        hold(loop, polled, buffer, bytes.len, wrote, err);
        return false;
    }
    eioi_buffer_give(&loop->buffers, buffer);
    return true;
}

void eioi_stream_go_round(struct eioi_epoll *loop, struct eioi_polled *polled, int fd) {
    if (__builtin_expect(make_round(loop, polled, fd) && is_quiet(polled, polled->copy.from), 1))
        return;
    struct reader *reader = &pass_of(polled)->reader;
    EIO_ASSERT(!reader->wait.served, "a copy that goes round in the loop hasn't had its turn");
    stop_waiting(reader);
    reader->wait.served = true;
    eioi_wake(&reader->wait.waiter, NULL);
}

static void end_loan(eio_fd *from, struct eioi_passed *passed) {
    eioi_loan_end(from, passed->loan.len);
    passed->loan = eio_slice_of(NULL, 0);
}

/** Until something ends the rounds. */
static eio_err *go_round(struct pass *self, const struct eioi_polled_copy *copy) {
    eio_fd *from = copy->from;
    struct eioi_passed *passed = self->passed;
    passed->another = true;
    self->err = NULL;
    EIO_TRY(enter(&self->reader));
    self->reader.polled->copy = *copy;
    self->reader.polled->copies = true;
    eio_err *err = wait_for_event(&self->reader);
    if (err == NULL)
        err = self->err;
    if (from->orphan) { // nobody can go on with it any more
        if (passed->loan.len > 0)
            end_loan(from, passed);
        err = err == NULL ? eioi_err_closed("readv") : err;
    }
    leave(&self->reader);
    return err;
}

eio_err *eioi_stream_pass(void *backend, eio_fd *from, eio_fd *to, struct eioi_passed *passed) {
    struct pass self; // large: the rest is set when it is needed
    struct reader *reader = &self.reader;
    if (passed->loan.len == 0 || from->fd < 0 || !is_here(to))
        return NULL; // the first is there mostly: it is tried at once
    EIO_TRY(eio_fiber_check());
    struct eioi_polled_copy copy = {.from = from, .to = to};
    reader->loop = backend;
    reader->fd = from;
    reader->polled = eioi_poll_of(reader->loop, from);
    copy.out = eioi_poll_of(reader->loop, to);
    if (reader->polled == NULL || copy.out == NULL)
        return NULL;
    reader->serial = reader->polled->serial;
    copy.serial = copy.out->serial;
    self.passed = passed;
    bool much = eioi_splice_is_much(from, passed->loan);
    EIO_TRY(pass_some(&copy, passed->loan, &passed->wrote));
    if (passed->wrote < passed->loan.len)
        return NULL;
    end_loan(from, passed);
    bool over = much || eioi_loan_has_rest(from) || !may_wait(reader);
    return over ? NULL : go_round(&self, &copy);
}
