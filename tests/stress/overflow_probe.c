// SPDX-License-Identifier: ISC
// Overflows a fiber's stack: `overflow_probe recursion`, `overflow_probe frame BYTES [GUARD]`. It is
// built with and without optimisation, and with and without the compiler's probes of large frames;
// overflow_test.sh looks at what becomes of it.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eio/fiber.h"
#include "eio/main.h"
#include "fiber/sanitizer.h"

enum { SANITIZED = 77 }; // frames and stacks are others, or the sanitizer has the fault

struct probe {
    const char *what;
    size_t frame_bytes;
};

/** Each call holds a little of the stack; nothing a compiler may turn into a loop. */
static __attribute__((noinline)) size_t endless(volatile size_t *depth) {
    volatile char held[200];
    held[0] = (char)++*depth;
    size_t below = *depth == 0 ? 0 : endless(depth);
    return below + (size_t)held[0];
}

/** Writes to the far end of its locals only. */
static __attribute__((noinline)) char large_frame(size_t bytes) {
    volatile char *far = __builtin_alloca(bytes);
    far[0] = 1;
    return far[0];
}

static eio_err *overflow(void *arg) {
    struct probe *self = arg;
    volatile size_t depth = 0;
    if (strcmp(self->what, "recursion") == 0)
        printf("%zu\n", endless(&depth));
    else
        printf("%d\n", large_frame(self->frame_bytes));
    return NULL;
}

static eio_err *run(void *arg, eio_switch *sw) {
    const struct eio_fork_opts opts = {.name = "runs away"};
    return eio_fiber_fork(sw, overflow, arg, &opts);
}

static eio_err *in_loop(void *arg, const eio_env *env) {
    (void)env;
    return eio_switch_run(run, arg);
}

/** The i-th argument, a number; 0 when there are fewer. */
static __attribute__((noinline)) size_t number(int argc, char **argv, int i) {
    return i < argc ? strtoul(argv[i], NULL, 10) : 0;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
#if defined(EIOI_ASAN) || defined(EIOI_TSAN)
    return SANITIZED;
#endif
    struct probe probe = {.what = argv[1], .frame_bytes = number(argc, argv, 2)};
    const struct eio_run_opts opts = {.guard_bytes = number(argc, argv, 3)};
    eio_install_overflow_handler();
    eio_err *err = eio_run(&opts, in_loop, &probe);
    eio_err_drop(err);
    return 0; // it wasn't stopped
}
