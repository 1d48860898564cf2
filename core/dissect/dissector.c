#include "dissect/dissector.h"

#include "base/mem.h"
#include "base/nearest.h"

static int copy_claims(struct dissector *d, const struct td_table *rows, struct error *err)
{
    struct td_claim *claims = mem_calloc(rows->n, sizeof(*claims));
    if (!claims)
        return error_nomem(err);
    for (uint32_t i = 0; i < rows->n; i++) {
        const uint8_t *p = (const uint8_t *)rows->v + (size_t)i * rows->stride;
        memcpy(&claims[i], p, rows->stride < sizeof(*claims) ? rows->stride : sizeof(*claims));
        d->on_tcp |= claims[i].on == TD_ON_TCP;
        d->on_udp |= claims[i].on == TD_ON_UDP;
    }
    d->claims = claims;
    d->claim_n = rows->n;
    return TD_OK;
}

/* Hand-overs come once a call: what they look at lies together, with the lengths of keys known. */
static int note_points(struct dissector *d, struct error *err)
{
    struct point_claim *points = mem_calloc(d->claim_n + 1, sizeof(*points));
    if (!points) {
        mem_free((void *)(uintptr_t)d->claims);
        return error_nomem(err);
    }
    for (uint32_t i = 0; i < d->claim_n; i++)
        if (d->claims[i].on == TD_ON_POINT && d->claims[i].point)
            points[d->point_n++] = (struct point_claim){d->claims[i].point, td_str(d->claims[i].key)};
    d->points = points;
    return TD_OK;
}

int dissector_set_add(struct dissector_set *set, const char *name, const struct td_dissector *ops, const void *self, struct error *err)
{
    if (set->n == DISSECTOR_MAX)
        return error_set(err, TD_E_LIMIT, "more than %d dissectors; enable fewer (tap.enabledDissectors)", DISSECTOR_MAX);
    struct dissector *v = mem_realloc(set->v, (set->n + 1) * sizeof(*v));
    if (!v)
        return error_nomem(err);
    set->v = v;
    struct dissector *d = &v[set->n];
    *d = (struct dissector){.name = name, .ops = *ops, .self = self};
    for (size_t i = 0; name[i] && i + 1 < sizeof(d->protocol); i++)
        d->protocol[i] = (char)(name[i] >= 'a' && name[i] <= 'z' ? name[i] - 'a' + 'A' : name[i]);
    int status = copy_claims(d, &ops->claims, err);
    if (status == TD_OK)
        status = note_points(d, err);
    if (status != TD_OK)
        return error_prefix(err, "dissector \"%s\": ", name);
    set->n++;
    return TD_OK;
}

int dissector_set_complete(struct dissector_set *set, struct error *err)
{
    return call_kinds_make(set, err);
}

int dissector_set_rule(struct dissector_set *set, uint8_t transport, uint16_t port_lo, uint16_t port_hi, const char *name,
                       struct error *err)
{
    struct nearest near;
    nearest_init(&near, name);
    uint32_t i = 0;
    while (i < set->n && strcmp(set->v[i].name, name) != 0)
        nearest_try(&near, set->v[i++].name);
    if (i == set->n && near.best)
        return error_set(err, TD_E_CONFIG, "there is no dissector \"%s\"; did you mean \"%s\"?", name, near.best);
    if (i == set->n)
        return error_set(err, TD_E_CONFIG, "there is no dissector \"%s\"; `tapedeck plugin list` shows them", name);
    struct dissect_rule *rules = mem_realloc(set->rules, (set->rule_n + 1) * sizeof(*rules));
    if (!rules)
        return error_nomem(err);
    set->rules = rules;
    rules[set->rule_n++] = (struct dissect_rule){transport, port_lo, port_hi, i};
    return TD_OK;
}

void dissector_set_clear(struct dissector_set *set)
{
    call_kinds_clear(set);
    for (uint32_t i = 0; i < set->n; i++) {
        mem_free((void *)(uintptr_t)set->v[i].claims);
        mem_free((void *)(uintptr_t)set->v[i].points);
    }
    mem_free(set->v);
    mem_free(set->rules);
    *set = (struct dissector_set){0};
}

bool dissector_has_port(const struct dissector *d, uint8_t transport, uint16_t port)
{
    uint32_t on = transport == 6 ? TD_ON_TCP : TD_ON_UDP;
    for (uint32_t i = 0; i < d->claim_n; i++)
        if (d->claims[i].on == on && d->claims[i].port_lo && port >= d->claims[i].port_lo && port <= d->claims[i].port_hi)
            return true;
    return false;
}

/* Keys that differ do so at their ends more often than at their beginnings: application/grpc, application/json. */
static bool same_key(struct td_slice a, struct td_slice b)
{
    return a.n == b.n && (!a.n || td_ascii_lower(a.p[a.n - 1]) == td_ascii_lower(b.p[a.n - 1])) && td_eq_nocase(a, b);
}

/* By the key itself, or by taking any. */
static bool claims_point(const struct dissector *d, const char *point, struct td_slice key, bool any)
{
    bool named = false, takes_any = false;
    for (uint32_t i = 0; i < d->point_n; i++) {
        const struct point_claim *claim = &d->points[i];
        bool suits = !claim->key.p || same_key(claim->key, key);
        if (!suits || strcmp(claim->point, point) != 0)
            continue;
        named |= claim->key.p != NULL;
        takes_any |= !claim->key.p;
    }
    return any ? takes_any && !named : named;
}

const struct dissector *dissector_for_point(const struct dissector_set *set, const char *point, struct td_slice key, uint32_t *at)
{
    for (; *at < 2 * set->n; (*at)++)
        if (claims_point(&set->v[*at % set->n], point, key, *at >= set->n))
            return &set->v[(*at)++ % set->n];
    return NULL;
}
