/* Manifests from elsewhere (archives, buckets, a disk that somebody has written to), and what workers say that they hold.
 *
 * The first byte says what the rest is: a manifest (below 0x80), or a worker's answer. A manifest that is accepted is written, read again
 * and has to be the same. */
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/offer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool cond)
{
    if (!cond)
        abort();
}

static void check_manifest(struct td_slice json)
{
    struct manifest *m, *again;
    struct buf first = {.n = 0}, second = {.n = 0}, why = {.n = 0};
    struct error err;
    if (manifest_read(json, &m, &err) != TD_OK)
        return;
    manifest_write(m, &first);
    must(!first.failed && manifest_read(buf_slice(&first), &again, &err) == TD_OK);
    manifest_write(again, &second);
    must(first.n == second.n && memcmp(first.p, second.p, first.n) == 0);
    must(manifest_is_id(m->id) && manifest_check_name(m->name, &err) == TD_OK);
    for (size_t i = 0; i < m->node_count; i++)
        for (size_t k = 0; k < m->nodes[i].segment_count; k++) {
            const char *key = m->nodes[i].segments[k].data.key;
            size_t n = strlen(m->nodes[i].name);
            must(strncmp(key, m->nodes[i].name, n) == 0 && key[n] == '/' && !strchr(key + n + 1, '/'));
        }
    uint64_t packets = m->packets, bytes = m->bytes;
    manifest_sum(m);
    must(packets == m->packets && bytes == m->bytes);
    (void)manifest_is_whole(m, &why);
    buf_clear(&first);
    buf_clear(&second);
    buf_clear(&why);
    manifest_free(m);
    manifest_free(again);
}

static void check_hold(struct td_slice json)
{
    const int64_t start_ns = (int64_t)1700000000 * 1000000000, end_ns = start_ns + (int64_t)3600 * 1000000000;
    struct offer h;
    struct error err;
    int64_t from_ns, to_ns;
    (void)offer_parse_now(json, &from_ns);
    (void)offer_parse_boundaries(json, &from_ns, &to_ns);
    if (offer_parse(json, start_ns, end_ns, &h, &err) != TD_OK)
        return;
    must(h.covered_from_ns >= start_ns && h.covered_from_ns <= h.covered_to_ns && h.covered_to_ns <= end_ns);
    must(manifest_check_node(h.node, &err) == TD_OK);
    for (size_t i = 0; i < h.segment_count; i++)
        must(offer_find(&h, h.segments[i].sequence) == &h.segments[i]);
    for (size_t i = 0; i < h.gap_count; i++)
        must(h.gaps[i].start_ns < h.gaps[i].end_ns && h.gaps[i].start_ns >= start_ns && h.gaps[i].end_ns <= end_ns);
    offer_clear(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!size)
        return 0;
    const struct td_slice rest = td_bytes(data + 1, size - 1);
    if (data[0] < 0x80)
        check_manifest(rest);
    else
        check_hold(rest);
    return 0;
}
