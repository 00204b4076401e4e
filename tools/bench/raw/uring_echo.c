// SPDX-License-Identifier: ISC
// uring_echo ADDRESS [recv=multi|plain] [size=BYTES] [count=N] [spin=US]
//
// An echo server for streams on bare liburing: the limit that eio is measured against. One
// io_uring_enter a turn; multishot accept; recv=multi: multishot receive from a ring of `count`
// buffers of `size`, what arrives while a send is on its way waits in a queue threaded through the
// buffers; recv=plain: a buffer of `size` for each connection, receive and send in turns. A
// connection ends when its peer has sent its last byte and everything has been sent back. `spin`
// looks at the ring that long before it sleeps.

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <liburing.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { ENTRIES = 4096, COMPLETIONS = 32768, GROUP = 0, NONE = -1 };
enum operation { ACCEPT = 1, RECEIVE, SEND };

struct connection {
    int sending;     // the buffer being sent; NONE
    int first, last; // buffers to be sent after it; NONE
    uint8_t *own;    // recv=plain: its buffer, kept for the next connection of this number
    bool ended;      // the peer won't send any more
};

struct buffer {
    unsigned len;
    int next; // in a connection's queue
};

static struct io_uring ring;
static int listener;
static struct connection *connections; // by descriptor
static bool multishot = true;
static unsigned size = 16384;
static unsigned count = 256;
static unsigned spin_us;
static struct io_uring_buf_ring *buffer_ring;
static uint8_t *space;
static struct buffer *buffers;
static int returned; // buffers given back in this turn

static struct io_uring_sqe *next_sqe(void) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
    if (sqe == NULL) {
        io_uring_submit(&ring);
        sqe = io_uring_get_sqe(&ring);
        if (sqe == NULL)
            die("the submission queue stays full");
    }
    return sqe;
}

static void tag(struct io_uring_sqe *sqe, enum operation operation, int fd) {
    sqe->user_data = (uint64_t)operation << 32 | (unsigned)fd;
}

static void arm_accept(void) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    tag(sqe, ACCEPT, listener);
}

static void arm_receive(int fd) {
    struct io_uring_sqe *sqe = next_sqe();
    if (multishot) {
        io_uring_prep_recv_multishot(sqe, fd, NULL, 0, 0);
        sqe->flags |= IOSQE_BUFFER_SELECT;
        sqe->buf_group = GROUP;
    } else {
        struct connection *self = &connections[fd];
        if (self->own == NULL && (self->own = malloc(size)) == NULL)
            die("out of memory");
        io_uring_prep_recv(sqe, fd, self->own, size, 0);
    }
    tag(sqe, RECEIVE, fd);
}

static void send_bytes(int fd, const uint8_t *bytes, unsigned len) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_send(sqe, fd, bytes, len, MSG_WAITALL | MSG_NOSIGNAL);
    tag(sqe, SEND, fd);
}

static void close_connection(int fd) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_close(sqe, fd);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    tag(sqe, SEND, fd);
}

static void give_back(int id) {
    io_uring_buf_ring_add(buffer_ring, space + (size_t)id * size, size, (unsigned short)id,
                          (int)count - 1, returned++);
}

static void start(int fd) {
    struct connection *self = &connections[fd];
    self->sending = self->first = self->last = NONE;
    self->ended = false;
    arm_receive(fd);
}

static void send_buffer(int fd, int id) {
    connections[fd].sending = id;
    send_bytes(fd, space + (size_t)id * size, buffers[id].len);
}

static void enqueue(struct connection *self, int id) {
    buffers[id].next = NONE;
    if (self->first == NONE)
        self->first = id;
    else
        buffers[self->last].next = id;
    self->last = id;
}

static void end(int fd) {
    struct connection *self = &connections[fd];
    self->ended = true;
    if (self->sending == NONE)
        close_connection(fd);
}

static void on_received_multi(int fd, const struct io_uring_cqe *cqe) {
    struct connection *self = &connections[fd];
    if (cqe->res == -ENOBUFS) {
        arm_receive(fd);
        return;
    }
    if (cqe->res <= 0) {
        end(fd);
        return;
    }
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_receive(fd);
    int id = (int)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    buffers[id].len = (unsigned)cqe->res;
    if (self->sending == NONE)
        send_buffer(fd, id);
    else
        enqueue(self, id);
}

