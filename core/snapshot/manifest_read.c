#include "snapshot/manifest.h"

#include <jansson.h>
#include <stdalign.h>
#include <stdio.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"

/* Gaps: more than a worker can tell and fail to give (offer.h): one that is bad must not spoil what others gave. */
enum { MAX_SEGMENTS = 1 << 20, MAX_GAPS = 1 << 17, PLACE = 160 };

/* Bytes of memory for its values: nothing of what a manifest says takes more than ten times its text, but for the few at its head. */
static size_t max_tree(size_t text)
{
    return ((size_t)1 << 20) + 10 * text;
}

struct reading {
    struct manifest *m;
    char place[PLACE]; /* of the object at hand: "nodes[3].segments[17].data" */
    struct error *err;
};

static int refuse(const struct reading *r, const char *key, const char *what)
{
    return error_set(r->err, TD_E_CORRUPT, "manifest: %s%s%s %s", r->place, *r->place && *key ? "." : "", key, what);
}

static int no_memory(const struct reading *r)
{
    if (r->m && r->m->arena.full)
        return error_set(r->err, TD_E_LIMIT, "manifest: what it says takes more than %zu MiB of memory", r->m->arena.max >> 20);
    return error_nomem(r->err);
}

/* ---- Values ---- */

/* Zero-terminated, from the arena. `optional`: null is NULL. */
static int take_text(struct reading *r, const json_t *o, const char *key, bool optional, const char **ret)
{
    const json_t *v = json_object_get(o, key);
    *ret = NULL;
    if (optional && json_is_null(v))
        return TD_OK;
    if (!json_is_string(v))
        return refuse(r, key, v ? "is no text" : "is not there");
    *ret = arena_strndup(&r->m->arena, json_string_value(v), json_string_length(v));
    return *ret ? TD_OK : no_memory(r);
}

static int take_number(struct reading *r, const json_t *o, const char *key, uint64_t *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return refuse(r, key, v ? "is no number from 0 on" : "is not there");
    *ret = (uint64_t)json_integer_value(v);
    return TD_OK;
}

static int take_bool(struct reading *r, const json_t *o, const char *key, bool *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_boolean(v))
        return refuse(r, key, v ? "is neither true nor false" : "is not there");
    *ret = json_is_true(v);
    return TD_OK;
}

/* Only as units_format_time() writes it. */
static int take_time(struct reading *r, const json_t *o, const char *key, int64_t *ret)
{
    char again[UNITS_TEXT];
    const char *text = json_string_value(json_object_get(o, key));
    int64_t ns;
    if (!text)
        return refuse(r, key, json_object_get(o, key) ? "is no time" : "is not there");
    if (text[0] < '0' || text[0] > '9' || !units_parse_time(text, 0, &ns))
        return refuse(r, key, "is no time");
    units_format_time(ns, again);
    if (strcmp(text, again) != 0)
        return refuse(r, key, "is no time in UTC with nine digits of fraction");
    *ret = ns;
    return TD_OK;
}

static int take_array(struct reading *r, const json_t *o, const char *key, size_t max, const json_t **ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_array(v))
        return refuse(r, key, v ? "is no list" : "is not there");
    if (json_array_size(v) > max)
        return refuse(r, key, "is too long");
    *ret = v;
    return TD_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_sha256(struct reading *r, const json_t *o, uint8_t out[MANIFEST_SHA256])
{
    const json_t *v = json_object_get(o, "sha256");
    const char *text = json_string_value(v);
    if (!text || json_string_length(v) != 2 * MANIFEST_SHA256)
        return refuse(r, "sha256", "is no digest of 64 hexadecimal digits");
    for (size_t i = 0; i < MANIFEST_SHA256; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return refuse(r, "sha256", "is no digest of 64 hexadecimal digits");
        out[i] = (uint8_t)(high << 4 | low);
    }
    return TD_OK;
}

/* ---- Parts ---- */

/* Appends to the place; returns where it ended, for leave(). */
static size_t enter(struct reading *r, const char *key, size_t i)
{
    size_t n = strlen(r->place);
    if (i != SIZE_MAX)
        snprintf(r->place + n, PLACE - n, "%s%s[%zu]", n ? "." : "", key, i);
    else
        snprintf(r->place + n, PLACE - n, "%s%s", n ? "." : "", key);
    return n;
}

static void leave(struct reading *r, size_t n)
{
    r->place[n] = 0;
}

