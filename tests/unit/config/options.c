#include "config/options.h"

#include <stdalign.h>

#include "tap.h"

struct sample {
    const char *name, *secret;
    bool on;
    int64_t depth;
    uint64_t size;
    int64_t wait;
    uint32_t mode;
    struct td_strlist list;
    const char *old, *must;
};

static const char *const modes[] = {"fast", "exact", NULL};

static const struct td_option table[] = {
    TD_STR_OPT(struct sample, name, "name", "x y", "A name."),
    TD_SECRET_OPT(struct sample, secret, "secret", "A secret."),
    TD_BOOL_OPT(struct sample, on, "on", "true", "A switch."),
    TD_INT_OPT(struct sample, depth, "depth", "-3", -10, 10, "A number."),
    TD_SIZE_OPT(struct sample, size, "maxBodySize", "64Ki", 1024, 1 << 20, "A size."),
    TD_DUR_OPT(struct sample, wait, "wait", "1h30m", 1, INT64_MAX, "A duration."),
    TD_ENUM_OPT(struct sample, mode, "mode", "exact", modes, "A choice."),
    TD_STRLIST_OPT(struct sample, list, "list", "a,b", "A list."),
    {"old", TD_OPT_STR, TD_OPT_DEPRECATED, offsetof(struct sample, old), NULL, "use name", 0, 0, NULL},
};
static const struct td_option with_required[] = {
    TD_REQUIRED_STR_OPT(struct sample, must, "must", "What it is for."),
};
enum { COUNT = sizeof(table) / sizeof(table[0]) };

static struct options options = {.v = table, .n = COUNT, .owner = "dissector \"http\""};
static struct findings f;
static struct arena arena;
static struct yaml_tree *tree;

static struct sample fill(const char *text)
{
    struct sample s;
    memset(&s, 0, sizeof(s));
    yaml_tree_free(tree);
    tree = NULL;
    findings_init(&f);
    arena_clear(&arena);
    struct error err;
    if (yaml_tree_parse(td_str(text), "c.yaml", &tree, &err) != TD_OK)
        ok(false, "a test without YAML: %s", err.text);
    else
        options_fill(&options, yaml_tree_root(tree), &s, &arena, &f);
    return s;
}

static void test_values(void)
{
    struct sample s = fill("");
    ok(!f.errors, "defaults are fine");
    is_str(s.name, "x y", "default text");
    ok(s.on && s.depth == -3 && s.size == 65536 && s.wait == 5400ll * NS_PER_S && s.mode == 1, "default numbers");
    ok(s.list.n == 2 && strcmp(s.list.v[1], "b") == 0 && !s.secret, "default list, no default");

    s = fill("name: Z\nsecret: p\non: false\ndepth: 10\nmaxBodySize: 1Mi\nwait: 250ms\nmode: fast\nlist: [q]\n");
    ok(!f.errors && !f.n, "good values");
    is_str(s.name, "Z", "text");
    is_str(s.secret, "p", "secret");
    ok(!s.on && s.depth == 10 && s.size == 1 << 20 && s.wait == 250 * NS_PER_MS && s.mode == 0, "numbers");
    ok(s.list.n == 1 && strcmp(s.list.v[0], "q") == 0, "list");

    s = fill("list: a,b\nname: ~\non: 'true'\nsize: \n");
    ok(s.list.n == 1 && strcmp(s.list.v[0], "a,b") == 0, "one text is a list of one, commas and all");
    is_str(s.name, "x y", "null is the default");
    s = fill("list: []\n");
    ok(s.list.v && s.list.n == 0, "an empty list differs from none");
    s = fill("name: |\n  two\n  lines\n");
    is_str(s.name, "two\nlines\n", "block text");
}

static void told(const char *text, const char *message)
{
    (void)fill(text);
    is_int(f.errors, 1, "one error");
    is_str(f.v[0].text, message, "told well");
}

