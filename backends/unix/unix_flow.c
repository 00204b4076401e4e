// SPDX-License-Identifier: ISC

// Theory. A shell goes through: new (no descriptor, no switch) -> open (attached) -> closed ->
// freed. Close leaves the shell, so that late use is an error; the switch's end and `eio_flow_free`
// free it. A fiber that is inside an operation meanwhile holds a share of the descriptor, and the
// memory goes with the last share; so after an operation nothing of the flow is touched.
//
// One reader and one writer at a time: the order of two readers' bytes would be nobody's intention.

#include "backends/unix/unix_flow.h"

#include <errno.h>
#include <limits.h>
#include <stddef.h>
#include <sys/socket.h>

#include "backends/unix/low_level.h"
#include "backends/unix/splice.h"
#include "eio/flow_pi.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/fault.h"

_Static_assert(sizeof(struct eioi_stream) <= 128, "a closed socket keeps at most 128 bytes");
_Static_assert(sizeof(eio_slice) == sizeof(struct iovec), "slices go to the kernel as they are");
_Static_assert(offsetof(eio_slice, base) == offsetof(struct iovec, iov_base), "slices are iovecs");
_Static_assert(offsetof(eio_slice, len) == offsetof(struct iovec, iov_len), "slices are iovecs");

enum { MUCH_IN_A_ROW = 8 }; // loans

static const struct eio_source_ops unix_source_ops;
static const struct eio_source_ops unix_lending_source_ops;
static const struct eio_sink_ops unix_sink_ops;
static const struct eio_flow_ops unix_flow_ops;

static struct eioi_stream *of_flow(eio_flow *flow) {
    eio_unix_flow *self = EIO_SELF(eio_unix_flow, socket.flow, flow, &unix_flow_ops);
    return EIOI_CONTAINER_OF(self, struct eioi_stream, flow);
}

static struct eioi_stream *of_source(eio_source *source) {
    return of_flow(EIOI_CONTAINER_OF(source, eio_flow, source));
}

static struct eioi_stream *of_sink(eio_sink *sink) {
    return of_flow(EIOI_CONTAINER_OF(sink, eio_flow, sink));
}

static eio_err *unix_single_read(eio_source *source, eio_buf buf, size_t *out_got) {
    struct iovec iov = {.iov_base = buf.base, .iov_len = buf.len};
    struct eioi_io io = {.op = EIOI_IO_READ,
                         .fd = &of_source(source)->fd,
                         .name = "readv",
                         .role = EIOI_FD_READS,
                         .rw = {.iov = &iov, .iov_count = 1}};
    int32_t res = 0;
    EIO_TRY(eioi_io_perform(&io, &res));
    if (res == 0)
        return eio_err_const(&eio_err_end_of_file);
    *out_got = (size_t)res;
    return NULL;
}

static eio_err *unix_recv(eio_source *source, eio_buf buf, size_t *out_got) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("readv", &ops));
    return ops->recv(eioi_backend(), &of_source(source)->fd, buf, out_got);
}

static eio_err *unix_lend(eio_source *source, eio_slice *out) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("readv", &ops));
    return ops->lend(eioi_backend(), &of_source(source)->fd, out);
}

static void unix_release(eio_source *source, size_t used) {
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    ops->release(eioi_backend(), &of_source(source)->fd, used);
}

/** Never inlined: who can send needs no such frame. */
static __attribute__((noinline)) eio_err *write_some(eio_fd *fd, const eio_slice *slices, size_t n,
                                                     bool turn_follows, size_t *out_wrote) {
    struct eioi_io io = {
        .op = EIOI_IO_WRITE,
        .fd = fd,
        .name = "writev",
        .role = EIOI_FD_WRITES,
        .turn_follows = turn_follows,
        .rw = {.iov = (const struct iovec *)(const void *)slices,
               .iov_count = n < IOV_MAX ? (int)n : IOV_MAX},
    };
    int32_t res = 0;
    EIO_TRY(eioi_io_perform(&io, &res));
    *out_wrote = (size_t)res;
    return NULL;
}

