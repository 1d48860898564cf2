#include "snapshot_export.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "base/units.h"

enum { COMMENT_BYTES = 60000, TOLD_GAPS = 100 /* of a node */ };

struct running {
    const struct snapshot_export *request;
    struct selection selection;
    struct export_source *sources;
    size_t source_count;
    char **paths; /* of the sources, and of their contexts */
    size_t path_count;
    struct call_choice choice;
    struct buf comment;
    char application[64];
};

/* ---- The comment ---- */

static void put_time(struct buf *b, int64_t ns, const char *open_end)
{
    char text[UNITS_TEXT];
    if (ns == INT64_MIN || ns == INT64_MAX) {
        buf_puts(b, open_end);
        return;
    }
    units_format_time(ns, text);
    buf_puts(b, text);
}

static void put_span(struct buf *b, int64_t start_ns, int64_t end_ns)
{
    put_time(b, start_ns, "the beginning");
    buf_puts(b, " to ");
    put_time(b, end_ns, "the end");
}

static void put_wish(struct buf *b, const struct snapshot_export *x)
{
    size_t before = b->n;
    buf_puts(b, "\nChosen: ");
    size_t begin = b->n;
    if (x->start_ns != INT64_MIN || x->end_ns != INT64_MAX)
        put_span(b, x->start_ns, x->end_ns);
    if (x->bpf && *x->bpf)
        buf_printf(b, "%spackets that match \"%.4096s\"", b->n > begin ? "; " : "", x->bpf);
    if (x->linktype >= 0)
        buf_printf(b, "%slink type %d", b->n > begin ? "; " : "", (int)x->linktype);
    if (x->calls)
        buf_printf(b, "%s%s of calls%s%.4096s%s", b->n > begin ? "; " : "", x->connections ? "connections" : "packets",
                   x->filter && *x->filter ? " that match \"" : "", x->filter ? x->filter : "", x->filter && *x->filter ? "\"" : "");
    if (b->n == begin && !b->failed)
        b->n = before;
}

static void put_node(struct buf *b, const struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    buf_printf(b, "\nNode %s: %s", n->name, states[n->state <= MANIFEST_NODE_MISSING ? n->state : MANIFEST_NODE_MISSING]);
    if (n->reason)
        buf_printf(b, " (%.512s)", n->reason);
    if (n->state != MANIFEST_NODE_MISSING) {
        buf_puts(b, "; captured from ");
        put_span(b, n->covered_from_ns, n->covered_to_ns);
        buf_printf(b, "; %llu packets; dropped: %llu by the kernel, %llu by the interface, %llu for want of a disk that takes them",
                   (unsigned long long)n->packets, (unsigned long long)n->dropped_by_kernel, (unsigned long long)n->dropped_by_interface,
                   (unsigned long long)n->dropped_by_disk);
    }
    for (size_t i = 0; i < n->gap_count && i < TOLD_GAPS; i++) {
        buf_puts(b, "\n  nothing was captured from ");
        put_span(b, n->gaps[i].start_ns, n->gaps[i].end_ns);
        buf_printf(b, ": %.256s", n->gaps[i].reason ? n->gaps[i].reason : "");
    }
    if (n->gap_count > TOLD_GAPS)
        buf_printf(b, "\n  and %zu more gaps", n->gap_count - TOLD_GAPS);
}

static bool is_wanted(const struct snapshot_export *x, const char *node)
{
    for (size_t i = 0; x->nodes && i < x->node_count; i++)
        if (strcmp(x->nodes[i], node) == 0)
            return true;
    return !x->nodes;
}

void snapshot_export_comment(const struct snapshot_export *x, struct buf *b)
{
    const struct manifest *m = x->manifest;
    size_t begin = b->n, left = 0;
    buf_printf(b, "Snapshot %s: ", m->name);
    put_span(b, m->start_ns, m->end_ns);
    if (m->imported)
        buf_puts(b, ", imported");
    put_wish(b, x);
    for (size_t i = 0; i < m->node_count; i++) {
        if (!is_wanted(x, m->nodes[i].name))
            continue;
        if (b->n - begin < COMMENT_BYTES - 16384)
            put_node(b, &m->nodes[i]);
        else
            left++;
    }
    if (left)
        buf_printf(b, "\nand %zu more nodes", left);
}

/* ---- Sources ---- */

static int no_such_node(const struct snapshot_export *x, const char *node, struct error *err)
{
    struct nearest near;
    nearest_init(&near, node);
    for (size_t i = 0; i < x->manifest->node_count; i++)
        nearest_try(&near, x->manifest->nodes[i].name);
    if (near.best)
        return error_set(err, TD_E_NOT_FOUND, "the snapshot has no node \"%.128s\"; did you mean \"%s\"?", node, near.best);
    return error_set(err, TD_E_NOT_FOUND, "the snapshot has no node \"%.128s\"", node);
}

static int check_nodes(const struct snapshot_export *x, struct error *err)
{
    for (size_t i = 0; x->nodes && i < x->node_count; i++) {
        bool there = false;
        for (size_t k = 0; k < x->manifest->node_count && !there; k++)
            there = strcmp(x->nodes[i], x->manifest->nodes[k].name) == 0;
        if (!there)
            return no_such_node(x, x->nodes[i], err);
    }
    return TD_OK;
}

