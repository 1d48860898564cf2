/* JSON text of bounded size: what no longer fits is left out, and what stands is closed properly, so that it is always valid.
 *
 * The writer's state lives as long as the text grows; its buffer is given anew for each stretch of work and flushed at its end. Pure. */
#ifndef KAFKA_JSON_H
#define KAFKA_JSON_H

#include <tapedeck/slice.h>

enum { KAFKA_JSON_DEPTH = 32 };

typedef void kafka_json_sink(void *ctx, struct td_slice text);

struct kafka_json {
    uint64_t room;   /* bytes that may still be written, without those that close what is open */
    uint32_t filled; /* a bit for each open object or array: something stands in it */
    uint8_t depth;
    bool full; /* something was left out */
    uint8_t closers[KAFKA_JSON_DEPTH];
    /* of the stretch */
    uint8_t *buffer;
    size_t n, cap;
    kafka_json_sink *sink;
    void *ctx;
};

void kafka_json_init(struct kafka_json *j, uint64_t max);
/* Before and after each stretch of work. */
void kafka_json_borrow(struct kafka_json *j, uint8_t *buffer, size_t cap, kafka_json_sink *sink, void *ctx);
void kafka_json_flush(struct kafka_json *j);

/* `name`: NULL in an array. `closer`: '}' or ']'. False: it was left out, and must not be closed. */
bool kafka_json_open(struct kafka_json *j, const char *name, uint8_t closer);
void kafka_json_close(struct kafka_json *j);
void kafka_json_integer(struct kafka_json *j, const char *name, int64_t value);
void kafka_json_real(struct kafka_json *j, const char *name, double value);
/* "true", "null": as it stands. */
void kafka_json_word(struct kafka_json *j, const char *name, const char *word);
/* Text in UTF-8; what is not is replaced. */
void kafka_json_text(struct kafka_json *j, const char *name, struct td_slice text);
/* As text if it is UTF-8 without control characters but tabs and line ends; else base64 under `base64_name`. */
void kafka_json_bytes(struct kafka_json *j, const char *name, const char *base64_name, struct td_slice bytes);
void kafka_json_base64(struct kafka_json *j, const char *name, struct td_slice bytes);
/* An object with key and value, both data. */
void kafka_json_pair(struct kafka_json *j, struct td_slice name, bool has_value, struct td_slice value);

/* An element of the array that is open, of less than `most` bytes, which the caller writes to where this says, up to where
 * kafka_json_end_quick() is told; for what comes by the million. NULL: not in this way. */
uint8_t *kafka_json_begin_quick(struct kafka_json *j, size_t most);
void kafka_json_end_quick(struct kafka_json *j, const uint8_t *to);
/* At most 20 bytes. */
uint8_t *kafka_put_decimal(uint8_t *to, int64_t value);
/* Four bytes for each three, or part of three. */
uint8_t *kafka_put_base64(uint8_t *to, struct td_slice bytes);

#endif
