// SPDX-License-Identifier: ISC

// A window, `bytes[start..end)`, that slides over the source. All reading goes through
// `eio_buf_read_ensure`, which makes the window longer, and `eio_buf_read_consume`, which cuts off
// its front; the operations only look at the window and decide how much of it to consume. They
// consume last, so one that fails or is cancelled leaves everything where it was, and can be called
// again.
//
// Invariants: start <= end <= cap <= max_size; no_lf <= end - start. The bound comes before the
// end: a window of `max_size` bytes that is to become longer exceeds the limit even if no more
// bytes would come, so what an operation does never depends on how the input was cut into pieces,
// except where it says so (`eio_buf_read_string` shows what is there).
//
// Costs: a byte is searched for LF once (`no_lf` remembers how far, across failed calls, too), and
// is moved within the buffer a bounded number of times: on growing, which doubles; when the
// consumed part in front is at least as long as the window; else only when there is no room at all.

#include "eio/buf_read.h"

#include <inttypes.h>
#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "flow/flow_pi.h"

enum { FIRST_CAP = 4096 };

const eio_err_kind eio_err_buffer_limit_exceeded = {NULL, "Eio__Buf_read.Buffer_limit_exceeded"};

static const struct eio_source_ops reader_source_ops;

// Its address tells threads apart.
static _Thread_local char this_thread;

static size_t min_size(size_t a, size_t b) {
    return a < b ? a : b;
}

static size_t max_size_of(size_t a, size_t b) {
    return a > b ? a : b;
}

static eio_slice first_of(eio_slice s, size_t len) {
    return eio_slice_of(s.base, len);
}

// --- Life ----------------------------------------------------------------------------------------

eio_err *eio_buf_read_init(eio_buf_read *self, eio_source *from, size_t max_size) {
    *self = (eio_buf_read){
        .source.ops = &reader_source_ops,
        .from = from,
        .max_size = max_size,
        .thread = &this_thread,
    };
    if (max_size == 0)
        return eio_err_new(&eio_err_invalid_argument, "Max size 0 should be positive!");
    return NULL;
}

void eio_buf_read_fini(eio_buf_read *self) {
    if (self == NULL)
        return;
    if (self->passing && self->source.lent != NULL)
        eio_source_release(self->from, 0);
    eio_source_fini(&self->source);
    eioi_free(self->bytes);
    self->bytes = NULL;
    self->cap = self->start = self->end = self->no_lf = 0;
    self->max_size = 0;
}

static eio_err *release_reader(eio_hook *hook) {
    eio_buf_read_fini((eio_buf_read *)(void *)((char *)hook - offsetof(eio_buf_read, hook)));
    return NULL;
}

eio_err *eio_buf_read_create(eio_switch *sw, eio_source *from, size_t max_size,
                             eio_buf_read **out) {
    eio_buf_read *self;
    EIO_TRY(EIO_SWITCH_NEW(sw, &self));
    EIO_TRY(eio_buf_read_init(self, from, max_size));
    eio_switch_attach(sw, &self->hook, release_reader);
    *out = self;
    return NULL;
}

// --- The window ----------------------------------------------------------------------------------

static size_t window_len(const eio_buf_read *self) {
    return self->end - self->start;
}

static void move_to_front(eio_buf_read *self) {
    if (self->start == 0)
        return;
    size_t len = window_len(self);
    memmove(self->bytes, self->bytes + self->start, len);
    self->start = 0;
    self->end = len;
}

