/* The fields of the dissectors as a store remembers them, so that calls can be read back without the dissectors: beside what
 * the registry knows, the types and flags that they were declared with. Enumerations and addresses have become texts, as the
 * registry gives them. */
#ifndef CALL_STORE_LAYOUT_H
#define CALL_STORE_LAYOUT_H

#include "call/registry.h"

struct store_layout {
    uint32_t n;
    struct store_component {
        const struct registry_component *declared; /* the registry's: protocol, and the registry's number of each field */
        struct td_field *rows;
        struct field_set fields;
    } * components;
};

/* Writes it as JSON. */
void store_layout_put(struct buf *out, const struct field_set *const *components, uint32_t component_n);
int store_layout_parse(struct td_slice json, const struct field_registry *, struct store_layout *ret, struct error *err) MUST_CHECK;
void store_layout_clear(struct store_layout *);

#endif
