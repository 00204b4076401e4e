// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_CONTEXT_AARCH64_H
#define EIO_FIBER_CONTEXT_AARCH64_H

// AAPCS64. x18 belongs to the platform and is left alone; x29 can't be declared clobbered, so it is
// saved by hand.

#include <stdint.h>

/**
 * Saves this stack's pointer to `*save` and goes on where `load` was saved. Returns when somebody
 * switches back.
 */
static inline __attribute__((always_inline)) void eioi_context_switch(void **save, void *load) {
    register void **x0 __asm__("x0") = save;
    register void *x1 __asm__("x1") = load;
    __asm__ volatile("adr x9, 1f\n\t"
                     "stp x9, x29, [sp, #-16]!\n\t"
                     "mov x10, sp\n\t"
                     "str x10, [x0]\n\t"
                     "mov sp, x1\n\t"
                     "ldp x9, x29, [sp], #16\n\t"
                     "br x9\n"
                     "1:\n\t"
                     "hint #36" // bti j
                     : "+r"(x0), "+r"(x1)
                     :
                     : "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13",
                       "x14", "x15", "x16", "x17", "x19", "x20", "x21", "x22", "x23", "x24", "x25",
                       "x26", "x27", "x28", "x30", "memory", "cc", "v0", "v1", "v2", "v3", "v4",
                       "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
                       "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26",
                       "v27", "v28", "v29", "v30", "v31");
}

void eioi_context_start(void);

/** Prepares the stack below `top` so that a switch to what is returned starts `eioi_fiber_main`. */
static inline void *eioi_context_new(void *top) {
    uintptr_t *sp = (uintptr_t *)(((uintptr_t)top) & ~(uintptr_t)15);
    *--sp = 0; // x29
    *--sp = (uintptr_t)eioi_context_start;
    return sp;
}

#endif
