// SPDX-License-Identifier: ISC
// The context switch by itself, without the scheduler: so it can be built for another processor and
// run in an emulator. Each of two contexts keeps as many integers and floating-point numbers alive
// across its switches as there are registers, and checks them; the stack of each is aligned as the
// ABI wants it.

#include "fiber/context.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 100000, STACK = 64 * 1024, VALUES = 20 };

static struct eioi_context main_context;
static struct eioi_context fiber_context;
static volatile uint64_t seed = 88172645463325252U;
static uint64_t fiber_rounds;
static uint64_t main_rounds;

static uint64_t next_random(void) {
    uint64_t x = seed;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return seed = x;
}

static void fail(const char *who, unsigned i) {
    printf("%s: value %u did not survive a switch\n", who, i);
    exit(1);
}

/**
 * Holds VALUES integers and doubles over a switch; the compiler keeps many of them in registers.
 */
static inline __attribute__((always_inline)) void round_trip(const char *who,
                                                             struct eioi_context *save,
                                                             struct eioi_context *load) {
    uint64_t ints[VALUES], int_copies[VALUES];
    double doubles[VALUES], double_copies[VALUES];
    for (unsigned i = 0; i < VALUES; i++) {
        ints[i] = int_copies[i] = next_random();
        doubles[i] = double_copies[i] = (double)(next_random() >> 12);
    }
    if (eioi_context_switch(save, load) != save)
        fail(who, 102);
    for (unsigned i = 0; i < VALUES; i++) {
        if (ints[i] != int_copies[i] || doubles[i] < double_copies[i] ||
            doubles[i] > double_copies[i])
            fail(who, i);
    }
}

/** Locals with names, so that they live in registers and not in arrays. */
static __attribute__((noinline)) void named_values(const char *who, struct eioi_context *save,
                                                   struct eioi_context *load) {
    uint64_t a = next_random(), b = a * 3, c = a * 5, d = a * 7, e = a * 11, f = a * 13;
    double x = (double)(a >> 12), y = x * 2, z = x * 4;
    if (eioi_context_switch(save, load) != save)
        fail(who, 103);
    if (b != a * 3 || c != a * 5 || d != a * 7 || e != a * 11 || f != a * 13)
        fail(who, 100);
    if (y < x * 2 || y > x * 2 || z < x * 4 || z > x * 4)
        fail(who, 101);
}

_Noreturn void eioi_fiber_main(void) {
    _Alignas(16) char probe[16];
    if (((uintptr_t)probe & 15) != 0)
        fail("alignment of the new stack", 0);
    for (;;) {
        round_trip("fiber", &fiber_context, &main_context);
        named_values("fiber", &fiber_context, &main_context);
        fiber_rounds++;
    }
}

int main(void) {
    char *stack = aligned_alloc(64, STACK);
    if (stack == NULL)
        return 1;
    eioi_context_init(&fiber_context, stack + STACK);
    for (unsigned i = 0; i < ROUNDS; i++) {
        round_trip("main", &main_context, &fiber_context);
        named_values("main", &main_context, &fiber_context);
        main_rounds++;
    }
    printf("%llu round trips, %llu of them in the other context\n", (unsigned long long)main_rounds,
           (unsigned long long)fiber_rounds);
    free(stack);
    return fiber_rounds >= main_rounds - 1 ? 0 : 1;
}
