// SPDX-License-Identifier: ISC
// /proc/PID/task/*/schedstat counts nanoseconds of run time; utime and stime of the same tasks are
// shares of it, in ticks. Workers that io_uring starts are tasks of the process, so they are
// counted. A thread that ends between two readings takes its time with it: no server here does that.

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "tools/bench/common/die.h"
#include "tools/bench/load/process_time.h"

static int64_t task_time_ns(pid_t pid, const char *task) {
    char path[sizeof "/proc//task//schedstat" + 32 + 256];
    snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", (int)pid, task);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int64_t ns;
    int got = fscanf(file, "%" SCNd64, &ns);
    fclose(file);
    return got == 1 ? ns : 0;
}

int64_t process_time_ns(pid_t pid) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *folder = opendir(path);
    if (folder == NULL)
        die_errno(errno, "the server is gone: %s", path);
    int64_t sum = 0;
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.')
            sum += task_time_ns(pid, entry->d_name);
    closedir(folder);
    return sum;
}

int64_t own_time_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}
