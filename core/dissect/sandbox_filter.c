/* The filter of system calls, as a program for seccomp(2): a list of what is allowed, some of it with certain arguments only. */
#include "dissect/sandbox_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dissect/sandbox.h"

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#else
#define OWN_ARCH 0
#endif

enum { PROGRAM_MAX = 400 };

struct program {
    struct sock_filter v[PROGRAM_MAX];
    unsigned short n;
};

static void put(struct program *p, struct sock_filter instruction)
{
    if (p->n < PROGRAM_MAX)
        p->v[p->n] = instruction;
    p->n++;
}

static void answer(struct program *p, uint32_t what)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

static void load(struct program *p, size_t offset)
{
    put(p, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset));
}

/* The lower half of an argument; both processors are little-endian. What is tested here is an int for the kernel, too. */
static void load_argument(struct program *p, unsigned i)
{
    load(p, offsetof(struct seccomp_data, args) + i * sizeof(uint64_t));
}

/* Answers at once for one system call; its number is loaded. */
static void on_call(struct program *p, long number, uint32_t what)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1));
    answer(p, what);
}

/* Allows a call whose argument is one of these. */
static void on_values(struct program *p, long number, unsigned argument, const uint32_t *values, uint8_t n, uint32_t otherwise)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, (uint8_t)(2 * n + 2)));
    load_argument(p, argument);
    for (uint8_t i = 0; i < n; i++)
        on_call(p, (long)values[i], SECCOMP_RET_ALLOW);
    answer(p, otherwise);
}

/* Goes on, behind the call's tests, to refuse it if any of these bits is set in the argument. */
static void refuse_bits(struct program *p, unsigned argument, uint32_t bits)
{
    load_argument(p, argument);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1));
    answer(p, SECCOMP_RET_TRAP);
}

/* Refuses a call whose argument is this, and goes on with the tests; its number is loaded before and after. */
static void refuse_value(struct program *p, long number, unsigned argument, uint32_t value)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4));
    load_argument(p, argument);
    on_call(p, (long)value, SECCOMP_RET_TRAP);
    load(p, offsetof(struct seccomp_data, nr));
}

/* rseq and set_robust_list: of threads that have only just begun. sysinfo: qsort(), to see how much memory it may take. */
static const long allowed[] = {
    SYS_futex,
    SYS_read,
    SYS_pwrite64,
    SYS_pread64,
    SYS_write,
    SYS_lseek,
    SYS_close,
    SYS_fstat,
    SYS_fadvise64,
    SYS_munmap,
    SYS_mremap,
    SYS_brk,
    SYS_madvise,
    SYS_ftruncate,
    SYS_fsync,
    SYS_fdatasync,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_gettimeofday,
    SYS_sched_yield,
    SYS_getrandom,
    SYS_gettid,
    SYS_getpid,
    SYS_geteuid,
    SYS_getuid,
    SYS_sigaltstack,
    SYS_rt_sigaction,
    SYS_rt_sigreturn,
    SYS_rt_sigprocmask,
    SYS_exit,
    SYS_exit_group,
    SYS_restart_syscall,
    SYS_sched_getaffinity,
    SYS_sysinfo,
    SYS_set_robust_list,
    SYS_rseq,
};

/* The parent's log, if it is a file, is only written to: never shortened or written over. */
static const long never_on_log[] = {SYS_ftruncate, SYS_fallocate, SYS_pwrite64, SYS_lseek};

/* For sanitizers. */
static const long allowed_to_look[] = {SYS_prlimit64, SYS_getrusage, SYS_uname, SYS_membarrier, SYS_clock_nanosleep};

/* Asked for in passing by libraries, which make do without an answer. */
static const struct {
    long number;
    int answer;
} refused[] = {
    {SYS_ioctl, ENOTTY},  {SYS_faccessat, EACCES}, {SYS_readlinkat, EACCES}, {SYS_getcwd, EACCES}, {SYS_statx, ENOSYS},
#ifdef SYS_access
    {SYS_access, EACCES}, {SYS_readlink, EACCES},  {SYS_stat, EACCES},       {SYS_lstat, EACCES},
#endif
};

static void put_memory_rules(struct program *p)
{
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 7));
    refuse_bits(p, 2, PROT_EXEC);
    refuse_bits(p, 3, MAP_SHARED | MAP_GROWSDOWN); /* count in no limit of data, and nothing needs them */
    answer(p, SECCOMP_RET_ALLOW);
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 4));
    refuse_bits(p, 2, PROT_EXEC);
    answer(p, SECCOMP_RET_ALLOW);
}

