/* Fast 64-bit hashes for tables inside the process and for telling damage. Not for anything that an adversary may exploit
 * without a secret seed. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Folds the 128-bit product of two words (the core of wyhash and rapidhash). */
static inline uint64_t hash_mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_word(const uint8_t *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof(word));
    return word;
}

/* Up to seven bytes as a little-endian number. Without a loop or a call: short texts are hashed by the million. */
static inline uint64_t hash_short(const uint8_t *p, size_t n)
{
    uint32_t low, high;
    if (n >= 4) { /* what overlaps is the same in both */
        memcpy(&low, p, sizeof(low));
        memcpy(&high, p + n - sizeof(high), sizeof(high));
        return low | (uint64_t)high << (8 * (n - 4));
    }
    return n ? p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1)) : 0;
}

/* Of a run of bytes, sixteen at a time. The same on every little-endian machine, so that it may stand in files. */
static inline uint64_t hash_bytes(const void *bytes, size_t n, uint64_t seed)
{
    const uint64_t a = 0x9e3779b97f4a7c15u, b = 0xd1b54a32d192ed03u;
    const uint8_t *p = bytes;
    size_t left = n;
    uint64_t h = seed ^ b;
    for (; left > 16; left -= 16, p += 16)
        h = hash_mix(hash_word(p) ^ a, hash_word(p + 8) ^ h);
    if (left >= 8) { /* what overlaps is read twice; the length below tells apart */
        h = hash_mix(hash_word(p) ^ a, hash_word(p + left - 8) ^ h);
    } else if (left) {
        h = hash_mix(hash_short(p, left) ^ a, h);
    }
    return hash_mix(h ^ n, a ^ b);
}

#endif
