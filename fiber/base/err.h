// SPDX-License-Identifier: ISC
#ifndef EIO_ERR_H
#define EIO_ERR_H

/*
 * Failures as values. NULL is success; anything else is an error that is returned, combined, stored
 * or dropped, once.
 *
 *     eio_err *err = eio_source_single_read(src, buf, &got);
 *     if (eio_err_catch(&err, &eio_err_end_of_file))
 *         return finish();
 *     EIO_TRY_CTX(err, "reading the header");
 *
 * An error without an argument is a constant (`eio_err_const`): it needs no memory, lives for ever,
 * and two of the same kind are the same error. Errors with an argument, a detail or context lines
 * are counted objects, usable from any domain. What makes one returns the Out_of_memory constant
 * when there is no memory for it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "eio/err_kinds.h"
#include "eio/macros.h"
#include "eio/strbuf.h"

EIO_BEGIN_DECLS

/** An error; NULL is success. Owned by whoever holds it, shared through `eio_err_ref`. */
typedef struct eio_err eio_err;

/**
 * The constant error of `kind`: no memory, no context lines, always the same pointer.
 * Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_const(const eio_err_kind *kind);
/** An error of `kind` with a text argument, as in `Failure "text"`. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_err_new(const eio_err_kind *kind, const char *fmt, ...)
    EIO_PRINTF(2, 3);
/** `Failure "text"`. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_err_failure(const char *fmt, ...) EIO_PRINTF(1, 2);
/**
 * An error of `kind` (below `eio_err_io`) for errno value `errnum` of system call `op`; its detail
 * prints as `Unix_error (No such file or directory, "connect", "")`. `op` must be a string literal.
 * Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_os(const eio_err_kind *kind, int errnum, const char *op);
/**
 * An error of `kind` (below `eio_err_io`) whose backend detail prints as `detail` (copied).
 * Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_backend(const eio_err_kind *kind, const char *detail);
/** `Cancelled: INNER`. Takes `inner` over. Suspends: never. */
EIO_API EIO_MUST_USE eio_err *eio_err_cancelled_new(eio_err *inner);

/** One more owner of the same error; returns `err`. NULL is fine. Suspends: never. */
EIO_API eio_err *eio_err_ref(eio_err *err);
/** Gives an error up; the only way to ignore one. NULL is fine. Suspends: never. */
EIO_API void eio_err_drop(eio_err *err);
/** For `EIO_CLEANUP(eio_err_cleanup)`: drops `*err`. Suspends: never. */
EIO_API void eio_err_cleanup(eio_err **err);

/** Whether `err` is of `kind` or of one below it; false for NULL. Suspends: never. */
EIO_API bool eio_err_is(const eio_err *err, const eio_err_kind *kind);
/** If `*err` is of `kind`: drops it, sets it to NULL, and returns true. Suspends: never. */
EIO_API bool eio_err_catch(eio_err **err, const eio_err_kind *kind);
/** The kind. `err` is not NULL. Suspends: never. */
EIO_API const eio_err_kind *eio_err_kind_of(const eio_err *err);
/** The text argument; "" when it has none. Valid while `err` is held. Suspends: never. */
EIO_API const char *eio_err_text(const eio_err *err);
/** The errno value behind an OS error; 0 when there is none. Suspends: never. */
EIO_API int eio_err_errno(const eio_err *err);
/** What a Cancelled was made of; NULL for any other error. Borrowed. Suspends: never. */
EIO_API eio_err *eio_err_inner(const eio_err *err);
/** How many errors a Multiple or Multiple_io holds; 0 for any other. Suspends: never. */
EIO_API size_t eio_err_child_count(const eio_err *err);
/** Child `i` of a Multiple or Multiple_io, oldest first. Borrowed. Suspends: never. */
EIO_API eio_err *eio_err_child(const eio_err *err, size_t i);

/**
 * One error out of two (either may be NULL), the older one first; takes both over. The same error
 * twice is that error; a Cancelled gives way to any other; two Io errors make a Multiple_io; else a
 * Multiple. When there is no memory for the pair, the older one is kept. Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_combine(eio_err *first, eio_err *second);
/**
 * Adds an error to those collected so far (either may be NULL); takes both over. As
 * `eio_err_combine`, except that a third Io error makes a Multiple_io of three, where `combine`
 * would make one of a Multiple_io and the third. Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_collect(eio_err *collected, eio_err *err);
/**
 * Adds a context line to an Io error (which is copied first when someone else holds it too); any
 * other error is returned as it is and nothing is formatted. Takes `err` over; NULL is fine.
 * Suspends: never.
 */
EIO_API EIO_MUST_USE eio_err *eio_err_add_context(eio_err *err, const char *fmt, ...)
    EIO_PRINTF(2, 3);
/**
 * Notes where `err` (not NULL) came by, if this holder is its only one. Returns `err`. Used by
 * EIO_TRY. Suspends: never.
 */
EIO_API eio_err *eio_err_trace(eio_err *err, const char *file, int line)
    __attribute__((returns_nonnull));
/**
 * Appends the places that `eio_err_trace` noted, oldest first, as `  at FILE:LINE` lines.
 * Suspends: never.
 */
EIO_API void eio_err_print_trace(const eio_err *err, eio_strbuf *out);

/**
 * Appends the text of `err`: `Failure("a")`, `End_of_file`, `Eio.Io Net Connection_reset _,` and
 * its context lines. NULL prints as `ok`. Suspends: never.
 */
EIO_API void eio_err_print(const eio_err *err, eio_strbuf *out);
/** Appends `Exception: Failure "a".`, the form for what nobody caught. Suspends: never. */
EIO_API void eio_err_print_toplevel(const eio_err *err, eio_strbuf *out);
/**
 * The text of `err` in `buf`, cut to fit `len` bytes with its NUL; returns `buf`. Suspends: never.
 */
EIO_API const char *eio_err_str(const eio_err *err, char *buf, size_t len);
/**
 * Whether details of the system print as themselves (true, at start) or as `_`. Process-wide.
 * Suspends: never.
 */
EIO_API void eio_err_show_backend(bool show);

/** Returns from the calling function with the error of `expr`, if it has one. */
#define EIO_TRY(expr) EIO_TRY_AS_(expr, EIO_TRY_NAME_(__COUNTER__))

/** As EIO_TRY, and adds a context line (printf-like) to an Io error. */
#define EIO_TRY_CTX(expr, ...) EIO_TRY_CTX_AS_(expr, EIO_TRY_NAME_(__COUNTER__), __VA_ARGS__)

// Each use has a variable of its own name: a lambda in `expr` may use these, too, and shadow
// nothing.
#define EIO_TRY_NAME_(n) EIO_TRY_JOIN_(eio_try_err_, n)
#define EIO_TRY_JOIN_(a, b) a##b
#define EIO_TRY_AS_(expr, name)                             \
    do {                                                    \
        eio_err *name = (expr);                             \
        if (__builtin_expect(name != NULL, 0))              \
            return eio_err_trace(name, __FILE__, __LINE__); \
    } while (0)
#define EIO_TRY_CTX_AS_(expr, name, ...)                                                      \
    do {                                                                                      \
        eio_err *name = (expr);                                                               \
        if (__builtin_expect(name != NULL, 0))                                                \
            return eio_err_trace(eio_err_add_context(name, __VA_ARGS__), __FILE__, __LINE__); \
    } while (0)

EIO_END_DECLS

#endif
