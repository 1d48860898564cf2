/* From what was taken to a manifest, which says what was not. */
#include "base/clock.h"
#include "snapshot/create_internal.h"

#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"

/* ---- What a node has ---- */

struct outcome {
    size_t done, failed, kept;
    const struct piece *first_failed, *first_lie;
};

static struct outcome outcome_of(const struct create_node *n)
{
    struct outcome o = {0};
    for (size_t i = 0; i < n->n; i++) {
        const struct piece *p = &n->pieces[i];
        o.done += p->state == PIECE_DONE;
        o.kept += p->state == PIECE_DONE && p->kept;
        if (p->state == PIECE_FAILED || p->state == PIECE_WANTED) {
            o.first_failed = o.failed++ ? o.first_failed : p;
        } else if (*p->lie && !o.first_lie) {
            o.first_lie = p;
        }
    }
    return o;
}

static void begin_reason(struct buf *b)
{
    if (b->n)
        buf_lit(b, "; ");
}

static void put_coverage(const struct create *c, const struct create_node *n, struct buf *b)
{
    char from[UNITS_TEXT], to[UNITS_TEXT];
    const struct offer *h = &n->offer;
    if (h->covered_from_ns <= c->request->start_ns && h->covered_to_ns >= c->request->end_ns)
        return;
    begin_reason(b);
    units_format_time(h->covered_from_ns, from);
    units_format_time(h->covered_to_ns, to);
    if (h->covered_from_ns < h->covered_to_ns)
        buf_printf(b, "of the window it has %s to %s", from, to);
    else
        buf_lit(b, "it has nothing of the window");
    if (n->ring_from_ns > n->ring_to_ns)
        return;
    units_format_time(n->ring_from_ns, from);
    units_format_time(n->ring_to_ns, to);
    buf_printf(b, " (its raw capture reaches from %s to %s)", from, to);
}

static void put_gaps(const struct offer *h, struct buf *b)
{
    char from[UNITS_TEXT], to[UNITS_TEXT];
    if (!h->gap_count)
        return;
    units_format_time(h->gaps[0].start_ns, from);
    units_format_time(h->gaps[0].end_ns, to);
    begin_reason(b);
    buf_printf(b, "nothing was captured from %s to %s: %s", from, to, h->gaps[0].reason);
    if (h->gap_count > 1)
        buf_printf(b, ", and %zu gaps more", h->gap_count - 1);
}

/* Why it is not the whole window; empty: it is. */
static void put_reason(const struct create *c, const struct create_node *n, const struct outcome *o, struct buf *b)
{
    if (*n->reason)
        buf_puts(b, n->reason);
    if (!n->missing) {
        put_coverage(c, n, b);
        put_gaps(&n->offer, b);
    }
    if (o->failed) {
        begin_reason(b);
        buf_printf(b, "%zu of %zu segments could not be taken: segment %llu: %s", o->failed, n->n,
                   (unsigned long long)o->first_failed->said.sequence, o->first_failed->why);
    }
    if (o->first_lie) {
        begin_reason(b);
        buf_puts(b, o->first_lie->lie);
    }
    if (o->kept) {
        begin_reason(b);
        buf_printf(b, "%zu segments were taken before the hub was interrupted, and the worker has them no more", o->kept);
    }
}

void create_put_deficit(const struct create *c, const struct create_node *n, struct buf *b)
{
    const struct outcome o = {0};
    put_reason(c, n, &o, b);
}

/* ---- The manifest ---- */

struct making {
    struct create *c;
    struct manifest *m;
    bool failed; /* out of memory */
};

static const char *copy_text(struct making *k, const char *text)
{
    const char *copy = arena_strndup(&k->m->arena, text, strlen(text));
    k->failed |= !copy;
    return copy;
}

static void *take(struct making *k, size_t n, size_t size)
{
    void *p = n < SIZE_MAX / size ? arena_alloc(&k->m->arena, n * size, alignof(max_align_t)) : NULL;
    k->failed |= !p;
    return p;
}

static void make_segment(struct making *k, const char *node, const struct piece *p, struct manifest_segment *s)
{
    *s = (struct manifest_segment){.sequence = p->said.sequence,
                                   .trimmed = !p->said.whole,
                                   .data = {.bytes = p->bytes},
                                   .index = {.bytes = p->index_bytes},
                                   .packets = p->packets,
                                   .captured_bytes = p->captured_bytes,
                                   .first_ns = p->first_ns,
                                   .last_ns = p->last_ns};
    s->data.key = manifest_key(k->m, node, s->sequence, p->compressed ? MANIFEST_PCAPNG_ZST : MANIFEST_PCAPNG);
    s->index.key = manifest_key(k->m, node, s->sequence, MANIFEST_INDEX);
    memcpy(s->data.sha256, p->sha256, MANIFEST_SHA256);
    memcpy(s->index.sha256, p->index_sha256, MANIFEST_SHA256);
    k->failed |= !s->data.key || !s->index.key;
}

