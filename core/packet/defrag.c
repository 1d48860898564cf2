#include "defrag.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/mem.h"

enum { BUCKETS = 4096, IPV4_HEADER = 20, IPV6_HEADER = 40 };

struct key {
    uint8_t addresses[32]; /* source, destination; of IPv4, eight bytes */
    uint32_t id;
    uint8_t ip_version;
    uint8_t protocol; /* 0 in IPv6, where it does not count */
    uint8_t zero[2];
};

/* Its memory ends with the frame numbers and then the data. */
struct fragment {
    struct fragment *next;
    uint32_t offset, len;
    uint32_t frame_count;
    uint64_t frames[];
};

/* A datagram that waits. */
struct entry {
    struct entry *next; /* in its bucket */
    struct entry *older, *newer;
    struct key key;
    int64_t first_ns;
    struct fragment *first, *last; /* by offset; those with the same, as they came */
    uint32_t fragment_count, frame_count;
    uint32_t len;   /* of the datagram's payload; 0: not known yet */
    uint32_t reach; /* where the fragment that reaches furthest ends */
    size_t memory;
    uint8_t protocol; /* these two from the fragment at offset 0 */
    uint8_t header[IPV6_HEADER];
};

struct defrag {
    struct decode_stats *stats;
    size_t memory, max_memory;
    uint64_t seed[2];
    struct entry *oldest, *newest;
    struct entry *buckets[BUCKETS];
};

static uint8_t *fragment_data(struct fragment *f)
{
    return (uint8_t *)(f->frames + f->frame_count);
}

static size_t fragment_memory(uint32_t frame_count, size_t len)
{
    return sizeof(struct fragment) + frame_count * sizeof(uint64_t) + len;
}

struct defrag *defrag_new(size_t max_memory, struct decode_stats *stats)
{
    struct defrag *d = mem_calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->stats = stats;
    d->max_memory = max_memory;
    /* Without a secret, senders could choose identifications that all fall into one bucket. */
    if (getrandom(d->seed, sizeof(d->seed), GRND_NONBLOCK) != (ssize_t)sizeof(d->seed))
        d->seed[0] = (uint64_t)(uintptr_t)d;
    return d;
}

static struct key key_of(const struct defrag_fragment *f)
{
    struct key key = {.id = f->id, .ip_version = f->ip_version};
    if (f->ip_version == 4) {
        memcpy(key.addresses, f->ip + 12, 8);
        key.protocol = f->protocol;
    } else {
        memcpy(key.addresses, f->ip + 8, 32);
    }
    return key;
}

static struct entry **bucket_of(struct defrag *d, const struct key *key)
{
    uint64_t words[sizeof(*key) / sizeof(uint64_t)], hash = d->seed[0];
    _Static_assert(sizeof(words) == sizeof(*key), "a key is whole words");
    memcpy(words, key, sizeof(words));
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        hash = hash_mix(hash ^ words[i], d->seed[1] ^ 0x9e3779b97f4a7c15u);
    return &d->buckets[hash % BUCKETS];
}

static void charge(struct defrag *d, struct entry *e, size_t memory)
{
    e->memory += memory;
    d->memory += memory;
}

/* Forgets a datagram, whole or not. */
static void drop(struct defrag *d, struct entry *e)
{
    struct entry **link = bucket_of(d, &e->key);
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
    *(e->older ? &e->older->newer : &d->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &d->newest) = e->older;
    d->memory -= e->memory;
    for (struct fragment *f = e->first, *next; f; f = next) {
        next = f->next;
        mem_free(f);
    }
    mem_free(e);
}

static void give_up(struct defrag *d, struct entry *e)
{
    d->stats->fragments_lost++;
    drop(d, e);
}

void defrag_free(struct defrag *d)
{
    if (!d)
        return;
    while (d->oldest)
        drop(d, d->oldest);
    mem_free(d);
}

static bool expired(const struct entry *e, int64_t now_ns)
{
    /* The clock may jump, and be anything in a file that is damaged. */
    return now_ns > e->first_ns && (uint64_t)now_ns - (uint64_t)e->first_ns > DEFRAG_TIMEOUT_S * UINT64_C(1000000000);
}

static struct entry *add_entry(struct defrag *d, const struct key *key, int64_t now_ns)
{
    struct entry *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    struct entry **bucket = bucket_of(d, key);
    e->key = *key;
    e->first_ns = now_ns;
    e->next = *bucket;
    *bucket = e;
    e->older = d->newest;
    *(e->older ? &e->older->newer : &d->oldest) = e;
    d->newest = e;
    charge(d, e, sizeof(*e));
    return e;
}

/* The fragment of the same place and length, if there is one. */
static struct fragment *same_place(const struct entry *e, const struct defrag_fragment *f)
{
    if (f->offset >= e->reach)
        return NULL;
    for (struct fragment *g = e->first; g && g->offset <= f->offset; g = g->next)
        if (g->offset == f->offset && g->len == f->data.n)
            return g;
    return NULL;
}

/* True if the datagram's end, as far as it is known, denies that `f` belongs to it. */
static bool contradicts_end(const struct entry *e, const struct defrag_fragment *f)
{
    uint32_t end = f->offset + (uint32_t)f->data.n;
    if (f->more)
        return e->len && end > e->len;
    return e->len ? end != e->len : end < e->reach;
}

