/* A snapshot of three nodes on disk, as storage keeps it, with HTTP conversations and noise; and what must be in it. The second node's
 * segments are compressed, the third one has no packets and was missing. */
#ifndef TESTS_UNIT_SNAPSHOT_BUILD_H
#define TESTS_UNIT_SNAPSHOT_BUILD_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "capture/ring.h"
#include "packet/capture.h"
#include "snapshot/manifest.h"
#include "snapshot/sha256.h"
#include "tap.h"
#include "traffic.h"

enum { SNAP_NODES = 2, SNAP_ROUNDS = 500, SNAP_NOISE = 12, SNAP_INTERFACES = 2 };

struct snap_packet {
    int64_t time_ns;
    uint32_t node, iface; /* iface: 0 or 1, eth0 or eth1 */
    uint64_t number;      /* of its node, from 1 */
    uint32_t caplen, len;
    const uint8_t *bytes;
};

struct snap {
    char root[64]; /* the folder of storage: <root>/<id>/<node>/... */
    char dir[128]; /* <root>/<id> */
    struct manifest *manifest;
    struct traffic traffic[SNAP_NODES];
    struct snap_packet *packets; /* of all nodes, by time */
    size_t n;
    uint64_t counts[SNAP_NODES];
    int64_t start_ns, end_ns;
};

/* ---- Packets ---- */

static inline struct peer snap_peer(uint8_t net, uint8_t host, uint16_t port)
{
    return (struct peer){{10, net, 0, host}, port};
}

/* One request and its answer on a connection of its own; every tenth one fails. */
static inline void snap_talk(struct traffic *t, uint8_t net, unsigned i)
{
    char request[160], response[160];
    struct talk k;
    snprintf(request, sizeof(request), "GET /item/%u HTTP/1.1\r\nHost: shop\r\n\r\n", i);
    snprintf(response, sizeof(response), "HTTP/1.1 %s\r\nContent-Length: 5\r\n\r\nhello", i % 10 ? "200 OK" : "500 Failed");
    talk_open(&k, t, snap_peer(net, (uint8_t)(1 + i % 200), (uint16_t)(20000 + i)), snap_peer(net, 250, 80));
    talk_send(&k, 0, td_str(request), 0);
    talk_send(&k, 1, td_str(response), 0);
    talk_close(&k);
}

static inline void snap_make_traffic(struct traffic *t, uint8_t net)
{
    static const uint8_t noise[1200];
    traffic_init(t);
    t->time_ns += net * 100;
    t->step_ns = 100000;
    for (unsigned i = 0; i < SNAP_ROUNDS; i++) {
        snap_talk(t, net, i);
        for (unsigned k = 0; k < SNAP_NOISE; k++)
            traffic_udp(t, snap_peer(net, (uint8_t)(i % 50 == 7 ? 251 : 252), 5000), snap_peer(net, 253, (uint16_t)(6000 + k)),
                        td_bytes(noise, 100 + 100 * k));
    }
}

/* ---- Rings ---- */

static inline bool snap_settled(struct ring *ring)
{
    struct segment **v;
    size_t n, plain = 0;
    if (ring_pin(ring, INT64_MIN, INT64_MAX, &v, &n, NULL) != TD_OK)
        return false;
    for (size_t i = 0; i < n; i++) {
        plain += segment_state(v[i]) != SEGMENT_COMPRESSED;
        segment_unpin(v[i]);
    }
    mem_free(v);
    return plain <= 1;
}

