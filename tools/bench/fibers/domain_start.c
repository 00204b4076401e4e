// SPDX-License-Identifier: ISC
// Domains: a thread with a loop of its own, started, run and joined. (Rows with `-domains` in their
// names measure what goes from one to another. Those are in wall time, and how far apart the
// processors are that the threads run on decides much of it.)

#include "eio/fiber.h"
#include "tools/bench/fibers/rows.h"

static eio_err *nothing(void *arg) {
    (void)arg;
    return NULL;
}

static eio_err *starts(void *arg, size_t n, int64_t *out_ns) {
    const eio_env *env = arg;
    int64_t start = measure_wall_ns();
    for (size_t i = 0; i < n; i++)
        EIO_TRY(eio_domain_run(env->domain_mgr, nothing, NULL));
    *out_ns = measure_wall_ns() - start;
    return NULL;
}

eio_err *row_domain_start(const struct bench *bench) {
    const struct subject subject = {
        .row = "domain-start", .label = "", .fn = starts, .arg = (void *)(uintptr_t)bench->env};
    return measure(&subject, bench->size, 100, 1);
}
