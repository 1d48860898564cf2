#include "diagnostic.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "base/utf8.h"

enum { MAX_MEMORY = 256 << 10, MAX_MESSAGE = 600, MAX_FIX = 4096 };

void filter_diagnostics_init(struct filter_diagnostics *d)
{
    *d = (struct filter_diagnostics){0};
    arena_init(&d->arena, MAX_MEMORY);
}

void filter_diagnostics_clear(struct filter_diagnostics *d)
{
    arena_clear(&d->arena);
    filter_diagnostics_init(d);
}

static const struct filter_diagnostic *find_same(const struct filter_diagnostics *d, struct filter_span span, const char *message)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (d->v[i].span.from == span.from && d->v[i].span.to == span.to && strcmp(d->v[i].message, message) == 0)
            return &d->v[i];
    return NULL;
}

static void add(struct filter_diagnostics *d, enum filter_severity severity, struct filter_span span, const char *code, const char *fmt,
                va_list args)
{
    char message[MAX_MESSAGE];
    if (!d)
        return;
    vsnprintf(message, sizeof(message), fmt, args);
    d->last = NULL;
    d->arena.max = MAX_MEMORY; /* of a zeroed list, too */
    if (find_same(d, span, message))
        return;
    d->fault_n += severity == FILTER_FAULT;
    if (!d->v)
        d->v = arena_alloc(&d->arena, FILTER_MAX_DIAGNOSTICS * sizeof(*d->v), alignof(struct filter_diagnostic));
    const char *copy = d->v && d->n < FILTER_MAX_DIAGNOSTICS ? arena_strndup(&d->arena, message, strlen(message)) : NULL;
    if (!copy) {
        d->cut = true;
        return;
    }
    d->last = &d->v[d->n++];
    *d->last = (struct filter_diagnostic){.span = span, .severity = (uint8_t)severity, .code = code, .message = copy};
}

void filter_fault(struct filter_diagnostics *d, struct filter_span span, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, FILTER_FAULT, span, code, fmt, args);
    va_end(args);
}

void filter_warning(struct filter_diagnostics *d, struct filter_span span, const char *code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    add(d, FILTER_WARNING, span, code, fmt, args);
    va_end(args);
}

void filter_add_fix(struct filter_diagnostics *d, struct filter_span span, struct td_slice text, const char *title, ...)
{
    char line[MAX_MESSAGE];
    va_list args;
    if (!d || !d->last || d->last->fix_n == FILTER_MAX_FIXES || text.n > MAX_FIX)
        return;
    va_start(args, title);
    vsnprintf(line, sizeof(line), title, args);
    va_end(args);
    struct filter_fix fix = {span, arena_strndup(&d->arena, (const char *)text.p, text.n), arena_strndup(&d->arena, line, strlen(line))};
    if (fix.text && fix.title)
        d->last->fixes[d->last->fix_n++] = fix;
}

void filter_put_fixed(struct buf *out, struct td_slice text, const struct filter_fix *fix)
{
    buf_put_slice(out, td_sub(text, 0, fix->span.from));
    buf_puts(out, fix->text);
    buf_put_slice(out, td_sub(text, fix->span.to, text.n));
}

/* ---- Places ---------------------------------------------------------------------------------------------------- */

/* How many characters begin in these bytes; what is not UTF-8 counts as one each. */
static uint32_t count_characters(struct td_slice s, bool utf16)
{
    uint32_t count = 0;
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_length(s.p + i, s.n - i);
        count += utf16 && n == 4 ? 2 : 1;
        i += n ? n : 1;
    }
    return count;
}

struct line {
    uint32_t number;      /* from 1 */
    struct td_slice text; /* without its end */
    size_t from;          /* where it begins */
};

static struct line find_line(struct td_slice text, size_t at)
{
    struct line line = {1, text, 0};
    if (at > text.n)
        at = text.n;
    for (size_t i = 0; i < at; i++)
        if (text.p[i] == '\n') {
            line.number++;
            line.from = i + 1;
        }
    line.text = td_sub(text, line.from, text.n);
    const uint8_t *end = line.text.n ? memchr(line.text.p, '\n', line.text.n) : NULL;
    if (end)
        line.text.n = (size_t)(end - line.text.p);
    return line;
}

/* Columns that text takes on a terminal, once made printable. */
static uint32_t count_columns(struct td_slice s)
{
    struct buf shown;
    buf_init(&shown, 0);
    utf8_put_printable(&shown, s, UTF8_PROSE);
    uint32_t n = count_characters(buf_slice(&shown), false);
    buf_clear(&shown);
    return n;
}

