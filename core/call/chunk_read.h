/* A chunk as the store makes it readable: from its directory and from whoever fetches parts. */
#ifndef CALL_CHUNK_READ_H
#define CALL_CHUNK_READ_H

#include "call/chunk_format.h"
#include "call/chunk_pack.h"
#include "call/registry.h"

struct chunk_source {
    void *ctx;
    /* Appends the bytes of a part, which must be `size`, to an empty buffer. */
    int (*fetch)(void *ctx, uint64_t key, uint32_t size, struct buf *ret, struct error *err);
    const struct field_registry *registry;
    struct unpacker *unpacker;
    const char *name; /* of the store, for errors */
};

/* Where a part is. */
struct chunk_place {
    uint16_t column;
    uint8_t part;
    uint32_t size;
    uint64_t checksum;
    const uint8_t *bytes; /* in the directory; or NULL */
};

struct chunk_entry {
    uint8_t type, parts; /* registry_type, bits of stored_part */
    uint32_t present, elements, texts, names;
    int64_t min, max;
    struct td_slice min_text, max_text;
    struct chunk_place places[PARTS];
    struct chunk_column column; /* what has been made readable */
};

struct chunk {
    const struct chunk_source *source;
    uint64_t number;
    uint32_t rows;
    int64_t first_ns, last_ns;
    uint64_t payload_bytes;
    struct buf directory, raw;
    struct room room;
    uint32_t column_n;
    struct chunk_entry **entries; /* by column; NULL: no row has it */
    /* Of the store that keeps it. */
    uint32_t index, users;
    uint64_t last_use;
};

int chunk_new(const struct chunk_source *, struct chunk **ret, struct error *err) MUST_CHECK;
void chunk_free(struct chunk *);
/* Takes over what `directory` has (the buffer gets the chunk's old one). What was read before becomes invalid. */
int chunk_load(struct chunk *, uint64_t number, struct buf *directory, struct error *err) MUST_CHECK;
/* As chunk_column(), of any column. */
int chunk_read_column(struct chunk *, uint32_t column, unsigned parts, const struct chunk_column **ret, struct error *err) MUST_CHECK;

#endif
