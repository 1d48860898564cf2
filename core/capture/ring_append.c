/* The appending side of the ring: packets into the open segment. */
#include "ring_internal.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "packet/pcapng_write.h"

enum {
    UNNUMBERED = UINT32_MAX,
    TAIL_ROOM = 64 << 10,  /* kept for the statistics at a segment's end */
    STATISTICS_BYTES = 512 /* at most, of one interface without its comment */
};

int64_t ring_now(void)
{
    return clock_ns(CLOCK_REALTIME);
}

/* ---- Blocks other than packets ---- */

/* What was put into r->scratch goes to the open segment. */
static void put_scratch(struct ring *r)
{
    struct open_segment *s = r->open;
    if (!r->scratch.failed && block_writer_put(r->writer, r->scratch.p, r->scratch.n))
        atomic_fetch_add_explicit(&r->waits, 1, memory_order_relaxed);
    s->summary.bytes += r->scratch.failed ? 0 : r->scratch.n;
    buf_reset(&r->scratch);
}

/* False: the segment has no more room for interfaces. */
static bool describe_interface(struct ring *r, struct ring_interface_state *i)
{
    struct open_segment *s = r->open;
    const struct pcapng_interface block = {
        .name = i->name, .description = i->description, .filter = i->filter, .linktype = i->linktype, .snaplen = i->snaplen};
    pcapng_put_interface(&r->scratch, &block);
    struct notes_interface note = {(uint32_t)s->summary.bytes, (uint32_t)r->scratch.n, i->linktype, i->snaplen};
    if (r->scratch.failed || !notes_add_interface(s->notes, &note)) {
        buf_reset(&r->scratch);
        return false;
    }
    put_scratch(r);
    i->number = s->interface_count++;
    s->counts[i->number] = (struct interface_counts){0};
    return true;
}

static void put_statistics(struct ring *r, uint32_t number, int64_t now_ns, const char *comment)
{
    const struct open_segment *s = r->open;
    const struct interface_counts *c = &s->counts[number];
    const struct pcapng_statistics block = {.iface = number,
                                            .time_ns = now_ns,
                                            .start_ns = s->summary.covered_from_ns,
                                            .end_ns = now_ns,
                                            .received = c->received,
                                            .dropped_by_interface = c->by_interface,
                                            .dropped_by_kernel = c->by_kernel,
                                            .comment = comment};
    pcapng_put_statistics(&r->scratch, &block);
    put_scratch(r);
}

/* ---- What readers see ---- */

static void publish(struct ring *r)
{
    struct open_segment *s = r->open;
    if (r->lost) {
        atomic_fetch_add_explicit(&r->dropped_by_disk, r->lost, memory_order_relaxed);
        r->lost = 0;
    }
    if (!s)
        return;
    notes_publish(s->notes);
    block_writer_publish(r->writer);
    atomic_store_explicit(&s->packets, s->summary.packets, memory_order_relaxed);
    atomic_store_explicit(&s->captured_bytes, s->summary.captured_bytes, memory_order_relaxed);
    atomic_store_explicit(&s->original_bytes, s->summary.original_bytes, memory_order_relaxed);
    atomic_store_explicit(&s->first_ns, s->summary.first_ns, memory_order_relaxed);
    atomic_store_explicit(&s->last_ns, s->summary.last_ns, memory_order_relaxed);
    atomic_store_explicit(&s->bytes, s->summary.bytes, memory_order_release);
    atomic_store_explicit(&r->published_packets, r->packets, memory_order_relaxed);
    atomic_store_explicit(&r->published_bytes, r->captured_bytes, memory_order_relaxed);
}

/* ---- From segment to segment ---- */

/* Up to where the segment is certain to stay within its size, whatever the packets: a packet takes at least as many bytes of
 * the segment as a third of what it can add to segment and index together. */
static void set_check(struct ring *r)
{
    struct open_segment *s = r->open;
    uint64_t taken = s->summary.bytes + segment_index_bound(s->notes) + TAIL_ROOM, size = s->size;
    s->check_at = taken + TAIL_ROOM < size ? s->summary.bytes + (size - taken) / 4 : 0;
}

