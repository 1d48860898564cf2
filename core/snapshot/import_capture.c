/* Foreign captures become segments. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_file.h"
#include "packet/capture.h"
#include "packet/pcapng_write.h"
#include "snapshot/import_files.h"

enum { BATCH = 256, SEGMENT_BYTES = 64 << 20, MIN_SEGMENT = 64 << 10, MAX_SEGMENTS = 1 << 20, NOT_DESCRIBED = -1 };

/* The ring writes no longer ones, and no reader of segments expects them. */
enum { MAX_CAPTURED = 512 << 10, MAX_ORIGINAL = INT32_MAX };

struct splitter {
    struct import_files *files;
    struct manifest *manifest;
    const char *node;
    uint64_t segment_bytes;
    struct capture *capture;   /* the one at hand */
    uint64_t done_before, cut; /* cut: packets longer than MAX_CAPTURED */

    /* The segment at hand. */
    bool open;
    struct segment_summary summary;
    struct notes *notes;
    int32_t *numbers; /* of the capture's interfaces in the segment, or NOT_DESCRIBED */
    size_t number_n;
    uint32_t described;
    struct buf out; /* what is to be written */
    uint64_t at;    /* of the segment, with what is in `out` */

    struct manifest_segment *segments;
    size_t n, cap;

    struct buf names; /* blocks of them, of all captures */
};

static void report(const struct splitter *s)
{
    const struct import_request *r = s->files->request;
    if (r->progress)
        r->progress(r->ctx, s->done_before + capture_position(s->capture), r->path_count == 1 ? capture_size(s->capture) : 0);
}

/* ---- Segments ---- */

static int flush(struct splitter *s, struct error *err)
{
    int status = s->out.failed ? error_nomem(err) : import_file_write(s->files, buf_slice(&s->out), err);
    buf_reset(&s->out);
    return status;
}

static int begin_segment(struct splitter *s, int64_t time_ns, struct error *err)
{
    char name[SEGMENT_NAME];
    if (s->n == MAX_SEGMENTS)
        return error_set(err, TD_E_LIMIT, "more than %d segments; choose longer ones", MAX_SEGMENTS);
    s->summary = (struct segment_summary){.sequence = s->n + 1,
                                          .first_ns = INT64_MAX,
                                          .last_ns = INT64_MIN,
                                          .covered_from_ns = time_ns,
                                          .covered_to_ns = time_ns,
                                          .gap = s->n ? GAP_NONE : GAP_FIRST};
    notes_reset(s->notes);
    s->described = 0;
    for (size_t i = 0; i < s->number_n; i++)
        s->numbers[i] = NOT_DESCRIBED;
    segment_file_head(&s->out, s->node, &s->summary, INT64_MIN, NULL);
    s->at = s->out.n;
    s->open = true;
    return import_file_open(s->files, s->node, segment_file_name(s->summary.sequence, SEGMENT_FILE_PLAIN, false, name), err);
}

static int end_segment(struct splitter *s, struct error *err)
{
    struct manifest_segment segment = {0};
    if (!s->open)
        return TD_OK;
    s->open = false;
    int status = flush(s, err);
    if (status == TD_OK)
        status = import_file_end(s->files, segment.data.sha256, err);
    segment.data.bytes = s->summary.bytes = s->at;
    segment.data.key = manifest_key(s->manifest, s->node, s->summary.sequence, MANIFEST_PCAPNG);
    if (status == TD_OK && !segment.data.key)
        status = error_nomem(err);
    notes_publish(s->notes);
    s->summary.covered_from_ns = s->summary.first_ns;
    s->summary.covered_to_ns = s->summary.last_ns < INT64_MAX ? s->summary.last_ns + 1 : INT64_MAX;
    if (status == TD_OK)
        status = import_index(s->files, s->manifest, s->node, s->notes, &s->summary, &segment, err);
    if (status == TD_OK && s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 64;
        struct manifest_segment *grown = mem_realloc(s->segments, cap * sizeof(*grown));
        if (!grown)
            return error_nomem(err);
        s->segments = grown;
        s->cap = cap;
    }
    if (status == TD_OK)
        s->segments[s->n++] = segment;
    return status;
}

/* ---- Packets ---- */

