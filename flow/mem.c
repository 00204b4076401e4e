// SPDX-License-Identifier: ISC

// Flows in memory. None of them has a state beyond what its struct shows, suspends, or holds
// anything that would have to be given back: the string source has a `lend` of its own, so that the
// library never keeps a buffer for it, and the null flow never lends, so that it is never written
// to and may be shared by all threads.

#include "eio/mem.h"

#include <stdint.h>
#include <string.h>

#include "eio/buf_read.h"
#include "fiber/base/assert.h"
#include "flow/flow_pi.h"

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

// --- String source -------------------------------------------------------------------------------

static const struct eio_source_ops string_source_ops;

static eio_err *string_source_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    eio_string_source *self = EIO_SELF(eio_string_source, source, src, &string_source_ops);
    if (self->rest.len == 0)
        return eio_err_const(&eio_err_end_of_file);
    size_t len = min_size(buf.len, self->rest.len);
    memcpy(buf.base, self->rest.base, len);
    self->rest = eio_slice_drop(self->rest, len);
    *out_got = len;
    return NULL;
}

static eio_err *string_source_lend(eio_source *src, eio_slice *out) {
    eio_string_source *self = EIO_SELF(eio_string_source, source, src, &string_source_ops);
    if (self->rest.len == 0)
        return eio_err_const(&eio_err_end_of_file);
    *out = self->rest;
    return NULL;
}

static void string_source_release(eio_source *src, size_t used) {
    eio_string_source *self = EIO_SELF(eio_string_source, source, src, &string_source_ops);
    EIO_ASSERT(used <= self->rest.len, "release of more than was lent");
    self->rest = eio_slice_drop(self->rest, used);
}

static const struct eio_source_ops string_source_ops = {
    .name = "string source",
    .single_read = string_source_single_read,
    .lend = string_source_lend,
    .release = string_source_release,
};

void eio_string_source_init(eio_string_source *self, eio_slice bytes) {
    *self = (eio_string_source){.source.ops = &string_source_ops, .rest = bytes};
}

struct copied_source {
    eio_string_source base;
    uint8_t bytes[]; // what `base` reads out
};

eio_err *eio_string_source_create(eio_switch *sw, eio_slice bytes, eio_source **out) {
    if (bytes.len > SIZE_MAX - sizeof(struct copied_source))
        return eio_err_const(&eio_err_out_of_memory);
    void *memory;
    EIO_TRY(eio_switch_alloc(sw, sizeof(struct copied_source) + bytes.len, &memory));
    struct copied_source *self = memory;
    if (bytes.len > 0)
        memcpy(self->bytes, bytes.base, bytes.len);
    eio_string_source_init(&self->base, eio_slice_of(self->bytes, bytes.len));
    *out = &self->base.source;
    return NULL;
}

// --- Buffer sink ---------------------------------------------------------------------------------

static const struct eio_sink_ops buffer_sink_ops;

static eio_err *buffer_sink_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                                         size_t *out_wrote) {
    eio_buffer_sink *self = EIO_SELF(eio_buffer_sink, sink, sink, &buffer_sink_ops);
    if (self->room == 0)
        return eio_err_const(&eio_err_buffer_limit_exceeded);
    size_t wrote = 0;
    for (size_t i = 0; i < n && self->room > 0; i++) {
        size_t len = min_size(slices[i].len, self->room);
        eio_strbuf_add(self->out, slices[i].base, len);
        if (self->out->failed)
            return eio_err_const(&eio_err_out_of_memory);
        self->room -= len;
        wrote += len;
    }
    *out_wrote = wrote;
    return NULL;
}

static const struct eio_sink_ops buffer_sink_ops = {
    .name = "buffer sink",
    .single_write = buffer_sink_single_write,
};

void eio_buffer_sink_init(eio_buffer_sink *self, eio_strbuf *out, size_t max_bytes) {
    *self = (eio_buffer_sink){.sink.ops = &buffer_sink_ops, .out = out, .room = max_bytes};
}

// --- Null flow -----------------------------------------------------------------------------------

static eio_err *null_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    (void)src;
    (void)buf;
    (void)out_got;
    return eio_err_const(&eio_err_end_of_file);
}

static eio_err *null_lend(eio_source *src, eio_slice *out) {
    (void)src;
    (void)out;
    return eio_err_const(&eio_err_end_of_file);
}

// Is there because `lend` is; what is never lent is never given back.
static void null_release(eio_source *src, size_t used) {
    (void)src;
    (void)used;
}

static eio_err *null_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                                  size_t *out_wrote) {
    (void)sink;
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += slices[i].len;
    *out_wrote = total;
    return NULL;
}

static eio_err *null_shutdown(eio_flow *flow, eio_shutdown how) {
    (void)flow;
    (void)how;
    return NULL;
}

static void null_close(eio_flow *flow) {
    (void)flow;
}

static const struct eio_source_ops null_source_ops = {
    .name = "null flow",
    .single_read = null_single_read,
    .lend = null_lend,
    .release = null_release,
};

static const struct eio_sink_ops null_sink_ops = {
    .name = "null flow",
    .single_write = null_single_write,
};

static const struct eio_flow_ops null_flow_ops = {
    .name = "null flow",
    .shutdown = null_shutdown,
    .close = null_close,
    .free = null_close,
};

eio_flow *eio_null_flow(void) {
    static eio_flow flow = {
        .source.ops = &null_source_ops,
        .sink.ops = &null_sink_ops,
        .ops = &null_flow_ops,
    };
    return &flow;
}