static void begin(struct ring *r, struct open_segment *s, int64_t now_ns)
{
    char from[SEGMENT_NAME], to[SEGMENT_NAME];
    uint64_t sequence = s->summary.sequence;
    r->open = s;
    s->summary.covered_from_ns = r->gap_before_next || r->covered_to_ns == INT64_MIN ? now_ns : r->covered_to_ns;
    s->summary.covered_to_ns = INT64_MAX;
    s->summary.gap = r->gap_before_next;
    block_writer_begin(r->writer, &s->file);
    segment_file_head(&r->scratch, r->node, &s->summary, r->covered_to_ns, r->gap_reason);
    put_scratch(r);
    for (uint32_t i = 0; i < NOTES_MAX_INTERFACES; i++) {
        struct ring_interface_state *state = &r->interfaces[i];
        if (state->used && !state->live) { /* it was only kept for the segment before */
            mem_free(state->name);
            mem_free(state->description);
            mem_free(state->filter);
            *state = (struct ring_interface_state){.number = UNNUMBERED};
        }
        state->number = UNNUMBERED;
        if (state->used)
            (void)describe_interface(r, state);
    }
    r->gap_before_next = GAP_NONE;
    r->gap_reason = NULL;
    set_check(r);
    if (renameat(r->dir_fd, segment_file_name(sequence, SEGMENT_FILE_PLAIN, true, from), r->dir_fd,
                 segment_file_name(sequence, SEGMENT_FILE_PLAIN, false, to)) != 0)
        log_event(TD_LOG_ERROR, "ring", "%s/%s: cannot be renamed: %s", r->dir, from, strerror(errno));
    publish(r);
}

/* What is still to be told of drops goes into the segment's statistics. */
void ring_end_open(struct ring *r)
{
    struct open_segment *s = r->open;
    int64_t now_ns = ring_now();
    for (uint32_t i = 0; i < s->interface_count; i++)
        put_statistics(r, i, now_ns, NULL);
    publish(r);
    s->summary.covered_to_ns = now_ns;
    s->empty_at_end = !s->summary.packets && !s->interface_count;
    r->covered_to_ns = now_ns;
    pthread_mutex_lock(&r->lock);
    struct entry *e = ring_find(r, s->summary.sequence);
    if (e)
        e->summary.covered_to_ns = now_ns;
    pthread_mutex_unlock(&r->lock);
    r->open = NULL;
    block_writer_end(r->writer);
}

/* The prepared segment, made an entry of the ring; NULL: there is none, and none will come soon. */
static struct open_segment *take_next(struct ring *r, int64_t now_ns)
{
    struct error err = {0};
    pthread_mutex_lock(&r->lock);
    if (!r->next && !r->trouble)
        atomic_fetch_add_explicit(&r->waits, 1, memory_order_relaxed);
    while (!r->next && !r->trouble)
        pthread_cond_wait(&r->next_ready, &r->lock);
    struct open_segment *s = r->next;
    if (s) {
        s->summary.covered_from_ns = now_ns;
        struct entry e = {.summary = s->summary, .body = s->body, .open = s};
        e.summary.covered_to_ns = INT64_MAX;
        e.summary.gap = r->gap_before_next;
        if (ring_insert(r, &e, &err) == TD_OK) {
            r->next = NULL;
            r->unsealed++;
        } else {
            s = NULL;
        }
        pthread_cond_signal(&r->keeper_work);
    }
    pthread_mutex_unlock(&r->lock);
    return s;
}

void ring_roll(struct ring *r)
{
    if (r->open) {
        bool broken = atomic_load(&r->open->file.failure) != 0;
        ring_end_open(r);
        if (broken) {
            r->gap_before_next = GAP_DISK;
            r->gap_reason = NULL;
        }
    }
    int64_t now_ns = ring_now();
    struct open_segment *s = take_next(r, now_ns);
    if (s)
        begin(r, s, now_ns);
    else
        r->gap_before_next = GAP_DISK;
}

