#include "yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <unistd.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/mem.h"

/* 1 MiB of text makes at most YAML_MAX_NODES nodes and entries, and its own bytes. */
enum { TREE_MAX_BYTES = 32 << 20 };

struct yaml_tree {
    struct arena arena;
    const char *file;
    const struct yaml_node *root;
};

struct anchor {
    const char *name;
    const struct yaml_node *node;
};

/* A mapping or list whose end has not been met. */
struct frame {
    struct yaml_node *node;
    size_t first; /* its first child in `pending` */
};

struct builder {
    struct yaml_tree *tree;
    struct frame frames[YAML_MAX_DEPTH];
    size_t depth;
    const struct yaml_node **pending; /* children of the open frames, the outermost frame's first */
    size_t pending_n, pending_cap;
    struct anchor anchors[YAML_MAX_ANCHORS];
    size_t anchor_count;
    uint32_t nodes; /* aliases expanded */
    uint32_t documents;
    struct error *err;
};

static int fail_at(struct builder *b, yaml_mark_t mark, const char *text)
{
    return error_set(b->err, TD_E_CONFIG, "%s:%zu:%zu: %s", b->tree->file, mark.line + 1, mark.column + 1, text);
}

static int fail_node(struct builder *b, const struct yaml_node *node, const char *text)
{
    return error_set(b->err, TD_E_CONFIG, "%s:%u:%u: %s", b->tree->file, node->line, node->column, text);
}

/* ---- Building ------------------------------------------------------------------------------------------------ */

static int reserve_pending(struct builder *b)
{
    if (b->pending_n < b->pending_cap)
        return TD_OK;
    size_t cap = b->pending_cap ? b->pending_cap * 2 : 64;
    const struct yaml_node **p = mem_realloc(b->pending, cap * sizeof(struct yaml_node *));
    if (!p)
        return error_nomem(b->err);
    b->pending = p;
    b->pending_cap = cap;
    return TD_OK;
}

/* Counts `weight` more nodes and makes `node` a child of the innermost open frame, or the root. */
static int attach(struct builder *b, const struct yaml_node *node, uint32_t weight, yaml_mark_t mark)
{
    if (weight > YAML_MAX_NODES - b->nodes)
        return fail_at(b, mark, "more than 100000 values, counting what aliases stand for");
    b->nodes += weight;
    if (!b->depth) {
        b->tree->root = node;
        return TD_OK;
    }
    int status = reserve_pending(b);
    if (status == TD_OK)
        b->pending[b->pending_n++] = node;
    return status;
}

static struct yaml_node *new_node(struct builder *b, yaml_mark_t mark, enum yaml_kind kind)
{
    struct yaml_node *node = arena_alloc(&b->tree->arena, sizeof(*node), alignof(struct yaml_node));
    if (!node) {
        error_nomem(b->err);
        return NULL;
    }
    node->file = b->tree->file;
    node->line = (uint32_t)mark.line + 1;
    node->column = (uint32_t)mark.column + 1;
    node->kind = kind;
    return node;
}

static int define_anchor(struct builder *b, const yaml_char_t *name, const struct yaml_node *node, yaml_mark_t mark)
{
    if (!name)
        return TD_OK;
    if (b->anchor_count == YAML_MAX_ANCHORS)
        return fail_at(b, mark, "more than 256 anchors");
    const char *copy = arena_strndup(&b->tree->arena, (const char *)name, strlen((const char *)name));
    if (!copy)
        return error_nomem(b->err);
    b->anchors[b->anchor_count++] = (struct anchor){copy, node};
    return TD_OK;
}

static int on_scalar(struct builder *b, const yaml_event_t *event)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t n = event->data.scalar.length;
    if (event->data.scalar.tag)
        return fail_at(b, event->start_mark, "tags are not supported; write the value alone");
    if (memchr(value, 0, n))
        return fail_at(b, event->start_mark, "text with a zero byte");
    struct yaml_node *node = new_node(b, event->start_mark, YAML_TEXT);
    if (!node)
        return TD_E_NOMEM;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->n = (uint32_t)n;
    node->weight = 1;
    node->text = arena_strndup(&b->tree->arena, value, n);
    if (!node->text)
        return error_nomem(b->err);
    int status = define_anchor(b, event->data.scalar.anchor, node, event->start_mark);
    return status == TD_OK ? attach(b, node, 1, event->start_mark) : status;
}