static void on_sent_multi(int fd) {
    struct connection *self = &connections[fd];
    give_back(self->sending);
    self->sending = NONE;
    int id = self->first;
    if (id == NONE) {
        if (self->ended)
            close_connection(fd);
        return;
    }
    self->first = buffers[id].next;
    send_buffer(fd, id);
}

static void on_completion(const struct io_uring_cqe *cqe) {
    int fd = (int)(unsigned)cqe->user_data;
    switch ((enum operation)(cqe->user_data >> 32)) {
    case ACCEPT:
        if (!(cqe->flags & IORING_CQE_F_MORE))
            arm_accept();
        if (cqe->res >= 0)
            start(cqe->res);
        break;
    case RECEIVE:
        if (multishot)
            on_received_multi(fd, cqe);
        else if (cqe->res > 0)
            send_bytes(fd, connections[fd].own, (unsigned)cqe->res);
        else
            close_connection(fd);
        break;
    case SEND:
        if (multishot)
            on_sent_multi(fd);
        else if (cqe->res > 0)
            arm_receive(fd);
        else
            close_connection(fd);
        break;
    }
}

static void open_ring(void) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | (spin_us > 0 ? IORING_SETUP_TASKRUN_FLAG : 0),
        .cq_entries = COMPLETIONS,
    };
    int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);
    if (rc != 0)
        die_errno(rc, "io_uring");
    io_uring_register_ring_fd(&ring);
}

static void *map(size_t len) {
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (p == MAP_FAILED)
        die_errno(errno, "mmap");
    return p;
}

static void provide_buffers(void) {
    buffer_ring = map(count * sizeof(struct io_uring_buf));
    space = map((size_t)count * size);
    buffers = map(count * sizeof *buffers);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffer_ring,
        .ring_entries = count,
        .bgid = GROUP,
    };
    int rc = io_uring_register_buf_ring(&ring, &reg, 0);
    if (rc != 0)
        die_errno(rc, "registering buffers");
    io_uring_buf_ring_init(buffer_ring);
    for (unsigned i = 0; i < count; i++)
        give_back((int)i);
}

static void spin(void) {
    io_uring_submit(&ring);
    int64_t until = now_ns() + (int64_t)spin_us * 1000;
    while (io_uring_cq_ready(&ring) == 0 &&
           !(__atomic_load_n(ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_TASKRUN))
        if (now_ns() >= until)
            break;
}

static void turn(void) {
    if (multishot && returned > 0) {
        io_uring_buf_ring_advance(buffer_ring, returned);
        returned = 0;
    }
    if (spin_us > 0)
        spin();
    int rc = io_uring_submit_and_wait(&ring, 1);
    if (rc < 0 && rc != -EINTR)
        die_errno(rc, "io_uring_enter");
    struct io_uring_cqe *cqe;
    unsigned head, n = 0;
    io_uring_for_each_cqe(&ring, head, cqe) {
        n++;
        on_completion(cqe);
    }
    io_uring_cq_advance(&ring, n);
}

int main(int argc, char **argv) {
    if (argc < 2)
        die("usage: uring_echo ADDRESS [recv=multi|plain] [size=BYTES] [count=N] [spin=US]");
    const char *receive = "multi";
    const struct option_place places[] = {
        {.key = "recv", .text = &receive},
        {.key = "size", .number = &size},
        {.key = "count", .number = &count},
        {.key = "spin", .number = &spin_us},
    };
    parse_options(argv + 2, places, sizeof places / sizeof *places);
    multishot = strcmp(receive, "multi") == 0;
    if (size == 0 || count == 0 || (count & (count - 1)) != 0)
        die("size can't be 0, and count has to be a power of two");
    struct address address;
    parse_address(argv[1], &address);
    raise_descriptor_limit();
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    connections = map(limit.rlim_cur * sizeof *connections);
    listener = bind_socket(&address, 0);
    open_ring();
    if (multishot)
        provide_buffers();
    arm_accept();
    for (;;)
        turn();
}
