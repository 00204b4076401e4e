// SPDX-License-Identifier: ISC
// server HOW ADDRESS [fibers=N] [many=N] [spin=US]
//
// eio's ways to echo. HOW is copy (`eio_flow_copy`, as the example has it, on other addresses than
// the example's), lend (a loop of lending read and write), read (a loop of reads into the handler's
// own buffer) or udp (`fibers` fibers, each receiving a datagram and sending it back, or, with
// `many`, up to so many at once). `spin` lets the loop look for events that long before it sleeps.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/eio.h"

#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { BUFFER = 16384, DATAGRAM = 65536, MOST_AT_ONCE = 64 };

static eio_err *copy(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg, (void)peer;
    return eio_flow_copy(&flow->source, &flow->sink);
}

static eio_err *lend(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg, (void)peer;
    for (;;) {
        eio_slice bytes;
        eio_err *err = eio_source_lend(&flow->source, &bytes);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return NULL;
        EIO_TRY(err);
        err = eio_sink_write(&flow->sink, bytes);
        eio_source_release(&flow->source, bytes.len);
        EIO_TRY(err);
    }
}

static eio_err *read_write(void *arg, eio_flow *flow, const eio_sockaddr *peer) {
    (void)arg, (void)peer;
    uint8_t space[BUFFER];
    for (;;) {
        size_t got;
        eio_err *err = eio_source_single_read(&flow->source, eio_buf_of(space, sizeof space), &got);
        if (eio_err_catch(&err, &eio_err_end_of_file))
            return NULL;
        EIO_TRY(err);
        EIO_TRY(eio_sink_write(&flow->sink, eio_slice_of(space, got)));
    }
}

struct server {
    const char *how;
    const char *address;
    unsigned fibers;
    unsigned many; // datagrams at once
    const eio_env *env;
    eio_datagram_socket *socket;
};

static eio_err *echo_datagrams(void *arg, size_t i) {
    const struct server *self = arg;
    (void)i;
    uint8_t *space = malloc(DATAGRAM);
    if (space == NULL)
        die("out of memory");
    eio_err *err = NULL;
    while (err == NULL) {
        struct eio_datagram_info info;
        err = eio_datagram_recv(self->socket, eio_buf_of(space, DATAGRAM), &info);
        if (err == NULL) {
            const eio_slice answer = eio_slice_of(space, info.len);
            err = eio_datagram_send(self->socket, &info.from, &answer, 1);
        }
    }
    free(space);
    return err;
}

static eio_err *echo_many_in(const struct server *self, uint8_t *space) {
    struct eio_datagram_in in[MOST_AT_ONCE];
    struct eio_datagram_out out[MOST_AT_ONCE];
    eio_slice answers[MOST_AT_ONCE];
    for (size_t i = 0; i < self->many; i++)
        in[i].buf = eio_buf_of(space + i * DATAGRAM, DATAGRAM);
    for (;;) {
        size_t got, sent;
        EIO_TRY(eio_datagram_recv_many(self->socket, in, self->many, &got));
        for (size_t i = 0; i < got; i++) {
            answers[i] = eio_slice_of(in[i].buf.base, in[i].info.len);
            out[i] = (struct eio_datagram_out){&in[i].info.from, &answers[i], 1};
        }
        EIO_TRY(eio_datagram_send_many(self->socket, out, got, &sent));
    }
}

static eio_err *echo_many(void *arg, size_t i) {
    const struct server *self = arg;
    (void)i;
    uint8_t *space = malloc((size_t)self->many * DATAGRAM);
    if (space == NULL)
        die("out of memory");
    eio_err *err = echo_many_in(self, space);
    free(space);
    return err;
}

static eio_connection_fn *handler_of(const struct server *self) {
    static const struct {
        const char *how;
        eio_connection_fn *handler;
    } ways[] = {{"copy", copy}, {"lend", lend}, {"read", read_write}};
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++)
        if (strcmp(ways[i].how, self->how) == 0)
            return ways[i].handler;
    die("'%s' is no way to echo", self->how);
}

/** The benchmarks' form of an address has no host: it is always this one. */
static eio_err *parse(const char *text, eio_sockaddr *out) {
    char full[EIO_SOCKADDR_STR_MAX];
    if (strncmp(text, "unix:", 5) == 0)
        return eio_sockaddr_parse(text, out);
    snprintf(full, sizeof full, "%.4s127.0.0.1:%s", text, strlen(text) > 4 ? text + 4 : "");
    return eio_sockaddr_parse(full, out);
}

static eio_err *serve(void *arg, eio_switch *sw) {
    struct server *self = arg;
    eio_net *net = &self->env->net->net;
    eio_sockaddr addr;
    EIO_TRY(parse(self->address, &addr));
    if (strcmp(self->how, "udp") == 0) {
        EIO_TRY(eio_net_datagram_socket(net, sw, &addr, NULL, &self->socket));
        return eio_fiber_for_each(self->fibers, 0, self->many > 1 ? echo_many : echo_datagrams,
                                  self);
    }
    eio_listener *listener;
    EIO_TRY(eio_net_listen(net, sw, &addr, NULL, &listener));
    return eio_net_run_server(listener, handler_of(self), NULL, eio_on_error_log, NULL, NULL);
}

static eio_err *app(void *arg, const eio_env *env) {
    struct server *self = arg;
    self->env = env;
    return eio_switch_run(serve, self);
}

int main(int argc, char **argv) {
    if (argc < 3)
        die("usage: server copy|lend|read|udp ADDRESS [fibers=N] [many=N] [spin=US]");
    struct server server = {.how = argv[1], .address = argv[2], .fibers = 1, .many = 1};
    unsigned spin_us = 0;
    const struct option_place places[] = {
        {.key = "fibers", .number = &server.fibers},
        {.key = "many", .number = &server.many},
        {.key = "spin", .number = &spin_us},
    };
    parse_options(argv + 3, places, sizeof places / sizeof *places);
    if (server.many > MOST_AT_ONCE)
        die("at most %d at once", MOST_AT_ONCE);
    const struct eio_run_opts opts = {.spin_ns = (int64_t)spin_us * 1000};
    eio_err *err = eio_run(&opts, app, &server);
    char text[512];
    if (err != NULL)
        die("%s", eio_err_str(err, text, sizeof text));
    return 0;
}
