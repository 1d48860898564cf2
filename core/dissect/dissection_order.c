/* The request on its way: configuration out, everything in. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ip.h"
#include "base/json.h"
#include "base/mem.h"
#include "config/options.h"
#include "dissect/dissection_shared.h"

/* ---- The configuration ---- */

/* A value as it stands in the tree: text, or a list of texts. */
static void put_value(struct buf *out, const struct yaml_node *node)
{
    if (yaml_is_null(node)) {
        buf_lit(out, "null");
        return;
    }
    if (node->kind == YAML_TEXT) {
        json_put_string(out, td_bytes(node->text, node->n));
        return;
    }
    buf_putc(out, '[');
    for (uint32_t i = 0; node->kind == YAML_LIST && i < node->n; i++) {
        if (i)
            buf_putc(out, ',');
        if (node->items[i]->kind == YAML_TEXT)
            json_put_string(out, td_bytes(node->items[i]->text, node->items[i]->n));
        else
            buf_lit(out, "null");
    }
    buf_putc(out, ']');
}

/* Options of dissectors, by name: as written, since only their own tables know what they mean. */
static void put_dissectors(struct buf *out, const struct yaml_node *map)
{
    buf_lit(out, "  dissectors: {");
    for (uint32_t i = 0; map && map->kind == YAML_MAP && i < map->n; i++) {
        const struct yaml_node *options = map->entries[i].value;
        if (i)
            buf_putc(out, ',');
        json_put_string(out, td_str(map->entries[i].key->text));
        buf_lit(out, ": {");
        for (uint32_t j = 0; options->kind == YAML_MAP && j < options->n; j++) {
            if (j)
                buf_putc(out, ',');
            json_put_string(out, td_str(options->entries[j].key->text));
            buf_lit(out, ": ");
            put_value(out, options->entries[j].value);
        }
        buf_putc(out, '}');
    }
    buf_lit(out, "}\n");
}

/* A section of the core's, from the values in force. */
static void put_section(struct buf *out, const struct config *config, const char *name)
{
    size_t n;
    const struct config_section *sections = config_sections(&n);
    for (size_t i = 0; i < n; i++) {
        if (strncmp(sections[i].path, "tap.", 4) != 0 || strcmp(sections[i].path + 4, name) != 0)
            continue;
        buf_printf(out, "  %s:\n", name);
        for (size_t j = 0; j < sections[i].n; j++) {
            buf_printf(out, "    %s: ", sections[i].v[j].name);
            options_put_value(out, &sections[i].v[j], (const uint8_t *)config + sections[i].offset);
            buf_putc(out, '\n');
        }
    }
}

void dissection_put_config(const struct config *config, struct buf *out)
{
    const struct td_strlist *enabled = &config->tap.enabled_dissectors;
    buf_lit(out, "tap:\n");
    if (enabled->v) {
        buf_lit(out, "  enabledDissectors: [");
        for (size_t i = 0; i < enabled->n; i++) {
            if (i)
                buf_putc(out, ',');
            json_put_string(out, td_str(enabled->v[i]));
        }
        buf_lit(out, "]\n");
    }
    put_section(out, config, "dissection");
    put_section(out, config, "plugins");
    put_dissectors(out, config_node(config, "tap.dissectors"));
}

/* ---- Reading ---- */

static char *copy_text(const json_t *object, const char *key, bool *fine)
{
    const char *text = json_string_value(json_object_get(object, key));
    char *copy = text ? mem_strdup(text) : NULL;
    *fine &= !text || copy;
    return copy;
}

static uint64_t number_of(const json_t *object, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(object, key));
}

static bool read_node(const json_t *object, struct dissection_order_node *node)
{
    const json_t *captures = json_object_get(object, "captures");
    size_t n = json_array_size(captures);
    bool fine = true;
    node->name = copy_text(object, "name", &fine);
    node->captures = mem_calloc(n, sizeof(char *));
    for (; node->captures && node->capture_n < n; node->capture_n++) {
        const char *name = json_string_value(json_array_get(captures, node->capture_n));
        node->captures[node->capture_n] = mem_strdup(name ? name : "");
        fine &= node->captures[node->capture_n] != NULL;
    }
    return fine && node->captures;
}