static bool insert(struct defrag *d, struct entry *e, const struct defrag_fragment *f)
{
    size_t memory = fragment_memory(f->frame_count, f->data.n);
    struct fragment *g = mem_alloc(memory);
    if (!g)
        return false;
    g->offset = f->offset;
    g->len = (uint32_t)f->data.n;
    g->frame_count = f->frame_count;
    memcpy(g->frames, f->frames, f->frame_count * sizeof(uint64_t));
    memcpy(fragment_data(g), f->data.p, f->data.n);

    struct fragment **link = e->last && e->last->offset <= g->offset ? &e->last->next : &e->first;
    while (*link && (*link)->offset <= g->offset)
        link = &(*link)->next;
    g->next = *link;
    *link = g;
    if (!g->next)
        e->last = g;
    e->fragment_count++;
    e->frame_count += g->frame_count;
    charge(d, e, memory);

    uint32_t end = g->offset + g->len;
    if (end > e->reach)
        e->reach = end;
    if (!f->more)
        e->len = end;
    if (f->offset == 0) {
        e->protocol = f->protocol;
        memcpy(e->header, f->ip, f->ip_version == 4 ? IPV4_HEADER : IPV6_HEADER);
    }
    return true;
}

static bool is_whole(const struct entry *e)
{
    uint32_t reach = 0;
    for (const struct fragment *f = e->first; e->len && f && f->offset <= reach; f = f->next)
        if (f->offset + f->len > reach)
            reach = f->offset + f->len;
    return e->len && reach == e->len;
}

static int compare_frames(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Copies the fragments' bytes and frames. */
static void gather(const struct entry *e, uint8_t *payload, uint64_t *frames)
{
    uint64_t *next_frames = frames;
    uint32_t reach = 0;
    for (struct fragment *f = e->first; f; f = f->next) {
        uint32_t known = f->offset < reach ? reach - f->offset : 0;
        if (f->len > known) {
            memcpy(payload + f->offset + known, fragment_data(f) + known, f->len - known);
            reach = f->offset + f->len;
        }
        memcpy(next_frames, f->frames, f->frame_count * sizeof(uint64_t));
        next_frames += f->frame_count;
    }
    qsort(frames, e->frame_count, sizeof(uint64_t), compare_frames);
}

/* The header of the first fragment, made that of a packet which was never fragmented. */
static void rebuild_header(const struct entry *e, uint8_t *header)
{
    bool v4 = e->key.ip_version == 4;
    uint32_t len = v4 ? IPV4_HEADER + e->len : e->len;
    memcpy(header, e->header, v4 ? IPV4_HEADER : IPV6_HEADER);
    uint8_t *length_field = header + (v4 ? 2 : 4);
    length_field[0] = (uint8_t)(len >> 8);
    length_field[1] = (uint8_t)len;
    if (v4) {
        header[0] = 0x45;
        header[6] = header[7] = 0;
    } else {
        header[6] = e->protocol;
    }
}

static void datagram_release(struct block *b)
{
    mem_free(b); /* the first member of what put_together() allocated */
}

/* NULL when memory is short. */
static struct decode_datagram *put_together(const struct entry *e, struct td_slice *ret_packet)
{
    size_t header = e->key.ip_version == 4 ? IPV4_HEADER : IPV6_HEADER, frames = e->frame_count * sizeof(uint64_t);
    struct decode_datagram *whole = mem_alloc(sizeof(*whole) + frames + header + e->len);
    if (!whole)
        return NULL;
    whole->block.release = datagram_release;
    atomic_init(&whole->block.refs, 1);
    whole->frame_count = e->frame_count;
    whole->frames = (uint64_t *)(whole + 1);
    uint8_t *packet = (uint8_t *)(whole->frames + e->frame_count);
    gather(e, packet + header, whole->frames);
    rebuild_header(e, packet);
    *ret_packet = td_bytes(packet, header + e->len);
    return whole;
}

/* The entry that `f` belongs to, after what cannot be its own has been given up. NULL, with *ret_repeat set, if `f`
 * is there already; NULL without it when memory is short. */
static struct entry *entry_for(struct defrag *d, const struct defrag_fragment *f, bool *ret_repeat)
{
    struct key key = key_of(f);
    struct entry *e = *bucket_of(d, &key);
    while (e && memcmp(&e->key, &key, sizeof(key)) != 0)
        e = e->next;
    if (e) {
        struct fragment *same = same_place(e, f);
        *ret_repeat = same && memcmp(fragment_data(same), f->data.p, f->data.n) == 0;
        if (*ret_repeat)
            return NULL;
        bool full = e->fragment_count >= DEFRAG_MAX_FRAGMENTS || e->frame_count + f->frame_count > DEFRAG_MAX_FRAMES;
        if (!same && !full && !contradicts_end(e, f))
            return e;
        give_up(d, e);
    }
    return add_entry(d, &key, f->time_ns);
}

struct decode_datagram *defrag_add(struct defrag *d, const struct defrag_fragment *f, struct td_slice *ret_packet)
{
    size_t memory = sizeof(struct entry) + fragment_memory(f->frame_count, f->data.n);
    while (d->oldest && (expired(d->oldest, f->time_ns) || d->memory + memory > d->max_memory))
        give_up(d, d->oldest);
    bool repeat = false;
    struct entry *e = memory <= d->max_memory ? entry_for(d, f, &repeat) : NULL;
    if (repeat)
        return NULL;
    if (!e) {
        d->stats->fragments_lost++;
        return NULL;
    }
    bool inserted = insert(d, e, f);
    if (inserted && !is_whole(e))
        return NULL;
    struct decode_datagram *whole = inserted ? put_together(e, ret_packet) : NULL;
    if (!whole) {
        give_up(d, e);
        return NULL;
    }
    d->stats->datagrams++;
    drop(d, e);
    return whole;
}
