// SPDX-License-Identifier: ISC
// A window's two ends are taken between two turns of the client's loop, so what was begun before
// one end and completed after it is counted at neither or at both: at most one batch in a window of
// thousands. Draining leaves the server with nothing to do while another one is measured.

#include <inttypes.h>
#include <stdio.h>

#include "tools/bench/load/meter.h"
#include "tools/bench/load/process_time.h"

void meter_start(struct meter *self, int64_t now, int64_t warm_ns, int64_t run_ns) {
    *self = (struct meter){
        .server = self->server,
        .phase = WARMING,
        .until = now + warm_ns,
        .run_ns = run_ns,
    };
}

static void begin(struct meter *self, int64_t now) {
    self->phase = COUNTING;
    self->began = now;
    self->until = now + self->run_ns;
    self->turns = 0;
    self->lost = 0;
    self->server_ns = process_time_ns(self->server);
    self->client_ns = own_time_ns();
}

static void end(struct meter *self, int64_t now) {
    self->phase = DRAINING;
    self->elapsed_ns = now - self->began;
    self->server_ns = process_time_ns(self->server) - self->server_ns;
    self->client_ns = own_time_ns() - self->client_ns;
}

bool meter_turn(struct meter *self, int64_t now) {
    if (self->phase == DRAINING)
        return false;
    self->turns++;
    if (now < self->until)
        return true;
    if (self->phase == WARMING) {
        begin(self, now);
        return true;
    }
    end(self, now);
    return false;
}

void meter_print(const struct meter *self) {
    printf("{\"ops\": %" PRIu64 ", \"seconds\": %.6f, \"server_cpu\": %.9f, \"client_cpu\": %.9f, "
           "\"p50\": %.0f, \"p99\": %.0f, \"p999\": %.0f, \"turns\": %" PRIu64
           ", \"lost\": %" PRIu64 "}\n",
           self->ops, (double)self->elapsed_ns * 1e-9, (double)self->server_ns * 1e-9,
           (double)self->client_ns * 1e-9, histogram_quantile(&self->latency, 0.5),
           histogram_quantile(&self->latency, 0.99), histogram_quantile(&self->latency, 0.999),
           self->turns, self->lost);
    fflush(stdout);
}
