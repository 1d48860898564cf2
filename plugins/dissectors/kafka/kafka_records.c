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

static inline int64_t zigzag(uint32_t bits)
{
    return (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
}

struct number {
    int64_t value;
    size_t n; /* bytes; 0: it is none */
};

static struct number longer_number(const uint8_t *p, size_t left)
{
    struct td_cursor c = td_cursor(td_bytes(p, left));
    int64_t value = kafka_varlong(&c);
    return (struct number){value, c.failed ? 0 : td_pos(&c)};
}

/* As kafka_varlong(); nearly all take one byte or two. The cursor's address goes nowhere, so that it can be kept in registers. */
static inline int64_t varlong(struct td_cursor *c)
{
    const uint8_t *p = c->p;
    struct number x = {0, 1};
    size_t left = td_left(c);
    if (left && !(p[0] & 0x80))
        x.value = zigzag(p[0]);
    else if (left > 1 && !(p[1] & 0x80))
        x = (struct number){zigzag((p[0] & 0x7fu) | (uint32_t)p[1] << 7), 2};
    else
        x = longer_number(p, left);
    c->p += x.n;
    c->failed |= !x.n;
    return x.value;
}

static inline int32_t varint(struct td_cursor *c)
{
    int64_t value = varlong(c);
    if (value < INT32_MIN || value > INT32_MAX)
        c->failed = true;
    return c->failed ? 0 : (int32_t)value;
}

/* A length, -1 for null, and so many bytes. */
static inline struct td_slice optional(struct td_cursor *c, int64_t n, bool *ret_there)
{
    *ret_there = n >= 0;
    if (n < -1)
        c->failed = true;
    return n > 0 ? td_take(c, (uint64_t)n > td_left(c) ? td_left(c) + 1 : (size_t)n) : td_bytes(NULL, 0);
}

/* Reads a record of `size` bytes, which are those of the cursor. */
static inline bool read_record(struct td_cursor in, const struct kafka_batch *b, struct kafka_record *r)
{
    r->size = td_left(&in);
    td_skip(&in, 1); /* attributes: none are defined */
    int64_t delta = varlong(&in);
    r->timestamp = b->append_time ? b->max_timestamp : (int64_t)((uint64_t)b->base_timestamp + (uint64_t)delta);
    r->offset = (int64_t)((uint64_t)b->base_offset + (uint64_t)varint(&in));
    r->key = optional(&in, varint(&in), &r->has_key);
    r->value = optional(&in, varint(&in), &r->has_value);
    int32_t headers = varint(&in);
    r->header_count = (uint32_t)headers;
    r->headers = in;
    return !in.failed && headers >= 0 && (size_t)headers <= td_left(&in);
}

bool kafka_record_next(struct td_cursor *c, const struct kafka_batch *b, struct kafka_record *r)
{
    struct td_cursor own = *c;
    if (!td_left(&own))
        return false;
    int32_t size = varint(&own);
    own.failed |= size < 0 || (uint32_t)size > td_left(&own);
    bool fine = !own.failed && read_record(td_cursor(td_bytes(own.p, (uint32_t)size)), b, r);
    r->end = own.end;
    if (fine)
        c->p = own.p + size;
    else
        c->failed = true;
    return fine;
}

bool kafka_record_header(struct kafka_record *r, struct td_slice *name, bool *has_value, struct td_slice *value)
{
    struct td_cursor own = r->headers;
    bool has_name;
    if (!r->header_count)
        return false;
    r->header_count--;
    *name = optional(&own, varint(&own), &has_name);
    *value = optional(&own, varint(&own), has_value);
    r->headers.p = own.p;
    r->headers.failed = own.failed;
    return !own.failed;
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