/* ---- Interfaces ---- */

static char *copy(const char *s)
{
    return s ? mem_strdup(s) : NULL;
}

int ring_add_interface(struct ring *r, const struct ring_interface *i, uint32_t *ret_iface, struct error *err)
{
    uint32_t at = 0;
    while (at < NOTES_MAX_INTERFACES && r->interfaces[at].used)
        at++;
    if (at == NOTES_MAX_INTERFACES)
        ring_roll(r); /* forgets those that are gone */
    for (at = 0; at < NOTES_MAX_INTERFACES && r->interfaces[at].used;)
        at++;
    if (at == NOTES_MAX_INTERFACES)
        return error_set(err, TD_E_LIMIT, "more than %d interfaces at once", NOTES_MAX_INTERFACES);
    struct ring_interface_state *state = &r->interfaces[at];
    *state = (struct ring_interface_state){.used = true,
                                           .live = true,
                                           .name = copy(i->name),
                                           .description = copy(i->description),
                                           .filter = copy(i->filter),
                                           .linktype = i->linktype,
                                           .snaplen = i->snaplen,
                                           .number = UNNUMBERED};
    if (!r->open)
        ring_roll(r);
    else if (!describe_interface(r, state))
        ring_roll(r);
    *ret_iface = at;
    return TD_OK;
}

void ring_remove_interface(struct ring *r, uint32_t iface, const char *why)
{
    struct ring_interface_state *state = &r->interfaces[iface];
    char comment[320];
    state->live = false;
    if (!r->open || state->number == UNNUMBERED)
        return;
    snprintf(comment, sizeof(comment), "%.128s: capturing ended: %.160s", state->name ? state->name : "interface", why);
    put_statistics(r, state->number, ring_now(), comment);
}

/* ---- Packets ---- */

/* A place for a block of `size` bytes and its note; false: the packet is lost. */
static bool find_place(struct ring *r, uint32_t iface, uint32_t size, int64_t time_ns, const uint8_t *bytes, uint32_t caplen)
{
    for (int i = 0; i < 2; i++) {
        struct open_segment *s = r->open;
        if (s && s->summary.bytes + size > s->check_at)
            set_check(r);
        uint64_t at = s ? s->summary.bytes : 0;
        if (s && at + size <= s->check_at && r->interfaces[iface].number != UNNUMBERED &&
            notes_add(s->notes, r->interfaces[iface].number, at, at + size, time_ns, bytes, caplen))
            return true;
        if (!s || i > 0) /* without a segment: ring_tick() tries again */
            break;
        ring_roll(r);
    }
    return false;
}

/* The block lies across two of the writer's. */
static void put_in_pieces(struct ring *r, uint32_t number, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len)
{
    uint8_t head[PCAPNG_PACKET_HEAD], tail[3 + PCAPNG_PACKET_TAIL] = {0};
    uint32_t size = pcapng_packet_size(caplen), padding = size - PCAPNG_PACKET_HEAD - PCAPNG_PACKET_TAIL - caplen;
    pcapng_packet_head(head, number, time_ns, caplen, len);
    pcapng_le32(tail + padding, size);
    bool waited = block_writer_put(r->writer, head, sizeof(head));
    waited |= block_writer_put(r->writer, bytes, caplen);
    waited |= block_writer_put(r->writer, tail, padding + PCAPNG_PACKET_TAIL);
    if (waited)
        atomic_fetch_add_explicit(&r->waits, 1, memory_order_relaxed);
}

