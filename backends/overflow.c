// SPDX-License-Identifier: ISC

// Theory. The handler is installed over the default action only: a program that has its own keeps
// it. It prints its line when the fault is in a guard of one of this thread's stacks, and in any
// case puts the default action back and returns: the instruction faults again, and the process dies
// where it happened, with an honest core file. A SIGSEGV that somebody sent is sent again.
//
// Not under AddressSanitizer, which has a handler of its own that tells more.

#include "backends/overflow.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "eio/main.h"
#include "fiber/base/fault.h"
#include "fiber/sanitizer.h"
#include "fiber/stack.h"

enum { STACK_BYTES = 64 * 1024 };

static atomic_bool installed;

static void on_fault(int signum, siginfo_t *info, void *context) {
    char text[256];
    (void)context;
    if (info->si_code > 0 && eioi_stack_describe_fault(info->si_addr, text, sizeof text)) {
        // fault: none, nobody is left to tell
        ssize_t n = write(STDERR_FILENO, text, strlen(text));
        (void)n;
    }
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigaction(signum, &standard, NULL); // fault: none, a valid signal and action
    if (info->si_code <= 0)
        raise(signum);
}

static void install(void) {
#ifndef EIOI_ASAN
    struct sigaction ours = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct sigaction old;
    sigemptyset(&ours.sa_mask);
    if (EIOI_SYS(sigaction, sigaction(SIGSEGV, NULL, &old)) != 0 ||
        (old.sa_flags & SA_SIGINFO) != 0 || old.sa_handler != SIG_DFL)
        return;
    atomic_store(&installed, EIOI_SYS(sigaction, sigaction(SIGSEGV, &ours, NULL)) == 0);
#else
    (void)on_fault;
#endif
}

void eio_install_overflow_handler(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install);
}

void eioi_alternate_stack_begin(struct eioi_alternate_stack *self) {
    stack_t old;
    *self = (struct eioi_alternate_stack){NULL, 0};
    if (!atomic_load(&installed) || EIOI_SYS(sigaltstack, sigaltstack(NULL, &old)) != 0 ||
        (old.ss_flags & SS_DISABLE) == 0)
        return;
    void *base = EIOI_SYS_PTR(
        mmap, mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base == MAP_FAILED)
        return; // an overflow will not be named, that's all
    stack_t ours = {.ss_sp = base, .ss_size = STACK_BYTES};
    if (EIOI_SYS(sigaltstack, sigaltstack(&ours, NULL)) != 0) {
        munmap(base, STACK_BYTES); // fault: none, it was made a moment ago
        return;
    }
    *self = (struct eioi_alternate_stack){base, STACK_BYTES};
}

void eioi_alternate_stack_end(struct eioi_alternate_stack *self) {
    if (self->base == NULL)
        return;
    stack_t none = {.ss_flags = SS_DISABLE};
    sigaltstack(&none, NULL);      // fault: none, nobody runs on it
    munmap(self->base, self->len); // fault: none, there is nothing else to do
    self->base = NULL;
}
