// SPDX-License-Identifier: ISC

// Two representations. A constant is its kind's address with bit 0 set (kinds hold pointers, so
// that bit is free): it has no object, nothing can be added to it, and ref and drop do nothing. Any
// other error is a counted object, which is written to by its only holder, and by nobody once it's
// shared: then adding a context line copies it. So an error can be given to several fibers, of
// several domains, and each can add its own story.
//
// Who holds the last reference frees; objects whose count has come to 0 wait on a list, so that a
// tree of any depth (Multiple_io nests at each combine) is freed without recursion: fibers' stacks
// are small.
//
// Nothing here fails: what can't be allocated is left out, in the order of what matters least (a
// context line, the newer of two errors, the reason of a Cancelled, the text), and what is returned
// is an error still.

#include "eio/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fiber/base/alloc.h"
#include "fiber/base/assert.h"
#include "fiber/base/canary.h"
#include "fiber/base/err_object.h"

_Static_assert(_Alignof(eio_err_kind) >= 2, "bit 0 of a kind's address marks a constant");
_Static_assert(_Alignof(struct eio_err) >= 2, "bit 0 of an object's address is clear");

eio_err *eio_err_const(const eio_err_kind *kind) {
    EIO_ASSERT(kind != NULL, "an error needs a kind");
    return (eio_err *)((uintptr_t)kind | 1);
}

static eio_err *out_of_memory(void) {
    return eio_err_const(&eio_err_out_of_memory);
}

// A new object with one reference, room for `data_len` bytes and their NUL; NULL when there is no
// memory.
static eio_err *object_create(const eio_err_kind *kind, size_t data_len) {
    eio_err *self = eioi_zalloc(sizeof *self + data_len + 1);
    if (self == NULL)
        return NULL;
    self->kind = kind;
    atomic_init(&self->refs, 1);
    self->data_len = data_len;
    return self;
}

static EIO_PRINTF(2, 0) eio_err *create_text(const eio_err_kind *kind, const char *fmt,
                                             va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    eio_err *self = len < 0 ? NULL : object_create(kind, (size_t)len);
    if (self != NULL) {
        self->payload = EIOI_ERR_TEXT;
        (void)vsnprintf(self->data, (size_t)len + 1, fmt, again);
    }
    va_end(again);
    return self != NULL ? self : out_of_memory();
}

eio_err *eio_err_new(const eio_err_kind *kind, const char *fmt, ...) {
    EIO_ASSERT(kind != NULL, "an error needs a kind");
    va_list args;
    va_start(args, fmt);
    eio_err *self = create_text(kind, fmt, args);
    va_end(args);
    return self;
}

eio_err *eio_err_failure(const char *fmt, ...) {
    va_list args;
    va_start(args, fmt);
    eio_err *self = create_text(&eio_err_failure_kind, fmt, args);
    va_end(args);
    return self;
}

static bool kind_is(const eio_err_kind *kind, const eio_err_kind *above) {
    while (kind != NULL && kind != above)
        kind = kind->parent;
    return kind != NULL;
}

eio_err *eio_err_os(const eio_err_kind *kind, int errnum, const char *op) {
    EIO_ASSERT(kind_is(kind, &eio_err_io), "an error of the system has a kind below eio_err_io");
    eio_err *self = object_create(kind, 0);
    if (self == NULL)
        return out_of_memory();
    self->payload = EIOI_ERR_OS;
    self->errnum = errnum;
    self->op = op;
    return self;
}

eio_err *eio_err_backend(const eio_err_kind *kind, const char *detail) {
    EIO_ASSERT(kind_is(kind, &eio_err_io), "an error of a backend has a kind below eio_err_io");
    size_t len = strlen(detail);
    eio_err *self = object_create(kind, len);
    if (self == NULL)
        return out_of_memory();
    self->payload = EIOI_ERR_BACKEND;
    memcpy(self->data, detail, len + 1);
    return self;
}

eio_err *eio_err_cancelled_new(eio_err *inner) {
    eio_err *self = object_create(&eio_err_cancelled, 0);
    if (self == NULL) {
        eio_err_drop(inner);
        return eio_err_const(&eio_err_cancelled);
    }
    self->inner = inner;
    return self;
}

eio_err *eio_err_ref(eio_err *err) {
    eio_err *self = eioi_err_object(err);
    if (self == NULL)
        return err;
    size_t before = atomic_fetch_add_explicit(&self->refs, 1, memory_order_relaxed);
    EIO_ASSERT(before > 0, "an error was used after its last reference was dropped");
    return err;
}

