#include "snapshot/offer.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/notes.h"
#include "capture/segment_file.h"

enum {
    MAX_EXPIRES_S = 86400,
    MIN_BLOCK = 32,      /* bytes of a packet's block */
    MAX_TREE = 256 << 20 /* bytes of memory for what an answer says; twice what OFFER_MAX_SEGMENTS take */
};

struct reading {
    struct offer *h;
    int64_t start_ns, end_ns;
    struct error *err;
};

/* ---- Values ---- */

/* NULL: it is no JSON, or too much of it. */
static json_t *load(struct td_slice json, size_t flags, json_error_t *problem)
{
    if (json_tree_bytes(json) <= MAX_TREE)
        return json_loadb(json.n ? (const char *)json.p : "", json.n, flags, problem);
    snprintf(problem->text, sizeof(problem->text), "more values than an answer can have");
    return NULL;
}

static int refuse(const struct reading *r, const char *key, const char *what)
{
    return error_set(r->err, TD_E_CORRUPT, "the worker's answer makes no sense: %s %s", key, what);
}

static int take_number(const struct reading *r, const json_t *o, const char *key, uint64_t max, uint64_t *ret)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0 || (uint64_t)json_integer_value(v) > max)
        return refuse(r, key, v ? "is no number within its limits" : "is not there");
    *ret = (uint64_t)json_integer_value(v);
    return TD_OK;
}

/* The kernel has numbers of devices and inodes that JSON's integers do not: they come as they are, or as 0. */
static uint64_t take_id(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_integer(v) ? (uint64_t)json_integer_value(v) : 0;
}

static bool parse_time(const json_t *v, int64_t *ret_ns)
{
    const char *text = json_string_value(v);
    return text && text[0] >= '0' && text[0] <= '9' && strchr(text, 'T') && units_parse_time(text, 0, ret_ns);
}

/* Of the worker's clock, which may be wrong by anything: it is reckoned with, and a clock that does not run yet says 1970. */
static bool parse_now(const json_t *o, int64_t *ret_ns)
{
    return parse_time(json_object_get(o, "now"), ret_ns) && *ret_ns >= NS_PER_S;
}