/* `allowed`: the keys that it may have; a second one may be NULL. */
static int take_object(struct reading *r, const json_t *parent, const char *name, const char *const allowed[2], struct manifest_object *ret)
{
    const json_t *o = json_object_get(parent, name);
    size_t before = enter(r, name, SIZE_MAX);
    const char *key = json_string_value(json_object_get(o, "key"));
    int status = TD_OK;
    if (!allowed[0])
        status = no_memory(r);
    else if (!key)
        status = refuse(r, "key", "is not there");
    else if (strcmp(key, allowed[0]) == 0)
        ret->key = allowed[0];
    else if (allowed[1] && strcmp(key, allowed[1]) == 0)
        ret->key = allowed[1];
    else
        status = refuse(r, "key", "is not that of this node and sequence");
    if (status == TD_OK)
        status = take_number(r, o, "bytes", &ret->bytes);
    if (status == TD_OK && !ret->bytes)
        status = refuse(r, "bytes", "is 0");
    if (status == TD_OK)
        status = take_sha256(r, o, ret->sha256);
    leave(r, before);
    return status;
}

static int take_packet_times(struct reading *r, const json_t *o, struct manifest_segment *s)
{
    s->first_ns = INT64_MAX;
    s->last_ns = INT64_MIN;
    if (!s->packets)
        return json_is_null(json_object_get(o, "first")) && json_is_null(json_object_get(o, "last"))
                   ? TD_OK
                   : refuse(r, "first", "and last are not null, though there are no packets");
    int status = take_time(r, o, "first", &s->first_ns);
    if (status == TD_OK)
        status = take_time(r, o, "last", &s->last_ns);
    if (status == TD_OK && (s->first_ns > s->last_ns || s->first_ns < r->m->start_ns || s->last_ns >= r->m->end_ns))
        status = refuse(r, "first", "and last do not lie within the window");
    return status;
}

static int take_segment(struct reading *r, const json_t *o, const struct manifest_node *n, struct manifest_segment *s)
{
    int status = take_number(r, o, "sequence", &s->sequence);
    if (status == TD_OK)
        status = take_bool(r, o, "trimmed", &s->trimmed);
    if (status == TD_OK)
        status = take_number(r, o, "packets", &s->packets);
    if (status == TD_OK)
        status = take_number(r, o, "captured_bytes", &s->captured_bytes);
    if (status == TD_OK)
        status = take_packet_times(r, o, s);
    if (status != TD_OK)
        return status;
    const char *const index[2] = {manifest_key(r->m, n->name, s->sequence, MANIFEST_INDEX)};
    const char *const data[2] = {manifest_key(r->m, n->name, s->sequence, MANIFEST_PCAPNG),
                                 manifest_key(r->m, n->name, s->sequence, MANIFEST_PCAPNG_ZST)};
    status = take_object(r, o, "data", data, &s->data);
    return status == TD_OK ? take_object(r, o, "index", index, &s->index) : status;
}

static int take_segments(struct reading *r, const json_t *o, struct manifest_node *n)
{
    const json_t *list = NULL;
    int status = take_array(r, o, "segments", MAX_SEGMENTS, &list);
    if (status != TD_OK)
        return status;
    n->segment_count = json_array_size(list);
    n->segments = arena_alloc(&r->m->arena, n->segment_count * sizeof(*n->segments), alignof(struct manifest_segment));
    if (!n->segments)
        return no_memory(r);
    for (size_t i = 0; status == TD_OK && i < n->segment_count; i++) {
        size_t before = enter(r, "segments", i);
        status = take_segment(r, json_array_get(list, i), n, &n->segments[i]);
        if (status == TD_OK && i && n->segments[i].sequence <= n->segments[i - 1].sequence)
            status = refuse(r, "sequence", "is not above the one before");
        leave(r, before);
    }
    return status;
}

static int take_context(struct reading *r, const json_t *o, struct manifest_node *n)
{
    if (!json_object_get(o, "context"))
        return TD_OK;
    const char *const allowed[2] = {manifest_context_key(r->m, n->name)};
    return take_object(r, o, "context", allowed, &n->context);
}

static int take_gaps(struct reading *r, const json_t *o, struct manifest_node *n)
{
    const json_t *list = NULL;
    int status = take_array(r, o, "gaps", MAX_GAPS, &list);
    if (status != TD_OK)
        return status;
    n->gap_count = json_array_size(list);
    n->gaps = arena_alloc(&r->m->arena, n->gap_count * sizeof(*n->gaps), alignof(struct manifest_gap));
    if (!n->gaps)
        return no_memory(r);
    for (size_t i = 0; status == TD_OK && i < n->gap_count; i++) {
        struct manifest_gap *g = &n->gaps[i];
        const json_t *gap = json_array_get(list, i);
        size_t before = enter(r, "gaps", i);
        status = take_time(r, gap, "start", &g->start_ns);
        if (status == TD_OK)
            status = take_time(r, gap, "end", &g->end_ns);
        if (status == TD_OK)
            status = take_text(r, gap, "reason", false, &g->reason);
        if (status == TD_OK && (g->start_ns >= g->end_ns || g->start_ns < r->m->start_ns || g->end_ns > r->m->end_ns))
            status = refuse(r, "start", "and end do not lie within the window");
        leave(r, before);
    }
    return status;
}

