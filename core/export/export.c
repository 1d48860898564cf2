#include "export.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "export/source.h"

struct run {
    const struct export_request *request;
    struct source **sources; /* as they were named */
    struct source **heap;    /* those that have a packet, the earliest first */
    size_t heap_n;
    struct interfaces interfaces;
    struct td_resolved_name *names;
    uint32_t name_count;
    bool begun;
    void *out;                /* the exporter's output */
    struct error write_fault; /* status TD_OK: none */
    uint64_t size;            /* of all sources; 0: unknown */
    struct export_stats stats;
};

/* ---- Merging: a binary heap by the time of the packet at hand ---- */

static bool is_earlier(const struct source *a, const struct source *b)
{
    if (a->head->time_ns != b->head->time_ns)
        return a->head->time_ns < b->head->time_ns;
    return a->index < b->index;
}

static void sift_down(struct run *r, size_t i)
{
    struct source **h = r->heap;
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < r->heap_n; child++)
            if (is_earlier(h[child], h[least]))
                least = child;
        if (least == i)
            return;
        struct source *moved = h[i];
        h[i] = h[least];
        h[least] = moved;
        i = least;
    }
}

/* ---- The exporter ---- */

static const struct td_exporter *exporter_ops(const struct run *r)
{
    return &r->request->exporter->component->exporter;
}

static int sink(void *ctx, struct td_slice bytes)
{
    struct run *r = ctx;
    int status = r->request->write(r->request->write_ctx, bytes, &r->write_fault);
    if (status != TD_OK)
        r->write_fault.status = status;
    return status;
}

/* What an exporter's function returned; the sink's own words if it was the sink that failed. */
static int told(struct run *r, int status, struct error *err)
{
    if (status == TD_OK)
        return TD_OK;
    if (r->write_fault.status != TD_OK)
        return error_set(err, r->write_fault.status, "%s", r->write_fault.text);
    return instance_error(r->request->exporter, status > 0 ? TD_E_INTERNAL : status, err);
}

/* ---- Names of addresses ---- */

struct named {
    struct td_resolved_name name;
    size_t order;
};

static int by_address(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int versions = x->name.ip_version - y->name.ip_version, bytes = memcmp(x->name.ip, y->name.ip, sizeof(x->name.ip));
    return versions ? versions : bytes ? bytes : (x->order > y->order) - (x->order < y->order);
}

static void add_names(const struct capture *c, struct named *all, size_t *n)
{
    size_t one = 0;
    const struct capture_name *names = c ? capture_names(c, &one) : NULL;
    for (size_t i = 0; i < one; i++, ++*n) {
        if (!all) /* only counted */
            continue;
        all[*n] = (struct named){{.ip_version = names[i].ip_version, .name = names[i].name}, *n};
        memcpy(all[*n].name.ip, names[i].ip, names[i].ip_version == 4 ? 4 : 16);
    }
}

static size_t add_all_names(const struct run *r, struct named *all)
{
    size_t n = 0;
    for (size_t i = 0; i < r->request->source_count; i++) {
        add_names(r->sources[i]->context, all, &n);
        add_names(r->sources[i]->capture, all, &n);
    }
    return n;
}

/* What the captures have told so far, which is before their packets; the last name of an address is the one. */
static int gather_names(struct run *r, struct error *err)
{
    size_t n = add_all_names(r, NULL), kept = 0;
    if (!n)
        return TD_OK;
    struct named *all = mem_calloc(n, sizeof(*all));
    r->names = mem_calloc(n, sizeof(*r->names));
    if (!all || !r->names || n > UINT32_MAX) {
        mem_free(all);
        return error_nomem(err);
    }
    (void)add_all_names(r, all);
    qsort(all, n, sizeof(*all), by_address);
    for (size_t i = 0; i < n; i++) {
        bool last = i + 1 == n || all[i].name.ip_version != all[i + 1].name.ip_version ||
                    memcmp(all[i].name.ip, all[i + 1].name.ip, sizeof(all[i].name.ip)) != 0;
        if (last)
            r->names[kept++] = all[i].name;
    }
    r->name_count = (uint32_t)kept;
    mem_free(all);
    return TD_OK;
}

/* ---- The output ---- */

