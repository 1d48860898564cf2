#include "capture/notes.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "capture/packet_key_words.h"
#include "capture/segment_index_format.h"

enum {
    MIN_BLOCK = 32, /* bytes of the block of a packet without bytes */
    /* Of the hash table: at least twice as many as rows, so that a look rarely goes further than one slot, and not many more, so that few
     * keys take few pages. */
    FEWEST_SLOTS = 1 << 11,
    SLOTS = NOTES_MAX_ROWS * 2,
    SLOT_BYTES = 64, /* a cache line */
    SIEVE_BITS = 20, /* 128 KiB, which stay in the cache */
    LOOK_AHEAD = 8,  /* a packet's row is looked for so many packets later: until then its slot is in the cache */
    SEEDS = 6,
    /* Every interface has the row of its link type for sure. */
    KEY_ROWS = NOTES_MAX_ROWS - NOTES_MAX_INTERFACES,
    CLIENT_ROWS = NOTES_MAX_ROWS / 2,
    PORT_ROWS = NOTES_MAX_ROWS / 4 * 3
};

/* A place in the table of keys. What is left of an earlier segment is free: so emptying costs nothing. */
struct slot {
    struct packet_key_words key;
    uint32_t row;
    uint32_t generation; /* of the notes that wrote it */
    uint8_t pad[SLOT_BYTES - sizeof(struct packet_key_words) - 8];
};
_Static_assert(sizeof(struct slot) == SLOT_BYTES, "one slot, one cache line");

/* A packet whose row is looked for. */
struct recent {
    struct packet_key_words key;
    uint64_t hash;
    uint32_t iface;
    bool same; /* as the packet before it; there is no hash then */
};

struct stride {
    uint64_t from, packets;
    _Atomic int64_t first_ns, last_ns; /* of the last one they change while others read */
};

struct notes {
    /* What each packet touches. */
    struct recent recent[LOOK_AHEAD]; /* the latest, by number */
    uint32_t last;                    /* in `recent`: the last one that was not the same as the one before */
    uint32_t last_row;                /* of the last packet that has its row */
    uint32_t interface_n;
    size_t n, max;
    size_t placed; /* packets that have their row */
    struct note *notes;
    struct notes_stride current;
    uint64_t end, segment_bytes;

    struct slot *slots; /* in `slot_memory`, at a large page's beginning */
    uint64_t slot_mask;
    uint64_t *sieve;     /* a bit for the hash of each key that has a row: most of those that have none fall through */
    uint32_t generation; /* from 1 */
    void *slot_memory;
    struct packet_key *keys;
    struct stride *strides;
    struct notes_interface *interfaces;
    size_t stride_n, row_n, row_bytes;
    uint64_t seeds[SEEDS];
    uint32_t unknown_rows[NOTES_MAX_INTERFACES]; /* for each interface, of packets of which only the link type is known */

    char apart[64]; /* readers look at what follows, and must not slow the writer down */
    _Atomic size_t published, published_strides, published_rows, published_interfaces;
    _Atomic uint64_t published_end;
};

/* ---- Life ---- */

/* Secret, so that nobody can send packets whose keys all fall into one place of the table. */
static void seed(struct notes *n)
{
    struct timespec now;
    if (getrandom(n->seeds, sizeof(n->seeds), GRND_NONBLOCK) == (ssize_t)sizeof(n->seeds))
        return;
    clock_gettime(CLOCK_MONOTONIC, &now); /* early after boot: better than nothing */
    for (size_t i = 0; i < SEEDS; i++)
        n->seeds[i] = hash_mix((uint64_t)now.tv_nsec ^ (uintptr_t)n, 0x9e3779b97f4a7c15u + i);
}

/* Eight MiB that are looked into at random: with large pages, if the system gives them, that takes half the time. */
static bool make_slots(struct notes *n)
{
    enum { LARGE_PAGE = 2 << 20 };
    size_t bytes = SLOTS * sizeof(struct slot);
    n->slot_memory = mem_calloc(1, bytes + LARGE_PAGE);
    if (!n->slot_memory)
        return false;
    uintptr_t at = ((uintptr_t)n->slot_memory + LARGE_PAGE - 1) & ~((uintptr_t)LARGE_PAGE - 1);
    n->slots = (struct slot *)at;
    (void)!madvise(n->slots, bytes, MADV_HUGEPAGE);
    return true;
}

