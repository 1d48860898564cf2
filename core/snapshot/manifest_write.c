#include "snapshot/manifest.h"

#include "base/json_object.h"

static void put_object(struct buf *b, const char *key, const struct manifest_object *o)
{
    json_put_key(b, key);
    buf_putc(b, '{');
    json_put_text(b, "key", o->key);
    json_put_u64(b, "bytes", o->bytes);
    json_put_hex(b, "sha256", o->sha256, sizeof(o->sha256));
    buf_putc(b, '}');
}

static void put_segment(struct buf *b, const struct manifest_segment *s)
{
    json_put_comma(b);
    buf_lit(b, "\n{");
    json_put_u64(b, "sequence", s->sequence);
    json_put_bool(b, "trimmed", s->trimmed);
    json_put_u64(b, "packets", s->packets);
    json_put_u64(b, "captured_bytes", s->captured_bytes);
    if (s->packets) {
        json_put_time(b, "first", s->first_ns, true);
        json_put_time(b, "last", s->last_ns, true);
    } else {
        json_put_text(b, "first", NULL);
        json_put_text(b, "last", NULL);
    }
    put_object(b, "data", &s->data);
    put_object(b, "index", &s->index);
    buf_putc(b, '}');
}

static void put_gap(struct buf *b, const struct manifest_gap *g)
{
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_time(b, "start", g->start_ns, true);
    json_put_time(b, "end", g->end_ns, true);
    json_put_text(b, "reason", g->reason);
    buf_putc(b, '}');
}

static void put_clock(struct buf *b, const struct manifest_node *n)
{
    json_put_i64(b, "clock_offset_ns", n->clock_offset_ns);
    if (n->clock_error_ns == INT64_MAX)
        json_put_text(b, "clock_error_ns", NULL);
    else
        json_put_i64(b, "clock_error_ns", n->clock_error_ns);
}

static void put_node(struct buf *b, const struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    json_put_comma(b);
    buf_lit(b, "\n{");
    json_put_text(b, "node", n->name);
    json_put_text(b, "version", n->version);
    json_put_text(b, "state", states[n->state]);
    json_put_text(b, "reason", n->reason);
    json_put_time(b, "covered_from", n->covered_from_ns, true);
    json_put_time(b, "covered_to", n->covered_to_ns, true);
    put_clock(b, n);
    json_put_u64(b, "packets", n->packets);
    json_put_u64(b, "captured_bytes", n->captured_bytes);
    json_put_u64(b, "dropped_by_kernel", n->dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", n->dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", n->dropped_by_disk);
    if (n->context.key)
        put_object(b, "context", &n->context);
    json_put_key(b, "gaps");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->gap_count; i++)
        put_gap(b, &n->gaps[i]);
    buf_putc(b, ']');
    json_put_key(b, "segments");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->segment_count; i++)
        put_segment(b, &n->segments[i]);
    buf_lit(b, "]}");
}

void manifest_write(const struct manifest *m, struct buf *ret)
{
    buf_putc(ret, '{');
    json_put_u64(ret, "format", MANIFEST_FORMAT);
    json_put_text(ret, "id", m->id);
    json_put_text(ret, "name", m->name);
    json_put_text(ret, "version", m->version);
    json_put_time(ret, "created", m->created_ns, true);
    json_put_time(ret, "completed", m->completed_ns, true);
    json_put_time(ret, "start", m->start_ns, true);
    json_put_time(ret, "end", m->end_ns, true);
    json_put_bool(ret, "imported", m->imported);
    json_put_u64(ret, "packets", m->packets);
    json_put_u64(ret, "bytes", m->bytes);
    json_put_key(ret, "nodes");
    buf_putc(ret, '[');
    for (size_t i = 0; i < m->node_count; i++)
        put_node(ret, &m->nodes[i]);
    buf_lit(ret, "]}\n");
}
