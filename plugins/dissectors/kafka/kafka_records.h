/* Record batches (magic 2, since Kafka 0.11) and the messages of message sets (magic 0 and 1) before them.
 * https://kafka.apache.org/documentation/#messageformat. Pure. */
#ifndef KAFKA_RECORDS_H
#define KAFKA_RECORDS_H

#include <tapedeck/cursor.h>

enum {
    KAFKA_BATCH_START = 17, /* bytes that tell what follows and how long it is: offset, length, epoch or checksum, magic */
    KAFKA_BATCH_HEADER = 61 /* bytes before the records of a batch; of a message at most 22 before its key */
};

struct kafka_batch {
    uint64_t size; /* of all of it, in bytes */
    int8_t magic;
    uint8_t codec; /* kafka_codec */
    bool append_time, transactional, control;
    int64_t base_offset, base_timestamp, max_timestamp; /* ms since 1970 UTC; magic 1: both the message's; magic 0: none, -1 */
    int64_t producer_id;
    int32_t leader_epoch, base_sequence, count; /* count: records, as the header says; of a message 1 */
    int16_t producer_epoch;
    size_t header; /* bytes before the records; of a message: before its key */
};

/* The start of a batch or message. 0: not enough bytes; -1: none. From KAFKA_BATCH_START bytes on size and magic are set, the rest only if
 * its header is there: then it returns 2, else 1. */
int kafka_batch_read(struct td_slice bytes, struct kafka_batch *b);

struct kafka_record {
    int64_t offset, timestamp; /* ms since 1970 UTC; -1: none */
    bool has_key, has_value;
    struct td_slice key, value;
    const uint8_t *end;       /* up to here bytes may be read behind all of these */
    size_t size;              /* of all that is to be read of it, in bytes */
    struct td_cursor headers; /* at the first of `header_count`: kafka_record_header() */
    uint32_t header_count;
};

/* The next record of a batch's plain content; false: no more, or (c->failed) damaged. */
bool kafka_record_next(struct td_cursor *c, const struct kafka_batch *b, struct kafka_record *r);
/* `has_value`: not null. */
bool kafka_record_header(struct kafka_record *r, struct td_slice *name, bool *has_value, struct td_slice *value);

/* The message's own key and value, behind its header in `bytes`, which is all of it. */
bool kafka_message_read(struct td_slice bytes, const struct kafka_batch *b, struct kafka_record *r);

#endif
