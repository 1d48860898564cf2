/* The nearest of a list of names to one that was misspelt, for "did you mean". */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/* Names differ by insertions, deletions, substitutions, swaps of neighbours (each costs one) and case (free).
 * Feed the names one by one; `best` is NULL if none is near enough to be meant. */
struct nearest {
    const char *wanted;
    const char *best;
    size_t distance;
};

void nearest_init(struct nearest *n, const char *wanted);
void nearest_try(struct nearest *n, const char *name);

#endif
