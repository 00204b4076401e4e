// SPDX-License-Identifier: ISC
// A chain of linked operations for each connection: socket, connect, send, receive, close, with one
// completion at its end; `conns` chains are on their way at once. For the accept rate the end of
// what is sent stands in for the message, and the server's own end for the answer: a client that
// didn't wait for the server would fill its queue, and measure how connections are refused. The
// client closes first, so TIME_WAIT is its own: the driver keeps that short in a network namespace,
// else the search for a free port is what would be measured.

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/load/load.h"

enum { CHAIN = 5, PATIENCE = 100, MAX_ERRORS = 100 };

/** Which link of the chain a completion belongs to; only CLOSE's comes when all goes well. */
enum step { CLOSE, SOCKET, CONNECT, SEND, RECEIVE };

static const char *const step_names[] = {"close", "socket", "connect", "send or shutdown",
                                         "receive"};

static struct io_uring ring;
static uint8_t *received; // `size` bytes for each slot
static int64_t *started;
static bool *broken;    // a link of the slot's chain has failed
static unsigned live;   // chains on their way
static unsigned errors; // chains that failed

static void tag(struct io_uring_sqe *sqe, enum step step, unsigned slot, unsigned flags) {
    sqe->flags |= (uint8_t)(flags | IOSQE_IO_LINK | IOSQE_CQE_SKIP_SUCCESS);
    sqe->user_data = (uint64_t)step << 32 | slot;
}

static void start_chain(const struct load *load, unsigned slot, bool with_message, int64_t now) {
    // A chain must not be torn by a submission in its middle.
    if (io_uring_sq_space_left(&ring) < CHAIN)
        io_uring_submit(&ring);
    int fd = (int)slot;
    struct io_uring_sqe *sqe = next_sqe(&ring);
    io_uring_prep_socket_direct(sqe, load->address.storage.ss_family, load->address.type, 0, slot,
                                0);
    tag(sqe, SOCKET, slot, 0);
    sqe = next_sqe(&ring);
    io_uring_prep_connect(sqe, fd, sockaddr_of(&load->address), load->address.len);
    tag(sqe, CONNECT, slot, IOSQE_FIXED_FILE);
    uint8_t *answer = received + (size_t)slot * load->size;
    if (with_message) {
        sqe = next_sqe(&ring);
        io_uring_prep_send(sqe, fd, load->message, load->size, MSG_WAITALL | MSG_NOSIGNAL);
        tag(sqe, SEND, slot, IOSQE_FIXED_FILE);
        sqe = next_sqe(&ring);
        io_uring_prep_recv(sqe, fd, answer, load->size, MSG_WAITALL);
    } else {
        sqe = next_sqe(&ring);
        io_uring_prep_shutdown(sqe, fd, SHUT_WR);
        tag(sqe, SEND, slot, IOSQE_FIXED_FILE);
        sqe = next_sqe(&ring);
        io_uring_prep_recv(sqe, fd, answer, 1, 0);
    }
    tag(sqe, RECEIVE, slot, IOSQE_FIXED_FILE);
    sqe = next_sqe(&ring);
    io_uring_prep_close_direct(sqe, slot);
    sqe->user_data = (uint64_t)CLOSE << 32 | slot;
    started[slot] = now;
    broken[slot] = false;
    live++;
}

static void open_slots(struct load *load) {
    received = calloc(load->conns, load->size);
    started = calloc(load->conns, sizeof *started);
    broken = calloc(load->conns, sizeof *broken);
    if (received == NULL || started == NULL || broken == NULL)
        die("out of memory");
    open_ring(&ring, load->conns);
    int rc = io_uring_register_files_sparse(&ring, load->conns);
    if (rc != 0)
        die_errno(rc, "registering descriptors");
}

static void note_failure(const struct io_uring_cqe *cqe, enum step step, unsigned slot) {
    // The links after the one that failed are cancelled.
    if (cqe->res == -ECANCELED)
        return;
    broken[slot] = true;
    if (++errors > MAX_ERRORS)
        die_errno(cqe->res, "%u connections have failed, the last one in %s", errors,
                  step_names[step]);
}

/** One chain is over; whether it went well. */
static bool end_chain(const struct load *load, const struct io_uring_cqe *cqe, unsigned slot,
                      bool with_message) {
    live--;
    if (cqe->res < 0 || broken[slot])
        return false;
    uint8_t *answer = received + (size_t)slot * load->size;
    if (with_message && memcmp(answer, load->message, load->size) != 0)
        die("other bytes came back than were sent");
    // So that an answer which doesn't come isn't found there from the time before.
    answer[0] = (uint8_t)~load->message[0];
    return true;
}

static void take_completion(struct load *load, const struct io_uring_cqe *cqe, bool with_message,
                            bool more, int64_t now) {
    unsigned slot = (unsigned)cqe->user_data;
    enum step step = (enum step)(cqe->user_data >> 32);
    if (step != CLOSE) {
        note_failure(cqe, step, slot);
        return;
    }
    if (end_chain(load, cqe, slot, with_message))
        meter_count(&load->meter, started[slot], now);
    else
        load->meter.lost++;
    if (more)
        start_chain(load, slot, with_message, now);
}

static void run_chains(struct load *load, bool with_message) {
    int64_t now = now_ns();
    for (unsigned slot = 0; slot < load->conns; slot++)
        start_chain(load, slot, with_message, now);
    unsigned silence = 0;
    while (live > 0) {
        silence = wait_for_one(&ring) ? 0 : silence + 1;
        if (silence > PATIENCE)
            die("the server doesn't answer any more");
        now = now_ns();
        bool more = meter_turn(&load->meter, now);
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            n++;
            take_completion(load, cqe, with_message, more, now);
        }
        io_uring_cq_advance(&ring, n);
    }
}

static void run_churn(struct load *load) {
    run_chains(load, true);
}

static void run_accept(struct load *load) {
    run_chains(load, false);
}

const struct load_mode churn_mode = {.name = "churn", .open = open_slots, .run = run_churn};
const struct load_mode accept_mode = {.name = "accept", .open = open_slots, .run = run_accept};
