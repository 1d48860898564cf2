#include "stream.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

struct pool;

struct buffer {
    struct block block; /* first: released through it */
    struct pool *pool;
    struct buffer *next; /* in the pool */
    size_t cap, used;
    uint8_t data[];
};

/* Shared by the stream and its buffers; freed with the last of them. */
struct pool {
    pthread_mutex_t lock;
    struct buffer *spare;
    size_t spare_count;
    size_t users; /* the stream, if it is open, and the buffers outside */
};

struct stream {
    struct raw raw;
    struct decompress *decompress; /* NULL: plain */
    struct pool *pool;
    struct buffer *buffer; /* the one that in->block is */
};

static void pool_leave(struct pool *pool, struct buffer *returned, bool closing)
{
    pthread_mutex_lock(&pool->lock);
    if (returned && returned->cap == STREAM_BUFFER && pool->spare_count < STREAM_SPARE) {
        returned->next = pool->spare;
        pool->spare = returned;
        pool->spare_count++;
        returned = NULL;
    }
    bool last = --pool->users == 0;
    /* A closed stream takes no more buffers, but those outside may still come back. */
    struct buffer *unused = last || closing ? pool->spare : NULL;
    if (unused) {
        pool->spare = NULL;
        pool->spare_count = 0;
    }
    pthread_mutex_unlock(&pool->lock);
    mem_free(returned);
    while (unused) {
        struct buffer *next = unused->next;
        mem_free(unused);
        unused = next;
    }
    if (last) {
        pthread_mutex_destroy(&pool->lock);
        mem_free(pool);
    }
}

static void release_buffer(struct block *block)
{
    struct buffer *b = (struct buffer *)block;
    pool_leave(b->pool, b, false);
}

static struct buffer *pool_take(struct pool *pool, size_t cap)
{
    struct buffer *b = NULL;
    pthread_mutex_lock(&pool->lock);
    if (cap == STREAM_BUFFER && pool->spare) {
        b = pool->spare;
        pool->spare = b->next;
        pool->spare_count--;
    }
    pool->users++;
    pthread_mutex_unlock(&pool->lock);
    if (!b) {
        b = mem_alloc(sizeof(*b) + cap);
        if (!b) {
            pool_leave(pool, NULL, false);
            return NULL;
        }
        b->block.release = release_buffer;
        b->pool = pool;
        b->cap = cap;
    }
    atomic_init(&b->block.refs, 1);
    b->used = 0;
    return b;
}

/* A fresh buffer that begins with the bytes in [p, end). */
static bool next_buffer(struct input *in, struct stream *s, size_t n)
{
    size_t carry = input_left(in), cap = STREAM_BUFFER;
    /* A record's length is only a claim: room grows with what has really come. */
    if (n > cap)
        cap = 2 * carry < n ? 2 * carry : n;
    if (cap < STREAM_BUFFER)
        cap = STREAM_BUFFER;
    struct buffer *b = pool_take(s->pool, cap);
    if (!b)
        return false;
    if (carry)
        memcpy(b->data, in->p, carry);
    b->used = carry;
    block_unref(in->block);
    s->buffer = b;
    in->block = &b->block;
    in->p = b->data;
    in->end = b->data + carry;
    return true;
}

static int read_stream(struct stream *s, uint8_t *to, size_t n, size_t *ret_n, struct error *err)
{
    return s->decompress ? decompress_read(s->decompress, to, n, ret_n, err) : raw_read(&s->raw, to, n, ret_n, err);
}

static void stream_more(struct input *in, size_t n)
{
    enum { LITTLE_ROOM = 16 << 10 };
    struct stream *s = in->source;
    struct buffer *b = s->buffer;
    size_t left = input_left(in);
    size_t missing = n - left;
    size_t room = b ? b->cap - b->used : 0;
    /* A record that no common buffer holds fills what it has before it moves; others move once they do not fit. */
    bool full = n > STREAM_BUFFER ? room == 0 : room < missing || (left == 0 && room < LITTLE_ROOM);
    if (full) {
        if (!next_buffer(in, s, n)) {
            error_nomem(&in->error);
            in->ended = true;
            return;
        }
        b = s->buffer;
        room = b->cap - b->used;
    }
    size_t got = 0;
    if (read_stream(s, b->data + b->used, room, &got, &in->error) != TD_OK || got == 0)
        in->ended = true;
    if (in->ended && in->error.status == TD_OK && !s->decompress && !in->size_is_a_hint && in->end_offset < in->size)
        error_set(&in->error, TD_E_CORRUPT, "offset %llu: the file was made shorter while it was read", (unsigned long long)in->end_offset);
    b->used += got;
    in->end = b->data + b->used;
    in->end_offset += got;
}

static uint64_t stream_position(const struct input *in)
{
    const struct stream *s = in->source;
    return s->decompress ? s->raw.position : input_offset(in);
}

static void stream_close(struct input *in)
{
    struct stream *s = in->source;
    decompress_free(s->decompress);
    if (s->raw.fd >= 0)
        close(s->raw.fd);
    pool_leave(s->pool, NULL, true);
    mem_free(s);
}

static const struct input_ops stream_ops = {stream_more, stream_position, stream_close};

int stream_open(struct input *in, const struct raw *raw, enum decompress_kind kind, struct error *err)
{
    struct stream *s = mem_calloc(1, sizeof(*s));
    struct pool *pool = mem_calloc(1, sizeof(*pool));
    int status = TD_E_NOMEM;
    if (!s || !pool) {
        error_nomem(err);
        goto fail;
    }
    s->raw = *raw;
    s->pool = pool;
    if (kind != DECOMPRESS_NONE) {
        status = decompress_new(kind, &s->raw, &s->decompress, err);
        if (status != TD_OK)
            goto fail;
    }
    pthread_mutex_init(&pool->lock, NULL);
    pool->users = 1;
    in->source = s;
    in->ops = &stream_ops;
    return TD_OK;

fail:
    mem_free(pool);
    mem_free(s);
    return status;
}
