/* For the fuzzers of capture files: reads a capture in several ways, which must agree. */
#ifndef FUZZ_CAPTURE_FUZZ_H
#define FUZZ_CAPTURE_FUZZ_H

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "base/hash.h"
#include "base/log.h"
#include "packet/capture.h"
#include "packet/decompress.h"

struct result {
    uint64_t packets, hash;
    int status;
};

/* Reads all that the capture says is there, so that the sanitizers see if it is not. */
static inline void touch_tables(const struct capture *c)
{
    size_t n, sum = 0;
    const struct capture_name *names = capture_names(c, &n);
    for (size_t i = 0; i < n; i++)
        sum += strlen(names[i].name) + names[i].ip[names[i].ip_version == 4 ? 3 : 15];
    const struct capture_secrets *secrets = capture_secrets(c, &n);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < secrets[i].data.n; k++)
            sum += secrets[i].data.p[k];
    for (size_t i = 0; i < capture_interface_count(c); i++) {
        const struct capture_interface *iface = capture_interface(c, i);
        const char *const texts[] = {iface->name, iface->description, iface->filter};
        for (size_t k = 0; k < 3; k++)
            sum += texts[k] ? strlen(texts[k]) : 0;
        if (!iface->ticks_per_s)
            abort();
    }
    if (sum == SIZE_MAX)
        abort();
}

static inline struct result read_all(struct td_slice bytes, size_t batch)
{
    struct result r = {0};
    struct capture *c;
    struct packet packets[64];
    struct block *block;
    struct error err;
    r.status = capture_open_memory(bytes, &c, &err);
    if (r.status != TD_OK)
        return r;
    while ((r.status = capture_read(c, packets, batch, &block, &err)) > 0) {
        for (int i = 0; i < r.status; i++) {
            const struct packet *p = &packets[i];
            if (p->len < p->caplen || p->frame != ++r.packets || p->iface >= capture_interface_count(c))
                abort();
            r.hash = hash_mix(r.hash ^ (uint64_t)p->time_ns, p->caplen + 0x9e3779b97f4a7c15u);
            for (uint32_t k = 0; k < p->caplen; k++)
                r.hash = r.hash * 31 + p->p[k];
        }
        block_unref(block);
    }
    touch_tables(c);
    capture_close(c);
    return r;
}

static inline void must_be_same(struct result a, struct result b)
{
    if (a.packets != b.packets || a.hash != b.hash || (a.status < 0) != (b.status < 0))
        abort();
}

/* Packs the bytes and reads them through the streams, unless they are packed themselves. */
static inline void read_packed(struct td_slice bytes, struct result want)
{
    if (bytes.n < 4 || want.status == TD_E_UNSUPPORTED)
        return;
    size_t bound = ZSTD_compressBound(bytes.n);
    uint8_t *packed = malloc(bound);
    size_t n = packed ? ZSTD_compress(packed, bound, bytes.p, bytes.n, 1) : 0;
    if (packed && !ZSTD_isError(n))
        must_be_same(want, read_all(td_bytes(packed, n), 64));
    free(packed);
}

/* In large pieces, packet by packet, and compressed (unless it is already). */
static inline void read_all_ways(struct td_slice bytes)
{
    log_set_level(TD_LOG_ERROR);
    struct result whole = read_all(bytes, 64);
    must_be_same(whole, read_all(bytes, 1));
    if (decompress_detect(bytes) == DECOMPRESS_NONE)
        read_packed(bytes, whole);
}

#endif