static void test_errors(void)
{
    told("maxBodySzie: 1\n", "c.yaml:1:1: unknown option \"maxBodySzie\" of dissector \"http\"; did you mean \"maxBodySize\"?");
    told("q: 1\n",
         "c.yaml:1:1: unknown option \"q\" of dissector \"http\"; there are: name, secret, on, depth, maxBodySize, wait, mode, list, old");
    told("maxBodySize: 1Mb\n",
         "c.yaml:1:14: option \"maxBodySize\" of dissector \"http\": \"1Mb\" is not a size; write bytes, or as 64Ki, 1.5Gi, 10M");
    told("maxBodySize: 2Mi\n", "c.yaml:1:14: option \"maxBodySize\" of dissector \"http\": \"2Mi\" is out of range; it must be 1Ki to 1Mi");
    told("maxBodySize: 15Pi\n",
         "c.yaml:1:14: option \"maxBodySize\" of dissector \"http\": \"15Pi\" is out of range; it must be 1Ki to 1Mi");
    told("maxBodySize: 8192Pi\n",
         "c.yaml:1:14: option \"maxBodySize\" of dissector \"http\": \"8192Pi\" is out of range; it must be 1Ki to 1Mi");
    told("wait: 0\n", "c.yaml:1:7: option \"wait\" of dissector \"http\": \"0\" is out of range; it must be at least 1ns");
    told("wait: 5\n", "c.yaml:1:7: option \"wait\" of dissector \"http\": \"5\" is not a duration; write as 250ms, 10s, 1h30m");
    told("depth: 1.5\n", "c.yaml:1:8: option \"depth\" of dissector \"http\": \"1.5\" is not a whole number");
    told("depth: 99999999999999999999\n",
         "c.yaml:1:8: option \"depth\" of dissector \"http\": \"99999999999999999999\" is not a whole number");
    told("depth: -11\n", "c.yaml:1:8: option \"depth\" of dissector \"http\": \"-11\" is out of range; it must be -10 to 10");
    told("on: yes\n", "c.yaml:1:5: option \"on\" of dissector \"http\": \"yes\" is neither true nor false");
    told("mode: fsat\n", "c.yaml:1:7: option \"mode\" of dissector \"http\": \"fsat\" is not one of fast, exact; did you mean \"fast\"?");
    told("name: [a]\n", "c.yaml:1:7: option \"name\" of dissector \"http\": must be a single value, not a list");
    told("list: {a: 1}\n", "c.yaml:1:7: option \"list\" of dissector \"http\": must be a single value, not a mapping");
    told("list: [a, [b]]\n", "c.yaml:1:7: option \"list\" of dissector \"http\": item 2 must be text, not a list");
    told("[1]\n", "c.yaml:1:1: dissector \"http\" must be a mapping of options to values, not a list");
    told("depth: \"a\\tb\\x01\"\n", "c.yaml:1:8: option \"depth\" of dissector \"http\": \"a\\x09b\\x01\" is not a whole number");

    static const struct td_option secret_enum[] = {
        {"key", TD_OPT_ENUM, TD_OPT_SECRET, offsetof(struct sample, mode), NULL, "A secret.", 0, 0, modes},
    };
    struct options kept = options;
    options = (struct options){.v = secret_enum, .n = 1, .owner = "x"};
    (void)fill("key: hunter2\n");
    ok(f.errors == 1 && !strstr(f.v[0].text, "hunter2"), "a secret's value is not told: %s", f.v[0].text);
    options = (struct options){.v = with_required, .n = 1, .owner = "x"};
    told("must: ~\n", "c.yaml:1:1: option \"must\" of x is required: What it is for.");
    (void)fill("must: here\n");
    ok(!f.errors, "what is required may be given");
    options = (struct options){.owner = "x"};
    told("a: 1\n", "c.yaml:1:1: unknown option \"a\" of x; it has none");
    options = kept;
}

