#include "dissect/kind.h"

#include "base/mem.h"
#include "dissect/dissector.h"

enum { COLUMNS = TD_F_METHOD | TD_F_TARGET | TD_F_STATUS, SHAPE = TD_F_LIST | TD_F_BODY };

/* ---- Fields ---- */

static struct td_field row_of(const struct field *f)
{
    return (struct td_field){.name = f->name, .type = f->type, .flags = f->flags, .doc = f->doc, .names = f->names};
}

static const struct td_field *own_row(const struct dissector *d, uint32_t i)
{
    return (const struct td_field *)((const uint8_t *)d->ops.fields.v + (size_t)i * d->ops.fields.stride);
}

static bool same_shape(const struct td_field *a, const struct field *b)
{
    return a->type == b->type && (a->flags & SHAPE) == (b->flags & SHAPE);
}

/* Places the dissector's own fields, behind `n` rows that are there; `below` may be NULL. */
static int place_own(struct call_kind *k, const struct dissector *d, const struct field_set *below, uint32_t *n, struct error *err)
{
    for (uint32_t i = 0; i < d->ops.fields.n; i++) {
        struct td_field row = {0};
        memcpy(&row, own_row(d, i), d->ops.fields.stride < sizeof(row) ? d->ops.fields.stride : sizeof(row));
        int at = below ? field_find(below, td_str(row.name)) : -1;
        if (at >= 0 && !same_shape(&row, &below->fields[at]))
            return error_set(err, TD_E_CONFIG, "the field \"%s\" has another type than in the calls that this dissector adds to", row.name);
        if (at < 0 && *n == FIELD_MAX)
            return error_set(err, TD_E_LIMIT, "together with the fields of the calls that it adds to, more than %d", FIELD_MAX);
        if (at >= 0)
            k->lent[i / 64] |= 1ull << (i % 64);
        else
            k->rows[*n] = row;
        k->place[i] = (uint8_t)(at >= 0 ? (uint32_t)at : (*n)++);
    }
    k->own_n = d->ops.fields.n;
    return TD_OK;
}

static int make_fields(struct call_kind *k, const struct dissector *d, const struct field_set *below, struct error *err)
{
    uint32_t n = below ? below->n : 0, bodies = 0, columns = 0;
    k->rows = mem_calloc(FIELD_MAX, sizeof(*k->rows));
    if (!k->rows)
        return error_nomem(err);
    for (uint32_t i = 0; i < n; i++)
        k->rows[i] = row_of(&below->fields[i]);
    uint32_t own = n;
    int status = place_own(k, d, below, &n, err);
    for (uint32_t i = 0; i < n; i++) {
        bodies += (k->rows[i].flags & TD_F_BODY) != 0;
        columns |= i >= own ? k->rows[i].flags & COLUMNS : 0;
    }
    for (uint32_t i = 0; i < own; i++)
        k->rows[i].flags &= ~columns; /* the summary shows what the topmost layer has to say */
    if (status == TD_OK && bodies > CALL_BODIES)
        status = error_set(err, TD_E_LIMIT, "together with the calls that it adds to, %u bodies; the limit is %d", bodies, CALL_BODIES);
    return status == TD_OK ? field_set_init(&k->fields, &(struct td_table){k->rows, n, sizeof(*k->rows)}, err) : status;
}

/* ---- Names ---- */

static uint32_t count(const char *const *names)
{
    uint32_t n = 0;
    while (names && names[n])
        n++;
    return n;
}

static int name_protocols(struct call_kind *k, const struct dissector *d, const struct call_kind *below, struct error *err)
{
    const char *const *mine = d->ops.also, *const *theirs = below ? (const char *const *)below->also : NULL;
    uint32_t n = 0;
    k->protocol = d->protocol;
    k->also = mem_calloc(count(mine) + count(theirs) + 2, sizeof(*k->also));
    if (!k->also)
        return error_nomem(err);
    for (uint32_t i = 0; mine && mine[i]; i++)
        k->also[n++] = mine[i];
    if (below)
        k->also[n++] = below->protocol;
    for (uint32_t i = 0; theirs && theirs[i]; i++)
        k->also[n++] = theirs[i];
    return TD_OK;
}

/* ---- The kinds ---- */