static void make_program(struct program *p, const struct sandbox *s)
{
    static const uint32_t locks[] = {F_GETFD, F_SETFD, F_GETFL, F_GETLK, F_SETLK, F_SETLKW};
    static const uint32_t sizes[] = {0}; /* room that no size shows counts in no limit of files */
    const uint32_t self = (uint32_t)getpid(), from = (uint32_t)s->socket, nameless = AT_EMPTY_PATH;
    load(p, offsetof(struct seccomp_data, arch));
    put(p, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0));
    answer(p, SECCOMP_RET_KILL_PROCESS);
    load(p, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < sizeof(never_on_log) / sizeof(never_on_log[0]); i++)
        refuse_value(p, never_on_log[i], 0, STDERR_FILENO);
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
        on_call(p, allowed[i], SECCOMP_RET_ALLOW);
    for (size_t i = 0; SANDBOX_SANITIZED && i < sizeof(allowed_to_look) / sizeof(allowed_to_look[0]); i++)
        on_call(p, allowed_to_look[i], SECCOMP_RET_ALLOW);
    put_memory_rules(p);
    on_values(p, SYS_fcntl, 1, locks, sizeof(locks) / sizeof(locks[0]), SECCOMP_RET_TRAP);
    on_values(p, SYS_fallocate, 1, sizes, 1, SECCOMP_RET_TRAP);
    on_values(p, SYS_tgkill, 0, &self, 1, SECCOMP_RET_TRAP); /* abort() */
    on_values(p, SYS_sendto, 0, &from, 1, SECCOMP_RET_TRAP);
    on_values(p, SYS_recvmsg, 0, &from, 1, SECCOMP_RET_TRAP);
    on_values(p, SYS_newfstatat, 3, &nameless, 1, SECCOMP_RET_ERRNO | EACCES); /* fstat() */
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        on_call(p, refused[i].number, SECCOMP_RET_ERRNO | (uint32_t)refused[i].answer);
    answer(p, SECCOMP_RET_TRAP);
}

int sandbox_seal(const struct sandbox *s, struct error *err)
{
    struct program p = {.n = 0};
    if (!OWN_ARCH)
        return error_set(err, TD_E_UNSUPPORTED, "there is no sandbox for this kind of processor");
    make_program(&p, s);
    if (p.n > PROGRAM_MAX)
        return error_set(err, TD_E_INTERNAL, "the sandbox's filter has %u instructions", p.n);
    struct sock_fprog program = {p.n, p.v};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return error_set(err, TD_E_UNSUPPORTED, "the sandbox cannot be made: seccomp: %s", strerror(errno));
    return TD_OK;
}

bool sandbox_filter_possible(void)
{
    uint32_t action = SECCOMP_RET_TRAP;
    return OWN_ARCH && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

/* ---- Names ---- */

const char *sandbox_call_name(int number)
{
    static const struct {
        long number;
        const char *name;
    } names[] = {
        {SYS_openat, "openat"},
        {SYS_socket, "socket"},
        {SYS_connect, "connect"},
        {SYS_execve, "execve"},
        {SYS_execveat, "execveat"},
        {SYS_clone, "clone"},
        {SYS_clone3, "clone3"},
        {SYS_kill, "kill"},
        {SYS_tgkill, "tgkill"},
        {SYS_ptrace, "ptrace"},
        {SYS_unlinkat, "unlinkat"},
        {SYS_renameat2, "renameat2"},
        {SYS_mkdirat, "mkdirat"},
        {SYS_linkat, "linkat"},
        {SYS_symlinkat, "symlinkat"},
        {SYS_bind, "bind"},
        {SYS_listen, "listen"},
        {SYS_sendto, "sendto"},
        {SYS_sendmsg, "sendmsg"},
        {SYS_recvmsg, "recvmsg"},
        {SYS_recvfrom, "recvfrom"},
        {SYS_mmap, "mmap"},
        {SYS_mprotect, "mprotect"},
        {SYS_prctl, "prctl"},
        {SYS_setns, "setns"},
        {SYS_unshare, "unshare"},
        {SYS_mount, "mount"},
        {SYS_bpf, "bpf"},
        {SYS_fcntl, "fcntl"},
        {SYS_ftruncate, "ftruncate"},
        {SYS_fallocate, "fallocate"},
        {SYS_pwrite64, "pwrite64"},
        {SYS_lseek, "lseek"},
        {SYS_nanosleep, "nanosleep"},
        {SYS_clock_nanosleep, "clock_nanosleep"},
        {SYS_setrlimit, "setrlimit"},
        {SYS_prlimit64, "prlimit64"},
        {SYS_process_vm_writev, "process_vm_writev"},
        {SYS_memfd_create, "memfd_create"},
        {SYS_io_uring_setup, "io_uring_setup"},
        {SYS_userfaultfd, "userfaultfd"},
        {SYS_pidfd_open, "pidfd_open"},
        {SYS_wait4, "wait4"},
        {SYS_getdents64, "getdents64"},
#ifdef SYS_open
        {SYS_open, "open"},
        {SYS_fork, "fork"},
        {SYS_vfork, "vfork"},
        {SYS_unlink, "unlink"},
        {SYS_rename, "rename"},
        {SYS_pause, "pause"},
        {SYS_poll, "poll"},
#endif
        {SYS_ppoll, "ppoll"},
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].number == number)
            return names[i].name;
    return NULL;
}
