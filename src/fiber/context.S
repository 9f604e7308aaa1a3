// The switch between stacks: keeps what the ABI lets a function rely on across a call.
//
// Not the floating-point control words (mxcsr and x87's; fpcr): the ABI has them kept too,
// but they are the thread's, nobody here changes them, and a fiber never leaves its thread.
// To keep them would cost more than all the rest.
//
// void context_switch_stacks(void **ret_from, void *to): stores the caller's stack pointer
// in *ret_from and goes on at `to`, which an earlier call stored or context_init made.
// context_start: where a new context begins.

#if defined(__x86_64__)

	.text
	.globl context_switch_stacks
	.hidden context_switch_stacks
	.type context_switch_stacks, @function
	.balign 16
context_switch_stacks:
	.cfi_startproc
	pushq %rbp
	pushq %rbx
	pushq %r12
	pushq %r13
	pushq %r14
	pushq %r15
	movq %rsp, (%rdi)
	movq %rsi, %rsp
	popq %r15
	popq %r14
	popq %r13
	popq %r12
	popq %rbx
	popq %rbp
	// Not ret: the processor would foretell the return to another fiber's caller.
	popq %rcx
	jmpq *%rcx
	.cfi_endproc
	.size context_switch_stacks, . - context_switch_stacks

	.globl context_start
	.hidden context_start
	.type context_start, @function
	.balign 16
context_start:
	.cfi_startproc
	// Debuggers' backtraces end here.
	.cfi_undefined %rip
	movq %r12, %rdi
	callq *%r13
	ud2
	.cfi_endproc
	.size context_start, . - context_start

#elif defined(__aarch64__)

	.text
	.globl context_switch_stacks
	.hidden context_switch_stacks
	.type context_switch_stacks, %function
	.balign 16
context_switch_stacks:
	.cfi_startproc
	sub sp, sp, #160
	stp x19, x20, [sp, #0]
	stp x21, x22, [sp, #16]
	stp x23, x24, [sp, #32]
	stp x25, x26, [sp, #48]
	stp x27, x28, [sp, #64]
	stp x29, x30, [sp, #80]
	stp d8, d9, [sp, #96]
	stp d10, d11, [sp, #112]
	stp d12, d13, [sp, #128]
	stp d14, d15, [sp, #144]
	mov x9, sp
	str x9, [x0]
	mov sp, x1
	ldp x19, x20, [sp, #0]
	ldp x21, x22, [sp, #16]
	ldp x23, x24, [sp, #32]
	ldp x25, x26, [sp, #48]
	ldp x27, x28, [sp, #64]
	ldp x29, x30, [sp, #80]
	ldp d8, d9, [sp, #96]
	ldp d10, d11, [sp, #112]
	ldp d12, d13, [sp, #128]
	ldp d14, d15, [sp, #144]
	add sp, sp, #160
	br x30
	.cfi_endproc
	.size context_switch_stacks, . - context_switch_stacks

	.globl context_start
	.hidden context_start
	.type context_start, %function
	.balign 16
context_start:
	.cfi_startproc
	.cfi_undefined x30
	mov x0, x19
	blr x20
	brk #0
	.cfi_endproc
	.size context_start, . - context_start

#endif

#if defined(__linux__) && defined(__ELF__)
	.section .note.GNU-stack, "", %progbits
#endif
