// SPDX-License-Identifier: ISC

// A pair is one block: two ends, and two pipes between them. An end writes to the pipe of its own
// index and reads from the other. A pipe is a ring of bytes with at most one waiting reader and one
// waiting writer; at most one of them waits, since there is something to read or room to write.
// Whoever changes what a waiter waits for takes it out of the pipe and wakes it; a cancel does the
// same, so each wait has one winner. Woken, an operation looks again; only close hands it its
// error, since the end may be gone by the time it runs. Every end and every operation under way has
// a share of the block.

#include "eio/mock/pair.h"

#include <stdbool.h>
#include <string.h>

#include "eio/err_net.h"
#include "eio/fiber.h"
#include "eio/flow_pi.h"
#include "eio/mock/action.h"
#include "eio/unix_net.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/list.h"
#include "fiber/sched.h"

struct pair;

struct wait {
    struct eioi_waiter waiter;
    struct wait **slot; // where the pipe keeps it while it waits
};

struct pipe {
    uint8_t *bytes;      // `bound` of them, in the pair's block
    size_t start, len;   // the bytes written and not yet read; they may wrap around
    bool no_more_writes; // shut down or closed by the writing end: End_of_file after what is left
    bool no_more_reads;  // shut down or closed by the reading end: writes fail
    struct wait *reader; // NULL: none waits
    struct wait *writer; // NULL: none waits
};

struct end {
    union {
        eio_flow flow;
        eio_stream_socket socket;
        eio_unix_flow unix_flow; // `fd` stays NULL
    };
    struct pair *pair;
    eio_hook hook;
    bool closed;
};

struct pair {
    struct end ends[2];
    struct pipe pipes[2];
    size_t bound;
    size_t shares;
    bool reset;
    uint8_t bytes[]; // of pipe 0, then of pipe 1
};

static const struct eio_source_ops source_ops;
static const struct eio_sink_ops sink_ops;
static const struct eio_flow_ops flow_ops;

static struct end *end_of_flow(eio_flow *flow) {
    return EIO_SELF(struct end, flow, flow, &flow_ops);
}

static struct pipe *pipe_to_write(struct end *self) {
    return &self->pair->pipes[self - self->pair->ends];
}

static struct pipe *pipe_to_read(struct end *self) {
    return &self->pair->pipes[1 - (self - self->pair->ends)];
}

static void unref(struct pair *self) {
    if (--self->shares == 0)
        eioi_free(self);
}

static eio_err *closed(const char *op) {
    return eio_err_new(&eio_err_closed, "%s: file descriptor used after calling close!", op);
}

static eio_err *connection_reset(void) {
    return eio_mock_simulated_failure(&eio_err_net_connection_reset);
}

// Takes err over.
static void wake(struct wait **slot, eio_err *err) {
    struct wait *wait = *slot;
    if (wait == NULL) {
        eio_err_drop(err);
        return;
    }
    *slot = NULL;
    eioi_wake(&wait->waiter, err);
}

static void cancel_wait(struct eioi_waiter *w, eio_err *reason) {
    struct wait *self = EIOI_CONTAINER_OF(w, struct wait, waiter);
    *self->slot = NULL;
    eioi_wake(w, eio_err_ref(reason));
}

static eio_err *wait_in(struct wait **slot, const char *what) {
    struct wait self = {.slot = slot};
    EIO_TRY(eioi_wait_begin(&self.waiter, what));
    EIO_ASSERT(*slot == NULL, "two fibers wait for one end of a flow pair at once (%s)", what);
    *slot = &self;
    return eioi_wait(&self.waiter, cancel_wait);
}

// --- Reading -------------------------------------------------------------------------------------

static size_t take(struct pair *pair, struct pipe *pipe, eio_buf buf) {
    size_t total = 0;
    while (total < buf.len && pipe->len > 0) {
        size_t len = pair->bound - pipe->start; // up to the ring's end
        if (len > pipe->len)
            len = pipe->len;
        if (len > buf.len - total)
            len = buf.len - total;
        memcpy(buf.base + total, pipe->bytes + pipe->start, len);
        pipe->start = (pipe->start + len) % pair->bound;
        pipe->len -= len;
        total += len;
    }
    return total;
}

static eio_err *read_in_share(struct end *self, eio_buf buf, size_t *out_got) {
    struct pair *pair = self->pair;
    struct pipe *pipe = pipe_to_read(self);
    for (;;) {
        if (pair->reset)
            return connection_reset();
        if (pipe->len > 0)
            break;
        if (pipe->no_more_writes || pipe->no_more_reads)
            return eio_err_const(&eio_err_end_of_file);
        EIO_TRY(wait_in(&pipe->reader, "flow pair, read"));
        if (self->closed) // after what had woken us came, and before we ran
            return closed("read");
    }
    *out_got = take(pair, pipe, buf);
    wake(&pipe->writer, NULL);
    return NULL;
}

static eio_err *single_read(eio_source *source, eio_buf buf, size_t *out_got) {
    struct end *self = EIO_SELF(struct end, flow.source, source, &source_ops);
    if (self->closed)
        return closed("read");
    EIO_TRY(eio_fiber_check());
    struct pair *pair = self->pair;
    pair->shares++;
    eio_err *err = read_in_share(self, buf, out_got);
    unref(pair);
    return err;
}

