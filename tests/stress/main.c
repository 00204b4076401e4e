// SPDX-License-Identifier: ISC
// Random programs on the mock loop in random orders: see README.md in this folder's parent.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/stress/schedules.h"

static const char usage[] = "usage: schedules [--seeds N] [--from SEED] [--jobs N]\n"
                            "       schedules --seed SEED\n";

int main(int argc, char **argv) {
    uint64_t from = (uint64_t)time(NULL) * 1000000;
    uint64_t seeds = 200000;
    unsigned jobs = 1;
    for (int i = 1; i < argc; i += 2) {
        uint64_t value = i + 1 < argc ? strtoull(argv[i + 1], NULL, 10) : 0;
        if (i + 1 == argc) {
            fputs(usage, stderr);
            return 2;
        } else if (strcmp(argv[i], "--seed") == 0) {
            schedules_replay(value);
            return 0;
        } else if (strcmp(argv[i], "--seeds") == 0) {
            seeds = value;
        } else if (strcmp(argv[i], "--from") == 0) {
            from = value;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            jobs = (unsigned)value;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    struct schedules_result result;
    time_t start = time(NULL);
    printf("seeds %llu to %llu\n", (unsigned long long)from,
           (unsigned long long)(from + seeds - 1));
    bool ok = schedules_run(from, seeds, jobs, &result);
    printf("%llu programs, %llu steps, %llu programs run twice with the same trace, %lld s\n",
           (unsigned long long)result.programs, (unsigned long long)result.events,
           (unsigned long long)result.replayed, (long long)(time(NULL) - start));
    return ok ? 0 : 1;
}
