#include "cli/call_table.h"

#include "base/json.h"
#include "base/units.h"
#include "base/utf8.h"

enum {
    TARGET = 3,
    STATUS = 4,
    LATENCY = 5,
    FROM = 6,
    TO = 7,
    TARGET_MIN = 16,
    HEX_ROWS = 16,   /* of a body that is not text */
    TEXT_LINES = 64, /* of a body that is */
};

static const struct {
    const char *title;
    unsigned width;
} layout[CALL_TABLE_COLUMNS] = {{"TIME", 15},  {"PROTO", 5},   {"METHOD", 7}, {"TARGET", 0},
                                {"STATUS", 8}, {"LATENCY", 8}, {"FROM", 21},  {"TO", 21}};

void call_table_init(struct call_table *t, unsigned width, bool colour)
{
    t->colour = colour;
    t->last = TO;
    unsigned used = 0;
    for (int i = 0; i < CALL_TABLE_COLUMNS; i++)
        used += layout[i].width + (i ? 2 : 0);
    t->with_from = used + TARGET_MIN <= width;
    if (!t->with_from)
        used -= layout[FROM].width + 2;
    if (used + TARGET_MIN > width) {
        used -= layout[TO].width + 2;
        t->last = LATENCY;
    }
    t->target_width = width > used + TARGET_MIN ? width - used : TARGET_MIN; /* it takes the room that is left */
}

static bool is_shown(const struct call_table *t, int i)
{
    return i <= t->last && (i != FROM || t->with_from);
}

static unsigned column_width(const struct call_table *t, int i)
{
    return i == TARGET ? t->target_width : layout[i].width;
}

/* Pads or cuts the text that begins at `from` to `width` characters; UTF-8 is not cut in two. */
static void fit(struct buf *out, size_t from, unsigned width, bool last)
{
    size_t at = from, chars = 0;
    for (; at < out->n; at++) {
        if ((out->p[at] & 0xc0) == 0x80)
            continue;
        if (chars == width)
            break;
        chars++;
    }
    if (at < out->n) { /* too long: the last character becomes an ellipsis */
        while (at > from && (out->p[at - 1] & 0xc0) == 0x80)
            at--;
        out->n = at > from ? at - 1 : from;
        buf_lit(out, "\xe2\x80\xa6");
    }
    for (; !last && chars < width; chars++)
        buf_putc(out, ' ');
}

void call_table_put_header(struct buf *out, const struct call_table *t)
{
    if (t->colour)
        buf_lit(out, "\033[1m");
    for (int i = 0; i <= t->last; i++) {
        if (!is_shown(t, i))
            continue;
        if (i)
            buf_lit(out, "  ");
        size_t from = out->n;
        buf_puts(out, layout[i].title);
        fit(out, from, column_width(t, i), i == t->last);
    }
    if (t->colour)
        buf_lit(out, "\033[0m");
    buf_putc(out, '\n');
}

/* Red: it failed or is not whole. Statuses are 400 and up for HTTP, anything but NOERROR for DNS. */
static const char *row_colour(struct td_slice status, bool complete)
{
    bool failed =
        (status.n == 3 && (status.p[0] == '4' || status.p[0] == '5')) ||
        (status.n && (status.p[0] < '0' || status.p[0] > '9') && !td_eq(status, TD_LIT("NOERROR")) && !td_eq(status, TD_LIT("OK")));
    if (failed)
        return "\033[31m";
    return complete ? NULL : "\033[33m";
}

void call_table_put_cells(struct buf *out, const struct call_table *t, const struct td_slice cells[CALL_TABLE_COLUMNS], bool complete)
{
    const char *colour = t->colour ? row_colour(cells[STATUS], complete) : NULL;
    if (colour)
        buf_puts(out, colour);
    for (int i = 0; i <= t->last; i++) {
        struct td_slice cell = cells[i];
        if (!is_shown(t, i))
            continue;
        if (i)
            buf_lit(out, "  ");
        size_t from = out->n;
        if (i == 0 && cell.n == 30) /* 2026-01-02T03:04:05.000006789Z: the time of day, to microseconds */
            cell = td_sub(cell, 11, 26);
        buf_put_slice(out, cell);
        fit(out, from, column_width(t, i), i == t->last);
    }
    if (colour)
        buf_lit(out, "\033[0m");
    buf_putc(out, '\n');
}

