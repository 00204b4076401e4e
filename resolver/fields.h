// SPDX-License-Identifier: ISC
#ifndef EIO_RESOLVER_FIELDS_H
#define EIO_RESOLVER_FIELDS_H

// Walks the lines of a text file and the fields of a line: fields are separated by blanks, a
// comment starts with one of the given characters, and nothing is copied.

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "eio/slice.h"

/**
 * The next line of `*text` without its line end and its comment, taken off `*text`; false at the
 * end.
 */
static inline bool eioi_next_line(eio_slice *text, const char *comment_chars, eio_slice *out) {
    if (text->len == 0)
        return false;
    const uint8_t *end = memchr(text->base, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->base);
    size_t used = 0;
    while (used < len &&
           (text->base[used] == '\0' || strchr(comment_chars, text->base[used]) == NULL))
        used++;
    *out = eio_slice_of(text->base, used);
    *text = eio_slice_drop(*text, end == NULL ? len : len + 1);
    return true;
}

static inline bool eioi_is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** The next field of `*line`, taken off it; false when there is none. */
static inline bool eioi_next_field(eio_slice *line, eio_slice *out) {
    size_t start = 0;
    while (start < line->len && eioi_is_blank(line->base[start]))
        start++;
    size_t end = start;
    while (end < line->len && !eioi_is_blank(line->base[end]))
        end++;
    if (start == end)
        return false;
    *out = eio_slice_of(line->base + start, end - start);
    *line = eio_slice_drop(*line, end);
    return true;
}

/** Whether `field` is `text`. */
static inline bool eioi_field_is(eio_slice field, const char *text) {
    return field.len == strlen(text) && memcmp(field.base, text, field.len) == 0;
}

/** `field` as a decimal number of at most `max`; false when it isn't one. */
static inline bool eioi_field_number(eio_slice field, unsigned max, unsigned *out) {
    unsigned value = 0;
    for (size_t i = 0; i < field.len; i++) {
        if (field.base[i] < '0' || field.base[i] > '9')
            return false;
        unsigned digit = field.base[i] - (unsigned)'0';
        if (value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (field.len == 0)
        return false;
    *out = value;
    return true;
}

#endif
