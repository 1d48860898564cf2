#include "kafka_records.h"

#include "kafka_walk.h"

enum { CODEC = 0x07, APPEND_TIME = 0x08, TRANSACTIONAL = 0x10, CONTROL = 0x20, SIZE_AT = 12, MESSAGE_LEAST = 14, MESSAGE_HEADER = 26 };

static void read_batch(struct td_cursor *c, struct kafka_batch *b)
{
    td_skip(c, 4); /* checksum */
    uint16_t attributes = td_be16(c);
    td_skip(c, 4); /* the last offset's distance: in a compacted batch more than the count */
    b->base_timestamp = (int64_t)td_be64(c);
    b->max_timestamp = (int64_t)td_be64(c);
    b->producer_id = (int64_t)td_be64(c);
    b->producer_epoch = (int16_t)td_be16(c);
    b->base_sequence = (int32_t)td_be32(c);
    b->count = (int32_t)td_be32(c);
    b->codec = attributes & CODEC;
    b->append_time = attributes & APPEND_TIME;
    b->transactional = attributes & TRANSACTIONAL;
    b->control = attributes & CONTROL;
    b->header = KAFKA_BATCH_HEADER;
}

static void read_message(struct td_cursor *c, struct kafka_batch *b)
{
    uint8_t attributes = td_u8(c);
    b->codec = attributes & CODEC;
    b->append_time = attributes & APPEND_TIME;
    b->base_timestamp = b->max_timestamp = b->magic == 1 ? (int64_t)td_be64(c) : -1;
    b->producer_id = b->base_sequence = b->producer_epoch = -1;
    b->leader_epoch = -1;
    b->count = 1;
    b->header = td_pos(c);
}

int kafka_batch_read(struct td_slice bytes, struct kafka_batch *b)
{
    struct td_cursor c = td_cursor(bytes);
    memset(b, 0, sizeof(*b));
    if (bytes.n < KAFKA_BATCH_START)
        return 0;
    b->base_offset = (int64_t)td_be64(&c);
    int32_t size = (int32_t)td_be32(&c);
    b->leader_epoch = (int32_t)td_be32(&c);
    b->magic = (int8_t)td_u8(&c);
    if (b->magic < 0 || b->magic > 2 || size < (b->magic == 2 ? KAFKA_BATCH_HEADER - SIZE_AT : MESSAGE_LEAST))
        return -1;
    b->size = (uint64_t)size + SIZE_AT;
    if (b->magic == 2)
        read_batch(&c, b);
    else
        read_message(&c, b);
    return c.failed ? 1 : 2;
}

/* As kafka_varint(); most take one byte. */
static inline int32_t varint(struct td_cursor *c)
{
    if (!td_left(c) || c->p[0] & 0x80)
        return kafka_varint(c);
    int32_t byte = td_u8(c);
    return byte >> 1 ^ -(byte & 1);
}

/* A length, -1 for null, and so many bytes. */
static struct td_slice optional(struct td_cursor *c, int64_t n, bool *ret_there)
{
    *ret_there = n >= 0;
    if (n < -1)
        c->failed = true;
    return n > 0 ? td_take(c, (uint64_t)n > td_left(c) ? td_left(c) + 1 : (size_t)n) : td_bytes(NULL, 0);
}

bool kafka_record_next(struct td_cursor *c, const struct kafka_batch *b, struct kafka_record *r)
{
    if (!td_left(c))
        return false;
    int32_t size = varint(c);
    if (size < 0)
        c->failed = true;
    struct td_slice bytes = td_take(c, c->failed || (uint32_t)size > td_left(c) ? td_left(c) + 1 : (size_t)size);
    if (c->failed)
        return false;
    struct td_cursor in = td_cursor(bytes);
    td_skip(&in, 1); /* attributes: none are defined */
    int64_t delta = kafka_varlong(&in);
    r->timestamp = b->append_time ? b->max_timestamp : (int64_t)((uint64_t)b->base_timestamp + (uint64_t)delta);
    r->offset = (int64_t)((uint64_t)b->base_offset + (uint64_t)varint(&in));
    r->key = optional(&in, varint(&in), &r->has_key);
    r->value = optional(&in, varint(&in), &r->has_value);
    int32_t headers = varint(&in);
    if (in.failed || headers < 0 || (size_t)headers > td_left(&in)) {
        c->failed = true;
        return false;
    }
    r->end = c->end;
    r->size = bytes.n;
    r->header_count = (uint32_t)headers;
    r->headers = in;
    return true;
}

bool kafka_record_header(struct kafka_record *r, struct td_slice *name, bool *has_value, struct td_slice *value)
{
    bool has_name;
    if (!r->header_count)
        return false;
    r->header_count--;
    *name = optional(&r->headers, varint(&r->headers), &has_name);
    *value = optional(&r->headers, varint(&r->headers), has_value);
    return !r->headers.failed;
}

bool kafka_message_read(struct td_slice bytes, const struct kafka_batch *b, struct kafka_record *r)
{
    struct td_cursor c = td_cursor(td_sub(bytes, 0, (size_t)b->size));
    memset(r, 0, sizeof(*r));
    td_skip(&c, b->header);
    r->offset = b->base_offset;
    r->timestamp = b->base_timestamp;
    r->end = c.end;
    r->size = (size_t)b->size;
    r->key = optional(&c, (int32_t)td_be32(&c), &r->has_key);
    r->value = optional(&c, (int32_t)td_be32(&c), &r->has_value);
    return !c.failed;
}