/* DIR/NAME, which lives as long as the run; NULL: out of memory. */
static const char *add_path(struct running *r, const char *name)
{
    size_t size = strlen(r->request->dir) + strlen(name) + 2;
    char *path = mem_alloc(size);
    if (!path)
        return NULL;
    snprintf(path, size, "%s/%s", r->request->dir, name);
    r->paths[r->path_count++] = path;
    return path;
}

static int add_source(struct running *r, size_t node, struct error *err)
{
    const struct manifest_node *n = &r->request->manifest->nodes[node];
    struct export_source source = {
        .path = add_path(r, n->name),
        .folder = true,
        .context = n->context.key ? add_path(r, n->context.key) : NULL,
        .node = n->name,
        .frames = r->choice.frames ? &r->choice.frames[node] : NULL,
        .connections = r->choice.connections ? r->choice.connections[node] : NULL,
    };
    if (!source.path || (n->context.key && !source.context))
        return error_nomem(err);
    r->sources[r->source_count++] = source;
    return TD_OK;
}

/* A node of which no call was chosen has nothing to give; one source stays, so that its interfaces are told. */
static bool has_none(const struct running *r, size_t node)
{
    const struct call_choice *c = &r->choice;
    return (c->frames && !c->frames[node].n) || (c->connections && !connection_set_count(c->connections[node]));
}

static int add_sources(struct running *r, struct error *err)
{
    const struct manifest *m = r->request->manifest;
    r->sources = mem_calloc(m->node_count, sizeof(*r->sources));
    r->paths = mem_calloc(2 * m->node_count, sizeof(*r->paths));
    if (!r->sources || !r->paths)
        return error_nomem(err);
    int status = TD_OK;
    for (int pass = 0; pass < 2 && !r->source_count; pass++)
        for (size_t i = 0; i < m->node_count && status == TD_OK && (pass == 0 || !r->source_count); i++)
            if (m->nodes[i].segment_count && is_wanted(r->request, m->nodes[i].name) && (pass || !has_none(r, i)))
                status = add_source(r, i, err);
    if (status == TD_OK && !r->source_count)
        return error_set(err, TD_E_NOT_FOUND, "snapshot %s has no packets of %s", m->name, r->request->nodes ? "these nodes" : "any node");
    return status;
}

/* ---- Calls ---- */

static int choose_calls(struct running *r, struct filter_diagnostics *diagnostics, struct error *err)
{
    const struct snapshot_export *x = r->request;
    uint64_t *packets = mem_calloc(x->manifest->node_count, sizeof(*packets));
    if (!packets)
        return error_nomem(err);
    for (size_t i = 0; i < x->manifest->node_count; i++)
        packets[i] = x->manifest->nodes[i].packets;
    const struct call_choice_request request = {.store = x->calls,
                                                .filter = x->filter,
                                                .connections = x->connections,
                                                .now_ns = clock_ns(CLOCK_REALTIME),
                                                .start_ns = INT64_MIN,
                                                .end_ns = INT64_MAX,
                                                .packets = packets,
                                                .source_count = x->manifest->node_count,
                                                .cancel = x->cancel};
    int status = call_choice_make(&request, &r->choice, diagnostics, err);
    mem_free(packets);
    return status;
}

/* ---- All ---- */

static int prepare(struct running *r, struct filter_diagnostics *diagnostics, struct error *err)
{
    const struct snapshot_export *x = r->request;
    selection_init(&r->selection);
    r->selection.start_ns = x->start_ns;
    r->selection.end_ns = x->end_ns;
    r->selection.linktype = x->linktype;
    buf_init(&r->comment, COMMENT_BYTES);
    int status = check_nodes(x, err);
    if (status == TD_OK && x->bpf && *x->bpf)
        status = bpf_compile(x->bpf, &r->selection.bpf, err);
    if (status == TD_OK && x->calls)
        status = choose_calls(r, diagnostics, err);
    if (status == TD_OK)
        status = add_sources(r, err);
    snapshot_export_comment(x, &r->comment);
    snprintf(r->application, sizeof(r->application), "tapedeck%s%.40s", x->version ? " " : "", x->version ? x->version : "");
    return status;
}

int snapshot_export_run(const struct snapshot_export *x, struct snapshot_export_stats *ret, struct filter_diagnostics *diagnostics,
                        struct error *err)
{
    struct running r = {.request = x};
    struct snapshot_export_stats stats = {0};
    int status = prepare(&r, diagnostics, err);
    const struct export_request request = {
        .exporter = x->exporter,
        .sources = r.sources,
        .source_count = r.source_count,
        .selection = &r.selection,
        .application = r.application,
        .comment = buf_cstr(&r.comment),
        .cancel = x->cancel,
        .write = x->write,
        .write_ctx = x->ctx,
        .damaged = x->damaged,
        .damaged_ctx = x->ctx,
        .progress = x->progress,
        .progress_ctx = x->ctx,
    };
    if (status == TD_OK)
        status = export_run(&request, &stats.packets, err);
    stats.calls = r.choice.calls;
    stats.calls_cut = r.choice.cut;
    stats.calls_failed = r.choice.failed;
    for (size_t i = 0; i < r.path_count; i++)
        mem_free(r.paths[i]);
    mem_free(r.paths);
    mem_free(r.sources);
    call_choice_clear(&r.choice);
    bpf_free(r.selection.bpf);
    buf_clear(&r.comment);
    if (status == TD_OK)
        *ret = stats;
    return status;
}