// Gives one reference up; the last one puts the object on the list `*dead`.
static void unref(eio_err *err, eio_err **dead) {
    eio_err *self = eioi_err_object(err);
    if (self == NULL)
        return;
    size_t before = atomic_fetch_sub_explicit(&self->refs, 1, memory_order_acq_rel);
    EIO_ASSERT(before > 0, "an error was dropped more often than it was held");
    if (before > 1)
        return;
    self->next_dead = *dead;
    *dead = self;
}

static void free_steps(struct eioi_err_step *oldest) {
    while (oldest != NULL) {
        struct eioi_err_step *newer = oldest->newer;
        eioi_free(oldest);
        oldest = newer;
    }
}

void eio_err_drop(eio_err *err) {
    eio_err *dead = NULL;
    unref(err, &dead);
    while (dead != NULL) {
        eio_err *self = dead;
        dead = self->next_dead;
        unref(self->inner, &dead);
        for (size_t i = 0; i < self->child_count; i++)
            unref(self->children[i], &dead);
        eioi_free(self->children);
        free_steps(self->oldest_step);
        eioi_free(self);
    }
}

void eio_err_cleanup(eio_err **err) {
    eio_err_drop(*err);
    *err = NULL;
}

const eio_err_kind *eio_err_kind_of(const eio_err *err) {
    EIO_ASSERT(err != NULL, "success has no kind");
    const eio_err *self = eioi_err_object(err);
    return self != NULL ? self->kind : (const eio_err_kind *)((uintptr_t)err & ~(uintptr_t)1);
}

bool eio_err_is(const eio_err *err, const eio_err_kind *kind) {
    EIO_ASSERT(kind != NULL, "an error is compared with a kind");
    return err != NULL && kind_is(eio_err_kind_of(err), kind);
}

bool eio_err_catch(eio_err **err, const eio_err_kind *kind) {
    if (!eio_err_is(*err, kind))
        return false;
    eio_err_cleanup(err);
    return true;
}

const char *eio_err_text(const eio_err *err) {
    const eio_err *self = eioi_err_object(err);
    return self != NULL && self->payload == EIOI_ERR_TEXT ? self->data : "";
}

int eio_err_errno(const eio_err *err) {
    const eio_err *self = eioi_err_object(err);
    return self != NULL ? self->errnum : 0;
}

eio_err *eio_err_inner(const eio_err *err) {
    const eio_err *self = eioi_err_object(err);
    return self != NULL ? self->inner : NULL;
}

size_t eio_err_child_count(const eio_err *err) {
    const eio_err *self = eioi_err_object(err);
    return self != NULL ? self->child_count : 0;
}

eio_err *eio_err_child(const eio_err *err, size_t i) {
    EIO_ASSERT(i < eio_err_child_count(err), "there is no child %zu", i);
    return eioi_err_object(err)->children[i];
}

// Whether the caller is the only holder, so that nobody else can read the object, nor come to hold
// it.
static bool only_holder(const eio_err *self) {
    return atomic_load_explicit(&self->refs, memory_order_acquire) == 1;
}

static bool reserve_children(eio_err *self, size_t count) {
    if (count <= self->child_cap)
        return true;
    size_t cap = self->child_cap * 2 > count ? self->child_cap * 2 : count;
    eio_err **children = eioi_realloc(self->children, cap * sizeof *children);
    if (children == NULL)
        return false;
    self->children = children;
    self->child_cap = cap;
    return true;
}

// Room for a context line of `len` bytes; NULL when there is no memory.
static struct eioi_err_step *step_create(size_t len) {
    struct eioi_err_step *step = eioi_alloc(sizeof *step + len + 1);
    if (step != NULL)
        step->newer = NULL;
    return step;
}

static void link_step(eio_err *self, struct eioi_err_step *step) {
    if (self->oldest_step == NULL)
        self->oldest_step = step;
    else
        self->newest_step->newer = step;
    self->newest_step = step;
}

static bool copy_steps(eio_err *self, const struct eioi_err_step *oldest) {
    for (const struct eioi_err_step *it = oldest; it != NULL; it = it->newer) {
        size_t len = strlen(it->text);
        struct eioi_err_step *step = step_create(len);
        if (step == NULL)
            return false;
        memcpy(step->text, it->text, len + 1);
        link_step(self, step);
    }
    return true;
}