static int begin(struct run *r, struct error *err)
{
    int status = gather_names(r, err);
    for (size_t i = 0; i < r->request->source_count && status == TD_OK; i++)
        status = source_add_interfaces(r->sources[i], err);
    if (status != TD_OK)
        return status;
    struct td_export export = {
        .size = sizeof(export),
        .interfaces = {r->interfaces.rows, r->interfaces.n, sizeof(*r->interfaces.rows)},
        .application = r->request->application,
        .comment = r->request->comment,
        .names = {r->names, r->name_count, sizeof(*r->names)},
        .statistics = {r->interfaces.statistics, r->interfaces.statistics_n, sizeof(*r->interfaces.statistics)},
    };
    status = told(r, exporter_ops(r)->begin(r->request->exporter->self, &export, sink, r, &r->out), err);
    r->begun = status == TD_OK;
    return status;
}

static int put_packet(struct run *r, struct source *s, struct error *err)
{
    const struct packet *p = s->head;
    struct td_packet out = {.time_ns = p->time_ns, .orig_len = p->len, .bytes = td_bytes(p->p, p->caplen)};
    int status = r->begun ? TD_OK : begin(r, err);
    if (status == TD_OK)
        status = source_row(s, &out.iface, err);
    if (status == TD_OK)
        status = told(r, exporter_ops(r)->packet(r->out, &out), err);
    r->stats.packets++;
    r->stats.bytes += p->caplen;
    return status;
}

static int end(struct run *r, int status, struct error *err)
{
    if (status == TD_OK && !r->begun)
        status = begin(r, err);
    if (!r->begun)
        return status;
    struct error fault;
    int ended = told(r, exporter_ops(r)->end(r->out, status == TD_OK), &fault);
    if (status == TD_OK && ended != TD_OK)
        status = error_set(err, fault.status, "%s", fault.text);
    return status;
}

/* ---- The run ---- */

static void tell_progress(void *ctx)
{
    const struct run *r = ctx;
    uint64_t done = 0;
    for (size_t i = 0; i < r->request->source_count; i++)
        done += r->sources[i] ? source_position(r->sources[i]) : 0;
    r->request->progress(r->request->progress_ctx, done, r->size, r->stats.packets);
}

static int open_sources(struct run *r, struct error *err)
{
    bool sized = true;
    for (size_t i = 0; i < r->request->source_count; i++) {
        int status =
            source_open(&r->request->sources[i], r->request->selection, r->request->cancel, &r->interfaces, i, &r->sources[i], err);
        if (status != TD_OK)
            return status;
        struct source *s = r->sources[i];
        s->on_batch = r->request->progress ? tell_progress : NULL;
        s->on_batch_ctx = r;
        uint64_t size = source_size(s);
        sized = sized && size;
        r->size += size;
    }
    if (!sized)
        r->size = 0;
    return TD_OK;
}

static void tell_damage(struct run *r, const struct source *s)
{
    if (s->fault.status == TD_OK)
        return;
    r->stats.damaged++;
    r->request->damaged(r->request->damaged_ctx, &s->fault);
}

static int fill_heap(struct run *r, struct error *err)
{
    for (size_t i = 0; i < r->request->source_count; i++) {
        struct source *s = r->sources[i];
        int status = source_next(s, err);
        if (status != TD_OK)
            return status;
        if (s->head)
            r->heap[r->heap_n++] = s;
        else
            tell_damage(r, s);
    }
    for (size_t i = r->heap_n; i > 0; i--)
        sift_down(r, i - 1);
    return TD_OK;
}

static int merge(struct run *r, struct error *err)
{
    int status = fill_heap(r, err);
    while (status == TD_OK && r->heap_n) {
        struct source *s = r->heap[0];
        status = put_packet(r, s, err);
        if (status == TD_OK)
            status = source_next(s, err);
        if (!s->head) {
            tell_damage(r, s);
            r->heap[0] = r->heap[--r->heap_n];
        }
        if (r->heap_n > 1)
            sift_down(r, 0);
    }
    return status;
}

int export_run(const struct export_request *request, struct export_stats *ret, struct error *err)
{
    struct run r = {.request = request};
    interfaces_init(&r.interfaces);
    r.sources = mem_calloc(request->source_count, sizeof(struct source *));
    r.heap = mem_calloc(request->source_count, sizeof(struct source *));
    int status = r.sources && r.heap ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = open_sources(&r, err);
    if (status == TD_OK)
        status = end(&r, merge(&r, err), err);
    for (size_t i = 0; r.sources && i < request->source_count; i++) {
        if (r.sources[i]) {
            r.stats.packets_read += r.sources[i]->packets_read;
            r.stats.fragments_given_up += r.sources[i]->held.given_up;
        }
        source_close(r.sources[i]);
    }
    mem_free(r.sources);
    mem_free(r.heap);
    mem_free(r.names);
    interfaces_clear(&r.interfaces);
    if (status == TD_OK)
        *ret = r.stats;
    return status;
}
