// SPDX-License-Identifier: ISC
// The first instructions of a fiber. Unwinders stop here: there is no caller.
//
// eioi_fiber_main never returns, so it isn't called: the processor would keep the return address in
// mind, and guess the next returns of whoever forked wrongly. What stands in its place on the stack is
// for unwinders.
//
// This file has no .note.gnu.property, so that the linker doesn't mark programs with it as fit for
// shadow stacks, which a switch would have to change, too.
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
    leaq 1f(%rip), %rax
    pushq %rax
    jmp eioi_fiber_main
1:
    ud2
    .cfi_endproc
    .size eioi_context_start, . - eioi_context_start
#endif
    .section .note.GNU-stack, "", @progbits
