#include "kafka_topics.h"

/* Ids are random, unless somebody makes them up: nobody is to know which ones fall together. */
static struct kafka_topic **bucket(const struct kafka_topics *t, struct td_slice id)
{
    uint64_t half[2];
    memcpy(half, id.p, sizeof(half));
    uint64_t h = ((uint64_t)(uintptr_t)t ^ half[0]) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 32 ^ half[1]) * UINT64_C(0xd6e8feb86659fd93);
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return &t->buckets[h >> 32 & (KAFKA_TOPIC_BUCKETS - 1)];
}

bool kafka_id_is_zero(struct td_slice id)
{
    static const uint8_t zero[KAFKA_ID_SIZE];
    return id.n != KAFKA_ID_SIZE || memcmp(id.p, zero, KAFKA_ID_SIZE) == 0;
}

struct td_slice kafka_topics_name(const struct kafka_topics *t, struct td_slice id)
{
    if (!t->buckets || id.n != KAFKA_ID_SIZE)
        return td_bytes(NULL, 0);
    for (const struct kafka_topic *topic = *bucket(t, id); topic; topic = topic->next)
        if (memcmp(topic->id, id.p, KAFKA_ID_SIZE) == 0)
            return td_bytes(topic->name, topic->n);
    return td_bytes(NULL, 0);
}

void kafka_topics_learn(struct kafka_topics *t, struct td_slice id, struct td_slice name)
{
    if (kafka_id_is_zero(id) || !name.n || name.n > KAFKA_TOPIC_NAME_MAX || t->count == KAFKA_TOPICS_MAX || kafka_topics_name(t, id).n)
        return;
    if (!t->buckets)
        t->buckets = t->host->alloc(t->arena, KAFKA_TOPIC_BUCKETS * sizeof(struct kafka_topic *), _Alignof(struct kafka_topic *));
    struct kafka_topic *topic = t->buckets ? t->host->alloc(t->arena, sizeof(*topic) + name.n, _Alignof(struct kafka_topic)) : NULL;
    if (!topic)
        return;
    memcpy(topic->id, id.p, KAFKA_ID_SIZE);
    memcpy(topic->name, name.p, name.n);
    topic->n = (uint8_t)name.n;
    topic->next = *bucket(t, id);
    *bucket(t, id) = topic;
    t->count++;
}

void kafka_id_text(struct td_slice id, char out[KAFKA_ID_TEXT])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < KAFKA_ID_TEXT; i++) {
        size_t at = i * 6 / 8;
        uint32_t pair = (uint32_t)id.p[at] << 8 | (at + 1 < KAFKA_ID_SIZE ? id.p[at + 1] : 0);
        out[i] = digits[pair >> (10 - i * 6 % 8) & 63];
    }
}
