/* A small plugin for tests: a dissector with an option of every type, and an exporter without any. Its state is the
 * text of one option, so that instances can be told apart. */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include <stdlib.h>

#include "tapedeck/plugin.h"

struct sample_config {
    const char *label, *password;
    bool verbose;
    int64_t depth;
    uint64_t body;
    int64_t wait;
    uint32_t mode;
    struct td_strlist hosts;
    const char *old;
};

static const char *const sample_modes[] = {"fast", "exact", "thorough", NULL};

static const struct td_option sample_options[] = {
    TD_STR_OPT(struct sample_config, label, "label", "none", "What this instance is called; \"broken\" makes create fail."),
    TD_SECRET_OPT(struct sample_config, password, "password", "A secret."),
    TD_BOOL_OPT(struct sample_config, verbose, "verbose", "true", "Say more."),
    TD_INT_OPT(struct sample_config, depth, "depth", "-3", -10, 10, "How deep."),
    TD_SIZE_OPT(struct sample_config, body, "maxBodySize", "64Ki", 1024, 1 << 20, "Largest body."),
    TD_DUR_OPT(struct sample_config, wait, "wait", "1h30m", 1, INT64_MAX, "How long."),
    TD_ENUM_OPT(struct sample_config, mode, "mode", "exact", sample_modes, "How."),
    TD_STRLIST_OPT(struct sample_config, hosts, "hosts", "a,b", "Which."),
    {"old", TD_OPT_STR, TD_OPT_DEPRECATED, offsetof(struct sample_config, old), NULL, "use label instead", 0, 0, NULL},
};

static const struct td_name sample_names[] = {{1, "one"}, {2, "two"}};
static const struct td_field sample_fields[] = {
    {"sample_method", TD_STRING, TD_F_REQUEST | TD_F_METHOD, "What was asked.", {NULL, 0, 0}},
    {"sample_code", TD_ENUM, TD_F_RESPONSE | TD_F_STATUS, "How it ended.", TD_TABLE(sample_names)},
    {"request.headers", TD_MAP, TD_F_REQUEST, "Headers.", {NULL, 0, 0}},
};
static const struct td_claim sample_claims[] = {
    {TD_ON_TCP, 0, 0, NULL, NULL},
    {TD_ON_UDP, 7000, 7010, NULL, NULL},
    {TD_ON_POINT, 0, 0, "http.upgrade", "sample"},
};
static const struct td_point sample_points[] = {{"sample.inner", "The inner protocol.", 0}};

struct sample_state {
    struct td_inst *inst;
    const struct td_host *host;
    const struct sample_config *config;
};

static int sample_create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    const struct sample_config *c = config;
    if (c->label && strcmp(c->label, "broken") == 0)
        return host->fail(inst, TD_E_CONFIG, "label \"%s\" cannot work", c->label);
    if (c->label && strcmp(c->label, "silent") == 0)
        return TD_E_DENIED;
    struct sample_state *state = malloc(sizeof(*state));
    if (!state)
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    *state = (struct sample_state){inst, host, c};
    *ret_self = state;
    return TD_OK;
}

static void sample_destroy(void *self)
{
    free(self);
}

static int sample_probe(const void *self, const struct td_flow *flow, int dir, struct td_slice bytes)
{
    (void)self, (void)flow, (void)dir, (void)bytes;
    return 0;
}

static int sample_open(const void *self, struct td_conn *conn, const struct td_flow *flow, struct td_arena *arena, void **state)
{
    (void)self, (void)conn, (void)flow, (void)arena, (void)state;
    return TD_OK;
}

static struct td_step sample_data(void *state, struct td_conn *conn, int dir, const struct td_chunk *chunk)
{
    (void)state, (void)conn, (void)dir, (void)chunk;
    return td_lost();
}

static void sample_close(void *state, struct td_conn *conn, int why)
{
    (void)state, (void)conn, (void)why;
}

static int sample_begin(void *self, const struct td_export *info, td_sink_fn *sink, void *ctx, void **ret_out)
{
    (void)self, (void)info, (void)sink, (void)ctx, (void)ret_out;
    return TD_OK;
}

static int sample_packet(void *out, const struct td_packet *packet)
{
    (void)out, (void)packet;
    return TD_OK;
}

static int sample_end(void *out, bool commit)
{
    (void)out, (void)commit;
    return TD_OK;
}

static const struct td_dissector sample_dissector = {
    .size = sizeof(struct td_dissector),
    .max_probe = 64,
    .fields = TD_TABLE(sample_fields),
    .claims = TD_TABLE(sample_claims),
    .points = TD_TABLE(sample_points),
    .probe = sample_probe,
    .open = sample_open,
    .data = sample_data,
    .close = sample_close,
};

static const struct td_exporter sample_exporter = {
    .size = sizeof(struct td_exporter),
    .media_type = "application/x-sample",
    .suffix = ".sample",
    .begin = sample_begin,
    .packet = sample_packet,
    .end = sample_end,
};

static const struct td_component sample_dissector_component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_DISSECTOR,
    .name = "sample",
    .summary = "A dissector that dissects nothing",
    .options = TD_TABLE(sample_options),
    .config_size = sizeof(struct sample_config),
    .create = sample_create,
    .destroy = sample_destroy,
    .ops = &sample_dissector,
};

static const struct td_component sample_exporter_component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_EXPORTER,
    .name = "samplefile",
    .summary = "An exporter that exports nothing",
    .ops = &sample_exporter,
};

static const struct td_component *const sample_components[] = {&sample_dissector_component, &sample_exporter_component, NULL};

static const struct td_plugin sample_plugin = {
    .size = sizeof(struct td_plugin),
    .target_minor = 0,
    .header_minor = TD_ABI_MINOR,
    .name = "sample",
    .version = "1.2",
    .license = "Apache-2.0",
    .components = sample_components,
};

#endif
