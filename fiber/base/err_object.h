// SPDX-License-Identifier: ISC
#ifndef EIO_BASE_ERR_OBJECT_H
#define EIO_BASE_ERR_OBJECT_H

// What an error is in memory; for err.c, which makes them, and err_print.c, which prints them.

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "eio/err.h"

/** A context line. */
struct eioi_err_step {
    struct eioi_err_step *newer; // the one added after this; NULL at the newest
    char text[];
};

/** A place that `eio_err_trace` noted. */
struct eioi_err_place {
    const char *file; // a string literal
    int line;
};

enum { EIOI_ERR_PLACES = 8 };

/** What an error has beside its kind. */
enum eioi_err_payload {
    EIOI_ERR_PLAIN,   // nothing
    EIOI_ERR_TEXT,    // `data` is the text argument
    EIOI_ERR_BACKEND, // `data` is the backend's detail
    EIOI_ERR_OS,      // `errnum` and `op` are the backend's detail
};

/** An error that isn't a constant. But for the count, written to by its only holder. */
struct eio_err {
    const eio_err_kind *kind;
    atomic_size_t refs;
    enum eioi_err_payload payload;
    int errnum;                        // EIOI_ERR_OS: the errno value; else 0
    const char *op;                    // EIOI_ERR_OS: the system call, a string literal; else NULL
    eio_err *inner;                    // Cancelled: because of what; else NULL
    eio_err **children;                // Multiple, Multiple_io: oldest first, owned; else NULL
    size_t child_count, child_cap;     // in use, and allocated, at `children`
    struct eioi_err_step *oldest_step; // below eio_err_io: context lines, owned; NULL: none
    struct eioi_err_step *newest_step; // valid when oldest_step isn't NULL
    eio_err *next_dead;                // valid when the count has come to 0
    size_t place_count;                // noted so far; the last EIOI_ERR_PLACES of them are kept
    struct eioi_err_place places[EIOI_ERR_PLACES]; // place i is at i % EIOI_ERR_PLACES
    size_t data_len;                               // bytes of `data`, without its NUL
    char data[];                                   // EIOI_ERR_TEXT, EIOI_ERR_BACKEND; else ""
};

/** The object behind `err`; NULL when there is none (NULL, or a constant). */
static inline eio_err *eioi_err_object(const eio_err *err) {
    return ((uintptr_t)err & 1) != 0 ? NULL : (eio_err *)(uintptr_t)err;
}

#endif
