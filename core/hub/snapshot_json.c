/* Snapshots as the API tells them. */
#include "hub/snapshot_json.h"

#include "base/json_object.h"
#include "hub/job_request.h"

struct dissections {
    struct buf *b;
    size_t n;
};

static int put_dissection(void *ctx, const char *name, uint64_t bytes, int64_t mtime_ns)
{
    struct dissections *d = ctx;
    json_put_comma(d->b);
    buf_putc(d->b, '{');
    json_put_text(d->b, "name", name);
    json_put_u64(d->b, "size", bytes);
    json_put_time(d->b, "created_at", mtime_ns, true);
    buf_putc(d->b, '}');
    d->n++;
    return TD_OK;
}

static void put_node(struct buf *b, const struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    json_put_comma(b);
    buf_putc(b, '{');
    json_put_text(b, "name", n->name);
    json_put_text(b, "state", states[n->state]);
    if (n->reason)
        json_put_text(b, "reason", n->reason);
    json_put_time(b, "covered_from", n->covered_from_ns, n->covered_from_ns < n->covered_to_ns);
    json_put_time(b, "covered_to", n->covered_to_ns, n->covered_from_ns < n->covered_to_ns);
    json_put_u64(b, "packets", n->packets);
    json_put_u64(b, "captured_bytes", n->captured_bytes);
    json_put_u64(b, "dropped_by_kernel", n->dropped_by_kernel);
    json_put_u64(b, "dropped_by_interface", n->dropped_by_interface);
    json_put_u64(b, "dropped_by_disk", n->dropped_by_disk);
    if (n->segment_count) /* those in the cloud are not known before they are asked for */
        json_put_u64(b, "segments", n->segment_count);
    if (n->clock_offset_ns != INT64_MAX) {
        json_put_i64(b, "clock_offset_ns", n->clock_offset_ns);
        json_put_i64(b, "clock_error_ns", n->clock_error_ns);
    }
    json_put_key(b, "gaps");
    buf_putc(b, '[');
    for (size_t i = 0; i < n->gap_count; i++) {
        json_put_comma(b);
        buf_putc(b, '{');
        json_put_time(b, "start", n->gaps[i].start_ns, true);
        json_put_time(b, "end", n->gaps[i].end_ns, true);
        json_put_text(b, "reason", n->gaps[i].reason);
        buf_putc(b, '}');
    }
    buf_lit(b, "]}");
}

/* How much of the window was captured, over all nodes, in percent. Drops and gaps are told with each node. */
static double coverage(const struct manifest *m)
{
    double window = ((double)m->end_ns - (double)m->start_ns) * (double)m->node_count, covered = 0;
    for (size_t i = 0; i < m->node_count; i++)
        covered += (double)m->nodes[i].covered_to_ns - (double)m->nodes[i].covered_from_ns;
    return window > 0 ? covered * 100 / window : 0;
}

/* Who asks for a list asks for all jobs once. */
static int add_move(void *ctx, const struct job_status *s)
{
    struct hub_moves *m = ctx;
    if (s->state > JOB_RUNNING || !hub_is_move(s->kind))
        return TD_OK;
    struct hub_move *v = m->n < HUB_MOVES ? &m->v[m->n] : NULL;
    if (v && hub_job_id(m->hub, s->id, v->id)) {
        v->job = *s;
        m->n++;
    }
    return TD_OK;
}

int hub_find_moves(struct hub *hub, struct hub_moves *ret, struct error *err)
{
    ret->hub = hub;
    ret->n = 0;
    return jobs_each(hub->jobs, NULL, NULL, add_move, ret, err);
}

static void put_move(struct buf *b, const struct hub_moves *moves, const char *id)
{
    for (size_t i = 0; i < moves->n; i++) {
        const struct job_status *s = &moves->v[i].job;
        if (strcmp(moves->v[i].id, id) != 0)
            continue;
        json_put_key(b, "transfer");
        buf_putc(b, '{');
        json_put_text(b, "kind", s->kind);
        json_put_text(b, "job", s->id);
        json_put_text(b, "state", job_state_name(s->state));
        json_put_key(b, "progress");
        buf_printf(b, "%.1f}", s->all ? (double)(s->done < s->all ? s->done : s->all) * 100 / (double)s->all : 0);
        return;
    }
}

/* One that lacks something is told apart: its status says how far it is, not how whole. */
static void put_manifest(struct buf *b, const struct manifest *m, const char *status, const char *location)
{
    struct buf reason = {.n = 0};
    bool whole = manifest_is_whole(m, &reason);
    json_put_text(b, "name", m->name);
    json_put_text(b, "id", m->id);
    json_put_text(b, "status", status);
    json_put_bool(b, "complete", whole);
    if (!whole)
        json_put_text(b, "reason", buf_cstr(&reason));
    json_put_text(b, "location", location);
    json_put_u64(b, "size", m->bytes);
    json_put_u64(b, "packets", m->packets);
    json_put_time(b, "start", m->start_ns, true);
    json_put_time(b, "end", m->end_ns, true);
    json_put_time(b, "created_at", m->created_ns, true);
    json_put_time(b, "completed_at", m->completed_ns, true);
    json_put_bool(b, "imported", m->imported);
    json_put_key(b, "coverage");
    buf_printf(b, "%.3f", coverage(m));
    b->failed |= reason.failed;
    buf_clear(&reason);
}

static void put_nodes(struct buf *b, const struct manifest *m)
{
    json_put_key(b, "nodes");
    buf_putc(b, '[');
    for (size_t i = 0; i < m->node_count; i++)
        put_node(b, &m->nodes[i]);
    buf_putc(b, ']');
}

int hub_put_here(struct buf *b, struct snapshot *s, bool there, const struct hub_moves *moves, struct error *err)
{
    const struct manifest *m = snapshot_manifest(s);
    struct buf dissections = {.n = 0};
    struct dissections d = {&dissections, 0};
    int status = snapshot_list_dissections(s, put_dissection, &d, err);
    json_put_comma(b);
    buf_putc(b, '{');
    put_manifest(b, m, d.n ? "Dissected" : "Completed", there ? "Local + Cloud" : "Local");
    put_move(b, moves, m->id);
    json_put_key(b, "dissections");
    buf_putc(b, '[');
    buf_put_slice(b, buf_slice(&dissections));
    buf_putc(b, ']');
    put_nodes(b, m);
    buf_putc(b, '}');
    b->failed |= dissections.failed;
    buf_clear(&dissections);
    return status;
}

void hub_put_there(struct buf *b, struct cloud_snapshot *s, const struct hub_moves *moves)
{
    const struct manifest *m = cloud_snapshot_manifest(s);
    json_put_comma(b);
    buf_putc(b, '{');
    put_manifest(b, m, cloud_snapshot_is_dissected(s) ? "Dissected" : "Completed", "Cloud");
    put_move(b, moves, m->id);
    put_nodes(b, m);
    buf_putc(b, '}');
}
