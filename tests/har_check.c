#include "har_check.h"

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum kind { STRING, URL, TIME, NUMBER, SIZE, MS, BOOLEAN, OBJECT, ARRAY };

struct property {
    const char *object, *name;
    enum kind kind;
    bool required;
    const char *of; /* OBJECT, and ARRAY's elements */
};

static const struct property properties[] = {
    {"file", "log", OBJECT, true, "log"},
    {"log", "version", STRING, true, NULL},
    {"log", "creator", OBJECT, true, "creator"},
    {"log", "browser", OBJECT, false, "creator"},
    {"log", "pages", ARRAY, false, "page"},
    {"log", "entries", ARRAY, true, "entry"},
    {"log", "comment", STRING, false, NULL},
    {"creator", "name", STRING, true, NULL},
    {"creator", "version", STRING, true, NULL},
    {"creator", "comment", STRING, false, NULL},
    {"page", "startedDateTime", TIME, true, NULL},
    {"page", "id", STRING, true, NULL},
    {"page", "title", STRING, true, NULL},
    {"page", "pageTimings", OBJECT, true, "pageTimings"},
    {"page", "comment", STRING, false, NULL},
    {"pageTimings", "onContentLoad", SIZE, false, NULL},
    {"pageTimings", "onLoad", SIZE, false, NULL},
    {"pageTimings", "comment", STRING, false, NULL},
    {"entry", "pageref", STRING, false, NULL},
    {"entry", "startedDateTime", TIME, true, NULL},
    {"entry", "time", MS, true, NULL},
    {"entry", "request", OBJECT, true, "request"},
    {"entry", "response", OBJECT, true, "response"},
    {"entry", "cache", OBJECT, true, "cache"},
    {"entry", "timings", OBJECT, true, "timings"},
    {"entry", "serverIPAddress", STRING, false, NULL},
    {"entry", "connection", STRING, false, NULL},
    {"entry", "comment", STRING, false, NULL},
    {"request", "method", STRING, true, NULL},
    {"request", "url", URL, true, NULL},
    {"request", "httpVersion", STRING, true, NULL},
    {"request", "cookies", ARRAY, true, "cookie"},
    {"request", "headers", ARRAY, true, "pair"},
    {"request", "queryString", ARRAY, true, "pair"},
    {"request", "postData", OBJECT, false, "postData"},
    {"request", "headersSize", SIZE, true, NULL},
    {"request", "bodySize", SIZE, true, NULL},
    {"request", "comment", STRING, false, NULL},
    {"response", "status", NUMBER, true, NULL},
    {"response", "statusText", STRING, true, NULL},
    {"response", "httpVersion", STRING, true, NULL},
    {"response", "cookies", ARRAY, true, "cookie"},
    {"response", "headers", ARRAY, true, "pair"},
    {"response", "content", OBJECT, true, "content"},
    {"response", "redirectURL", STRING, true, NULL},
    {"response", "headersSize", SIZE, true, NULL},
    {"response", "bodySize", SIZE, true, NULL},
    {"response", "comment", STRING, false, NULL},
    {"cookie", "name", STRING, true, NULL},
    {"cookie", "value", STRING, true, NULL},
    {"cookie", "path", STRING, false, NULL},
    {"cookie", "domain", STRING, false, NULL},
    {"cookie", "expires", TIME, false, NULL},
    {"cookie", "httpOnly", BOOLEAN, false, NULL},
    {"cookie", "secure", BOOLEAN, false, NULL},
    {"cookie", "comment", STRING, false, NULL},
    {"pair", "name", STRING, true, NULL},
    {"pair", "value", STRING, true, NULL},
    {"pair", "comment", STRING, false, NULL},
    {"postData", "mimeType", STRING, true, NULL},
    {"postData", "params", ARRAY, true, "parameter"},
    {"postData", "text", STRING, true, NULL},
    {"postData", "comment", STRING, false, NULL},
    {"parameter", "name", STRING, true, NULL},
    {"parameter", "value", STRING, false, NULL},
    {"parameter", "fileName", STRING, false, NULL},
    {"parameter", "contentType", STRING, false, NULL},
    {"parameter", "comment", STRING, false, NULL},
    {"content", "size", SIZE, true, NULL},
    {"content", "compression", NUMBER, false, NULL},
    {"content", "mimeType", STRING, true, NULL},
    {"content", "text", STRING, false, NULL},
    {"content", "encoding", STRING, false, NULL},
    {"content", "comment", STRING, false, NULL},
    {"cache", "beforeRequest", OBJECT, false, "cacheState"},
    {"cache", "afterRequest", OBJECT, false, "cacheState"},
    {"cache", "comment", STRING, false, NULL},
    {"cacheState", "expires", TIME, false, NULL},
    {"cacheState", "lastAccess", TIME, true, NULL},
    {"cacheState", "eTag", STRING, true, NULL},
    {"cacheState", "hitCount", NUMBER, true, NULL},
    {"cacheState", "comment", STRING, false, NULL},
    {"timings", "blocked", NUMBER, false, NULL},
    {"timings", "dns", NUMBER, false, NULL},
    {"timings", "connect", NUMBER, false, NULL},
    {"timings", "send", MS, true, NULL},
    {"timings", "wait", MS, true, NULL},
    {"timings", "receive", MS, true, NULL},
    {"timings", "ssl", NUMBER, false, NULL},
    {"timings", "comment", STRING, false, NULL},
};
enum { PROPERTIES = sizeof(properties) / sizeof(properties[0]) };

