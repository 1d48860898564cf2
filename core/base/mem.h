/* Memory from the heap, with a switch for tests that makes the nth allocation fail.
 *
 * All of core allocates through here; libraries do not. Sizes are overflow-checked. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stddef.h>

/* `n` bytes, contents undefined. NULL when memory is short. */
void *mem_alloc(size_t n) __attribute__((malloc, warn_unused_result));
/* `count` zeroed elements of `size` bytes. NULL when memory is short or the product overflows. */
void *mem_calloc(size_t count, size_t size) __attribute__((malloc, warn_unused_result));
/* As realloc; `p` stays valid when NULL is returned. */
void *mem_realloc(void *p, size_t n) __attribute__((warn_unused_result));
/* A copy of a string; NULL when memory is short. */
char *mem_strdup(const char *s) __attribute__((malloc, warn_unused_result));
void mem_free(void *p);

/* How often this process was refused memory so far. [any] */
unsigned long mem_refused(void);

/* Tests only, single-threaded: the `nth` allocation from now on fails (1: the next one), 0: none does. */
void mem_fail_at(unsigned long nth);
/* Tests only: true if the allocation chosen by mem_fail_at() was reached. */
int mem_failed(void);

#endif
