#include "snapshot/manifest.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "snapshot/offer.h"
#include "tap.h"

enum { SECOND = 1000000000 };
#define T0 ((int64_t)1700000000 * SECOND)

static struct error err;

/* ---- Making one ---- */

static void fill(uint8_t *p, unsigned seed)
{
    for (unsigned i = 0; i < MANIFEST_SHA256; i++)
        p[i] = (uint8_t)(seed * 31 + i * 7);
}

static void make_segment(struct manifest *m, const char *node, uint64_t sequence, struct manifest_segment *s)
{
    *s = (struct manifest_segment){
        .sequence = sequence,
        .trimmed = sequence == 41,
        .data = {manifest_key(m, node, sequence, sequence % 2 ? MANIFEST_PCAPNG : MANIFEST_PCAPNG_ZST), 1000 + sequence, {0}},
        .index = {manifest_key(m, node, sequence, MANIFEST_INDEX), 100, {0}},
        .packets = sequence == 43 ? 0 : 10,
        .captured_bytes = sequence == 43 ? 0 : 600,
        .first_ns = sequence == 43 ? INT64_MAX : T0 + (int64_t)sequence * SECOND,
        .last_ns = sequence == 43 ? INT64_MIN : T0 + (int64_t)sequence * SECOND + 5};
    fill(s->data.sha256, (unsigned)sequence);
    fill(s->index.sha256, (unsigned)sequence + 1);
}

/* Two nodes, given in the wrong order, with three segments of which the last has no packet. */
static struct manifest *make(void)
{
    struct manifest *m = manifest_new();
    snprintf(m->id, sizeof(m->id), "20231114T221320Z-0123abcd");
    snprintf(m->name, sizeof(m->name), "checkout-5xx.v2");
    m->version = "0.4 \"quoted\"";
    m->created_ns = T0;
    m->completed_ns = T0 + 3;
    m->start_ns = T0;
    m->end_ns = T0 + (int64_t)100 * SECOND;
    m->node_count = 2;
    m->nodes = arena_alloc(&m->arena, 2 * sizeof(*m->nodes), 16);
    m->nodes[0] = (struct manifest_node){.name = "node-2",
                                         .reason = "the worker's \\ disk\nwas full",
                                         .state = MANIFEST_NODE_MISSING,
                                         .covered_from_ns = m->start_ns,
                                         .covered_to_ns = m->start_ns,
                                         .clock_error_ns = INT64_MAX};
    m->nodes[1] = (struct manifest_node){.name = "Knoten ü",
                                         .version = "0.4",
                                         .state = MANIFEST_NODE_COMPLETE,
                                         .covered_from_ns = m->start_ns,
                                         .covered_to_ns = m->end_ns,
                                         .clock_offset_ns = -1500,
                                         .clock_error_ns = 20,
                                         .dropped_by_kernel = 1,
                                         .dropped_by_interface = 2,
                                         .dropped_by_disk = 3};
    struct manifest_node *n = &m->nodes[1];
    n->gap_count = 1;
    n->gaps = arena_alloc(&m->arena, sizeof(*n->gaps), 16);
    n->gaps[0] = (struct manifest_gap){T0 + 1, T0 + 2, "the worker was stopped"};
    n->segment_count = 3;
    n->segments = arena_alloc(&m->arena, 3 * sizeof(*n->segments), 16);
    make_segment(m, n->name, 43, &n->segments[0]);
    make_segment(m, n->name, 41, &n->segments[1]);
    make_segment(m, n->name, 42, &n->segments[2]);
    manifest_sum(m);
    return m;
}

static char *text_of(const struct manifest *m)
{
    struct buf b = {.n = 0};
    manifest_write(m, &b);
    buf_cstr(&b);
    return (char *)b.p;
}

static int read_text(const char *text, struct manifest **ret)
{
    err = (struct error){0};
    return manifest_read(td_str(text), ret, &err);
}

/* ---- There and back ---- */

