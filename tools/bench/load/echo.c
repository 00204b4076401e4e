// SPDX-License-Identifier: ISC
// Closed loop: each connection has one message on its way; when all of it is back, the next one is
// sent. One io_uring_enter a turn; registered descriptors; multishot receive from a ring of buffers
// with MSG_TRUNC, which leaves a TCP payload in the kernel, so that the client pays for no copy;
// no completion for a send. Before that, every connection has one message of its own there and
// back, compared byte by byte: a server that mixes connections up or loses bytes never gets to the
// figures. A datagram may be lost: when nothing has come for 100 ms, what is missing is sent again
// and counted as lost.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/load/load.h"

enum {
    BUFFERS = 1024,   // a power of two; the payload isn't kept, so a few do
    MIN_BUFFER = 256, // bytes
    GROUP = 0,        // of the provided buffers
    // Opened and tried together: less than any backlog or any socket's buffer holds.
    BATCH = 32,
    PATIENCE = 100, // empty waits of 100 ms before the server counts as dead
};

struct connection {
    unsigned received; // of the message on its way
    int64_t sent_at;
    bool waiting; // for the rest of a message
};

// One load per process, so its state is the file's.
static struct io_uring ring;
static struct connection *connections;
static int *descriptors; // of the connections
static unsigned waiting; // connections with a message on its way
static struct io_uring_buf_ring *buffer_ring;
static uint8_t *buffers;
static unsigned buffer_size;
static unsigned silence; // empty waits in a row

static void fill_own(const struct load *load, unsigned i, uint8_t *out) {
    for (unsigned j = 0; j < load->size; j++)
        out[j] = (uint8_t)(i * 31 + (i >> 8) * 17 + j * 7 + (j >> 8));
}

static int connect_one(const struct load *load) {
    int fd = open_socket(&load->address, 0);
    if (fd < 0)
        die_errno(errno, "making a socket");
    const struct timeval limit = {.tv_sec = 10};
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)
        die_errno(errno, "setting a time-out");
    if (connect(fd, sockaddr_of(&load->address), load->address.len) != 0)
        die_errno(errno, "connect");
    return fd;
}

static void send_own(const struct load *load, unsigned i, int fd, uint8_t *space) {
    fill_own(load, i, space);
    size_t sent = 0;
    while (sent < load->size) {
        ssize_t n = send(fd, space + sent, load->size - sent, MSG_NOSIGNAL);
        if (n < 0)
            die_errno(errno, "connection %u: send", i);
        sent += (size_t)n;
    }
}

static void check_own(const struct load *load, unsigned i, int fd, uint8_t *space) {
    uint8_t *expected = space + load->size;
    fill_own(load, i, expected);
    size_t got = 0;
    while (got < load->size) {
        ssize_t n = recv(fd, space + got, load->size - got, 0);
        if (n < 0)
            die_errno(errno, "connection %u: the first message isn't echoed", i);
        if (n == 0)
            die("connection %u: the server has closed it", i);
        got += (size_t)n;
    }
    if (memcmp(space, expected, load->size) != 0)
        die("connection %u: other bytes came back than were sent", i);
}

static void open_connections(const struct load *load) {
    uint8_t *space = malloc(2 * (size_t)load->size);
    if (space == NULL)
        die("out of memory");
    for (unsigned base = 0; base < load->conns; base += BATCH) {
        unsigned end = base + BATCH < load->conns ? base + BATCH : load->conns;
        for (unsigned i = base; i < end; i++) {
            descriptors[i] = connect_one(load);
            send_own(load, i, descriptors[i], space);
        }
        for (unsigned i = base; i < end; i++)
            check_own(load, i, descriptors[i], space);
    }
    free(space);
}

static void *map(size_t len) {
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (p == MAP_FAILED)
        die_errno(errno, "mmap");
    return p;
}

static void give_back(unsigned id, int offset) {
    io_uring_buf_ring_add(buffer_ring, buffers + (size_t)id * buffer_size, buffer_size,
                          (unsigned short)id, BUFFERS - 1, offset);
}

static void provide_buffers(const struct load *load) {
    buffer_size = load->size < MIN_BUFFER ? MIN_BUFFER : load->size;
    buffer_ring = map(BUFFERS * sizeof(struct io_uring_buf));
    buffers = map((size_t)BUFFERS * buffer_size);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffer_ring,
        .ring_entries = BUFFERS,
        .bgid = GROUP,
    };
    int rc = io_uring_register_buf_ring(&ring, &reg, 0);
    if (rc != 0)
        die_errno(rc, "registering buffers");
    io_uring_buf_ring_init(buffer_ring);
    for (unsigned i = 0; i < BUFFERS; i++)
        give_back(i, (int)i);
    io_uring_buf_ring_advance(buffer_ring, BUFFERS);
}

