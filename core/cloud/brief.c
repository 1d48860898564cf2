/* A manifest without objects: of many thousands of snapshots the catalog keeps what lists show. */
#include <stdalign.h>
#include <string.h>

#include "cloud/cloud_internal.h"

struct copying {
    struct arena *arena;
    bool failed;
};

static const char *copy_text(struct copying *c, const char *text)
{
    const char *copy = text ? arena_strndup(c->arena, text, strlen(text)) : NULL;
    c->failed |= text && !copy;
    return copy;
}

static void *take(struct copying *c, size_t n, size_t size)
{
    void *p = n ? arena_alloc(c->arena, n * size, alignof(max_align_t)) : NULL;
    c->failed |= n && !p;
    return p;
}

static void copy_gaps(struct copying *c, const struct manifest_node *from, struct manifest_node *to)
{
    to->gaps = take(c, from->gap_count, sizeof(*to->gaps));
    for (size_t i = 0; !c->failed && i < from->gap_count; i++) {
        to->gaps[i] = from->gaps[i];
        to->gaps[i].reason = copy_text(c, from->gaps[i].reason);
    }
}

static void copy_node(struct copying *c, const struct manifest_node *from, struct manifest_node *to)
{
    *to = *from;
    to->name = copy_text(c, from->name);
    to->version = copy_text(c, from->version);
    to->reason = copy_text(c, from->reason);
    to->context = (struct manifest_object){.key = NULL};
    to->segments = NULL;
    to->segment_count = 0;
    copy_gaps(c, from, to);
}

struct manifest *catalog_brief(const struct manifest *from)
{
    struct manifest *m = manifest_new();
    if (!m)
        return NULL;
    struct arena arena = m->arena;
    *m = *from;
    m->arena = arena;
    m->arena.max = CLOUD_MAX_BRIEF;
    struct copying c = {&m->arena, false};
    m->version = copy_text(&c, from->version);
    m->nodes = take(&c, from->node_count, sizeof(*m->nodes));
    for (size_t i = 0; !c.failed && i < from->node_count; i++)
        copy_node(&c, &from->nodes[i], &m->nodes[i]);
    if (!c.failed)
        return m;
    manifest_free(m);
    return NULL;
}
