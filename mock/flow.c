// SPDX-License-Identifier: ISC

// A mock flow has no state but its scripts: reads after close, or after End_of_file, do what the
// script says, and each close prints, as often as it is called. What keeps a switch's end from
// closing once more is that closing takes off the hooks that were set "until closed" (accept,
// attach_to_switch), not those of connect. Freeing takes all of them off, and leaves the memory to
// the run, or the caller, who owns it.

#include "eio/mock/flow.h"

#include <string.h>

#include "eio/flow_pi.h"
#include "eio/trace.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/list.h"
#include "mock/attach.h"
#include "mock/connection.h"
#include "mock/object.h"
#include "mock/script.h"
#include "mock/trace_bytes.h"

enum { DEFAULT_COPY_BYTES = 4096, COPY_BUF_BYTES_MAX = 1 << 20 };

struct mock_flow {
    eio_mock_flow pub;
    struct eioi_mock_object object;
    struct eioi_list hooks;  // struct eioi_mock_hook
    struct eioi_list closes; // struct on_close, oldest first
};

struct on_close {
    struct eioi_list node;
    eio_mock_close_fn *fn;
    void *arg;
};

static const struct eio_source_ops source_ops;
static const struct eio_sink_ops sink_ops;
static const struct eio_flow_ops flow_ops;

_Static_assert(offsetof(eio_mock_flow, unix_flow) == 0,
               "a mock flow stands for a flow of a network of real sockets");

static struct mock_flow *of_pub(eio_mock_flow *pub) {
    return EIOI_CONTAINER_OF(pub, struct mock_flow, pub);
}

eio_mock_flow *eio_mock_flow_of(eio_flow *flow) {
    return EIO_SELF(eio_mock_flow, flow, flow, &flow_ops);
}

eio_mock_flow *eio_mock_flow_of_source(eio_source *source) {
    return EIO_SELF(eio_mock_flow, flow.source, source, &source_ops);
}

eio_mock_flow *eio_mock_flow_of_sink(eio_sink *sink) {
    return EIO_SELF(eio_mock_flow, flow.sink, sink, &sink_ops);
}

static eio_err *single_read(eio_source *source, eio_buf buf, size_t *out_got) {
    struct mock_flow *self = of_pub(eio_mock_flow_of_source(source));
    const char *label = self->object.label;
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_read, &value));
    if (value.bytes.len == 0)
        return eio_err_failure("%s: a read can't get \"\"; raise End_of_file instead", label);
    if (value.bytes.len > buf.len) {
        eio_strbuf quoted EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
        eio_strbuf_add_quoted(&quoted, value.bytes);
        return eio_err_failure("%s: read buffer too short for %s!", label, eio_strbuf_str(&quoted));
    }
    EIO_TRY(eioi_mock_trace_bytes(&self->pub.printer, value.bytes, "%s: read ", label));
    memcpy(buf.base, value.bytes.base, value.bytes.len);
    *out_got = value.bytes.len;
    return NULL;
}

static eio_err *copy_bytes(struct mock_flow *self, size_t *out_size) {
    eio_mock_value value;
    EIO_TRY(eio_mock_handler_run(&self->pub.on_copy_bytes, &value));
    if (value.size == 0)
        return eio_err_failure("%s: a write can't take 0 bytes; raise an error instead",
                               self->object.label);
    *out_size = value.size;
    return NULL;
}

static eio_err *trace_written(struct mock_flow *self, const eio_slice *slices, size_t n) {
    const eio_mock_printer *printer = &self->pub.printer;
    const char *label = self->object.label;
    if (n == 1)
        return eioi_mock_trace_bytes(printer, slices[0], "%s: wrote ", label);
    return eioi_mock_trace_list(printer, slices, n, "%s: wrote ", label);
}

