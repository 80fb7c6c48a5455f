// Makes a processor with AVX-512 look like one that ends with AVX2: LD_PRELOAD=hide_avx512.so PROGRAM (Linux on
// x86-64).
//
//   cc -O1 -shared -fPIC hide_avx512.c -o hide_avx512.so
//
// The kernel can make CPUID fault (arch_prctl, ARCH_SET_CPUID, where /proc/cpuinfo says cpuid_fault). Each CPUID then
// arrives here as SIGSEGV: it is answered truthfully but for AVX-512, VNNI, bf16 and AMX. So whatever chooses code by
// CPUID, ONNX Runtime and the sparse engine alike, takes its AVX2 code; threads inherit it. Not for a program with a
// SIGSEGV handler of its own, such as gcc. Exit code 125: this machine cannot do it.
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { ARCH_SET_CPUID = 0x1012 };

// Of leaf 7, as the Intel manual numbers them (volume 2, CPUID).
#define BIT(n) (1U << (n))
static const unsigned AVX512_EBX = BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31);
static const unsigned AVX512_ECX = BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14);  // VBMI to VPOPCNTDQ
// With fp16 and AMX.
static const unsigned AVX512_AMX_EDX = BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25);
static const unsigned VNNI_BF16_EAX = BIT(4) | BIT(5) | BIT(21);  // of subleaf 1

static long allow_cpuid(int allowed) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, (unsigned long)allowed); }

static void answer(int number, siginfo_t* info, void* context) {
    (void)info;
    greg_t* registers = ((ucontext_t*)context)->uc_mcontext.gregs;
    const unsigned char* at = (const unsigned char*)registers[REG_RIP];
    if (at[0] != 0x0f || at[1] != 0xa2) {  // not CPUID: a true fault, which comes again and ends the process
        signal(number, SIG_DFL);
        return;
    }
    const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned a, b, c, d;
    allow_cpuid(1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    allow_cpuid(0);
    if (leaf == 7 && subleaf == 0) b &= ~AVX512_EBX, c &= ~AVX512_ECX, d &= ~AVX512_AMX_EDX;
    if (leaf == 7 && subleaf == 1) a &= ~VNNI_BF16_EAX;
    registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
    struct sigaction action = {0};
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, NULL) != 0 || allow_cpuid(0) != 0) {
        perror("hide_avx512: this kernel or processor does not let CPUID fault");
        _exit(125);
    }
}
