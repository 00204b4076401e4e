// SPDX-License-Identifier: ISC
// resolve getaddrinfo|cares hosts|dns AT_ONCE MS
//
// Lookups for so many milliseconds, AT_ONCE of them under way: by the C library's getaddrinfo (a
// thread for each) or by bare c-ares (one channel, driven by poll). hosts: a name of the hosts
// file; dns: a new name each time, so that nothing can be remembered. One line is printed; a lookup
// that fails ends the program.

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ares.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"
#include "tools/bench/common/line.h"

enum { MOST_THREADS = 1000, NAME = 64, POLL_MS = 2000 };

static bool dns;
static int64_t until;
static atomic_ullong begun;

static void next_name(char out[NAME]) {
    unsigned long long i = atomic_fetch_add_explicit(&begun, 1, memory_order_relaxed);
    if (dns)
        snprintf(out, NAME, "n%d-%llu.test.", (int)getpid(), i);
    else
        snprintf(out, NAME, "peer5.test");
}

static void *look_up(void *arg) {
    (void)arg;
    const struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    while (now_ns() < until) {
        char name[NAME];
        next_name(name);
        struct addrinfo *found;
        int error = getaddrinfo(name, "80", &hints, &found);
        if (error != 0)
            die("%s: %s", name, gai_strerror(error));
        freeaddrinfo(found);
    }
    return NULL;
}

static void run_getaddrinfo(int at_once) {
    if (at_once == 1) {
        look_up(NULL);
        return;
    }
    pthread_t threads[MOST_THREADS];
    for (int i = 0; i < at_once; i++)
        if (pthread_create(&threads[i], NULL, look_up, NULL) != 0)
            die("no more than %d threads", i);
    for (int i = 0; i < at_once; i++)
        pthread_join(threads[i], NULL);
}

static ares_channel channel;
static int under_way;

static void on_answer(void *arg, int status, int timeouts, struct ares_addrinfo *found) {
    (void)arg, (void)timeouts;
    if (status != ARES_SUCCESS)
        die("%s", ares_strerror(status));
    ares_freeaddrinfo(found);
    under_way--;
}

static void begin_one(void) {
    const struct ares_addrinfo_hints hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    char name[NAME];
    next_name(name);
    under_way++;
    ares_getaddrinfo(channel, name, "80", &hints, on_answer, NULL);
}

static void wait_for_answers(void) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    struct pollfd polled[ARES_GETSOCK_MAXNUM];
    nfds_t n = 0;
    unsigned bits = (unsigned)ares_getsock(channel, sockets, ARES_GETSOCK_MAXNUM);
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
        int events = (ARES_GETSOCK_READABLE(bits, i) ? POLLIN : 0) |
                     (ARES_GETSOCK_WRITABLE(bits, i) ? POLLOUT : 0);
        if (events != 0)
            polled[n++] = (struct pollfd){.fd = sockets[i], .events = (short)events};
    }
    if (n == 0)
        return;
    if (poll(polled, n, POLL_MS) <= 0)
        die("no answer");
    for (nfds_t i = 0; i < n; i++)
        if (polled[i].revents != 0)
            ares_process_fd(channel, polled[i].revents & POLLIN ? polled[i].fd : ARES_SOCKET_BAD,
                            polled[i].revents & POLLOUT ? polled[i].fd : ARES_SOCKET_BAD);
}

static void run_cares(int at_once) {
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init(&channel);
    if (status != ARES_SUCCESS)
        die("%s", ares_strerror(status));
    for (;;) {
        bool more = now_ns() < until;
        // What is answered at once is over when the call returns.
        for (int i = under_way; more && i < at_once; i++)
            begin_one();
        if (!more && under_way == 0)
            break;
        wait_for_answers();
    }
    ares_destroy(channel);
    ares_library_cleanup();
}

int main(int argc, char **argv) {
    if (argc != 5)
        die("usage: resolve getaddrinfo|cares hosts|dns AT_ONCE MS");
    dns = strcmp(argv[2], "dns") == 0;
    int at_once = atoi(argv[3]);
    if (at_once < 1 || at_once > MOST_THREADS)
        die("AT_ONCE is 1 to %d", MOST_THREADS);
    int64_t start = now_ns();
    int64_t cpu = process_cpu_ns();
    until = start + (int64_t)atoi(argv[4]) * 1000000;
    if (strcmp(argv[1], "cares") == 0)
        run_cares(at_once);
    else
        run_getaddrinfo(at_once);
    double n = (double)begun;
    print_line(&(struct line){
        .row = dns ? "resolve-dns" : "resolve-hosts",
        .variant = argv[3],
        .value = n / ((double)(now_ns() - start) * 1e-9),
        .unit = "1/s",
        .n = begun,
        .cpu_us = (double)(process_cpu_ns() - cpu) / n * 1e-3,
    });
    return 0;
}
