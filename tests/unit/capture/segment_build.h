/* Segments in memory, noted as the ring notes them, and what must hold of any choice from them. */
#ifndef TESTS_UNIT_CAPTURE_SEGMENT_BUILD_H
#define TESTS_UNIT_CAPTURE_SEGMENT_BUILD_H

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "capture/segment_index.h"
#include "packet/pcapng_write.h"
#include "packets.h"
#include "tap.h"

struct built_packet {
    int64_t time_ns;
    uint64_t at, end; /* of its block */
    uint32_t linktype, caplen, len;
    bool matches; /* the filter at hand */
};

struct built {
    struct buf bytes;
    struct notes *notes;
    struct segment_summary summary;
    struct built_packet *packets;
    size_t n, cap;
    uint32_t linktypes[NOTES_MAX_INTERFACES];
    uint32_t interface_n;
    struct buf ends; /* of blocks, as uint64_t */
};

static inline void built_end_block(struct built *s)
{
    uint64_t end = s->summary.bytes = s->bytes.n;
    buf_put(&s->ends, &end, sizeof(end));
}

static inline void built_begin(struct built *s, uint64_t segment_bytes)
{
    memset(s, 0, sizeof(*s));
    s->notes = notes_new(segment_bytes);
    if (!s->notes)
        exit(1);
    s->summary = (struct segment_summary){
        .sequence = 42, .first_ns = INT64_MAX, .last_ns = INT64_MIN, .covered_from_ns = INT64_MAX, .covered_to_ns = INT64_MIN};
    pcapng_put_section(&s->bytes, &(struct pcapng_section){.application = "tapedeck"});
    built_end_block(s);
}

static inline void built_interface(struct built *s, uint32_t linktype)
{
    uint64_t at = s->bytes.n;
    const struct pcapng_interface block = {
        .name = "eth0", .filter = s->interface_n % 2 ? "tcp" : NULL, .linktype = linktype, .snaplen = 256};
    pcapng_put_interface(&s->bytes, &block);
    if (!notes_add_interface(s->notes, &(struct notes_interface){(uint32_t)at, (uint32_t)(s->bytes.n - at), linktype, 256}))
        ok(false, "an interface can be noted");
    s->linktypes[s->interface_n++] = linktype;
    built_end_block(s);
}

static inline bool built_packet(struct built *s, uint32_t iface, int64_t time_ns, const struct sample *p)
{
    static const uint8_t zeros[4];
    uint8_t head[PCAPNG_PACKET_HEAD], tail[PCAPNG_PACKET_TAIL];
    uint64_t at = s->bytes.n, end = at + pcapng_packet_size(p->caplen);
    if (!notes_add(s->notes, iface, at, end, time_ns, p->bytes, p->caplen))
        return false;
    pcapng_packet_head(head, iface, time_ns, p->caplen, p->len);
    pcapng_le32(tail, pcapng_packet_size(p->caplen));
    buf_put(&s->bytes, head, sizeof(head));
    buf_put(&s->bytes, p->bytes, p->caplen);
    buf_put(&s->bytes, zeros, -p->caplen & 3);
    buf_put(&s->bytes, tail, sizeof(tail));
    built_end_block(s);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 1024;
        s->packets = realloc(s->packets, s->cap * sizeof(*s->packets));
    }
    s->packets[s->n++] = (struct built_packet){time_ns, at, end, s->linktypes[iface], p->caplen, p->len, false};
    struct segment_summary *sum = &s->summary;
    sum->packets++;
    sum->captured_bytes += p->caplen;
    sum->original_bytes += p->len;
    sum->first_ns = time_ns < sum->first_ns ? time_ns : sum->first_ns;
    sum->last_ns = time_ns > sum->last_ns ? time_ns : sum->last_ns;
    return true;
}

/* Totals of one interface; `start_ns` and `end_ns` widen what was covered. */
static inline void built_statistics(struct built *s, uint32_t iface, int64_t start_ns, int64_t end_ns, uint64_t by_interface,
                                    uint64_t by_kernel)
{
    const struct pcapng_statistics block = {.iface = iface,
                                            .time_ns = end_ns,
                                            .start_ns = start_ns,
                                            .end_ns = end_ns,
                                            .dropped_by_interface = by_interface,
                                            .dropped_by_kernel = by_kernel,
                                            .comment = iface % 2 ? "something" : NULL};
    pcapng_put_statistics(&s->bytes, &block);
    built_end_block(s);
}

static inline void built_clear(struct built *s)
{
    buf_clear(&s->bytes);
    buf_clear(&s->ends);
    notes_free(s->notes);
    free(s->packets);
}

static inline int built_memory_read(void *ctx, uint64_t offset, void *p, size_t n, struct error *err)
{
    const struct td_slice *bytes = ctx;
    if (offset > bytes->n || n > bytes->n - offset)
        return error_set(err, TD_E_INTERNAL, "read outside: %zu from %llu", n, (unsigned long long)offset);
    memcpy(p, bytes->p + offset, n);
    return TD_OK;
}

static inline int built_file(struct td_slice bytes)
{
    int fd = memfd_create("index", MFD_CLOEXEC);
    if (fd < 0 || write(fd, bytes.p, bytes.n) != (ssize_t)bytes.n)
        exit(1);
    return fd;
}

/* ---- Choices ---- */

static inline void built_match(struct built *s, struct bpf *filter)
{
    for (size_t i = 0; i < s->n; i++) {
        struct built_packet *p = &s->packets[i];
        const struct packet packet = {
            .p = s->bytes.p + p->at + PCAPNG_PACKET_HEAD, .caplen = p->caplen, .len = p->len, .linktype = (uint16_t)p->linktype};
        p->matches = !filter || bpf_match(filter, &packet);
    }
}

/* NULL, or what is wrong with the choice, given that the first `n` packets were published and built_match() was told its filter.
 * `*ret_spared`: packets in the range that need not be read. */
static inline const char *built_fault(const struct built *s, size_t n, int64_t start_ns, int64_t end_ns, const struct segment_choice *c,
                                      size_t *ret_spared)
{
    size_t place = 0, wanted = 0, in_range = 0;
    if (!c->placed && (c->n || c->places))
        return "places that are not told";
    if (c->placed && c->n != c->packets)
        return "places are not as many as packets";
    if (c->from > c->to || c->to > s->summary.bytes)
        return "a range that cannot be";
    if ((c->from == c->to) != (c->packets == 0))
        return "an empty range with packets, or a range without";
    for (size_t i = 0; i < s->n; i++) {
        const struct built_packet *p = &s->packets[i];
        bool inside = p->at >= c->from && p->end <= c->to, placed = place < c->n && (uint64_t)c->places[place] * 4 == p->at;
        if (!inside && p->at < c->to && p->end > c->from)
            return "a range that ends within a block";
        place += placed;
        in_range += inside;
        if (placed && !inside)
            return "a place outside of the range";
        if (i >= n || !p->matches || p->time_ns < start_ns || p->time_ns >= end_ns)
            continue;
        wanted++;
        if (!inside || (c->placed && !placed))
            return "a packet is missing";
    }
    if (place != c->n) /* they were looked for in the order of the packets */
        return "places that are no packets, or not ascending";
    *ret_spared += in_range - (c->placed ? c->n : in_range);
    return wanted > c->packets ? "more packets than at most" : NULL;
}

#endif
