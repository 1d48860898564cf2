#include "mem.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static unsigned long fail_countdown; /* test switch; 0: off */
static int fail_reached;
static atomic_ulong refused;

static int must_fail(void)
{
    if (!fail_countdown || --fail_countdown)
        return 0;
    fail_reached = 1;
    return 1;
}

void mem_fail_at(unsigned long nth)
{
    fail_countdown = nth;
    fail_reached = 0;
}

int mem_failed(void)
{
    return fail_reached;
}

unsigned long mem_refused(void)
{
    return atomic_load_explicit(&refused, memory_order_relaxed);
}

static void *count_refusal(void *p)
{
    if (!p)
        atomic_fetch_add_explicit(&refused, 1, memory_order_relaxed);
    return p;
}

void *mem_alloc(size_t n)
{
    if (fail_countdown && must_fail())
        return NULL;
    return count_refusal(malloc(n ? n : 1));
}

void *mem_calloc(size_t count, size_t size)
{
    size_t n;
    if ((fail_countdown && must_fail()) || __builtin_mul_overflow(count, size, &n))
        return NULL;
    return count_refusal(calloc(n ? n : 1, 1));
}

void *mem_realloc(void *p, size_t n)
{
    if (fail_countdown && must_fail())
        return NULL;
    return count_refusal(realloc(p, n ? n : 1));
}

char *mem_strdup(const char *s)
{
    size_t n = strlen(s) + 1;
    char *copy = mem_alloc(n);
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

void mem_free(void *p)
{
    free(p);
}
