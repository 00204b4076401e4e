// SPDX-License-Identifier: ISC
// uring_datagram ADDRESS [size=BYTES] [count=N]
//
// An echo server for datagrams on bare liburing: one multishot recvmsg into a ring of `count`
// buffers of `size`, each answered by a sendmsg out of the buffer that it arrived in; one
// io_uring_enter a turn.

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <liburing.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { ENTRIES = 1024, COMPLETIONS = 8192, GROUP = 0, PER_DATAGRAM = 64 };
enum operation { RECEIVE = 1, SEND };

static struct io_uring ring;
static int fd;
static unsigned size = 16384;
static unsigned count = 256;
static struct io_uring_buf_ring *buffer_ring;
static uint8_t *space;
static struct msghdr form = {.msg_namelen = sizeof(struct sockaddr_storage)};
static struct msghdr *answers; // by buffer
static struct iovec *parts;
static int returned;

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

static void arm_receive(void) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_recvmsg_multishot(sqe, fd, &form, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    sqe->user_data = (uint64_t)RECEIVE << 32;
}

static void give_back(unsigned id) {
    io_uring_buf_ring_add(buffer_ring, space + (size_t)id * size, size, (unsigned short)id,
                          (int)count - 1, returned++);
}

static void answer(unsigned id, int len) {
    struct io_uring_recvmsg_out *out =
        io_uring_recvmsg_validate(space + (size_t)id * size, len, &form);
    if (out == NULL)
        die("a datagram without a sender");
    parts[id] = (struct iovec){
        .iov_base = io_uring_recvmsg_payload(out, &form),
        .iov_len = io_uring_recvmsg_payload_length(out, len, &form),
    };
    answers[id] = (struct msghdr){
        .msg_name = io_uring_recvmsg_name(out),
        .msg_namelen = out->namelen,
        .msg_iov = &parts[id],
        .msg_iovlen = 1,
    };
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_sendmsg(sqe, fd, &answers[id], 0);
    sqe->user_data = (uint64_t)SEND << 32 | id;
}

static void on_completion(const struct io_uring_cqe *cqe) {
    if (cqe->user_data >> 32 == SEND) {
        give_back((unsigned)cqe->user_data);
        return;
    }
    if (cqe->res < 0 && cqe->res != -ENOBUFS)
        die_errno(cqe->res, "recvmsg");
    if (!(cqe->flags & IORING_CQE_F_MORE))
        arm_receive();
    if (cqe->res >= 0)
        answer(cqe->flags >> IORING_CQE_BUFFER_SHIFT, cqe->res);
}

static void *map(size_t len) {
    void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (p == MAP_FAILED)
        die_errno(errno, "mmap");
    return p;
}

static void open_ring(void) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN,
        .cq_entries = COMPLETIONS,
    };
    int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);
    if (rc != 0)
        die_errno(rc, "io_uring");
    io_uring_register_ring_fd(&ring);
    buffer_ring = map(count * sizeof(struct io_uring_buf));
    space = map((size_t)count * size);
    answers = map(count * sizeof *answers);
    parts = map(count * sizeof *parts);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uintptr_t)buffer_ring,
        .ring_entries = count,
        .bgid = GROUP,
    };
    rc = io_uring_register_buf_ring(&ring, &reg, 0);
    if (rc != 0)
        die_errno(rc, "registering buffers");
    io_uring_buf_ring_init(buffer_ring);
    for (unsigned i = 0; i < count; i++)
        give_back(i);
}

int main(int argc, char **argv) {
    if (argc < 2)
        die("usage: uring_datagram ADDRESS [size=BYTES] [count=N]");
    const struct option_place places[] = {
        {.key = "size", .number = &size},
        {.key = "count", .number = &count},
    };
    parse_options(argv + 2, places, sizeof places / sizeof *places);
    if (size < PER_DATAGRAM || count == 0 || (count & (count - 1)) != 0)
        die("size is too small, or count isn't a power of two");
    struct address address;
    parse_address(argv[1], &address);
    fd = bind_socket(&address, 0);
    open_ring();
    arm_receive();
    for (;;) {
        if (returned > 0) {
            io_uring_buf_ring_advance(buffer_ring, returned);
            returned = 0;
        }
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
}
