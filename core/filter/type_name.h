/* Types as CEL writes them: "map(string, list(int))". */
#ifndef FILTER_TYPE_NAME_H
#define FILTER_TYPE_NAME_H

#include "base/arena.h"
#include "base/buf.h"
#include "filter/type.h"

/* list(of) and map(key, value); static for strings, else from the arena; NULL: memory is short. */
const struct filter_type *filter_list_type(struct arena *, const struct filter_type *of);
const struct filter_type *filter_map_type(struct arena *, const struct filter_type *key, const struct filter_type *value);

bool filter_type_equal(const struct filter_type *, const struct filter_type *);
void filter_type_put(struct buf *out, const struct filter_type *);
/* NULL: it is no type, or memory is short. A type name alone (list, map) has dyn parts. */
const struct filter_type *filter_type_parse(struct arena *, struct td_slice text);
/* The type that a name is as a value: "int", "google.protobuf.Timestamp", "net.IP"; NULL if it is none. */
const struct filter_type *filter_type_named(struct td_slice name);

#endif
