/* Topics by their ids, as brokers tell them in Metadata and CreateTopics (KIP-516): one set for each connection.
 *
 * [worker] In the connection's arena; bounded. */
#ifndef KAFKA_TOPICS_H
#define KAFKA_TOPICS_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include <tapedeck/plugin.h>

enum {
    KAFKA_TOPIC_BUCKETS = 256,
    KAFKA_TOPICS_MAX = 4096, /* topics that one connection remembers */
    KAFKA_TOPIC_NAME_MAX = 249,
    KAFKA_ID_SIZE = 16,
    KAFKA_ID_TEXT = 22 /* URL-safe base64 without padding, as Kafka's tools print ids */
};

struct kafka_topic {
    struct kafka_topic *next;
    uint8_t id[KAFKA_ID_SIZE];
    uint8_t n;
    uint8_t name[];
};

struct kafka_topics {
    const struct td_host *host;
    struct td_arena *arena;
    struct kafka_topic **buckets; /* NULL as long as there are none */
    uint32_t count;
};

/* What is there already, what has no room, and ids of 0 are passed over. */
void kafka_topics_learn(struct kafka_topics *t, struct td_slice id, struct td_slice name);
/* Empty: not known. */
struct td_slice kafka_topics_name(const struct kafka_topics *t, struct td_slice id);
bool kafka_id_is_zero(struct td_slice id);
void kafka_id_text(struct td_slice id, char out[KAFKA_ID_TEXT]);

#endif
