/* Building DNS messages for tests. Names are given as text without escapes; "" is the root. */
#ifndef TESTS_DNS_MESSAGE_H
#define TESTS_DNS_MESSAGE_H

#include "tapedeck/slice.h"

struct built {
    uint8_t p[2048];
    size_t n;
};

static inline void put16(struct built *b, unsigned v)
{
    b->p[b->n++] = (uint8_t)(v >> 8);
    b->p[b->n++] = (uint8_t)v;
}

static inline void put32(struct built *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b, v & 0xffff);
}

static inline void put_name(struct built *b, const char *name)
{
    while (*name) {
        size_t n = strcspn(name, ".");
        b->p[b->n++] = (uint8_t)n;
        memcpy(b->p + b->n, name, n);
        b->n += n;
        name += n + (name[n] == '.');
    }
    b->p[b->n++] = 0;
}

static inline struct built header(unsigned id, unsigned flags, unsigned questions, unsigned answers, unsigned authority,
                                  unsigned additional)
{
    struct built b;
    b.n = 0;
    put16(&b, id);
    put16(&b, flags);
    put16(&b, questions);
    put16(&b, answers);
    put16(&b, authority);
    put16(&b, additional);
    return b;
}

static inline void put_question(struct built *b, const char *name, unsigned type, unsigned cls)
{
    put_name(b, name);
    put16(b, type);
    put16(b, cls);
}

static inline void put_record(struct built *b, const char *name, unsigned type, unsigned cls, uint32_t ttl, const void *data, size_t n)
{
    put_name(b, name);
    put16(b, type);
    put16(b, cls);
    put32(b, ttl);
    put16(b, (unsigned)n);
    if (n)
        memcpy(b->p + b->n, data, n);
    b->n += n;
}

/* An SOA for the root. */
static inline void put_soa(struct built *b, uint32_t serial)
{
    uint8_t data[22] = {0};
    for (int i = 0; i < 4; i++)
        data[2 + i] = (uint8_t)(serial >> (24 - 8 * i));
    put_record(b, "", 6, 1, 60, data, sizeof(data));
}

static inline struct built query(unsigned id, const char *name)
{
    struct built b = header(id, 0x0100, 1, 0, 0, 0);
    put_question(&b, name, 1, 1);
    return b;
}

static inline struct built answer(unsigned id, const char *name)
{
    struct built b = header(id, 0x8180, 1, 1, 0, 0);
    put_question(&b, name, 1, 1);
    put_record(&b, name, 1, 1, 60, "\xc6\x33\x64\x07", 4);
    return b;
}

static inline struct td_slice built_slice(const struct built *b)
{
    return td_bytes(b->p, b->n);
}

/* Appends the message after its length. */
static inline void put_framed(struct built *stream, struct built message)
{
    put16(stream, (unsigned)message.n);
    memcpy(stream->p + stream->n, message.p, message.n);
    stream->n += message.n;
}

#endif