static int compare_gaps(const void *a, const void *b)
{
    const struct manifest_gap *left = a, *right = b;
    return left->start_ns < right->start_ns ? -1 : left->start_ns > right->start_ns;
}

static bool is_failed(const struct piece *p)
{
    return p->state != PIECE_DONE && p->state != PIECE_EMPTY;
}

/* Of its packets, as far as that is known: of what is trimmed it is not before it has come. */
static bool find_times(const struct piece *p, int64_t *ret_first_ns, int64_t *ret_last_ns)
{
    bool done = p->state == PIECE_DONE;
    *ret_first_ns = done ? p->first_ns : p->said.first_ns;
    *ret_last_ns = done ? p->last_ns : p->said.last_ns;
    return done ? p->packets : p->said.whole && p->said.packets;
}

/* What is missing with a segment that could not be taken; of one at an end of the window all that its neighbours leave. */
static struct manifest_gap gap_of(const struct create_node *n, size_t at)
{
    struct manifest_gap gap = {n->offer.covered_from_ns, n->offer.covered_to_ns, NULL};
    int64_t first_ns, last_ns;
    if (find_times(&n->pieces[at], &first_ns, &last_ns))
        return (struct manifest_gap){first_ns, last_ns + 1, NULL};
    if (n->pieces[at].said.whole) /* without packets */
        return (struct manifest_gap){0};
    for (size_t i = 0; i < n->n; i++) {
        const struct piece *p = &n->pieces[i];
        if (!find_times(p, &first_ns, &last_ns))
            continue;
        if (p->said.sequence < n->pieces[at].said.sequence && last_ns >= gap.start_ns)
            gap.start_ns = last_ns + 1;
        else if (p->said.sequence > n->pieces[at].said.sequence && first_ns < gap.end_ns)
            gap.end_ns = first_ns;
    }
    return gap;
}

/* Those that the worker told, and those of segments that could not be taken. */
static void make_gaps(struct making *k, const struct create_node *n, const struct outcome *o, struct manifest_node *m)
{
    size_t told = n->missing ? 0 : n->offer.gap_count;
    m->gaps = take(k, told + o->failed, sizeof(*m->gaps));
    for (size_t i = 0; !k->failed && i < told; i++) {
        const struct offer_gap *g = &n->offer.gaps[i];
        m->gaps[m->gap_count++] = (struct manifest_gap){g->start_ns, g->end_ns, copy_text(k, g->reason)};
    }
    for (size_t i = 0; !k->failed && i < n->n; i++) {
        const struct piece *p = &n->pieces[i];
        struct manifest_gap gap = is_failed(p) ? gap_of(n, i) : (struct manifest_gap){0};
        if (gap.start_ns >= gap.end_ns)
            continue;
        gap.reason = copy_text(k, p->why);
        m->gaps[m->gap_count++] = gap;
    }
    if (m->gap_count)
        qsort(m->gaps, m->gap_count, sizeof(*m->gaps), compare_gaps);
}

static void make_segments(struct making *k, const struct create_node *n, const struct outcome *o, struct manifest_node *m)
{
    m->segments = take(k, o->done, sizeof(*m->segments));
    for (size_t i = 0; !k->failed && i < n->n; i++) {
        const struct piece *p = &n->pieces[i];
        if (p->state != PIECE_DONE)
            continue;
        make_segment(k, m->name, p, &m->segments[m->segment_count++]);
        if (!p->kept || !p->packets)
            continue;
        m->covered_from_ns = p->first_ns < m->covered_from_ns || m->covered_from_ns == m->covered_to_ns ? p->first_ns : m->covered_from_ns;
        m->covered_to_ns = p->last_ns >= m->covered_to_ns ? p->last_ns + 1 : m->covered_to_ns;
    }
}

static void make_node(struct making *k, const struct create_node *n, struct manifest_node *m)
{
    struct outcome o = outcome_of(n);
    struct buf reason;
    const struct offer none = {.covered_from_ns = k->c->request->start_ns, .covered_to_ns = k->c->request->start_ns};
    const struct offer *h = n->missing ? &none : &n->offer;
    int64_t start_ns = k->c->request->start_ns;
    buf_init(&reason, 0);
    put_reason(k->c, n, &o, &reason);
    *m = (struct manifest_node){.name = copy_text(k, n->name),
                                .version = *h->version ? copy_text(k, h->version) : NULL,
                                .reason = reason.n ? copy_text(k, buf_cstr(&reason)) : NULL,
                                .covered_from_ns = h->covered_from_ns,
                                .covered_to_ns = h->covered_to_ns,
                                .clock_offset_ns = n->offset_ns,
                                .clock_error_ns = n->error_ns,
                                .dropped_by_kernel = h->dropped_by_kernel,
                                .dropped_by_interface = h->dropped_by_interface,
                                .dropped_by_disk = h->dropped_by_disk};
    make_gaps(k, n, &o, m);
    make_segments(k, n, &o, m);
    m->state = m->reason ? MANIFEST_NODE_PARTIAL : MANIFEST_NODE_COMPLETE;
    if (!o.done && (o.failed || m->covered_from_ns == m->covered_to_ns))
        m->state = MANIFEST_NODE_MISSING;
    if (m->state == MANIFEST_NODE_MISSING) {
        m->covered_from_ns = m->covered_to_ns = start_ns;
        m->gap_count = 0;
    }
    k->failed |= reason.failed;
    buf_clear(&reason);
}

