/* A store that is read: shared by the files that open it, scan it and read single calls. */
#ifndef CALL_STORE_READER_H
#define CALL_STORE_READER_H

#include "call/chunk_read.h"
#include "call/store.h"
#include "call/store_file.h"
#include "call/store_layout.h"

enum {
    STORE_CACHE = 16,             /* chunks that are held at a time */
    STORE_CACHE_BYTES = 64 << 20, /* of their unpacked columns, beyond which those that nobody uses are let go */
    STORE_MAX_BODY = 1 << 30
};

struct store_chunk {
    uint64_t number;
    int64_t first_ns, last_ns;
    uint32_t calls;
};

struct store {
    char *path;
    sqlite3 *db;
    sqlite3_blob *part, *page; /* open on what was read last */
    int64_t patience_ns;
    enum store_state state;
    uint64_t birth;
    struct field_registry *registry;
    struct store_layout layout;
    const struct field_set **components; /* of the layout */
    struct buf about, summary;
    struct store_chunk *chunks; /* ascending by number */
    uint32_t chunk_n, chunk_cap;
    uint64_t count;
    struct unpacker unpacker;
    struct chunk_source source;
    struct chunk *cache[STORE_CACHE];
    uint64_t uses;
    struct buf page_bytes, page_raw; /* the page that was read last */
    uint64_t page_chunk;
    uint32_t page_number;
};

/* Lets go of a chunk that will hardly be asked for again. */
void store_drop(struct store *, struct chunk *);
/* Reads a blob whole: `size` bytes of it, or, if that is 0, all of at most `limit`. */
int store_read_blob(struct store *, sqlite3_blob **handle, const char *table, int64_t key, uint32_t size, uint32_t limit, struct buf *ret,
                    struct error *err) MUST_CHECK;

#endif