static int take_state(struct reading *r, const json_t *o, struct manifest_node *n)
{
    static const char *const states[] = {"complete", "partial", "missing"};
    const char *text = json_string_value(json_object_get(o, "state"));
    for (uint32_t i = 0; text && i < sizeof(states) / sizeof(states[0]); i++) {
        if (strcmp(text, states[i]) != 0)
            continue;
        n->state = i;
        return TD_OK;
    }
    return refuse(r, "state", "is none of complete, partial, missing");
}

static int take_clock(struct reading *r, const json_t *o, struct manifest_node *n)
{
    const json_t *offset = json_object_get(o, "clock_offset_ns"), *error = json_object_get(o, "clock_error_ns");
    if (!json_is_integer(offset))
        return refuse(r, "clock_offset_ns", "is no number");
    if (!json_is_null(error) && (!json_is_integer(error) || json_integer_value(error) < 0))
        return refuse(r, "clock_error_ns", "is neither a number from 0 on nor null");
    n->clock_offset_ns = json_integer_value(offset);
    n->clock_error_ns = json_is_null(error) ? INT64_MAX : json_integer_value(error);
    return TD_OK;
}

static int take_name(struct reading *r, const json_t *o, struct manifest_node *n)
{
    struct error why;
    int status = take_text(r, o, "node", false, &n->name);
    if (status == TD_OK && manifest_check_node(n->name, &why) != TD_OK)
        status = refuse(r, "node", "cannot be a node's name");
    if (status == TD_OK)
        status = take_text(r, o, "version", true, &n->version);
    if (status == TD_OK)
        status = take_text(r, o, "reason", true, &n->reason);
    return status == TD_OK ? take_state(r, o, n) : status;
}

static int take_counts(struct reading *r, const json_t *o, struct manifest_node *n)
{
    const struct {
        const char *key;
        uint64_t *to;
    } counts[] = {{"packets", &n->packets},
                  {"captured_bytes", &n->captured_bytes},
                  {"dropped_by_kernel", &n->dropped_by_kernel},
                  {"dropped_by_interface", &n->dropped_by_interface},
                  {"dropped_by_disk", &n->dropped_by_disk}};
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < sizeof(counts) / sizeof(counts[0]); i++)
        status = take_number(r, o, counts[i].key, counts[i].to);
    return status;
}

static int take_node(struct reading *r, const json_t *o, struct manifest_node *n)
{
    int status = take_name(r, o, n);
    if (status == TD_OK)
        status = take_time(r, o, "covered_from", &n->covered_from_ns);
    if (status == TD_OK)
        status = take_time(r, o, "covered_to", &n->covered_to_ns);
    if (status == TD_OK &&
        (n->covered_from_ns > n->covered_to_ns || n->covered_from_ns < r->m->start_ns || n->covered_to_ns > r->m->end_ns))
        status = refuse(r, "covered_from", "and covered_to do not lie within the window");
    if (status == TD_OK)
        status = take_clock(r, o, n);
    if (status == TD_OK)
        status = take_counts(r, o, n);
    if (status == TD_OK)
        status = take_context(r, o, n);
    if (status == TD_OK)
        status = take_gaps(r, o, n);
    return status == TD_OK ? take_segments(r, o, n) : status;
}

static int take_nodes(struct reading *r, const json_t *root)
{
    struct manifest *m = r->m;
    const json_t *list = NULL;
    int status = take_array(r, root, "nodes", MANIFEST_MAX_NODES, &list);
    if (status != TD_OK)
        return status;
    m->node_count = json_array_size(list);
    m->nodes = arena_alloc(&m->arena, m->node_count * sizeof(*m->nodes), alignof(struct manifest_node));
    if (!m->nodes)
        return no_memory(r);
    for (size_t i = 0; status == TD_OK && i < m->node_count; i++) {
        size_t before = enter(r, "nodes", i);
        status = take_node(r, json_array_get(list, i), &m->nodes[i]);
        if (status == TD_OK && i && strcmp(m->nodes[i].name, m->nodes[i - 1].name) <= 0)
            status = refuse(r, "node", "is not above the one before");
        leave(r, before);
    }
    return status;
}

/* ---- The whole ---- */

static bool add(uint64_t *sum, uint64_t v)
{
    return !__builtin_add_overflow(*sum, v, sum);
}