static int make_manifest(struct create *c, struct manifest **ret, struct error *err)
{
    const struct create_request *r = c->request;
    struct making k = {c, manifest_new(), false};
    if (!k.m)
        return error_nomem(err);
    snprintf(k.m->id, sizeof(k.m->id), "%s", r->id);
    snprintf(k.m->name, sizeof(k.m->name), "%s", r->name);
    k.m->version = copy_text(&k, r->version);
    k.m->created_ns = r->created_ns;
    k.m->completed_ns = clock_ns(CLOCK_REALTIME);
    k.m->start_ns = r->start_ns;
    k.m->end_ns = r->end_ns;
    k.m->nodes = take(&k, c->n, sizeof(*k.m->nodes));
    for (size_t i = 0; !k.failed && i < c->n; i++)
        make_node(&k, &c->nodes[i], &k.m->nodes[k.m->node_count++]);
    if (k.failed) {
        manifest_free(k.m);
        return error_nomem(err);
    }
    manifest_sum(k.m);
    *ret = k.m;
    return TD_OK;
}

/* ---- Adding it ---- */

struct sweep {
    struct create *c;
    const char **keys; /* that belong to it, ascending */
    size_t n;
    struct error *err;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int sweep_object(void *ctx, const char *key, const struct storage_object *o)
{
    struct sweep *s = ctx;
    const char *rest = key + strlen(s->c->request->id) + 1;
    (void)o;
    if (s->n && bsearch(&rest, s->keys, s->n, sizeof(*s->keys), compare_keys))
        return TD_OK;
    return storage_remove(snapshots_storage(s->c->snapshots), key, s->err);
}

/* An earlier run may have put what this one has not: a segment that was trimmed then, of a worker that is gone now. */
static int sweep(struct create *c, const struct manifest *m, struct error *err)
{
    struct sweep s = {.c = c, .err = err};
    char prefix[MANIFEST_ID + 1];
    size_t n = 0;
    for (size_t i = 0; i < m->node_count; i++)
        n += 2 * m->nodes[i].segment_count;
    s.keys = mem_calloc(n + 1, sizeof(*s.keys));
    if (!s.keys)
        return error_nomem(err);
    for (size_t i = 0; i < m->node_count; i++)
        for (size_t k = 0; k < m->nodes[i].segment_count; k++) {
            s.keys[s.n++] = m->nodes[i].segments[k].data.key;
            s.keys[s.n++] = m->nodes[i].segments[k].index.key;
        }
    qsort(s.keys, s.n, sizeof(*s.keys), compare_keys);
    snprintf(prefix, sizeof(prefix), "%s/", c->request->id);
    int status = storage_list(snapshots_storage(c->snapshots), prefix, NULL, sweep_object, &s, err);
    mem_free(s.keys);
    return status;
}

/* Every node missing: that is no snapshot. */
static int check_any(const struct create *c, const struct manifest *m, struct error *err)
{
    for (size_t i = 0; i < m->node_count; i++)
        if (m->nodes[i].state != MANIFEST_NODE_MISSING)
            return TD_OK;
    struct buf why;
    buf_init(&why, 0);
    (void)!manifest_is_whole(m, &why);
    int status = error_set(err, c->n && c->nodes[0].status ? c->nodes[0].status : TD_E_RETRY, "nothing could be taken: %.900s",
                           c->n ? buf_cstr(&why) : "there is no worker");
    buf_clear(&why);
    return status;
}

/* What the manifest will promise must outlast a power failure before it does: segments, and the index files, which no ring flushes. */
static int flush(struct create *c, struct error *err)
{
    char prefix[MANIFEST_ID + 1];
    snprintf(prefix, sizeof(prefix), "%s/", c->request->id);
    return storage_flush(snapshots_storage(c->snapshots), prefix, err);
}

int create_finish(struct create *c, struct error *err)
{
    struct manifest *m = NULL;
    int status = make_manifest(c, &m, err);
    if (status != TD_OK)
        return status;
    status = check_any(c, m, err);
    if (status == TD_OK)
        status = sweep(c, m, err);
    uint64_t more = m->bytes > c->reserved ? m->bytes - c->reserved : 0, bytes = m->bytes;
    if (status == TD_OK && more)
        status = snapshots_reserve(c->snapshots, more, err);
    c->reserved += status == TD_OK ? more : 0;
    if (status == TD_OK)
        status = flush(c, err);
    if (status == TD_OK)
        status = snapshots_add(c->snapshots, m, err);
    if (status == TD_OK)
        c->reserved -= bytes;
    else
        manifest_free(m);
    return status;
}
