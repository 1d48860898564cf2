#include "interfaces.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { NAME = 512 };

void interfaces_init(struct interfaces *v)
{
    *v = (struct interfaces){0};
    arena_init(&v->arena, INTERFACES_MAX_BYTES);
}

void interfaces_clear(struct interfaces *v)
{
    mem_free(v->rows);
    mem_free(v->sources);
    mem_free(v->statistics);
    arena_clear(&v->arena);
    *v = (struct interfaces){0};
}

/* What people see; NULL if nothing is known. Without a name of its own, an interface is at least told by its node. */
static const char *full_name(const char *node, const char *name, char out[NAME])
{
    if (node)
        snprintf(out, NAME, "%s/%s", node, name ? name : "?");
    else if (name)
        snprintf(out, NAME, "%s", name);
    return node || name ? out : NULL;
}

static bool grow(struct interfaces *v)
{
    uint32_t cap = v->cap ? v->cap * 2 : 16;
    struct td_interface *rows = mem_realloc(v->rows, cap * sizeof(*rows));
    if (rows)
        v->rows = rows;
    size_t *sources = mem_realloc(v->sources, cap * sizeof(*sources));
    if (sources)
        v->sources = sources;
    if (rows && sources)
        v->cap = cap;
    return rows && sources;
}

int interfaces_add(struct interfaces *v, size_t source, const char *node, const struct td_interface *row, struct error *err)
{
    char name[NAME];
    struct td_interface copy = *row;
    if (v->n == INTERFACES_MAX)
        return error_set(err, TD_E_LIMIT, "more than %d interfaces in one export; choose fewer nodes", INTERFACES_MAX);
    if (v->n == v->cap && !grow(v))
        return error_nomem(err);
    copy.name = full_name(node, row->name, name);
    if (copy.name)
        copy.name = arena_strndup(&v->arena, copy.name, strlen(copy.name));
    if (!copy.name && (node || row->name))
        return error_nomem(err);
    v->rows[v->n] = copy;
    v->sources[v->n++] = source;
    return TD_OK;
}

bool interfaces_find(const struct interfaces *v, size_t source, const char *node, const char *name, uint32_t linktype, uint32_t *ret_row)
{
    char text[NAME];
    const char *full = full_name(node, name, text);
    for (uint32_t i = v->n; i-- > 0;) { /* a source's rows are the last ones while it is opened */
        if (v->sources[i] != source || v->rows[i].linktype != linktype || !v->rows[i].name != !full)
            continue;
        if (!full || strcmp(v->rows[i].name, full) == 0) {
            *ret_row = i;
            return true;
        }
    }
    return false;
}

int interfaces_count(struct interfaces *v, const struct td_interface_statistics *more, struct error *err)
{
    for (uint32_t i = v->statistics_n; i-- > 0;) {
        struct td_interface_statistics *s = &v->statistics[i];
        if (s->iface != more->iface)
            continue;
        s->start_ns = s->start_ns < more->start_ns ? s->start_ns : more->start_ns;
        s->end_ns = s->end_ns > more->end_ns ? s->end_ns : more->end_ns;
        s->received += more->received;
        s->dropped_by_interface += more->dropped_by_interface;
        s->dropped_by_kernel += more->dropped_by_kernel;
        return TD_OK;
    }
    if (v->statistics_n == v->statistics_cap) {
        uint32_t cap = v->statistics_cap ? v->statistics_cap * 2 : 16;
        struct td_interface_statistics *grown = mem_realloc(v->statistics, cap * sizeof(*grown));
        if (!grown)
            return error_nomem(err);
        v->statistics = grown;
        v->statistics_cap = cap;
    }
    v->statistics[v->statistics_n++] = *more;
    return TD_OK;
}
