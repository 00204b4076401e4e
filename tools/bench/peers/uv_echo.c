// SPDX-License-Identifier: ISC
// uv_echo ADDRESS: an echo server on libuv, in the way that its documentation recommends for speed:
// one buffer for all reads, what can be written at once is (uv_try_write), only the rest is kept.
// ADDRESS is tcp:PORT, udp:PORT or unix:PATH.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uv.h>

static char buffer[65536];

struct rest {
    uv_write_t request;
    char bytes[];
};

struct datagram {
    uv_udp_send_t request;
    char bytes[];
};

union stream {
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
};

static void fail(const char *what, int status) {
    fprintf(stderr, "uv_echo: %s: %s\n", what, uv_strerror(status));
    exit(1);
}

static void *allocate(size_t size) {
    void *p = malloc(size);
    if (p == NULL)
        fail("malloc", UV_ENOMEM);
    return p;
}

static void on_close(uv_handle_t *handle) {
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out) {
    (void)handle, (void)size;
    *out = uv_buf_init(buffer, sizeof buffer);
}

static void on_write(uv_write_t *request, int status) {
    (void)status;
    free(request);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *read) {
    if (got < 0) {
        uv_close((uv_handle_t *)stream, on_close);
        return;
    }
    if (got == 0)
        return;
    uv_buf_t bytes = uv_buf_init(read->base, (unsigned)got);
    int wrote = uv_try_write(stream, &bytes, 1);
    size_t done = wrote > 0 ? (size_t)wrote : 0;
    if (done == (size_t)got)
        return;
    size_t len = (size_t)got - done;
    struct rest *rest = allocate(sizeof *rest + len);
    memcpy(rest->bytes, read->base + done, len);
    bytes = uv_buf_init(rest->bytes, (unsigned)len);
    uv_write(&rest->request, stream, &bytes, 1, on_write);
}

static void on_connection(uv_stream_t *listener, int status) {
    if (status < 0)
        return;
    union stream *client = allocate(sizeof *client);
    if (listener->type == UV_TCP)
        uv_tcp_init(listener->loop, &client->tcp);
    else
        uv_pipe_init(listener->loop, &client->pipe, 0);
    if (uv_accept(listener, &client->stream) != 0) {
        uv_close((uv_handle_t *)client, on_close);
        return;
    }
    if (listener->type == UV_TCP)
        uv_tcp_nodelay(&client->tcp, 1);
    uv_read_start(&client->stream, on_alloc, on_read);
}

static void on_send(uv_udp_send_t *request, int status) {
    (void)status;
    free(request);
}

static void on_datagram(uv_udp_t *socket, ssize_t got, const uv_buf_t *read,
                        const struct sockaddr *from, unsigned flags) {
    (void)flags;
    if (got < 0 || from == NULL)
        return;
    uv_buf_t bytes = uv_buf_init(read->base, (unsigned)got);
    if (uv_udp_try_send(socket, &bytes, 1, from) >= 0)
        return;
    struct datagram *copy = allocate(sizeof *copy + (size_t)got);
    memcpy(copy->bytes, read->base, (size_t)got);
    bytes = uv_buf_init(copy->bytes, (unsigned)got);
    uv_udp_send(&copy->request, socket, &bytes, 1, from, on_send);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: uv_echo ADDRESS\n");
        return 2;
    }
    uv_loop_t *loop = uv_default_loop();
    static union stream listener;
    static uv_udp_t udp;
    struct sockaddr_in address;
    const char *place = strchr(argv[1], ':') + 1;
    int status;
    if (strncmp(argv[1], "unix:", 5) == 0) {
        uv_pipe_init(loop, &listener.pipe, 0);
        status = uv_pipe_bind(&listener.pipe, place);
    } else if (strncmp(argv[1], "udp:", 4) == 0) {
        uv_ip4_addr("127.0.0.1", atoi(place), &address);
        uv_udp_init(loop, &udp);
        status = uv_udp_bind(&udp, (const struct sockaddr *)&address, 0);
        if (status == 0)
            status = uv_udp_recv_start(&udp, on_alloc, on_datagram);
        if (status != 0)
            fail("bind", status);
        return uv_run(loop, UV_RUN_DEFAULT);
    } else {
        uv_ip4_addr("127.0.0.1", atoi(place), &address);
        uv_tcp_init(loop, &listener.tcp);
        status = uv_tcp_bind(&listener.tcp, (const struct sockaddr *)&address, 0);
    }
    if (status == 0)
        status = uv_listen(&listener.stream, 4096, on_connection);
    if (status != 0)
        fail("listen", status);
    return uv_run(loop, UV_RUN_DEFAULT);
}
