/* Fills a chunk call by call and packs it. One thread. */
#ifndef CALL_CHUNK_BUILD_H
#define CALL_CHUNK_BUILD_H

#include "call/chunk_format.h"
#include "call/registry.h"

/* What the builders of a store share. */
struct chunk_plan {
    const struct field_registry *registry;
    const struct registry_component *components;
    uint32_t field_n, component_n, core_n;
    uint32_t *core; /* fields that the core fills */
    bool payloads;
};

int chunk_plan_init(struct chunk_plan *, const struct field_registry *, bool payloads, struct error *err) MUST_CHECK;
void chunk_plan_clear(struct chunk_plan *);

/* A chunk ready to be stored. */
struct packed_part {
    uint32_t column, part, at, size; /* where in `data` */
    uint64_t checksum;
};

struct packed_chunk {
    uint32_t rows;
    int64_t first_ns, last_ns;
    struct buf directory; /* part 0 of column 0 */
    struct buf data;
    struct buf parts;     /* struct packed_part */
    struct buf pages;     /* payload, as stored, one page behind the other */
    struct buf page_ends; /* uint64_t each */
};

struct chunk_builder;

int chunk_builder_new(const struct chunk_plan *, struct chunk_builder **ret, struct error *err) MUST_CHECK;
void chunk_builder_free(struct chunk_builder *);
/* Adds a call; only while it is not full. After a failure the builder is of no use any more. */
int chunk_builder_add(struct chunk_builder *, const struct td_call *, struct error *err) MUST_CHECK;
bool chunk_builder_full(const struct chunk_builder *);
uint32_t chunk_builder_rows(const struct chunk_builder *);
/* Packs what is there and begins anew. *ret belongs to the builder and stays until the next call is added. */
int chunk_builder_pack(struct chunk_builder *, const struct packed_chunk **ret, struct error *err) MUST_CHECK;

#endif
