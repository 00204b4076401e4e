// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_CONTEXT_X86_64_H
#define EIO_FIBER_CONTEXT_X86_64_H

// System V ABI. The offsets in the instructions are those of `struct eioi_context`.

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
 * Saves this context to `save` and goes on with `load`. Returns `save` when somebody switches back
 * to it: whoever does has it in the register for `load`, so this side need not keep it.
 */
static inline __attribute__((always_inline)) struct eioi_context *eioi_context_switch(
    struct eioi_context *save, struct eioi_context *load) {
    __asm__ volatile("leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rsp, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%rax, 16(%0)\n\t"
                     "movq (%1), %%rsp\n\t"
                     "movq 8(%1), %%rbp\n\t"
                     "jmpq *16(%1)\n"
                     "1:\n\t"
                     "endbr64"
                     : "+D"(save), "+S"(load)
                     :
                     : "rax", "rbx", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
                       "r15", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
                       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                       "xmm15" EIOI_CONTEXT_AVX512_);
    return load;
}

void eioi_context_start(void);

/** A switch to `self` will start `eioi_fiber_main` on the stack below `top`. */
static inline void eioi_context_init(struct eioi_context *self, void *top) {
    self->sp = (void *)((uintptr_t)top & ~(uintptr_t)15);
    self->fp = NULL; // here chains of frames end
    self->pc = (void *)(uintptr_t)eioi_context_start;
}

#endif
