// SPDX-License-Identifier: ISC

// Bytes are printed so that a protocol reads well: quoted, cut after each newline, every piece
// under the opening quote of the first. So the column of that quote must be known before anything
// is printed; it counts the text in front and the trace prefix of the running fiber. A list goes on
// in a new line, under its first item, where the next item would reach the margin.

#include "mock/trace_bytes.h"

#include <stdarg.h>
#include <string.h>

#include "eio/strbuf.h"
#include "eio/trace.h"

enum { LINE_MAX_COLUMNS = 77 };

static size_t piece_len(eio_slice rest) {
    const uint8_t *newline = rest.len == 0 ? NULL : memchr(rest.base, '\n', rest.len);
    return newline == NULL ? rest.len : (size_t)(newline - rest.base) + 1;
}

static void add_new_line(eio_strbuf *out, size_t column) {
    eio_strbuf_addf(out, "\n%*s", (int)column, "");
}

// The default printer: the pieces under one another, the first one at `column` of the current line.
static void print_pieces(void *arg, eio_slice bytes, size_t column, eio_strbuf *out) {
    (void)arg;
    for (;;) {
        size_t len = piece_len(bytes);
        eio_strbuf_add_quoted(out, eio_slice_of(bytes.base, len));
        bytes = eio_slice_drop(bytes, len);
        if (bytes.len == 0)
            return;
        add_new_line(out, column);
    }
}

static void print(const eio_mock_printer *printer, eio_slice bytes, size_t column,
                  eio_strbuf *out) {
    if (printer != NULL && printer->fn != NULL)
        printer->fn(printer->arg, bytes, column, out);
    else
        print_pieces(NULL, bytes, column, out);
}

// How far the last line of `text` reaches, if its first one starts at `column`.
static size_t end_column(const char *text, size_t column) {
    const char *newline = strrchr(text, '\n');
    return newline == NULL ? column + strlen(text) : strlen(newline + 1);
}

// The columns of `bytes`, as if all pieces were in one line.
static size_t width(const eio_mock_printer *printer, eio_slice bytes) {
    eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    print(printer, bytes, /* column= */ 0, &text);
    size_t columns = text.len;
    for (const char *c = eio_strbuf_str(&text); (c = strchr(c, '\n')) != NULL; c++)
        columns--;
    return columns;
}

static void add_list(eio_strbuf *out, const eio_mock_printer *printer, const eio_slice *slices,
                     size_t n, size_t column) {
    eio_strbuf_addc(out, '[');
    size_t first_column = column + 1;
    size_t at = first_column;
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            eio_strbuf_addc(out, ';');
            // A space, the item, and the ';' or ']' behind it.
            if (at + 2 + width(printer, slices[i]) + 1 > LINE_MAX_COLUMNS) {
                add_new_line(out, first_column);
                at = first_column;
            } else {
                eio_strbuf_addc(out, ' ');
                at += 2;
            }
        }
        size_t start = out->len;
        print(printer, slices[i], at, out);
        at = end_column(eio_strbuf_str(out) + start, at);
    }
    eio_strbuf_addc(out, ']');
}

static size_t column_after(const eio_strbuf *head) {
    return eio_trace_prefix_len() + head->len;
}

static eio_err *trace(const eio_strbuf *line) {
    if (line->failed)
        return eio_err_const(&eio_err_out_of_memory);
    eio_traceln("%s", eio_strbuf_str(line));
    return NULL;
}

eio_err *eioi_mock_trace_bytes(const eio_mock_printer *printer, eio_slice bytes, const char *head,
                               ...) {
    eio_strbuf line EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    va_list args;
    va_start(args, head);
    eio_strbuf_vaddf(&line, head, args);
    va_end(args);
    print(printer, bytes, column_after(&line), &line);
    return trace(&line);
}

eio_err *eioi_mock_trace_list(const eio_mock_printer *printer, const eio_slice *slices, size_t n,
                              const char *head, ...) {
    eio_strbuf line EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    va_list args;
    va_start(args, head);
    eio_strbuf_vaddf(&line, head, args);
    va_end(args);
    add_list(&line, printer, slices, n, column_after(&line));
    return trace(&line);
}