/* Blanks as wide as the text; tabs stay tabs, however wide they are. */
static void put_blanks(struct buf *out, struct td_slice s)
{
    for (size_t i = 0; i < s.n;) {
        size_t n = utf8_length(s.p + i, s.n - i);
        n = n ? n : 1;
        if (s.p[i] == '\t')
            buf_putc(out, '\t');
        else
            buf_printf(out, "%*s", (int)count_columns(td_sub(s, i, i + n)), "");
        i += n;
    }
}

static void put_place(struct buf *out, const struct filter_diagnostic *d, struct td_slice text)
{
    struct line line = find_line(text, d->span.from);
    size_t from = d->span.from - line.from, to = d->span.to > d->span.from ? d->span.to - line.from : from;
    uint32_t under = count_columns(td_sub(line.text, from, to));
    buf_lit(out, "    ");
    utf8_put_printable(out, line.text, UTF8_PROSE);
    buf_lit(out, "\n    ");
    put_blanks(out, td_sub(line.text, 0, from));
    buf_putc(out, '^');
    for (uint32_t i = 1; i < under; i++)
        buf_putc(out, '~');
    buf_putc(out, '\n');
}

void filter_diagnostics_put_text(struct buf *out, const struct filter_diagnostics *d, struct td_slice text)
{
    for (uint32_t i = 0; i < d->n; i++) {
        const struct filter_diagnostic *one = &d->v[i];
        struct line line = find_line(text, one->span.from);
        buf_printf(out, "%u:%u: %s: ", line.number, count_characters(td_sub(text, line.from, one->span.from), false) + 1,
                   one->severity == FILTER_FAULT ? "error" : "warning");
        utf8_put_printable(out, td_str(one->message), UTF8_PROSE);
        buf_putc(out, '\n');
        put_place(out, one, text);
        for (uint32_t f = 0; f < one->fix_n; f++) {
            buf_lit(out, "    ");
            utf8_put_printable(out, td_str(one->fixes[f].title), UTF8_PROSE);
            buf_lit(out, ": ");
            utf8_put_printable(out, td_str(one->fixes[f].text), UTF8_PROSE);
            buf_putc(out, '\n');
        }
    }
    if (d->cut)
        buf_lit(out, "and more\n");
}

static void put_span_json(struct buf *out, struct filter_span span, struct td_slice text)
{
    buf_printf(out, "\"from\":%u,\"to\":%u,\"from_utf16\":%u,\"to_utf16\":%u", span.from, span.to,
               count_characters(td_sub(text, 0, span.from), true), count_characters(td_sub(text, 0, span.to), true));
}

void filter_diagnostics_put_json(struct buf *out, const struct filter_diagnostics *d, struct td_slice text)
{
    buf_putc(out, '[');
    for (uint32_t i = 0; i < d->n; i++) {
        const struct filter_diagnostic *one = &d->v[i];
        buf_puts(out, i ? ",{" : "{");
        put_span_json(out, one->span, text);
        buf_printf(out, ",\"severity\":\"%s\",\"code\":\"%s\",\"message\":", one->severity == FILTER_FAULT ? "error" : "warning",
                   one->code);
        json_put_string(out, td_str(one->message));
        buf_lit(out, ",\"fixes\":[");
        for (uint32_t f = 0; f < one->fix_n; f++) {
            buf_puts(out, f ? ",{" : "{");
            put_span_json(out, one->fixes[f].span, text);
            buf_lit(out, ",\"text\":");
            json_put_string(out, td_str(one->fixes[f].text));
            buf_lit(out, ",\"title\":");
            json_put_string(out, td_str(one->fixes[f].title));
            buf_putc(out, '}');
        }
        buf_lit(out, "]}");
    }
    buf_putc(out, ']');
}

int filter_diagnostics_error(const struct filter_diagnostics *d, struct td_slice text, struct error *err)
{
    for (uint32_t i = 0; i < d->n; i++)
        if (d->v[i].severity == FILTER_FAULT) {
            struct line line = find_line(text, d->v[i].span.from);
            return error_set(err, TD_E_CONFIG, "filter:%u:%u: %s", line.number,
                             count_characters(td_sub(text, line.from, d->v[i].span.from), false) + 1, d->v[i].message);
        }
    return d->fault_n ? error_nomem(err) : TD_OK;
}