// --- Writing -------------------------------------------------------------------------------------

static size_t put(struct pair *pair, struct pipe *pipe, eio_slice bytes) {
    size_t total = 0;
    while (total < bytes.len && pipe->len < pair->bound) {
        size_t at = (pipe->start + pipe->len) % pair->bound;
        size_t len = (at < pipe->start ? pipe->start : pair->bound) - at;
        if (len > bytes.len - total)
            len = bytes.len - total;
        memcpy(pipe->bytes + at, bytes.base + total, len);
        pipe->len += len;
        total += len;
    }
    return total;
}

static eio_err *write_in_share(struct end *self, const eio_slice *slices, size_t n,
                               size_t *out_wrote) {
    struct pair *pair = self->pair;
    struct pipe *pipe = pipe_to_write(self);
    for (;;) {
        if (pair->reset || pipe->no_more_reads || pipe->no_more_writes)
            return connection_reset();
        if (pipe->len < pair->bound)
            break;
        EIO_TRY(wait_in(&pipe->writer, "flow pair, write"));
        if (self->closed) // see above
            return closed("write");
    }
    size_t total = 0;
    for (size_t i = 0; i < n && pipe->len < pair->bound; i++)
        total += put(pair, pipe, slices[i]);
    *out_wrote = total;
    wake(&pipe->reader, NULL);
    return NULL;
}

static eio_err *single_write(eio_sink *sink, const eio_slice *slices, size_t n, size_t *out_wrote) {
    struct end *self = EIO_SELF(struct end, flow.sink, sink, &sink_ops);
    if (self->closed)
        return closed("write");
    EIO_TRY(eio_fiber_check());
    struct pair *pair = self->pair;
    pair->shares++;
    eio_err *err = write_in_share(self, slices, n, out_wrote);
    unref(pair);
    return err;
}

// --- The connection ------------------------------------------------------------------------------

static void stop_sending(struct end *self) {
    struct pipe *pipe = pipe_to_write(self);
    pipe->no_more_writes = true;
    wake(&pipe->reader, NULL);
    wake(&pipe->writer, NULL);
}

static void stop_receiving(struct end *self) {
    struct pipe *pipe = pipe_to_read(self);
    pipe->no_more_reads = true;
    wake(&pipe->reader, NULL);
    wake(&pipe->writer, NULL);
}

static eio_err *flow_shutdown(eio_flow *flow, eio_shutdown how) {
    struct end *self = end_of_flow(flow);
    if (self->closed)
        return closed("shutdown");
    if (how != EIO_SHUTDOWN_RECEIVE)
        stop_sending(self);
    if (how != EIO_SHUTDOWN_SEND)
        stop_receiving(self);
    return NULL;
}

static void flow_close(eio_flow *flow) {
    struct end *self = end_of_flow(flow);
    if (self->closed)
        return;
    self->closed = true;
    wake(&pipe_to_read(self)->reader, closed("read"));
    wake(&pipe_to_write(self)->writer, closed("write"));
    stop_sending(self);
    stop_receiving(self);
    pipe_to_read(self)->len = 0;
}

static void flow_free(eio_flow *flow) {
    struct end *self = end_of_flow(flow);
    eio_hook_remove(&self->hook);
    flow_close(flow);
    unref(self->pair);
}

static eio_err *release(eio_hook *hook) {
    struct end *self = EIOI_CONTAINER_OF(hook, struct end, hook);
    eio_flow_free(&self->flow);
    return NULL;
}

static const struct eio_source_ops source_ops = {.name = "mock pair", .single_read = single_read};

static const struct eio_sink_ops sink_ops = {.name = "mock pair", .single_write = single_write};

static const struct eio_flow_ops flow_ops = {
    .name = "mock pair",
    .shutdown = flow_shutdown,
    .close = flow_close,
    .free = flow_free,
};

static void end_init(struct end *self, struct pair *pair, eio_switch *sw) {
    self->flow.source.ops = &source_ops;
    self->flow.sink.ops = &sink_ops;
    self->flow.ops = &flow_ops;
    self->pair = pair;
    eio_switch_attach(sw, &self->hook, release);
}

eio_err *eio_mock_flow_pair(eio_switch *sw, size_t bound_bytes, eio_stream_socket **out_a,
                            eio_stream_socket **out_b) {
    EIO_ASSERT(bound_bytes > 0, "a flow pair must hold at least one byte");
    if (bound_bytes > SIZE_MAX / 4)
        return eio_err_const(&eio_err_out_of_memory);
    struct pair *self = eioi_zalloc(sizeof *self + 2 * bound_bytes);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    self->bound = bound_bytes;
    self->shares = 2;
    self->pipes[0].bytes = self->bytes;
    self->pipes[1].bytes = self->bytes + bound_bytes;
    end_init(&self->ends[0], self, sw);
    end_init(&self->ends[1], self, sw);
    *out_a = &self->ends[0].socket;
    *out_b = &self->ends[1].socket;
    return NULL;
}

void eio_mock_flow_pair_reset(eio_stream_socket *socket) {
    struct end *end = end_of_flow(&socket->flow);
    struct pair *self = end->pair;
    self->reset = true;
    for (size_t i = 0; i < 2; i++) {
        self->pipes[i].len = 0;
        wake(&self->pipes[i].reader, NULL);
        wake(&self->pipes[i].writer, NULL);
    }
}