struct notes *notes_new(uint64_t segment_bytes)
{
    if (segment_bytes > NOTES_MAX_SEGMENT)
        segment_bytes = NOTES_MAX_SEGMENT;
    struct notes *n = mem_calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->segment_bytes = segment_bytes;
    n->max = (size_t)(segment_bytes / MIN_BLOCK);
    n->notes = mem_alloc(n->max * sizeof(*n->notes));
    n->strides = mem_alloc((size_t)(segment_bytes / NOTES_STRIDE + 1) * sizeof(*n->strides));
    n->keys = mem_alloc(NOTES_MAX_ROWS * sizeof(*n->keys));
    n->sieve = mem_calloc((1 << SIEVE_BITS) / 64, sizeof(*n->sieve));
    n->interfaces = mem_alloc(NOTES_MAX_INTERFACES * sizeof(*n->interfaces));
    if (!n->notes || !n->strides || !n->keys || !n->sieve || !n->interfaces || !make_slots(n)) {
        notes_free(n);
        return NULL;
    }
    seed(n);
    notes_reset(n);
    return n;
}

void notes_free(struct notes *n)
{
    if (!n)
        return;
    mem_free(n->notes);
    mem_free(n->strides);
    mem_free(n->keys);
    mem_free(n->sieve);
    mem_free(n->slot_memory);
    mem_free(n->interfaces);
    mem_free(n);
}

/* ---- Rows ---- */

static inline bool same_key(const struct packet_key_words *a, const struct packet_key_words *b)
{
    return ((a->source[0] ^ b->source[0]) | (a->source[1] ^ b->source[1]) | (a->target[0] ^ b->target[0]) | (a->target[1] ^ b->target[1]) |
            (a->ports_and_head ^ b->ports_and_head) | (a->rest ^ b->rest)) == 0;
}

static inline uint64_t hash_key(const struct notes *n, const struct packet_key_words *key)
{
    const uint64_t *s = n->seeds;
    /* Three products side by side, not one after the other. */
    uint64_t source = hash_mix(key->source[0] ^ s[0], key->source[1] ^ s[1]);
    uint64_t target = hash_mix(key->target[0] ^ s[2], key->target[1] ^ s[3]);
    uint64_t rest = hash_mix(key->ports_and_head ^ s[4], key->rest ^ s[5]);
    return hash_mix(source ^ (target << 32 | target >> 32) ^ s[1], rest ^ s[3]);
}

static inline struct slot *home(const struct notes *n, uint64_t hash)
{
    return &n->slots[hash & n->slot_mask];
}

/* The slot of a key, or the free one where it would be. At most half of the slots are taken, so this ends. */
static inline struct slot *find_slot(const struct notes *n, const struct packet_key_words *key, uint64_t hash)
{
    struct slot *slot = home(n, hash);
    while (slot->generation == n->generation && !same_key(&slot->key, key))
        slot = slot == n->slots + n->slot_mask ? n->slots : slot + 1;
    return slot;
}

static void fill_slot(const struct notes *n, struct slot *slot, const struct packet_key_words *key, uint32_t row)
{
    slot->key = *key;
    slot->row = row;
    slot->generation = n->generation;
}

/* Twice as many slots, all free at first. */
static void grow(struct notes *n)
{
    n->slot_mask = 2 * n->slot_mask + 1;
    n->generation++;
    for (uint32_t row = 0; row < n->row_n; row++) {
        struct packet_key_words key;
        memcpy(&key, &n->keys[row], sizeof(key));
        fill_slot(n, find_slot(n, &key, hash_key(n, &key)), &key, row);
    }
}

