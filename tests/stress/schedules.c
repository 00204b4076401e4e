// SPDX-License-Identifier: ISC

// Theory. Each worker runs the seeds of its own residue, and tells the parent by shared memory which
// one it is at; a violation, a crash or an alarm ends the worker, and the parent finds the seed
// there. Shrinking leaves out one step after the other (with what is in it), from the largest on,
// and keeps what still fails, until nothing more can go; every attempt is a process, too.

#include "tests/stress/schedules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/stress/play.h"

enum {
    JOBS_MAX = 64,
    ALARM_SECONDS = 60, // for one batch; a program takes a fraction of a millisecond
    BATCH = 64,         // programs for each alarm, one of which is replayed
    TRACE_ROOM = 1 << 20,
};

/** One worker's, in memory that the parent shares. */
struct progress {
    volatile uint64_t seed; // that it is at
    volatile uint64_t programs, events, replayed;
};

static void play_twice(const struct stress_plan *plan) {
    static char *first, *second;
    if (first == NULL) {
        first = malloc(TRACE_ROOM);
        second = malloc(TRACE_ROOM);
    }
    MUST(first != NULL && second != NULL, "no memory for the traces");
    size_t len = play(plan, first, TRACE_ROOM);
    MUST(play(plan, second, TRACE_ROOM) == len && memcmp(first, second, len) == 0,
         "the same seed gives another trace");
}

static void work(struct progress *self, uint64_t from, uint64_t count, unsigned step) {
    static struct stress_plan plan;
    for (uint64_t i = 0; i < count; i += step) {
        bool replays = self->programs % BATCH == 0;
        if (replays)
            alarm(ALARM_SECONDS);
        self->seed = from + i;
        stress_plan_draw(&plan, from + i);
        if (replays)
            play_twice(&plan);
        else
            play(&plan, NULL, 0);
        self->replayed += replays;
        self->events += world.events;
        self->programs++;
    }
}

/** What the library and the model say of an attempt to shrink is of no use. */
static void be_quiet(void) {
    if (freopen("/dev/null", "w", stderr) == NULL)
        _exit(1);
}

/** In a process of its own; false when it fails. */
static bool run_alone(const struct stress_plan *plan, bool loud) {
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!loud)
            be_quiet();
        alarm(ALARM_SECONDS / 10);
        play_twice(plan);
        _exit(0);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool fails_alone(const struct stress_plan *plan) {
    return !run_alone(plan, /* loud= */ false);
}

void schedules_shrink(struct stress_plan *plan, bool (*fails)(const struct stress_plan *plan)) {
    for (bool again = true; again;) {
        again = false;
        for (int i = 0; i < plan->count; i++) {
            struct stress_step *step = &plan->steps[i];
            if (step->off)
                continue;
            step->off = true;
            if (fails(plan))
                again = true;
            else
                step->off = false;
        }
    }
}

static void report(uint64_t seed, int status) {
    static struct stress_plan plan;
    printf("seed %llu fails (%s %d); to run it again:\n"
           "    bazel run //tests/stress:schedules -- --seed %llu\n",
           (unsigned long long)seed, WIFSIGNALED(status) ? "signal" : "status",
           WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (unsigned long long)seed);
    stress_plan_draw(&plan, seed);
    if (!fails_alone(&plan)) {
        printf("alone it doesn't fail\n");
        return;
    }
    schedules_shrink(&plan, fails_alone);
    printf("the smallest part that fails:\n");
    stress_plan_print(&plan);
    fflush(stdout);
    (void)run_alone(&plan, /* loud= */ true);
}

bool schedules_run(uint64_t from, uint64_t count, unsigned jobs, struct schedules_result *out) {
    jobs = jobs == 0 ? 1 : jobs > JOBS_MAX ? (unsigned)JOBS_MAX : jobs;
    struct progress *progress = mmap(NULL, JOBS_MAX * sizeof *progress, PROT_READ | PROT_WRITE,
                                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(progress != MAP_FAILED, "no memory");
    pid_t pids[JOBS_MAX];
    fflush(NULL);
    for (unsigned i = 0; i < jobs; i++) {
        pids[i] = fork();
        MUST(pids[i] >= 0, "fork");
        if (pids[i] == 0) {
            work(&progress[i], from + i, count > i ? count - i : 0, jobs);
            _exit(0);
        }
    }
    bool ok = true;
    *out = (struct schedules_result){.programs = 0};
    for (unsigned i = 0; i < jobs; i++) {
        int status = 0;
        MUST(waitpid(pids[i], &status, 0) == pids[i], "waitpid");
        if (status != 0)
            report(progress[i].seed, status);
        ok = ok && status == 0;
        out->programs += progress[i].programs;
        out->events += progress[i].events;
        out->replayed += progress[i].replayed;
    }
    munmap(progress, JOBS_MAX * sizeof *progress);
    return ok;
}

void schedules_replay(uint64_t seed) {
    static struct stress_plan plan;
    static char trace[TRACE_ROOM];
    stress_plan_draw(&plan, seed);
    stress_plan_print(&plan);
    fflush(stdout);
    size_t len = play(&plan, trace, sizeof trace);
    fwrite(trace, 1, len, stdout);
}
