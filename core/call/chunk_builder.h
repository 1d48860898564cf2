/* The inside of a chunk that is being filled, shared by the files that do so.
 *
 * Calls are first noted as they are, a copy of what they hold (chunk_build.c). Every so many of them the notes are sorted into
 * columns, one column after the other, so that what each needs stays in the processor's caches. What can be told from
 * the store's own columns (times, sizes, ends) becomes columns of the registry only when the chunk is packed
 * (chunk_core.c), and is then, where it is the same, not even packed twice (chunk_write.c). */
#ifndef CALL_CHUNK_BUILDER_H
#define CALL_CHUNK_BUILDER_H

#include "call/chunk_build.h"
#include "call/chunk_pack.h"
#include "call/text_set.h"

enum {
    BLOCK_ROWS = 256,     /* calls between two sortings */
    BLOCK_BYTES = 2 << 20 /* or so many bytes of theirs */
};

/* A column while it is filled; the arrays have CHUNK_MAX_ROWS entries and are there if the type needs them. */
struct build_column {
    uint32_t number;
    uint8_t type; /* registry_type */
    bool payload;
    int64_t absent;
    uint32_t present; /* rows that have it */
    uint32_t rows;    /* that are filled in, be it with `absent` */
    uint64_t bits[CHUNK_BITS];
    int64_t *numbers;          /* of payload: bytes << 1 | cut */
    uint32_t *ids;             /* texts */
    uint32_t *begins, *counts; /* lists and maps: where the row's elements are */
    struct buf element_ids, name_ids;
    struct text_set texts, names;
};

static inline bool column_is_text(const struct build_column *col)
{
    return col->type == REGISTRY_STRING || col->type == REGISTRY_BYTES;
}

static inline bool column_is_many(const struct build_column *col)
{
    return col->type == REGISTRY_LIST || col->type == REGISTRY_MAP;
}

/* What of a call has no column yet. Its values and frames stand in the log. */
struct noted_call {
    uint8_t ip[2][16];
    uint8_t ip_n;
    bool lost;          /* a value that no chunk can hold */
    uint32_t values_at; /* in the log: td_call.values */
    uint32_t frames_at[2], frames_n[2];
};

/* The values of one field in the calls that are noted. */
struct noted_field {
    uint32_t n;
    uint16_t rows[BLOCK_ROWS]; /* of the block, ascending */
    uint32_t at[BLOCK_ROWS];   /* in the log: struct call_record, of the first value */
};

/* What is noted of one component's calls. */
struct noted_component {
    const struct field_set *fields;  /* of the last call */
    uint64_t values[FIELD_MAX / 64]; /* fields that are not bodies */
    uint32_t calls;
    uint64_t call_bits[BLOCK_ROWS / 64];
    struct noted_field *noted; /* by field */
};

/* A number above INT64_MAX. */
struct big_number {
    uint32_t row;
    uint8_t field;
    uint64_t number;
};

enum { KNOWN_BITS = 16, KNOWN_PLACE = CHUNK_INLINE + 16 };

/* The rows that a packed column is in, and where that stands. */
struct known_bits {
    const uint64_t *bits; /* of the column */
    uint32_t present;
    size_t place_n;
    uint8_t place[KNOWN_PLACE];
};

struct chunk_builder {
    const struct chunk_plan *plan;
    uint64_t seed;
    uint32_t rows;       /* noted ones included */
    uint32_t noted;      /* of these */
    bool failed, sorted; /* memory was short; the rows came in the order of time */
    int64_t last_ns;
    size_t text_bytes;
    uint64_t payload_bytes;
    struct build_column **columns;     /* by number; made when first needed, but for the own numbers */
    int64_t *own_numbers[OWN_COLUMNS]; /* of these: what is noted goes straight there */
    uint32_t column_n;
    struct noted_call *notes; /* BLOCK_ROWS */
    struct noted_component *components;
    struct buf log, page, big;
    struct packer packer;
    struct packed_chunk packed;
    /* While packing. */
    struct build_column *core;      /* one of the core's fields */
    uint32_t order[CHUNK_MAX_ROWS]; /* rows by time */
    int64_t gathered[CHUNK_MAX_ROWS], durations[CHUNK_MAX_ROWS];
    struct buf elements; /* int64_t */
    struct buf places;   /* of the own columns' values, as the directory has them */
    struct known_bits known[KNOWN_BITS];
    uint32_t known_n;
    struct own_place {
        size_t at, n;
        struct pack_bounds bounds;
    } own[OWN_COLUMNS];
};

/* ---- chunk_column.c ---- */

struct build_column *column_new(uint32_t number, uint8_t type);
void column_free(struct build_column *);
void column_reset(struct build_column *);
/* Sets the type and gives the arrays for it. False when memory is short. */
bool column_set_type(struct build_column *, uint8_t type);
/* The column of this number, made if it is not there; NULL when memory is short. */
struct build_column *builder_column(struct chunk_builder *, uint32_t number);
/* Fills rows up to `rows` with what stands for nothing. False when memory is short. */
bool column_fill(struct chunk_builder *, struct build_column *, uint32_t rows);
/* The number of a text. False when memory is short. */
bool column_add_text(struct chunk_builder *, struct text_set *, struct td_slice text, uint32_t *ret, bool *ret_lost);
bool column_add_hashed(struct chunk_builder *, struct text_set *, struct td_slice text, uint64_t hash, uint32_t *ret, bool *ret_lost);

static inline void column_mark(struct build_column *col, uint32_t row)
{
    col->bits[row / 64] |= 1ull << (row % 64);
    col->present++;
}

/* ---- chunk_sort.c: from notes to columns ---- */

void builder_sort_notes(struct chunk_builder *);

/* ---- chunk_write.c ---- */

/* What is in `page` becomes a page. */
void builder_end_page(struct chunk_builder *);

/* ---- chunk_core.c ---- */

/* Before the first builder_make_core() of a chunk. */
void builder_find_durations(struct chunk_builder *);
/* Makes b->core the field `field` of the registry. *ret_same: the own column whose values it has, number for number, or
 * OWN_DIRECTORY. False: no row has it. */
bool builder_make_core(struct chunk_builder *, uint32_t field, uint32_t *ret_same);

#endif