static bool add_segments(const struct manifest_node *n, uint64_t *packets, uint64_t *captured, uint64_t *bytes)
{
    for (size_t i = 0; i < n->segment_count; i++) {
        const struct manifest_segment *s = &n->segments[i];
        if (!add(packets, s->packets) || !add(captured, s->captured_bytes) || !add(bytes, s->data.bytes) || !add(bytes, s->index.bytes))
            return false;
    }
    return true;
}

static int check_sums(struct reading *r)
{
    uint64_t all_packets = 0, all_bytes = 0;
    for (size_t i = 0; i < r->m->node_count; i++) {
        const struct manifest_node *n = &r->m->nodes[i];
        uint64_t packets = 0, captured = 0;
        size_t before = enter(r, "nodes", i);
        if (!add_segments(n, &packets, &captured, &all_bytes) || !add(&all_bytes, n->context.bytes) || packets != n->packets ||
            !add(&all_packets, packets))
            return refuse(r, "packets", "is not the sum of its segments");
        if (captured != n->captured_bytes)
            return refuse(r, "captured_bytes", "is not the sum of its segments");
        leave(r, before);
    }
    if (all_packets != r->m->packets)
        return refuse(r, "packets", "is not the sum of its nodes");
    return all_bytes == r->m->bytes ? TD_OK : refuse(r, "bytes", "is not the sum of its objects");
}

static int take_identity(struct reading *r, const json_t *root)
{
    struct manifest *m = r->m;
    struct error why;
    const char *id, *name;
    int status = take_text(r, root, "id", false, &id);
    if (status == TD_OK && !manifest_is_id(id))
        status = refuse(r, "id", "is none");
    if (status == TD_OK)
        status = take_text(r, root, "name", false, &name);
    if (status == TD_OK && manifest_check_name(name, &why) != TD_OK)
        status = refuse(r, "name", "cannot be a snapshot's name");
    if (status != TD_OK)
        return status;
    snprintf(m->id, sizeof(m->id), "%s", id);
    snprintf(m->name, sizeof(m->name), "%s", name);
    return take_text(r, root, "version", false, &m->version);
}

static int take_all(struct reading *r, const json_t *root)
{
    struct manifest *m = r->m;
    int status = take_identity(r, root);
    if (status == TD_OK)
        status = take_time(r, root, "created", &m->created_ns);
    if (status == TD_OK)
        status = take_time(r, root, "completed", &m->completed_ns);
    if (status == TD_OK)
        status = take_time(r, root, "start", &m->start_ns);
    if (status == TD_OK)
        status = take_time(r, root, "end", &m->end_ns);
    if (status == TD_OK && m->start_ns >= m->end_ns)
        status = refuse(r, "end", "is not behind start");
    if (status == TD_OK)
        status = take_bool(r, root, "imported", &m->imported);
    if (status == TD_OK)
        status = take_number(r, root, "packets", &m->packets);
    if (status == TD_OK)
        status = take_number(r, root, "bytes", &m->bytes);
    if (status == TD_OK)
        status = take_nodes(r, root);
    return status == TD_OK ? check_sums(r) : status;
}

static int check_format(struct reading *r, const json_t *root)
{
    const json_t *format = json_object_get(root, "format");
    if (!json_is_integer(format) || json_integer_value(format) < 1)
        return refuse(r, "format", "is no number from 1 on");
    if (json_integer_value(format) > MANIFEST_FORMAT)
        return error_set(r->err, TD_E_UNSUPPORTED, "manifest: it has format %lld, and this hub knows formats up to %d; use a newer one",
                         (long long)json_integer_value(format), MANIFEST_FORMAT);
    return TD_OK;
}

int manifest_read(struct td_slice json, struct manifest **ret, struct error *err)
{
    json_error_t problem;
    struct reading r = {.err = err};
    if (json.n > MANIFEST_MAX_BYTES)
        return error_set(err, TD_E_CORRUPT, "manifest: longer than %d MiB", MANIFEST_MAX_BYTES >> 20);
    if (json_tree_bytes(json) > max_tree(json.n))
        return error_set(err, TD_E_CORRUPT, "manifest: it has more values than one can have");
    json_t *root = json_loadb(json.n ? (const char *)json.p : "", json.n, JSON_REJECT_DUPLICATES, &problem);
    if (!json_is_object(root)) {
        int status = root ? error_set(err, TD_E_CORRUPT, "manifest: no JSON object")
                          : error_set(err, TD_E_CORRUPT, "manifest: line %d: %s", problem.line, problem.text);
        json_decref(root);
        return status;
    }
    r.m = manifest_new();
    int status = r.m ? check_format(&r, root) : no_memory(&r);
    if (status == TD_OK)
        status = take_all(&r, root);
    json_decref(root);
    if (status == TD_OK)
        *ret = r.m;
    else
        manifest_free(r.m);
    return status;
}
