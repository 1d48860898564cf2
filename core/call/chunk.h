/* A chunk: some thousand calls of a store, column by column, sorted by time. What is known of a column without reading it
 * (its statistics) is there as soon as the chunk is; the rest is read, checked and unpacked when it is first asked for, each
 * part by itself, so that a scan pays only for what it looks at.
 *
 * Columns are the fields of the store's registry, by their index there. A column that no call of the chunk has takes no room
 * and reads as if it were stored. Whatever chunk_column() gives points into the chunk and is valid until the chunk is let
 * go; it was bounds-checked against the chunk: ids lie within the dictionary, offsets ascend. Arrays may be read 64 bytes
 * beyond their end (contents undefined), so that vector loads need no tail loop. One thread. */
#ifndef CALL_CHUNK_H
#define CALL_CHUNK_H

#include "base/error.h"

enum {
    CHUNK_MAX_ROWS = 8192,           /* a full chunk has this many calls; small ones come from slow traffic and many threads */
    CHUNK_PREFIX = 16,               /* bytes of the least and the greatest text that the statistics keep */
    CHUNK_BITS = CHUNK_MAX_ROWS / 64 /* words of a bitmap over all rows */
};

/* `rows` unsigned numbers of `width` bytes, each the distance to `base`: value = (int64_t)((uint64_t)base + lane). To compare
 * with a constant, take the base from the constant once and compare the lanes. Aligned to 64 bytes. */
struct chunk_lanes {
    const void *v; /* uint8_t, uint16_t, uint32_t or uint64_t; NULL if width is 0 */
    uint8_t width; /* 1, 2, 4, 8; 0: every value is `base` */
    int64_t base;
};

/* The different texts of a column, in the order of their first sight. */
struct chunk_dictionary {
    uint32_t n;
    const uint32_t *offsets; /* n + 1 */
    const uint8_t *bytes;    /* text i: bytes[offsets[i]] up to bytes[offsets[i + 1]] */
};

static inline struct td_slice chunk_text(const struct chunk_dictionary *d, uint32_t id)
{
    return td_bytes(d->bytes + d->offsets[id], d->offsets[id + 1] - d->offsets[id]);
}

static inline uint64_t chunk_lane(const struct chunk_lanes *l, uint32_t i)
{
    switch (l->width) {
    case 1: return ((const uint8_t *)l->v)[i];
    case 2: return ((const uint16_t *)l->v)[i];
    case 4: return ((const uint32_t *)l->v)[i];
    case 8: return ((const uint64_t *)l->v)[i];
    default: return 0;
    }
}

static inline int64_t chunk_number(const struct chunk_lanes *l, uint32_t i)
{
    return (int64_t)((uint64_t)l->base + chunk_lane(l, i));
}

/* What is known of a column at no cost. Numbers and texts are as filters see them, so that a row without the field counts
 * with the registry's `absent`, or with "". */
struct chunk_stats {
    uint32_t present;  /* rows that have the field */
    uint32_t elements; /* LIST, MAP: elements of all rows */
    uint32_t distinct; /* STRING, BYTES, LIST, MAP: entries of the dictionary (of a MAP's: values) */
    int64_t min, max;  /* BOOL, INT, TIMESTAMP, DURATION: of all rows */
    /* STRING, BYTES: of all rows; LIST: of all elements; MAP: of all values. The first CHUNK_PREFIX bytes of the least text
     * and of the greatest, bytewise; a text that is exactly this long may have been cut. Without any text both are empty. */
    struct td_slice min_text, max_text;
};

/* The parts of a column; each is unpacked only if asked for. */
enum chunk_part {
    CHUNK_PRESENT = 1 << 0,    /* .present */
    CHUNK_VALUES = 1 << 1,     /* .numbers; or .ids (LIST, MAP: with .offsets; MAP: with .name_ids) */
    CHUNK_DICTIONARY = 1 << 2, /* .texts (MAP: the values) */
    CHUNK_NAMES = 1 << 3       /* MAP: .names */
};

struct chunk_column {
    uint8_t type;   /* registry_type */
    unsigned parts; /* those that are there; all else is zero */
    /* A bit a row: has it the field? NULL if the statistics say it all: no row has it, or every row. */
    const uint64_t *present;
    struct chunk_lanes numbers; /* BOOL, INT, TIMESTAMP, DURATION: a row each; `absent` where the field is not */
    struct chunk_lanes ids;     /* STRING, BYTES: a row each; LIST, MAP: an element each. Base 0 */
    const uint32_t *offsets;    /* LIST, MAP: row i has elements offsets[i] up to offsets[i + 1]; rows + 1 of them */
    struct chunk_lanes name_ids;
    struct chunk_dictionary texts, names;
};

struct chunk;

uint32_t chunk_rows(const struct chunk *);
/* Ids ascend with the rows: row i is call chunk_first_id() + i. */
uint64_t chunk_first_id(const struct chunk *);
/* Of the first row and the last. */
int64_t chunk_min_time(const struct chunk *);
int64_t chunk_max_time(const struct chunk *);

/* Payload fields have no column: present and elements (bytes) only. */
void chunk_stats(const struct chunk *, uint32_t field, struct chunk_stats *ret);
/* Makes the `parts` (chunk_part) of a column readable. TD_E_CORRUPT names chunk and column. The pointer stays the same
 * between calls for one field. */
int chunk_column(struct chunk *, uint32_t field, unsigned parts, const struct chunk_column **ret, struct error *err) MUST_CHECK;
/* The times of the rows, ascending: what `timestamp` means for order and ranges. */
int chunk_times(struct chunk *, const struct chunk_lanes **ret, struct error *err) MUST_CHECK;
/* May any value of this STRING column, or element of this LIST, be exactly `text`? By statistics and, where there is one, a Bloom
 * filter; never reads the dictionary. */
int chunk_may_have_text(struct chunk *, uint32_t field, struct td_slice text, bool *ret, struct error *err) MUST_CHECK;

#endif