static int on_alias(struct builder *b, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    for (size_t i = b->anchor_count; i-- > 0;) { /* the latest definition counts */
        const struct yaml_node *node = b->anchors[i].node;
        if (strcmp(b->anchors[i].name, name) != 0)
            continue;
        if (!node->weight)
            return fail_at(b, event->start_mark, "alias to a value that contains it");
        if (b->depth + node->height > YAML_MAX_DEPTH)
            return fail_at(b, event->start_mark, "nested deeper than 64 levels");
        return attach(b, node, node->weight, event->start_mark);
    }
    return fail_at(b, event->start_mark, "alias to an anchor that is not defined before it");
}

static int on_open(struct builder *b, const yaml_event_t *event, enum yaml_kind kind, const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (tag)
        return fail_at(b, event->start_mark, "tags are not supported; write the value alone");
    if (b->depth == YAML_MAX_DEPTH)
        return fail_at(b, event->start_mark, "nested deeper than 64 levels");
    struct yaml_node *node = new_node(b, event->start_mark, kind);
    if (!node)
        return TD_E_NOMEM;
    int status = define_anchor(b, anchor, node, event->start_mark);
    if (status == TD_OK)
        status = attach(b, node, 1, event->start_mark);
    if (status == TD_OK)
        b->frames[b->depth++] = (struct frame){node, b->pending_n};
    return status;
}

static const struct yaml_entry *find_entry(const struct yaml_entry *entries, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(entries[i].key->text, key) == 0)
            return &entries[i];
    return NULL;
}

static int too_many_keys(struct builder *b, const struct yaml_node *node)
{
    return fail_node(b, node, "a mapping of more than 1000 keys");
}

/* Adds those entries of `from` whose keys are not there yet. */
static int merge_map(struct builder *b, struct yaml_entry *entries, uint32_t *n, const struct yaml_node *from, const struct yaml_node *at)
{
    if (from->kind != YAML_MAP)
        return fail_node(b, at, "only a mapping, or a list of mappings, can be merged with \"<<\"");
    for (uint32_t i = 0; i < from->n; i++) {
        if (find_entry(entries, *n, from->entries[i].key->text))
            continue;
        if (*n == YAML_MAX_KEYS)
            return too_many_keys(b, at);
        entries[(*n)++] = from->entries[i];
    }
    return TD_OK;
}

static int merge(struct builder *b, struct yaml_entry *entries, uint32_t *n, const struct yaml_entry *key)
{
    const struct yaml_node *value = key->value;
    if (value->kind != YAML_LIST)
        return merge_map(b, entries, n, value, key->key);
    int status = TD_OK;
    for (uint32_t i = 0; i < value->n && status == TD_OK; i++)
        status = merge_map(b, entries, n, value->items[i], key->key);
    return status;
}

/* Puts together the entries of a mapping whose keys and values are `children`, in turns. */
static int close_map(struct builder *b, struct yaml_node *node, const struct yaml_node *const *children, size_t n)
{
    struct yaml_entry entries[YAML_MAX_KEYS], merge_key = {NULL, NULL};
    for (size_t i = 0; i + 1 < n; i += 2) {
        const struct yaml_node *key = children[i];
        if (key->kind != YAML_TEXT)
            return fail_node(b, key, "a key must be text");
        if (key->n > YAML_MAX_KEY_BYTES)
            return fail_node(b, key, "a key of more than 128 bytes");
        const struct yaml_entry *twin = find_entry(entries, node->n, key->text);
        bool merging = key->plain && strcmp(key->text, "<<") == 0;
        if (twin || (merging && merge_key.key)) {
            const struct yaml_node *first = twin ? twin->key : merge_key.key;
            return error_set(b->err, TD_E_CONFIG, "%s:%u:%u: key \"%.64s\" stands here for the second time; first in line %u", key->file,
                             key->line, key->column, key->text, first->line);
        }
        if (merging)
            merge_key = (struct yaml_entry){key, children[i + 1]};
        else if (node->n == YAML_MAX_KEYS)
            return too_many_keys(b, node);
        else
            entries[node->n++] = (struct yaml_entry){key, children[i + 1]};
    }
    int status = merge_key.key ? merge(b, entries, &node->n, &merge_key) : TD_OK;
    if (status != TD_OK)
        return status;
    struct yaml_entry *copy = arena_alloc(&b->tree->arena, node->n * sizeof(entries[0]), alignof(struct yaml_entry));
    if (!copy)
        return error_nomem(b->err);
    if (node->n)
        memcpy(copy, entries, node->n * sizeof(entries[0]));
    node->entries = copy;
    return TD_OK;
}

static int close_list(struct builder *b, struct yaml_node *node, const struct yaml_node *const *children, size_t n)
{
    const struct yaml_node **copy = arena_alloc(&b->tree->arena, n * sizeof(children[0]), alignof(struct yaml_node *));
    if (!copy)
        return error_nomem(b->err);
    if (n)
        memcpy(copy, children, n * sizeof(children[0]));
    node->items = copy;
    node->n = (uint32_t)n;
    return TD_OK;
}