static int describe(struct splitter *s, uint32_t iface, struct error *err)
{
    const struct capture_interface *i = capture_interface(s->capture, iface);
    size_t begin = s->out.n;
    pcapng_put_interface(
        &s->out, &(struct pcapng_interface){
                     .name = i->name, .description = i->description, .filter = i->filter, .linktype = i->linktype, .snaplen = i->snaplen});
    const struct notes_interface note = {(uint32_t)s->at, (uint32_t)(s->out.n - begin), i->linktype, i->snaplen};
    if (s->out.failed)
        return error_nomem(err);
    if (!notes_add_interface(s->notes, &note)) {
        s->out.n = begin; /* the segment ends before it */
        return TD_E_RETRY;
    }
    s->at += note.length;
    s->numbers[iface] = (int32_t)s->described++;
    return TD_OK;
}

static int grow_numbers(struct splitter *s, uint32_t iface, struct error *err)
{
    size_t n = capture_interface_count(s->capture);
    if (iface < s->number_n)
        return TD_OK;
    int32_t *numbers = mem_realloc(s->numbers, n * sizeof(*numbers));
    if (!numbers)
        return error_nomem(err);
    s->numbers = numbers;
    while (s->number_n < n)
        numbers[s->number_n++] = NOT_DESCRIBED;
    return TD_OK;
}

/* TD_E_RETRY: the segment has no more room for it. */
static int put_packet(struct splitter *s, const struct packet *p, uint32_t caplen, struct error *err)
{
    uint8_t head[PCAPNG_PACKET_HEAD], tail[PCAPNG_PACKET_TAIL];
    uint32_t size = pcapng_packet_size(caplen), len = p->len < MAX_ORIGINAL ? p->len : MAX_ORIGINAL;
    if (s->summary.packets && s->at + size > s->segment_bytes)
        return TD_E_RETRY;
    int status = s->numbers[p->iface] == NOT_DESCRIBED ? describe(s, p->iface, err) : TD_OK;
    if (status != TD_OK)
        return status;
    uint32_t number = (uint32_t)s->numbers[p->iface];
    if (!notes_add(s->notes, number, s->at, s->at + size, p->time_ns, p->p, caplen))
        return TD_E_RETRY;
    pcapng_packet_head(head, number, p->time_ns, caplen, len);
    pcapng_le32(tail, size);
    buf_put(&s->out, head, sizeof(head));
    buf_put(&s->out, p->p, caplen);
    buf_put(&s->out, "\0\0\0", -caplen & 3);
    buf_put(&s->out, tail, sizeof(tail));
    s->at += size;
    struct segment_summary *sum = &s->summary;
    sum->packets++;
    sum->captured_bytes += caplen;
    sum->original_bytes += len > caplen ? len : caplen;
    sum->first_ns = p->time_ns < sum->first_ns ? p->time_ns : sum->first_ns;
    sum->last_ns = p->time_ns > sum->last_ns ? p->time_ns : sum->last_ns;
    return TD_OK;
}

static int take_packet(struct splitter *s, const struct packet *p, struct error *err)
{
    enum { WRITE_BYTES = 256 << 10 };
    uint32_t caplen = p->caplen < MAX_CAPTURED ? p->caplen : MAX_CAPTURED;
    s->cut += caplen < p->caplen;
    int status = grow_numbers(s, p->iface, err);
    for (int i = 0; status == TD_OK && i < 2; i++) {
        if (!s->open)
            status = begin_segment(s, p->time_ns, err);
        if (status == TD_OK)
            status = put_packet(s, p, caplen, err);
        if (status != TD_E_RETRY)
            break;
        status = i ? error_set(err, TD_E_LIMIT, "packet %llu has no room in a segment of %llu bytes", (unsigned long long)p->frame,
                               (unsigned long long)s->segment_bytes)
                   : end_segment(s, err);
    }
    return status == TD_OK && s->out.n >= WRITE_BYTES ? flush(s, err) : status;
}

static void take_names(struct splitter *s)
{
    size_t n;
    const struct capture_name *names = capture_names(s->capture, &n);
    pcapng_put_names(&s->names, names, n);
}

static int take_capture(struct splitter *s, const char *path, struct error *err)
{
    struct packet packets[BATCH];
    struct block *block;
    int status = capture_open(path, &s->capture, err);
    if (status != TD_OK)
        return status;
    for (size_t i = 0; i < s->number_n; i++) /* its interfaces are others */
        s->numbers[i] = NOT_DESCRIBED;
    int n = 0;
    while (status == TD_OK && (n = capture_read(s->capture, packets, BATCH, &block, err)) > 0) {
        for (int i = 0; i < n && status == TD_OK; i++)
            status = take_packet(s, &packets[i], err);
        block_unref(block);
        report(s);
    }
    take_names(s);
    s->done_before += capture_position(s->capture);
    capture_close(s->capture);
    s->capture = NULL;
    return status == TD_OK && n < 0 ? n : status;
}

