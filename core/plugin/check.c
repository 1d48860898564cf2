#include "check.h"

static int fault(struct error *err, const char *what)
{
    return error_set(err, TD_E_UNSUPPORTED, "%s", what);
}

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* A lower-case letter, then those and `others`. */
static bool good_name(const char *name, const char *others, size_t max)
{
    size_t n = strlen(name);
    return n && n <= max && name[0] >= 'a' && name[0] <= 'z' && strspn(name, others) == n;
}

/* ---- Fields -------------------------------------------------------------------------------------------------- */

enum { COLUMN_FLAGS = TD_F_METHOD | TD_F_TARGET | TD_F_STATUS, KNOWN_FLAGS = (TD_F_STATUS << 1) - 1 };

static const char *names_fault(const struct td_field *field)
{
    const struct td_name *names = field->names.v;
    if (field->names.n && field->type != TD_ENUM)
        return "has names for its values, but is no enum";
    for (uint32_t i = 0; i < field->names.n; i++) {
        if (!names[i].name)
            return "has a value without a name";
        if (i && names[i].value <= names[i - 1].value)
            return "has names that are not in ascending order of their values";
    }
    return NULL;
}

static const char *field_fault(const struct td_field *field, uint32_t header_minor)
{
    uint32_t column = field->flags & COLUMN_FLAGS;
    if (field->type < TD_BOOL || field->type > TD_MAP)
        return "has a type that this core does not know";
    if (!field->doc)
        return "has no documentation";
    if ((field->flags & ~(uint32_t)KNOWN_FLAGS) && header_minor <= TD_ABI_MINOR)
        return "has flags that do not exist";
    if ((field->flags & TD_F_LIST) && field->type == TD_MAP)
        return "is a list of maps; a map has many values already";
    if ((field->flags & TD_F_BODY) && field->type != TD_BYTES && field->type != TD_STRING)
        return "is a body, but neither bytes nor a string";
    if (column & (column - 1))
        return "is more than one of method, target and status";
    if (column && (field->type == TD_MAP || field->type == TD_BYTES || (field->flags & TD_F_BODY)))
        return "is a column of the summary, but a map, bytes or a body";
    return names_fault(field);
}

/* Its relation to the fields before it. */
static const char *field_conflict(const struct td_field *fields, uint32_t i)
{
    for (uint32_t j = 0; j < i; j++) {
        if (strcmp(fields[j].name, fields[i].name) == 0)
            return "is there twice";
        if (fields[j].flags & fields[i].flags & COLUMN_FLAGS)
            return "is a column of the summary that another field is already";
    }
    return NULL;
}

static int check_fields(const struct td_dissector *d, uint32_t header_minor, struct error *err)
{
    const struct td_field *fields = d->fields.v;
    uint32_t bodies = 0;
    for (uint32_t i = 0; i < d->fields.n; i++) {
        char quoted[FINDINGS_QUOTE];
        if (!fields[i].name)
            return error_set(err, TD_E_UNSUPPORTED, "field %u has no name", i);
        if (!good_name(fields[i].name, LOWER DIGITS "_.", FIELD_MAX_NAME))
            return error_set(err, TD_E_UNSUPPORTED, "field name %s; it must be lower-case letters, digits, _ and dots",
                             findings_quote(fields[i].name, quoted));
        const char *what = field_fault(&fields[i], header_minor);
        if (!what)
            what = field_conflict(fields, i);
        if (!what && (fields[i].flags & TD_F_BODY) && ++bodies > DESCRIPTOR_MAX_BODIES)
            what = "is a body too many; the limit is four";
        if (what)
            return error_set(err, TD_E_UNSUPPORTED, "field \"%s\" %s", fields[i].name, what);
    }
    return TD_OK;
}

/* ---- Claims and points --------------------------------------------------------------------------------------- */

static const char *claim_fault(const struct td_claim *claim)
{
    if (claim->on < TD_ON_TCP || claim->on > TD_ON_POINT)
        return "is on something that this core does not know";
    if (claim->on == TD_ON_POINT)
        return !claim->point ? "is on a point, but names none" : claim->port_lo || claim->port_hi ? "is on a point, but has ports" : NULL;
    if (claim->point || claim->key)
        return "has a point or a key, but is not on a point";
    return claim->port_lo > claim->port_hi || (!claim->port_lo && claim->port_hi) ? "has a port range that cannot be" : NULL;
}