static int on_close(struct builder *b)
{
    const struct frame *frame = &b->frames[--b->depth];
    size_t n = b->pending_n - frame->first;
    const struct yaml_node *const *children = n ? b->pending + frame->first : NULL; /* `pending` may still be NULL */
    struct yaml_node *node = frame->node;
    int status = node->kind == YAML_MAP ? close_map(b, node, children, n) : close_list(b, node, children, n);
    node->weight = 1;
    node->height = 1;
    for (size_t i = 0; i < n; i++) {
        node->weight += children[i]->weight; /* cannot overflow: attach() has counted them all */
        if (children[i]->height >= node->height)
            node->height = children[i]->height + 1;
    }
    b->pending_n = frame->first;
    return status;
}

static int on_event(struct builder *b, const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return b->documents++ ? fail_at(b, event->start_mark, "a second document; a configuration is one") : TD_OK;
    case YAML_SCALAR_EVENT: return on_scalar(b, event);
    case YAML_ALIAS_EVENT: return on_alias(b, event);
    case YAML_SEQUENCE_START_EVENT: return on_open(b, event, YAML_LIST, event->data.sequence_start.anchor, event->data.sequence_start.tag);
    case YAML_MAPPING_START_EVENT: return on_open(b, event, YAML_MAP, event->data.mapping_start.anchor, event->data.mapping_start.tag);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT: return on_close(b);
    default: return TD_OK;
    }
}

/* ---- Parsing ------------------------------------------------------------------------------------------------- */

static int fail_syntax(struct builder *b, const yaml_parser_t *parser)
{
    const char *problem = parser->problem ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return error_nomem(b->err);
    if (parser->error == YAML_READER_ERROR) /* before there are lines: only the offset is known */
        return error_set(b->err, TD_E_CONFIG, "%s: %s at byte %zu; a configuration is UTF-8 text", b->tree->file, problem,
                         parser->problem_offset);
    int status = fail_at(b, parser->problem_mark, problem);
    if (parser->context && b->err) {
        size_t n = strlen(b->err->text);
        snprintf(b->err->text + n, sizeof(b->err->text) - n, " %s (from line %zu)", parser->context, parser->context_mark.line + 1);
    }
    return status;
}

static int build(struct builder *b, yaml_parser_t *parser)
{
    int status = TD_OK;
    bool done = false;
    while (status == TD_OK && !done) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event))
            return fail_syntax(b, parser);
        done = event.type == YAML_STREAM_END_EVENT;
        status = on_event(b, &event);
        yaml_event_delete(&event);
    }
    return status;
}

int yaml_tree_parse(struct td_slice text, const char *file, struct yaml_tree **ret, struct error *err)
{
    if (text.n > YAML_MAX_BYTES)
        return error_set(err, TD_E_CONFIG, "%s: longer than 1 MiB; is this a configuration file?", file);
    struct yaml_tree *tree = mem_calloc(1, sizeof(*tree));
    if (!tree)
        return error_nomem(err);
    arena_init(&tree->arena, TREE_MAX_BYTES);
    struct builder *b = mem_calloc(1, sizeof(*b));
    yaml_parser_t parser;
    int status;
    tree->file = arena_strndup(&tree->arena, file, strlen(file));
    if (!b || !tree->file || !yaml_parser_initialize(&parser)) {
        status = error_nomem(err);
        goto out;
    }
    yaml_parser_set_input_string(&parser, text.p ? text.p : (const uint8_t *)"", text.n);
    b->tree = tree;
    b->err = err;
    status = build(b, &parser);
    mem_free(b->pending);
    yaml_parser_delete(&parser);
out:
    mem_free(b);
    if (status == TD_OK)
        *ret = tree;
    else
        yaml_tree_free(tree);
    return status;
}

static int read_file(const char *path, struct buf *text, struct error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, TD_E_CONFIG, "%s: %s", path, strerror(errno));
    int status = TD_OK;
    for (;;) {
        if (!buf_reserve(text, 65536)) {
            status = error_nomem(err);
            break;
        }
        ssize_t n = read(fd, text->p + text->n, text->cap - text->n);
        if (n < 0)
            status = error_set(err, TD_E_CONFIG, "%s: %s", path, strerror(errno));
        if (n <= 0)
            break;
        text->n += (size_t)n;
        if (text->n > YAML_MAX_BYTES) /* yaml_tree_parse() says so */
            break;
    }
    close(fd);
    return status;
}