static int take_time(const struct reading *r, const json_t *o, const char *key, int64_t *ret_ns)
{
    return parse_time(json_object_get(o, key), ret_ns) ? TD_OK : refuse(r, key, "is no time");
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int take_sha256(const struct reading *r, const json_t *o, struct offer_segment *s)
{
    const json_t *v = json_object_get(o, "sha256");
    const char *text = json_string_value(v);
    if (!v || json_is_null(v))
        return TD_OK;
    if (!text || json_string_length(v) != 2 * MANIFEST_SHA256)
        return refuse(r, "sha256", "is no digest");
    for (size_t i = 0; i < MANIFEST_SHA256; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return refuse(r, "sha256", "is no digest");
        s->sha256[i] = (uint8_t)(high << 4 | low);
    }
    s->hashed = true;
    return TD_OK;
}

/* ---- Segments ---- */

/* The only names that we would ever link. */
static int check_files(const struct reading *r, const json_t *o, struct offer_segment *s)
{
    char name[SEGMENT_NAME];
    const char *file = json_string_value(json_object_get(o, "file")), *index = json_string_value(json_object_get(o, "index"));
    if (!index || strcmp(index, segment_file_name(s->sequence, SEGMENT_FILE_INDEX, false, name)) != 0)
        return refuse(r, "index", "is not the name of this segment's index");
    if (file && strcmp(file, segment_file_name(s->sequence, SEGMENT_FILE_PLAIN, false, name)) == 0)
        return TD_OK;
    s->compressed = true;
    if (file && strcmp(file, segment_file_name(s->sequence, SEGMENT_FILE_COMPRESSED, false, name)) == 0)
        return TD_OK;
    return refuse(r, "file", "is not the name of this segment's file");
}

static int take_packets(const struct reading *r, const json_t *o, struct offer_segment *s)
{
    s->first_ns = INT64_MAX;
    s->last_ns = INT64_MIN;
    int status = take_number(r, o, "packets", NOTES_MAX_SEGMENT / MIN_BLOCK, &s->packets);
    if (status == TD_OK)
        status = take_number(r, o, "captured_bytes", NOTES_MAX_SEGMENT, &s->captured_bytes);
    if (status != TD_OK || !s->packets)
        return status;
    status = take_time(r, o, "first", &s->first_ns);
    if (status == TD_OK)
        status = take_time(r, o, "last", &s->last_ns);
    if (status == TD_OK && (s->first_ns < r->start_ns || s->last_ns >= r->end_ns || s->first_ns > s->last_ns))
        status = refuse(r, "first", "and last do not lie within the window, though the segment is said to");
    return status;
}

static int take_whole(const struct reading *r, const json_t *o, struct offer_segment *s)
{
    int status = check_files(r, o, s);
    if (status == TD_OK)
        status = take_number(r, o, "bytes", NOTES_MAX_SEGMENT, &s->bytes);
    if (status == TD_OK)
        status = take_number(r, o, "index_bytes", NOTES_MAX_SEGMENT, &s->index_bytes);
    if (status == TD_OK && (!s->bytes || !s->index_bytes))
        status = refuse(r, "bytes", "is 0");
    if (status == TD_OK)
        status = take_sha256(r, o, s);
    if (status == TD_OK)
        status = take_packets(r, o, s);
    s->inode = take_id(o, "inode");
    s->index_inode = take_id(o, "index_inode");
    s->estimated_bytes = s->bytes;
    return status;
}

static int take_segment(const struct reading *r, const json_t *o, struct offer_segment *s)
{
    const json_t *whole = json_object_get(o, "whole");
    int status = take_number(r, o, "sequence", INT64_MAX, &s->sequence);
    if (status == TD_OK && !json_is_boolean(whole))
        status = refuse(r, "whole", "is neither true nor false");
    s->whole = json_is_true(whole);
    if (status != TD_OK)
        return status;
    return s->whole ? take_whole(r, o, s) : take_number(r, o, "estimated_bytes", NOTES_MAX_SEGMENT, &s->estimated_bytes);
}

static int take_segments(const struct reading *r, const json_t *root)
{
    struct offer *h = r->h;
    const json_t *list = json_object_get(root, "segments");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > OFFER_MAX_SEGMENTS)
        return refuse(r, "segments", "is no list of at most 65536");
    h->segments = mem_calloc(n + 1, sizeof(*h->segments));
    if (!h->segments)
        return error_nomem(r->err);
    h->segment_count = n;
    int status = TD_OK;
    for (size_t i = 0; status == TD_OK && i < n; i++) {
        status = take_segment(r, json_array_get(list, i), &h->segments[i]);
        if (status == TD_OK && i && h->segments[i].sequence <= h->segments[i - 1].sequence)
            status = refuse(r, "segments", "do not ascend");
    }
    return status;
}

/* ---- The rest ---- */

static int64_t clip(const struct reading *r, int64_t ns)
{
    return ns < r->start_ns ? r->start_ns : ns > r->end_ns ? r->end_ns : ns;
}

static int take_gaps(const struct reading *r, const json_t *root)
{
    struct offer *h = r->h;
    const json_t *list = json_object_get(root, "gaps");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > OFFER_MAX_GAPS)
        return refuse(r, "gaps", "is no list of at most 4096");
    h->gaps = mem_calloc(n + 1, sizeof(*h->gaps));
    if (!h->gaps)
        return error_nomem(r->err);
    for (size_t i = 0; i < n; i++) {
        const json_t *o = json_array_get(list, i);
        const char *reason = json_string_value(json_object_get(o, "reason"));
        struct offer_gap *g = &h->gaps[h->gap_count];
        if (!parse_time(json_object_get(o, "start"), &g->start_ns) || !parse_time(json_object_get(o, "end"), &g->end_ns))
            return refuse(r, "gaps", "have no times");
        g->start_ns = clip(r, g->start_ns);
        g->end_ns = clip(r, g->end_ns);
        manifest_cut_text(g->reason, sizeof(g->reason), reason ? reason : "not told");
        h->gap_count += g->start_ns < g->end_ns;
    }
    return TD_OK;
}