static void test_many(void)
{
    (void)fill("depth: x\nwait: y\nold: z\non: 7\n");
    is_int(f.errors, 3, "all errors are told");
    ok(f.n == 4 && f.v[2].warning, "and the warning");
    is_str(f.v[2].text, "c.yaml:3:6: option \"old\" of dissector \"http\" is deprecated: use name", "with its advice");
    struct error err;
    is_int(findings_status(&f, &err), TD_E_CONFIG, "the status is the first error's");
    like(err.text, "c.yaml:1:8: option \"depth\"", "and the text");
    like(err.text, "(and 2 more; `tapedeck config check` lists them)", "and how many more");

    struct buf text;
    buf_init(&text, 0);
    for (int i = 0; i < 30; i++)
        buf_printf(&text, "unknown%d: 1\n", i);
    (void)fill(buf_cstr(&text));
    ok(f.n == FINDINGS_MAX && f.errors == 30 && f.more == 10, "20 are kept, the others counted");
    buf_clear(&text);
    findings_init(&f);
    ok(findings_status(&f, &err) == TD_OK, "no findings, no error");
}

/* What is shown means the same when it is read again. */
static void test_show(void)
{
    static const char *const texts[] = {
        "name: 'null'\nsecret: s\ndepth: -7\nmaxBodySize: 1536\nwait: 1h2m3s1ns\nmode: fast\nlist: ['true', b c, \"x\\ny\", '']\n",
        "name: plain-1.2/x_y\nsecret: s\nmaxBodySize: 5000\nwait: 90m\nlist: [\"é\", '#', '- a', 'k: v']\n",
        "secret: s\nname: \"\\N\\L\\P\\x7f\\ufeff\\uffff\\U0001f600\\\\\\\"\"\n",
    };
    static const char *const hidden = "secret: \"********\"\n";
    for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++) {
        struct sample s = fill(texts[t]);
        struct buf first, second;
        buf_init(&first, 0);
        buf_init(&second, 0);
        for (size_t i = 0; i + 1 < COUNT; i++) {
            buf_printf(&first, "%s: ", table[i].name);
            options_put_value(&first, &table[i], &s);
            buf_putc(&first, '\n');
        }
        like(buf_cstr(&first), hidden, "secrets are masked");
        s = fill(buf_cstr(&first));
        ok(!f.errors, "what is shown can be read");
        for (size_t i = 0; i + 1 < COUNT; i++) {
            buf_printf(&second, "%s: ", table[i].name);
            options_put_value(&second, &table[i], &s);
            buf_putc(&second, '\n');
        }
        is_str(buf_cstr(&second), buf_cstr(&first), "and is the same again");
        buf_clear(&first);
        buf_clear(&second);
    }
    struct sample odd = {.name = "\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\x7f\"\\\xf0\x9f\x98\x80"};
    struct buf shown;
    buf_init(&shown, 0);
    options_put_value(&shown, &table[0], &odd);
    is_str(buf_cstr(&shown), "\"\\u0085\\u2028\\ufeff\\u007f\\u0022\\u005c\xf0\x9f\x98\x80\"", "what YAML would not keep is escaped");
    buf_clear(&shown);
    char text[UNITS_TEXT];
    is_str(options_duration(3723000000001, text), "1h2m3s1ns", "a duration is exact");
    is_str(options_duration(0, text), "0", "none is 0");
    is_str(options_size(1536, text), "1536", "a size is exact");
    is_str(options_size(3ull << 40, text), "3Ti", "and short");
}

