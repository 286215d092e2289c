# A guest that does what every kernel does at first: from real mode to protected mode, to long mode with paging, and an
# exception that goes through its own table. Then it tells the device at port 0xf4 that it got there.
#
# probe.bin is this; accel.rs adds the jump to it from where the processor begins:
#
#   as --64 -o probe.o probe.S && ld -e 0 -Ttext 0 --oformat binary -o probe.bin probe.o

.set BASE, 0xffff0000       # where the last 64 KiB of the firmware are
.set DONE, 42
.set PML4, 0x1000
.set PDPT, 0x2000
.set LOW, 0x3000            # directory of the first GiB
.set HIGH, 0x4000           # directory of the fourth GiB
.set IDT, 0x5000

.code16
start:
    cli
    lgdtl %cs:gdtr
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $8, $BASE + protected

.code32
protected:
    movw $16, %ax
    movw %ax, %ds
    movw %ax, %ss
    # Two large pages: the first 2 MiB of memory, and the last 2 MiB below 4 GiB, where this is.
    movl $PDPT + 3, PML4
    movl $LOW + 3, PDPT
    movl $HIGH + 3, PDPT + 3 * 8
    movl $0x83, LOW
    movl $0xffe00083, HIGH + 511 * 8
    movl $0x20, %eax        # CR4.PAE
    movl %eax, %cr4
    movl $PML4, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx  # EFER
    rdmsr
    orb $1, %ah             # EFER.LME
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax   # CR0.PG
    movl %eax, %cr0
    ljmpl $24, $BASE + long

.code64
long:
    movl $0x8000, %esp
    # The gate of exception 3.
    movl $BASE + breakpoint, %eax
    movw %ax, IDT + 0x30
    movw $24, IDT + 0x32
    movw $0x8e00, IDT + 0x34
    shrl $16, %eax
    movw %ax, IDT + 0x36
    lidt idtr(%rip)
    int3
    hlt
breakpoint:
    movb $DONE, %al
    outb %al, $0xf4
    hlt

.balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff # 8: code, 32 bits
    .quad 0x00cf93000000ffff # 16: data
    .quad 0x00af9b000000ffff # 24: code, 64 bits
gdtr:
    .word 4 * 8 - 1
    .long BASE + gdt
idtr:
    .word 4 * 16 - 1
    .quad IDT
