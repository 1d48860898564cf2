#include "yaml_out.h"

#include <stdlib.h>
#include <strings.h>

#include "base/json.h"

enum { MAX_DEPTH = 64 };

/* A container that is being written. */
struct level {
    const json_t *container;
    void *member; /* of an object: the next */
    size_t index; /* of an array: the next */
    int indent;
    bool begun; /* its first line has its place already, behind a dash */
};

static bool is_plain(const char *text, size_t n)
{
    static const char *const words[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
    if (n == 0 || !((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z'))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./", text[i]) || !text[i])
            return false;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strcasecmp(words[i], text) == 0)
            return false;
    return true;
}

static void put_text(struct buf *out, const char *text, size_t n)
{
    if (is_plain(text, n))
        buf_put(out, text, n);
    else
        json_put_string(out, td_bytes(text, n));
}

/* On one line: scalars, empty containers, and what is nested too deep. */
static void put_inline(struct buf *out, const json_t *value)
{
    if (json_is_string(value)) {
        put_text(out, json_string_value(value), json_string_length(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text)
        buf_puts(out, text);
    else
        out->failed = true;
    free(text);
}

static bool is_inline(const json_t *value, size_t depth)
{
    bool nested = json_is_object(value) ? json_object_size(value) > 0 : json_array_size(value) > 0;
    return !nested || depth == MAX_DEPTH;
}

static void put_indent(struct buf *out, struct level *l)
{
    for (int i = 0; !l->begun && i < l->indent; i++)
        buf_putc(out, ' ');
    l->begun = false;
}

/* The next member of the container, up to where its value begins; NULL: there is none. */
static const json_t *next(struct buf *out, struct level *l)
{
    const json_t *value;
    if (json_is_array(l->container)) {
        value = json_array_get(l->container, l->index++);
        if (value) {
            put_indent(out, l);
            buf_putc(out, '-');
        }
        return value;
    }
    if (!l->member)
        return NULL;
    value = json_object_iter_value(l->member);
    put_indent(out, l);
    put_text(out, json_object_iter_key(l->member), strlen(json_object_iter_key(l->member)));
    buf_putc(out, ':');
    l->member = json_object_iter_next((json_t *)l->container, l->member);
    return value;
}

static struct level begin(const json_t *container, int indent, bool begun)
{
    return (struct level){container, json_object_iter((json_t *)container), 0, indent, begun};
}

void yaml_put_json(struct buf *out, const json_t *value)
{
    struct level levels[MAX_DEPTH];
    size_t depth = 0;
    if (is_inline(value, 0)) {
        put_inline(out, value);
        buf_putc(out, '\n');
        return;
    }
    levels[depth++] = begin(value, 0, false);
    while (depth) {
        struct level *l = &levels[depth - 1];
        bool in_array = json_is_array(l->container);
        value = next(out, l);
        if (!value) {
            depth--;
        } else if (is_inline(value, depth)) {
            buf_putc(out, ' ');
            put_inline(out, value);
            buf_putc(out, '\n');
        } else {
            buf_putc(out, in_array ? ' ' : '\n');
            levels[depth++] = begin(value, l->indent + 2, in_array);
        }
    }
}
