/* The Kafka dissector: every API of the protocol by its header, those that clients use by their content, records included.
 *
 * kafka_conn.c takes frames apart and joins responses to requests; kafka_call.c makes fields of what kafka_walk.c finds by the tables of
 * kafka_schema.h; kafka_batches.c goes through records, which kafka_record_json.c writes.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "kafka_conn.h"

#include <stdlib.h>

static int create(struct td_inst *inst, const struct td_host *host, const void *config, void **ret_self)
{
    struct kafka *self = malloc(sizeof(*self));
    struct kafka_spare *spare = calloc(1, sizeof(*spare));
    if (!self || !spare) {
        free(self);
        free(spare);
        return host->fail(inst, TD_E_NOMEM, "out of memory");
    }
    self->host = host;
    self->config = config;
    self->spare = spare;
    *ret_self = self;
    return TD_OK;
}

static void destroy(void *instance)
{
    struct kafka *self = instance;
    kafka_spare_clear(self->spare);
    free(self->spare);
    free(self);
}

static const struct td_option options[] = {
    TD_SIZE_OPT(struct kafka_config, max_body, "maxBodySize", "256Ki", 0, 64 << 20,
                "Bytes of JSON that each body may have; what is beyond is left out, counts and sizes are told in full. 0 keeps none."),
    TD_INT_OPT(struct kafka_config, max_records, "maxRecords", "10000", 0, 1 << 30,
               "Records that the body of one message may show; all are counted."),
    TD_SIZE_OPT(struct kafka_config, max_batch, "maxBatchSize", "512Ki", 1 << 10, 64 << 20,
                "Bytes of a compressed batch, or of one record of another, above which its records are not decoded. It must be "
                "kept until it is whole, within maxConnectionMemory."),
    TD_SIZE_OPT(struct kafka_config, max_decompressed, "maxDecompressedSize", "8Mi", 1 << 10, 64 << 20,
                "Bytes that one batch is decompressed to, and all batches of a message to four times as many; records beyond are left out "
                "and the call is marked partial."),
    TD_INT_OPT(struct kafka_config, max_pending, "maxPending", "1024", 1, 65536,
               "Requests of one connection that may wait for their responses; the oldest then counts as unanswered."),
};

/* Ports of brokers: as documented, and as deployments number their listeners. */
static const struct td_claim claims[] = {
    {TD_ON_TCP, 0, 0, NULL, NULL},
    {TD_ON_TCP, 9092, 9098, NULL, NULL},
    {TD_ON_TCP, 19092, 19094, NULL, NULL},
    {TD_ON_TCP, 29092, 29094, NULL, NULL},
};

static const struct td_dissector dissector = {
    .size = sizeof(struct td_dissector),
    .max_probe = KAFKA_MAX_PROBE,
    .fields = {kafka_fields, F_COUNT, sizeof(struct td_field)},
    .claims = TD_TABLE(claims),
    .probe = kafka_probe,
    .open = kafka_open,
    .data = kafka_data,
    .gap = kafka_gap,
    .close = kafka_close,
};

static const struct td_component component = {
    .size = sizeof(struct td_component),
    .kind = TD_KIND_DISSECTOR,
    .name = "kafka",
    .summary = "Apache Kafka: requests and responses of all APIs, with their records",
    .options = TD_TABLE(options),
    .config_size = sizeof(struct kafka_config),
    .create = create,
    .destroy = destroy,
    .ops = &dissector,
};

static const struct td_component *const components[] = {&component, NULL};

TD_PLUGIN(kafka) = {
    .size = sizeof(struct td_plugin),
    .target_minor = TD_TARGET_MINOR,
    .header_minor = TD_ABI_MINOR,
    .name = "kafka",
    .version = "1.0.0",
    .license = "Apache-2.0",
    .components = components,
};
