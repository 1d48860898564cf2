/* The dissector that the sample plugins of this folder are made of. They are built with the frozen header of v1.0, as
 * plugins in the world are, and each does one thing differently. */
#ifndef TESTS_ABI_SAMPLE_H
#define TESTS_ABI_SAMPLE_H

#include <stdlib.h>

#include "tapedeck/plugin.h"

struct sample_config {
    const char *label;
    uint64_t max_body_size;
};

static const struct td_option sample_options[] = {
    TD_STR_OPT(struct sample_config, label, "label", "none", "Told by probe() through the length of this text."),
    TD_SIZE_OPT(struct sample_config, max_body_size, "maxBodySize", "64Ki", 1, 1 << 20, "Largest body."),
};

static const struct td_field sample_fields[] = {
    {"sample_size", TD_U64, TD_F_REQUEST, "Bytes of the request.", {NULL, 0, 0}},
};

static const struct td_claim sample_claims[] = {{TD_ON_TCP, 7, 7, NULL, NULL}};

static inline int sample_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    const struct sample_config *c = (const struct sample_config *)config;
    struct sample_config *self = (struct sample_config *)malloc(sizeof(*self));
    if (!self)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    *self = *c;
    *ret_self = self;
    return TD_OK;
}

static inline void sample_destroy(void *self)
{
    free(self);
}

static inline int sample_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)flow, (void)dir, (void)bytes;
    return self ? (int)strlen(((const struct sample_config *)self)->label) : 0;
}

static inline int sample_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **state)
{
    (void)self, (void)conn, (void)flow, (void)arena, (void)state;
    return TD_OK;
}

static inline struct td_step sample_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    (void)state, (void)conn, (void)dir;
    return td_used(chunk->bytes.n);
}

static inline void sample_close(void *state, struct td_conn *conn, int why)
{
    (void)state, (void)conn, (void)why;
}

/* Initialisers; `size` is what the struct claims to be. */
#define SAMPLE_DISSECTOR(size, data, close) \
    size, 64, TD_TABLE(sample_fields), TD_TABLE(sample_claims), {NULL, 0, 0}, sample_probe, sample_open, data, NULL, NULL, close

#define SAMPLE_COMPONENT(size, name, create, ops) \
    size, TD_KIND_DISSECTOR, name, "A sample", TD_TABLE(sample_options), sizeof(struct sample_config), create, sample_destroy, ops

#define SAMPLE_PLUGIN(size, target_minor, header_minor, name, components) \
    size, target_minor, header_minor, name, "1.0", "Apache-2.0", components

#endif
