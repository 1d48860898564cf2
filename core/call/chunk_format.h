/* How a chunk stands in a file.
 *
 * A chunk is a set of parts, each an array of bytes with a key. Part 0 of column 0 is its directory: what the columns are,
 * their statistics, and for each part where its bytes are, how many, and their checksum. Parts of a few bytes stand in the
 * directory itself; a part that equals an earlier one of the chunk is kept once. Numbers are little-endian.
 *
 *   directory  u64 checksum of the rest, u32 rows, u32 columns, i64 first and last time, u64 payload bytes, columns ascending
 *   column     u16 number, u8 type (registry_type), u8 parts, u32 present, u32 elements, u32 texts, u32 names, i64 min, i64 max,
 *              u8 + bytes the least text, u8 + bytes the greatest, then for each part
 *   part       u16 column and u8 part where its bytes are (column 0: they follow here), u32 size, and if they do not: u64 checksum
 *
 *   present    a bit a row in 64-bit words, packed as bytes
 *   values     numbers of the rows; or ids; or how many elements each row has, the ids, for maps the ids of names
 *   texts      lengths of the entries as numbers, then their bytes
 *   bloom      words of 64 bits */
#ifndef CALL_CHUNK_FORMAT_H
#define CALL_CHUNK_FORMAT_H

#include "base/hash.h"
#include "call/chunk.h"
#include "call/registry.h"

enum {
    CHUNK_ROW_BITS = 14,    /* of a call's id */
    CHUNK_COLUMN_BITS = 11, /* of a part's key */
    CHUNK_PART_BITS = 3,
    CHUNK_MAX_COLUMNS = 1 << CHUNK_COLUMN_BITS,
    CHUNK_INLINE = 256,            /* bytes of a part that stands in the directory */
    CHUNK_MAX_DIRECTORY = 4 << 20, /* bytes */
    CHUNK_MAX_PART = 256 << 20,    /* bytes of a part as stored */
    CHUNK_MAX_ELEMENTS = 1 << 23,  /* of one list column */
    CHUNK_BLOOM_MIN = 1024,        /* entries from which on a dictionary has a Bloom filter */
    CHUNK_PAGE = 128 << 10,        /* bytes of payload in a page */
    CHUNK_MAX_PAGES = 1 << 16
};

/* Columns of the store's own; the fields of the registry follow at OWN_COLUMNS. */
enum own_column {
    OWN_DIRECTORY,
    OWN_TIME, /* of the call, ns since 1970 */
    OWN_COMPONENT,
    OWN_TRANSPORT,
    OWN_IP_VERSION,
    OWN_FLOW_FLAGS,
    OWN_CALL_FLAGS, /* td_commit_flag; OWN_VALUES_LOST */
    OWN_CONN_ID,
    OWN_BIG,                     /* bytes: numbers above INT64_MAX: u8 the component's field, u64 */
    OWN_PAYLOAD,                 /* where its payload begins in the chunk's */
    OWN_HALF,                    /* what follows, once for the client and once for the server */
    OWN_NODE = OWN_HALF + 2 * 9, /* bytes: who captured it, in the rows that know */
    OWN_COLUMNS = 32
};

enum own_half_column {
    HALF_STATE, /* half_state */
    HALF_IP,    /* bytes */
    HALF_PORT,
    HALF_FIRST, /* ns after the call's time */
    HALF_LAST,  /* ns after the half's first */
    HALF_BYTES,
    HALF_MISSING,
    HALF_FRAME,  /* the first; a response's less the request's, if it has one */
    HALF_FRAMES, /* the rest, as in call_frames */
    HALF_COLUMNS
};
_Static_assert(CHUNK_MAX_ROWS <= 1 << CHUNK_ROW_BITS, "a row has a number in its call's id");
_Static_assert(OWN_HALF + 2 * HALF_COLUMNS == (int)OWN_NODE && OWN_NODE < OWN_COLUMNS, "columns of the store's own");

enum half_state {
    HALF_SEEN = 1,
    HALF_CUT = 2,
    HALF_FRAMES_CUT = 4,
    HALF_HAS_FRAMES = 8, /* it was carried by packets ... */
    HALF_HAS_FRAME = 16  /* ... and their numbers are there */
};
enum { OWN_VALUES_LOST = 1 << 30 };

static inline uint32_t own_half(int dir, enum own_half_column column)
{
    return (uint32_t)OWN_HALF + (uint32_t)dir * HALF_COLUMNS + column;
}

/* The type of an own column, a registry_type. All but OWN_BIG, OWN_PAYLOAD and OWN_NODE have a value in every row, be it 0. */
static inline uint8_t own_column_type(uint32_t column)
{
    bool bytes = column == OWN_BIG || column == OWN_NODE || column == own_half(0, HALF_IP) || column == own_half(1, HALF_IP) ||
                 column == own_half(0, HALF_FRAMES) || column == own_half(1, HALF_FRAMES);
    return bytes ? REGISTRY_BYTES : REGISTRY_INT;
}

enum stored_part { PART_PRESENT, PART_VALUES, PART_TEXTS, PART_NAMES, PART_BLOOM, PARTS };

static inline uint64_t part_key(uint64_t chunk, uint32_t column, uint32_t part)
{
    return (chunk << CHUNK_COLUMN_BITS | column) << CHUNK_PART_BITS | part;
}

/* The field that the store itself answers: a call's id. */
#define STORE_ID_FIELD "id"

enum { CHUNK_SEED = 0x7461 /* of checksums */ };

/* The Bloom filter: 8 bits an entry, all bits of a text in one word. */
static inline uint64_t bloom_hash(struct td_slice text)
{
    return hash_bytes(text.p, text.n, CHUNK_SEED);
}

static inline uint32_t bloom_words(uint32_t texts)
{
    return (texts + 7) / 8;
}

static inline uint64_t bloom_bits(uint64_t hash)
{
    return 1ull << (hash & 63) | 1ull << (hash >> 6 & 63) | 1ull << (hash >> 12 & 63) | 1ull << (hash >> 18 & 63);
}

static inline uint32_t bloom_word(uint64_t hash, uint32_t words)
{
    return (uint32_t)((hash >> 32) * words >> 32);
}

#endif
