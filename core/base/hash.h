/* A fast 64-bit mixing function for hash tables inside the process. Not for anything that an adversary may
 * exploit without a secret seed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stdint.h>

/* Folds the 128-bit product of two words (the core of wyhash and rapidhash). */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
