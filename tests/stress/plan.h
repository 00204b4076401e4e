// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_STRESS_PLAN_H
#define EIO_TESTS_STRESS_PLAN_H

// A random program as data: a tree of steps, drawn from a seed. What is data can be printed, run
// twice, and made smaller.

#include <stdbool.h>
#include <stdint.h>

#include "eio/macros.h"

EIO_BEGIN_DECLS

/**
 * name, bodies, weight. A step with bodies runs each of them in the scope, or the fibers, that it
 * makes. */
#define STRESS_OPS(X)            \
    /* of the fiber itself */    \
    X(yield, 0, 6)               \
    X(sleep, 0, 8)               \
    X(check, 0, 2)               \
    X(await_cancel, 0, 1)        \
    X(fail, 0, 3)                \
    X(fail_switch, 0, 1)         \
    X(cancel_sub, 0, 2)          \
    /* scopes and shapes */      \
    X(in_switch, 1, 5)           \
    X(in_protected_switch, 1, 1) \
    X(in_sub, 1, 3)              \
    X(in_protect, 1, 1)          \
    X(in_timeout, 1, 3)          \
    X(repeat, 1, 2)              \
    X(fork, 1, 8)                \
    X(fork_daemon, 1, 2)         \
    X(fork_promise, 1, 3)        \
    X(both, 2, 3)                \
    X(pair, 2, 2)                \
    X(all, 3, 2)                 \
    X(first, 2, 3)               \
    X(any, 3, 2)                 \
    X(for_each, 1, 2)            \
    X(hook, 1, 4)                \
    X(remove_hook, 0, 1)         \
    /* what fibers share */      \
    X(new_promise, 0, 3)         \
    X(new_stream, 0, 3)          \
    X(new_mutex, 0, 2)           \
    X(new_semaphore, 0, 2)       \
    X(new_condition, 0, 2)       \
    X(new_pair, 0, 3)            \
    X(resolve, 0, 3)             \
    X(await, 0, 4)               \
    X(add, 0, 6)                 \
    X(take, 0, 6)                \
    X(use_mutex, 1, 4)           \
    X(acquire, 1, 4)             \
    X(wait_condition, 0, 3)      \
    X(broadcast, 0, 3)           \
    X(write, 0, 6)               \
    X(read, 0, 6)                \
    X(lend, 0, 3)                \
    X(shut_down, 0, 1)           \
    X(close, 0, 1)               \
    X(reset, 0, 1)

enum stress_op {
#define X(name, bodies, weight) STRESS_##name,
    STRESS_OPS(X)
#undef X
        STRESS_OP_COUNT,
};

enum { STRESS_BODIES = 3, STRESS_STEPS = 64, STRESS_NONE = -1 };

struct stress_step {
    uint8_t op;    // enum stress_op
    uint8_t a, b;  // arguments; what they mean is the step's own business
    bool off;      // left out, with all that is in it: how a program is made smaller
    bool tolerant; // its error is dropped, and the fiber goes on
    int16_t next;  // the step after it; STRESS_NONE: the last one of its body
    int16_t bodies[STRESS_BODIES]; // first steps; STRESS_NONE: an empty body
};

struct stress_plan {
    uint64_t seed;
    struct stress_step steps[STRESS_STEPS];
    int count; // of them; the first one is the program's first
};

/** The program of `seed`; the same each time. */
void stress_plan_draw(struct stress_plan *self, uint64_t seed);
/** To stdout, as an indented tree, without what is off. */
void stress_plan_print(const struct stress_plan *self);
const char *stress_op_name(unsigned op);

EIO_END_DECLS

#endif