static void test_round(void)
{
    struct manifest *m = make(), *r = NULL;
    char *text = text_of(m);
    is_str(m->nodes[0].name, "Knoten ü", "nodes are sorted");
    is_int(m->packets, 20, "packets are added up");
    is_int(m->bytes, 1041 + 1042 + 1043 + 300, "and bytes");
    if (ok(read_text(text, &r) == TD_OK, "it is read again: %s", err.text)) {
        char *again = text_of(r);
        is_str(again, text, "and is the same");
        is_str(r->name, m->name, "name");
        is_str(r->version, "0.4 \"quoted\"", "version");
        ok(r->nodes[1].clock_error_ns == INT64_MAX && !r->nodes[1].version, "what is not known stays unknown");
        const struct manifest_segment *s = &r->nodes[0].segments[2];
        ok(s->sequence == 43 && s->first_ns == INT64_MAX && s->last_ns == INT64_MIN, "a segment without packets has no times");
        is_str(r->nodes[0].segments[1].data.key, "Knoten ü/0000000042.pcapng.zst", "a key");
        is_mem(s->data.sha256, MANIFEST_SHA256, m->nodes[0].segments[2].data.sha256, MANIFEST_SHA256, "a digest");
        mem_free(again);
    }
    mem_free(text);
    manifest_free(r);
    manifest_free(m);
}

/* A bad worker: all the gaps that it can tell, and one for each segment that it cannot give. */
static void test_many_gaps(void)
{
    struct manifest *m = make(), *r = NULL;
    struct manifest_node *n = &m->nodes[0];
    n->gap_count = OFFER_MAX_GAPS + OFFER_MAX_SEGMENTS;
    n->gaps = arena_alloc(&m->arena, n->gap_count * sizeof(*n->gaps), 16);
    for (size_t i = 0; i < n->gap_count; i++)
        n->gaps[i] = (struct manifest_gap){T0 + 1, T0 + 2, "x"};
    char *text = text_of(m);
    is_int(read_text(text, &r), TD_OK, "as many gaps as there can be: %s", err.text);
    mem_free(text);
    manifest_free(r);
    manifest_free(m);
}

/* A short text of many values, as an archive of a few KiB can have it. */
static void test_too_many_values(void)
{
    struct manifest *r = NULL;
    struct buf b = {0};
    buf_lit(&b, "{\"x\":[[]");
    for (int i = 0; i < 3000000; i++)
        buf_lit(&b, ",[]");
    buf_lit(&b, "]}");
    is_int(manifest_read(buf_slice(&b), &r, &err), TD_E_CORRUPT, "9 MB that would take a GiB");
    is_str(err.text, "manifest: it has more values than one can have", "are not even read");
    buf_clear(&b);
}

/* ---- What is refused ---- */

struct change {
    const char *from, *to, *told;
};

