// SPDX-License-Identifier: ISC
// proxy ADDRESS TARGET [how=write|splice|uring|uringsplice] [size=BYTES]
//
// One-way proxies by hand: what comes on a connection to ADDRESS goes to one of its own to TARGET.
//   write, splice  a thread for each connection that blocks in read and write, or in splice through
//                  a pipe of 1 MiB
//   uring          one ring for all; two buffers for each connection, so that a receive overlaps
//                  the send before it
//   uringsplice    one ring for all; splice in and out of a pipe of 1 MiB by the kernel's workers
// `size` is a buffer's. A connection ends when either end fails or the source is at its end.

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <liburing.h>

#include "tools/bench/common/address.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"

enum { PIPE = 1 << 20, ENTRIES = 1024 };
enum operation { ACCEPT, IN, OUT };

static struct address target;
static size_t size = 262144;

struct pair {
    int from, to;
    int pipe[2];      // uringsplice
    size_t in_pipe;   // bytes
    uint8_t *half[2]; // uring
    size_t len[2];    // bytes in each half, 0: free
    int filling, draining;
    bool receiving, sending, ended;
};

static int connect_target(void) {
    int fd = open_socket(&target, 0);
    if (fd >= 0 && connect(fd, sockaddr_of(&target), target.len) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static void make_pipe(int out[2]) {
    if (pipe2(out, O_CLOEXEC) != 0 || fcntl(out[1], F_SETPIPE_SZ, PIPE) < 0)
        die_errno(errno, "pipe");
}

static bool write_all(int fd, const uint8_t *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static void copy_by_write(const struct pair *self) {
    uint8_t *space = malloc(size);
    if (space == NULL)
        die("out of memory");
    ssize_t n;
    while ((n = read(self->from, space, size)) > 0 && write_all(self->to, space, (size_t)n)) {
    }
    free(space);
}

static void copy_by_splice(const struct pair *self) {
    int through[2];
    make_pipe(through);
    ssize_t n;
    while ((n = splice(self->from, NULL, through[1], NULL, PIPE, SPLICE_F_MOVE)) > 0)
        while (n > 0) {
            ssize_t out = splice(through[0], NULL, self->to, NULL, (size_t)n, SPLICE_F_MOVE);
            n = out <= 0 ? -1 : n - out;
        }
    close(through[0]);
    close(through[1]);
}

struct thread {
    struct pair pair;
    void (*copy)(const struct pair *);
};

static void *run_thread(void *arg) {
    struct thread *self = arg;
    self->copy(&self->pair);
    close(self->pair.from);
    close(self->pair.to);
    free(self);
    return NULL;
}

static void serve_by_threads(int listener, void (*copy)(const struct pair *)) {
    for (;;) {
        int from = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (from < 0)
            continue;
        struct thread *self = calloc(1, sizeof *self);
        if (self == NULL)
            die("out of memory");
        self->copy = copy;
        self->pair.from = from;
        self->pair.to = connect_target();
        pthread_t id;
        if (self->pair.to < 0 || pthread_create(&id, NULL, run_thread, self) != 0)
            die_errno(errno, "connecting to the target");
        pthread_detach(id);
    }
}

// --- One ring for all ----------------------------------------------------------------------------

static struct io_uring ring;
static bool splicing;

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

/** The operation is in the pointer's lowest bits. */
static void tag(struct io_uring_sqe *sqe, const struct pair *self, enum operation operation) {
    sqe->user_data = (uintptr_t)self | (uintptr_t)operation;
}

static void start_in(struct pair *self) {
    struct io_uring_sqe *sqe = next_sqe();
    if (splicing)
        io_uring_prep_splice(sqe, self->from, -1, self->pipe[1], -1, PIPE, SPLICE_F_MOVE);
    else
        io_uring_prep_recv(sqe, self->from, self->half[self->filling], size, 0);
    tag(sqe, self, IN);
    self->receiving = true;
}

static void start_out(struct pair *self) {
    struct io_uring_sqe *sqe = next_sqe();
    if (splicing)
        io_uring_prep_splice(sqe, self->pipe[0], -1, self->to, -1, (unsigned)self->in_pipe,
                             SPLICE_F_MOVE);
    else
        io_uring_prep_send(sqe, self->to, self->half[self->draining], self->len[self->draining],
                           MSG_WAITALL | MSG_NOSIGNAL);
    tag(sqe, self, OUT);
    self->sending = true;
}

static void free_pair(struct pair *self) {
    close(self->from);
    close(self->to);
    if (splicing) {
        close(self->pipe[0]);
        close(self->pipe[1]);
    }
    free(self->half[0]);
    free(self->half[1]);
    free(self);
}

/** Starts what the pair's state allows; frees it when there is nothing left. */
static void proceed(struct pair *self) {
    bool room = splicing ? self->in_pipe == 0 : self->len[self->filling] == 0;
    bool some = splicing ? self->in_pipe > 0 : self->len[self->draining] > 0;
    // Splices of one pair alternate: a pipe that is read and written at once makes both wait.
    if (!self->receiving && !self->ended && room)
        start_in(self);
    if (!self->sending && some)
        start_out(self);
    if (!self->receiving && !self->sending)
        free_pair(self);
}

static void on_in(struct pair *self, int result) {
    self->receiving = false;
    if (result <= 0) {
        self->ended = true;
    } else if (splicing) {
        self->in_pipe = (size_t)result;
    } else {
        self->len[self->filling] = (size_t)result;
        self->filling ^= 1;
    }
    proceed(self);
}

static void on_out(struct pair *self, int result) {
    self->sending = false;
    if (result <= 0) {
        self->ended = true;
        self->in_pipe = self->len[0] = self->len[1] = 0;
    } else if (splicing) {
        self->in_pipe -= (size_t)result;
    } else {
        self->len[self->draining] = 0;
        self->draining ^= 1;
    }
    proceed(self);
}

static void on_accept(int from) {
    struct pair *self = calloc(1, sizeof *self);
    if (self == NULL)
        die("out of memory");
    self->from = from;
    self->to = connect_target();
    if (self->to < 0)
        die_errno(errno, "connecting to the target");
    if (splicing) {
        make_pipe(self->pipe);
    } else {
        self->half[0] = malloc(size);
        self->half[1] = malloc(size);
        if (self->half[0] == NULL || self->half[1] == NULL)
            die("out of memory");
    }
    proceed(self);
}

static void arm_accept(int listener) {
    struct io_uring_sqe *sqe = next_sqe();
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_CLOEXEC);
    sqe->user_data = ACCEPT;
}

static void serve_by_ring(int listener) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
    };
    int rc = io_uring_queue_init_params(ENTRIES, &ring, &params);
    if (rc != 0)
        die_errno(rc, "io_uring");
    io_uring_register_ring_fd(&ring);
    arm_accept(listener);
    for (;;) {
        rc = io_uring_submit_and_wait(&ring, 1);
        if (rc < 0 && rc != -EINTR)
            die_errno(rc, "io_uring_enter");
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            n++;
            enum operation operation = (enum operation)(cqe->user_data & 3);
            struct pair *self = (struct pair *)(uintptr_t)(cqe->user_data & ~UINT64_C(3));
            if (operation == IN)
                on_in(self, cqe->res);
            else if (operation == OUT)
                on_out(self, cqe->res);
            else if (cqe->res >= 0)
                on_accept(cqe->res);
            if (operation == ACCEPT && !(cqe->flags & IORING_CQE_F_MORE))
                arm_accept(listener);
        }
        io_uring_cq_advance(&ring, n);
    }
}

int main(int argc, char **argv) {
    if (argc < 3)
        die("usage: proxy ADDRESS TARGET [how=write|splice|uring|uringsplice] [size=BYTES]");
    const char *how = "splice";
    unsigned bytes = 0;
    const struct option_place places[] = {
        {.key = "how", .text = &how},
        {.key = "size", .number = &bytes},
    };
    parse_options(argv + 3, places, sizeof places / sizeof *places);
    if (bytes > 0)
        size = bytes;
    struct address address;
    parse_address(argv[1], &address);
    parse_address(argv[2], &target);
    int listener = bind_socket(&address, 0);
    splicing = strcmp(how, "uringsplice") == 0;
    if (strcmp(how, "write") == 0)
        serve_by_threads(listener, copy_by_write);
    else if (strcmp(how, "splice") == 0)
        serve_by_threads(listener, copy_by_splice);
    else
        serve_by_ring(listener);
}