static __attribute__((noinline)) uint32_t add_row(struct notes *n, const struct packet_key_words *key, uint64_t hash, struct slot *slot)
{
    uint64_t bit = hash >> (64 - SIEVE_BITS);
    if (2 * (n->row_n + 1) > n->slot_mask + 1) {
        grow(n);
        slot = find_slot(n, key, hash);
    }
    uint32_t row = (uint32_t)n->row_n++;
    memcpy(&n->keys[row], key, sizeof(*key));
    n->sieve[bit / 64] |= (uint64_t)1 << bit % 64;
    fill_slot(n, slot, key, row);
    n->row_bytes += index_key_bytes(&n->keys[row]);
    return row;
}

/* The row of a key, which it gets if need be: there is room. */
static inline uint32_t row_of(struct notes *n, const struct packet_key_words *key, uint64_t hash)
{
    struct slot *slot = find_slot(n, key, hash);
    return slot->generation == n->generation ? slot->row : add_row(n, key, hash, slot);
}

static uint32_t row_if_any(struct notes *n, const struct packet_key_words *key, uint64_t hash, size_t max)
{
    struct slot *slot = find_slot(n, key, hash);
    if (slot->generation == n->generation)
        return slot->row;
    return n->row_n < max ? add_row(n, key, hash, slot) : UINT32_MAX;
}

/* The same if there are less than `max` rows, or it has one. UINT32_MAX: it has none. */
static inline uint32_t row_below(struct notes *n, const struct packet_key_words *key, uint64_t hash, size_t max)
{
    uint64_t bit = hash >> (64 - SIEVE_BITS);
    return n->row_n < max || n->sieve[bit / 64] >> bit % 64 & 1 ? row_if_any(n, key, hash, max) : UINT32_MAX;
}

/* Of a key that comes when half of the rows are taken: it is looked for in coarser and coarser forms. */
static __attribute__((noinline)) uint32_t coarse_row(struct notes *n, const struct recent *r)
{
    struct packet_key_words service = r->key, hosts = r->key;
    packet_key_words_forget_client(&service);
    packet_key_words_forget_ports(&hosts);
    uint32_t row = row_below(n, &r->key, r->hash, CLIENT_ROWS);
    if (row == UINT32_MAX)
        row = row_below(n, &service, hash_key(n, &service), PORT_ROWS);
    if (row == UINT32_MAX)
        row = row_below(n, &hosts, hash_key(n, &hosts), KEY_ROWS);
    return row != UINT32_MAX ? row : n->unknown_rows[r->iface];
}

/* The next packet gets its row. */
static inline void place_next(struct notes *n)
{
    const struct recent *r = &n->recent[n->placed % LOOK_AHEAD];
    if (!r->same)
        n->last_row = n->row_n < CLIENT_ROWS ? row_of(n, &r->key, r->hash) : coarse_row(n, r);
    n->notes[n->placed++].row = n->last_row;
}

static inline void place_all(struct notes *n)
{
    while (n->placed < n->n)
        place_next(n);
}

/* ---- Writing ---- */

void notes_reset(struct notes *n)
{
    n->generation++;
    n->slot_mask = FEWEST_SLOTS - 1;
    memset(n->sieve, 0, (1 << SIEVE_BITS) / 8);
    memset(n->recent, 0xff, sizeof(n->recent)); /* no packet has this key */
    n->last = 0;
    n->interface_n = 0;
    n->n = n->placed = n->stride_n = n->row_n = n->row_bytes = 0;
    n->end = 0;
    n->current = (struct notes_stride){0};
    notes_publish(n);
}

bool notes_add_interface(struct notes *n, const struct notes_interface *iface)
{
    struct packet_key_words unknown = packet_key_read(iface->linktype, NULL, 0);
    if (n->interface_n == NOTES_MAX_INTERFACES)
        return false;
    place_all(n); /* rows are in the order of the segment, whenever it is published: the same segment gives the same index */
    n->interfaces[n->interface_n] = *iface;
    n->unknown_rows[n->interface_n++] = row_of(n, &unknown, hash_key(n, &unknown));
    return true;
}

