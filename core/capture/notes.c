#include "capture/notes.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "capture/segment_index_format.h"

enum {
    MIN_BLOCK = 32, /* bytes of the block of a packet without bytes */
    /* Of the hash table: at least twice as many as rows, so that a look rarely goes further than one cache line, and not many more, so that
     * those of few keys stay in the cache. */
    FEWEST_SLOTS = 1 << 11,
    SLOTS = 2 * NOTES_MAX_ROWS,
    /* A packet's row is looked for so many packets later; meanwhile what that needs is fetched into the cache. */
    LOOK_AHEAD = 8,
    RECENT = 2 * LOOK_AHEAD,
    SEEDS = 6,
    /* Every interface has the row of its link type for sure. */
    KEY_ROWS = NOTES_MAX_ROWS - NOTES_MAX_INTERFACES,
    CLIENT_ROWS = NOTES_MAX_ROWS / 2,
    PORT_ROWS = NOTES_MAX_ROWS / 4 * 3,
    KEY_WORDS = sizeof(struct packet_key) / sizeof(uint64_t)
};

/* A slot holds the row's number and 1 in its lower bits, and of the hash what the place in the table does not tell; 0: free. */
static const uint64_t slot_row = SLOTS - 1;
_Static_assert((int)NOTES_MAX_ROWS < (int)SLOTS, "a row's number and 1 fits in the lower bits of a slot");

/* A packet whose row is looked for. */
struct recent {
    struct packet_key key;
    uint64_t hash;
    uint32_t iface;
    bool same; /* as the packet before it */
};

struct stride {
    uint64_t from, packets;
    _Atomic int64_t first_ns, last_ns; /* of the last one they change while others read */
};

struct notes {
    /* What each packet touches. */
    uint32_t last_row;
    uint32_t interface_n;
    size_t n, max;
    size_t placed; /* packets that have their row */
    struct note *notes;
    struct notes_stride current;
    uint64_t end, segment_bytes;

    uint64_t *slots, slot_mask;
    struct packet_key *keys;
    struct stride *strides;
    struct notes_interface *interfaces;
    size_t stride_n, row_n, row_bytes;
    uint64_t seeds[SEEDS];
    struct recent recent[RECENT];                /* by number, the latest */
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
    n->slots = mem_calloc(SLOTS, sizeof(*n->slots));
    n->interfaces = mem_alloc(NOTES_MAX_INTERFACES * sizeof(*n->interfaces));
    if (!n->notes || !n->strides || !n->keys || !n->slots || !n->interfaces) {
        notes_free(n);
        return NULL;
    }
    seed(n);
    n->slot_mask = FEWEST_SLOTS - 1;
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
    mem_free(n->slots);
    mem_free(n->interfaces);
    mem_free(n);
}

/* ---- Rows ---- */

static inline void key_words(const struct packet_key *key, uint64_t words[KEY_WORDS])
{
    memcpy(words, key, sizeof(*key));
}

static inline bool same_key(const struct packet_key *a, const struct packet_key *b)
{
    uint64_t x[KEY_WORDS], y[KEY_WORDS];
    key_words(a, x);
    key_words(b, y);
    return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]) | (x[5] ^ y[5])) == 0;
}

static inline uint64_t hash_key(const struct notes *n, const struct packet_key *key)
{
    uint64_t w[KEY_WORDS];
    const uint64_t *s = n->seeds;
    key_words(key, w);
    /* Three products side by side, not one after the other. */
    return hash_mix(hash_mix(w[0] ^ s[0], w[1] ^ s[1]) ^ hash_mix(w[2] ^ s[2], w[3] ^ s[3]) ^ s[0],
                    hash_mix(w[4] ^ s[4], w[5] ^ s[5]) ^ s[5]);
}

/* The row of a key, or UINT32_MAX; *ret_slot is where it stands, or would. At most half of the slots are taken, so this ends. */
static inline uint32_t find_row(const struct notes *n, const struct packet_key *key, uint64_t hash, size_t *ret_slot)
{
    size_t at = hash & n->slot_mask;
    for (uint64_t slot; (slot = n->slots[at]); at = (at + 1) & n->slot_mask) {
        uint32_t row = (uint32_t)(slot & slot_row) - 1;
        if (((slot ^ hash) & ~slot_row) == 0 && same_key(&n->keys[row], key)) {
            *ret_slot = at;
            return row;
        }
    }
    *ret_slot = at;
    return UINT32_MAX;
}

static __attribute__((noinline)) void grow(struct notes *n)
{
    n->slot_mask = 2 * n->slot_mask + 1;
    memset(n->slots, 0, (n->slot_mask + 1) * sizeof(*n->slots));
    for (uint32_t row = 0; row < n->row_n; row++) {
        uint64_t hash = hash_key(n, &n->keys[row]);
        size_t at = hash & n->slot_mask;
        while (n->slots[at])
            at = (at + 1) & n->slot_mask;
        n->slots[at] = (hash & ~slot_row) | (row + 1);
    }
}