/* ---- What is known besides ---- */

static int put_context(struct splitter *s, struct manifest_node *n, struct error *err)
{
    struct buf head = {0};
    if (!s->names.n && !s->names.failed)
        return TD_OK;
    pcapng_put_section(&head, &(struct pcapng_section){.application = "tapedeck"});
    pcapng_put_interface(&head, &(struct pcapng_interface){.name = "none", .linktype = 1}); /* without one, tcpdump opens no file */
    n->context.key = manifest_context_key(s->manifest, s->node);
    int status = head.failed || s->names.failed || !n->context.key ? error_nomem(err) : TD_OK;
    if (status == TD_OK)
        status = import_file_open(s->files, s->node, MANIFEST_CONTEXT, err);
    if (status == TD_OK)
        status = import_file_write(s->files, buf_slice(&head), err);
    if (status == TD_OK)
        status = import_file_write(s->files, buf_slice(&s->names), err);
    if (status == TD_OK)
        status = import_file_end(s->files, n->context.sha256, err);
    n->context.bytes = s->files->bytes;
    import_file_close(s->files);
    buf_clear(&head);
    return status;
}

/* ---- The manifest ---- */

static int fill_manifest(struct splitter *s, struct error *err)
{
    struct manifest *m = s->manifest;
    struct manifest_node *n = arena_alloc(&m->arena, sizeof(*n), 16);
    struct manifest_segment *segments = arena_alloc(&m->arena, (s->n + 1) * sizeof(*segments), 16);
    if (!n || !segments)
        return error_nomem(err);
    int64_t first_ns = INT64_MAX, last_ns = INT64_MIN;
    for (size_t i = 0; i < s->n; i++) {
        segments[i] = s->segments[i];
        first_ns = segments[i].first_ns < first_ns ? segments[i].first_ns : first_ns;
        last_ns = segments[i].last_ns > last_ns ? segments[i].last_ns : last_ns;
    }
    m->start_ns = first_ns;
    m->end_ns = last_ns < INT64_MAX ? last_ns + 1 : INT64_MAX;
    *n = (struct manifest_node){.name = s->node,
                                .state = MANIFEST_NODE_COMPLETE,
                                .covered_from_ns = m->start_ns,
                                .covered_to_ns = m->end_ns,
                                .clock_error_ns = INT64_MAX,
                                .segments = segments,
                                .segment_count = s->n};
    m->nodes = n;
    m->node_count = 1;
    return put_context(s, n, err);
}

int import_captures(struct import_files *files, struct import_result *ret, struct error *err)
{
    const struct import_request *r = files->request;
    const char *node = r->node ? r->node : "imported";
    struct splitter s = {.files = files, .segment_bytes = r->segment_bytes ? r->segment_bytes : SEGMENT_BYTES};
    s.segment_bytes = s.segment_bytes < MIN_SEGMENT ? MIN_SEGMENT : s.segment_bytes;
    s.segment_bytes = s.segment_bytes > NOTES_MAX_SEGMENT ? NOTES_MAX_SEGMENT : s.segment_bytes;
    s.manifest = ret->manifest = manifest_new();
    s.notes = notes_new(s.segment_bytes + 2 * MAX_CAPTURED);
    s.node = s.manifest ? arena_strndup(&s.manifest->arena, node, strlen(node)) : NULL;
    int status = s.manifest && s.notes && s.node ? TD_OK : error_nomem(err);
    for (size_t i = 0; i < r->path_count && status == TD_OK; i++)
        status = take_capture(&s, r->paths[i], err);
    if (status == TD_OK)
        status = end_segment(&s, err);
    if (status == TD_OK && !s.n)
        status = error_set(err, TD_E_UNSUPPORTED, "%s: there is not a single packet in it", r->paths[0]);
    if (status == TD_OK)
        status = fill_manifest(&s, err);
    notes_free(s.notes);
    buf_clear(&s.out);
    buf_clear(&s.names);
    mem_free(s.numbers);
    mem_free(s.segments);
    return status;
}
