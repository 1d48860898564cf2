/* Threads that dissect connections of their own share what a component keeps for its next batch. */
#include "../../../plugins/dissectors/kafka/kafka_codec.h"

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "tap.h"

enum { THREADS = 4, ROUNDS = 300, PLAIN = 20000, ROOM = 2 * PLAIN };

static uint8_t plain[PLAIN], packed[ROOM];

struct job {
    pthread_t thread;
    struct kafka_spare *spare;
    size_t packed_n;
    int wrong;
};

/* Every third batch is cut off, and its context is not kept. */
static void *decode(void *ctx)
{
    struct job *job = ctx;
    uint8_t *room = malloc(ROOM);
    for (int i = 0; room && i < ROUNDS; i++) {
        bool whole, cut = i % 3 == 1;
        size_t n = kafka_decode(KAFKA_ZSTD, td_bytes(packed, job->packed_n - (cut ? 5 : 0)), job->spare, room, ROOM, &whole);
        job->wrong += whole == cut || (!cut && n != PLAIN) || memcmp(room, plain, n) != 0;
    }
    job->wrong += !room;
    free(room);
    return NULL;
}

int main(void)
{
    struct kafka_spare spare = {NULL};
    struct job jobs[THREADS];
    int wrong = 0;
    for (size_t i = 0; i < PLAIN; i++)
        plain[i] = (uint8_t)((size_t)i % 7 * 31 + i * i % 11);
    size_t packed_n = ZSTD_compress(packed, sizeof(packed), plain, sizeof(plain), 3);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (struct job){.spare = &spare, .packed_n = packed_n};
        wrong += pthread_create(&jobs[i].thread, NULL, decode, &jobs[i]) != 0;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(jobs[i].thread, NULL);
        wrong += jobs[i].wrong;
    }
    is_int(wrong, 0, "threads decode with contexts that they leave to each other");
    ok(spare.zstd != NULL, "one is left");
    kafka_spare_clear(&spare);
    ok(spare.zstd == NULL, "until it is no longer wanted");
    return tap_done();
}
