// SPDX-License-Identifier: ISC

// Theory. A name that was asked for is binding: if that backend can't be started, that's an error.
// Where none was asked for, any reason for which io_uring doesn't start (seccomp, sysctl, an old
// kernel, no locked memory, ...) makes epoll the choice, and is told once in the process: a program
// that starts many loops shouldn't say it many times.

#include "backends/choice.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backends/epoll/epoll.h"
#include "backends/uring/uring.h"
#include "eio/strbuf.h"
#include "fiber/base/fault.h"

static const struct {
    const char *name;
    enum eioi_backend_kind kind;
} names[] = {
    {"uring", EIOI_BACKEND_URING}, {"io_uring", EIOI_BACKEND_URING}, {"linux", EIOI_BACKEND_URING},
    {"epoll", EIOI_BACKEND_EPOLL}, {"posix", EIOI_BACKEND_EPOLL},
};

static eio_err *start_uring(struct eioi_backend *out) {
    struct eioi_uring *instance;
    EIO_TRY(eioi_uring_create(&instance));
    *out = (struct eioi_backend){EIOI_BACKEND_URING, &eioi_uring_ops, instance};
    return NULL;
}

static eio_err *start_epoll(struct eioi_backend *out) {
    struct eioi_epoll *instance;
    EIO_TRY(eioi_epoll_create(&instance));
    *out = (struct eioi_backend){EIOI_BACKEND_EPOLL, &eioi_epoll_ops, instance};
    return NULL;
}

static eio_err *start(enum eioi_backend_kind kind, struct eioi_backend *out) {
    return kind == EIOI_BACKEND_URING ? start_uring(out) : start_epoll(out);
}

/** Why a backend doesn't start, in words. */
static void add_reason(eio_strbuf *text, const eio_err *err) {
    int errnum = eio_err_errno(err);
    if (eio_err_text(err)[0] != '\0')
        eio_strbuf_adds(text, eio_err_text(err));
    else if (errnum != 0)
        eio_strbuf_adds(text, strerror(errnum));
    else
        eio_err_print(err, text);
}

/**
 * Tells once for each `said` that epoll takes io_uring's place, because of `err`, which it takes
 * over.
 */
static void say_fall_back(atomic_flag *said, const char *whose, eio_err *err) {
    if (!atomic_flag_test_and_set(said)) {
        eio_strbuf text EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
        eio_strbuf_addf(&text, "eio: %suses epoll, since io_uring can't be started: ", whose);
        add_reason(&text, err);
        eio_strbuf_addc(&text, '\n');
        eio_slice line = eio_strbuf_slice(&text);
        ssize_t n = EIOI_SYS(write, write(STDERR_FILENO, line.base, line.len));
        (void)n; // nobody is left to tell
    }
    eio_err_drop(err);
}

static eio_err *unknown(const char *name, bool from_environment) {
    eio_strbuf quoted EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
    eio_strbuf_add_quoted(&quoted, eio_slice_of_str(name));
    return eio_err_failure("Unknown Eio backend %s%s", eio_strbuf_str(&quoted),
                           from_environment ? " (from $EIO_BACKEND)" : "");
}

/** Starts the one that was asked for, or none. */
static eio_err *start_named(const char *name, bool from_environment, struct eioi_backend *out) {
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i].name, name) != 0)
            continue;
        eio_err *err EIO_CLEANUP(eio_err_cleanup) = start(names[i].kind, out);
        if (err == NULL)
            return NULL;
        eio_strbuf reason EIO_CLEANUP(eio_strbuf_free) = EIO_STRBUF_INIT;
        add_reason(&reason, err);
        return eio_err_failure("The %s backend can't be started: %s",
                               names[i].kind == EIOI_BACKEND_URING ? eioi_uring_ops.name
                                                                   : eioi_epoll_ops.name,
                               eio_strbuf_str(&reason));
    }
    return unknown(name, from_environment);
}

eio_err *eioi_backend_choose(const char *asked, struct eioi_backend *out) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    if (asked != NULL)
        return start_named(asked, false, out);
    const char *from_environment = getenv("EIO_BACKEND");
    if (from_environment != NULL && from_environment[0] != '\0')
        return start_named(from_environment, true, out);
    eio_err *err = start_uring(out);
    if (err == NULL)
        return NULL;
    eio_err *epoll_err = start_epoll(out);
    if (epoll_err != NULL)
        return eio_err_combine(err, epoll_err);
    say_fall_back(&said, "", err);
    return NULL;
}

eio_err *eioi_backend_start_another(enum eioi_backend_kind kind, struct eioi_backend *out) {
    static atomic_flag said = ATOMIC_FLAG_INIT;
    eio_err *err = start(kind, out);
    if (err == NULL || kind == EIOI_BACKEND_EPOLL)
        return err;
    eio_err *epoll_err = start_epoll(out);
    if (epoll_err != NULL)
        return eio_err_combine(err, epoll_err);
    say_fall_back(&said, "a domain ", err);
    return NULL;
}

void eioi_backend_stop(struct eioi_backend *self) {
    if (self->kind == EIOI_BACKEND_URING)
        eioi_uring_destroy(self->instance);
    else
        eioi_epoll_destroy(self->instance);
    *self = (struct eioi_backend){0};
}
