// SPDX-License-Identifier: ISC

// The end of a broken program. The report is put together on the stack and leaves in one writev, so
// that it can't be torn by other threads' output; nothing is allocated, since the heap may be what
// broke. The description of the fiber comes from a hook (this layer knows no fibers); when the hook
// itself panics, both reports leave, without a description.

#include "fiber/base/panic.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "eio/self.h"

enum { TEXT_MAX = 1024, FIBER_MAX = 256, PARTS_MAX = 16 };

/** What is printed, each part NUL-terminated. */
struct report {
    char where[TEXT_MAX];    // place, function and condition; the sentence follows on the same line
    char sentence[TEXT_MAX]; // what the program did wrong
    char fiber[FIBER_MAX];   // the running fiber; "" when there is none
};

/** What writev is given. */
struct parts {
    struct iovec at[PARTS_MAX];
    int count; // in use
};

static _Atomic(eioi_panic_describe_fn *) describe_hook;
static _Thread_local struct report
    *describing; // this thread's report while the hook runs; else NULL

void eioi_panic_set_describe(eioi_panic_describe_fn *fn) {
    atomic_store(&describe_hook, fn);
}

static void describe_fiber(struct report *report) {
    eioi_panic_describe_fn *fn = atomic_load(&describe_hook);
    report->fiber[0] = '\0';
    if (fn == NULL || describing != NULL)
        return;
    describing = report;
    fn(report->fiber, FIBER_MAX);
    describing = NULL;
    report->fiber[FIBER_MAX - 1] = '\0';
}

static void add(struct parts *parts, char *text) {
    parts->at[parts->count++] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
}

static void add_line(struct parts *parts, char *text) {
    static char newline[] = "\n";
    size_t len = strlen(text);
    add(parts, text);
    if (len == 0 || text[len - 1] != '\n')
        add(parts, newline);
}

static void add_report(struct parts *parts, struct report *report) {
    add(parts, report->where);
    add_line(parts, report->sentence);
    if (report->fiber[0] != '\0')
        add_line(parts, report->fiber);
}

void eioi_panic(const char *file, int line, const char *func, const char *cond, const char *fmt,
                ...) {
    struct report report;
    if (cond != NULL)
        (void)snprintf(report.where, TEXT_MAX, "eio: %s:%d: %s: assertion \"%s\" failed: ", file,
                       line, func, cond);
    else
        (void)snprintf(report.where, TEXT_MAX, "eio: %s:%d: %s: ", file, line, func);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(report.sentence, TEXT_MAX, fmt, args);
    va_end(args);
    describe_fiber(&report);

    struct parts parts = {.count = 0};
    if (describing != NULL) {
        describing->fiber[0] = '\0'; // half written
        add_report(&parts, describing);
    }
    add_report(&parts, &report);
    // Nobody is left to tell when this fails.
    ssize_t ignored = writev(STDERR_FILENO, parts.at, parts.count); // fault: none, it's the end
    (void)ignored;
    abort();
}

void eio_self_mismatch(const char *file, int line, const char *type) {
    eioi_panic(file, line, "EIO_SELF", NULL, "the object is not a %s", type);
}

const char *eio_version(void) {
    return EIO_VERSION;
}
