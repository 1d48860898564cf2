/* Filters in tests: fields to write them with, what comes of a text, and trees made at random. */
#ifndef TESTS_FILTER_RIG_H
#define TESTS_FILTER_RIG_H

#include "call/registry.h"
#include "filter/ast.h"
#include "filter/diagnostic.h"
#include "filter/node.h"

struct filter_rig {
    struct field_registry *fields;
    struct arena arena; /* of the last text */
    struct filter_diagnostics diagnostics;
    struct filter_node *root;
    int status;
    struct buf shown;
};

/* A registry of fields given as "name type, name type, ..."; protocol and transport have sets of values. Ends the program when it
 * fails. */
struct field_registry *filter_rig_fields(const char *names_and_types);
/* `names_and_types` NULL: the usual ones, of HTTP, DNS, names and addresses. */
void filter_rig_init(struct filter_rig *, const char *names_and_types);
void filter_rig_clear(struct filter_rig *);
/* Parses, and checks if that worked. The canonical text, or the first fault as "code from-to"; valid until the next call. */
const char *filter_rig_parse(struct filter_rig *, const char *text);
const char *filter_rig_check(struct filter_rig *, const char *text);
/* The first diagnostic with this code; NULL: none. */
const struct filter_diagnostic *filter_rig_find(const struct filter_rig *, const char *code);

/* Are two trees the same, places and sugar apart? */
bool filter_rig_same(const struct filter_node *, const struct filter_node *);
/* Any tree that a parser may give. */
struct filter_node *filter_rig_random(struct filter_builder *, uint64_t *seed, int depth);

#endif
