/* Writing the pcapng format (draft-ietf-opsawg-pcapng): little-endian, times in nanoseconds.
 *
 * Blocks are appended to a buffer whole; all are multiples of four bytes. Of a packet's block only head and tail are made here, so that the
 * packet's bytes are copied once, to where they belong. */
#ifndef PACKET_PCAPNG_WRITE_H
#define PACKET_PCAPNG_WRITE_H

#include "base/buf.h"
#include "packet/capture.h"

enum {
    PCAPNG_PACKET_HEAD = 28, /* bytes of an enhanced packet block before the packet */
    PCAPNG_PACKET_TAIL = 4,  /* and after its padding */
    PCAPNG_MAX_COMMENT = 65528
};

/* Options are strings; NULL: none. Longer ones are cut at PCAPNG_MAX_COMMENT. */
struct pcapng_section {
    const char *hardware, *os, *application;
    const char *const *comments;
    size_t comment_count;
};

struct pcapng_interface {
    const char *name, *description, *filter, *comment;
    uint32_t linktype;
    uint32_t snaplen; /* 0: unlimited */
};

/* Totals since capturing began; the draft's isb_* options. */
struct pcapng_statistics {
    uint32_t iface;
    int64_t time_ns, start_ns, end_ns;
    uint64_t received, dropped_by_interface, dropped_by_kernel;
    const char *comment;
};

void pcapng_put_section(struct buf *, const struct pcapng_section *);
void pcapng_put_interface(struct buf *, const struct pcapng_interface *);
void pcapng_put_statistics(struct buf *, const struct pcapng_statistics *);
/* Name-resolution blocks, in the order given; empty names are left out, long ones cut at 255 bytes. */
void pcapng_put_names(struct buf *, const struct capture_name *, size_t n);

/* Bytes of the block of a packet with so many captured bytes. */
static inline uint32_t pcapng_packet_size(uint32_t caplen)
{
    return PCAPNG_PACKET_HEAD + ((caplen + 3) & ~3u) + PCAPNG_PACKET_TAIL;
}

static inline uint8_t *pcapng_le32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
    p[2] = (uint8_t)(v >> 16);
    p[3] = (uint8_t)(v >> 24);
    return p + 4;
}

/* PCAPNG_PACKET_HEAD bytes. After the packet come up to three zero bytes, to a multiple of four, and pcapng_packet_size() once more. */
static inline void pcapng_packet_head(uint8_t *p, uint32_t iface, int64_t time_ns, uint32_t caplen, uint32_t len)
{
    uint64_t ticks = (uint64_t)time_ns;
    p = pcapng_le32(p, 6);
    p = pcapng_le32(p, pcapng_packet_size(caplen));
    p = pcapng_le32(p, iface);
    p = pcapng_le32(p, (uint32_t)(ticks >> 32));
    p = pcapng_le32(p, (uint32_t)ticks);
    p = pcapng_le32(p, caplen);
    pcapng_le32(p, len);
}

#endif
