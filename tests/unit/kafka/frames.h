/* Building Kafka frames for tests. */
#ifndef TESTS_KAFKA_FRAMES_H
#define TESTS_KAFKA_FRAMES_H

#include "base/buf.h"

#include <string.h>

static inline void put8(struct buf *b, unsigned v)
{
    buf_putc(b, (char)v);
}

static inline void put16(struct buf *b, unsigned v)
{
    put8(b, v >> 8 & 0xff);
    put8(b, v & 0xff);
}

static inline void put32(struct buf *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b, v & 0xffff);
}

static inline void put64(struct buf *b, uint64_t v)
{
    put32(b, (uint32_t)(v >> 32));
    put32(b, (uint32_t)v);
}

static inline void put_bytes(struct buf *b, struct td_slice s)
{
    buf_put_slice(b, s);
}

/* A string, byte array and array length as they are before an API's flexible versions. */
static inline void put_string(struct buf *b, const char *s)
{
    put16(b, (unsigned)strlen(s));
    put_bytes(b, td_str(s));
}

static inline void put_uvarint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        put8(b, (unsigned)(v & 0x7f) | 0x80);
    put8(b, (unsigned)v);
}

static inline void put_varint(struct buf *b, int64_t v)
{
    put_uvarint(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static inline void put_compact(struct buf *b, const char *s)
{
    put_uvarint(b, strlen(s) + 1);
    put_bytes(b, td_str(s));
}

/* The frame's length is set by end_frame(). */
static inline size_t begin_frame(struct buf *b)
{
    size_t at = b->n;
    put32(b, 0);
    return at;
}

static inline void end_frame(struct buf *b, size_t at)
{
    size_t n = b->n - at - 4;
    for (int i = 0; i < 4; i++)
        b->p[at + (size_t)i] = (uint8_t)(n >> (24 - 8 * i));
}

static inline size_t begin_request(struct buf *b, unsigned key, unsigned version, uint32_t id)
{
    size_t at = begin_frame(b);
    put16(b, key);
    put16(b, version);
    put32(b, id);
    put_string(b, "test");
    return at;
}

static inline size_t begin_response(struct buf *b, uint32_t id)
{
    size_t at = begin_frame(b);
    put32(b, id);
    return at;
}

/* A record of a batch. */
static inline void put_record(struct buf *b, int offset, int timestamp, const char *key, struct td_slice value)
{
    struct buf r = {0};
    put8(&r, 0);
    put_varint(&r, timestamp);
    put_varint(&r, offset);
    put_varint(&r, key ? (int64_t)strlen(key) : -1);
    put_bytes(&r, td_str(key));
    put_varint(&r, (int64_t)value.n);
    put_bytes(&r, value);
    put_varint(&r, 1);
    put_varint(&r, 1);
    put_bytes(&r, TD_LIT("h"));
    put_varint(&r, -1);
    put_varint(b, (int64_t)r.n);
    put_bytes(b, buf_slice(&r));
    buf_clear(&r);
}

/* A batch of magic 2 around records that may be compressed. */
static inline void put_batch(struct buf *b, unsigned attributes, int64_t offset, uint32_t count, struct td_slice records)
{
    put64(b, (uint64_t)offset);
    put32(b, (uint32_t)(49 + records.n));
    put32(b, 5); /* leader epoch */
    put8(b, 2);
    put32(b, 0); /* checksum */
    put16(b, attributes);
    put32(b, count - 1);
    put64(b, 1700000000000);
    put64(b, 1700000000999);
    put64(b, 42); /* producer */
    put16(b, 1);
    put32(b, 7);
    put32(b, count);
    put_bytes(b, records);
}

/* A message of magic 0 or 1. */
static inline void put_message(struct buf *b, int64_t offset, unsigned magic, unsigned attributes, const char *key, struct td_slice value)
{
    put64(b, (uint64_t)offset);
    put32(b, (uint32_t)(14 + (magic ? 8u : 0u) + (key ? strlen(key) : 0) + value.n));
    put32(b, 0); /* checksum */
    put8(b, magic);
    put8(b, attributes);
    if (magic)
        put64(b, 1700000000000);
    put32(b, key ? (uint32_t)strlen(key) : UINT32_MAX);
    put_bytes(b, td_str(key));
    put32(b, (uint32_t)value.n);
    put_bytes(b, value);
}

/* Produce of version 3 or before to the first partitions of topic "t", the same records to each. */
static inline void put_produce_to(struct buf *b, unsigned version, uint32_t id, unsigned acks, uint32_t partitions, struct td_slice records)
{
    size_t at = begin_request(b, 0, version, id);
    if (version >= 3)
        put16(b, 0xffff); /* no transaction */
    put16(b, acks);
    put32(b, 1000);
    put32(b, 1);
    put_string(b, "t");
    put32(b, partitions);
    for (uint32_t partition = 0; partition < partitions; partition++) {
        put32(b, partition);
        put32(b, (uint32_t)records.n);
        put_bytes(b, records);
    }
    end_frame(b, at);
}

static inline void put_produce(struct buf *b, unsigned version, uint32_t id, unsigned acks, struct td_slice records)
{
    put_produce_to(b, version, id, acks, 1, records);
}

/* The answer to it, in version 3. */
static inline void put_produced(struct buf *b, uint32_t id, unsigned error)
{
    size_t at = begin_response(b, id);
    put32(b, 1);
    put_string(b, "t");
    put32(b, 1);
    put32(b, 0);
    put16(b, error);
    put64(b, 100);
    put64(b, UINT64_MAX);
    put32(b, 0);
    end_frame(b, at);
}

/* Heartbeat of version 0 in group "g". */
static inline void put_heartbeat(struct buf *b, uint32_t id)
{
    size_t at = begin_request(b, 12, 0, id);
    put_string(b, "g");
    put32(b, 3);
    put_string(b, "m");
    end_frame(b, at);
}

static inline void put_heartbeat_answer(struct buf *b, uint32_t id, unsigned error)
{
    size_t at = begin_response(b, id);
    put16(b, error);
    end_frame(b, at);
}

#endif
