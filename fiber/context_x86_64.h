// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_CONTEXT_X86_64_H
#define EIO_FIBER_CONTEXT_X86_64_H

// System V ABI. The 128 bytes below the stack pointer (the red zone) may be in use where this is
// inlined: stepped over.

#include <stdint.h>

#ifdef __AVX512F__
#define EIOI_CONTEXT_AVX512_                                                                      \
    , "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",   \
        "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k0", "k1", "k2", "k3", "k4", "k5", \
        "k6", "k7"
#else
#define EIOI_CONTEXT_AVX512_
#endif

/**
 * Saves this stack's pointer to `*save` and goes on where `load` was saved. Returns when somebody
 * switches back.
 */
static inline __attribute__((always_inline)) void eioi_context_switch(void **save, void *load) {
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "pushq %%rbp\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "movq %%rsp, (%0)\n\t"
                     "movq %1, %%rsp\n\t"
                     "popq %%rax\n\t"
                     "jmpq *%%rax\n"
                     "1:\n\t"
                     "endbr64\n\t"
                     "popq %%rbp\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : "+D"(save), "+S"(load)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15" EIOI_CONTEXT_AVX512_);
}

void eioi_context_start(void);

/** Prepares the stack below `top` so that a switch to what is returned starts `eioi_fiber_main`. */
static inline void *eioi_context_new(void *top) {
    uintptr_t *sp = (uintptr_t *)(((uintptr_t)top) & ~(uintptr_t)15);
    *--sp = 0;
    *--sp = (uintptr_t)eioi_context_start;
    return sp;
}

#endif
