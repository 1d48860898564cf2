/* Topics by their ids, also when somebody chooses the ids. */
#include "../../../plugins/dissectors/kafka/kafka_topics.h"

#include <stdlib.h>

#include "tap.h"

enum { ROOM = 1 << 20 };

struct td_arena {
    uint8_t bytes[ROOM];
    size_t n;
};

static void *take(struct td_arena *arena, size_t n, size_t align)
{
    size_t at = (arena->n + align - 1) & ~(align - 1);
    if (at + n > ROOM)
        return NULL;
    arena->n = at + n;
    return arena->bytes + at;
}

/* Ids that differ only in the bytes from `from` on, and have the same first and last byte. */
static void put_id(uint8_t id[KAFKA_ID_SIZE], unsigned from, unsigned number)
{
    memset(id, 7, KAFKA_ID_SIZE);
    id[from] = (uint8_t)number;
    id[from + 1] = (uint8_t)(number >> 8);
}

static unsigned longest(const struct kafka_topics *t)
{
    unsigned most = 0;
    for (unsigned i = 0; i < KAFKA_TOPIC_BUCKETS; i++) {
        unsigned n = 0;
        for (const struct kafka_topic *topic = t->buckets[i]; topic; topic = topic->next)
            n++;
        most = n > most ? n : most;
    }
    return most;
}

static void test_chosen_ids(unsigned from)
{
    static const struct td_host host = {.alloc = take};
    struct td_arena *arena = calloc(1, sizeof(*arena));
    struct kafka_topics t = {.host = &host, .arena = arena};
    uint8_t id[KAFKA_ID_SIZE];
    unsigned wrong = 0;
    for (unsigned i = 0; i < KAFKA_TOPICS_MAX; i++) {
        put_id(id, from, i);
        kafka_topics_learn(&t, td_bytes(id, sizeof(id)), td_bytes(&i, sizeof(i)));
    }
    for (unsigned i = 0; i < KAFKA_TOPICS_MAX; i++) {
        put_id(id, from, i);
        wrong += !td_eq(kafka_topics_name(&t, td_bytes(id, sizeof(id))), td_bytes(&i, sizeof(i)));
    }
    is_int(wrong, 0, "ids that differ from byte %u on: each has its name", from);
    ok(longest(&t) <= 64, "... and they do not fall together: at most %u do", longest(&t));
    free(arena);
}

int main(void)
{
    test_chosen_ids(2);
    test_chosen_ids(7);
    test_chosen_ids(12);
    return tap_done();
}
