#include "filter_rig.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "filter/check.h"
#include "filter/parse.h"
#include "filter/print.h"

static const char usual_fields[] =
    "timestamp timestamp, elapsed_time int, latency duration, protocol string, transport string, tcp bool, udp bool, http bool, dns bool, "
    "src.ip string, dst.ip string, src.port int, dst.port int, src.name string, dst.name string, src.namespace string, dst.namespace "
    "string, "
    "src.pod.name string, dst.pod.name string, src.service.name string, dst.service.name string, namespaces list(string), pods "
    "list(string), "
    "conn_id int, complete bool, method string, url string, path string, query_string string, status_code int, http_host string, "
    "http_version string, request.headers map(string, string), response.headers map(string, string), request.cookies map(string, string), "
    "local_labels map(string, string), request.size int, response.size int, request.body bytes, dns_questions list(string), "
    "dns_question_types list(string), dns_answers list(string), dns_rcode int, dns_response bool, response.flags list(string), "
    "udp_payload bytes, request_body_size int, response_body_size int";

static void put_field(struct buf *json, struct td_slice name, struct td_slice type)
{
    buf_printf(json, "%s{\"name\":\"%.*s\",\"type\":\"%.*s\",\"owner\":\"core\",\"doc\":\"The %.*s.\"", json->n > 30 ? "," : "",
               (int)name.n, (const char *)name.p, (int)type.n, (const char *)type.p, (int)name.n, (const char *)name.p);
    if (td_eq(name, TD_LIT("protocol")))
        buf_lit(json, ",\"values\":[\"DNS\",\"HTTP\"]");
    if (td_eq(name, TD_LIT("transport")))
        buf_lit(json, ",\"values\":[\"TCP\",\"UDP\"]");
    if (td_eq(name, TD_LIT("request.body")))
        buf_lit(json, ",\"payload\":true");
    buf_putc(json, '}');
}

struct field_registry *filter_rig_fields(const char *text)
{
    struct field_registry *registry = NULL;
    struct error err;
    struct buf json;
    buf_init(&json, 0);
    buf_lit(&json, "{\"format\":1,\"fields\":[");
    while (*text) {
        size_t name = strcspn(text, " "), type = 0;
        const char *at = text + name + 1;
        for (int parens = 0; at[type] && (parens || at[type] != ','); type++)
            parens += (at[type] == '(') - (at[type] == ')');
        put_field(&json, td_bytes(text, name), td_bytes(at, type));
        text = at + type + strspn(at + type, ", ");
    }
    buf_lit(&json, "],\"components\":[]}");
    if (field_registry_parse_json(buf_slice(&json), &registry, &err) != TD_OK) {
        printf("Bail out! %s\n", err.text);
        exit(1);
    }
    buf_clear(&json);
    return registry;
}

void filter_rig_init(struct filter_rig *rig, const char *names_and_types)
{
    *rig = (struct filter_rig){.fields = filter_rig_fields(names_and_types ? names_and_types : usual_fields)};
    arena_init(&rig->arena, 64 << 20);
    filter_diagnostics_init(&rig->diagnostics);
}

void filter_rig_clear(struct filter_rig *rig)
{
    field_registry_free(rig->fields);
    arena_clear(&rig->arena);
    filter_diagnostics_clear(&rig->diagnostics);
    buf_clear(&rig->shown);
}

static const char *show(struct filter_rig *rig)
{
    buf_reset(&rig->shown);
    if (rig->status == TD_OK) {
        filter_print(&rig->shown, rig->root);
        return buf_cstr(&rig->shown);
    }
    for (uint32_t i = 0; i < rig->diagnostics.n; i++) {
        const struct filter_diagnostic *one = &rig->diagnostics.v[i];
        if (one->severity != FILTER_FAULT)
            continue;
        buf_printf(&rig->shown, "%s %u-%u", one->code, one->span.from, one->span.to);
        return buf_cstr(&rig->shown);
    }
    return error_name(rig->status);
}

const char *filter_rig_parse(struct filter_rig *rig, const char *text)
{
    arena_clear(&rig->arena);
    filter_diagnostics_clear(&rig->diagnostics);
    rig->status = filter_parse(td_str(text), &rig->arena, &rig->diagnostics, &rig->root);
    return show(rig);
}