static inline bool snap_record(struct snap *s, uint32_t node, const char *dir, struct error *err)
{
    char name[16];
    struct ring *ring;
    struct capture *c;
    struct packet batch[64];
    struct block *block;
    uint32_t numbers[SNAP_INTERFACES];
    int got;
    snprintf(name, sizeof(name), "node-%u", node + 1);
    const struct ring_options options = {.dir = dir,
                                         .node = name,
                                         .storage_size = 256 << 20,
                                         .segment_size = 1 << 20,
                                         .segment_duration_ns = (int64_t)3600 * NS_PER_S,
                                         .compression_level = node == 1 ? 3 : 0};
    snap_make_traffic(&s->traffic[node], (uint8_t)(node + 1));
    if (ring_open(&options, &ring, err) != TD_OK || capture_open_memory(buf_slice(&s->traffic[node].pcap), &c, err) != TD_OK)
        return false;
    for (uint32_t i = 0; i < SNAP_INTERFACES; i++)
        if (ring_add_interface(ring, &(struct ring_interface){i ? "eth1" : "eth0", NULL, NULL, 1, 262144}, &numbers[i], err) != TD_OK)
            return false;
    while ((got = capture_read(c, batch, 64, &block, err)) > 0) {
        for (int i = 0; i < got; i++) {
            struct snap_packet *p = &s->packets[s->n++];
            *p = (struct snap_packet){batch[i].time_ns, node,      batch[i].frame % 3 == 0, batch[i].frame, batch[i].caplen,
                                      batch[i].len,     batch[i].p};
            ring_append(ring, numbers[p->iface], p->time_ns, p->bytes, p->caplen, p->len);
            s->counts[node]++;
        }
        ring_publish(ring);
        block_unref(block);
    }
    capture_close(c);
    ring_tick(ring, s->packets[s->n - 1].time_ns + 1, &(struct ring_drops){numbers[1], 1000, 11 + node, 22}, 1);
    for (int patience = 2000; node == 1 && patience && !snap_settled(ring); patience--)
        usleep(5000);
    ring_close(ring);
    return got == 0;
}

/* ---- The manifest ---- */

static inline bool snap_object(const struct snap *s, struct manifest_object *o, const char *key)
{
    char path[512];
    uint8_t bytes[64 << 10];
    struct sha256 *h = sha256_new();
    ssize_t n = -1;
    snprintf(path, sizeof(path), "%s/%s", s->dir, key ? key : "");
    int fd = open(path, O_RDONLY);
    o->key = key;
    o->bytes = 0;
    while (fd >= 0 && (n = read(fd, bytes, sizeof(bytes))) > 0) {
        sha256_add(h, td_bytes(bytes, (size_t)n));
        o->bytes += (uint64_t)n;
    }
    bool good = fd >= 0 && n == 0 && sha256_end(h, o->sha256);
    if (fd >= 0)
        close(fd);
    sha256_free(h);
    return good;
}

static inline bool snap_describe(struct snap *s, uint32_t node, struct manifest_node *n, struct error *err)
{
    char dir[256];
    struct ring *ring;
    struct segment_summary *v;
    size_t count;
    n->name = node ? "node-2" : "node-1";
    n->clock_error_ns = INT64_MAX;
    n->covered_from_ns = s->start_ns;
    n->covered_to_ns = s->end_ns;
    n->dropped_by_kernel = 11 + node;
    n->dropped_by_interface = 22;
    snprintf(dir, sizeof(dir), "%s/%s", s->dir, n->name);
    if (ring_open_read_only(dir, &ring, err) != TD_OK || ring_summaries(ring, &v, &count, err) != TD_OK)
        return false;
    n->segments = arena_alloc(&s->manifest->arena, (count + 1) * sizeof(*n->segments), 16);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        struct manifest_segment *m = &n->segments[n->segment_count++];
        *m = (struct manifest_segment){.sequence = v[i].sequence,
                                       .packets = v[i].packets,
                                       .captured_bytes = v[i].captured_bytes,
                                       .first_ns = v[i].first_ns,
                                       .last_ns = v[i].last_ns};
        good = snap_object(s, &m->index, manifest_key(s->manifest, n->name, m->sequence, MANIFEST_INDEX)) && good;
        bool plain = snap_object(s, &m->data, manifest_key(s->manifest, n->name, m->sequence, MANIFEST_PCAPNG));
        good = good && (plain || snap_object(s, &m->data, manifest_key(s->manifest, n->name, m->sequence, MANIFEST_PCAPNG_ZST)));
    }
    mem_free(v);
    ring_close(ring);
    return good;
}