static uint32_t add_row(struct notes *n, const struct packet_key *key, uint64_t hash, size_t slot)
{
    if (2 * (n->row_n + 1) > n->slot_mask + 1) {
        grow(n);
        (void)find_row(n, key, hash, &slot);
    }
    uint32_t row = (uint32_t)n->row_n++;
    n->keys[row] = *key;
    n->slots[slot] = (hash & ~slot_row) | (row + 1);
    n->row_bytes += index_key_bytes(key);
    return row;
}

/* The row of a key; it gets one if there are less than `max`. UINT32_MAX: it has none. */
static uint32_t row_of(struct notes *n, const struct packet_key *key, uint64_t hash, size_t max)
{
    size_t slot;
    uint32_t row = find_row(n, key, hash, &slot);
    return row != UINT32_MAX || n->row_n >= max ? row : add_row(n, key, hash, slot);
}

/* Of a key that came when half of the rows were taken: it is looked for in coarser and coarser forms. */
static __attribute__((noinline)) uint32_t coarse_row(struct notes *n, const struct recent *r)
{
    struct packet_key service = r->key, hosts = r->key;
    packet_key_forget_client(&service);
    packet_key_forget_ports(&hosts);
    uint64_t service_hash = hash_key(n, &service), hosts_hash = hash_key(n, &hosts);
    /* Places that are not in the cache as a rule: what is wanted later is fetched meanwhile. */
    __builtin_prefetch(&n->slots[service_hash & n->slot_mask]);
    __builtin_prefetch(&n->slots[hosts_hash & n->slot_mask]);
    uint32_t row = row_of(n, &r->key, r->hash, CLIENT_ROWS);
    if (row == UINT32_MAX)
        row = row_of(n, &service, service_hash, PORT_ROWS);
    if (row == UINT32_MAX)
        row = row_of(n, &hosts, hosts_hash, KEY_ROWS);
    return row == UINT32_MAX ? n->unknown_rows[r->iface] : row;
}

/* The next packet gets its row. */
static inline void place_next(struct notes *n)
{
    const struct recent *r = &n->recent[n->placed % RECENT];
    if (!r->same)
        n->last_row = n->row_n < CLIENT_ROWS ? row_of(n, &r->key, r->hash, CLIENT_ROWS) : coarse_row(n, r);
    n->notes[n->placed++].row = n->last_row;
}

static inline void place_all(struct notes *n)
{
    while (n->placed < n->n)
        place_next(n);
}

/* The slot of a packet is in the cache by now; the key that it names is fetched. */
static inline void fetch_key(const struct notes *n, const struct recent *r)
{
    uint64_t slot = r->same ? 0 : n->slots[r->hash & n->slot_mask];
    if (slot)
        __builtin_prefetch(&n->keys[(slot & slot_row) - 1]);
}

/* ---- Writing ---- */

void notes_reset(struct notes *n)
{
    memset(n->slots, 0, (n->slot_mask + 1) * sizeof(*n->slots));
    n->slot_mask = FEWEST_SLOTS - 1;
    n->interface_n = 0;
    n->n = n->placed = n->stride_n = n->row_n = n->row_bytes = 0;
    n->end = 0;
    n->current = (struct notes_stride){0};
    notes_publish(n);
}

bool notes_add_interface(struct notes *n, const struct notes_interface *iface)
{
    struct packet_key unknown = {.linktype = (uint16_t)iface->linktype};
    if (n->interface_n == NOTES_MAX_INTERFACES)
        return false;
    place_all(n); /* rows are in the order of the segment, whenever it is published: the same segment gives the same index */
    n->interfaces[n->interface_n] = *iface;
    n->unknown_rows[n->interface_n++] = row_of(n, &unknown, hash_key(n, &unknown), NOTES_MAX_ROWS);
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
    struct recent *r = &n->recent[n->n % RECENT];
    packet_key_of(n->interfaces[iface].linktype, bytes, caplen, &r->key);
    r->iface = iface;
    r->same = n->n && same_key(&r->key, &n->recent[(n->n - 1) % RECENT].key);
    if (!r->same) {
        r->hash = hash_key(n, &r->key);
        __builtin_prefetch(&n->slots[r->hash & n->slot_mask]);
    }
    if (n->stride_n == 0 || at - n->current.from >= NOTES_STRIDE)
        begin_stride(n, at, time_ns);
    n->current.first_ns = time_ns < n->current.first_ns ? time_ns : n->current.first_ns;
    n->current.last_ns = time_ns > n->current.last_ns ? time_ns : n->current.last_ns;
    n->notes[n->n++].place = (uint32_t)(at / 4);
    n->end = end;
    if (n->n - n->placed > LOOK_AHEAD / 2)
        fetch_key(n, &n->recent[(n->n - LOOK_AHEAD / 2 - 1) % RECENT]);
    if (n->n - n->placed > LOOK_AHEAD)
        place_next(n);
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
