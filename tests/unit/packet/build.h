/* Packets built by hand, from the inside out: each call puts a header in front of what is there. */
#ifndef TESTS_UNIT_PACKET_BUILD_H
#define TESTS_UNIT_PACKET_BUILD_H

#include <stdint.h>
#include <string.h>

struct build {
    size_t n; /* bytes so far */
    uint8_t end[0x12000];
};

static inline uint8_t *build_bytes(struct build *b)
{
    return b->end + sizeof(b->end) - b->n;
}

static inline void push(struct build *b, const void *p, size_t n)
{
    b->n += n;
    memcpy(build_bytes(b), p, n);
}

#define PUSH(b, ...) push((b), (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))
#define U16(v) (uint8_t)((v) >> 8), (uint8_t)(v)
#define U32(v) U16((uint32_t)(v) >> 16), U16(v)
#define L16(v) (uint8_t)(v), (uint8_t)((v) >> 8)
#define L32(v) L16(v), L16((uint32_t)(v) >> 16)

static inline void start(struct build *b, const char *payload)
{
    b->n = 0;
    push(b, payload, strlen(payload));
}

static inline void push_udp(struct build *b, uint16_t from, uint16_t to)
{
    size_t n = b->n + 8;
    PUSH(b, U16(from), U16(to), U16(n), 0, 0);
}

static inline void push_tcp(struct build *b, uint16_t from, uint16_t to)
{
    PUSH(b, U16(from), U16(to), U32(1000), U32(2000), 0x50, 0x18, U16(512), 0, 0, 0, 0);
}

/* With an offset in units of 8 bytes; `flags` has "more fragments" as 0x20. */
static inline void push_ipv4_fragment(struct build *b, uint8_t protocol, uint16_t id, uint8_t flags, uint16_t offset)
{
    size_t n = b->n + 20;
    PUSH(b, 0x45, 0, U16(n), U16(id), (uint8_t)(flags | offset >> 8), (uint8_t)offset, 64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2);
}

static inline void push_ipv4(struct build *b, uint8_t protocol)
{
    push_ipv4_fragment(b, protocol, 7, 0, 0);
}

static inline void push_ipv6(struct build *b, uint8_t next)
{
    size_t n = b->n;
    PUSH(b, 0x60, 0, 0, 0, U16(n), next, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0,
         0, 0, 0, 0, 0, 2);
}

static inline void push_ipv6_fragment(struct build *b, uint8_t protocol, uint32_t id, uint16_t offset, uint8_t more)
{
    uint16_t field = (uint16_t)(offset << 3 | more);
    PUSH(b, protocol, 0, U16(field), U32(id));
    push_ipv6(b, 44);
}

static inline void push_ethernet(struct build *b, uint16_t type)
{
    PUSH(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, U16(type));
}

#endif
