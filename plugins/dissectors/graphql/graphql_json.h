/* Reading JSON (RFC 8259) where it lies: values are slices of the text, looked into one level at a time. What is not looked into is not
 * checked, but that its brackets and quotes end. Nothing allocates, nothing recurses; a text that ends early gives what there is of it. */
#ifndef GRAPHQL_JSON_H
#define GRAPHQL_JSON_H

#include "tapedeck/slice.h"

/* The first value in `text`, without the whitespace around it; empty: there is none, or it does not end. */
struct td_slice gql_json_value(struct td_slice text);
/* The kind of a value by its first byte: '{' '[' '"' 't' 'f' 'n' or '0' for a number; 0: none. */
char gql_json_kind(struct td_slice value);

/* Members of an object, elements of an array: begin with *rest as the whole text of the value. The key is as in the text, with its
 * escapes, without quotes. False at the end, or where it is none. A value that does not end is given as far as it goes, with *ret_cut. */
bool gql_json_member(struct td_slice *rest, struct td_slice *ret_key, struct td_slice *ret_value, bool *ret_cut);
bool gql_json_element(struct td_slice *rest, struct td_slice *ret_value);
/* The member of this name; empty: there is none. */
struct td_slice gql_json_find(struct td_slice object, const char *key);

/* A string's text into `room`, which has as many bytes as the value. Other kinds: empty. */
struct td_slice gql_json_string(struct td_slice value, uint8_t *room);

#endif