/* null, or both the same: nothing. */
static int take_coverage(const struct reading *r, const json_t *root)
{
    struct offer *h = r->h;
    int64_t from, to;
    h->covered_from_ns = h->covered_to_ns = r->start_ns;
    if (json_is_null(json_object_get(root, "covered_from")) || json_is_null(json_object_get(root, "covered_to")))
        return TD_OK;
    int status = take_time(r, root, "covered_from", &from);
    if (status == TD_OK)
        status = take_time(r, root, "covered_to", &to);
    if (status == TD_OK && clip(r, from) < clip(r, to)) {
        h->covered_from_ns = clip(r, from);
        h->covered_to_ns = clip(r, to);
    }
    return status;
}

static int take_identity(const struct reading *r, const json_t *root)
{
    struct offer *h = r->h;
    uint64_t expires_s = 0;
    struct error why;
    const char *id = json_string_value(json_object_get(root, "id")), *node = json_string_value(json_object_get(root, "node"));
    const char *version = json_string_value(json_object_get(root, "version"));
    const char *directory = json_string_value(json_object_get(root, "directory"));
    if (!id || !*id || strlen(id) >= sizeof(h->id))
        return refuse(r, "id", "is none");
    if (!node || manifest_check_node(node, &why) != TD_OK)
        return refuse(r, "node", "is no name that a node can have");
    snprintf(h->id, sizeof(h->id), "%s", id);
    snprintf(h->node, sizeof(h->node), "%s", node);
    manifest_cut_text(h->version, sizeof(h->version), version ? version : "");
    if (directory && directory[0] == '/' && strlen(directory) < sizeof(h->directory))
        snprintf(h->directory, sizeof(h->directory), "%s", directory);
    h->device = take_id(root, "device");
    int status = take_number(r, root, "expires_s", MAX_EXPIRES_S, &expires_s);
    h->expires_s = (int64_t)expires_s;
    if (status == TD_OK && !parse_now(root, &h->now_ns))
        status = refuse(r, "now", "is no time of a clock");
    return status;
}

static int take_drops(const struct reading *r, const json_t *root)
{
    int status = take_number(r, root, "dropped_by_kernel", INT64_MAX, &r->h->dropped_by_kernel);
    if (status == TD_OK)
        status = take_number(r, root, "dropped_by_interface", INT64_MAX, &r->h->dropped_by_interface);
    return status == TD_OK ? take_number(r, root, "dropped_by_disk", INT64_MAX, &r->h->dropped_by_disk) : status;
}

int offer_parse(struct td_slice json, int64_t start_ns, int64_t end_ns, struct offer *ret, struct error *err)
{
    struct offer *h = mem_calloc(1, sizeof(*h));
    json_error_t problem;
    const struct reading r = {h, start_ns, end_ns, err};
    if (!h)
        return error_nomem(err);
    json_t *root = load(json, JSON_REJECT_DUPLICATES, &problem);
    int status = root ? take_identity(&r, root) : error_set(err, TD_E_CORRUPT, "the worker's answer makes no sense: %s", problem.text);
    if (status == TD_OK)
        status = take_coverage(&r, root);
    if (status == TD_OK)
        status = take_drops(&r, root);
    if (status == TD_OK)
        status = take_gaps(&r, root);
    if (status == TD_OK)
        status = take_segments(&r, root);
    json_decref(root);
    if (status == TD_OK)
        *ret = *h;
    else
        offer_clear(h);
    mem_free(h);
    return status;
}

void offer_clear(struct offer *h)
{
    mem_free(h->gaps);
    mem_free(h->segments);
    *h = (struct offer){0};
}

const struct offer_segment *offer_find(const struct offer *h, uint64_t sequence)
{
    size_t low = 0, high = h->segment_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (h->segments[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low < h->segment_count && h->segments[low].sequence == sequence ? &h->segments[low] : NULL;
}

bool offer_parse_now(struct td_slice json, int64_t *ret_ns)
{
    json_error_t ignored;
    json_t *root = load(json, 0, &ignored);
    bool good = parse_now(root, ret_ns);
    json_decref(root);
    return good;
}

bool offer_parse_boundaries(struct td_slice json, int64_t *ret_from_ns, int64_t *ret_to_ns)
{
    json_error_t ignored;
    json_t *root = load(json, 0, &ignored);
    bool good =
        parse_time(json_object_get(root, "covered_from"), ret_from_ns) && parse_time(json_object_get(root, "covered_to"), ret_to_ns);
    json_decref(root);
    return good;
}