static eio_err *unix_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                                  size_t *out_wrote) {
    eio_fd *fd = &of_sink(sink)->fd;
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("writev", &ops));
    if (n > 1 || !(fd->flags & EIOI_FD_AHEAD))
        return write_some(fd, slices, n, /* turn_follows= */ false, out_wrote);
    return ops->send(eioi_backend(), fd, *slices, out_wrote);
}

/**
 * Writes what is lent, unless there is an error already, and ends the loan; what was not written
 * stays for the next reader. No turn is taken for it: the caller waits for the next loan then, and
 * those who write meanwhile find the same memory still in the cache.
 */
static eio_err *write_loan(eio_fd *from, eio_fd *to, const struct eioi_passed *passed,
                           eio_err *err) {
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    size_t wrote = passed->wrote;
    while (err == NULL && wrote < passed->loan.len) {
        const eio_slice rest = eio_slice_drop(passed->loan, wrote);
        size_t n = 0;
        err = write_some(to, &rest, 1, /* turn_follows= */ true, &n);
        wrote += n;
    }
    ops->release(eioi_backend(), from, wrote);
    return err;
}

/** As above; the backend may go on with what comes then, and leave the last of it in `*passed`. */
static eio_err *pass_on(eio_fd *from, eio_fd *to, struct eioi_passed *passed) {
    const struct eioi_io_ops *ops = eioi_backend_ops_current()->io_ops;
    passed->another = false;
    passed->wrote = 0;
    eio_err *err = ops->pass(eioi_backend(), from, to, passed);
    if (passed->loan.len == 0) // and the flow may be gone
        return err;
    if (err == NULL && passed->another && passed->wrote == 0)
        return NULL;
    err = write_loan(from, to, passed, err);
    passed->loan = eio_slice_of(NULL, 0);
    return err;
}

/** Writes what `from` lends: until its end (End_of_file), or until much of it has come in a row. */
static eio_err *copy_loans(eio_source *source, eio_sink *sink) {
    eio_fd *from = &of_source(source)->fd;
    eio_fd *to = &of_sink(sink)->fd;
    struct eioi_passed passed = {.wrote = 0};
    for (unsigned much = 0; much < MUCH_IN_A_ROW || passed.loan.len > 0;) {
        const bool had_loan = passed.loan.len > 0;
        if (had_loan)
            much = eioi_splice_is_much(from, passed.loan) ? much + 1 : 0;
        EIO_TRY(pass_on(from, to, &passed));
        if (passed.another && passed.loan.len == 0)
            much = 0;
        if (!had_loan && passed.loan.len == 0) { // there is one, or it is to be waited for here
            EIO_TRY(eio_source_lend(source, &passed.loan));
            eio_source_loan_ended(source); // from here on it's between the backend and us
        }
    }
    return NULL;
}

/** Writes what is held. Nothing comes meanwhile, so every loan is one of that. */
static eio_err *copy_held(eio_source *source, eio_sink *sink) {
    const eio_fd *from = &of_source(source)->fd;
    while (from->engine != NULL && from->engine->ops->holds(from->engine)) {
        eio_slice loan;
        EIO_TRY(eio_source_lend(source, &loan));
        eio_err *err = eio_sink_write(sink, loan);
        eio_source_release(source, loan.len);
        EIO_TRY(err);
    }
    return NULL;
}

static eio_err *splice_all(eio_source *source, eio_sink *sink, bool *out_ended) {
    EIO_TRY(copy_held(source, sink));
    return eioi_splice(&of_source(source)->fd, &of_sink(sink)->fd, out_ended);
}

static eio_err *copy_much(eio_source *source, eio_sink *sink, bool *out_ended) {
    eio_fd *from = &of_source(source)->fd;
    int number = -1;
    EIO_TRY(eioi_fd_hold(from, "readv", &number));
    eioi_fd_begin_raw(from, "readv");
    eioi_fd_unhold(from);
    eio_err *err = splice_all(source, sink, out_ended);
    eioi_fd_end_raw(from);
    return err;
}

