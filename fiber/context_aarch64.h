// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_CONTEXT_AARCH64_H
#define EIO_FIBER_CONTEXT_AARCH64_H

// AAPCS64. x18 belongs to the platform, which on Linux leaves it to the compiler: so it is one of those
// that a switch changes. The offsets in the instructions are those of `struct eioi_context`.

#include <stdint.h>

/**
 * Saves this context to `save` and goes on with `load`. Returns `save` when somebody switches back
 * to it: whoever does has it in the register for `load`, so this side need not keep it.
 */
static inline __attribute__((always_inline)) struct eioi_context *eioi_context_switch(
    struct eioi_context *save, struct eioi_context *load) {
    register struct eioi_context *x0 __asm__("x0") = save;
    register struct eioi_context *x1 __asm__("x1") = load;
    __asm__ volatile("mov x10, sp\n\t"
                     "adr x9, 1f\n\t"
                     "stp x10, x29, [x0]\n\t"
                     "str x9, [x0, #16]\n\t"
                     "ldp x10, x29, [x1]\n\t"
                     "ldr x9, [x1, #16]\n\t"
                     "mov sp, x10\n\t"
                     "br x9\n"
                     "1:\n\t"
                     "hint #36" // bti j
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24",
                       "x25", "x26", "x27", "x28", "x30", "memory", "cc", "v0", "v1", "v2", "v3",
                       "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                       "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                       "v27", "v28", "v29", "v30", "v31");
    return x1;
}

void eioi_context_start(void);

/** A switch to `self` will start `eioi_fiber_main` on the stack below `top`. */
static inline void eioi_context_init(struct eioi_context *self, void *top) {
    self->sp = (void *)((uintptr_t)top & ~(uintptr_t)15);
    self->fp = NULL; // here chains of frames end
    self->pc = (void *)(uintptr_t)eioi_context_start;
}

#endif