/* The times of the last stride so far, for readers. */
static void store_times(struct notes *n)
{
    struct stride *s = &n->strides[n->stride_n - 1];
    atomic_store_explicit(&s->first_ns, n->current.first_ns, memory_order_relaxed);
    atomic_store_explicit(&s->last_ns, n->current.last_ns, memory_order_relaxed);
}

static __attribute__((noinline)) void begin_stride(struct notes *n, uint64_t at, int64_t time_ns)
{
    if (n->stride_n)
        store_times(n);
    n->current = (struct notes_stride){at, n->n, time_ns, time_ns};
    struct stride *s = &n->strides[n->stride_n++];
    s->from = at;
    s->packets = n->n;
    store_times(n);
}

bool notes_add(struct notes *n, uint32_t iface, uint64_t at, uint64_t end, int64_t time_ns, const uint8_t *bytes, uint32_t caplen)
{
    if (n->n == n->max || end > n->segment_bytes || iface >= n->interface_n)
        return false;
    struct packet_key_words key = packet_key_read(n->interfaces[iface].linktype, bytes, caplen);
    if (n->n - n->placed == LOOK_AHEAD)
        place_next(n);
    struct recent *r = &n->recent[n->n % LOOK_AHEAD];
    r->same = same_key(&key, &n->recent[n->last].key);
    if (!r->same) {
        r->key = key;
        n->last = n->n % LOOK_AHEAD;
        r->iface = iface;
        r->hash = hash_key(n, &key);
        __builtin_prefetch(home(n, r->hash));
    }
    if (n->stride_n == 0 || at - n->current.from >= NOTES_STRIDE)
        begin_stride(n, at, time_ns);
    n->current.first_ns = time_ns < n->current.first_ns ? time_ns : n->current.first_ns;
    n->current.last_ns = time_ns > n->current.last_ns ? time_ns : n->current.last_ns;
    n->notes[n->n++].place = (uint32_t)(at / 4);
    n->end = end;
    return true;
}

void notes_publish(struct notes *n)
{
    place_all(n);
    if (n->stride_n)
        store_times(n);
    /* Each count is released with what it counts; the packets last, so that who sees them sees the rest. */
    atomic_store_explicit(&n->published_interfaces, n->interface_n, memory_order_release);
    atomic_store_explicit(&n->published_rows, n->row_n, memory_order_release);
    atomic_store_explicit(&n->published_strides, n->stride_n, memory_order_release);
    atomic_store_explicit(&n->published_end, n->end, memory_order_release);
    atomic_store_explicit(&n->published, n->n, memory_order_release);
}

/* ---- Reading ---- */

uint64_t notes_count(const struct notes *n)
{
    return atomic_load_explicit(&n->published, memory_order_acquire);
}

void notes_size(const struct notes *n, struct notes_size *ret)
{
    size_t more = n->n - n->placed; /* may get as many rows */
    *ret = (struct notes_size){n->n, n->end, n->row_n + more, n->row_bytes + more * INDEX_MAX_KEY_BYTES, n->stride_n, n->interface_n};
}

void notes_view(const struct notes *n, struct notes_view *ret)
{
    *ret = (struct notes_view){.notes = n->notes, .keys = n->keys, .interfaces = n->interfaces};
    ret->n = atomic_load_explicit(&n->published, memory_order_acquire); /* first: the rest is at least as new */
    ret->end = atomic_load_explicit(&n->published_end, memory_order_acquire);
    ret->strides = atomic_load_explicit(&n->published_strides, memory_order_acquire);
    ret->rows = atomic_load_explicit(&n->published_rows, memory_order_acquire);
    ret->interface_n = atomic_load_explicit(&n->published_interfaces, memory_order_acquire);
}

struct notes_stride notes_stride(const struct notes *n, size_t i)
{
    const struct stride *s = &n->strides[i];
    return (struct notes_stride){s->from, s->packets, atomic_load_explicit(&s->first_ns, memory_order_relaxed),
                                 atomic_load_explicit(&s->last_ns, memory_order_relaxed)};
}
