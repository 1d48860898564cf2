/* The fields of one component, as the core keeps them: checked once, read by index. */
#ifndef CALL_FIELD_H
#define CALL_FIELD_H

#include "base/error.h"

enum { FIELD_MAX = 128 }; /* fields of one component */

struct field {
    const char *name;
    uint32_t type, flags; /* td_type, td_field_flag */
    const char *doc;
    struct td_table names; /* TD_ENUM */
    uint8_t group;         /* field_group */
    struct td_slice key;   /* the name within its group */
};

enum field_group { FIELD_TOP, FIELD_REQUEST, FIELD_RESPONSE }; /* "request.headers" is "headers" of the request */

struct field_set {
    struct field *fields;
    uint32_t n;
    int16_t method, target, status; /* the summary's columns, or -1 */
};

/* Takes the rows of a component's table (any stride); the strings stay the component's. */
int field_set_init(struct field_set *set, const struct td_table *rows, struct error *err) MUST_CHECK;
void field_set_clear(struct field_set *set);
/* Index of a field by its name, or -1. */
int field_find(const struct field_set *set, struct td_slice name);
/* The name of an enum's value, or NULL. */
const char *field_value_name(const struct field *f, uint64_t value);

#endif
