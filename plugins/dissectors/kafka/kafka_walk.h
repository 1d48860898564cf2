/* Walks a message's table over its bytes: values out, one by one, as far as the bytes reach.
 *
 * The bytes may come in pieces of any size: what a walk is in the middle of is in its own struct, never on the stack, and nothing is
 * remembered of bytes that were used. A message of any size is walked in the memory of one value. Pure. */
#ifndef KAFKA_WALK_H
#define KAFKA_WALK_H

#include "kafka_schema.h"

#include <tapedeck/cursor.h>

enum {
    KAFKA_DEPTH = 10,         /* the deepest table has six levels */
    KAFKA_LONG = 64 * 1024,   /* a string or byte array above this is passed over */
    KAFKA_COUNT_MAX = 1 << 24 /* elements of an array */
};
#define KAFKA_NOT_TAGGED UINT32_MAX /* messages have less bytes */

enum kafka_event_kind {
    KAFKA_ARRAY_BEGIN, /* integer: how many */
    KAFKA_ARRAY_END,
    KAFKA_STRUCT_BEGIN,
    KAFKA_STRUCT_END,
    KAFKA_NULL,
    KAFKA_FALSE_TRUE, /* integer */
    KAFKA_INTEGER,
    KAFKA_REAL,
    KAFKA_ID,      /* bytes: 16 */
    KAFKA_TEXT,    /* bytes */
    KAFKA_BINARY,  /* bytes */
    KAFKA_TOO_LONG /* integer: its bytes, which are passed over */
};

struct kafka_event {
    enum kafka_event_kind kind;
    bool element; /* in an array: it has no name of its own */
    const struct kafka_row *row;
    int64_t integer;
    double real;
    struct td_slice bytes; /* of what was given to kafka_walk() */
};

typedef void kafka_event_fn(void *ctx, const struct kafka_event *);

struct kafka_level {
    uint16_t begin, row; /* rows of its struct, and the one that is next */
    uint8_t depth, phase;
    bool array, scalars;
    uint32_t left; /* elements after this one */
    uint32_t tags;
    uint32_t behind; /* of a tagged field's value: bytes of the message behind it; else KAFKA_NOT_TAGGED */
};

struct kafka_walk {
    const struct kafka_rows *rows;
    uint8_t version, levels;
    bool flexible;
    struct kafka_level level[KAFKA_DEPTH];
};

enum kafka_walk_result {
    KAFKA_WALK_DONE,
    KAFKA_WALK_MORE,    /* `n` bytes are needed where the cursor stands */
    KAFKA_WALK_RECORDS, /* `n` bytes of records come next: to be used by the caller */
    KAFKA_WALK_SKIP,    /* so many are to be passed over */
    KAFKA_WALK_BAD
};

/* `header_tags`: tagged fields of the header stand before the message. */
void kafka_walk_begin(struct kafka_walk *w, const struct kafka_rows *rows, unsigned version, bool flexible, bool header_tags);

/* Goes on where it was. The cursor is over what there is of the message, which has `left` bytes from the cursor's position on. Uses what
 * it can and leaves the cursor behind that. */
enum kafka_walk_result kafka_walk(struct kafka_walk *w, struct td_cursor *c, uint64_t left, kafka_event_fn *on, void *ctx, uint64_t *ret_n);

/* Variable-length integers as in tagged fields and records: base 128, the low bits first. */
uint32_t kafka_uvarint(struct td_cursor *c);
/* Zigzag. */
int64_t kafka_varlong(struct td_cursor *c);
int32_t kafka_varint(struct td_cursor *c);

#endif