static bool read_lists(const json_t *object, struct dissection_order *o)
{
    const json_t *nodes = json_object_get(object, "nodes"), *banned = json_object_get(object, "banned");
    size_t node_n = json_array_size(nodes), banned_n = json_array_size(banned);
    bool fine = true;
    o->nodes = mem_calloc(node_n, sizeof(*o->nodes));
    o->banned = mem_calloc(banned_n, sizeof(*o->banned));
    if (!o->nodes || !o->banned)
        return false;
    for (; o->banned_n < banned_n; o->banned_n++)
        o->banned[o->banned_n] = (uint64_t)json_integer_value(json_array_get(banned, o->banned_n));
    for (; o->node_n < node_n; o->node_n++)
        fine &= read_node(json_array_get(nodes, o->node_n), &o->nodes[o->node_n]);
    return fine;
}

static bool read_object(const json_t *object, struct dissection_order *o)
{
    bool fine = true;
    o->parent = (int)number_of(object, "parent");
    o->config = copy_text(object, "config", &fine);
    o->config_file = copy_text(object, "config_file", &fine);
    o->out_path = copy_text(object, "out", &fine);
    o->about = copy_text(object, "about", &fine);
    o->quarantine = copy_text(object, "quarantine", &fine);
    o->threads = (unsigned)number_of(object, "threads");
    o->memory = number_of(object, "memory");
    o->room = number_of(object, "room");
    o->payloads = json_is_true(json_object_get(object, "payloads"));
    o->measure = json_is_true(json_object_get(object, "measure"));
    return fine && read_lists(object, o) && o->config && o->out_path;
}

static int read_all(int fd, struct buf *out, struct error *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0 || info.st_size < 0)
        return error_set(err, TD_E_INTERNAL, "the request cannot be read: %s", strerror(errno));
    if (!buf_reserve(out, (size_t)info.st_size))
        return error_nomem(err);
    while (out->n < (size_t)info.st_size) {
        ssize_t n = pread(fd, out->p + out->n, (size_t)info.st_size - out->n, (off_t)out->n);
        if (n <= 0)
            return error_set(err, TD_E_INTERNAL, "the request cannot be read: %s", n ? strerror(errno) : "it is cut");
        out->n += (size_t)n;
    }
    return TD_OK;
}

int dissection_order_read(int fd, struct dissection_order *ret, struct error *err)
{
    struct buf text = {0};
    *ret = (struct dissection_order){0};
    int status = read_all(fd, &text, err);
    json_t *object = status == TD_OK ? json_loadb((const char *)text.p, text.n, 0, NULL) : NULL;
    if (status == TD_OK && !object)
        status = error_set(err, TD_E_INTERNAL, "the request is no JSON");
    if (status == TD_OK && !read_object(object, ret))
        status = error_set(err, TD_E_INTERNAL, "the request lacks something, or memory is short");
    json_decref(object);
    buf_clear(&text);
    return status;
}

void dissection_order_clear(struct dissection_order *o)
{
    for (size_t i = 0; i < o->node_n; i++) {
        for (size_t j = 0; j < o->nodes[i].capture_n; j++)
            mem_free(o->nodes[i].captures[j]);
        mem_free(o->nodes[i].captures);
        mem_free(o->nodes[i].name);
    }
    mem_free(o->nodes);
    mem_free(o->banned);
    mem_free(o->config);
    mem_free(o->config_file);
    mem_free(o->out_path);
    mem_free(o->about);
    mem_free(o->quarantine);
    *o = (struct dissection_order){0};
}

/* ---- Names ---- */

static size_t put_end(const struct flow_key *key, int side, char out[IP_TEXT + 10])
{
    char ip[IP_TEXT];
    ip[ip_format(key->ip[side], key->ip_version == 6 ? 6 : 4, ip)] = 0;
    int n = snprintf(out, IP_TEXT + 10, key->ip_version == 6 ? "[%s]:%u" : "%s:%u", ip, key->port[side]);
    return n < 0 ? 0 : (size_t)n;
}

void dissection_connection_text(const struct dissection_suspect *s, char *out, size_t n)
{
    char ends[2][IP_TEXT + 10];
    int client = s->client == 1;
    put_end(&s->key, client, ends[0]);
    put_end(&s->key, !client, ends[1]);
    snprintf(out, n, "%s-%s/%s", ends[0], ends[1], s->key.transport == 17 ? "udp" : "tcp");
}