static int add(struct dissector_set *set, uint32_t dissector, int32_t below, struct error *err)
{
    const struct dissector *d = &set->v[dissector];
    if (set->kind_n == KIND_MAX)
        return error_set(err, TD_E_LIMIT, "more than %d kinds of calls; enable fewer dissectors (tap.enabledDissectors)", KIND_MAX);
    struct call_kind *k = &set->kinds[set->kind_n];
    const struct call_kind *under = below < 0 ? NULL : &set->kinds[below];
    *k = (struct call_kind){.dissector = dissector, .index = set->kind_n, .below = below, .layers = under ? under->layers + 1 : 1};
    set->kind_n++;
    memset(k->wanted, 0xff, sizeof(k->wanted));
    int status = name_protocols(k, d, under, err);
    if (status == TD_OK)
        status = make_fields(k, d, under ? &under->fields : NULL, err);
    return status == TD_OK ? TD_OK : error_prefix(err, "dissector \"%s\": ", d->name);
}

static bool has_layer(const struct dissector_set *set, const struct call_kind *k, uint32_t dissector)
{
    for (; k->dissector != dissector; k = &set->kinds[k->below])
        if (k->below < 0)
            return false;
    return true;
}

/* Does `child` claim a point within the calls of `parent`? */
static bool claims_call_of(const struct dissector *child, const struct dissector *parent)
{
    for (uint32_t i = 0; i < parent->ops.points.n; i++) {
        struct td_point point = {0};
        const uint8_t *row = (const uint8_t *)parent->ops.points.v + (size_t)i * parent->ops.points.stride;
        memcpy(&point, row, parent->ops.points.stride < sizeof(point) ? parent->ops.points.stride : sizeof(point));
        for (uint32_t j = 0; (point.flags & TD_POINT_CALL) && j < child->claim_n; j++)
            if (child->claims[j].on == TD_ON_POINT && strcmp(child->claims[j].point, point.name) == 0)
                return true;
    }
    return false;
}

int call_kinds_make(struct dissector_set *set, struct error *err)
{
    int status = TD_OK;
    set->kinds = mem_calloc(KIND_MAX, sizeof(*set->kinds));
    if (!set->kinds)
        return error_nomem(err);
    for (uint32_t i = 0; i < set->n && status == TD_OK; i++)
        status = add(set, i, -1, err);
    for (uint32_t k = 0; k < set->kind_n && status == TD_OK; k++) {
        const struct call_kind *below = &set->kinds[k];
        for (uint32_t i = 0; i < set->n && below->layers < KIND_LAYERS && status == TD_OK; i++)
            if (!has_layer(set, below, i) && claims_call_of(&set->v[i], &set->v[below->dissector]))
                status = add(set, i, (int32_t)k, err);
    }
    return status;
}

void call_kinds_clear(struct dissector_set *set)
{
    for (uint32_t i = 0; i < set->kind_n; i++) {
        field_set_clear(&set->kinds[i].fields);
        mem_free(set->kinds[i].rows);
        mem_free(set->kinds[i].also);
    }
    mem_free(set->kinds);
    set->kinds = NULL;
    set->kind_n = 0;
}

const struct call_kind *call_kind_above(const struct dissector_set *set, const struct call_kind *below, uint32_t dissector)
{
    for (uint32_t i = below->index + 1; i < set->kind_n; i++)
        if (set->kinds[i].below == (int32_t)below->index && set->kinds[i].dissector == dissector)
            return &set->kinds[i];
    return NULL;
}

void call_kinds_want_lent(struct dissector_set *set)
{
    for (uint32_t i = set->n; i < set->kind_n; i++) {
        /* A layer that turns out to be none leaves what it stood on: that must be there then. */
        const struct call_kind *below = &set->kinds[set->kinds[i].below];
        for (uint32_t field = 0; field < below->fields.n; field++)
            set->kinds[i].wanted[field / 64] |= below->wanted[field / 64] & 1ull << (field % 64);
        for (int32_t j = (int32_t)i; j >= 0; j = set->kinds[j].below) {
            const struct call_kind *layer = &set->kinds[j];
            for (uint32_t own = 0; own < layer->own_n; own++)
                if (call_kind_lends(layer, own))
                    set->kinds[i].wanted[layer->place[own] / 64] |= 1ull << (layer->place[own] % 64);
        }
    }
}