// Fills `self`, new, with what `from` has; false when there is no memory (then the caller drops
// `self`).
static bool copy_into(eio_err *self, const eio_err *from, size_t room) {
    self->payload = from->payload;
    self->errnum = from->errnum;
    self->op = from->op;
    memcpy(self->data, from->data, from->data_len + 1);
    self->place_count = from->place_count;
    memcpy(self->places, from->places, sizeof self->places);
    self->inner = eio_err_ref(from->inner);
    if (from->child_count + room > 0 && !reserve_children(self, from->child_count + room))
        return false;
    for (; self->child_count < from->child_count; self->child_count++)
        self->children[self->child_count] = eio_err_ref(from->children[self->child_count]);
    return copy_steps(self, from->oldest_step);
}

// `err` itself when nobody else holds it, else a new object with the same payload, context lines
// and children; in both cases with room for `room` more children. Takes `err` over if it succeeds;
// NULL when there is no memory.
static eio_err *own(eio_err *err, size_t room) {
    eio_err *self = eioi_err_object(err);
    if (self != NULL && only_holder(self))
        return reserve_children(self, self->child_count + room) ? self : NULL;
    eio_err *copy = object_create(eio_err_kind_of(err), self != NULL ? self->data_len : 0);
    if (copy == NULL)
        return NULL;
    bool copied = self != NULL ? copy_into(copy, self, room) : reserve_children(copy, room);
    if (!copied) {
        eio_err_drop(copy);
        return NULL;
    }
    eio_err_drop(err);
    return copy;
}

// A new error of `kind` out of two; the older one when there is no memory.
static eio_err *pair(const eio_err_kind *kind, eio_err *first, eio_err *second) {
    eio_err *self = object_create(kind, 0);
    if (self == NULL || !reserve_children(self, 2)) {
        eio_err_drop(self);
        eio_err_drop(second);
        return first;
    }
    self->children[0] = first;
    self->children[1] = second;
    self->child_count = 2;
    return self;
}

// The Multiple `first` with one child more.
static eio_err *append_child(eio_err *first, eio_err *second) {
    eio_err *self = own(first, 1);
    if (self == NULL) {
        eio_err_drop(second);
        return first;
    }
    self->children[self->child_count++] = second;
    return self;
}

eio_err *eio_err_combine(eio_err *first, eio_err *second) {
    if (first == NULL || second == NULL)
        return first != NULL ? first : second;
    // The order of these rules matters: the same Cancelled twice is one; a Multiple takes Io errors
    // in, too.
    if (first == second || eio_err_is(second, &eio_err_cancelled)) {
        bool keep_second = first != second && eio_err_is(first, &eio_err_cancelled);
        eio_err_drop(keep_second ? first : second);
        return keep_second ? second : first;
    }
    if (eio_err_is(first, &eio_err_cancelled)) {
        eio_err_drop(first);
        return second;
    }
    if (eio_err_is(first, &eio_err_io) && eio_err_is(second, &eio_err_io))
        return pair(&eio_err_multiple_io, first, second);
    if (eio_err_kind_of(first) == &eio_err_multiple)
        return append_child(first, second);
    return pair(&eio_err_multiple, first, second);
}

eio_err *eio_err_collect(eio_err *collected, eio_err *err) {
    // One with context lines of its own is a single failure of something larger.
    const eio_err *self = eioi_err_object(collected);
    bool open = self != NULL && self->kind == &eio_err_multiple_io && self->oldest_step == NULL;
    if (open && err != NULL && err != collected && eio_err_is(err, &eio_err_io))
        return append_child(collected, err);
    return eio_err_combine(collected, err);
}

static EIO_PRINTF(1, 0) struct eioi_err_step *step_format(const char *fmt, va_list args) {
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    struct eioi_err_step *step = len < 0 ? NULL : step_create((size_t)len);
    if (step != NULL)
        (void)vsnprintf(step->text, (size_t)len + 1, fmt, again);
    va_end(again);
    return step;
}

eio_err *eio_err_add_context(eio_err *err, const char *fmt, ...) {
    if (!eio_err_is(err, &eio_err_io) || EIOI_CANARY(lose_context))
        return err;
    // The arguments may belong to `err`: they are read before anything happens to it.
    va_list args;
    va_start(args, fmt);
    struct eioi_err_step *step = step_format(fmt, args);
    va_end(args);
    eio_err *self = step != NULL ? own(err, 0) : NULL;
    if (self == NULL) {
        eioi_free(step);
        return err;
    }
    link_step(self, step);
    return self;
}

eio_err *eio_err_trace(eio_err *err, const char *file, int line) {
    EIO_ASSERT(err != NULL, "success came by no place");
    eio_err *self = eioi_err_object(err);
    if (self != NULL && only_holder(self))
        self->places[self->place_count++ % EIOI_ERR_PLACES] =
            (struct eioi_err_place){.file = file, .line = line};
    return err;
}