void ring_append(struct ring *r, uint32_t iface, int64_t time_ns, const uint8_t *bytes, uint32_t caplen, uint32_t len)
{
    if (caplen > RING_MAX_CAPLEN) {
        if (!r->told_cut)
            log_event(TD_LOG_WARN, "ring", "a packet of %u bytes is cut to %d; so are others", caplen, RING_MAX_CAPLEN);
        r->told_cut = true;
        caplen = RING_MAX_CAPLEN;
    }
    uint32_t size = pcapng_packet_size(caplen);
    if (!find_place(r, iface, size, time_ns, bytes, caplen)) {
        r->lost++;
        return;
    }
    struct segment_summary *s = &r->open->summary;
    uint32_t number = r->interfaces[iface].number;
    uint8_t *p = block_writer_room(r->writer, size);
    if (p) {
        uint8_t *end = p + size - PCAPNG_PACKET_TAIL;
        pcapng_le32(end - 4, 0); /* the padding, and what is then written over */
        pcapng_packet_head(p, number, time_ns, caplen, len);
        memcpy(p + PCAPNG_PACKET_HEAD, bytes, caplen);
        pcapng_le32(end, size);
        block_writer_took(r->writer, size);
    } else {
        put_in_pieces(r, number, time_ns, bytes, caplen, len);
    }
    s->bytes += size;
    s->packets++;
    s->captured_bytes += caplen;
    s->original_bytes += len;
    s->first_ns = time_ns < s->first_ns ? time_ns : s->first_ns;
    s->last_ns = time_ns > s->last_ns ? time_ns : s->last_ns;
    r->packets++;
    r->captured_bytes += caplen;
}

/* The disk has failed: another segment, but not one after the other when they all fail. */
static void give_up_open(struct ring *r)
{
    if (!r->failed_lately) {
        r->failed_lately = true;
        ring_roll(r);
        return;
    }
    ring_end_open(r);
    r->gap_before_next = GAP_DISK;
    r->gap_reason = NULL;
}

void ring_publish(struct ring *r)
{
    publish(r);
    if (r->open && atomic_load_explicit(&r->open->file.failure, memory_order_relaxed))
        give_up_open(r);
}

/* ---- Once a second ---- */

static void note_drops(struct ring *r, const struct ring_drops *d, int64_t now_ns)
{
    struct open_segment *s = r->open;
    const struct ring_interface_state *state = &r->interfaces[d->iface];
    if (!s || state->number == UNNUMBERED)
        return;
    struct interface_counts *c = &s->counts[state->number];
    c->received += d->received;
    c->by_kernel += d->by_kernel;
    c->by_interface += d->by_interface;
    s->summary.dropped_by_kernel += d->by_kernel;
    s->summary.dropped_by_interface += d->by_interface;
    if (!d->by_kernel && !d->by_interface)
        return;
    char comment[320];
    snprintf(comment, sizeof(comment), "%.128s: %llu packets dropped by the kernel, %llu by the interface, since the last second or so",
             state->name ? state->name : "interface", (unsigned long long)d->by_kernel, (unsigned long long)d->by_interface);
    put_statistics(r, state->number, now_ns, comment);
}

static bool reaches_disk(struct open_segment *s)
{
    return atomic_load(&s->file.flushed) > 0 && !atomic_load(&s->file.failure);
}

void ring_tick(struct ring *r, int64_t now_ns, const struct ring_drops *drops, size_t n)
{
    struct open_segment *s = r->open;
    r->failed_lately = false;
    bool full = s && s->summary.bytes >= s->check_at && (set_check(r), s->summary.bytes >= s->check_at);
    bool old = s && s->summary.packets && now_ns - s->summary.covered_from_ns >= r->segment_duration_ns;
    if (!s || full || old || atomic_load(&s->file.failure))
        ring_roll(r);
    for (size_t i = 0; i < n; i++)
        note_drops(r, &drops[i], now_ns);
    ring_publish(r);
    if (r->open)
        block_writer_flush(r->writer);
    pthread_mutex_lock(&r->lock);
    r->segment_duration_ns = r->options.segment_duration_ns;
    if (r->disk_failure && r->open && r->open->summary.sequence > r->disk_failure_sequence && reaches_disk(r->open))
        ring_set_disk_failure(r, 0, 0);
    pthread_cond_signal(&r->keeper_work); /* free space, and trouble that may be over */
    pthread_mutex_unlock(&r->lock);
}
