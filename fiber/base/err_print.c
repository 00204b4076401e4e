// SPDX-License-Identifier: ISC

// The text of errors. There are two styles of laying an Io error out, and where it stands decides
// which:
//
// - by itself, or in a Multiple: each context line on a line of its own, two columns in from where
//   the error starts;
// - in a Multiple_io: context lines follow on the same line while they fit, else on the next, two
//   columns in.
//
// Children are lines that begin with `- `. Those of a Multiple_io stand under the column in which
// the Multiple_io starts; those of a Multiple always stand at the margin, since a Multiple's text
// is put in where it's wanted as it is.
//
// Errors nest as deep as programs combine them, and fibers' stacks are small, so a Multiple that is
// being printed is a frame of a stack of our own, not of the machine's. Indentation stops growing
// at MAX_INDENT, which also keeps the text of a deep tree linear in its size.

#include "eio/err.h"

#include <stdio.h>
#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/err_object.h"

enum {
    LINE_BYTES = 77,     // a context line that stays on the line ends here at the latest
    TOPLEVEL_BYTES = 66, // longer texts don't stand on the line of `Exception:`
    MAX_INDENT = 68,
    FEW_FRAMES = 16,
};

/** A Multiple or Multiple_io whose children are being printed. */
struct frame {
    const eio_err *err;
    size_t next;   // the child that comes next
    size_t column; // where the error's text started
    bool nested;   // child of a Multiple_io
};

struct printer {
    eio_strbuf *out;
    size_t column;        // bytes since the line began, or since the text that is put in as it is
    struct frame *frames; // `few`, or allocated
    size_t depth, cap;    // in use, and room, at `frames`
    struct frame few[FEW_FRAMES]; // enough for nearly all errors
};

static atomic_bool backend_hidden;

void eio_err_show_backend(bool show) {
    atomic_store_explicit(&backend_hidden, !show, memory_order_relaxed);
}

static void put(struct printer *self, const char *text) {
    size_t len = strlen(text);
    eio_strbuf_add(self->out, text, len);
    self->column += len;
}

static void put_quoted(struct printer *self, const char *text) {
    size_t before = self->out->len;
    eio_strbuf_add_quoted(self->out, eio_slice_of_str(text));
    self->column += self->out->len - before;
}

static void new_line(struct printer *self, size_t column) {
    size_t indent = column < MAX_INDENT ? column : MAX_INDENT;
    eio_strbuf_addf(self->out, "\n%*s", (int)indent, "");
    self->column = indent;
}

static void push(struct printer *self, const eio_err *err, size_t column, bool nested) {
    if (self->depth == self->cap) {
        size_t cap = self->cap * 2;
        struct frame *old = self->frames == self->few ? NULL : self->frames;
        struct frame *frames = eioi_realloc(old, cap * sizeof *frames);
        if (frames == NULL) {
            self->out->failed = true;
            return;
        }
        if (old == NULL)
            memcpy(frames, self->few, sizeof self->few);
        self->frames = frames;
        self->cap = cap;
    }
    self->frames[self->depth++] = (struct frame){.err = err, .column = column, .nested = nested};
}

// The two kinds of strerror_r: glibc's returns the text, the standard's fills the buffer.
static const char *text_of_gnu(char *text, const char *buf) {
    (void)buf;
    return text;
}
static const char *text_of_posix(int failed, const char *buf) {
    return failed != 0 ? "Unknown error" : buf;
}
#define TEXT_OF(result, buf) \
    _Generic((result), char * : text_of_gnu, int : text_of_posix)(result, buf)

static void put_os(struct printer *self, const eio_err *err) {
    char buf[128];
    put(self, "Unix_error (");
    put(self, TEXT_OF(strerror_r(err->errnum, buf, sizeof buf), buf));
    put(self, ", ");
    put_quoted(self, err->op);
    put(self, ", \"\")");
}

// Whether there is a detail or a text.
static bool has_argument(const eio_err *object) {
    return object != NULL && object->payload != EIOI_ERR_PLAIN;
}

static void put_argument(struct printer *self, const eio_err *object) {
    bool backend = object->payload != EIOI_ERR_TEXT;
    if (backend && atomic_load_explicit(&backend_hidden, memory_order_relaxed))
        put(self, "_");
    else if (object->payload == EIOI_ERR_OS)
        put_os(self, object);
    else
        put(self, object->data);
}

// The names from below eio_err_io down to `kind`, a space between them; false when there are none.
// Recursion is as deep as the tree of kinds, which is written by hand.
static bool put_names(struct printer *self, const eio_err_kind *kind) {
    if (kind == &eio_err_io)
        return false;
    bool any = put_names(self, kind->parent);
    if (kind->name == NULL)
        return any;
    if (any)
        put(self, " ");
    put(self, kind->name);
    return true;
}

static void put_code(struct printer *self, const eio_err *err) {
    const eio_err *object = eioi_err_object(err);
    bool named = put_names(self, eio_err_kind_of(err));
    if (has_argument(object)) {
        if (named)
            put(self, " ");
        put_argument(self, object);
    } else if (!named) {
        put(self, "_"); // a constant of a kind that is all detail
    }
}

