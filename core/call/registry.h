/* The field registry: every field that a call may have, in one table. First come the core's own (network, timing, identity,
 * Kubernetes context, connection), then those that dissectors declare. Dissectors that declare the same name share one
 * row; that they give it one type is checked here.
 *
 * The checker of filters, completion, columns, the call store and the reference all read this table, and none knows a field
 * by name. It can be written into a call store and read back, so that a store is understood without the dissectors that
 * filled it; such a registry reads no calls. Immutable once made; any thread. */
#ifndef CALL_REGISTRY_H
#define CALL_REGISTRY_H

#include "base/buf.h"
#include "base/ip.h"
#include "base/units.h"
#include "call/call.h"

enum registry_type {
    REGISTRY_BOOL = 1,
    REGISTRY_INT,
    REGISTRY_STRING,
    REGISTRY_BYTES,
    REGISTRY_TIMESTAMP, /* ns since 1970 UTC */
    REGISTRY_DURATION,  /* ns */
    REGISTRY_LIST,      /* of strings */
    REGISTRY_MAP        /* string to string; in the order of the wire, names may repeat */
};

/* "map(string, string)" */
const char *registry_type_name(uint8_t type);

struct registry_field {
    const char *name; /* "src.ip" */
    const char *doc;  /* one sentence; of a field that several have, theirs */
    uint8_t type;     /* registry_type */
    bool payload;     /* a body: kept apart, no part of filters */
    bool sensitive;
    bool summary;              /* shown in a table of calls when nothing else is asked for */
    int64_t absent;            /* the number that filters see where a call lacks the field; 0 but for grpc_status */
    const char *const *values; /* the texts that a STRING or LIST can have, NULL-terminated; or NULL: any */
    const char *owner;         /* "core", or the protocols that have it: "HTTP", "DNS, HTTP" */
};

struct field_registry;

/* Whose calls a component's are. Several components may have one name: a protocol on different ones below. */
struct registry_protocol {
    const char *name;        /* "GRPC" */
    const char *const *also; /* protocols that they are as well, NULL-terminated: "HTTP2", "HTTP"; or NULL */
};

enum { REGISTRY_MAX_COMPONENTS = 64 };

/* `components`: the field sets, in the order that td_call.component counts; `protocols`: of each. TD_E_LIMIT: too many of them. */
int field_registry_new(const struct field_set *const *components, const struct registry_protocol *protocols, uint32_t component_n,
                       struct field_registry **ret, struct error *err) MUST_CHECK;
void field_registry_free(struct field_registry *);

uint32_t field_registry_count(const struct field_registry *);
const struct registry_field *field_registry_at(const struct field_registry *, uint32_t index);
/* The field of this name, or -1. */
int32_t field_registry_find(const struct field_registry *, struct td_slice name);

/* As JSON, and back. What was written by a newer program may have types that this one does not know: TD_E_UNSUPPORTED. */
void field_registry_put_json(struct buf *out, const struct field_registry *);
int field_registry_parse_json(struct td_slice json, struct field_registry **ret, struct error *err) MUST_CHECK;

/* The dissectors whose calls it knows, as td_call.component counts them. */
struct registry_component {
    const char *protocol;   /* "HTTP" */
    const uint32_t *fields; /* of its own, in the order in which it declares them */
    uint32_t n;
    int32_t method, target, status; /* the summary's columns, as indexes of fields of the registry, or -1 */
};

const struct registry_component *field_registry_components(const struct field_registry *, uint32_t *ret_n);

/* What a call has in a field. Slices point into the call, into the registry or into `text`. */
struct registry_value {
    int64_t number;        /* BOOL, INT, TIMESTAMP, DURATION */
    struct td_slice bytes; /* STRING, BYTES, and each element of a LIST or MAP */
    struct td_slice name;  /* of a MAP's element, as on the wire */
    char text[IP_TEXT];    /* of an address, the longest */
};

/* A field that is neither LIST nor MAP; false if the call lacks it, with the field's `absent`, or "". */
bool field_registry_get(const struct field_registry *, uint32_t index, const struct td_call *, struct registry_value *ret);
/* The elements of a LIST or MAP: start with at = 0; false at the end. */
bool field_registry_next(const struct field_registry *, uint32_t index, const struct td_call *, uint32_t *at, struct registry_value *ret);
/* Has the call this field, be it of any type? */
bool field_registry_has(const struct field_registry *, uint32_t index, const struct td_call *);

#endif
