/* GraphQL documents: what they ask for (the specification of October 2021, section 2 and appendix B; descriptions of that of September
 * 2025). The executable part: operations and fragments; documents with a type system are none for here. Nothing allocates, nothing
 * recurses. */
#ifndef GRAPHQL_DOCUMENT_H
#define GRAPHQL_DOCUMENT_H

#include "tapedeck/slice.h"

enum {
    GQL_MAX_FIELDS = 64,   /* of an operation that are told */
    GQL_MAX_FRAGMENTS = 32 /* named ones, whose fields may be an operation's */
};

enum gql_type { GQL_QUERY, GQL_MUTATION, GQL_SUBSCRIPTION };

struct gql_document {
    uint32_t operations;
    /* Of the operation that was asked for: */
    uint8_t type; /* gql_type */
    struct td_slice name;
    struct td_slice fields[GQL_MAX_FIELDS]; /* names (not aliases) of its selection set, in order, those of fragments in place */
    uint32_t n_fields;                      /* there may be more */
};

/* Reads a document; slices lie in it. `wanted`: the name of the operation; empty, or not found: the first one. False: it is no
 * document, or asks for nothing. */
bool gql_read_document(struct td_slice text, struct td_slice wanted, struct gql_document *ret);

#endif
