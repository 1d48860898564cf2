/* Blocks that are released by another thread, while the reader goes on or has gone. Named for `make tsan`. */
#include "capture_build.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

enum { SLOTS = 8, PACKETS = 60000 };

/* A short queue of blocks, each with a packet whose bytes the consumer adds up. */
struct queue {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct {
        struct block *block;
        struct packet packets[16];
        int n;
    } slots[SLOTS];
    size_t put, taken;
    bool closed;
    uint64_t sum;
};

static void *consume(void *arg)
{
    struct queue *q = arg;
    for (;;) {
        pthread_mutex_lock(&q->lock);
        while (q->taken == q->put && !q->closed)
            pthread_cond_wait(&q->changed, &q->lock);
        if (q->taken == q->put) {
            pthread_mutex_unlock(&q->lock);
            return NULL;
        }
        pthread_mutex_unlock(&q->lock);
        size_t at = q->taken % SLOTS;
        for (int i = 0; i < q->slots[at].n; i++)
            for (uint32_t k = 0; k < q->slots[at].packets[i].caplen; k++)
                q->sum += q->slots[at].packets[i].p[k];
        block_unref(q->slots[at].block);
        pthread_mutex_lock(&q->lock);
        q->taken++;
        pthread_cond_signal(&q->changed);
        pthread_mutex_unlock(&q->lock);
    }
}

static uint64_t read_through_queue(struct capture *c)
{
    struct queue *q = calloc(1, sizeof(*q));
    struct error err;
    pthread_t thread;
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->changed, NULL);
    pthread_create(&thread, NULL, consume, q);
    for (;;) {
        pthread_mutex_lock(&q->lock);
        while (q->put - q->taken == SLOTS)
            pthread_cond_wait(&q->changed, &q->lock);
        pthread_mutex_unlock(&q->lock);
        size_t at = q->put % SLOTS;
        q->slots[at].n = capture_read(c, q->slots[at].packets, 16, &q->slots[at].block, &err);
        if (q->slots[at].n <= 0)
            break;
        pthread_mutex_lock(&q->lock);
        q->put++;
        pthread_cond_signal(&q->changed);
        pthread_mutex_unlock(&q->lock);
    }
    capture_close(c); /* while the consumer still holds blocks */
    pthread_mutex_lock(&q->lock);
    q->closed = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    pthread_join(thread, NULL);
    uint64_t sum = q->sum;
    free(q);
    return sum;
}

int main(void)
{
    struct buf b = {0};
    struct capture *c;
    char path[] = "/tmp/tapedeck-test-XXXXXX";
    put_plain_pcap(&b, PACKETS);
    uint64_t sum = 0;
    for (size_t at = 24; at < b.n;) {
        size_t caplen = b.p[at + 8];
        for (size_t k = 0; k < caplen; k++)
            sum += b.p[at + 16 + k];
        at += 16 + caplen;
    }
    int fd = mkstemp(path);
    ok(fd >= 0 && write(fd, b.p, b.n) == (ssize_t)b.n, "a file");
    is_int(capture_open(path, &c, NULL), TD_OK, "file: opens");
    is_int(read_through_queue(c), sum, "file: every byte, released elsewhere");

    size_t bound = ZSTD_compressBound(b.n);
    uint8_t *packed = malloc(bound);
    size_t n = ZSTD_compress(packed, bound, b.p, b.n, 1);
    is_int(capture_open_memory(td_bytes(packed, n), &c, NULL), TD_OK, "compressed: opens");
    is_int(read_through_queue(c), sum, "compressed: every byte, released elsewhere");
    free(packed);
    close(fd);
    unlink(path);
    buf_clear(&b);
    return tap_done();
}
