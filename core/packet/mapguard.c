#include "mapguard.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"

struct mapguard {
    atomic_bool taken;
    atomic_uintptr_t start; /* 0: no range; written last when adding, first when removing */
    atomic_uintptr_t end;
    _Atomic(atomic_bool *) fault;
};

/* Chunks are never freed, so the handler can walk them without a lock. */
enum { CHUNK_GUARDS = 64 };
struct chunk {
    struct chunk *next;
    struct mapguard guards[CHUNK_GUARDS];
};

static struct {
    _Atomic(struct chunk *) chunks;
    struct sigaction previous;
    uintptr_t page_size;
    pthread_once_t once;
} mapguard = {.once = PTHREAD_ONCE_INIT};

static atomic_bool *find_fault_flag(uintptr_t address)
{
    for (struct chunk *c = atomic_load(&mapguard.chunks); c; c = c->next) {
        for (size_t i = 0; i < CHUNK_GUARDS; i++) {
            struct mapguard *g = &c->guards[i];
            uintptr_t start = atomic_load(&g->start);
            if (!start || address < start || address >= atomic_load(&g->end))
                continue;
            atomic_bool *fault = atomic_load(&g->fault);
            /* Another thread may have reused the guard between these loads. */
            if (atomic_load(&g->start) == start)
                return fault;
        }
    }
    return NULL;
}

static void call_previous(int sig, siginfo_t *info, void *context)
{
    if (mapguard.previous.sa_flags & SA_SIGINFO) {
        mapguard.previous.sa_sigaction(sig, info, context);
    } else if (mapguard.previous.sa_handler != SIG_DFL && mapguard.previous.sa_handler != SIG_IGN) {
        mapguard.previous.sa_handler(sig);
    } else {
        /* The instruction runs again and ends the process as it would have done without us. */
        struct sigaction act = {.sa_handler = SIG_DFL};
        sigaction(SIGBUS, &act, NULL);
        if (info->si_code <= 0) /* sent by kill(): there is no instruction to run again */
            raise(SIGBUS);
    }
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    atomic_bool *fault = info->si_code > 0 ? find_fault_flag(address) : NULL;
    void *page = (void *)(address & ~(mapguard.page_size - 1));
    /* mmap() is a bare system call on Linux and so safe in a handler. */
    if (fault && mmap(page, mapguard.page_size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
        atomic_store(fault, true);
    else
        call_previous(sig, info, context);
    errno = saved_errno;
}

static void install(void)
{
    mapguard.page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct sigaction act = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    sigemptyset(&act.sa_mask);
    sigaction(SIGBUS, &act, &mapguard.previous);
}

static struct mapguard *take_free_guard(void)
{
    for (struct chunk *c = atomic_load(&mapguard.chunks); c; c = c->next)
        for (size_t i = 0; i < CHUNK_GUARDS; i++)
            if (!atomic_exchange(&c->guards[i].taken, true))
                return &c->guards[i];
    struct chunk *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    atomic_store(&c->guards[0].taken, true);
    c->next = atomic_load(&mapguard.chunks);
    while (!atomic_compare_exchange_weak(&mapguard.chunks, &c->next, c))
        ;
    return &c->guards[0];
}

struct mapguard *mapguard_add(void *start, size_t len, atomic_bool *fault)
{
    pthread_once(&mapguard.once, install);
    struct mapguard *g = take_free_guard();
    if (!g)
        return NULL;
    atomic_store(&g->fault, fault);
    atomic_store(&g->end, (uintptr_t)start + len);
    atomic_store(&g->start, (uintptr_t)start);
    return g;
}

void mapguard_remove(struct mapguard *g)
{
    atomic_store(&g->start, 0);
    atomic_store(&g->taken, false);
}