const char *filter_rig_check(struct filter_rig *rig, const char *text)
{
    struct filter_env env = filter_registry_env(rig->fields);
    filter_rig_parse(rig, text);
    if (rig->status == TD_OK)
        rig->status = filter_check(&env, td_str(text), &rig->arena, &rig->root, &rig->diagnostics);
    return show(rig);
}

const struct filter_diagnostic *filter_rig_find(const struct filter_rig *rig, const char *code)
{
    for (uint32_t i = 0; i < rig->diagnostics.n; i++)
        if (strcmp(rig->diagnostics.v[i].code, code) == 0)
            return &rig->diagnostics.v[i];
    return NULL;
}

/* ---- Trees ------------------------------------------------------------------------------------------------------------------- */

static bool same_value(const struct filter_value *a, const struct filter_value *b)
{
    if (a->kind != b->kind)
        return false;
    switch (a->kind) {
    case FILTER_NULL: return true;
    case FILTER_BOOL: return a->b == b->b;
    case FILTER_DOUBLE: return memcmp(&a->d, &b->d, sizeof(a->d)) == 0;
    case FILTER_STRING:
    case FILTER_BYTES: return td_eq(a->bytes, b->bytes);
    default: return a->u == b->u;
    }
}

bool filter_rig_same(const struct filter_node *a, const struct filter_node *b)
{
    bool named = a->kind != FILTER_OPERATOR || a->op == FILTER_OPT_SELECT;
    if (a->kind != b->kind || a->op != b->op || a->absolute != b->absolute || a->receiver != b->receiver || a->arg_n != b->arg_n ||
        (named && !td_eq(a->name, b->name)) || !td_eq(a->var[0], b->var[0]) || !td_eq(a->var[1], b->var[1]))
        return false;
    if (a->kind == FILTER_LITERAL && !same_value(&a->value, &b->value))
        return false;
    for (uint32_t i = 0; i < a->arg_n; i++)
        if (!filter_rig_same(a->args[i], b->args[i]))
            return false;
    return true;
}

static uint64_t draw(uint64_t *seed, uint64_t n)
{
    *seed += 0x9e3779b97f4a7c15;
    return hash_mix(*seed, 0xd1b54a32d192ed03) % n;
}

static const struct filter_span nowhere = {0, 0};

static struct td_slice random_name(uint64_t *seed)
{
    static const char *const names[] = {"a", "b2", "src", "ip", "not", "any", "contains", "_x", "http", "matches", "r", "b", "ab", "e5"};
    return td_str(names[draw(seed, sizeof(names) / sizeof(names[0]))]);
}

static struct td_slice random_selector(uint64_t *seed)
{
    static const char *const names[] = {"in", "content-type", "package", "a b", "x/y", "true", "7", "and"};
    return draw(seed, 3) ? random_name(seed) : td_str(names[draw(seed, sizeof(names) / sizeof(names[0]))]);
}

static struct filter_value random_value(uint64_t *seed)
{
    static const char *const texts[] = {"",    "x",  "a\"b", "\\d+", "tab\there", "line\nbreak", "\xc3\xa9\xf0\x9f\x98\x80",
                                        "r\"", "\\", "\x7f", "\x01", "10.0.0.1"};
    static const double doubles[] = {0.0, -0.0, 1.0, 1.5, -2.25, 1e300, 5e-324, 0.1, 123456789012345678.0, -1e6};
    static const int64_t ints[] = {0, 1, -1, 42, INT64_MAX, INT64_MIN, -7};
    struct td_slice text = td_str(texts[draw(seed, sizeof(texts) / sizeof(texts[0]))]);
    switch (draw(seed, 7)) {
    case 0: return (struct filter_value){.kind = FILTER_NULL};
    case 1: return filter_bool(draw(seed, 2));
    case 2: return (struct filter_value){.kind = FILTER_INT, .i = ints[draw(seed, 7)]};
    case 3: return (struct filter_value){.kind = FILTER_UINT, .u = draw(seed, 3) ? draw(seed, 100) : UINT64_MAX};
    case 4: return (struct filter_value){.kind = FILTER_DOUBLE, .d = doubles[draw(seed, 10)]};
    case 5: return (struct filter_value){.kind = FILTER_BYTES, .bytes = text};
    default: return (struct filter_value){.kind = FILTER_STRING, .bytes = text};
    }
}

static struct filter_node *random_leaf(struct filter_builder *b, uint64_t *seed)
{
    struct filter_node *node = filter_new(b, draw(seed, 2) ? FILTER_NAME : FILTER_LITERAL, nowhere);
    if (node->kind == FILTER_NAME) {
        node->name = random_name(seed);
        node->absolute = draw(seed, 8) == 0;
    } else {
        node->value = random_value(seed);
    }
    return node;
}