static eio_err *grow(eio_buf_read *self, size_t need) {
    size_t twice = self->cap <= SIZE_MAX / 2 ? self->cap * 2 : SIZE_MAX;
    size_t usual = self->cap == 0 ? FIRST_CAP : twice;
    size_t cap = max_size_of(need, min_size(self->max_size, usual));
    uint8_t *bytes = eioi_alloc(cap);
    if (bytes == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    size_t len = window_len(self);
    if (len > 0)
        memcpy(bytes, self->bytes + self->start, len);
    eioi_free(self->bytes);
    self->bytes = bytes;
    self->cap = cap;
    self->start = 0;
    self->end = len;
    return NULL;
}

// Room for a window of `need` bytes.
static eio_err *make_room(eio_buf_read *self, size_t need) {
    if (need > self->cap)
        return grow(self, need);
    if (self->start >= window_len(self) || need > self->cap - self->start)
        move_to_front(self);
    return NULL;
}

static void check_usable(const eio_buf_read *self) {
    EIO_ASSERT(self->max_size > 0, "buffered reader used after its end");
    EIO_ASSERT(self->thread == &this_thread, "buffered reader used in another thread");
    EIO_ASSERT(self->source.lent == NULL, "buffered reader used while its bytes are lent");
}

// Remembers the end, so that the source isn't asked again.
static eio_err *note_end(eio_buf_read *self, eio_err *err) {
    if (err != NULL && eio_err_is(err, &eio_err_end_of_file))
        self->at_eof = true;
    return err;
}

static eio_err *lengthen(eio_buf_read *self, size_t need) {
    check_usable(self);
    if (need > self->max_size)
        return eio_err_const(&eio_err_buffer_limit_exceeded);
    if (self->at_eof)
        return eio_err_const(&eio_err_end_of_file);
    EIO_TRY(make_room(self, need));
    while (window_len(self) < need) {
        size_t got;
        eio_buf room = eio_buf_of(self->bytes + self->end, self->cap - self->end);
        EIO_TRY(note_end(self, eio_source_single_read(self->from, room, &got)));
        self->end += got;
        if (EIOI_CANARY(swallow_byte) && got > 3)
            self->end--;
    }
    return NULL;
}

eio_err *eio_buf_read_ensure(eio_buf_read *self, size_t len) {
    return window_len(self) >= len ? NULL : lengthen(self, len);
}

eio_slice eio_buf_read_peek(const eio_buf_read *self) {
    return eio_slice_of(self->bytes == NULL ? NULL : self->bytes + self->start, window_len(self));
}

void eio_buf_read_consume(eio_buf_read *self, size_t len) {
    EIO_ASSERT(self->source.lent == NULL, "buffered reader used while its bytes are lent");
    EIO_ASSERT(len <= window_len(self), "more bytes consumed than are buffered");
    self->start += len;
    self->consumed += len;
    self->no_lf = self->no_lf > len ? self->no_lf - len : 0;
}

size_t eio_buf_read_buffered(const eio_buf_read *self) {
    return window_len(self);
}

uint64_t eio_buf_read_consumed(const eio_buf_read *self) {
    return self->consumed;
}

// The first `len` bytes of the window, consumed. Nothing moves them until the next call.
static eio_slice cut(eio_buf_read *self, size_t len) {
    eio_slice front = first_of(eio_buf_read_peek(self), len);
    eio_buf_read_consume(self, len);
    return front;
}

// One byte more than there is; `*out_more` is false, and nothing is wrong, when the end has come.
static eio_err *one_more(eio_buf_read *self, bool *out_more) {
    eio_err *err = eio_buf_read_ensure(self, window_len(self) + 1);
    *out_more = err == NULL;
    if (eio_err_catch(&err, &eio_err_end_of_file))
        return NULL;
    return err;
}

// --- Lines and blocks ----------------------------------------------------------------------------

eio_err *eio_buf_read_line(eio_buf_read *self, eio_slice *out) {
    const uint8_t *lf = NULL;
    bool more = true;
    while (more) {
        eio_slice fresh = eio_slice_drop(eio_buf_read_peek(self), self->no_lf);
        lf = fresh.len > 0 ? memchr(fresh.base, '\n', fresh.len) : NULL;
        if (lf != NULL)
            break;
        self->no_lf = window_len(self);
        EIO_TRY(one_more(self, &more));
    }
    if (lf == NULL) {
        if (window_len(self) == 0)
            return eio_err_const(&eio_err_end_of_file);
        *out = cut(self, window_len(self));
        return NULL;
    }
    size_t len = (size_t)(lf - (self->bytes + self->start));
    eio_slice line = first_of(cut(self, len + 1), len);
    if (len > 0 && line.base[len - 1] == '\r')
        line.len--;
    *out = line;
    return NULL;
}

eio_err *eio_buf_read_line_to(eio_buf_read *self, eio_strbuf *out) {
    eio_slice line;
    EIO_TRY(eio_buf_read_line(self, &line));
    eio_strbuf_add(out, line.base, line.len);
    return out->failed ? eio_err_const(&eio_err_out_of_memory) : NULL;
}

eio_err *eio_buf_read_take_all(eio_buf_read *self, eio_slice *out) {
    for (bool more = true; more;)
        EIO_TRY(one_more(self, &more));
    *out = cut(self, window_len(self));
    return NULL;
}

eio_err *eio_buf_read_take(eio_buf_read *self, size_t len, eio_slice *out) {
    EIO_TRY(eio_buf_read_ensure(self, len));
    *out = cut(self, len);
    return NULL;
}

// How many bytes of the window, from `i` on, fn accepts one after the other; as an index.
static size_t accepted(const eio_buf_read *self, size_t i, eio_byte_fn *fn, void *arg) {
    eio_slice window = eio_buf_read_peek(self);
    while (i < window.len && fn(arg, window.base[i]))
        i++;
    return i;
}

eio_err *eio_buf_read_take_while(eio_buf_read *self, eio_byte_fn *fn, void *arg, eio_slice *out) {
    size_t len = accepted(self, 0, fn, arg);
    for (bool more = true; more && len == window_len(self); len = accepted(self, len, fn, arg))
        EIO_TRY(one_more(self, &more));
    *out = cut(self, len);
    return NULL;
}

eio_err *eio_buf_read_skip(eio_buf_read *self, uint64_t len) {
    while (len > 0) {
        EIO_TRY(eio_buf_read_ensure(self, 1));
        size_t step = window_len(self) < len ? window_len(self) : (size_t)len;
        eio_buf_read_consume(self, step);
        len -= step;
    }
    return NULL;
}

eio_err *eio_buf_read_skip_while(eio_buf_read *self, eio_byte_fn *fn, void *arg) {
    bool more = true;
    while (more) {
        size_t len = accepted(self, 0, fn, arg);
        eio_buf_read_consume(self, len);
        if (window_len(self) > 0)
            return NULL;
        EIO_TRY(one_more(self, &more));
    }
    return NULL;
}

// --- Bytes and literals --------------------------------------------------------------------------

// As `eio_strbuf_add_quoted` has it, but for one byte in single quotes.
static void add_quoted_char(eio_strbuf *sb, uint8_t c) {
    if (c == '\'' || c == '"') {
        eio_strbuf_adds(sb, c == '"' ? "'\"'" : "'\\''");
        return;
    }
    size_t at = sb->len;
    eio_strbuf_add_quoted(sb, eio_slice_of(&c, 1));
    if (!sb->failed)
        sb->base[at] = sb->base[sb->len - 1] = '\'';
}

static eio_err *failure_of(eio_strbuf *text) {
    return text->failed ? eio_err_const(&eio_err_out_of_memory)
                        : eio_err_failure("%s", eio_strbuf_str(text));
}

static eio_err *unexpected_char(uint8_t expected, uint8_t got) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    eio_strbuf_adds(&text, "Expected ");
    add_quoted_char(&text, expected);
    eio_strbuf_adds(&text, " but got ");
    add_quoted_char(&text, got);
    return failure_of(&text);
}