static eio_err *unix_copy_from(eio_sink *sink, eio_source *source) {
    if (source->ops != &unix_lending_source_ops || !(of_sink(sink)->fd.flags & EIOI_FD_AHEAD))
        return eio_flow_simple_copy(source, sink);
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("readv", &ops)); // all that follows has a real loop
    eioi_fd_read_on(&of_source(source)->fd);
    for (bool ended = false; !ended;) {
        eio_err *err = copy_loans(source, sink);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return NULL;
        EIO_TRY(err);
        EIO_TRY(copy_much(source, sink, &ended));
    }
    return NULL;
}

static eio_err *unix_shutdown(eio_flow *flow, eio_shutdown how) {
    static const int hows[] = {[EIO_SHUTDOWN_RECEIVE] = SHUT_RD,
                               [EIO_SHUTDOWN_SEND] = SHUT_WR,
                               [EIO_SHUTDOWN_ALL] = SHUT_RDWR};
    eio_fd *fd = &of_flow(flow)->fd;
    int number = -1;
    EIO_TRY(eioi_fd_hold(fd, "shutdown", &number));
    int errnum = EIOI_SYS(shutdown, shutdown(number, hows[how])) == 0 ? 0 : errno;
    eioi_fd_unhold(fd);
    if (errnum == 0 || errnum == ENOTCONN) // the connection may be gone already
        return NULL;
    return eioi_err_of_errno(errnum, "shutdown");
}

static void unix_close(eio_flow *flow) {
    eioi_fd_close(&of_flow(flow)->fd);
}

static void unix_free(eio_flow *flow) {
    eioi_stream_free(of_flow(flow));
}

static void *unix_query(eio_flow *flow, const eio_iface *iface) {
    return iface == &eioi_iface_fd ? &of_flow(flow)->fd : NULL;
}

static void *unix_source_query(eio_source *source, const eio_iface *iface) {
    return iface == &eioi_iface_fd ? &of_source(source)->fd : NULL;
}

static void *unix_sink_query(eio_sink *sink, const eio_iface *iface) {
    return iface == &eioi_iface_fd ? &of_sink(sink)->fd : NULL;
}

static const struct eio_source_ops unix_source_ops = {
    .name = "unix", .single_read = unix_single_read, .query = unix_source_query};
static const struct eio_source_ops unix_lending_source_ops = {.name = "unix",
                                                              .single_read = unix_recv,
                                                              .lend = unix_lend,
                                                              .release = unix_release,
                                                              .query = unix_source_query};
static const struct eio_sink_ops unix_sink_ops = {.name = "unix",
                                                  .single_write = unix_single_write,
                                                  .copy_from = unix_copy_from,
                                                  .query = unix_sink_query};
static const struct eio_flow_ops unix_flow_ops = {.name = "unix",
                                                  .shutdown = unix_shutdown,
                                                  .close = unix_close,
                                                  .free = unix_free,
                                                  .query = unix_query};

eio_err *eioi_stream_new(unsigned flags, struct eioi_stream **out) {
    const struct eioi_io_ops *ops = NULL;
    EIO_TRY(eioi_io_ops_current("socket", &ops));
    struct eioi_stream *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eioi_fd_init(&self->fd, flags | EIOI_FD_STREAM);
    self->flow.fd = &self->fd;
    self->flow.socket.flow = (eio_flow){
        .source.ops = flags & EIOI_FD_AHEAD ? &unix_lending_source_ops : &unix_source_ops,
        .sink.ops = &unix_sink_ops,
        .ops = &unix_flow_ops,
    };
    *out = self;
    return NULL;
}

static eio_err *flow_hook(eio_hook *hook) {
    eioi_stream_free(EIOI_CONTAINER_OF(hook, struct eioi_stream, hook));
    return NULL;
}

void eioi_stream_open(struct eioi_stream *self, eio_switch *sw, int fd) {
    eioi_fd_open(&self->fd, fd);
    eio_switch_attach(sw, &self->hook, flow_hook);
}

void eioi_stream_free(struct eioi_stream *self) {
    eio_hook_remove(&self->hook);
    eioi_fd_close(&self->fd);
    eioi_fd_orphan(&self->fd);
}

void eioi_stream_fini(struct eio_fd *fd) {
    struct eioi_stream *self = EIOI_CONTAINER_OF(fd, struct eioi_stream, fd);
    eio_source_fini(&self->flow.socket.flow.source);
}
