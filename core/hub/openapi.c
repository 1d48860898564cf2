/* The description of the API, made from the tables of its routes: OpenAPI 3.1. */
#include <stdio.h>

#include "base/json.h"
#include "base/json_object.h"
#include "hub/routes.h"

static void put_raw(struct buf *b, const char *key, const char *json)
{
    json_put_key(b, key);
    buf_puts(b, json);
}

static bool is_in_path(const char *path, const char *name)
{
    char braced[80];
    snprintf(braced, sizeof(braced), "{%s}", name);
    return strstr(path, braced) != NULL;
}

static void put_parameters(struct buf *b, const struct hub_route *r)
{
    json_put_key(b, "parameters");
    buf_putc(b, '[');
    for (const struct hub_parameter *p = r->parameters; p && p->name; p++) {
        bool in_path = is_in_path(r->path, p->name);
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_text(b, "name", p->name);
        json_put_text(b, "in", in_path ? "path" : "query");
        json_put_bool(b, "required", in_path || p->required);
        json_put_text(b, "description", p->help);
        put_raw(b, "schema", p->schema);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
}

static void put_answers(struct buf *b, const struct hub_route *r)
{
    char status[16];
    json_put_key(b, "responses");
    buf_putc(b, '{');
    for (const struct hub_answer *a = r->answers; a->status; a++) {
        snprintf(status, sizeof(status), "%u", a->status);
        json_put_key(b, status);
        buf_putc(b, '{');
        json_put_text(b, "description", a->help);
        if (a->type) {
            json_put_key(b, "content");
            buf_putc(b, '{');
            put_raw(b, a->type, strcmp(a->type, JSON_TYPE) == 0 ? "{\"schema\":{}}" : "{\"schema\":{\"type\":\"string\"}}");
            buf_putc(b, '}');
        }
        buf_putc(b, '}');
    }
    put_raw(b, "default", "{\"$ref\":\"#/components/responses/problem\"}");
    buf_putc(b, '}');
}

static void put_operation(struct buf *b, const struct hub_subject *s, const struct hub_route *r)
{
    char method[16];
    size_t n = 0;
    for (; r->method[n] && n + 1 < sizeof(method); n++)
        method[n] = (char)(r->method[n] | 0x20);
    method[n] = '\0';
    json_put_key(b, method);
    buf_putc(b, '{');
    json_put_text(b, "operationId", r->id);
    json_put_text(b, "summary", r->summary);
    json_put_key(b, "tags");
    buf_putc(b, '[');
    json_put_string(b, td_str(s->name));
    buf_putc(b, ']');
    put_raw(b, "security", r->needs == HTTP_ANYONE ? "[]" : "[{\"bearer\":[]},{}]");
    json_put_text(b, "x-role", http_role_name(r->needs));
    put_parameters(b, r);
    if (r->body) {
        json_put_key(b, "requestBody");
        buf_lit(b, "{\"required\":true,\"content\":{\"" JSON_TYPE "\":{");
        put_raw(b, "schema", r->body);
        buf_lit(b, "}}}");
    }
    if (r->max_body == HTTP_BODY_TAKEN)
        put_raw(b, "requestBody", "{\"required\":true,\"content\":{\"application/octet-stream\":{\"schema\":{}}}}");
    put_answers(b, r);
    buf_putc(b, '}');
}

/* Is it the first route of this path? */
static bool is_first(const struct hub_route *of)
{
    const struct hub_subject *s;
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++)
        for (size_t k = 0; k < s->n; k++)
            if (strcmp(s->v[k].path, of->path) == 0)
                return &s->v[k] == of;
    return false;
}

static void put_path(struct buf *b, const char *path)
{
    const struct hub_subject *s;
    json_put_key(b, path);
    buf_putc(b, '{');
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++)
        for (size_t k = 0; k < s->n; k++)
            if (strcmp(s->v[k].path, path) == 0)
                put_operation(b, s, &s->v[k]);
    buf_putc(b, '}');
}

static void put_components(struct buf *b)
{
    put_raw(
        b, "components",
        "{\"securitySchemes\":{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\",\"description\":\"A token with the role that x-role "
        "names, or a higher one: viewer, operator, admin. Without tokens, everybody who reaches the hub is an admin.\"}},"
        "\"responses\":{\"problem\":{\"description\":\"What is wrong, why, and what to do (RFC 9457)\",\"content\":{"
        "\"application/problem+json\":{\"schema\":{\"$ref\":\"#/components/schemas/problem\"}}}}},"
        "\"schemas\":{\"problem\":{\"type\":\"object\",\"required\":[\"type\",\"title\",\"status\",\"detail\",\"code\"],\"properties\":{"
        "\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},\"status\":{\"type\":\"integer\"},"
        "\"detail\":{\"type\":\"string\"},\"code\":{\"type\":\"string\",\"description\":\"A stable name, for programs\"}}}}}");
}

void hub_put_openapi(struct buf *b, const char *version)
{
    const struct hub_subject *s;
    buf_putc(b, '{');
    json_put_text(b, "openapi", "3.1.0");
    json_put_key(b, "info");
    buf_putc(b, '{');
    json_put_text(b, "title", "Tapedeck hub");
    json_put_text(b, "version", version);
    json_put_text(b, "summary", "Snapshots of a cluster's network traffic, and the calls in them");
    buf_putc(b, '}');
    json_put_key(b, "tags");
    buf_putc(b, '[');
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++) {
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_text(b, "name", s->name);
        json_put_text(b, "description", s->help);
        buf_putc(b, '}');
    }
    buf_putc(b, ']');
    json_put_key(b, "paths");
    buf_putc(b, '{');
    for (size_t i = 0; (s = hub_subject_at(i)) != NULL; i++)
        for (size_t k = 0; k < s->n; k++)
            if (is_first(&s->v[k]))
                put_path(b, s->v[k].path);
    buf_putc(b, '}');
    put_components(b);
    buf_lit(b, "}\n");
}
