/* The field registry: how the tables are joined, what calls have in their fields, and the registry as JSON and back. */
#include "call/registry.h"

#include "base/mem.h"
#include "sample.h"
#include "tap.h"

static struct field_set fields, other_fields, wrong_fields;
static const struct field_set *components[] = {&fields, &other_fields, &wrong_fields};
static const struct registry_protocol protocols[] = {{"SAMPLE", NULL}, {"OTHER", NULL}, {"WRONG", NULL}};
static struct td_call call;

static const struct td_field other_rows[] = {
    {"y_name", TD_STRING, TD_F_TARGET | TD_F_SENSITIVE, "A name.", {0}},
    {"status_code", TD_U64, TD_F_STATUS, "Theirs.", {0}},
};
static const struct td_table other_table = TD_TABLE(other_rows);
static const struct td_field wrong_rows[] = {{"path", TD_U64, 0, "", {0}}};
static const struct td_table wrong_table = TD_TABLE(wrong_rows);
static const struct td_field taken_rows[] = {{"src.ip", TD_IP, 0, "", {0}}};
static const struct td_table taken_table = TD_TABLE(taken_rows);

static uint32_t find(const struct field_registry *r, const char *name)
{
    int32_t index = field_registry_find(r, td_str(name));
    if (index < 0)
        tap_diag("there is no %s", name);
    return index < 0 ? 0 : (uint32_t)index;
}

static void check_text(const struct field_registry *r, const char *name, const char *want)
{
    struct registry_value v;
    bool has = field_registry_get(r, find(r, name), &call, &v);
    ok(has == (want != NULL) && field_registry_has(r, find(r, name), &call) == has, "%s: is it there?", name);
    is_mem(v.bytes.p, v.bytes.n, want, want ? strlen(want) : 0, "%s", name);
}

static void check_number(const struct field_registry *r, const char *name, int64_t want)
{
    struct registry_value v;
    field_registry_get(r, find(r, name), &call, &v);
    is_int(v.number, want, "%s", name);
}

static void check_elements(const struct field_registry *r, const char *name, const char *want)
{
    struct buf out = {0};
    struct registry_value v;
    for (uint32_t at = 0; field_registry_next(r, find(r, name), &call, &at, &v);) {
        buf_put_slice(&out, v.name);
        buf_putc(&out, '=');
        buf_put_slice(&out, v.bytes);
        buf_putc(&out, ';');
    }
    is_str(buf_cstr(&out), want, "%s", name);
    buf_clear(&out);
}

static void test_table(const struct field_registry *r)
{
    uint32_t n;
    const struct registry_component *c = field_registry_components(r, &n);
    is_int(n, 2, "components");
    is_int(c[0].n, F_COUNT, "the first one's fields");
    is_int(c[0].fields[F_KIND], find(r, "x_kind"), "by their order");
    is_int(c[0].method, find(r, "method"), "its method");
    is_int(c[1].method, -1, "the second has none");
    is_int(c[1].status, c[0].status, "a status that both have is one field");
    const struct registry_field *f = field_registry_at(r, find(r, "status_code"));
    is_str(f->owner, "SAMPLE, OTHER", "of both");
    like(f->doc, "OTHER: Theirs.", "with both descriptions");
    is_int(field_registry_at(r, find(r, "x_tags"))->type, REGISTRY_LIST, "a list");
    is_int(field_registry_at(r, find(r, "request.headers"))->type, REGISTRY_MAP, "a map");
    is_int(field_registry_at(r, find(r, "x_address"))->type, REGISTRY_STRING, "an address is text");
    is_str(field_registry_at(r, find(r, "x_kind"))->values[2], "many", "an enumeration's values");
    is_str(field_registry_at(r, find(r, "protocol"))->values[1], "OTHER", "the protocols");
    ok(field_registry_at(r, find(r, "request.body"))->payload, "a payload");
    ok(field_registry_at(r, find(r, "y_name"))->sensitive, "a sensitive field");
    is_int(field_registry_find(r, TD_LIT("x_kin")), -1, "part of a name is none");
    is_int(field_registry_find(r, TD_LIT("x_kinds")), -1, "nor is more than one");
    is_int(field_registry_find(r, TD_LIT("")), -1, "nor is nothing");
}

