// SPDX-License-Identifier: ISC
// The first instructions of a fiber. Unwinders stop here: there is no caller. eioi_fiber_main never
// returns, so it isn't called: the processor would keep the return address in mind, and guess the next
// returns of whoever forked wrongly.
// The other processors' files are compiled, too, to nothing.
#if defined(__aarch64__)
    .text
    .globl eioi_context_start
    .hidden eioi_context_start
    .type eioi_context_start, %function
    .p2align 4
eioi_context_start:
    .cfi_startproc
    .cfi_undefined x30
    hint #36 // bti j
    mov x29, xzr
    adr x30, 1f
    b eioi_fiber_main
1:
    brk #1
    .cfi_endproc
    .size eioi_context_start, . - eioi_context_start
#endif
    .section .note.GNU-stack, "", %progbits
