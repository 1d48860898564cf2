/* What every dissection is put together from, be it a command's or a job's: the dissectors, the table of their fields, the engine
 * and, if it is wanted, the call store that takes the calls; and what is told of it afterwards. */
#ifndef DISSECT_PIPELINE_H
#define DISSECT_PIPELINE_H

#include "call/store.h"
#include "dissect/enabled.h"
#include "dissect/engine.h"

struct pipeline {
    const struct config *config;
    struct enabled_dissectors dissectors;
    struct field_registry *registry;
    const struct field_set *components[KIND_MAX];
    struct engine *engine; /* whoever made it by pipeline_engine_options() puts it here */
    struct store_writer *store;
    atomic_bool store_failed; /* store_append() said so; pipeline_finish_store() tells why */
    struct buf packets;       /* uint64_t for each capture: how many packets it has */
};

/* The dissectors that the configuration enables, of which there must be one. `config` and `registry` outlive it. */
int pipeline_open(struct pipeline *p, const struct config *config, const struct registry *registry, struct error *err) MUST_CHECK;
/* Frees all of it. Of a zeroed one as well. */
void pipeline_close(struct pipeline *p);

/* How many threads dissect: `wanted`, or if that is 0, as the configuration and the machine have it. */
unsigned pipeline_threads(const struct config *config, long wanted);
/* What the configuration says of an engine; callbacks are left to the caller. */
struct engine_options pipeline_engine_options(const struct pipeline *p, unsigned threads);

/* A call store for all calls, with everything that the dissectors know of them. The options' registry, components and payloads are set
 * here. */
int pipeline_create_store(struct pipeline *p, const char *path, struct store_create_options options, struct error *err) MUST_CHECK;
/* [the worker's thread] Takes a call; the engine_options.on_call of those who want them all, with the pipeline as its context. */
void pipeline_store_call(void *ctx, const struct td_call *call, struct buf *out);

/* Dissects a capture to its end and counts its packets. The capture stays the caller's. */
int pipeline_run(struct pipeline *p, struct capture *capture, struct error *err) MUST_CHECK;
/* A capture that could not be opened has no packets; captures are counted all the same. */
void pipeline_skip(struct pipeline *p);

/* Appends what is known of a finished engine as members of a JSON object, the first without a comma: packets of each capture (so that a
 * call's packets are found again), bytes, calls, and statistics for each protocol. */
void pipeline_put_summary(const struct pipeline *p, uint64_t calls, struct buf *out);
/* Marks the store as complete. `more`: further members of its summary, each with a comma before it; or nothing. */
int pipeline_finish_store(struct pipeline *p, struct td_slice more, struct error *err) MUST_CHECK;

#endif
