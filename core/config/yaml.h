/* A YAML document as a tree in which every node knows its place: file, line, column.
 *
 * YAML 1.1 as libyaml reads it, JSON included, in one document of UTF-8 or UTF-16. Every scalar is text; what it means is
 * for the reader to say. Keys are text and stand once in a mapping; tags are refused. Aliases share the node that
 * they name, and merge keys ("<<") are already merged, so that a tree may be a graph without cycles: each alias
 * counts in YAML_MAX_NODES with all that it stands for. All nodes live as long as the tree. */
#ifndef CONFIG_YAML_H
#define CONFIG_YAML_H

#include "base/error.h"

enum {
    YAML_MAX_BYTES = 1 << 20,
    YAML_MAX_DEPTH = 64,     /* mappings and lists within each other */
    YAML_MAX_NODES = 100000, /* aliases expanded */
    YAML_MAX_KEYS = 1000,    /* in one mapping */
    YAML_MAX_KEY_BYTES = 128,
    YAML_MAX_ANCHORS = 256
};

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml_entry;

struct yaml_node {
    const char *file;
    uint32_t line, column; /* from 1 */
    enum yaml_kind kind;
    bool plain;      /* TEXT: written without quotes */
    uint32_t n;      /* bytes of text, items of a list, entries of a mapping */
    uint32_t weight; /* nodes it stands for, itself included; 0 while it is being read */
    uint32_t height; /* levels of mappings and lists in it, itself included */
    union {
        const char *text; /* zero-terminated, no zero within */
        const struct yaml_node *const *items;
        const struct yaml_entry *entries; /* in the order of the file, merged ones last */
    };
};

struct yaml_entry {
    const struct yaml_node *key, *value;
};

struct yaml_tree;

/* `file` is what errors call the text; it is copied. */
int yaml_tree_parse(struct td_slice text, const char *file, struct yaml_tree **ret, struct error *err) MUST_CHECK;
int yaml_tree_load(const char *path, struct yaml_tree **ret, struct error *err) MUST_CHECK;
void yaml_tree_free(struct yaml_tree *tree);
/* Puts a text at a path of keys ("tap.snapshots.cloud.prefix") in place of what stands there; mappings that are missing are made. `origin`
 * is what errors call its place; strings are copied. Nodes that were read before stay as they are. TD_E_CONFIG: on the way stands something
 * that is no mapping, or one that is full. */
int yaml_tree_set(struct yaml_tree *tree, const char *path, const char *text, const char *origin, struct error *err) MUST_CHECK;
/* NULL: the document is empty. */
const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree);

/* The value of `key`, or NULL; also NULL if `map` is NULL or no mapping. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
/* Item `i` of a list; of a node that is no list, the node itself: where one value may stand for a list of one. */
const struct yaml_node *yaml_item(const struct yaml_node *node, size_t i);
/* No node at all, or one that stands for nothing: `key:`, `~` or `null`, without quotes. */
bool yaml_is_null(const struct yaml_node *node);
/* "a list", for messages. */
const char *yaml_kind_name(const struct yaml_node *node);

#endif
