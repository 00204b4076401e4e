// SPDX-License-Identifier: ISC
// Both ends of a one-way proxy: `conns` streams go to the proxy, which connects each to `sink`,
// where this same process listens. One send and one receive are on their way for each stream; what
// arrives is dropped in the kernel (MSG_TRUNC), so that the client pays for one copy only.
// Operations are bytes here. Before that, each stream carries half a megabyte whose every byte is
// compared; with check=1 all of what is measured is compared, too.

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/load/load.h"

enum { CHUNK = 262144, TRIAL = 65536, TRIALS = 8, PERIOD = 65521, PATIENCE = 100 };
enum { ACCEPT_MS = 10000 };

struct stream {
    int source, sink;
    uint64_t sent, received;
    bool sending, receiving;
    uint8_t *space; // what came, with check=1; shared by all otherwise
};

static struct io_uring ring;
static struct stream *streams;
static uint8_t *pattern; // PERIOD + CHUNK bytes: any chunk of the endless pattern is in one piece
static unsigned sending; // streams with a send on its way

static int connect_source(const struct load *load) {
    int fd = open_socket(&load->address, 0);
    if (fd < 0 || connect(fd, sockaddr_of(&load->address), load->address.len) != 0)
        die_errno(errno, "connect");
    return fd;
}

static int accept_sink(int listener) {
    struct pollfd ready = {.fd = listener, .events = POLLIN};
    if (poll(&ready, 1, ACCEPT_MS) != 1)
        die("the proxy doesn't connect");
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        die_errno(errno, "accept");
    const struct timeval limit = {.tv_sec = ACCEPT_MS / 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0)
        die_errno(errno, "setting a time-out");
    return fd;
}

static const uint8_t *pattern_at(uint64_t offset) {
    return pattern + offset % PERIOD;
}

static void try_stream(struct stream *self, uint8_t *space) {
    for (int i = 0; i < TRIALS; i++) {
        for (size_t done = 0; done < TRIAL;) {
            ssize_t n = send(self->source, pattern_at(self->sent), TRIAL - done, MSG_NOSIGNAL);
            if (n < 0)
                die_errno(errno, "send");
            done += (size_t)n;
            self->sent += (uint64_t)n;
        }
        for (size_t done = 0; done < TRIAL;) {
            ssize_t n = recv(self->sink, space, TRIAL - done, 0);
            if (n <= 0)
                die_errno(n < 0 ? errno : ECONNRESET, "the proxy doesn't forward");
            if (memcmp(space, pattern_at(self->received), (size_t)n) != 0)
                die("other bytes came than were sent");
            done += (size_t)n;
            self->received += (uint64_t)n;
        }
    }
}

static void open_bulk(struct load *load) {
    streams = calloc(load->conns, sizeof *streams);
    pattern = malloc(PERIOD + CHUNK);
    uint8_t *shared = malloc(CHUNK);
    if (streams == NULL || pattern == NULL || shared == NULL)
        die("out of memory");
    for (unsigned i = 0; i < PERIOD + CHUNK; i++) {
        unsigned at = i % PERIOD;
        pattern[i] = (uint8_t)(at * 7 + (at >> 8) * 13);
    }
    int listener = bind_socket(&load->sink, 0);
    for (unsigned i = 0; i < load->conns; i++) {
        streams[i].source = connect_source(load);
        streams[i].sink = accept_sink(listener);
        try_stream(&streams[i], shared);
        streams[i].space = load->check ? malloc(CHUNK) : shared;
        if (streams[i].space == NULL)
            die("out of memory");
    }
    open_ring(&ring, load->conns);
}

static void send_more(unsigned i) {
    struct stream *self = &streams[i];
    struct io_uring_sqe *sqe = next_sqe(&ring);
    io_uring_prep_send(sqe, self->source, pattern_at(self->sent), CHUNK, MSG_NOSIGNAL);
    sqe->user_data = UINT64_C(1) << 32 | i;
    self->sending = true;
    sending++;
}

static void receive_more(const struct load *load, unsigned i) {
    struct stream *self = &streams[i];
    struct io_uring_sqe *sqe = next_sqe(&ring);
    io_uring_prep_recv(sqe, self->sink, self->space, CHUNK, load->check ? 0 : MSG_TRUNC);
    sqe->user_data = i;
    self->receiving = true;
}

static void on_sent(unsigned i, int result, bool more) {
    if (result < 0)
        die_errno(result, "stream %u: send", i);
    streams[i].sent += (unsigned)result;
    streams[i].sending = false;
    sending--;
    if (more)
        send_more(i);
}

static void on_received(struct load *load, unsigned i, int result) {
    struct stream *self = &streams[i];
    if (result <= 0)
        die_errno(result < 0 ? result : ECONNRESET, "stream %u: receive", i);
    if (load->check && memcmp(self->space, pattern_at(self->received), (size_t)result) != 0)
        die("stream %u: other bytes came than were sent", i);
    self->received += (unsigned)result;
    self->receiving = false;
    if (load->meter.phase == COUNTING)
        load->meter.ops += (unsigned)result;
}

static bool all_arrived(const struct load *load) {
    if (sending > 0)
        return false;
    for (unsigned i = 0; i < load->conns; i++)
        if (streams[i].received < streams[i].sent)
            return false;
    return true;
}

static void take_completions(struct load *load, bool more) {
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
        n++;
        unsigned i = (unsigned)cqe->user_data;
        if (cqe->user_data >> 32 != 0)
            on_sent(i, cqe->res, more);
        else
            on_received(load, i, cqe->res);
        // The last bytes may be sent after the last receive has been taken.
        if (!streams[i].receiving && (streams[i].sending || streams[i].received < streams[i].sent))
            receive_more(load, i);
    }
    io_uring_cq_advance(&ring, n);
}

static void run_bulk(struct load *load) {
    for (unsigned i = 0; i < load->conns; i++) {
        send_more(i);
        if (!streams[i].receiving)
            receive_more(load, i);
    }
    unsigned silence = 0;
    bool more = true;
    while (more || !all_arrived(load)) {
        silence = wait_for_one(&ring) ? 0 : silence + 1;
        if (silence > PATIENCE)
            die("the proxy doesn't forward any more");
        more = meter_turn(&load->meter, now_ns());
        take_completions(load, more);
    }
}

/** From the sources' side first: see `close_echo`. */
static void close_bulk(struct load *load) {
    for (unsigned i = 0; i < load->conns; i++)
        shutdown(streams[i].source, SHUT_WR);
}

const struct load_mode bulk_mode = {
    .name = "bulk",
    .open = open_bulk,
    .run = run_bulk,
    .close = close_bulk,
};
