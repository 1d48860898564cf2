#include "export.h"

#include "base/mem.h"
#include "export/source.h"

struct run {
    const struct export_request *request;
    struct source **sources; /* as they were named */
    struct source **heap;    /* those that have a packet, the earliest first */
    size_t heap_n;
    struct td_interface *rows;
    uint32_t row_count;
    bool begun;
    void *out;                /* the exporter's output */
    struct error write_fault; /* status TD_OK: none */
    uint64_t size;            /* of all captures; 0: unknown */
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

/* All interfaces that the captures have shown so far: usually all there are, because they stand before the packets. */
static int gather_interfaces(struct run *r, struct error *err)
{
    size_t n = 0;
    for (size_t i = 0; i < r->request->path_count; i++)
        n += capture_interface_count(r->sources[i]->capture);
    r->rows = mem_calloc(n, sizeof(*r->rows));
    if (!r->rows)
        return error_nomem(err);
    for (size_t i = 0; i < r->request->path_count; i++) {
        struct source *s = r->sources[i];
        s->first_row = r->row_count;
        s->known_interfaces = (uint32_t)capture_interface_count(s->capture);
        for (uint32_t k = 0; k < s->known_interfaces; k++) {
            const struct capture_interface *iface = capture_interface(s->capture, k);
            r->rows[r->row_count++] = (struct td_interface){iface->name, iface->linktype, iface->snaplen, iface->ticks_per_s};
        }
    }
    return TD_OK;
}

static int begin(struct run *r, struct error *err)
{
    int status = gather_interfaces(r, err);
    if (status != TD_OK)
        return status;
    struct td_export export = {
        .size = sizeof(export),
        .interfaces = {r->rows, r->row_count, sizeof(*r->rows)},
    };
    status = told(r, exporter_ops(r)->begin(r->request->exporter->self, &export, sink, r, &r->out), err);
    r->begun = status == TD_OK;
    return status;
}

/* The row of a packet's interface. One that a capture shows only after the beginning goes by another of its link type. */
static int find_row(const struct run *r, const struct source *s, const struct packet *p, uint32_t *ret_row, struct error *err)
{
    if (p->iface < s->known_interfaces) {
        *ret_row = s->first_row + p->iface;
        return TD_OK;
    }
    for (uint32_t i = 0; i < r->row_count; i++) {
        uint32_t row = (s->first_row + i) % r->row_count; /* the capture's own first */
        if (r->rows[row].linktype == p->linktype) {
            *ret_row = row;
            return TD_OK;
        }
    }
    return error_set(err, TD_E_UNSUPPORTED,
                     "%s: packet %llu is of link type %u, which nothing announced when the output began; choose one with --linktype",
                     s->path, (unsigned long long)p->frame, p->linktype);
}

static int put_packet(struct run *r, const struct source *s, struct error *err)
{
    const struct packet *p = s->head;
    struct td_packet out = {.time_ns = p->time_ns, .orig_len = p->len, .bytes = td_bytes(p->p, p->caplen)};
    int status = r->begun ? TD_OK : begin(r, err);
    if (status == TD_OK)
        status = find_row(r, s, p, &out.iface, err);
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
    for (size_t i = 0; i < r->request->path_count; i++)
        done += capture_position(r->sources[i]->capture);
    r->request->progress(r->request->progress_ctx, done, r->size, r->stats.packets);
}

static int open_sources(struct run *r, struct error *err)
{
    bool sized = true;
    for (size_t i = 0; i < r->request->path_count; i++) {
        int status = source_open(r->request->paths[i], r->request->selection, &r->sources[i], err);
        if (status != TD_OK)
            return status;
        struct source *s = r->sources[i];
        s->index = i;
        s->on_batch = r->request->progress ? tell_progress : NULL;
        s->on_batch_ctx = r;
        uint64_t size = capture_size(s->capture);
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
    for (size_t i = 0; i < r->request->path_count; i++) {
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
    r.sources = mem_calloc(request->path_count, sizeof(struct source *));
    r.heap = mem_calloc(request->path_count, sizeof(struct source *));
    int status = r.sources && r.heap ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = open_sources(&r, err);
    if (status == TD_OK)
        status = end(&r, merge(&r, err), err);
    for (size_t i = 0; r.sources && i < request->path_count; i++) {
        if (r.sources[i]) {
            r.stats.packets_read += r.sources[i]->packets_read;
            r.stats.fragments_given_up += r.sources[i]->held.given_up;
        }
        source_close(r.sources[i]);
    }
    mem_free(r.sources);
    mem_free(r.heap);
    mem_free(r.rows);
    if (status == TD_OK)
        *ret = r.stats;
    return status;
}