static const struct change changes[] = {
    {"{\"format\":1,", "{", "format"},
    {"\"format\":1", "\"format\":0", "format"},
    {"\"format\":1", "\"format\":\"1\"", "format"},
    {"Z-0123abcd", "Z-0123abcg", "id"},
    {"checkout-5xx.v2", "Checkout", "name"},
    {"checkout-5xx.v2", "../x", "name"},
    {"\"imported\":false", "\"imported\":0", "imported"},
    {"\"packets\":20", "\"packets\":21", "packets"},
    {"\"packets\":20", "\"packets\":-20", "packets"},
    {"\"packets\":20", "\"packets\":20.0", "packets"},
    {"\"bytes\":3426", "\"bytes\":3425", "bytes"},
    {"\"start\":\"2023-11-14T22:13:20.000000000Z\"", "\"start\":\"now\"", "start"},
    {"\"start\":\"2023-11-14T22:13:20.000000000Z\"", "\"start\":\"1700000000\"", "start"},
    {"\"start\":\"2023-11-14T22:13:20.000000000Z\"", "\"start\":\"2023-11-14T22:13:20Z\"", "start"},
    {"\"start\":\"2023-11-14T22:13:20.000000000Z\"", "\"start\":\"2033-11-14T22:13:20.000000000Z\"", "end"},
    {"\"node\":\"node-2\"", "\"node\":\"..\"", "nodes[1].node"},
    {"\"node\":\"node-2\"", "\"node\":\"a/b\"", "nodes[1].node"},
    {"\"node\":\"node-2\"", "\"node\":\"dissections\"", "nodes[1].node"},
    {"\"node\":\"node-2\"", "\"node\":\"Knoten ü\"", "nodes[1].node"},
    {"\"node\":\"node-2\"", "\"node\":\"A\"", "nodes[1].node"},
    {"\"state\":\"missing\"", "\"state\":\"gone\"", "nodes[1].state"},
    {"\"clock_error_ns\":20", "\"clock_error_ns\":-1", "clock_error_ns"},
    {"\"clock_offset_ns\":-1500", "\"clock_offset_ns\":null", "clock_offset_ns"},
    {"\"sequence\":42", "\"sequence\":41", "segments[1]"},
    {"\"sequence\":42", "\"sequence\":44", "segments[1]"},
    {"/0000000042.pcapng.zst", "/0000000041.pcapng", "segments[1].data.key"},
    {"Knoten ü/0000000042.pcapng.zst", "node-2/0000000042.pcapng.zst", "segments[1].data.key"},
    {"Knoten ü/0000000042.idx", "Knoten ü/../x", "segments[1].index.key"},
    {"\"bytes\":1042", "\"bytes\":1043", "bytes"},
    {"\"bytes\":1042", "\"bytes\":0", "segments[1].data.bytes"},
    {"\"bytes\":1042", "\"bytes\":9223372036854775807", "sum"},
    {"\"bytes\":1042", "\"bytes\":9223372036854775808", "line"},
    {"\"captured_bytes\":1200", "\"captured_bytes\":1201", "captured_bytes"},
    {"\"sha256\":\"1", "\"sha256\":\"A", "sha256"},
    {"\"sha256\":\"1", "\"sha256\":\"", "sha256"},
    {"\"first\":null", "\"first\":\"2023-11-14T22:13:20.000000000Z\"", "segments[2].first"},
    {"\"reason\":\"the worker was stopped\"", "\"reason\":7", "gaps[0].reason"},
    {"\"end\":\"2023-11-14T22:13:20.000000002Z\"", "\"end\":\"2023-11-14T22:13:20.000000001Z\"", "gaps[0]"},
    {"\"created\"", "\"format\"", "duplicate"},
    {"\"nodes\":[", "\"nodes\":[[", "line"},
};

/* Replaces the first `from`. */
static char *changed(const char *text, const struct change *c)
{
    struct buf b = {.n = 0};
    const char *at = strstr(text, c->from);
    if (!at)
        return NULL;
    buf_put(&b, text, (size_t)(at - text));
    buf_puts(&b, c->to);
    buf_puts(&b, at + strlen(c->from));
    buf_cstr(&b);
    return (char *)b.p;
}

static void test_changes(void)
{
    struct manifest *m = make();
    char *text = text_of(m);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        struct manifest *r = NULL;
        char *other = changed(text, &changes[i]);
        if (!ok(other != NULL, "there is %s to be changed", changes[i].from))
            continue;
        if (is_int(read_text(other, &r), TD_E_CORRUPT, "%s is refused", changes[i].to))
            like(err.text, changes[i].told, "and the place is told");
        manifest_free(r);
        mem_free(other);
    }
    struct manifest *r = NULL;
    char *newer = changed(text, &(struct change){"\"format\":1", "\"format\":2", NULL});
    is_int(read_text(newer, &r), TD_E_UNSUPPORTED, "a newer format is told as such");
    mem_free(newer);
    newer = changed(text, &(struct change){"\"id\"", "\"colour\":[1,{\"x\":null}],\"id\"", NULL});
    ok(read_text(newer, &r) == TD_OK, "a field that is not known is no fault");
    mem_free(newer);
    manifest_free(r);
    mem_free(text);
    manifest_free(m);
}

/* Every prefix, and every byte replaced: refused, or read without a fault. */
static void test_damage(void)
{
    struct manifest *m = make();
    char *text = text_of(m);
    size_t n = strlen(text), accepted = 0;
    for (size_t i = 0; i + 2 < n; i++) {
        struct manifest *r = NULL;
        accepted += manifest_read(td_bytes(text, i), &r, &err) == TD_OK;
        manifest_free(r);
    }
    is_int(accepted, 0, "no beginning of a manifest is one");
    for (size_t i = 0; i < n; i++) {
        struct manifest *r = NULL;
        char before = text[i];
        text[i] = before == '0' ? '9' : '0';
        if (manifest_read(td_bytes(text, n), &r, &err) == TD_OK)
            manifest_free(r);
        text[i] = before;
    }
    mem_free(text);
    manifest_free(m);
}

