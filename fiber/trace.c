// SPDX-License-Identifier: ISC
// Trace lines. The sink is the process's, and one mutex makes messages whole; the prefix belongs to
// the fiber, is looked up when a message is printed, and is inherited like any fiber-local.
// Messages of the loop itself have no fiber and so no prefix.

#include "eio/trace.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fiber/base/alloc.h"
#include "fiber/impl.h"

enum { PREFIX_MAX = 256 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // guards the sink and each message
static eio_traceln_sink_fn *sink;
static void *sink_arg;
static const eio_local_key prefix_key = {"trace prefix"};

/** One `eio_with_trace_prefix`, in its frame; prints after those outside it. */
struct prefix {
    eio_trace_prefix_fn *fn;
    void *arg;
    const struct prefix *outer;
};

static size_t print_prefixes(const struct prefix *self, char *buf, size_t len) {
    if (self == NULL || len <= 1)
        return 0;
    size_t used = print_prefixes(self->outer, buf, len);
    buf[used] = '\0';
    self->fn(self->arg, buf + used, len - used);
    return used + strnlen(buf + used, len - used - 1);
}

static size_t current_prefix(char buf[PREFIX_MAX]) {
    struct eioi_sched *s = eioi_tls_sched;
    buf[0] = '\0';
    if (s == NULL || s->current == &s->thread)
        return 0;
    return print_prefixes(eioi_local_get(s->current, &prefix_key), buf, PREFIX_MAX);
}

size_t eio_trace_prefix_len(void) {
    char buf[PREFIX_MAX];
    return current_prefix(buf);
}

static void to_stderr(const char *text, size_t len) {
    while (len > 0) {
        ssize_t n = write(STDERR_FILENO, text, len); // fault: none, it has no caller to tell
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return; // nobody is left to tell
        text += n;
        len -= (size_t)n;
    }
}

void eioi_trace_forked(void) {
    mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

void eio_traceln_set_sink(eio_traceln_sink_fn *fn, void *arg) {
    pthread_mutex_lock(&mutex);
    sink = fn;
    sink_arg = arg;
    pthread_mutex_unlock(&mutex);
}

static void emit(const eio_strbuf *text) {
    pthread_mutex_lock(&mutex);
    if (sink != NULL)
        sink(sink_arg, eio_strbuf_str(text), text->len);
    else
        to_stderr(eio_strbuf_str(text), text->len);
    pthread_mutex_unlock(&mutex);
}

/** Appends `message` with a `+` before each of its lines. */
static void add_lines(eio_strbuf *out, const char *prefix, const char *message) {
    eio_strbuf_addc(out, '+');
    eio_strbuf_adds(out, prefix);
    for (const char *end; (end = strchr(message, '\n')) != NULL; message = end + 1) {
        eio_strbuf_add(out, message, (size_t)(end - message));
        eio_strbuf_adds(out, "\n+");
    }
    eio_strbuf_adds(out, message);
    eio_strbuf_addc(out, '\n');
}

void eio_traceln(const char *fmt, ...) {
    int saved = errno;
    char prefix[PREFIX_MAX];
    current_prefix(prefix);
    eio_strbuf message = EIO_STRBUF_INIT;
    eio_strbuf lines = EIO_STRBUF_INIT;
    va_list args;
    va_start(args, fmt);
    eio_strbuf_vaddf(&message, fmt, args);
    va_end(args);
    add_lines(&lines, prefix, eio_strbuf_str(&message));
    if (message.failed || lines.failed) {
        static const char lost[] = "+(no memory for a trace line)\n";
        to_stderr(lost, sizeof lost - 1);
    } else {
        emit(&lines);
    }
    eio_strbuf_free(&message);
    eio_strbuf_free(&lines);
    errno = saved;
}

/**
 * The prefix is bound by address, and its frame must outlive the fibers forked meanwhile: so it's a
 * counted copy.
 */
static void free_prefix(void *value) {
    eioi_free(value);
}

eio_err *eio_with_trace_prefix(eio_trace_prefix_fn *prefix, void *prefix_arg, eio_call_fn *fn,
                               void *fn_arg) {
    struct eioi_sched *s = eioi_sched_require(__func__);
    struct prefix *self = eioi_alloc(sizeof *self);
    if (self == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    // The outer prefix lives as long as its binding, which the chain below this one's binding
    // holds.
    *self = (struct prefix){
        .fn = prefix, .arg = prefix_arg, .outer = eioi_local_get(s->current, &prefix_key)};
    return eio_fiber_with_local(&prefix_key, self, free_prefix, fn, fn_arg);
}