static eio_err *unexpected_string(eio_slice expected, eio_slice got) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    eio_strbuf_adds(&text, "Expected ");
    eio_strbuf_add_quoted(&text, expected);
    eio_strbuf_adds(&text, " but got ");
    eio_strbuf_add_quoted(&text, first_of(got, min_size(got.len, expected.len)));
    return failure_of(&text);
}

eio_err *eio_buf_read_uint8(eio_buf_read *self, uint8_t *out) {
    EIO_TRY(eio_buf_read_ensure(self, 1));
    *out = self->bytes[self->start];
    eio_buf_read_consume(self, 1);
    return NULL;
}

eio_err *eio_buf_read_any_char(eio_buf_read *self, char *out) {
    uint8_t byte;
    EIO_TRY(eio_buf_read_uint8(self, &byte));
    *out = (char)byte;
    return NULL;
}

eio_err *eio_buf_read_peek_char(eio_buf_read *self, char *out) {
    EIO_TRY(eio_buf_read_ensure(self, 1));
    *out = (char)self->bytes[self->start];
    return NULL;
}

eio_err *eio_buf_read_char(eio_buf_read *self, char expected) {
    char got;
    EIO_TRY(eio_buf_read_peek_char(self, &got));
    if (got != expected)
        return unexpected_char((uint8_t)expected, (uint8_t)got);
    eio_buf_read_consume(self, 1);
    return NULL;
}

eio_err *eio_buf_read_string(eio_buf_read *self, eio_slice expected) {
    size_t matched = 0;
    while (matched < expected.len) {
        EIO_TRY(eio_buf_read_ensure(self, matched + 1));
        eio_slice window = eio_buf_read_peek(self);
        size_t len = min_size(window.len, expected.len);
        if (memcmp(window.base + matched, expected.base + matched, len - matched) != 0)
            return unexpected_string(expected, window);
        matched = len;
    }
    eio_buf_read_consume(self, matched);
    return NULL;
}

static eio_err *take_number(eio_buf_read *self, size_t len, bool little_endian, uint64_t *out) {
    eio_slice bytes;
    EIO_TRY(eio_buf_read_take(self, len, &bytes));
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | bytes.base[little_endian ? len - 1 - i : i];
    *out = value;
    return NULL;
}

eio_err *eio_buf_read_be_uint16(eio_buf_read *self, uint16_t *out) {
    uint64_t value;
    EIO_TRY(take_number(self, sizeof *out, /* little_endian= */ false, &value));
    *out = (uint16_t)value;
    return NULL;
}

