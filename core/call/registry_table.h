/* The field registry's inside: shared by the files that make it, read calls with it and write it as JSON. */
#ifndef CALL_REGISTRY_TABLE_H
#define CALL_REGISTRY_TABLE_H

#include "base/arena.h"
#include "call/registry.h"

/* Where the core's own fields come from. */
enum core_field {
    CORE_DECLARED, /* a dissector's */
    CORE_UNKNOWN,  /* what this source of calls cannot know: Kubernetes context of a plain capture */
    CORE_ID,
    CORE_TIMESTAMP,
    CORE_PROTOCOL,
    CORE_PROTOCOL_IS, /* the components stand beside it */
    CORE_TRANSPORT,
    CORE_TCP,
    CORE_UDP,
    CORE_CONN_ID,
    CORE_ELAPSED_TIME,
    CORE_LATENCY,
    CORE_SRC_IP,
    CORE_SRC_PORT,
    CORE_DST_IP,
    CORE_DST_PORT,
    CORE_REQUEST_SIZE,
    CORE_RESPONSE_SIZE,
    CORE_REQUEST_COMPLETE,
    CORE_RESPONSE_COMPLETE,
    CORE_COMPLETE,
    CORE_PARTIAL,
    CORE_ONE_WAY,
    CORE_MISSING_BYTES,
    CORE_HAS_PCAP,
    CORE_NODE, /* the only map among them */
    CORE_NODE_NAME
};

struct registry_source {
    uint8_t core;        /* core_field */
    uint64_t components; /* CORE_PROTOCOL_IS: a bit each */
    int16_t *fields;     /* CORE_DECLARED: by component; -1: it has no such field. NULL in a registry that was read back */
};

struct field_registry {
    struct arena arena; /* everything below, and copied strings */
    uint32_t n, component_n;
    struct registry_field *fields;
    struct registry_source *sources;
    struct registry_component *components;
    uint32_t *sorted; /* indexes, by name */
};

/* The core's fields, without those that stand for protocols; in the order of the registry. */
struct core_row {
    const char *name;
    uint8_t type, core;
    const char *doc;
    const char *const *values;
    bool summary;
};
const struct core_row *registry_core_rows(uint32_t *ret_n);
/* What a call has in one of them (core_field; not DECLARED, nor PROTOCOL_IS); false if it lacks it. */
bool registry_core_get(uint8_t core, const struct td_call *, struct registry_value *ret);
/* As field_registry_next(), of a map of the core's. */
bool registry_core_next(uint8_t core, const struct td_call *, uint32_t *at, struct registry_value *ret);

/* What a dissector has set becomes the field's value, or an element of its list. `v` is empty before. */
void registry_set_from(struct registry_value *v, const struct field *f, const struct call_value *value);

/* An empty registry with room for `field_n` fields; NULL when memory is short. */
struct field_registry *registry_make(uint32_t field_n, uint32_t component_n);
/* Once all fields stand in it. */
void registry_index(struct field_registry *);

#endif
