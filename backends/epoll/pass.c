// SPDX-License-Identifier: ISC

// Theory. A round of a copy is: bytes have come, the fiber is woken, receives them, sends them, gives
// the buffer back and waits for the next. All that a single operation has to find out (is the
// descriptor open, whose turn is it, does its event have to be asked for) is known from the round
// before, so the rounds are made here, in one frame, and the source is entered once for all of them.
//
// Only the ordinary case is here. Whatever else comes (a send that doesn't take all, somebody in
// line, a socket that isn't known to be empty, much at once) ends the rounds, with the loan as it
// stands, and the caller goes on with the operations of low_level.c.
//
// The source stays entered between the rounds, also while bytes are sent; that doesn't wait, so
// nobody can tell. The sink isn't: it may be closed meanwhile, and is asked anew in each round.

#include "backends/epoll/pass.h"

#include <errno.h>

#include "backends/epoll/attempt.h"
#include "backends/epoll/lend.h"
#include "backends/epoll/poll.h"
#include "backends/unix/splice.h"
#include "eio/fiber.h"
#include "fiber/base/fault.h"

/** In the frame of `eioi_epoll_pass`. */
struct pass {
    struct eioi_epoll *loop;
    eio_fd *from, *to;
    struct eioi_polled *in, *out; // what is known of them
    uint64_t in_serial, out_serial;
    struct eioi_poll_wait wait;
    struct eioi_inflight inflight; // on the source
};

static void pass_cancelled(struct eioi_waiter *w, eio_err *reason) {
    eioi_list_unlink(&w->node);
    eioi_wake(w, eio_err_ref(reason));
}

static void pass_closed(struct eioi_inflight *inflight) {
    struct pass *self = EIOI_CONTAINER_OF(inflight, struct pass, inflight);
    if (self->wait.waiter.woken) // it is running, or ready to
        return;
    eioi_list_unlink(&self->wait.waiter.node);
    eioi_wake(&self->wait.waiter, NULL);
}

/** Sends: how much, 0 when that isn't for here. */
static inline eio_err *send_some(struct pass *self, eio_slice bytes, size_t *out_wrote) {
    struct eioi_polled *out = self->out;
    *out_wrote = 0;
    EIO_TRY(eio_fiber_check());
    if (self->to->closing || self->to->writing || !out->writable ||
        !eioi_list_empty(&out->writers) || out->serial != self->out_serial)
        return NULL;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.base, .iov_len = bytes.len};
    int32_t res = eioi_epoll_send(out, self->to->fd, &iov, 1);
    if (__builtin_expect(res >= 0, 1))
        *out_wrote = (size_t)res;
    else if (res == EIOI_WOULD_BLOCK)
        out->writable = false;
    else if (res != -EINTR) // which is repeated
        return eioi_err_of_errno(-res, "writev");
    return NULL;
}

/** Whether an event will say that there is more, and no system call is worth while before it. */
static inline bool may_wait(const struct pass *self) {
    const struct eioi_polled *in = self->in;
    return !self->from->closing && !in->readable && eioi_list_empty(&in->readers) &&
           in->serial == self->in_serial && eioi_poll_is_armed(in, EPOLLIN);
}

static inline eio_err *wait_for_event(struct pass *self) {
    struct eioi_waiter *w = &self->wait.waiter;
    eioi_waiter_init(w, "readv");
    w->what_arg = self->from->fd;
    self->wait.served = false;
    eioi_list_push_tail(&self->in->readers, &w->node);
    EIO_TRY(eioi_wait(w, pass_cancelled));
    eioi_list_unlink(&w->node);
    return self->inflight.closed && !self->wait.served ? eioi_err_closed("readv") : NULL;
}

/** 0 bytes: nothing has come, and `may_wait` is to be asked again. */
static inline eio_err *receive(struct pass *self, const struct eioi_buffer *buffer,
                               size_t *out_got) {
    const struct iovec iov = {
        .iov_base = buffer->bytes,
        .iov_len = EIOI_LIMIT(short_read, (size_t)EIOI_BUFFER_BYTES),
    };
    *out_got = 0;
    int32_t res = eioi_epoll_receive(self->in, self->from->fd, &iov, 1);
    if (__builtin_expect(res > 0, 1)) {
        *out_got = (size_t)res;
        return NULL;
    }
    if (res == 0)
        return eio_err_const(&eio_err_end_of_file);
    if (res == EIOI_WOULD_BLOCK) {
        self->in->readable = false;
        return eio_fiber_check();
    }
    return res == -EINTR ? NULL : eioi_err_of_errno(-res, "readv");
}

/** Receives, and sends that. What isn't sent is lent in the end. */
static inline eio_err *make_round(struct pass *self, struct eioi_passed *passed) {
    struct eioi_buffers *buffers = &self->loop->buffers;
    struct eioi_buffer *buffer = eioi_buffer_take(buffers);
    if (buffer == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    size_t got, wrote = 0;
    eio_err *err = receive(self, buffer, &got);
    const eio_slice bytes = eio_slice_of(buffer->bytes, got);
    if (got > 0 && !eioi_splice_is_much(self->from, bytes))
        err = send_some(self, bytes, &wrote);
    if (wrote == got) {
        eioi_buffer_give(buffers, buffer);
        return err;
    }
    eioi_loan_hold(eioi_loan_of(self->from, buffers), buffer, got);
    passed->loan = bytes;
    passed->wrote = wrote;
    return err;
}

static eio_err *make_rounds(struct pass *self, struct eioi_passed *passed) {
    passed->another = true;
    while (passed->loan.len == 0 && may_wait(self)) {
        EIO_TRY(wait_for_event(self));
        EIO_TRY(make_round(self, passed));
    }
    return NULL;
}

static void end_loan(eio_fd *from, struct eioi_passed *passed) {
    eioi_loan_end(from, passed->loan.len);
    passed->loan = eio_slice_of(NULL, 0);
}

/** Until something ends the rounds. */
static eio_err *pass_on(struct pass *self, struct eioi_passed *passed) {
    eio_fd *from = self->from;
    self->wait.waiter.woken = true;
    self->inflight.on_close = pass_closed;
    self->inflight.role = EIOI_FD_READS;
    EIO_TRY(eioi_fd_enter(from, "readv", &self->inflight));
    eio_err *err = make_rounds(self, passed);
    if (from->orphan && passed->loan.len > 0) { // nobody can give it back any more
        end_loan(from, passed);
        err = err == NULL ? eioi_err_closed("readv") : err;
    }
    if (self->in->readable)
        (void)eioi_poll_serve(&self->in->readers);
    eioi_fd_leave(from, &self->inflight);
    return err;
}

eio_err *eioi_epoll_pass(void *backend, eio_fd *from, eio_fd *to, struct eioi_passed *passed) {
    struct pass self; // large: the rest is set when it is needed
    if (from->fd < 0 || to->fd < 0 || to->home != from->home)
        return NULL;
    self.loop = backend;
    self.from = from;
    self.to = to;
    self.in = eioi_poll_of(self.loop, from);
    self.out = eioi_poll_of(self.loop, to);
    if (self.in == NULL || self.out == NULL)
        return NULL;
    self.in_serial = self.in->serial;
    self.out_serial = self.out->serial;
    bool much = eioi_splice_is_much(from, passed->loan);
    EIO_TRY(send_some(&self, passed->loan, &passed->wrote));
    if (passed->wrote < passed->loan.len)
        return NULL;
    end_loan(from, passed);
    return much || !may_wait(&self) ? NULL : pass_on(&self, passed);
}
