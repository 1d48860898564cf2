/* Other names of fields: those of Wireshark, and those that Kubeshark had before. One table; a row holds in a registry that
 * declares what its text mentions, and of several rows for one name the first such one counts. A declared field of the
 * same name hides an alias. */
#ifndef FILTER_ALIAS_H
#define FILTER_ALIAS_H

#include <stdbool.h>
#include <stdint.h>

#include "tapedeck/slice.h"

enum filter_alias_kind {
    FILTER_ALIAS_ONE,     /* the text */
    FILTER_ALIAS_EITHER,  /* the text or `other`: any of the two may match */
    FILTER_ALIAS_ELEMENTS /* the text is a list, of which any element may match */
};

struct filter_alias {
    const char *name;
    const char *text;  /* CEL */
    const char *other; /* EITHER */
    uint8_t kind;      /* filter_alias_kind */
    bool deprecated;   /* of old versions: gets a warning */
    const char *note;  /* what to know of it, or NULL */
};

/* All rows, ascending by name. */
const struct filter_alias *filter_aliases(uint32_t *ret_n);
/* The first row of a name; NULL: it is no alias. The others of that name follow it. */
const struct filter_alias *filter_alias_find(struct td_slice name);

#endif