static void test_memory(void)
{
    struct manifest *m = make(), *r = NULL;
    char *text = text_of(m);
    int status = TD_E_NOMEM;
    unsigned long i = 1;
    for (; i < 1000 && status == TD_E_NOMEM; i++) {
        mem_fail_at(i);
        status = read_text(text, &r);
    }
    mem_fail_at(0);
    ok(status == TD_OK && i > 3, "out of memory at any of %lu places is told", i);
    manifest_free(r);
    mem_free(text);
    manifest_free(m);
}

/* ---- Names ---- */

static void test_names(void)
{
    char longest[MANIFEST_NAME + 1];
    static const char *const good[] = {"a", "0", "checkout", "a.b_c-d", "a--b"};
    static const char *const bad[] = {"", "-a", "a-", ".", "..", "A", "a b", "a/b", "ä", "a$", ".a", "a."};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        ok(manifest_check_name(good[i], &err) == TD_OK, "\"%s\" is a name", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        is_int(manifest_check_name(bad[i], &err), TD_E_CONFIG, "\"%s\" is none", bad[i]);
    memset(longest, 'a', sizeof(longest));
    longest[128] = 0;
    is_int(manifest_check_name(longest, &err), TD_E_CONFIG, "128 characters are too many");
    longest[127] = 0;
    ok(manifest_check_name(longest, &err) == TD_OK, "127 are not");
    static const char *const bad_nodes[] = {"", ".", "..", ".x", "a/b", "/", "a\tb", "a\x7f", "dissections", "manifest.json", "\xff"};
    for (size_t i = 0; i < sizeof(bad_nodes) / sizeof(bad_nodes[0]); i++)
        is_int(manifest_check_node(bad_nodes[i], &err), TD_E_CONFIG, "\"%s\" is no node's name", bad_nodes[i]);
    ok(manifest_check_node("ip-10-0-0-1.eu-west-1.compute.internal", &err) == TD_OK, "a host's name is");
}

static void test_ids(void)
{
    char a[MANIFEST_ID], b[MANIFEST_ID];
    static const char *const bad[] = {"", "20231114T221320Z-0123abc", "20231114T221320Z-0123abcde", "20231114t221320Z-0123abcd",
                                      "../../../../../../etc/pass"};
    manifest_new_id(T0, a);
    manifest_new_id(T0 + SECOND, b);
    ok(manifest_is_id(a) && manifest_is_id(b), "new ids are ids: %s", a);
    ok(strncmp(a, "20231114T221320Z-", 17) == 0 && strcmp(a, b) < 0, "they ascend with time");
    manifest_new_id(T0, b);
    ok(strcmp(a, b) != 0, "two of one instant differ");
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ok(!manifest_is_id(bad[i]), "\"%s\" is no id", bad[i]);
}

static void test_whole(void)
{
    struct manifest *m = make();
    struct buf why = {.n = 0};
    ok(!manifest_is_whole(m, &why), "with a node missing it is not whole");
    like(buf_cstr(&why), "node node-2 is missing: the worker's", "and says which, and why");
    m->nodes[1].state = MANIFEST_NODE_COMPLETE;
    buf_reset(&why);
    ok(manifest_is_whole(m, &why) && !why.n, "with all nodes it is");
    m->packets = 0;
    ok(!manifest_is_whole(m, &why), "without a packet it is not");
    like(buf_cstr(&why), "not a single packet", "and says so");
    ok(!manifest_is_whole(m, NULL), "nobody need be told");
    buf_clear(&why);
    manifest_free(m);
    char cut[6];
    manifest_cut_text(cut, sizeof(cut), "abcdü");
    is_str(cut, "abcd", "text is cut between characters");
    manifest_cut_text(cut, sizeof(cut), "abcü");
    is_str(cut, "abcü", "and not where it fits");
}

int main(void)
{
    test_round();
    test_many_gaps();
    test_too_many_values();
    test_changes();
    test_damage();
    test_memory();
    test_names();
    test_ids();
    test_whole();
    return tap_done();
}