static void put_steps(struct printer *self, const eio_err *err, size_t column, bool nested) {
    const eio_err *object = eioi_err_object(err);
    const struct eioi_err_step *it = object != NULL ? object->oldest_step : NULL;
    for (; it != NULL; it = it->newer) {
        // A line that stays on the line has room for the separator of the one after it, too.
        size_t after = it->newer != NULL ? strlen(", ") : 0;
        size_t end = self->column + strlen(", ") + strlen(it->text) + after;
        bool fits = nested && end <= LINE_BYTES;
        put(self, fits ? ", " : ",");
        if (!fits)
            new_line(self, column + 2);
        put(self, it->text);
    }
}

// The text of an Io error from its code on. What follows the children of a Multiple_io comes when
// its frame ends.
static void put_io(struct printer *self, const eio_err *err, bool nested) {
    size_t column = self->column;
    // A Multiple_io by itself stands where its line starts, before `Eio.Io `.
    size_t start = nested ? column : column - strlen("Eio.Io ");
    put_code(self, err);
    if (eio_err_child_count(err) > 0)
        push(self, err, start, nested);
    else
        put_steps(self, err, start, nested);
}

static void put_plain(struct printer *self, const eio_err *err) {
    const eio_err *object = eioi_err_object(err);
    put(self, eio_err_kind_of(err)->name);
    if (has_argument(object)) {
        put(self, "(");
        put_quoted(self, object->data);
        put(self, ")");
    }
}

// The text of `err` but for a Multiple's children: those come when its frame is at the top.
static void put_error(struct printer *self, const eio_err *err) {
    for (; eio_err_inner(err) != NULL; err = eio_err_inner(err)) {
        put(self, "Cancelled: ");
        self->column = 0;
    }
    if (eio_err_is(err, &eio_err_io)) {
        put(self, "Eio.Io ");
        put_io(self, err, /* nested= */ false);
    } else if (eio_err_child_count(err) > 0) {
        put(self, "Multiple exceptions:");
        push(self, err, 0, /* nested= */ false);
    } else {
        put_plain(self, err);
    }
}

// The next line or lines of the Multiple at the top of the stack.
static void put_child(struct printer *self) {
    struct frame *top = &self->frames[self->depth - 1];
    if (top->next == eio_err_child_count(top->err)) {
        struct frame done = *top;
        self->depth--;
        put_steps(self, done.err, done.column, done.nested);
        return;
    }
    const eio_err *child = eio_err_child(top->err, top->next++);
    new_line(self, top->column);
    put(self, "- ");
    if (eio_err_is(top->err, &eio_err_io))
        put_io(self, child, /* nested= */ true);
    else
        put_error(self, child);
}

void eio_err_print(const eio_err *err, eio_strbuf *out) {
    if (err == NULL) {
        eio_strbuf_adds(out, "ok");
        return;
    }
    struct printer self = {.out = out, .cap = FEW_FRAMES};
    self.frames = self.few;
    put_error(&self, err);
    while (self.depth > 0 && !out->failed)
        put_child(&self);
    if (self.frames != self.few)
        eioi_free(self.frames);
}

// Whether the toplevel writes `err` as a value, `Failure "a".`, for want of a printer of its own.
static bool is_value(const eio_err *err) {
    return !eio_err_is(err, &eio_err_io) && !eio_err_is(err, &eio_err_cancelled) &&
           eio_err_kind_of(err) != &eio_err_multiple;
}

// `Failure "a"`; a text that would go beyond the line stands on the next one.
static void print_value(const eio_err *err, eio_strbuf *out) {
    const eio_err *object = eioi_err_object(err);
    size_t start = out->len;
    eio_strbuf_adds(out, eio_err_kind_of(err)->name);
    if (!has_argument(object))
        return;
    eio_strbuf quoted = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&quoted, eio_slice_of_str(object->data));
    bool fits = out->len - start + strlen(" ") + quoted.len <= LINE_BYTES;
    eio_strbuf_adds(out, fits ? " " : "\n ");
    eio_strbuf_adds(out, eio_strbuf_str(&quoted));
    out->failed = out->failed || quoted.failed;
    eio_strbuf_free(&quoted);
}

void eio_err_print_toplevel(const eio_err *err, eio_strbuf *out) {
    if (err == NULL) {
        eio_strbuf_adds(out, "ok");
        return;
    }
    eio_strbuf_adds(out, "Exception: ");
    size_t start = out->len;
    if (is_value(err)) {
        print_value(err, out);
        eio_strbuf_addc(out, '.');
    } else {
        eio_err_print(err, out);
    }
    if (out->len - start > TOPLEVEL_BYTES)
        out->base[start - 1] = '\n';
}

void eio_err_print_trace(const eio_err *err, eio_strbuf *out) {
    const eio_err *self = eioi_err_object(err);
    size_t count = self != NULL ? self->place_count : 0;
    for (size_t i = count > EIOI_ERR_PLACES ? count - EIOI_ERR_PLACES : 0; i < count; i++) {
        const struct eioi_err_place *place = &self->places[i % EIOI_ERR_PLACES];
        eio_strbuf_addf(out, "  at %s:%d\n", place->file, place->line);
    }
}

const char *eio_err_str(const eio_err *err, char *buf, size_t len) {
    if (len == 0)
        return buf;
    eio_strbuf text = EIO_STRBUF_INIT;
    eio_err_print(err, &text);
    const char *from = eio_strbuf_str(&text);
    // Without memory for the text, its kind is better than nothing.
    if (text.failed && text.len == 0 && err != NULL && eio_err_kind_of(err)->name != NULL)
        from = eio_err_kind_of(err)->name;
    (void)snprintf(buf, len, "%s", from);
    eio_strbuf_free(&text);
    return buf;
}
