#include "net/http_target.h"

#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/nearest.h"

enum part { PART_SEGMENT, PART_NAME, PART_VALUE };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place: what is decoded is never longer. */
static int decode(char *text, enum part part, struct error *err)
{
    char *out = text;
    for (const char *s = text; *s; s++) {
        char c = *s;
        if (c == '%') {
            int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
            if (low < 0)
                return error_set(err, TD_E_CONFIG, "the address has a percent sign without two hexadecimal digits behind it");
            c = (char)(high << 4 | low);
            s += 2;
        } else if (c == '+' && part != PART_SEGMENT) {
            c = ' ';
        }
        if (c == 0 || (part != PART_VALUE && ((unsigned char)c < 0x20 || c == 0x7f)))
            return error_set(err, TD_E_CONFIG, "the address has a control character in it");
        *out++ = c;
    }
    *out = '\0';
    if (!json_is_utf8(td_bytes(text, (size_t)(out - text))))
        return error_set(err, TD_E_CONFIG, "the address is not UTF-8");
    return TD_OK;
}

static int add_segment(struct http_target *t, char *text, struct error *err)
{
    if (t->segment_count == HTTP_MAX_SEGMENTS)
        return error_set(err, TD_E_CONFIG, "the path has more than %d segments", HTTP_MAX_SEGMENTS);
    int status = decode(text, PART_SEGMENT, err);
    if (status != TD_OK)
        return status;
    if (strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return error_set(err, TD_E_CONFIG, "the path has a segment \"%s\"; it has to be whole", text);
    t->segments[t->segment_count++] = text;
    return TD_OK;
}

static int add_parameter(struct http_target *t, char *text, struct error *err)
{
    if (!*text)
        return TD_OK;
    if (t->parameter_count == HTTP_MAX_PARAMETERS)
        return error_set(err, TD_E_CONFIG, "the query has more than %d parameters", HTTP_MAX_PARAMETERS);
    char *value = strchr(text, '=');
    if (value)
        *value++ = '\0';
    else
        value = text + strlen(text);
    int status = decode(text, PART_NAME, err);
    if (status == TD_OK)
        status = decode(value, PART_VALUE, err);
    if (status == TD_OK)
        t->parameters[t->parameter_count++] = (struct http_parameter){text, value};
    return status;
}

/* Behind scheme and authority, which a proxy may have left in front (RFC 9112 section 3.2.2). */
static char *path_of(char *text)
{
    size_t scheme = strncasecmp(text, "http://", 7) == 0 ? 7 : strncasecmp(text, "https://", 8) == 0 ? 8 : 0;
    return scheme ? text + scheme + strcspn(text + scheme, "/?") : text;
}

int http_target_parse(char *text, struct http_target *ret, struct error *err)
{
    int status = TD_OK;
    char *path = path_of(text);
    *ret = (struct http_target){.segment_count = 0};
    if (strchr(text, '#') || (path == text && *text != '/'))
        return error_set(err, TD_E_CONFIG, "the address is not a path");
    char *query = strchr(path, '?');
    if (query)
        *query++ = '\0';
    if (*path == '/')
        path++;
    for (char *next; status == TD_OK && path && (*path || ret->segment_count); path = next) {
        next = strchr(path, '/');
        if (next)
            *next++ = '\0';
        status = add_segment(ret, path, err);
    }
    for (char *next; status == TD_OK && query; query = next) {
        next = strchr(query, '&');
        if (next)
            *next++ = '\0';
        status = add_parameter(ret, query, err);
    }
    return status;
}

static bool given_before(const struct http_target *t, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(t->parameters[k].name, t->parameters[i].name) == 0)
            return true;
    return false;
}

int http_target_check(const struct http_target *t, const char *const *known, struct error *err)
{
    for (size_t i = 0; i < t->parameter_count; i++) {
        const char *name = t->parameters[i].name;
        struct nearest nearest;
        bool found = false;
        nearest_init(&nearest, name);
        for (const char *const *k = known; k && *k && !found; k++) {
            found = strcmp(*k, name) == 0;
            nearest_try(&nearest, *k);
        }
        if (!found && nearest.best)
            return error_set(err, TD_E_CONFIG, "unknown parameter %.64s; did you mean %s?", name, nearest.best);
        if (!found)
            return error_set(err, TD_E_CONFIG, "unknown parameter %.64s", name);
        if (given_before(t, i))
            return error_set(err, TD_E_CONFIG, "parameter %s is given twice", name);
    }
    return TD_OK;
}

/* The next segment of a pattern, which moves behind it and its slash. */
static struct td_slice next_segment(const char **pattern)
{
    const char *begin = *pattern;
    size_t n = strcspn(begin, "/");
    *pattern = begin + n + (begin[n] == '/');
    return td_bytes(begin, n);
}

static bool is_name(struct td_slice s)
{
    return s.n > 2 && s.p[0] == '{' && s.p[s.n - 1] == '}';
}

bool http_target_fits(const struct http_target *t, const char *pattern)
{
    pattern += *pattern == '/';
    for (size_t i = 0; i < t->segment_count; i++) {
        if (!*pattern)
            return false;
        struct td_slice want = next_segment(&pattern);
        if (is_name(want) ? !*t->segments[i] : !td_eq(want, td_str(t->segments[i])))
            return false;
    }
    return !*pattern;
}

const char *http_target_segment(const struct http_target *t, const char *pattern, const char *name)
{
    pattern += *pattern == '/';
    for (size_t i = 0; i < t->segment_count && *pattern; i++) {
        struct td_slice want = next_segment(&pattern);
        if (is_name(want) && td_eq(td_sub(want, 1, want.n - 1), td_str(name)))
            return t->segments[i];
    }
    return NULL;
}