static int check_claims(const struct td_dissector *d, struct error *err)
{
    const struct td_claim *claims = d->claims.v;
    for (uint32_t i = 0; i < d->claims.n; i++) {
        const char *what = claim_fault(&claims[i]);
        if (what)
            return error_set(err, TD_E_UNSUPPORTED, "claim %u %s", i, what);
    }
    return TD_OK;
}

static int check_points(const struct td_dissector *d, struct error *err)
{
    const struct td_point *points = d->points.v;
    for (uint32_t i = 0; i < d->points.n; i++) {
        if (!points[i].name || !points[i].doc)
            return error_set(err, TD_E_UNSUPPORTED, "point %u lacks its name or its documentation", i);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(points[j].name, points[i].name) == 0)
                return error_set(err, TD_E_UNSUPPORTED, "point \"%s\" is there twice", points[i].name);
    }
    return TD_OK;
}

/* ---- Components ---------------------------------------------------------------------------------------------- */

static int check_dissector(const struct td_dissector *d, uint32_t header_minor, struct error *err)
{
    if (!d->probe || !d->open || !d->data || !d->close)
        return error_set(err, TD_E_UNSUPPORTED, "it lacks the function %s()",
                         !d->probe  ? "probe"
                         : !d->open ? "open"
                         : !d->data ? "data"
                                    : "close");
    if (d->max_probe > DISSECTOR_MAX_PROBE)
        return error_set(err, TD_E_UNSUPPORTED, "max_probe is %u; the limit is %d", d->max_probe, DISSECTOR_MAX_PROBE);
    int status = check_fields(d, header_minor, err);
    if (status == TD_OK)
        status = check_claims(d, err);
    return status == TD_OK ? check_points(d, err) : status;
}

static int check_exporter(const struct td_exporter *e, struct error *err)
{
    if (!e->begin || !e->packet || !e->end)
        return error_set(err, TD_E_UNSUPPORTED, "it lacks the function %s()", !e->begin ? "begin" : !e->packet ? "packet" : "end");
    if (e->wants)
        return fault(err, "it wants more than packets, which this core does not offer");
    if (!e->media_type || !strchr(e->media_type, '/'))
        return fault(err, "it lacks its media type");
    if (!e->suffix || e->suffix[0] != '.')
        return fault(err, "it lacks its suffix, which begins with a dot");
    return TD_OK;
}

static int check_storage(const struct td_storage *s, struct error *err)
{
    const char *missing = !s->check        ? "check"
                          : !s->head       ? "head"
                          : !s->get        ? "get"
                          : !s->put_open   ? "put_open"
                          : !s->put_write  ? "put_write"
                          : !s->put_commit ? "put_commit"
                          : !s->put_abort  ? "put_abort"
                          : !s->list       ? "list"
                          : !s->remove     ? "remove"
                                           : NULL;
    if (missing)
        return error_set(err, TD_E_UNSUPPORTED, "it lacks the function %s()", missing);
    return s->flags ? fault(err, "it has flags that do not exist") : TD_OK;
}

int component_check(const struct plugin_component *component, uint32_t header_minor, struct error *err)
{
    const struct td_component *c = &component->c;
    if (!c->name || !good_name(c->name, LOWER DIGITS "_-", COMPONENT_MAX_NAME))
        return fault(err, "its name must be lower-case letters, digits, _ and -, and begin with a letter");
    if (!c->summary)
        return fault(err, "it has no summary");
    int status = options_check_table(c->options.v, c->options.n, c->config_size, err);
    if (status != TD_OK)
        return status;
    if (c->kind == TD_KIND_STORAGE)
        return check_storage(&component->storage, err);
    return c->kind == TD_KIND_DISSECTOR ? check_dissector(&component->dissector, header_minor, err)
                                        : check_exporter(&component->exporter, err);
}