/* What several say alike is said once, whoever comes between them. */
static void test_docs(void)
{
    static const char *const texts[] = {"Ours.", "Theirs.", "Ours.", "Theirs.", "Theirs. And more.", "heirs.", ""};
    static const struct registry_protocol all[] = {{"A", NULL}, {"B", NULL}, {"C", NULL}, {"D", NULL},
                                                   {"E", NULL}, {"F", NULL}, {"G", NULL}};
    struct field_set sets[7];
    const struct field_set *list[7];
    struct td_field rows[7];
    struct field_registry *r = NULL;
    struct error err;
    for (int i = 0; i < 7; i++) {
        rows[i] = (struct td_field){"shared", TD_U64, 0, texts[i], {0}};
        const struct td_table table = {&rows[i], 1, sizeof(rows[i])};
        is_int(field_set_init(&sets[i], &table, &err), TD_OK, "a set of one field");
        list[i] = &sets[i];
    }
    is_int(field_registry_new(list, all, 7, &r, &err), TD_OK, "a field that seven have");
    const struct registry_field *f = field_registry_at(r, find(r, "shared"));
    is_str(f->doc, "Ours. B: Theirs. E: Theirs. And more. F: heirs.", "each text is told once");
    is_str(f->owner, "A, B, C, D, E, F, G", "of all");
    field_registry_free(r);
    for (int i = 0; i < 7; i++)
        field_set_clear(&sets[i]);
}

static void fill(void)
{
    const uint8_t ip[] = {10, 9, 8, 7};
    call_set_bytes(&call, F_METHOD, TD_LIT("GET"));
    call_set_u64(&call, F_STATUS, UINT64_MAX);
    call_set_u64(&call, F_SECURE, 1);
    call_set_i64(&call, F_OFFSET, -5);
    call_set_bytes(&call, F_ADDRESS, td_bytes(ip, 4));
    call_set_i64(&call, F_TOOK, 77);
    call_set_u64(&call, F_KIND, 7);
    call_set_bytes(&call, F_TAGS, TD_LIT("a"));
    call_set_bytes(&call, F_TAGS, TD_LIT("b"));
    call_set_u64(&call, F_CODES, 12);
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("Host"), TD_LIT("h"));
    call_set_pair(&call, F_REQUEST_HEADERS, TD_LIT("host"), TD_LIT("i"));
    call_append_bytes(&call, F_REQUEST_BODY, TD_LIT("body"));
    call_add_packet(&call.half[TD_CLIENT], 4, 1000000000, 90);
    call_add_packet(&call.half[TD_SERVER], 5, 1000250999, 40);
    call.half[TD_SERVER].missing = 3;
}

static void test_values(const struct field_registry *r)
{
    check_text(r, "method", "GET");
    check_text(r, "path", NULL);
    check_text(r, "x_address", "10.9.8.7");
    check_text(r, "x_kind", "7");
    check_text(r, "request.body", "body");
    check_text(r, "y_name", NULL);
    check_text(r, "src.ip", "192.0.2.1");
    check_text(r, "protocol", "SAMPLE");
    check_text(r, "transport", "TCP");
    check_text(r, "src.pod.name", NULL);
    check_number(r, "status_code", INT64_MAX);
    check_number(r, "x_secure", 1);
    check_number(r, "x_offset", -5);
    check_number(r, "x_took", 77);
    check_number(r, "timestamp", 1000000000);
    check_number(r, "elapsed_time", 250);
    check_number(r, "latency", 250999);
    check_number(r, "dst.port", 8080);
    check_number(r, "sample", 1);
    check_number(r, "other", 0);
    check_number(r, "udp", 0);
    check_number(r, "request.size", 90);
    check_number(r, "request.complete", 1);
    check_number(r, "response.complete", 0);
    check_number(r, "missing_bytes", 3);
    check_number(r, "has_pcap", 1);
    check_elements(r, "x_tags", "=a;=b;");
    check_elements(r, "x_codes", "=12;");
    check_elements(r, "request.headers", "Host=h;host=i;");
    check_elements(r, "response.headers", "");
    check_elements(r, "pods", "");
}

