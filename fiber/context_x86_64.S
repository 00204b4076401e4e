// SPDX-License-Identifier: ISC
// The first instructions of a fiber. Unwinders stop here: there is no caller.
// The other processors' files are compiled, too, to nothing.
#if defined(__x86_64__)
    .text
    .globl eioi_context_start
    .hidden eioi_context_start
    .type eioi_context_start, @function
    .p2align 4
eioi_context_start:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    xorl %ebp, %ebp
    andq $-16, %rsp
    call eioi_fiber_main
    ud2
    .cfi_endproc
    .size eioi_context_start, . - eioi_context_start
#endif
    .section .note.GNU-stack, "", @progbits
