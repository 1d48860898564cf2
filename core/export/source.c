#include "source.h"

#include "base/arena.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_interfaces.h"
#include "capture/window.h"

/* Fragments tell the ports of others that are not of the window themselves. No datagram waits longer than this for the rest of it. */
static const int64_t fragment_margin_ns = 60ll * NS_PER_S;

/* ---- A folder with segments ---- */

static bool is_cancelled(const struct source *s)
{
    return s->cancel && atomic_load_explicit(s->cancel, memory_order_relaxed);
}

static int read_window(void *ctx, void *p, size_t n, size_t *ret_n, struct error *err)
{
    struct source *s = ctx;
    if (is_cancelled(s))
        return error_set(err, TD_E_CANCELLED, "stopped");
    int status = window_read(s->window, p, n, ret_n, err);
    if (s->on_batch)
        s->on_batch(s->on_batch_ctx);
    return status;
}

/* What a segment tells of its interfaces goes to those of the folder. */
static int add_segment_interfaces(struct source *s, struct segment *segment, struct arena *arena, struct error *err)
{
    struct segment_interface *v;
    size_t n;
    uint32_t row;
    int status = segment_interfaces(segment, arena, &v, &n, err);
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        const char *node = s->from->node;
        const struct td_interface iface = {v[i].name, v[i].linktype, v[i].snaplen, NS_PER_S};
        if (!interfaces_find(s->interfaces, s->index, node, iface.name, iface.linktype, &row)) {
            row = s->interfaces->n;
            status = interfaces_add(s->interfaces, s->index, node, &iface, err);
        } else if (s->interfaces->rows[row].snaplen < iface.snaplen) {
            s->interfaces->rows[row].snaplen = iface.snaplen;
        }
        const struct td_interface_statistics counted = {
            row, v[i].start_ns, v[i].end_ns, v[i].received, v[i].dropped_by_interface, v[i].dropped_by_kernel};
        if (status == TD_OK && v[i].counted)
            status = interfaces_count(s->interfaces, &counted, err);
    }
    arena_clear(arena);
    return status;
}

/* Of all segments that the window touches. One that is damaged is told when it is read. */
static int find_interfaces(struct source *s, const struct window_request *want, struct error *err)
{
    struct segment **segments;
    struct arena arena;
    size_t n;
    int status = ring_pin(s->ring, want->start_ns, want->end_ns, &segments, &n, err);
    if (status != TD_OK)
        return status;
    arena_init(&arena, INTERFACES_MAX_BYTES);
    for (size_t i = 0; i < n; i++) {
        if (status == TD_OK && is_cancelled(s))
            status = error_set(err, TD_E_CANCELLED, "stopped");
        if (status == TD_OK)
            status = add_segment_interfaces(s, segments[i], &arena, err);
        if (status == TD_E_CORRUPT || status == TD_E_NOT_FOUND)
            status = TD_OK;
        segment_unpin(segments[i]);
    }
    mem_free(segments);
    arena_clear(&arena);
    return status;
}

/* What the window does need not be done here. Fragments, though, are looked at even if the filter does not want them. */
static void leave_to_window(struct source *s, struct window_request *want)
{
    struct selection *own = &s->selection;
    *want = (struct window_request){.start_ns = own->start_ns, .end_ns = own->end_ns};
    if (select_by_connection(own)) {
        if (want->start_ns > INT64_MIN + fragment_margin_ns)
            want->start_ns -= fragment_margin_ns;
        if (want->end_ns < INT64_MAX - fragment_margin_ns)
            want->end_ns += fragment_margin_ns;
    } else if (own->bpf) {
        want->filter = bpf_expression(own->bpf);
        own->bpf = NULL;
    }
    if (want->end_ns < want->start_ns)
        want->end_ns = want->start_ns;
}

static int open_folder(struct source *s, struct error *err)
{
    struct window_request want;
    const struct capture_reader reader = {read_window, s, 0};
    const struct select_frames *frames = s->from->frames;
    static const uint64_t none = 0; /* no number at all is not any number */
    leave_to_window(s, &want);
    int status = ring_open_read_only(s->from->path, &s->ring, err);
    if (status == TD_OK)
        status = find_interfaces(s, &want, err);
    if (status == TD_OK)
        status = frames ? window_open_packets(s->ring, &want, frames->n ? frames->v : &none, frames->n, &s->window, err)
                        : window_open(s->ring, &want, &s->window, err);
    if (status == TD_OK)
        status = capture_open_reader(&reader, s->from->path, &s->capture, err);
    return status;
}

/* ---- What is known besides ---- */

/* Names are for people: packets are exported without them, too. */
static int open_context(struct source *s, struct error *err)
{
    struct packet none[1];
    struct block *block;
    struct error why = {0};
    int status = capture_open(s->from->context, &s->context, &why), n = 0;
    while (status == TD_OK && (n = capture_read(s->context, none, 1, &block, &why)) > 0)
        block_unref(block);
    if (why.status == TD_E_NOMEM)
        return error_nomem(err);
    if (why.status != TD_OK)
        log_event(TD_LOG_WARN, "export", "names are missing: %s", why.text);
    return TD_OK;
}

/* ---- Opening ---- */

