#include "snapshot/manifest.h"

#include "base/json.h"
#include "base/units.h"

/* Before another member or element. */
static void put_comma(struct buf *b)
{
    if (b->n && b->p[b->n - 1] != '{' && b->p[b->n - 1] != '[') /* empty: out of memory */
        buf_putc(b, ',');
}

static void put_key(struct buf *b, const char *key)
{
    put_comma(b);
    json_put_string(b, td_str(key));
    buf_putc(b, ':');
}

/* NULL: null. */
static void put_text(struct buf *b, const char *key, const char *text)
{
    put_key(b, key);
    if (text)
        json_put_string(b, td_str(text));
    else
        buf_lit(b, "null");
}

static void put_number(struct buf *b, const char *key, uint64_t v)
{
    put_key(b, key);
    buf_u64(b, v);
}

static void put_bool(struct buf *b, const char *key, bool v)
{
    put_key(b, key);
    buf_puts(b, v ? "true" : "false");
}

static void put_time(struct buf *b, const char *key, int64_t ns)
{
    char text[UNITS_TEXT];
    units_format_time(ns, text);
    put_text(b, key, text);
}

static void put_object(struct buf *b, const char *key, const struct manifest_object *o)
{
    static const char digits[] = "0123456789abcdef";
    put_key(b, key);
    buf_putc(b, '{');
    put_text(b, "key", o->key);
    put_number(b, "bytes", o->bytes);
    put_key(b, "sha256");
    buf_putc(b, '"');
    for (size_t i = 0; i < MANIFEST_SHA256; i++) {
        buf_putc(b, digits[o->sha256[i] >> 4]);
        buf_putc(b, digits[o->sha256[i] & 15]);
    }
    buf_lit(b, "\"}");
}

static void put_segment(struct buf *b, const struct manifest_segment *s)
{
    put_comma(b);
    buf_lit(b, "\n{");
    put_number(b, "sequence", s->sequence);
    put_bool(b, "trimmed", s->trimmed);
    put_number(b, "packets", s->packets);
    put_number(b, "captured_bytes", s->captured_bytes);
    if (s->packets) {
        put_time(b, "first", s->first_ns);
        put_time(b, "last", s->last_ns);
    } else {
        put_text(b, "first", NULL);
        put_text(b, "last", NULL);
    }
    put_object(b, "data", &s->data);
    put_object(b, "index", &s->index);
    buf_putc(b, '}');
}

static void put_gap(struct buf *b, const struct manifest_gap *g)
{
    put_comma(b);
    buf_putc(b, '{');
    put_time(b, "start", g->start_ns);
    put_time(b, "end", g->end_ns);
    put_text(b, "reason", g->reason);
    buf_putc(b, '}');
}

static void put_clock(struct buf *b, const struct manifest_node *n)
{
    put_key(b, "clock_offset_ns");
    buf_i64(b, n->clock_offset_ns);
    put_key(b, "clock_error_ns");
    if (n->clock_error_ns == INT64_MAX)
        buf_lit(b, "null");
    else
        buf_i64(b, n->clock_error_ns);
}

static void put_node(struct buf *b, const struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    put_comma(b);
    buf_lit(b, "\n{");
    put_text(b, "node", n->name);
    put_text(b, "version", n->version);
    put_text(b, "state", states[n->state]);
    put_text(b, "reason", n->reason);
    put_time(b, "covered_from", n->covered_from_ns);
    put_time(b, "covered_to", n->covered_to_ns);
    put_clock(b, n);
    put_number(b, "packets", n->packets);
    put_number(b, "captured_bytes", n->captured_bytes);
    put_number(b, "dropped_by_kernel", n->dropped_by_kernel);
    put_number(b, "dropped_by_interface", n->dropped_by_interface);
    put_number(b, "dropped_by_disk", n->dropped_by_disk);
    put_key(b, "gaps");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->gap_count; i++)
        put_gap(b, &n->gaps[i]);
    buf_putc(b, ']');
    put_key(b, "segments");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->segment_count; i++)
        put_segment(b, &n->segments[i]);
    buf_lit(b, "]}");
}

void manifest_write(const struct manifest *m, struct buf *ret)
{
    buf_putc(ret, '{');
    put_number(ret, "format", MANIFEST_FORMAT);
    put_text(ret, "id", m->id);
    put_text(ret, "name", m->name);
    put_text(ret, "version", m->version);
    put_time(ret, "created", m->created_ns);
    put_time(ret, "completed", m->completed_ns);
    put_time(ret, "start", m->start_ns);
    put_time(ret, "end", m->end_ns);
    put_bool(ret, "imported", m->imported);
    put_number(ret, "packets", m->packets);
    put_number(ret, "bytes", m->bytes);
    put_key(ret, "nodes");
    buf_putc(ret, '[');
    for (size_t i = 0; i < m->node_count; i++)
        put_node(ret, &m->nodes[i]);
    buf_lit(ret, "]}\n");
}