static inline int snap_by_time(const void *a, const void *b)
{
    const struct snap_packet *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->node != y->node ? (x->node < y->node ? -1 : 1) : (x->number > y->number) - (x->number < y->number);
}

static inline bool snap_write_manifest(const struct snap *s)
{
    char path[256];
    struct buf json = {0};
    manifest_write(s->manifest, &json);
    snprintf(path, sizeof(path), "%s/manifest.json", s->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    bool good = fd >= 0 && write(fd, json.p, json.n) == (ssize_t)json.n;
    if (fd >= 0)
        close(fd);
    buf_clear(&json);
    return good;
}

static inline bool snap_open(struct snap *s)
{
    char dir[256];
    struct error err = {0};
    *s = (struct snap){.root = "/tmp/tapedeck-test-XXXXXX"};
    s->packets = calloc(SNAP_NODES * SNAP_ROUNDS * (SNAP_NOISE + 20), sizeof(*s->packets));
    s->manifest = manifest_new();
    if (!mkdtemp(s->root) || !s->manifest)
        return ok(false, "a folder for the test");
    manifest_new_id(1700000000ll * NS_PER_S, s->manifest->id);
    snprintf(s->manifest->name, sizeof(s->manifest->name), "shop-outage");
    snprintf(s->dir, sizeof(s->dir), "%s/%s", s->root, s->manifest->id);
    mkdir(s->dir, 0755);
    for (uint32_t i = 0; i < SNAP_NODES; i++) {
        snprintf(dir, sizeof(dir), "%s/node-%u", s->dir, i + 1);
        if (!snap_record(s, i, dir, &err))
            return ok(false, "a node is recorded: %s", err.text);
    }
    qsort(s->packets, s->n, sizeof(*s->packets), snap_by_time);
    s->start_ns = s->manifest->start_ns = s->packets[0].time_ns;
    s->end_ns = s->manifest->end_ns = s->packets[s->n - 1].time_ns + 1;
    s->manifest->version = "1.0";
    s->manifest->created_ns = s->manifest->completed_ns = s->end_ns;
    s->manifest->nodes = arena_alloc(&s->manifest->arena, (SNAP_NODES + 1) * sizeof(struct manifest_node), 16);
    s->manifest->node_count = SNAP_NODES + 1;
    for (uint32_t i = 0; i < SNAP_NODES; i++)
        if (!snap_describe(s, i, &s->manifest->nodes[i], &err))
            return ok(false, "a node is described: %s", err.text);
    s->manifest->nodes[SNAP_NODES] = (struct manifest_node){.name = "node-3",
                                                            .state = MANIFEST_NODE_MISSING,
                                                            .reason = "its worker did not answer",
                                                            .covered_from_ns = s->start_ns,
                                                            .covered_to_ns = s->start_ns,
                                                            .clock_error_ns = INT64_MAX};
    manifest_sum(s->manifest);
    return ok(snap_write_manifest(s), "a snapshot of %zu packets, %zu and %zu segments", s->n, s->manifest->nodes[0].segment_count,
              s->manifest->nodes[1].segment_count);
}

/* Removes a folder and all that is in it; folders of tests are not deep. */
static inline void snap_remove(const char *path, int depth)
{
    DIR *d = depth < 6 ? opendir(path) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        char below[512];
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below) && unlink(below) != 0)
            snap_remove(below, depth + 1);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

static inline void snap_close(struct snap *s)
{
    snap_remove(s->root, 0);
    manifest_free(s->manifest);
    for (int i = 0; i < SNAP_NODES; i++)
        traffic_clear(&s->traffic[i]);
    free(s->packets);
}

#endif