int yaml_tree_load(const char *path, struct yaml_tree **ret, struct error *err)
{
    struct buf text;
    buf_init(&text, 0);
    int status = read_file(path, &text, err);
    if (status == TD_OK)
        status = yaml_tree_parse(buf_slice(&text), path, ret, err);
    buf_clear(&text);
    return status;
}

/* ---- Changing ------------------------------------------------------------------------------------------------ */

static struct yaml_node *made_node(struct yaml_tree *tree, enum yaml_kind kind, const char *origin)
{
    struct yaml_node *node = arena_alloc(&tree->arena, sizeof(*node), alignof(struct yaml_node));
    if (node)
        *node = (struct yaml_node){.file = origin, .line = 1, .column = 1, .kind = kind, .weight = 1, .height = 1};
    return node;
}

static struct yaml_node *made_text(struct yaml_tree *tree, const char *text, size_t n, const char *origin)
{
    struct yaml_node *node = made_node(tree, YAML_TEXT, origin);
    const char *copy = arena_strndup(&tree->arena, text, n);
    if (!node || !copy)
        return NULL;
    node->text = copy;
    node->n = (uint32_t)n;
    return node;
}

/* A copy of a mapping (NULL: an empty one), since others may share it, in which `key` has a value that is still to be set. */
static struct yaml_node *with_entry(struct yaml_tree *tree, const struct yaml_node *map, const char *key, size_t key_n, const char *origin,
                                    struct yaml_entry **ret)
{
    struct yaml_node *copy = made_node(tree, YAML_MAP, origin);
    uint32_t n = map ? map->n : 0;
    struct yaml_entry *entries = arena_alloc(&tree->arena, (n + 1) * sizeof(*entries), alignof(struct yaml_entry));
    if (!copy || !entries)
        return NULL;
    if (map)
        *copy = *map;
    if (n)
        memcpy(entries, map->entries, n * sizeof(*entries));
    *ret = NULL;
    for (uint32_t i = 0; i < n; i++)
        if (strncmp(entries[i].key->text, key, key_n) == 0 && !entries[i].key->text[key_n])
            *ret = &entries[i];
    if (!*ret) {
        *ret = &entries[n];
        (*ret)->key = made_text(tree, key, key_n, origin);
        (*ret)->value = NULL;
        copy->n = n + 1;
    }
    copy->entries = entries;
    return (*ret)->key ? copy : NULL;
}

int yaml_tree_set(struct yaml_tree *tree, const char *path, const char *text, const char *origin, struct error *err)
{
    const struct yaml_node **at = &tree->root;
    const char *place = arena_strndup(&tree->arena, origin, strlen(origin));
    if (!place)
        return error_nomem(err);
    for (size_t n = strcspn(path, "."); *path; path += n + (path[n] == '.'), n = strcspn(path, ".")) {
        struct yaml_entry *entry;
        const struct yaml_node *map = yaml_is_null(*at) ? NULL : *at;
        if (map && (map->kind != YAML_MAP || map->n == YAML_MAX_KEYS))
            return error_set(err, TD_E_CONFIG, "%s:%u:%u: here %s, which %.64s wants to change, should be a mapping of at most %d keys",
                             map->file, map->line, map->column, yaml_kind_name(map), origin, YAML_MAX_KEYS - 1);
        struct yaml_node *copy = with_entry(tree, map, path, n, place, &entry);
        if (!copy)
            return error_nomem(err);
        *at = copy;
        at = &entry->value;
    }
    *at = made_text(tree, text, strlen(text), place);
    return *at ? TD_OK : error_nomem(err);
}

void yaml_tree_free(struct yaml_tree *tree)
{
    if (!tree)
        return;
    arena_clear(&tree->arena);
    mem_free(tree);
}

/* ---- Reading ------------------------------------------------------------------------------------------------- */

const struct yaml_node *yaml_tree_root(const struct yaml_tree *tree)
{
    return tree->root;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    if (!map || map->kind != YAML_MAP)
        return NULL;
    const struct yaml_entry *entry = find_entry(map->entries, map->n, key);
    return entry ? entry->value : NULL;
}

const struct yaml_node *yaml_item(const struct yaml_node *node, size_t i)
{
    return node && node->kind == YAML_LIST && i < node->n ? node->items[i] : node;
}

bool yaml_is_null(const struct yaml_node *node)
{
    if (!node)
        return true;
    if (node->kind != YAML_TEXT || !node->plain)
        return false;
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++)
        if (strcmp(node->text, nulls[i]) == 0)
            return true;
    return false;
}

const char *yaml_kind_name(const struct yaml_node *node)
{
    static const char *const names[] = {[YAML_TEXT] = "a single value", [YAML_LIST] = "a list", [YAML_MAP] = "a mapping"};
    return names[node->kind];
}
