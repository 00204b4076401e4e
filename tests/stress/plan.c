// SPDX-License-Identifier: ISC

// Theory. Steps are drawn one after the other until the program has its length. Each seed also
// draws which kinds of steps its program has: programs of a few kinds reach what a mixture of all
// of them never does, say a semaphore with nothing but cancellations around it.

#include "tests/stress/plan.h"

#include <stdio.h>

#include "fiber/base/splitmix.h"

enum { DEPTH_MAX = 6, BODY_MAX = 7 };

static const struct {
    const char *name;
    unsigned bodies;
    unsigned weight;
} ops[] = {
#define X(name, bodies, weight) {#name, bodies, weight},
    STRESS_OPS(X)
#undef X
};

struct drawing {
    struct stress_plan *plan;
    uint64_t random;
    unsigned weights[STRESS_OP_COUNT]; // 0: this program has none
    unsigned total;
    unsigned tolerance; // one step of so many is tolerant
    int budget;         // steps still to be made
};

const char *stress_op_name(unsigned op) {
    return ops[op].name;
}

static unsigned below(struct drawing *d, unsigned n) {
    return (unsigned)(eioi_splitmix(&d->random) % n);
}

static unsigned draw_op(struct drawing *d) {
    unsigned at = below(d, d->total);
    unsigned op = 0;
    for (; at >= d->weights[op]; op++)
        at -= d->weights[op];
    return op;
}

static int16_t draw_body(struct drawing *d, int depth);

static int16_t draw_step(struct drawing *d, int depth) {
    int16_t at = (int16_t)d->plan->count++;
    struct stress_step *step = &d->plan->steps[at];
    d->budget--;
    unsigned op = draw_op(d);
    while (depth == DEPTH_MAX && ops[op].bodies > 0)
        op = draw_op(d);
    *step = (struct stress_step){.op = (uint8_t)op,
                                 .a = (uint8_t)below(d, 256),
                                 .b = (uint8_t)below(d, 256),
                                 .tolerant = below(d, d->tolerance) == 0,
                                 .next = STRESS_NONE};
    for (unsigned i = 0; i < STRESS_BODIES; i++)
        step->bodies[i] = i < ops[op].bodies ? draw_body(d, depth + 1) : (int16_t)STRESS_NONE;
    return at;
}

static int16_t draw_body(struct drawing *d, int depth) {
    int16_t first = STRESS_NONE;
    int16_t *link = &first;
    for (unsigned n = 1 + below(d, BODY_MAX); n > 0 && d->budget > 0; n--) {
        *link = draw_step(d, depth);
        link = &d->plan->steps[*link].next;
    }
    return first;
}

/** What fibers share must be made before it can be used: those steps come in any program. */
static bool is_always_there(unsigned op) {
    return op == STRESS_yield || (op >= STRESS_new_promise && op <= STRESS_new_pair);
}

void stress_plan_draw(struct stress_plan *self, uint64_t seed) {
    struct drawing d = {.plan = self, .random = seed};
    self->seed = seed;
    self->count = 0;
    const unsigned percent = 30 + below(&d, 71);
    for (unsigned op = 0; op < STRESS_OP_COUNT; op++) {
        bool there = below(&d, 100) < percent || is_always_there(op);
        d.weights[op] = there ? ops[op].weight : 0;
        d.total += d.weights[op];
    }
    d.tolerance = 1 + below(&d, 6);
    d.budget = 3 + (int)below(&d, STRESS_STEPS - 3);
    int16_t *link = NULL;
    while (d.budget > 0) {
        int16_t first = draw_body(&d, 0);
        if (link != NULL)
            *link = first;
        while (self->steps[first].next != STRESS_NONE)
            first = self->steps[first].next;
        link = &self->steps[first].next;
    }
}

static void print_body(const struct stress_plan *self, int at, int depth) {
    for (; at != STRESS_NONE; at = self->steps[at].next) {
        const struct stress_step *step = &self->steps[at];
        if (step->off)
            continue;
        printf("%*s%d: %s %u %u%s\n", 4 * depth, "", at, ops[step->op].name, step->a, step->b,
               step->tolerant ? ", tolerant" : "");
        for (unsigned i = 0; i < ops[step->op].bodies; i++) {
            if (i > 0)
                printf("%*s--\n", 4 * depth, "");
            print_body(self, step->bodies[i], depth + 1);
        }
    }
}

void stress_plan_print(const struct stress_plan *self) {
    print_body(self, self->count > 0 ? 0 : STRESS_NONE, 0);
}
