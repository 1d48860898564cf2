#include "hub/routes.h"

#include <stdalign.h>
#include <stdio.h>

#include "base/nearest.h"

/* ---- Tables ---- */

const struct hub_subject *hub_subject_at(size_t i)
{
    static const struct hub_subject *(*const all[])(void) = {
        hub_routes_nodes,       hub_routes_snapshots, hub_routes_cloud,   hub_routes_exports, hub_routes_import,
        hub_routes_dissections, hub_routes_jobs,      hub_routes_stream, /* before calls, whose {id} would be its last word */
        hub_routes_calls,       hub_routes_filter,    hub_routes_plugins, hub_routes_health};
    return i < sizeof(all) / sizeof(all[0]) ? all[i]() : NULL;
}

static bool is_in_path(const char *path, const char *name)
{
    char braced[80];
    snprintf(braced, sizeof(braced), "{%s}", name);
    return strstr(path, braced) != NULL;
}

/* The names that may stand in the query; NULL: there are none, or memory is short. */
static const char *const *query_names(struct arena *arena, const struct hub_route *r, bool *ret_failed)
{
    size_t n = 0;
    for (const struct hub_parameter *p = r->parameters; p && p->name; p++)
        n += !is_in_path(r->path, p->name);
    if (!n)
        return NULL;
    const char **names = arena_alloc(arena, (n + 1) * sizeof(*names), alignof(const char *));
    *ret_failed |= !names;
    n = 0;
    for (const struct hub_parameter *p = r->parameters; names && p->name; p++)
        if (!is_in_path(r->path, p->name))
            names[n++] = p->name;
    if (names)
        names[n] = NULL;
    return names;
}

int hub_routes_make(struct arena *arena, struct http_route **ret, size_t *ret_n, struct error *err)
{
    const struct hub_subject *s;
    size_t n = 0;
    bool failed = false;
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++)
        n += s->n;
    struct http_route *v = arena_alloc(arena, n * sizeof(*v), alignof(struct http_route));
    if (!v)
        return error_nomem(err);
    n = 0;
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++)
        for (size_t k = 0; k < s->n; k++) {
            const struct hub_route *r = &s->v[k];
            v[n++] = (struct http_route){r->method, r->path, r->needs, query_names(arena, r, &failed), r->max_body, r->handle};
        }
    if (failed)
        return error_nomem(err);
    *ret = v;
    *ret_n = n;
    return TD_OK;
}

/* ---- For handlers ---- */

void hub_reply_json(struct http_request *q, unsigned status, struct buf *b)
{
    http_reply_body(q, status, JSON_TYPE, b);
}

static int check_names(const json_t *body, const char *const *names, struct error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        struct nearest near;
        size_t i = 0;
        nearest_init(&near, key);
        for (; names[i] && strcmp(names[i], key) != 0; i++)
            nearest_try(&near, names[i]);
        if (!names[i])
            return error_set(err, TD_E_CONFIG, "there is no member \"%.64s\" here%s%s%s", key, near.best ? "; did you mean \"" : "",
                             near.best ? near.best : "", near.best ? "\"?" : "");
    }
    return TD_OK;
}

int hub_body(struct http_request *q, const char *const *names, json_t **ret, struct error *err)
{
    struct td_slice bytes = http_body(q);
    json_error_t why;
    json_t *body = json_loadb(bytes.n ? (const char *)bytes.p : "", bytes.n, JSON_REJECT_DUPLICATES, &why);
    if (!body)
        return error_set(err, TD_E_CONFIG, "the body is no JSON: line %d, column %d: %.160s", why.line, why.column, why.text);
    int status = json_is_object(body) ? check_names(body, names, err) : error_set(err, TD_E_CONFIG, "the body must be a JSON object");
    if (status == TD_OK)
        *ret = body;
    else
        json_decref(body);
    return status;
}

static const json_t *member(const json_t *body, const char *name)
{
    const json_t *v = json_object_get(body, name);
    return v && !json_is_null(v) ? v : NULL;
}

int hub_take_text(const json_t *body, const char *name, const char *otherwise, const char **ret, struct error *err)
{
    const json_t *v = member(body, name);
    *ret = v ? json_string_value(v) : otherwise;
    if (v && (!*ret || strlen(*ret) != json_string_length(v)))
        return error_set(err, TD_E_CONFIG, "%s must be a text without zeros", name);
    return TD_OK;
}

int hub_take_bool(const json_t *body, const char *name, bool otherwise, bool *ret, struct error *err)
{
    const json_t *v = member(body, name);
    const char *text = json_string_value(v); /* in a query all are texts */
    *ret = v ? json_is_true(v) || (text && strcmp(text, "true") == 0) : otherwise;
    if (v && !json_is_boolean(v) && !(text && (*ret || strcmp(text, "false") == 0)))
        return error_set(err, TD_E_CONFIG, "%s must be true or false", name);
    return TD_OK;
}

static bool parse_number(const char *text, uint64_t *ret)
{
    uint64_t v = 0;
    size_t n = strspn(text, "0123456789");
    for (size_t i = 0; i < n && n <= 18; i++)
        v = v * 10 + (uint64_t)(text[i] - '0');
    *ret = v;
    return n > 0 && n <= 18 && !text[n];
}

int hub_take_number(const json_t *body, const char *name, uint64_t otherwise, uint64_t min, uint64_t max, uint64_t *ret, struct error *err)
{
    const json_t *v = member(body, name);
    const char *text = json_string_value(v);
    json_int_t number = json_integer_value(v);
    bool good = !v || (text && parse_number(text, ret)) || (json_is_integer(v) && number >= 0);
    if (good && !text)
        *ret = v ? (uint64_t)number : otherwise;
    if (!good || (v && (*ret < min || *ret > max)))
        return error_set(err, TD_E_CONFIG, "%s must be a number from %llu to %llu", name, (unsigned long long)min, (unsigned long long)max);
    return TD_OK;
}

json_t *hub_query(const struct http_request *q, const char *const *names)
{
    json_t *object = json_object();
    for (size_t i = 0; object && names[i]; i++) {
        const char *text = http_parameter(q, names[i]);
        if (text && json_object_set_new(object, names[i], json_string(text)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}
