/* Loads of fixed-width integers in a byte order that is known at run time only.
 *
 * Nothing here checks bounds: callers test a whole header's length once, then load its fields. */
#ifndef PACKET_BYTES_H
#define PACKET_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BYTES_HOST_IS_BIG (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

static inline uint16_t bytes_u16(const uint8_t *p, bool big)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return big == BYTES_HOST_IS_BIG ? v : __builtin_bswap16(v);
}

static inline uint32_t bytes_u32(const uint8_t *p, bool big)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return big == BYTES_HOST_IS_BIG ? v : __builtin_bswap32(v);
}

static inline uint64_t bytes_u64(const uint8_t *p, bool big)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return big == BYTES_HOST_IS_BIG ? v : __builtin_bswap64(v);
}

#endif
