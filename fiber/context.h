// SPDX-License-Identifier: ISC
#ifndef EIO_FIBER_CONTEXT_H
#define EIO_FIBER_CONTEXT_H

// The machine part: leaving one stack for another. The switch is inlined where a fiber suspends and
// declares every register clobbered, so that the compiler saves only what is live there; by hand it
// saves the stack pointer, the frame pointer and the place to go on. (A called function that saves
// all callee-saved registers measured 3 to 9 times slower: its return is mispredicted.) What costs
// system calls or serialises (signal mask, floating-point control words) isn't saved: a fiber that
// changes these restores them before it suspends.
//
// What is saved goes into the owner's record, not onto the stack: so a switch touches one cache line
// that the scheduler has in hand anyway, leaves the red zone alone, and needs no unwind information
// of its own, as the stack pointer is where the compiler believes it to be.

#include <stddef.h>

/** A stack that isn't running. */
struct eioi_context {
    void *sp; // stack pointer
    void *fp; // frame pointer
    void *pc; // where to go on
};

#if defined(__x86_64__)
#include "fiber/context_x86_64.h"
#elif defined(__aarch64__)
#include "fiber/context_aarch64.h"
#else
#error "eio: no context switch for this processor yet: x86-64 and aarch64 have one"
#endif

/**
 * Where a new fiber starts (context_*.S): calls `eioi_fiber_main` on the new stack, with nothing to
 * return to.
 */
void eioi_context_start(void);
/** What a new fiber runs (fiber.c; the context test has its own). */
_Noreturn void eioi_fiber_main(void);

#endif