int source_open(const struct export_source *from, const struct selection *selection, const atomic_bool *cancel,
                struct interfaces *interfaces, size_t index, struct source **ret, struct error *err)
{
    struct source *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->from = from;
    s->index = index;
    s->selection = *selection;
    if (from->connections)
        s->selection.connections = from->connections;
    s->cancel = cancel;
    s->interfaces = interfaces;
    int status = from->folder ? open_folder(s, err) : capture_open(from->path, &s->capture, err);
    if (status == TD_OK && from->context)
        status = open_context(s, err);
    if (status == TD_OK && select_by_connection(&s->selection)) {
        s->decoder = decoder_new(SOURCE_FRAGMENT_BYTES);
        if (!s->decoder)
            status = error_nomem(err);
    }
    if (status != TD_OK) {
        source_close(s);
        return status;
    }
    *ret = s;
    return TD_OK;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    held_clear(&s->held);
    block_unref(s->block);
    decoder_free(s->decoder);
    capture_close(s->capture);
    capture_close(s->context);
    window_close(s->window);
    if (s->ring)
        ring_close(s->ring);
    mem_free(s->rows);
    mem_free(s);
}

/* ---- Packets ---- */

static int read_batch(struct source *s, struct error *err)
{
    block_unref(s->block);
    s->block = NULL;
    s->at = s->n = 0;
    if (is_cancelled(s))
        return error_set(err, TD_E_CANCELLED, "stopped");
    int n = capture_read(s->capture, s->batch, SOURCE_BATCH, &s->block, &s->fault);
    if (n <= 0) {
        s->ended = true;
        held_give_up_all(&s->held);
    } else {
        s->n = (size_t)n;
        s->packets_read += (uint64_t)n;
    }
    if (n == TD_E_CANCELLED || n == TD_E_NOMEM)
        return error_set(err, n, "%s", s->fault.text);
    if (s->on_batch && !s->window)
        s->on_batch(s->on_batch_ctx);
    return TD_OK;
}

/* Is it one of those that are asked for by number? */
static bool is_listed(const struct select_frames *frames, uint64_t frame)
{
    size_t low = 0, high = frames->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (frames->v[middle] < frame)
            low = middle + 1;
        else
            high = middle;
    }
    return low < frames->n && frames->v[low] == frame;
}

/* Judges the next packet of the batch. It becomes the head, or is held, or is dropped. */
static int take_packet(struct source *s, struct error *err)
{
    const struct packet *p = &s->batch[s->at++];
    if (s->from->frames && !s->window && !is_listed(s->from->frames, p->frame))
        return TD_OK;
    struct select_result r = select_packet(&s->selection, s->decoder, p);
    if (r.datagram) {
        held_decide(&s->held, r.datagram->frames, r.datagram->frame_count, r.datagram_matches);
        block_unref(&r.datagram->block);
    }
    if (r.verdict == SELECT_NO)
        return TD_OK;
    if (r.verdict == SELECT_YES && !s->held.first) {
        s->head = p;
        s->head_held = false;
        return TD_OK;
    }
    return held_push(&s->held, p, r.verdict) ? TD_OK : error_nomem(err);
}

int source_next(struct source *s, struct error *err)
{
    if (s->head && s->head_held)
        held_pop(&s->held);
    s->head = NULL;
    for (;;) {
        s->head = held_first(&s->held);
        s->head_held = s->head != NULL;
        if (s->head)
            return TD_OK;
        if (s->at == s->n && s->ended)
            return TD_OK;
        int status = s->at == s->n ? read_batch(s, err) : take_packet(s, err);
        if (status != TD_OK || s->head)
            return status;
    }
}

/* ---- Interfaces ---- */

/* Those of the capture that have no row yet get one: that of their name, or a new one while that is possible. */
static int find_rows(struct source *s, bool add, struct error *err)
{
    size_t n = capture_interface_count(s->capture);
    int status = TD_OK;
    if (n > s->row_n) {
        uint32_t *rows = mem_realloc(s->rows, n * sizeof(*rows));
        if (!rows)
            return error_nomem(err);
        s->rows = rows;
    }
    for (; s->row_n < n && status == TD_OK; s->row_n++) {
        const struct capture_interface *i = capture_interface(s->capture, s->row_n);
        const struct td_interface row = {i->name, i->linktype, i->snaplen, i->ticks_per_s};
        s->rows[s->row_n] = s->interfaces->n;
        if (s->window && interfaces_find(s->interfaces, s->index, s->from->node, i->name, i->linktype, &s->rows[s->row_n]))
            continue;
        if (add)
            status = interfaces_add(s->interfaces, s->index, s->from->node, &row, err);
        else
            s->rows[s->row_n] = UINT32_MAX;
    }
    return status;
}

int source_add_interfaces(struct source *s, struct error *err)
{
    return find_rows(s, true, err);
}

int source_row(struct source *s, uint32_t *ret_row, struct error *err)
{
    const struct packet *p = s->head;
    const struct interfaces *all = s->interfaces;
    int status = p->iface < s->row_n ? TD_OK : find_rows(s, false, err);
    if (status != TD_OK)
        return status;
    uint32_t row = s->rows[p->iface], nearest = UINT32_MAX;
    for (uint32_t i = 0; row == UINT32_MAX && i < all->n; i++)
        if (all->rows[i].linktype == p->linktype &&
            (nearest == UINT32_MAX || (all->sources[i] == s->index && all->sources[nearest] != s->index)))
            nearest = i; /* the source's own first */
    if (row == UINT32_MAX)
        row = s->rows[p->iface] = nearest;
    if (row == UINT32_MAX)
        return error_set(err, TD_E_UNSUPPORTED,
                         "%s: packet %llu is of link type %u, which nothing announced when the output began; choose one with --linktype",
                         s->from->path, (unsigned long long)p->frame, p->linktype);
    *ret_row = row;
    return TD_OK;
}

/* ---- Progress ---- */

uint64_t source_position(const struct source *s)
{
    return s->window ? window_stats(s->window)->bytes_done : s->capture ? capture_position(s->capture) : 0;
}

uint64_t source_size(const struct source *s)
{
    return s->window ? window_stats(s->window)->bytes_all : capture_size(s->capture);
}