static struct filter_node *random_operator(struct filter_builder *b, uint64_t *seed, int depth)
{
    struct filter_node *args[4];
    enum filter_op op = (enum filter_op)draw(seed, FILTER_OPT_INDEX + 1);
    size_t n = op == FILTER_CONDITION ? 3 : op == FILTER_NOT || op == FILTER_NEG || op == FILTER_OPT_SELECT ? 1 : 2;
    for (size_t i = 0; i < n; i++)
        args[i] = filter_rig_random(b, seed, depth - 1);
    if (op == FILTER_AND || op == FILTER_OR)
        return filter_new_chain(b, op, nowhere, args, n);
    if (op == FILTER_NEG && args[0]->kind == FILTER_LITERAL && args[0]->value.kind <= FILTER_DOUBLE)
        args[0] = filter_new_name(b, nowhere, random_name(seed)); /* what a parser makes of -1 is a literal */
    struct filter_node *node = filter_new(b, FILTER_OPERATOR, nowhere);
    node->op = (uint8_t)op;
    if (op == FILTER_OPT_SELECT)
        node->name = random_selector(seed);
    filter_set_args(b, node, args, n);
    return node;
}

static struct filter_node *random_macro(struct filter_builder *b, uint64_t *seed, int depth)
{
    struct filter_node *args[3], *node = filter_new(b, draw(seed, 6) ? FILTER_MACRO : FILTER_BIND, nowhere);
    size_t n = 2;
    node->var[0] = TD_LIT("v");
    if (node->kind == FILTER_MACRO) {
        node->op = (uint8_t)draw(seed, FILTER_TRANSFORM_MAP_ENTRY + 1);
        bool two = node->op >= FILTER_TRANSFORM_LIST || (node->op <= FILTER_EXISTS_ONE && draw(seed, 2));
        n += (node->op == FILTER_MAP_TO || node->op >= FILTER_TRANSFORM_LIST) && draw(seed, 2);
        if (two)
            node->var[1] = TD_LIT("w");
    }
    for (size_t i = 0; i < n; i++)
        args[i] = filter_rig_random(b, seed, depth - 1);
    filter_set_args(b, node, args, n);
    return node;
}

static struct filter_node *random_call(struct filter_builder *b, uint64_t *seed, int depth)
{
    struct filter_node *args[4], *node = filter_new(b, FILTER_CALL, nowhere);
    size_t n = draw(seed, 4);
    node->receiver = n > 0 && draw(seed, 2);
    node->name = random_name(seed);
    if (!node->receiver && td_eq(node->name, TD_LIT("not")))
        node->name = TD_LIT("f"); /* not(x) is a negation */
    if (!node->receiver)
        node->absolute = draw(seed, 8) == 0;
    for (size_t i = 0; i < n; i++)
        args[i] = filter_rig_random(b, seed, depth - 1);
    filter_set_args(b, node, args, n);
    return node;
}

static struct filter_node *random_collection(struct filter_builder *b, uint64_t *seed, int depth)
{
    struct filter_node *args[4], *node = filter_new(b, draw(seed, 2) ? FILTER_NEW_LIST : FILTER_NEW_MAP, nowhere);
    size_t n = node->kind == FILTER_NEW_LIST ? draw(seed, 4) : 2 * draw(seed, 3);
    for (size_t i = 0; i < n; i++)
        args[i] = filter_rig_random(b, seed, depth - 1);
    filter_set_args(b, node, args, n);
    return node;
}

struct filter_node *filter_rig_random(struct filter_builder *b, uint64_t *seed, int depth)
{
    struct filter_node *node, *arg;
    if (depth <= 0)
        return random_leaf(b, seed);
    switch (draw(seed, 8)) {
    case 0: return random_leaf(b, seed);
    case 1: return random_macro(b, seed, depth);
    case 2: return random_call(b, seed, depth);
    case 3: return random_collection(b, seed, depth);
    case 4:
        node = filter_new(b, draw(seed, 2) ? FILTER_SELECT : FILTER_HAS, nowhere);
        node->name = random_selector(seed);
        arg = filter_rig_random(b, seed, depth - 1);
        filter_set_args(b, node, &arg, 1);
        return node;
    default: return random_operator(b, seed, depth);
    }
}