eio_err *eio_buf_read_be_uint32(eio_buf_read *self, uint32_t *out) {
    uint64_t value;
    EIO_TRY(take_number(self, sizeof *out, /* little_endian= */ false, &value));
    *out = (uint32_t)value;
    return NULL;
}

eio_err *eio_buf_read_be_uint64(eio_buf_read *self, uint64_t *out) {
    return take_number(self, sizeof *out, /* little_endian= */ false, out);
}

eio_err *eio_buf_read_le_uint16(eio_buf_read *self, uint16_t *out) {
    uint64_t value;
    EIO_TRY(take_number(self, sizeof *out, /* little_endian= */ true, &value));
    *out = (uint16_t)value;
    return NULL;
}

eio_err *eio_buf_read_le_uint32(eio_buf_read *self, uint32_t *out) {
    uint64_t value;
    EIO_TRY(take_number(self, sizeof *out, /* little_endian= */ true, &value));
    *out = (uint32_t)value;
    return NULL;
}

eio_err *eio_buf_read_le_uint64(eio_buf_read *self, uint64_t *out) {
    return take_number(self, sizeof *out, /* little_endian= */ true, out);
}

// --- The end, and parsers ------------------------------------------------------------------------

eio_err *eio_buf_read_at_end(eio_buf_read *self, bool *out) {
    if (window_len(self) > 0) {
        *out = false;
        return NULL;
    }
    bool more;
    EIO_TRY(one_more(self, &more));
    *out = !more;
    return NULL;
}

eio_err *eio_buf_read_end_of_input(eio_buf_read *self) {
    bool at_end;
    EIO_TRY(eio_buf_read_at_end(self, &at_end));
    return at_end ? NULL : eio_err_failure("Unexpected data after parsing");
}

// What went wrong in the input, as a message that says where. Takes `err` over.
static eio_err *located(const eio_buf_read *self, eio_err *err) {
    uint64_t at = self->consumed;
    if (eio_err_catch(&err, &eio_err_end_of_file))
        return eio_err_failure("Unexpected end-of-file at offset %" PRIu64, at + window_len(self));
    if (eio_err_catch(&err, &eio_err_buffer_limit_exceeded))
        return eio_err_failure("Buffer size limit exceeded when reading at offset %" PRIu64, at);
    if (err == NULL || !eio_err_is(err, &eio_err_failure_kind))
        return err;
    eio_err *message = eio_err_failure("%s (at offset %" PRIu64 ")", eio_err_text(err), at);
    eio_err_drop(err);
    return message;
}

eio_err *eio_buf_read_parse(eio_source *src, size_t max_size, eio_buf_read_fn *fn, void *arg) {
    eio_buf_read in EIO_CLEANUP(eio_buf_read_fini);
    EIO_TRY(eio_buf_read_init(&in, src, max_size));
    eio_err *err = fn(arg, &in);
    if (err == NULL)
        err = eio_buf_read_end_of_input(&in);
    return located(&in, err);
}

// --- As a source ---------------------------------------------------------------------------------

// Small reads come out of the buffer, and fill it; large ones go past an empty one.
static eio_err *reader_single_read(eio_source *src, eio_buf buf, size_t *out_got) {
    eio_buf_read *self = EIO_SELF(eio_buf_read, source, src, &reader_source_ops);
    check_usable(self);
    if (window_len(self) == 0 && !self->at_eof && buf.len >= min_size(self->max_size, FIRST_CAP)) {
        EIO_TRY(note_end(self, eio_source_single_read(self->from, buf, out_got)));
        self->consumed += *out_got;
        return NULL;
    }
    EIO_TRY(eio_buf_read_ensure(self, 1));
    eio_slice front = cut(self, min_size(buf.len, window_len(self)));
    memcpy(buf.base, front.base, front.len);
    *out_got = front.len;
    return NULL;
}

static eio_err *reader_lend(eio_source *src, eio_slice *out) {
    eio_buf_read *self = EIO_SELF(eio_buf_read, source, src, &reader_source_ops);
    check_usable(self);
    self->passing = window_len(self) == 0;
    if (!self->passing) {
        *out = eio_buf_read_peek(self);
        return NULL;
    }
    if (self->at_eof)
        return eio_err_const(&eio_err_end_of_file);
    return note_end(self, eio_source_lend(self->from, out));
}

static void reader_release(eio_source *src, size_t used) {
    eio_buf_read *self = EIO_SELF(eio_buf_read, source, src, &reader_source_ops);
    if (!self->passing) {
        eio_buf_read_consume(self, used);
        return;
    }
    eio_source_release(self->from, used);
    self->passing = false;
    self->consumed += used;
}

static const struct eio_source_ops reader_source_ops = {
    .name = "buffered reader",
    .single_read = reader_single_read,
    .lend = reader_lend,
    .release = reader_release,
};
