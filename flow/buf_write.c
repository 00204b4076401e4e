// SPDX-License-Identifier: ISC

// The gathered bytes are a window, `bytes[start..end)`. A write copies to its end while there is
// room. What doesn't fit is offered to the sink together with the window, in one gathered write, as
// often as it takes until the rest fits: so a large piece is never copied, and none goes out alone
// behind a small one that waited.
//
// Invariant: start <= end <= size, and start < end unless both are 0. What the sink has taken is
// cut off the front after each write, so a failure leaves exactly what is still to be written.

#include "eio/buf_write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "eio/strbuf.h"
#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "flow/flow_pi.h"

static const struct eio_sink_ops writer_sink_ops;

// Its address tells threads apart.
static _Thread_local char this_thread;

// --- Life ----------------------------------------------------------------------------------------

eio_err *eio_buf_write_init(eio_buf_write *self, eio_sink *to, size_t size) {
    *self = (eio_buf_write){
        .sink.ops = &writer_sink_ops,
        .to = to,
        .size = size,
        .thread = &this_thread,
    };
    if (size == 0)
        return eio_err_new(&eio_err_invalid_argument, "Size 0 should be positive!");
    return NULL;
}

void eio_buf_write_fini(eio_buf_write *self) {
    if (self == NULL)
        return;
    EIO_ASSERT(!self->busy, "buffered writer ended while a fiber uses it");
    eioi_free(self->bytes);
    self->bytes = NULL;
    self->size = self->start = self->end = 0;
}

static eio_err *release_writer(eio_hook *hook) {
    eio_buf_write_fini((eio_buf_write *)(void *)((char *)hook - offsetof(eio_buf_write, hook)));
    return NULL;
}

eio_err *eio_buf_write_create(eio_switch *sw, eio_sink *to, size_t size, eio_buf_write **out) {
    eio_buf_write *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    EIO_TRY(eio_buf_write_init(self, to, size));
    eio_switch_attach(sw, &self->hook, release_writer);
    *out = self;
    return NULL;
}

eio_err *eio_buf_write_run(eio_sink *to, size_t size, eio_buf_write_fn *fn, void *arg) {
    eio_buf_write self EIO_CLEANUP(eio_buf_write_fini);
    EIO_TRY(eio_buf_write_init(&self, to, size));
    EIO_TRY(fn(arg, &self));
    return eio_buf_write_flush(&self);
}

// --- The window ----------------------------------------------------------------------------------

static void check_usable(const eio_buf_write *self) {
    EIO_ASSERT(self->size > 0, "buffered writer used after its end");
    EIO_ASSERT(self->thread == &this_thread, "buffered writer used in another thread");
    EIO_ASSERT(!self->busy, "buffered writer used by two fibers at once");
}

static eio_slice window(const eio_buf_write *self) {
    return eio_slice_of(self->bytes + self->start, self->end - self->start);
}

static void cut_front(eio_buf_write *self, size_t len) {
    self->start += len;
    if (self->start == self->end)
        self->start = self->end = 0;
}

// Offers the window and `more` to the sink, once; takes off both what it took.
static eio_err *pass_on(eio_buf_write *self, eio_slice *more) {
    const eio_slice both[2] = {window(self), *more};
    size_t wrote;
    self->busy = true;
    eio_err *err = eio_sink_single_write(self->to, both, 2, &wrote);
    self->busy = false;
    EIO_TRY(err);
    size_t of_window = wrote < both[0].len ? wrote : both[0].len;
    cut_front(self, of_window);
    *more = eio_slice_drop(*more, wrote - of_window);
    return NULL;
}

static eio_err *need_buffer(eio_buf_write *self) {
    if (self->bytes == NULL)
        self->bytes = eioi_alloc(self->size);
    return self->bytes != NULL ? NULL : eio_err_const(&eio_err_out_of_memory);
}

static size_t room(const eio_buf_write *self) {
    return self->size - eio_buf_write_pending(self);
}

// `len` bytes at the window's end, which has room for them.
static uint8_t *extend(eio_buf_write *self, size_t len) {
    if (self->size - self->end < len) {
        eio_slice old = window(self);
        memmove(self->bytes, old.base, old.len);
        self->start = 0;
        self->end = old.len;
    }
    uint8_t *at = self->bytes + self->end;
    self->end += len;
    return at;
}

