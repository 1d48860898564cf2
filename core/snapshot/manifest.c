#include "snapshot/manifest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/segment_file.h"

/* The text takes more room in the file than here. */
enum { MAX_MEMORY = MANIFEST_MAX_BYTES };

/* ---- Names ---- */

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int manifest_check_name(const char *name, struct error *err)
{
    size_t n = strlen(name);
    bool good = n >= 1 && n < MANIFEST_NAME && is_plain(name[0]) && is_plain(name[n - 1]);
    for (size_t i = 0; good && i < n; i++)
        good = is_plain(name[i]) || name[i] == '.' || name[i] == '_' || name[i] == '-';
    if (good)
        return TD_OK;
    return error_set(err, TD_E_CONFIG,
                     "\"%.140s\" cannot be a name: up to %d letters a to z, digits, and between them dots, hyphens and underscores", name,
                     MANIFEST_NAME - 1);
}

int manifest_check_node(const char *node, struct error *err)
{
    static const char *const taken[] = {"dissections", "manifest.json"};
    size_t n = strlen(node);
    bool good = n >= 1 && n <= MANIFEST_MAX_NODE && node[0] != '.' && json_is_utf8(td_bytes(node, n));
    for (size_t i = 0; good && i < n; i++)
        good = (uint8_t)node[i] >= 0x20 && node[i] != 0x7f && node[i] != '/';
    for (size_t i = 0; good && i < sizeof(taken) / sizeof(taken[0]); i++)
        good = strcmp(node, taken[i]) != 0;
    if (good)
        return TD_OK;
    return error_set(err, TD_E_CONFIG,
                     "\"%.200s\" cannot be a node's name: up to %d bytes of text without slashes and no dot in front; set tap.node", node,
                     MANIFEST_MAX_NODE);
}

void manifest_cut_text(char *out, size_t n, const char *text)
{
    size_t length = strlen(text);
    if (length >= n)
        for (length = n - 1; length && ((uint8_t)text[length] & 0xc0) == 0x80;)
            length--;
    memcpy(out, text, length);
    out[length] = 0;
}

enum { ID_TIME = 16, ID_RANDOM = 8, ID_LENGTH = ID_TIME + 1 + ID_RANDOM };

void manifest_new_id(int64_t now_ns, char out[MANIFEST_ID])
{
    char text[UNITS_TEXT];
    uint32_t chance;
    if (getrandom(&chance, sizeof(chance), 0) != sizeof(chance))
        chance = (uint32_t)now_ns ^ (uint32_t)(now_ns >> 32); /* which cannot happen: the kernel waits for enough chance at the boot */
    units_format_time(now_ns, text);                          /* 2026-11-23T13:56:41.000000000Z */
    snprintf(out, MANIFEST_ID, "%.4s%.2s%.5s%.2s%.2sZ-%08x", text, text + 5, text + 8, text + 14, text + 17, chance);
}

bool manifest_is_id(const char *text)
{
    static const char shape[] = "00000000T000000Z-xxxxxxxx";
    size_t i = 0;
    for (; shape[i] && text[i]; i++) {
        bool good = text[i] == shape[i];
        if (shape[i] == '0')
            good = text[i] >= '0' && text[i] <= '9';
        else if (shape[i] == 'x')
            good = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
        if (!good)
            return false;
    }
    return i == ID_LENGTH && !text[i];
}

/* ---- Making ---- */

struct manifest *manifest_new(void)
{
    struct manifest *m = mem_calloc(1, sizeof(*m));
    if (m)
        arena_init(&m->arena, MAX_MEMORY);
    return m;
}

void manifest_free(struct manifest *m)
{
    if (!m)
        return;
    arena_clear(&m->arena);
    mem_free(m);
}

const char *manifest_key(struct manifest *m, const char *node, uint64_t sequence, enum manifest_object_kind kind)
{
    static const enum segment_file_kind kinds[] = {SEGMENT_FILE_PLAIN, SEGMENT_FILE_COMPRESSED, SEGMENT_FILE_INDEX};
    char key[MANIFEST_MAX_NODE + 1 + SEGMENT_NAME], file[SEGMENT_NAME];
    int n = snprintf(key, sizeof(key), "%s/%s", node, segment_file_name(sequence, kinds[kind], false, file));
    return n < (int)sizeof(key) ? arena_strndup(&m->arena, key, (size_t)n) : NULL;
}

const char *manifest_context_key(struct manifest *m, const char *node)
{
    char key[MANIFEST_MAX_NODE + 1 + sizeof(MANIFEST_CONTEXT)];
    int n = snprintf(key, sizeof(key), "%s/" MANIFEST_CONTEXT, node);
    return n < (int)sizeof(key) ? arena_strndup(&m->arena, key, (size_t)n) : NULL;
}

static int compare_nodes(const void *a, const void *b)
{
    return strcmp(((const struct manifest_node *)a)->name, ((const struct manifest_node *)b)->name);
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t left = ((const struct manifest_segment *)a)->sequence, right = ((const struct manifest_segment *)b)->sequence;
    return left < right ? -1 : left > right;
}

void manifest_sum(struct manifest *m)
{
    m->packets = m->bytes = 0;
    if (m->node_count)
        qsort(m->nodes, m->node_count, sizeof(*m->nodes), compare_nodes);
    for (size_t i = 0; i < m->node_count; i++) {
        struct manifest_node *n = &m->nodes[i];
        n->packets = n->captured_bytes = 0;
        if (n->segment_count)
            qsort(n->segments, n->segment_count, sizeof(*n->segments), compare_segments);
        for (size_t k = 0; k < n->segment_count; k++) {
            n->packets += n->segments[k].packets;
            n->captured_bytes += n->segments[k].captured_bytes;
            m->bytes += n->segments[k].data.bytes + n->segments[k].index.bytes;
        }
        m->packets += n->packets;
        m->bytes += n->context.bytes;
    }
}

/* ---- Asking ---- */

static void put_node(struct buf *reason, const struct manifest_node *n)
{
    if (reason->n)
        buf_lit(reason, "; ");
    buf_printf(reason, "node %s is %s: %s", n->name, n->state == MANIFEST_NODE_MISSING ? "missing" : "not complete",
               n->reason ? n->reason : "it does not say why");
}

bool manifest_is_whole(const struct manifest *m, struct buf *reason)
{
    enum { TOLD = 8 };
    size_t bad = 0;
    for (size_t i = 0; i < m->node_count; i++) {
        if (m->nodes[i].state == MANIFEST_NODE_COMPLETE)
            continue;
        if (reason && bad < TOLD)
            put_node(reason, &m->nodes[i]);
        bad++;
    }
    if (reason && bad > TOLD)
        buf_printf(reason, "; and %zu more nodes", bad - TOLD);
    if (m->packets == 0 && reason)
        buf_printf(reason, "%sthere is not a single packet in it", reason->n ? "; " : "");
    return bad == 0 && m->packets > 0;
}