void call_table_put_row(struct buf *out, const struct call_table *t, const struct td_call *c)
{
    struct td_slice cells[CALL_TABLE_COLUMNS];
    size_t ends[CALL_TABLE_COLUMNS];
    struct buf text = {0};
    for (int i = 0; i < CALL_TABLE_COLUMNS; i++) {
        column_put(&text, &t->columns.v[i], c);
        ends[i] = text.n;
    }
    for (int i = 0; i < CALL_TABLE_COLUMNS; i++)
        cells[i] = td_sub(buf_slice(&text), i ? ends[i - 1] : 0, ends[i]);
    out->failed |= text.failed;
    call_table_put_cells(out, t, cells, call_complete(c));
    buf_clear(&text);
}

/* ---- Payload ---- */

static void put_hex(struct buf *out, struct td_slice bytes)
{
    for (size_t at = 0; at < bytes.n && at < HEX_ROWS * 16; at += 16) {
        buf_printf(out, "    %08zx ", at);
        for (size_t i = at; i < at + 16; i++)
            if (i < bytes.n)
                buf_printf(out, " %02x", bytes.p[i]);
            else
                buf_lit(out, "   ");
        buf_lit(out, "  ");
        for (size_t i = at; i < at + 16 && i < bytes.n; i++)
            buf_putc(out, (char)(bytes.p[i] >= 0x20 && bytes.p[i] < 0x7f ? bytes.p[i] : '.'));
        buf_putc(out, '\n');
    }
    if (bytes.n > HEX_ROWS * 16)
        buf_printf(out, "    ... %zu bytes in all\n", bytes.n);
}

static void put_lines(struct buf *out, struct td_slice text)
{
    size_t at = 0;
    for (size_t lines = 0; at < text.n && lines < TEXT_LINES; lines++) {
        const uint8_t *end = memchr(text.p + at, '\n', text.n - at);
        size_t stop = end ? (size_t)(end - text.p) : text.n;
        size_t shown = stop > at && text.p[stop - 1] == '\r' ? stop - 1 : stop;
        buf_lit(out, "    ");
        utf8_put_printable(out, td_sub(text, at, shown), UTF8_PROSE);
        buf_putc(out, '\n');
        at = stop + 1;
    }
    if (at < text.n)
        buf_printf(out, "    ... %zu bytes in all\n", text.n);
}

static void put_body(struct buf *out, const struct call_body *body)
{
    struct td_slice bytes = buf_slice(&body->bytes);
    if (!bytes.n)
        return;
    if (json_is_utf8(bytes) && !memchr(bytes.p, 0, bytes.n))
        put_lines(out, bytes);
    else
        put_hex(out, bytes);
    if (body->cut)
        buf_lit(out, "    (cut: memory limit)\n");
}

static void put_half(struct buf *out, const struct td_call *c, uint8_t group, const char *arrow)
{
    for (uint32_t i = 0; i < c->fields->n; i++) {
        const struct field *f = &c->fields->fields[i];
        struct call_value v;
        uint32_t at = 0;
        if (f->group != group || !call_has(c, i))
            continue;
        const struct call_body *body = f->flags & TD_F_BODY ? call_get_body(c, i) : NULL;
        if (body) {
            put_body(out, body);
            continue;
        }
        while ((f->type == TD_MAP || f->flags & TD_F_LIST) && call_next_value(c, i, &at, &v)) {
            if (f->type == TD_MAP && td_starts(f->key, TD_LIT("cookies")))
                continue; /* they stand in the headers already */
            buf_puts(out, arrow);
            if (f->type == TD_MAP) {
                utf8_put_printable(out, v.name, UTF8_PROSE);
                buf_lit(out, ": ");
            }
            utf8_put_printable(out, v.bytes, UTF8_PROSE);
            buf_putc(out, '\n');
        }
    }
}

void call_put_payload(struct buf *out, const struct td_call *c)
{
    put_half(out, c, FIELD_REQUEST, "  > ");
    put_half(out, c, FIELD_RESPONSE, "  < ");
    buf_putc(out, '\n');
}