// --- Writing -------------------------------------------------------------------------------------

size_t eio_buf_write_pending(const eio_buf_write *self) {
    return self->end - self->start;
}

eio_err *eio_buf_write_flush(eio_buf_write *self) {
    check_usable(self);
    eio_slice none = eio_slice_of(NULL, 0);
    while (self->start < self->end)
        EIO_TRY(pass_on(self, &none));
    return NULL;
}

eio_err *eio_buf_write_bytes(eio_buf_write *self, eio_slice bytes) {
    check_usable(self);
    EIO_TRY(need_buffer(self));
    while (bytes.len > room(self))
        EIO_TRY(pass_on(self, &bytes));
    if (bytes.len > 0)
        memcpy(extend(self, bytes.len), bytes.base, bytes.len);
    return NULL;
}

eio_err *eio_buf_write_string(eio_buf_write *self, const char *str) {
    return eio_buf_write_bytes(self, eio_slice_of_str(str));
}

// A text that may be longer than the buffer.
static EIO_PRINTF(2, 0) eio_err *write_long(eio_buf_write *self, const char *fmt, va_list args) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    eio_strbuf_vaddf(&text, fmt, args);
    if (text.failed)
        return eio_err_const(&eio_err_out_of_memory);
    return eio_buf_write_bytes(self, eio_strbuf_slice(&text));
}

eio_err *eio_buf_write_printf(eio_buf_write *self, const char *fmt, ...) {
    enum { SHORT = 256 };
    char text[SHORT];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len >= 0 && len < SHORT)
        return eio_buf_write_bytes(self, eio_slice_of(text, (size_t)len));
    va_start(args, fmt);
    eio_err *err = write_long(self, fmt, args);
    va_end(args);
    return err;
}

// The `len` last bytes of a number, the most significant first.
static eio_err *write_be(eio_buf_write *self, uint64_t n, size_t len) {
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(n >> (8 * (len - 1 - i)));
    return eio_buf_write_bytes(self, eio_slice_of(bytes, len));
}

static eio_err *write_le(eio_buf_write *self, uint64_t n, size_t len) {
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(n >> (8 * i));
    return eio_buf_write_bytes(self, eio_slice_of(bytes, len));
}

eio_err *eio_buf_write_uint8(eio_buf_write *self, uint8_t n) {
    return write_be(self, n, 1);
}

eio_err *eio_buf_write_be_uint16(eio_buf_write *self, uint16_t n) {
    return write_be(self, n, 2);
}

eio_err *eio_buf_write_be_uint32(eio_buf_write *self, uint32_t n) {
    return write_be(self, n, 4);
}

eio_err *eio_buf_write_be_uint64(eio_buf_write *self, uint64_t n) {
    return write_be(self, n, 8);
}

eio_err *eio_buf_write_le_uint16(eio_buf_write *self, uint16_t n) {
    return write_le(self, n, 2);
}

eio_err *eio_buf_write_le_uint32(eio_buf_write *self, uint32_t n) {
    return write_le(self, n, 4);
}

eio_err *eio_buf_write_le_uint64(eio_buf_write *self, uint64_t n) {
    return write_le(self, n, 8);
}

// --- The writer as a sink ------------------------------------------------------------------------

// Takes the first slice, and as many of the others as fit without waiting.
static eio_err *writer_single_write(eio_sink *sink, const eio_slice *slices, size_t n,
                                    size_t *out_wrote) {
    eio_buf_write *self = EIO_SELF(eio_buf_write, sink, sink, &writer_sink_ops);
    size_t wrote = 0;
    for (size_t i = 0; i < n && (i == 0 || slices[i].len <= room(self)); i++) {
        EIO_TRY(eio_buf_write_bytes(self, slices[i]));
        wrote += slices[i].len;
    }
    *out_wrote = wrote;
    return NULL;
}

static const struct eio_sink_ops writer_sink_ops = {
    .name = "buffered writer",
    .single_write = writer_single_write,
};
