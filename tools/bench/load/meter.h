// SPDX-License-Identifier: ISC
// One window of measuring: warming up, counting, draining.

#ifndef EIO_BENCH_METER_H
#define EIO_BENCH_METER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/bench/load/histogram.h"

struct meter {
    pid_t server;                               /**< whose CPU time is counted */
    enum { WARMING, COUNTING, DRAINING } phase; /**< in this order */
    int64_t until;                              /**< when the phase ends; not in DRAINING */
    int64_t run_ns;                             /**< how long to count */
    int64_t began;                              /**< when counting began; from COUNTING on */
    int64_t elapsed_ns;                         /**< how long it was counted; in DRAINING */
    int64_t server_ns;        /**< CPU time: at the start in COUNTING, used after */
    int64_t client_ns;        /**< the same for this process */
    uint64_t ops;             /**< operations that were counted */
    uint64_t turns;           /**< of the client's loop */
    uint64_t lost;            /**< operations that had to be begun again */
    struct histogram latency; /**< of the counted operations, in nanoseconds */
};

void meter_start(struct meter *self, int64_t now, int64_t warm_ns, int64_t run_ns);
/** To be called once a turn of the loop; whether new operations are to be begun. */
bool meter_turn(struct meter *self, int64_t now);
/** An operation that took from `start` to `now` is done. */
static inline void meter_count(struct meter *self, int64_t start, int64_t now) {
    if (self->phase != COUNTING)
        return;
    self->ops++;
    histogram_add(&self->latency, (uint64_t)(now - start));
}
/** One JSON object in a line, on standard output. */
void meter_print(const struct meter *self);

#endif