static void arm_receive(const struct load *load, unsigned i) {
    struct io_uring_sqe *sqe = next_sqe(&ring);
    io_uring_prep_recv_multishot(sqe, (int)i, NULL, 0, load->check ? 0 : MSG_TRUNC);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = i;
}

static void send_message(const struct load *load, unsigned i, int64_t now) {
    struct io_uring_sqe *sqe = next_sqe(&ring);
    io_uring_prep_send(sqe, (int)i, load->message, load->size, MSG_WAITALL | MSG_NOSIGNAL);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = UINT64_C(1) << 32 | i;
    connections[i].sent_at = now;
    connections[i].received = 0;
    if (!connections[i].waiting)
        waiting++;
    connections[i].waiting = true;
}

static void open_echo(struct load *load) {
    descriptors = calloc(load->conns, sizeof *descriptors);
    connections = calloc(load->conns, sizeof *connections);
    if (descriptors == NULL || connections == NULL)
        die("out of memory");
    open_connections(load);
    open_ring(&ring, load->conns);
    int rc = io_uring_register_files(&ring, descriptors, load->conns);
    if (rc != 0)
        die_errno(rc, "registering descriptors");
    provide_buffers(load);
    for (unsigned i = 0; i < load->conns; i++)
        arm_receive(load, i);
    io_uring_submit(&ring);
}

static void check_bytes(const struct load *load, unsigned i, unsigned id, unsigned len) {
    if (memcmp(buffers + (size_t)id * buffer_size, load->message + connections[i].received, len) !=
        0)
        die("connection %u: other bytes came back than were sent", i);
}

/** Some bytes of connection `i`'s message; whether that was the last of them. */
static bool take_bytes(const struct load *load, unsigned i, const struct io_uring_cqe *cqe) {
    struct connection *self = &connections[i];
    unsigned len = (unsigned)cqe->res;
    if (!self->waiting || len > load->size - self->received) {
        // An answer that was given up for lost came after all.
        if (load->address.type == SOCK_DGRAM)
            return false;
        die("connection %u: more bytes came back than were sent", i);
    }
    if (load->check)
        check_bytes(load, i, cqe->flags >> IORING_CQE_BUFFER_SHIFT, len);
    self->received += len;
    if (self->received < load->size)
        return false;
    self->waiting = false;
    waiting--;
    return true;
}

static void take_completion(struct load *load, const struct io_uring_cqe *cqe, bool more_to_send,
                            int64_t now, int *returned) {
    unsigned i = (unsigned)cqe->user_data;
    if (cqe->user_data >> 32 != 0)
        die_errno(cqe->res, "connection %u: send", i);
    if (cqe->res == -ENOBUFS) {
        arm_receive(load, i);
        return;
    }
    if (cqe->res < 0)
        die_errno(cqe->res, "connection %u: receive", i);
    if (cqe->res == 0)
        die("connection %u: the server has closed it", i);
    bool whole = take_bytes(load, i, cqe);
    give_back(cqe->flags >> IORING_CQE_BUFFER_SHIFT, (*returned)++);
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_receive(load, i);
    if (!whole)
        return;
    meter_count(&load->meter, connections[i].sent_at, now);
    if (more_to_send)
        send_message(load, i, now);
}

/** Nothing has come for a while. */
static void resend_lost(struct load *load, int64_t now) {
    if (++silence > PATIENCE)
        die("the server doesn't answer any more");
    if (load->address.type != SOCK_DGRAM)
        return;
    for (unsigned i = 0; i < load->conns; i++) {
        if (!connections[i].waiting)
            continue;
        load->meter.lost++;
        send_message(load, i, now);
    }
}

static void run_echo(struct load *load) {
    int64_t now = now_ns();
    silence = 0;
    for (unsigned i = 0; i < load->conns; i++)
        send_message(load, i, now);
    while (waiting > 0) {
        bool came = wait_for_one(&ring);
        now = now_ns();
        bool more_to_send = meter_turn(&load->meter, now);
        if (came)
            silence = 0;
        else
            resend_lost(load, now);
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        int returned = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            n++;
            take_completion(load, cqe, more_to_send, now, &returned);
        }
        io_uring_buf_ring_advance(buffer_ring, returned);
        io_uring_cq_advance(&ring, n);
    }
}

/**
 * Ends each connection from this side first, and waits until the server has ended it, too: a
 * server that were to close first would have its port in TIME_WAIT when the next one wants it.
 */
static void close_echo(struct load *load) {
    if (load->address.type != SOCK_STREAM)
        return;
    for (unsigned i = 0; i < load->conns; i++)
        shutdown(descriptors[i], SHUT_WR);
    uint8_t byte;
    for (unsigned i = 0; i < load->conns; i++)
        if (recv(descriptors[i], &byte, 1, 0) != 0)
            die("connection %u: the server doesn't end it", i);
}

const struct load_mode echo_mode = {
    .name = "echo",
    .open = open_echo,
    .run = run_echo,
    .close = close_echo,
};
