// SPDX-License-Identifier: ISC
#ifndef EIO_TESTS_STRESS_SCHEDULES_H
#define EIO_TESTS_STRESS_SCHEDULES_H

// Many random programs, in processes of their own, so that one that crashes or hangs can be told,
// run again and made smaller.

#include <stdbool.h>
#include <stdint.h>

#include "eio/macros.h"
#include "tests/stress/plan.h"

EIO_BEGIN_DECLS

struct schedules_result {
    uint64_t programs; // that have ended as they must
    uint64_t events;   // steps that were played in them
    uint64_t replayed; // programs that were run twice, with the same trace
};

/**
 * Runs the programs of `count` seeds from `from` on, in `jobs` processes. False: one has failed;
 * which one, and the smallest part of it that still fails, is on stdout.
 */
bool schedules_run(uint64_t from, uint64_t count, unsigned jobs, struct schedules_result *out);
/** Runs one program in this process, and prints it and its trace. */
void schedules_replay(uint64_t seed);
/**
 * Leaves steps out as long as `fails` says that the rest still fails. To be called with a program
 * that does.
 */
void schedules_shrink(struct stress_plan *plan, bool (*fails)(const struct stress_plan *plan));

EIO_END_DECLS

#endif
