// SPDX-License-Identifier: ISC
// place CPU CPU: nanoseconds of a cache line's way there and back between two processors, the least
// of several batches within 50 ms. On a virtual machine the host may move the processors, from
// about 100 ns (they share a cache) to about 380 (they don't), and a rate across them by a factor of
// two with that; so the driver takes this beside each such rate.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tools/bench/common/clock.h"
#include "tools/bench/common/die.h"

enum { BATCH = 500, BATCHES = 60, MOST_NS = 50000000 };

static _Alignas(128) atomic_int flag;
static _Alignas(128) atomic_int stop;

static void pin(unsigned cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        die_errno(errno, "processor %u", cpu);
}

static void *answer(void *arg) {
    const unsigned *cpu = arg;
    pin(*cpu);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        if (atomic_load_explicit(&flag, memory_order_acquire) != 0)
            atomic_store_explicit(&flag, 0, memory_order_release);
    return NULL;
}

static double batch(void) {
    int64_t start = now_ns();
    for (int i = 0; i < BATCH; i++) {
        atomic_store_explicit(&flag, 1, memory_order_release);
        while (atomic_load_explicit(&flag, memory_order_acquire) != 0) {
        }
    }
    return (double)(now_ns() - start) / BATCH;
}

int main(int argc, char **argv) {
    if (argc != 3)
        die("usage: place CPU CPU");
    unsigned other = (unsigned)atoi(argv[2]);
    pin((unsigned)atoi(argv[1]));
    pthread_t thread;
    int error = pthread_create(&thread, NULL, answer, &other);
    if (error != 0)
        die_errno(error, "starting a thread");
    double least = batch();
    int64_t until = now_ns() + MOST_NS;
    for (int i = 1; i < BATCHES && now_ns() < until; i++) {
        double ns = batch();
        if (ns < least)
            least = ns;
    }
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    printf("%.0f\n", least);
    return 0;
}
