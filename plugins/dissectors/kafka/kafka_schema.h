/* Kafka's messages as tables: which field stands where in which versions (https://kafka.apache.org/protocol, KIP-482).
 *
 * A message is a run of rows in the order of the wire. A row's depth says how far it is nested: the fields of a STRUCT are the rows
 * behind it that are one deeper. From an API's first flexible version on, lengths are compact and each struct ends in tagged
 * fields; their rows stand behind the struct's others. Pure data. */
#ifndef KAFKA_SCHEMA_H
#define KAFKA_SCHEMA_H

#include <tapedeck/slice.h>

enum kafka_type {
    BOOL = 1,
    INT8,
    INT16,
    INT32,
    INT64,
    UINT16,
    UINT32,
    FLOAT64,
    UUID,
    STRING,
    BYTES,
    RECORDS, /* record batches or a message set */
    STRUCT,
    ARRAY = 0x80 /* of one of the above */
};

/* What a field is to the fields of a call; its name in the body does not depend on it. */
enum kafka_role {
    PLAIN,
    TOPIC,
    TOPIC_ID,
    PARTITION,
    ERROR,
    ERROR_TEXT,
    GROUP,
    MEMBER,
    TRANSACTIONAL_ID,
    PRODUCER_ID,
    COORDINATOR_KEY, /* a group or a transactional id */
    ACKS,
    THROTTLE,
    MECHANISM,
    SECRET,   /* a credential: left out */
    KEY_TYPE, /* of COORDINATOR_KEY: 0 group, 1 transaction */
    RESOURCE_TYPE,
    RESOURCE_NAME /* a topic, a group or others, as RESOURCE_TYPE before it says */
};

enum { LAST = 255 }; /* there in all later versions */
#define SINCE(v) ((v) + 1)
#define TAG(t) ((t) + 1)

struct kafka_row {
    uint8_t depth, type;
    const char *name;
    uint8_t from, to; /* versions */
    uint8_t role;
    uint8_t nulls; /* SINCE(first version in which it may be null); 0: never */
    uint8_t tag;   /* TAG(its tag); 0: not tagged */
};

struct kafka_rows {
    const struct kafka_row *v;
    uint16_t n;
};

struct kafka_api {
    const char *name;
    uint8_t max_version; /* the latest that is published */
    uint8_t flexible;    /* first flexible version; LAST: none */
    /* NULL: not described; its calls come from their headers. */
    const struct kafka_rows *request, *response;
};

enum {
    KAFKA_PRODUCE = 0,
    KAFKA_FETCH = 1,
    KAFKA_METADATA = 3,
    KAFKA_CONTROLLED_SHUTDOWN = 7,
    KAFKA_SASL_HANDSHAKE = 17,
    KAFKA_API_VERSIONS = 18,
    KAFKA_CREATE_TOPICS = 19,
};

/* NULL: no such API is published. */
const struct kafka_api *kafka_api(int key);

/* "UNKNOWN_TOPIC_OR_PARTITION"; NULL for a number without a name. */
const char *kafka_error_name(int code);
enum { KAFKA_ERROR_MIN = -1, KAFKA_ERROR_MAX = 136, KAFKA_UNSUPPORTED_VERSION = 35 };

#define KAFKA_ROWS(a)                               \
    {                                               \
        (a), (uint16_t)(sizeof(a) / sizeof((a)[0])) \
    }
#define KAFKA_DECLARE(name) extern const struct kafka_rows kafka_##name##_request, kafka_##name##_response
#define KAFKA_DEFINE(name)                                                  \
    const struct kafka_rows kafka_##name##_request = KAFKA_ROWS(name##_in); \
    const struct kafka_rows kafka_##name##_response = KAFKA_ROWS(name##_out)

KAFKA_DECLARE(produce);
KAFKA_DECLARE(fetch);
KAFKA_DECLARE(list_offsets);
KAFKA_DECLARE(metadata);
KAFKA_DECLARE(offset_for_leader_epoch);
KAFKA_DECLARE(delete_records);
KAFKA_DECLARE(offset_commit);
KAFKA_DECLARE(offset_fetch);
KAFKA_DECLARE(find_coordinator);
KAFKA_DECLARE(join_group);
KAFKA_DECLARE(heartbeat);
KAFKA_DECLARE(leave_group);
KAFKA_DECLARE(sync_group);
KAFKA_DECLARE(describe_groups);
KAFKA_DECLARE(list_groups);
KAFKA_DECLARE(delete_groups);
KAFKA_DECLARE(offset_delete);
KAFKA_DECLARE(consumer_group_heartbeat);
KAFKA_DECLARE(consumer_group_describe);
KAFKA_DECLARE(sasl_handshake);
KAFKA_DECLARE(sasl_authenticate);
KAFKA_DECLARE(api_versions);
KAFKA_DECLARE(create_topics);
KAFKA_DECLARE(delete_topics);
KAFKA_DECLARE(create_partitions);
KAFKA_DECLARE(describe_configs);
KAFKA_DECLARE(alter_configs);
KAFKA_DECLARE(incremental_alter_configs);
KAFKA_DECLARE(describe_cluster);
KAFKA_DECLARE(leader_and_isr);
KAFKA_DECLARE(stop_replica);
KAFKA_DECLARE(init_producer_id);
KAFKA_DECLARE(add_partitions_to_txn);
KAFKA_DECLARE(add_offsets_to_txn);
KAFKA_DECLARE(end_txn);
KAFKA_DECLARE(write_txn_markers);
KAFKA_DECLARE(txn_offset_commit);

#endif