static void test_json(const struct field_registry *r)
{
    struct buf json = {0}, again = {0};
    struct field_registry *copy;
    struct registry_value v;
    struct error err;
    field_registry_put_json(&json, r);
    is_int(field_registry_parse_json(buf_slice(&json), &copy, &err), TD_OK, "JSON: is read back");
    field_registry_put_json(&again, copy);
    is_mem(again.p, again.n, json.p, json.n, "JSON: and gives the same again");
    is_int(field_registry_find(copy, TD_LIT("x_kind")), find(r, "x_kind"), "JSON: fields are found");
    ok(!field_registry_get(copy, find(r, "method"), &call, &v), "JSON: but it reads no calls");
    field_registry_free(copy);
    buf_clear(&json);
    buf_clear(&again);

    static const struct {
        const char *json;
        int status;
        const char *words;
    } bad[] = {
        {"", TD_E_CORRUPT, "damaged"},
        {"{\"format\":2}", TD_E_UNSUPPORTED, "newer"},
        {"{\"format\":1,\"fields\":[]}", TD_E_CORRUPT, "no fields"},
        {"{\"format\":1,\"fields\":[{\"name\":\"a\",\"type\":\"quark\",\"doc\":\"\",\"owner\":\"\"}]}", TD_E_UNSUPPORTED, "quark"},
        {"{\"format\":1,\"fields\":[{\"name\":\"a\",\"doc\":\"\",\"owner\":\"\"}]}", TD_E_CORRUPT, "lacks"},
        {"{\"format\":1,\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"doc\":\"\",\"owner\":\"\"},"
         "{\"name\":\"a\",\"type\":\"int\",\"doc\":\"\",\"owner\":\"\"}]}",
         TD_E_CORRUPT, "one name"},
        {"{\"format\":1,\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"doc\":\"\",\"owner\":\"\"}],"
         "\"components\":[{\"protocol\":\"P\",\"method\":1,\"target\":-1,\"status\":-1,\"fields\":[]}]}",
         TD_E_CORRUPT, "columns"},
        {"{\"format\":1,\"fields\":[{\"name\":\"a\",\"type\":\"int\",\"doc\":\"\",\"owner\":\"\"}],"
         "\"components\":[{\"protocol\":\"P\",\"method\":0,\"target\":-1,\"status\":-1,\"fields\":[-1]}]}",
         TD_E_CORRUPT, "is none"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        is_int(field_registry_parse_json(td_str(bad[i].json), &copy, &err), bad[i].status, "bad JSON %zu", i);
        like(err.text, bad[i].words, "bad JSON %zu: the words", i);
    }
}

/* One protocol on two others: two components, one name. */
static void test_kinds(void)
{
    static const char *const on_sample[] = {"SAMPLE", "WEB", NULL}, *const on_other[] = {"OTHER", NULL};
    static const struct registry_protocol kinds[] = {{"SAMPLE", NULL}, {"OTHER", NULL}, {"UPPER", on_sample}, {"UPPER", on_other}};
    const struct field_set *const sets[] = {&fields, &other_fields, &fields, &other_fields};
    static const char *const names[] = {"sample", "other", "upper", "web"};
    static const uint64_t expected[] = {0x5, 0xa, 0xc, 0x4}; /* which of the four they are true for */
    struct field_registry *r;
    struct registry_value v;
    is_int(field_registry_new(sets, kinds, 4, &r, NULL), TD_OK, "two on others");
    const char *const *known = field_registry_at(r, find(r, "protocol"))->values;
    ok(known[0] && known[1] && known[2] && !known[3], "a name is there once");
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t is = 0;
        for (uint32_t k = 0; k < 4; k++) {
            call.component = k;
            if (field_registry_get(r, find(r, names[i]), &call, &v) && v.number)
                is |= 1ull << k;
        }
        is_int(is, expected[i], "whose calls are of %s", names[i]);
    }
    call.component = 0;
    is_str(field_registry_at(r, find(r, "path"))->owner, "SAMPLE, UPPER", "owners, each once");
    field_registry_free(r);
}

static void test_refusals(void)
{
    struct field_registry *r;
    struct error err;
    is_int(field_set_init(&wrong_fields, &wrong_table, NULL), TD_OK, "a component");
    is_int(field_registry_new(components, protocols, 3, &r, &err), TD_E_CONFIG, "one name, two types");
    like(err.text, "WRONG declares the field \"path\" as a int, SAMPLE as a string", "the words");
    field_set_clear(&wrong_fields);
    is_int(field_set_init(&wrong_fields, &taken_table, NULL), TD_OK, "a component");
    is_int(field_registry_new(components, protocols, 3, &r, &err), TD_E_CONFIG, "a name of the core's");
    like(err.text, "\"src.ip\", which is the core's own", "the words");
    field_set_clear(&wrong_fields);
}

static void test_no_memory(void)
{
    struct field_registry *r;
    unsigned long nth = 1;
    for (int status = TD_E_NOMEM; status != TD_OK && nth < 1000; nth++) {
        mem_fail_at(nth);
        status = field_registry_new(components, protocols, 2, &r, NULL);
        if (!mem_failed())
            is_int(status, TD_OK, "with all memory it is made");
        if (status == TD_OK)
            field_registry_free(r);
    }
    mem_fail_at(0);
    ok(nth > 2 && nth < 1000, "each of %lu allocations may fail", nth - 1);
}

int main(void)
{
    test_docs();
    struct field_registry *r;
    is_int(sample_call(&fields, &call), TD_OK, "a component");
    is_int(field_set_init(&other_fields, &other_table, NULL), TD_OK, "another one");
    is_int(field_registry_new(components, protocols, 2, &r, NULL), TD_OK, "their registry");
    fill();
    test_table(r);
    test_values(r);
    test_json(r);
    test_kinds();
    test_refusals();
    test_no_memory();
    field_registry_free(r);
    call_clear(&call);
    field_set_clear(&fields);
    field_set_clear(&other_fields);
    return tap_done();
}
