#include "dissect/crash.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/mem.h"

enum { STACK = 64 << 10 };

static struct dissection_shared *crash_report; /* handlers are given nothing else */

static int own_slot(const struct dissection_shared *shared)
{
    int self = (int)syscall(SYS_gettid);
    for (int i = 0; i < ENGINE_MAX_THREADS; i++)
        if (atomic_load_explicit(&shared->slots[i].thread, memory_order_relaxed) == self)
            return i;
    return -1;
}

/* The C library looks into these while it manages memory, and does well without. */
static bool is_idle_look(const siginfo_t *info, const ucontext_t *context)
{
    static const char *const files[] = {"/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu/online", "/proc/stat"};
    if (info->si_syscall != SYS_openat)
        return false;
#if defined(__x86_64__)
    const char *path = (const char *)context->uc_mcontext.gregs[REG_RSI];
#elif defined(__aarch64__)
    const char *path = (const char *)context->uc_mcontext.regs[1];
#else
    const char *path = "";
#endif
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        if (strcmp(path, files[i]) == 0)
            return true;
    return false;
}

static void refuse(ucontext_t *context)
{
#if defined(__x86_64__)
    context->uc_mcontext.gregs[REG_RAX] = -EACCES;
#elif defined(__aarch64__)
    context->uc_mcontext.regs[0] = (unsigned long long)-EACCES;
#else
    (void)context;
#endif
}

/* Async-signal-safe. The signal comes again once this returns, and nobody handles it then. */
static void on_signal(int number, siginfo_t *info, void *context)
{
    struct dissection_shared *shared = crash_report;
    int none = 0;
    if (number == SIGSYS && is_idle_look(info, context)) {
        refuse(context);
        return;
    }
    if (atomic_compare_exchange_strong(&shared->signal, &none, number)) {
        shared->thread = own_slot(shared);
        if (number == SIGSYS)
            atomic_store(&shared->system_call, info->si_syscall + 1);
    }
    signal(number, SIG_DFL);
    raise(number);
}

void crash_report_to(struct dissection_shared *shared)
{
    static const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    crash_report = shared;
    shared->thread = -1;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        sigaction(numbers[i], &action, NULL);
}

void crash_begin_thread(struct watch_slot *slot)
{
    stack_t stack = {.ss_sp = mem_alloc(STACK), .ss_size = STACK}; /* stays: threads end with the process */
    if (stack.ss_sp)
        sigaltstack(&stack, NULL);
    atomic_store_explicit(&slot->thread, (int)syscall(SYS_gettid), memory_order_relaxed);
}