static eio_err *single_write(eio_sink *sink, const eio_slice *slices, size_t n, size_t *out_wrote) {
    struct mock_flow *self = of_pub(eio_mock_flow_of_sink(sink));
    size_t size;
    EIO_TRY(copy_bytes(self, &size));
    // Whole slices first, then what still fits of the next one.
    size_t whole = 0;
    size_t wrote = 0;
    while (whole < n && slices[whole].len <= size - wrote)
        wrote += slices[whole++].len;
    size_t rest = whole < n ? size - wrote : 0;
    eio_slice *taken = eioi_alloc((whole + 1) * sizeof *taken);
    if (taken == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    memcpy(taken, slices, whole * sizeof *taken);
    if (rest > 0)
        taken[whole] = eio_slice_of(slices[whole].base, rest);
    eio_err *err = trace_written(self, taken, whole + (rest > 0));
    eioi_free(taken);
    EIO_TRY(err);
    *out_wrote = wrote + rest;
    return NULL;
}

// One round of a copy. The size is asked for before the read, also by the round that finds the end.
static eio_err *copy_round(struct mock_flow *self, eio_source *source) {
    size_t size;
    EIO_TRY(copy_bytes(self, &size));
    if (size > COPY_BUF_BYTES_MAX)
        size = COPY_BUF_BYTES_MAX;
    uint8_t *space = eioi_alloc(size);
    if (space == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    size_t got = 0;
    eio_err *err = eio_source_single_read(source, eio_buf_of(space, size), &got);
    if (err == NULL) {
        eio_slice bytes = eio_slice_of(space, got);
        err = trace_written(self, &bytes, 1);
    }
    eioi_free(space);
    return err;
}

// As copy_round, with the source's own memory. The size is asked for when there is something to
// take.
static eio_err *copy_round_lent(struct mock_flow *self, eio_source *source) {
    eio_slice loan;
    EIO_TRY(eio_source_lend(source, &loan));
    size_t size = 0;
    eio_err *err = copy_bytes(self, &size);
    if (err == NULL) {
        if (size > loan.len)
            size = loan.len;
        loan.len = size;
        err = eioi_mock_trace_list(&self->pub.printer, &loan, 1, "%s: wrote (rsb) ",
                                   self->object.label);
    }
    eio_source_release(source, err == NULL ? size : 0);
    return err;
}

static eio_err *copy_from(eio_sink *sink, eio_source *source) {
    struct mock_flow *self = of_pub(eio_mock_flow_of_sink(sink));
    eio_err *err = NULL;
    while (err == NULL)
        err = self->pub.copy_by_lending ? copy_round_lent(self, source) : copy_round(self, source);
    (void)eio_err_catch(&err, &eio_err_end_of_file);
    return err;
}

static eio_err *flow_shutdown(eio_flow *flow, eio_shutdown how) {
    static const char *const names[] = {[EIO_SHUTDOWN_RECEIVE] = "receive",
                                        [EIO_SHUTDOWN_SEND] = "send",
                                        [EIO_SHUTDOWN_ALL] = "all"};
    struct mock_flow *self = of_pub(eio_mock_flow_of(flow));
    eio_traceln("%s: shutdown %s", self->object.label, names[how]);
    return NULL;
}

static void drop_closes(struct mock_flow *self, bool call) {
    struct eioi_list *node;
    while ((node = eioi_list_pop_head(&self->closes)) != NULL) {
        struct on_close *one = EIOI_CONTAINER_OF(node, struct on_close, node);
        if (call)
            one->fn(one->arg);
        eioi_free(one);
    }
}

static void flow_close(eio_flow *flow) {
    struct mock_flow *self = of_pub(eio_mock_flow_of(flow));
    eioi_mock_detach(&self->hooks, /* only_until_closed= */ true);
    drop_closes(self, /* call= */ true);
    eio_traceln("%s: closed", self->object.label);
}

static void flow_free(eio_flow *flow) {
    struct mock_flow *self = of_pub(eio_mock_flow_of(flow));
    eioi_mock_detach(&self->hooks, /* only_until_closed= */ false);
    flow_close(flow);
}

static const struct eio_source_ops source_ops = {.name = "mock", .single_read = single_read};

static const struct eio_sink_ops sink_ops = {
    .name = "mock",
    .single_write = single_write,
    .copy_from = copy_from,
};

static const struct eio_flow_ops flow_ops = {
    .name = "mock",
    .shutdown = flow_shutdown,
    .close = flow_close,
    .free = flow_free,
};

static void release(void *mock) {
    struct mock_flow *self = mock;
    flow_close(&self->pub.flow);
}

eio_err *eioi_mock_connection_attach(eio_stream_socket *socket, eio_switch *sw, bool until_closed) {
    // Whoever made another kind of flow gave it a switch, too.
    if (socket->flow.ops != &flow_ops)
        return NULL;
    struct mock_flow *self = of_pub(eio_mock_flow_of(&socket->flow));
    return eioi_mock_attach(&self->hooks, sw, release, self, until_closed);
}

eio_err *eio_mock_flow_attach_to_switch(eio_mock_flow *self, eio_switch *sw) {
    return eioi_mock_connection_attach(&self->socket, sw, /* until_closed= */ true);
}

eio_err *eio_mock_flow_on_close(eio_mock_flow *pub, eio_mock_close_fn *fn, void *arg) {
    struct on_close *one = eioi_alloc(sizeof *one);
    if (one == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    *one = (struct on_close){.fn = fn, .arg = arg};
    eioi_list_push_tail(&of_pub(pub)->closes, &one->node);
    return NULL;
}

static void object_destroy(struct eioi_mock_object *object) {
    struct mock_flow *self = EIOI_CONTAINER_OF(object, struct mock_flow, object);
    if (object->abandoned)
        eioi_mock_forget_hooks(&self->hooks);
    else
        eioi_mock_detach(&self->hooks, /* only_until_closed= */ false);
    drop_closes(self, /* call= */ false);
    eio_source_fini(&self->pub.flow.source);
    eio_mock_handler_fini(&self->pub.on_read);
    eio_mock_handler_fini(&self->pub.on_copy_bytes);
    eioi_mock_object_fini(object);
    eioi_free(self);
}

static void object_report(const struct eioi_mock_object *object, eio_strbuf *out) {
    const struct mock_flow *self = EIOI_CONTAINER_OF(object, struct mock_flow, object);
    eioi_mock_report_unused(&self->pub.on_read, out);
    eioi_mock_report_unused(&self->pub.on_copy_bytes, out);
}

static const struct eioi_mock_object_ops object_ops = {
    .destroy = object_destroy,
    .report_unused = object_report,
};

eio_err *eio_mock_flow_create(const char *label, eio_mock_flow **out) {
    struct mock_flow *self = eioi_zalloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    eio_err *err = eioi_mock_object_init(&self->object, label, &object_ops);
    if (err != NULL) {
        eioi_free(self);
        return err;
    }
    eioi_list_init(&self->hooks);
    eioi_list_init(&self->closes);
    self->pub.flow.source.ops = &source_ops;
    self->pub.flow.sink.ops = &sink_ops;
    self->pub.flow.ops = &flow_ops;
    eio_mock_handler_init(&self->pub.on_read, self->object.label, "on_read",
                          eio_mock_raise(eio_err_const(&eio_err_end_of_file)));
    eio_mock_handler_init(&self->pub.on_copy_bytes, self->object.label, "on_copy_bytes",
                          eio_mock_return_size(DEFAULT_COPY_BYTES));
    *out = &self->pub;
    return NULL;
}

void eio_mock_flow_destroy(eio_mock_flow *self) {
    if (self != NULL)
        eioi_mock_object_destroy(&of_pub(self)->object);
}
