// SPDX-License-Identifier: ISC
// The switch keeps stack pointer, frame pointer and the place to go on in the fiber's record, which
// is the one cache line of it that a switch touches; the compiler saves what else is live, since
// every register is declared clobbered. Records stand at the tops of the stacks, staggered over the
// cache sets.

#include "tools/bench/fibers/bare.h"

#include <stdbool.h>
#include <sys/mman.h>

#include "tools/bench/fibers/measure.h"

struct bare {
    void *sp, *fp, *pc;
    struct bare *next; // in the run queue
};

#if defined(__x86_64__)
static inline __attribute__((always_inline)) void change(struct bare *from, struct bare *to) {
    __asm__ volatile("movq %%rsp, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 16(%0)\n\t"
                     "movq (%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n"
                     "1:\n\t"
                     "endbr64"
                     : "+D"(from), "+S"(to)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15");
}
#elif defined(__aarch64__)
static inline __attribute__((always_inline)) void change(struct bare *from, struct bare *to) {
    register struct bare *x0 __asm__("x0") = from;
    register struct bare *x1 __asm__("x1") = to;
    __asm__ volatile("mov x10, sp\n\t"
                     "adr x9, 1f\n\t"
                     "stp x10, x29, [x0]\n\t"
                     "str x9, [x0, #16]\n\t"
                     "ldp x10, x29, [x1]\n\t"
                     "ldr x9, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "1:\n\t"
                     "hint #36"
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "memory", "cc", "v0", "v1", "v2", "v3",
                       "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                       "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                       "v27", "v28", "v29", "v30", "v31");
}
#endif

static struct bare *head, *tail, *current;
static struct bare thread;
static size_t yields_each;
static size_t alive;

static inline void push(struct bare *f) {
    f->next = NULL;
    if (head == NULL)
        head = f;
    else
        tail->next = f;
    tail = f;
}

static inline struct bare *pop(void) {
    struct bare *f = head;
    head = f->next;
    return f;
}

/** A record at the top of stack `i` that begins with `fn`. */
static struct bare *prepare(char *slab, size_t i, size_t stack_bytes, void (*fn)(void)) {
    const size_t colour = (i * 192) % 2048 & ~(size_t)63;
    char *top = slab + (i + 1) * stack_bytes - 64 - colour;
    struct bare *f = (struct bare *)(void *)top;
    f->sp = top - 8; // as after a call
    f->fp = NULL;
    f->pc = (void *)(uintptr_t)fn;
    return f;
}

static char *map(size_t bytes) {
    char *slab = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (slab == MAP_FAILED)
        return NULL;
    madvise(slab, bytes, MADV_NOHUGEPAGE);
    return slab;
}

static __attribute__((noinline)) void yielding(void) {
    for (size_t i = 0; i < yields_each; i++) {
        struct bare *self = current;
        push(self);
        struct bare *next = pop();
        if (next != self) {
            current = next;
            change(self, next);
        }
    }
    struct bare *self = current;
    current = --alive == 0 ? &thread : pop();
    change(self, current);
    __builtin_unreachable();
}

eio_err *bare_yield(void *arg, size_t n, int64_t *out_ns) {
    struct bare_yield *self = arg;
    if (self->slab == NULL)
        self->slab = map(self->fibers * self->stack_bytes);
    if (self->slab == NULL)
        return eio_err_const(&eio_err_out_of_memory);
    head = NULL;
    yields_each = n / self->fibers;
    alive = self->fibers;
    for (size_t i = 0; i < self->fibers; i++)
        push(prepare(self->slab, i, self->stack_bytes, yielding));
    int64_t start = measure_cpu_ns();
    current = pop();
    change(&thread, current);
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

void bare_yield_free(struct bare_yield *self) {
    if (self->slab != NULL)
        munmap(self->slab, self->fibers * self->stack_bytes);
    self->slab = NULL;
}

static struct bare *partner;

static __attribute__((noinline)) void answering(void) {
    for (;;)
        change(partner, &thread);
}

eio_err *bare_switch(void *arg, size_t n, int64_t *out_ns) {
    static _Alignas(64) char stack[4096];
    (void)arg;
    partner = prepare(stack, 0, sizeof stack, answering);
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i += 2)
        change(&thread, partner);
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}

static struct bare *pool;

static __attribute__((noinline)) void ending(void) {
    struct bare *self = current;
    self->next = pool;
    pool = self;
    current = pop();
    change(self, current);
    __builtin_unreachable();
}

eio_err *bare_spawn(void *arg, size_t n, int64_t *out_ns) {
    static _Alignas(64) char stack[4096];
    (void)arg;
    head = NULL;
    pool = prepare(stack, 0, sizeof stack, ending);
    pool->next = NULL;
    char *top = pool->sp;
    int64_t start = measure_cpu_ns();
    for (size_t i = 0; i < n; i++) {
        struct bare *f = pool;
        pool = f->next;
        f->sp = top;
        f->fp = NULL;
        f->pc = (void *)(uintptr_t)ending;
        push(&thread);
        current = f;
        change(&thread, f);
    }
    *out_ns = measure_cpu_ns() - start;
    return NULL;
}
