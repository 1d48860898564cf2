/* For tests: captures built byte by byte in memory, and what a reader makes of them. */
#ifndef TESTS_CAPTURE_BUILD_H
#define TESTS_CAPTURE_BUILD_H

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "packet/capture.h"
#include "tap.h"

static inline void put16(struct buf *b, bool big, uint16_t v)
{
    uint8_t bytes[2] = {(uint8_t)(big ? v >> 8 : v), (uint8_t)(big ? v : v >> 8)};
    buf_put(b, bytes, 2);
}

static inline void put32(struct buf *b, bool big, uint32_t v)
{
    put16(b, big, (uint16_t)(big ? v >> 16 : v));
    put16(b, big, (uint16_t)(big ? v : v >> 16));
}

static inline void put64(struct buf *b, bool big, uint64_t v)
{
    put32(b, big, (uint32_t)(big ? v >> 32 : v));
    put32(b, big, (uint32_t)(big ? v : v >> 32));
}

/* `n` bytes that depend on `seed`, so that no two packets of a test are alike. */
static inline void put_pattern(struct buf *b, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        buf_putc(b, (char)(seed * 31 + i * 7));
}

/* ---- pcap ---- */

static inline void put_pcap_header(struct buf *b, bool big, uint32_t magic, unsigned major, unsigned minor, uint32_t snaplen,
                                   uint32_t network)
{
    put32(b, big, magic);
    put16(b, big, (uint16_t)major);
    put16(b, big, (uint16_t)minor);
    put64(b, big, 0);
    put32(b, big, snaplen);
    put32(b, big, network);
}

static inline void put_pcap_record(struct buf *b, bool big, uint32_t seconds, uint32_t fraction, uint32_t caplen, uint32_t len,
                                   size_t extra_header)
{
    static const uint8_t zeros[16];
    put32(b, big, seconds);
    put32(b, big, fraction);
    put32(b, big, caplen);
    put32(b, big, len);
    buf_put(b, zeros, extra_header);
    put_pattern(b, caplen, seconds);
}

/* `n` packets of the usual kind, second by second from 1000 on, of 60 bytes and more. */
static inline void put_plain_pcap(struct buf *b, unsigned n)
{
    put_pcap_header(b, false, 0xa1b2c3d4, 2, 4, 65535, 1);
    for (unsigned i = 0; i < n; i++)
        put_pcap_record(b, false, 1000 + i, i, 60 + i % 40, 60 + i % 40, 0);
}

/* ---- pcapng ---- */

/* A block whose body was built in `body`, which is emptied. */
static inline void put_block(struct buf *b, bool big, uint32_t type, struct buf *body)
{
    while (body->n % 4)
        buf_putc(body, 0);
    put32(b, big, type);
    put32(b, big, (uint32_t)body->n + 12);
    buf_put(b, body->p, body->n);
    put32(b, big, (uint32_t)body->n + 12);
    buf_clear(body);
}

static inline void put_option(struct buf *b, bool big, unsigned code, const void *value, size_t n)
{
    put16(b, big, (uint16_t)code);
    put16(b, big, (uint16_t)n);
    buf_put(b, value, n);
    while (b->n % 4)
        buf_putc(b, 0);
}

static inline void put_section(struct buf *b, bool big)
{
    struct buf body = {0};
    put32(&body, big, 0x1a2b3c4d);
    put16(&body, big, 1);
    put16(&body, big, 0);
    put64(&body, big, UINT64_MAX);
    put_block(b, big, 0x0a0d0d0a, &body);
}

/* `options` (NULL: none) were built with put_option() and are emptied. */
static inline void put_interface(struct buf *b, bool big, unsigned linktype, uint32_t snaplen, struct buf *options)
{
    struct buf body = {0};
    put16(&body, big, (uint16_t)linktype);
    put16(&body, big, 0);
    put32(&body, big, snaplen);
    if (options) {
        buf_put(&body, options->p, options->n);
        put32(&body, big, 0);
        buf_clear(options);
    }
    put_block(b, big, 1, &body);
}

static inline void put_enhanced(struct buf *b, bool big, uint32_t iface, uint64_t ticks, uint32_t caplen, uint32_t len)
{
    struct buf body = {0};
    put32(&body, big, iface);
    put32(&body, big, (uint32_t)(ticks >> 32));
    put32(&body, big, (uint32_t)ticks);
    put32(&body, big, caplen);
    put32(&body, big, len);
    put_pattern(&body, caplen, (unsigned)ticks);
    put_block(b, big, 6, &body);
}

/* ---- Reading ---- */

enum { SEEN_MAX = 64 };

struct seen {
    int open_status, status; /* of capture_open and of the last capture_read */
    unsigned n;
    struct packet v[SEEN_MAX];          /* the first ones; their bytes are in `data` */
    struct buf data;                    /* of all packets */
    struct capture_interface ifaces[8]; /* with what stands in `texts`: their own is gone with the capture */
    char texts[8][3][128];
    size_t iface_n;
    char format[96];
    struct error err;
};

/* Reads a capture to its end, `batch` packets at a time, and closes it. */
static inline void see(struct capture *c, size_t batch, struct seen *s)
{
    struct packet packets[SEEN_MAX];
    struct block *block;
    while ((s->status = capture_read(c, packets, batch, &block, &s->err)) > 0) {
        for (int i = 0; i < s->status; i++) {
            if (s->n < SEEN_MAX)
                s->v[s->n] = packets[i];
            s->n++;
            buf_put(&s->data, packets[i].p, packets[i].caplen);
        }
        block_unref(block);
    }
    s->iface_n = capture_interface_count(c);
    for (size_t i = 0; i < s->iface_n && i < 8; i++) {
        struct capture_interface *iface = &s->ifaces[i];
        *iface = *capture_interface(c, i);
        const char **texts[] = {&iface->name, &iface->description, &iface->filter};
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++)
            if (*texts[k]) {
                snprintf(s->texts[i][k], sizeof(s->texts[i][k]), "%s", *texts[k]);
                *texts[k] = s->texts[i][k];
            }
    }
    snprintf(s->format, sizeof(s->format), "%s", capture_format(c));
    capture_close(c);
}

static inline void see_bytes(struct td_slice bytes, struct seen *s)
{
    struct capture *c;
    *s = (struct seen){0};
    s->open_status = capture_open_memory(bytes, &c, &s->err);
    if (s->open_status == TD_OK)
        see(c, SEEN_MAX, s);
    else
        s->status = s->open_status;
}

static inline void see_path(const char *path, struct seen *s)
{
    struct capture *c;
    *s = (struct seen){0};
    s->open_status = capture_open(path, &c, &s->err);
    if (s->open_status == TD_OK)
        see(c, SEEN_MAX, s);
    else
        s->status = s->open_status;
}

static inline void seen_clear(struct seen *s)
{
    buf_clear(&s->data);
}

#endif
