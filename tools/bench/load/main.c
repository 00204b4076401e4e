// SPDX-License-Identifier: ISC
// load MODE ADDRESS PID [conns=N] [size=BYTES] [check=1] [sink=ADDRESS]
//
// A client that stays: it opens its connections, says "ready", then does what each line on standard
// input says: `run RUN_MS WARM_MS` measures one window and prints it as a JSON line. So all servers
// can be up with their clients, idle, while short windows go round among them in any order; that
// takes the machine's slow phases out of a ratio, where long runs one after the other don't.
// PID is the server's, whose CPU time each window tells. Ends at the end of its input.

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/options.h"
#include "tools/bench/load/load.h"

enum { MIN_ENTRIES = 256, MAX_ENTRIES = 4096, COMPLETIONS = 32768 };

void open_ring(struct io_uring *ring, unsigned conns) {
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS,
    };
    unsigned entries = MIN_ENTRIES;
    while (entries < 8 * conns && entries < MAX_ENTRIES)
        entries *= 2;
    int rc = io_uring_queue_init_params(entries, ring, &params);
    if (rc != 0)
        die_errno(rc, "io_uring");
    io_uring_register_ring_fd(ring);
}

struct io_uring_sqe *next_sqe(struct io_uring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    if (sqe == NULL) {
        io_uring_submit(ring);
        sqe = io_uring_get_sqe(ring);
        if (sqe == NULL)
            die("the submission queue stays full");
    }
    return sqe;
}

bool wait_for_one(struct io_uring *ring) {
    struct __kernel_timespec limit = {.tv_nsec = 100000000};
    struct io_uring_cqe *cqe;
    int rc = io_uring_submit_and_wait_timeout(ring, &cqe, 1, &limit, NULL);
    if (rc < 0 && rc != -ETIME && rc != -EINTR)
        die_errno(rc, "io_uring_enter");
    return rc != -ETIME;
}

static const struct load_mode *find_mode(const char *name) {
    const struct load_mode *const modes[] = {&echo_mode, &churn_mode, &accept_mode, &bulk_mode};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i]->name, name) == 0)
            return modes[i];
    die("no mode '%s'", name);
}

static void follow_commands(const struct load_mode *mode, struct load *load) {
    char line[128];
    while (fgets(line, sizeof line, stdin) != NULL) {
        unsigned run_ms, warm_ms;
        if (sscanf(line, "run %u %u", &run_ms, &warm_ms) != 2)
            die("not understood: %s", line);
        meter_start(&load->meter, now_ns(), (int64_t)warm_ms * 1000000, (int64_t)run_ms * 1000000);
        mode->run(load);
        meter_print(&load->meter);
    }
}

int main(int argc, char **argv) {
    if (argc < 4)
        die("usage: load MODE ADDRESS PID [conns=N] [size=BYTES] [check=1] [sink=ADDRESS]");
    static struct load load = {.conns = 1, .size = 64};
    unsigned check = 0;
    const char *sink = NULL;
    const struct option_place places[] = {
        {.key = "conns", .number = &load.conns},
        {.key = "size", .number = &load.size},
        {.key = "check", .number = &check},
        {.key = "sink", .text = &sink},
    };
    parse_options(argv + 4, places, sizeof places / sizeof *places);
    parse_address(argv[2], &load.address);
    if (sink != NULL)
        parse_address(sink, &load.sink);
    load.check = check != 0;
    load.meter.server = (pid_t)atoi(argv[3]);
    if (load.conns == 0 || load.size == 0 || load.meter.server <= 0)
        die("conns, size and PID have to be at least 1");
    load.message = malloc(load.size);
    if (load.message == NULL)
        die("out of memory");
    for (unsigned i = 0; i < load.size; i++)
        load.message[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
    raise_descriptor_limit();
    const struct load_mode *mode = find_mode(argv[1]);
    mode->open(&load);
    printf("ready\n");
    fflush(stdout);
    follow_commands(mode, &load);
    if (mode->close != NULL)
        mode->close(&load);
    return 0;
}
