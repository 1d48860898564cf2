/* The calls of a connection: requests that wait for their responses, and what the messages' values are to a call's fields.
 *
 * [worker] One set for each connection, in its arena; entries are used again and again. */
#ifndef KAFKA_CALL_H
#define KAFKA_CALL_H

#include "kafka_codec.h"
#include "kafka_header.h"
#include "kafka_json.h"
#include "kafka_records.h"
#include "kafka_topics.h"
#include "kafka_walk.h"

#include <tapedeck/plugin.h>

/* The component's fields; kafka_fields.c documents them in this order. */
enum kafka_field_index {
    F_API_KEY,
    F_API_KEY_NAME,
    F_API_VERSION,
    F_RESPONSE_VERSION,
    F_CORRELATION_ID,
    F_CLIENT_ID,
    F_SUMMARY,
    F_SIZE,
    F_REQUEST_SIZE,
    F_RESPONSE_SIZE,
    F_REQUEST,
    F_RESPONSE,
    F_TOPICS,
    F_PARTITIONS,
    F_GROUP_ID,
    F_MEMBER_ID,
    F_TRANSACTIONAL_ID,
    F_PRODUCER_ID,
    F_ACKS,
    F_ERROR,
    F_ERROR_CODE,
    F_ERRORS,
    F_ERROR_MESSAGE,
    F_THROTTLE_TIME,
    F_RECORD_COUNT,
    F_RECORD_BYTES,
    F_COMPRESSION,
    F_SASL_MECHANISM,
    F_OUT_OF_ORDER,
    F_RESPONSE_LOST,
    F_REQUEST_BODY,
    F_RESPONSE_BODY,
    F_COUNT
};

extern const struct td_field kafka_fields[F_COUNT];

struct kafka_config {
    uint64_t max_body, max_batch, max_decompressed; /* bytes */
    int64_t max_records, max_pending;
};

enum {
    KAFKA_SUMMARY = 256,
    KAFKA_TOPICS_LISTED = 256,   /* topics that a call names */
    KAFKA_PARTITION_BITS = 1024, /* partition numbers up to here are listed once */
    KAFKA_PARTITIONS_LISTED = 4096,
    KAFKA_FEW = 6
};

/* Hashes of topics that a call names already. */
struct kafka_seen {
    struct kafka_seen *next;
    uint64_t hash[KAFKA_TOPICS_LISTED]; /* the first KAFKA_FEW are unused */
};

struct kafka_call {
    struct kafka_call *older, *newer;           /* in the order of the requests; `newer` also links the free ones */
    struct kafka_call *like_older, *like_newer; /* of those in the same place of `places` */
    struct td_call *call;
    const struct kafka_api *api;
    int32_t correlation_id;
    int16_t api_key, api_version, acks;
    bool known, flexible, responded, overtaken, waits, has_acks;
    bool doubtful; /* its response may have been missed */
    bool group, member, transaction, producer, mechanism, error_text;
    uint32_t flags; /* for commit() */
    uint32_t request_size, response_size;
    uint64_t body_room; /* of the connection's */
    uint64_t record_count, record_bytes;
    bool has_records;
    uint8_t codecs; /* a bit for each that was seen */
    uint16_t topic_count, partition_count, summary_n;
    bool has_error, summary_is_topics;
    int16_t error; /* the first that is none of 0 */
    uint64_t errors[3];
    uint64_t few[KAFKA_FEW];
    struct kafka_seen *seen;
    uint64_t partitions[KAFKA_PARTITION_BITS / 64];
    char summary[KAFKA_SUMMARY];
};

/* Calls whose ids have the same hash. */
struct kafka_place {
    struct kafka_call *oldest, *newest;
};

struct kafka_calls {
    const struct td_host *host;
    const struct kafka_config *config;
    struct td_conn *conn;
    struct td_arena *arena;
    struct kafka_spare *spare;
    uint64_t wanted; /* a bit for each field that somebody will look at */
    struct kafka_call *oldest, *newest, *free;
    struct kafka_seen *free_seen;
    uint32_t count;
    uint32_t place_n;           /* a power of two */
    struct kafka_place *places; /* by the correlation ids' hashes; NULL as long as few calls wait, or without memory */
    uint64_t body_room;         /* bytes that bodies of open calls may still be given */
    struct kafka_topics topics;
};

void kafka_calls_init(struct kafka_calls *calls, const struct td_host *host, const struct kafka_config *config, struct td_conn *conn,
                      struct td_arena *arena);

static inline bool kafka_wants(const struct kafka_calls *calls, unsigned field)
{
    return calls->wanted >> field & 1;
}

/* A new call, with or without (NULL) a request. When too many wait, the oldest ends. NULL: no memory. */
struct kafka_call *kafka_call_new(struct kafka_calls *calls, const struct kafka_header *h, int32_t correlation_id);
/* The oldest call that waits for this response; NULL: none. Does not change anything. */
struct kafka_call *kafka_call_find(const struct kafka_calls *calls, int32_t correlation_id);
/* Its response has begun. */
void kafka_call_answered(struct kafka_calls *calls, struct kafka_call *p);
/* Some responses were missed: those of the calls that wait now may be among them. */
void kafka_calls_doubt(struct kafka_calls *calls);
/* Commits it; the entry may be reused from now on. */
void kafka_call_end(struct kafka_calls *calls, struct kafka_call *p);
/* Commits all that is open. */
void kafka_calls_close(struct kafka_calls *calls);

/* ---- Content ---------------------------------------------------------------------------------------------------- */

/* What a message needs while its values come. */
struct kafka_filling {
    struct kafka_calls *calls;
    struct kafka_call *call;
    bool response;
    uint32_t unopened; /* arrays and objects that found no room in the body */
    int64_t kind;      /* the last KEY_TYPE or RESOURCE_TYPE */
    uint8_t name_n;    /* the struct's topic, or a key whose kind comes behind it */
    uint8_t name[KAFKA_TOPIC_NAME_MAX];
    int64_t shown;         /* records that the message's body has got */
    uint64_t decompressed; /* bytes that its batches came to */
    struct kafka_json json;
};

void kafka_filling_begin(struct kafka_filling *f, struct kafka_calls *calls, struct kafka_call *p, bool response);
/* Around each stretch of values. */
enum { KAFKA_BUFFER = 16 * 1024 };
void kafka_filling_borrow(struct kafka_filling *f, uint8_t buffer[KAFKA_BUFFER]);
void kafka_filling_flush(struct kafka_filling *f);
/* Closes what is open of the body. */
void kafka_filling_end(struct kafka_filling *f);
/* A kafka_event_fn. */
void kafka_filling_event(void *filling, const struct kafka_event *e);

#endif
