/* Kinds of calls: one for each dissector, and one for each way in which a dissector can add its layer to the calls of another (plugin.h,
 * sub_open()): "GRPC" on HTTP/2. A kind's fields are those of the layers below it, at the same places, and then its own, so that a call
 * becomes one of another kind without a value of it being moved. In the call store and in the registry a kind is a component. */
#ifndef DISSECT_KIND_H
#define DISSECT_KIND_H

#include "call/call.h"

enum {
    KIND_MAX = 64,  /* of a set of dissectors */
    KIND_LAYERS = 3 /* most that one stands on another */
};

struct dissector_set;

struct call_kind {
    uint32_t dissector;   /* of the topmost layer: index in the set */
    uint32_t index;       /* its own; that of a kind without another below is its dissector's */
    int32_t below;        /* the kind that the layer is added to; -1: none */
    uint32_t layers;      /* it has, 1 to KIND_LAYERS */
    const char *protocol; /* the topmost layer's: "GRPC" */
    const char **also;    /* protocols whose calls its calls are as well, NULL-terminated: "HTTP2", "HTTP" */
    struct field_set fields;
    uint64_t wanted[FIELD_MAX / 64]; /* fields that somebody will look at */
    /* The topmost dissector's own fields. */
    uint32_t own_n;
    uint8_t place[FIELD_MAX];      /* in `fields` */
    uint64_t lent[FIELD_MAX / 64]; /* declared by a layer below as well, which sets it: here it can only be read */
    struct td_field *rows;
};

/* All kinds that these dissectors can make. TD_E_CONFIG (two layers disagree on a field), TD_E_LIMIT. */
int call_kinds_make(struct dissector_set *set, struct error *err) MUST_CHECK;
void call_kinds_clear(struct dissector_set *set);
/* The kind with a layer of this dissector on top of `below`; NULL: it claims no point there. */
const struct call_kind *call_kind_above(const struct dissector_set *set, const struct call_kind *below, uint32_t dissector);
/* Once it is settled what is wanted: what a layer reads of those below is wanted in calls that have this layer, and so is what is wanted
 * in calls without it, since a child may find that it is none. */
void call_kinds_want_lent(struct dissector_set *set);

static inline bool call_kind_wants(const struct call_kind *k, uint32_t field)
{
    return field < k->own_n && (k->wanted[k->place[field] / 64] >> (k->place[field] % 64) & 1);
}

static inline bool call_kind_lends(const struct call_kind *k, uint32_t own)
{
    return k->lent[own / 64] >> (own % 64) & 1;
}

#endif
