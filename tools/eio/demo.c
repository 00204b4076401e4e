// SPDX-License-Identifier: ISC
// eio, without a command: a demonstration that needs nothing but this machine. An echo server on
// loopback and 100 clients, each sending 1 MiB of data of its own in messages of 16 KiB and
// checking every byte that comes back.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tools/eio/commands.h"

enum { CLIENTS = 100, MESSAGE = 16 * 1024, MESSAGES = 64 };

struct demo {
    const eio_env *env;
    eio_listener *listener;
    eio_sockaddr addr;
    eio_promise *stop;
    eio_promise_resolver *set_stop;
    unsigned finished; // clients whose every byte was right
    uint64_t bytes;    // echoed and right
    uint64_t messages; // requests
    unsigned errors;   // clients that failed
    int64_t elapsed_ns;
};

struct client {
    struct demo *demo;
    uint64_t random; // state of this client's own data
    uint8_t *sent;
    uint8_t *received;
    eio_flow *flow;
};

/** The next message's bytes: xorshift64*, so that each client's data is its own (Vigna, 2016). */
static void fill(struct client *self) {
    for (size_t i = 0; i < MESSAGE; i += sizeof(uint64_t)) {
        uint64_t x = self->random;
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self->random = x;
        x *= UINT64_C(0x2545F4914F6CDD1D);
        memcpy(self->sent + i, &x, sizeof x);
    }
}

static eio_err *exchange(struct client *self) {
    for (unsigned i = 0; i < MESSAGES; i++) {
        fill(self);
        EIO_TRY(eio_sink_write(&self->flow->sink, eio_slice_of(self->sent, MESSAGE)));
        EIO_TRY(eio_source_read_exact(&self->flow->source, eio_buf_of(self->received, MESSAGE)));
        if (memcmp(self->sent, self->received, MESSAGE) != 0)
            return eio_err_failure("message %u came back with other bytes", i);
        self->demo->bytes += MESSAGE;
        self->demo->messages++;
    }
    EIO_TRY(eio_flow_shutdown(self->flow, EIO_SHUTDOWN_SEND));
    size_t got;
    eio_err *err = eio_source_single_read(&self->flow->source, eio_buf_of(self->received, 1), &got);
    if (eio_err_catch(&err, &eio_err_end_of_file))
        return NULL;
    EIO_TRY(err);
    return eio_err_failure("more bytes came back than were sent");
}

static eio_err *run_client(void *arg, eio_switch *sw) {
    struct client *self = arg;
    void *space;
    EIO_TRY(eio_switch_alloc(sw, 2 * MESSAGE, &space));
    self->sent = space;
    self->received = self->sent + MESSAGE;
    eio_stream_socket *socket;
    EIO_TRY(eio_net_connect(&self->demo->env->net->net, sw, &self->demo->addr, NULL, &socket));
    self->flow = &socket->flow;
    return exchange(self);
}

/** One client's failure is counted and told, and the others go on. */
static eio_err *client(void *arg, size_t i) {
    struct demo *demo = arg;
    struct client self = {.demo = demo, .random = (i + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    eio_err *err = eio_switch_run(run_client, &self);
    if (err == NULL) {
        demo->finished++;
        return NULL;
    }
    if (eio_err_is(err, &eio_err_cancelled))
        return err;
    demo->errors++;
    char text[512];
    fprintf(stderr, "client %zu: %s\n", i, eio_err_str(err, text, sizeof text));
    eio_err_drop(err);
    return NULL;
}

static eio_err *run_clients(void *arg) {
    struct demo *self = arg;
    int64_t start = eio_mono_clock_now(self->env->mono_clock);
    EIO_TRY(eio_fiber_for_each(CLIENTS, 0, client, self));
    self->elapsed_ns = eio_mono_clock_now(self->env->mono_clock) - start;
    eio_promise_resolve(self->set_stop, NULL);
    return NULL;
}

static eio_err *echo(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg;
    (void)peer;
    return eio_flow_copy(&flow->source, &flow->sink);
}

static eio_err *run_server(void *arg) {
    struct demo *self = arg;
    const struct eio_server_opts opts = {.stop = self->stop, .clock = self->env->mono_clock};
    return eio_net_run_server(self->listener, echo, NULL, eio_on_error_log, NULL, &opts);
}

/** A daemon: a line that is written over, for people who watch. */
static eio_err *show_progress(void *arg) {
    struct demo *self = arg;
    for (;;) {
        EIO_TRY(eio_mono_clock_sleep(self->env->mono_clock, 50 * EIO_MILLISECOND));
        fprintf(stderr, "\r%3u of %u clients done, %" PRIu64 " MiB checked", self->finished,
                (unsigned)CLIENTS, self->bytes >> 20);
        fflush(stderr);
    }
}

static eio_err *run(void *arg, eio_switch *sw) {
    struct demo *self = arg;
    const eio_sockaddr any_port = eio_sockaddr_tcp(eio_ip_v4_loopback(), 0);
    const struct eio_listen_opts opts = {.backlog = CLIENTS};
    EIO_TRY(eio_net_listen(&self->env->net->net, sw, &any_port, &opts, &self->listener));
    EIO_TRY(eio_listener_addr(self->listener, &self->addr));
    EIO_TRY(eio_promise_create(sw, &self->stop, &self->set_stop));
    if (isatty(STDERR_FILENO))
        EIO_TRY(eio_fiber_fork_daemon(sw, show_progress, self, NULL));
    return eio_fiber_both(run_server, self, run_clients, self);
}

static eio_err *print_summary(const struct demo *self) {
    eio_strbuf out = EIO_STRBUF_INIT;
    double seconds = (double)self->elapsed_ns / 1e9;
    eio_strbuf_addf(&out, "backend      %s\n", self->env->backend_name);
    eio_strbuf_addf(&out, "connections  %u\n", (unsigned)CLIENTS);
    eio_strbuf_addf(&out, "bytes        %" PRIu64 " sent, echoed and checked\n", self->bytes);
    eio_strbuf_addf(&out, "requests/s   %.0f of %u KiB (%.2f s)\n",
                    seconds > 0 ? (double)self->messages / seconds : 0.0, (unsigned)MESSAGE / 1024,
                    seconds);
    eio_strbuf_addf(&out, "errors       %u\n", self->errors);
    eio_err *err = out.failed ? eio_err_const(&eio_err_out_of_memory)
                              : eio_sink_write(self->env->stdout_, eio_strbuf_slice(&out));
    eio_strbuf_free(&out);
    return err;
}

eio_err *demo_command(void *arg, const eio_env *env) {
    (void)arg;
    struct demo self = {.env = env};
    EIO_TRY(eio_switch_run(run, &self));
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r%*s\r", 60, "");
    EIO_TRY(print_summary(&self));
    if (self.errors > 0 || self.finished != CLIENTS)
        return eio_err_failure("%u of %u clients failed", (unsigned)CLIENTS - self.finished,
                               (unsigned)CLIENTS);
    return NULL;
}
