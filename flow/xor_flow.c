// SPDX-License-Identifier: ISC

// The wrapper keeps no bytes: a read is changed in place, in the caller's buffer; a write goes
// through a block on the stack, and says how much of it the raw flow took. So it has no state to
// get out of step, whatever is short, fails or is cancelled.

#include "flow/xor_flow.h"

#include "eio/flow_pi.h"

enum { BLOCK = 512 };

static const struct eio_source_ops xor_source_ops;
static const struct eio_sink_ops xor_sink_ops;
static const struct eio_flow_ops xor_flow_ops;

static eio_err *xor_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    struct xor_flow *self = EIO_SELF(struct xor_flow, base.source, src, &xor_source_ops);
    size_t got;
    EIO_TRY(eio_source_single_read(&self->raw->source, buf, &got));
    for (size_t i = 0; i < got; i++)
        buf.base[i] ^= self->key;
    *out_got = got;
    return NULL;
}

static eio_err *xor_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                                 size_t *out_wrote) {
    struct xor_flow *self = EIO_SELF(struct xor_flow, base.sink, sink, &xor_sink_ops);
    uint8_t block[BLOCK];
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t at = 0; at < slices[i].len && len < BLOCK; at++)
            block[len++] = slices[i].base[at] ^ self->key;
    eio_slice changed = eio_slice_of(block, len);
    return eio_sink_single_write(&self->raw->sink, &changed, 1, out_wrote);
}

static eio_err *xor_shutdown(eio_flow *flow, eio_shutdown how) {
    struct xor_flow *self = EIO_SELF(struct xor_flow, base, flow, &xor_flow_ops);
    return eio_flow_shutdown(self->raw, how);
}

static void xor_close(eio_flow *flow) {
    struct xor_flow *self = EIO_SELF(struct xor_flow, base, flow, &xor_flow_ops);
    eio_flow_close(self->raw);
}

static void xor_free(eio_flow *flow) {
    struct xor_flow *self = EIO_SELF(struct xor_flow, base, flow, &xor_flow_ops);
    eio_hook_remove(&self->hook);
    eio_source_fini(&self->base.source);
    eio_flow_close(self->raw);
}

static const struct eio_source_ops xor_source_ops = {
    .name = "xor",
    .single_read = xor_single_read,
};

static const struct eio_sink_ops xor_sink_ops = {
    .name = "xor",
    .single_write = xor_single_write,
};

static const struct eio_flow_ops xor_flow_ops = {
    .name = "xor",
    .shutdown = xor_shutdown,
    .close = xor_close,
    .free = xor_free,
};

void xor_flow_init(struct xor_flow *self, eio_flow *raw, uint8_t key) {
    *self = (struct xor_flow){
        .base = {.source.ops = &xor_source_ops, .sink.ops = &xor_sink_ops, .ops = &xor_flow_ops},
        .raw = raw,
        .key = key,
    };
}

static eio_err *xor_released(eio_hook *hook) {
    xor_free((eio_flow *)(void *)((char *)hook - offsetof(struct xor_flow, hook)));
    return NULL;
}

eio_err *xor_flow_create(eio_switch *sw, eio_flow *raw, uint8_t key, eio_flow **out) {
    struct xor_flow *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    xor_flow_init(self, raw, key);
    eio_switch_attach(sw, &self->hook, xor_released);
    *out = &self->base;
    return NULL;
}
