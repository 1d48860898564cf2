#include "call/field.h"

#include "base/mem.h"
#include "sample.h"
#include "tap.h"

static void test_sample(void)
{
    struct field_set set;
    is_int(field_set_init(&set, &sample_table, NULL), TD_OK, "a table of fields");
    is_int(set.n, F_COUNT, "all rows");
    is_int(set.method, F_METHOD, "the method");
    is_int(set.target, F_PATH, "the target");
    is_int(set.status, F_STATUS, "the status");
    int wrong = 0;
    for (int i = 0; i < F_COUNT; i++)
        wrong += field_find(&set, td_str(sample_rows[i].name)) != i;
    is_int(wrong, 0, "each is found by its name");
    is_int(field_find(&set, TD_LIT("request.header")), -1, "a part of a name is none");
    is_int(field_find(&set, TD_LIT("")), -1, "nor is nothing");
    ok(set.fields[F_REQUEST_HEADERS].group == FIELD_REQUEST && td_eq(set.fields[F_REQUEST_HEADERS].key, TD_LIT("headers")),
       "request.headers");
    ok(set.fields[F_RESPONSE_BODY].group == FIELD_RESPONSE && td_eq(set.fields[F_RESPONSE_BODY].key, TD_LIT("body")), "response.body");
    ok(set.fields[F_METHOD].group == FIELD_TOP && td_eq(set.fields[F_METHOD].key, TD_LIT("method")), "method");

    is_str(field_value_name(&set.fields[F_KIND], 1), "one", "the first value's name");
    is_str(field_value_name(&set.fields[F_KIND], 1000), "many", "the last one's");
    is_str(field_value_name(&set.fields[F_KIND], 3), NULL, "a value without a name");
    is_str(field_value_name(&set.fields[F_METHOD], 1), NULL, "a field without names");
    field_set_clear(&set);
    ok(!set.fields && set.n == 0, "cleared");
}

/* Tables of older and newer headers: rows may be shorter or longer than ours. */
static void test_strides(void)
{
    struct long_row {
        struct td_field field;
        uint64_t more[2];
    } longer[] = {{{"x_a", TD_U64, 0, "a", {0}}, {1, 2}}, {{"x_b", TD_ENUM, TD_F_STATUS, "b", TD_TABLE(sample_kinds)}, {3, 4}}};
    struct short_row {
        const char *name;
        uint32_t type, flags;
        const char *doc;
    } shorter[] = {{"x_a", TD_U64, 0, "a"}, {"x_b", TD_ENUM, TD_F_STATUS, "b"}};
    const struct td_table tables[] = {TD_TABLE(longer), TD_TABLE(shorter)};
    for (int i = 0; i < 2; i++) {
        struct field_set set;
        is_int(field_set_init(&set, &tables[i], NULL), TD_OK, "rows of %u bytes", tables[i].stride);
        is_int(field_find(&set, TD_LIT("x_b")), 1, "the second row");
        is_int(set.status, 1, "its flags");
        is_str(field_value_name(&set.fields[1], 2), i == 0 ? "two" : NULL, "its names");
        field_set_clear(&set);
    }
}

static void test_refusals(void)
{
    static struct td_field rows[FIELD_MAX + 1];
    struct td_table table = TD_TABLE(rows);
    struct field_set set;
    struct error err;
    for (int i = 0; i <= FIELD_MAX; i++)
        rows[i] = (struct td_field){"x", TD_U64, 0, "", {0}};
    is_int(field_set_init(&set, &table, &err), TD_E_LIMIT, "too many fields");
    is_str(err.text, "129 fields, at most 128 are possible", "and that is said");
    field_set_clear(&set);
    table.n--;
    is_int(field_set_init(&set, &table, &err), TD_OK, "as many as are possible");
    field_set_clear(&set);
    mem_fail_at(1);
    is_int(field_set_init(&set, &table, &err), TD_E_NOMEM, "no memory");
    mem_fail_at(0);
    field_set_clear(&set);
    is_int(field_set_init(&set, &(struct td_table){0}, &err), TD_OK, "no fields at all");
    ok(set.method == -1 && set.target == -1 && set.status == -1, "and so no summary");
    field_set_clear(&set);
}

int main(void)
{
    test_sample();
    test_strides();
    test_refusals();
    return tap_done();
}