static bool complain(struct har_check *c, const char *object, const char *name, const char *what)
{
    if (!c->fault[0])
        snprintf(c->fault, sizeof(c->fault), "entry %zu: %s.%.60s %s", c->entries, object, name, what);
    return false;
}

/* A scheme, an authority that begins with a letter, a digit or a bracket, and no byte that RFC 3986 has no place for. */
static bool is_url(const char *s)
{
    size_t scheme = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");
    if (!scheme || strncmp(s + scheme, "://", 3) != 0 || !s[scheme + 3] || strchr("/?", s[scheme + 3]))
        return false;
    for (; *s; s++)
        if (*s <= ' ' || *s >= 0x7f || strchr("\"#<>\\^`{|}", *s))
            return false;
    return true;
}

/* RFC 3339 in UTC, with a fraction. */
static bool is_time(const char *s)
{
    static const char form[] = "0000-00-00T00:00:00.000";
    size_t n = strspn(s, "0123456789-T:.");
    for (size_t i = 0; i < sizeof(form) - 1; i++)
        if (form[i] == '0' ? (unsigned)(s[i] - '0') > 9 : s[i] != form[i])
            return false;
    return n >= sizeof(form) - 1 && strcmp(s + n, "Z") == 0;
}

static bool is_of_kind(const json_t *v, enum kind kind)
{
    switch (kind) {
    case STRING: return json_is_string(v);
    case URL: return json_is_string(v) && is_url(json_string_value(v));
    case TIME: return json_is_string(v) && is_time(json_string_value(v));
    case NUMBER: return json_is_number(v);
    case SIZE: return json_is_integer(v) && json_integer_value(v) >= -1;
    case MS: return json_is_number(v) && json_number_value(v) >= 0;
    case BOOLEAN: return json_is_boolean(v);
    case OBJECT: return json_is_object(v);
    default: return json_is_array(v);
    }
}

static bool has_only_known(struct har_check *c, const json_t *v, const char *object)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)v, name, value)
    {
        bool known = name[0] == '_';
        for (size_t i = 0; i < PROPERTIES && !known; i++)
            known = strcmp(properties[i].object, object) == 0 && strcmp(properties[i].name, name) == 0;
        if (!known)
            return complain(c, object, name, "is not in the specification");
    }
    return true;
}

static bool add_up(struct har_check *c, const json_t *entry)
{
    static const char *const parts[] = {"blocked", "dns", "connect", "send", "wait", "receive"};
    double sum = 0, time = json_number_value(json_object_get(entry, "time"));
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        double part = json_number_value(json_object_get(json_object_get(entry, "timings"), parts[i]));
        sum += part > 0 ? part : 0;
    }
    return fabs(sum - time) <= 1e-6 + time * 1e-12 || complain(c, "entry", "time", "is not the sum of the timings");
}

/* As deep as the specification, no deeper. */
static bool check_object(struct har_check *c, const json_t *v, const char *object)
{
    if (!json_is_object(v))
        return complain(c, object, "", "is not an object");
    for (size_t i = 0; i < PROPERTIES; i++) {
        const struct property *p = &properties[i];
        const json_t *value = strcmp(p->object, object) == 0 ? json_object_get(v, p->name) : NULL;
        if (strcmp(p->object, object) != 0 || (!value && !p->required))
            continue;
        if (!value)
            return complain(c, object, p->name, "is missing");
        if (!is_of_kind(value, p->kind))
            return complain(c, object, p->name, "is not what it should be");
        if (p->kind == OBJECT && !check_object(c, value, p->of))
            return false;
        for (size_t j = 0; p->kind == ARRAY && j < json_array_size(value); j++) {
            if (!check_object(c, json_array_get(value, j), p->of))
                return false;
            c->entries += strcmp(p->of, "entry") == 0;
        }
    }
    return has_only_known(c, v, object) && (strcmp(object, "entry") != 0 || add_up(c, v));
}

struct har_check har_check(const char *text, size_t n)
{
    struct har_check c = {0};
    json_error_t error;
    json_t *file = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    if (file)
        check_object(&c, file, "file");
    else
        snprintf(c.fault, sizeof(c.fault), "not JSON: %s, at byte %d", error.text, error.position);
    json_decref(file);
    return c;
}