/* With too little memory nothing is half set. */
static void test_memory(void)
{
#define FOUR "an item that is fairly long,an item that is fairly long,an item that is fairly long,an item that is fairly long"
    static const char items[] = FOUR "," FOUR "," FOUR "," FOUR "," FOUR; /* more than an arena's first block */
    static const struct td_option lists[] = {
        TD_STRLIST_OPT(struct sample, list, "list", items, "A long list."),
        TD_STR_OPT(struct sample, name, "name", items, "A long text."),
    };
    struct options kept = options;
    struct buf text;
    size_t failed = 0, whole = 0;
    bool sound = true;
    buf_init(&text, 0);
    buf_printf(&text, "name: \"%s%s\"\nlist: [%s,%s]\n", items, items, items, items);
    options = (struct options){.v = lists, .n = 2, .owner = "x"};
    for (size_t max = 0; max < 8192; max += 16) {
        arena_clear(&arena);
        arena_init(&arena, max);
        struct sample s = fill(buf_cstr(&text));
        for (size_t i = 0; i < s.list.n; i++)
            sound = sound && s.list.v[i];
        sound = sound && (!f.errors || f.status == TD_E_NOMEM);
        failed += f.errors > 0;
        whole += f.errors == 0;
    }
    ok(sound && failed > 20 && whole > 20, "memory may end anywhere: %zu failed, %zu did not", failed, whole);
    arena_clear(&arena);
    arena_init(&arena, 1 << 20);
    options = kept;
    buf_clear(&text);
}

static void bad_table(struct td_option o, size_t n, const char *message)
{
    struct td_option rows[OPTIONS_MAX + 1];
    struct error err = {0, ""};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        rows[i] = o;
    ok(options_check_table(rows, n, sizeof(struct sample), &err) != TD_OK, "refused: %s", message);
    like(err.text, message, "  and told so");
}

static void test_tables(void)
{
    struct error err = {0, ""};
    ok(options_check_table(table, COUNT, sizeof(struct sample), &err) == TD_OK, "a good table %s", err.text);
    ok(options_check_table(table, COUNT, sizeof(struct sample) - 24, &err) != TD_OK, "a config struct that is too small");
    is_str(err.text, "option \"list\" lies outside the config struct", "names the option");
    struct td_option good = table[3], o = good;
    o.name = NULL;
    bad_table(o, 1, "option 0 has no name");
    o.name = "Big";
    bad_table(o, 1, "option name \"Big\"");
    o = good, o.type = 99;
    bad_table(o, 1, "has a type that this core does not know");
    o = good, o.help = NULL;
    bad_table(o, 1, "has no help");
    o = good, o.offset = UINT32_MAX;
    bad_table(o, 1, "lies outside the config struct");
    o = good, o.offset++;
    bad_table(o, 1, "is not aligned");
    o = good, o.flags = TD_OPT_REQUIRED;
    bad_table(o, 1, "is required, but has a default");
    o = good, o.min = 11;
    bad_table(o, 1, "has a minimum above its maximum");
    o = good, o.def = "12";
    bad_table(o, 1, "has a bad default: \"12\" is out of range; it must be -10 to 10");
    o = good, o.choices = modes;
    bad_table(o, 1, "has choices, but is no enum");
    o = table[4], o.min = -1;
    bad_table(o, 1, "has a negative minimum");
    o = table[0], o.max = 3;
    bad_table(o, 1, "has limits, but is no number");
    o = table[6], o.choices = NULL;
    bad_table(o, 1, "is an enum without choices");
    bad_table(good, 2, "option \"depth\" is there twice");
    bad_table(good, OPTIONS_MAX + 1, "257 options; the limit is 256");
    struct td_option two[] = {good, good};
    two[1].name = "other";
    ok(options_check_table(two, 2, sizeof(struct sample), &err) != TD_OK, "two options of one member are refused");
    is_str(err.text, "option \"other\" shares its member of the config struct with another", "and told so");
}

static void test_quote(void)
{
    char out[FINDINGS_QUOTE];
    is_str(findings_quote("plain", out), "\"plain\"", "plain text");
    is_str(findings_quote("\xff\n", out), "\"\\xff\\x0a\"", "what is no text");
    is_str(findings_quote("ééééééééééééééééééééééééééééééééééééé", out), "\"éééééééééééééééééééééééééééé...\"", "cut between characters");
    ok(strlen(out) < FINDINGS_QUOTE, "within its room");
}

int main(void)
{
    arena_init(&arena, 1 << 20);
    test_values();
    test_errors();
    test_many();
    test_show();
    test_memory();
    test_tables();
    test_quote();
    yaml_tree_free(tree);
    arena_clear(&arena);
    return tap_done();
}
