// SPDX-License-Identifier: ISC

// Text that grows by doubling. Invariant: `base` is NULL, and `len` and `cap` are 0, or `len < cap`
// and `base[len]` is NUL. A failure leaves what was there, sets `failed`, and makes every later
// addition a no-op, so that the text is always a prefix of what was meant.

#include "eio/strbuf.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"

enum { FIRST_CAP = 64 };

// Room for `more` bytes and the NUL; false (and `failed`) when there is none.
static bool reserve(eio_strbuf *self, size_t more) {
    if (self->failed)
        return false;
    EIO_ASSERT(self->base == NULL || self->len < self->cap, "the buffer was overwritten");
    if (self->base != NULL && more < self->cap - self->len)
        return true;
    size_t cap = self->cap == 0 ? FIRST_CAP : self->cap;
    while (cap <= SIZE_MAX / 2 && cap - self->len <= more)
        cap *= 2;
    char *base = cap - self->len > more ? eioi_realloc(self->base, cap) : NULL;
    if (base == NULL) {
        self->failed = true;
        return false;
    }
    self->base = base;
    self->cap = cap;
    return true;
}

void eio_strbuf_add(eio_strbuf *self, const void *base, size_t len) {
    if (len == 0 || !reserve(self, len))
        return;
    memcpy(self->base + self->len, base, len);
    self->len += len;
    self->base[self->len] = '\0';
}

void eio_strbuf_adds(eio_strbuf *self, const char *str) {
    eio_strbuf_add(self, str, strlen(str));
}

void eio_strbuf_addc(eio_strbuf *self, char c) {
    eio_strbuf_add(self, &c, 1);
}

void eio_strbuf_addf(eio_strbuf *self, const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    eio_strbuf_vaddf(self, fmt, args);
    va_end(args);
}

void eio_strbuf_vaddf(eio_strbuf *self, const char *fmt, va_list args) {
    if (self->failed)
        return;
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    if (len < 0)
        self->failed = true;
    else if (len > 0 && reserve(self, (size_t)len)) {
        (void)vsnprintf(self->base + self->len, (size_t)len + 1, fmt, again);
        self->len += (size_t)len;
    }
    va_end(again);
}

static void add_quoted_byte(eio_strbuf *self, uint8_t c) {
    static const char escaped[] = "\"\\\n\t\r\b";
    static const char letters[] = "\"\\ntrb";
    const char *found = c == 0 ? NULL : strchr(escaped, c);
    if (found != NULL) {
        eio_strbuf_addc(self, '\\');
        eio_strbuf_addc(self, letters[found - escaped]);
    } else if (c >= 0x20 && c <= 0x7e) {
        eio_strbuf_addc(self, (char)c);
    } else {
        eio_strbuf_addf(self, "\\%03u", c);
    }
}

void eio_strbuf_add_quoted(eio_strbuf *self, eio_slice s) {
    eio_strbuf_addc(self, '"');
    for (size_t i = 0; i < s.len; i++)
        add_quoted_byte(self, s.base[i]);
    eio_strbuf_addc(self, '"');
}

const char *eio_strbuf_str(const eio_strbuf *self) {
    return self->base == NULL ? "" : self->base;
}

eio_slice eio_strbuf_slice(const eio_strbuf *self) {
    return eio_slice_of(eio_strbuf_str(self), self->len);
}

void eio_strbuf_clear(eio_strbuf *self) {
    self->len = 0;
    self->failed = false;
    if (self->base != NULL)
        self->base[0] = '\0';
}

void eio_strbuf_free(eio_strbuf *self) {
    eioi_free(self->base);
    *self = (eio_strbuf)EIO_STRBUF_INIT;
}
