#include "plugin/configure.h"

#include "base/mem.h"
#include "tap.h"
#include "unit/plugin/sample.h"

static struct findings f;
static struct error err;

/* The sample plugin and what a configuration says; checked. */
static struct {
    struct registry *registry;
    struct config *config;
} my;

static void open_all(const char *text)
{
    findings_init(&f);
    my.registry = NULL;
    my.config = NULL;
    if (config_parse(td_str(text), "c.yaml", &my.config, &f) != TD_OK)
        return;
    if (registry_new(&my.registry, &err) != TD_OK || registry_add_static(my.registry, &sample_plugin, &err) != TD_OK) {
        findings_add(&f, NULL, &err);
        return;
    }
    configure_check(my.config, my.registry, &f);
}

static void close_all(void)
{
    registry_free(my.registry);
    config_free(my.config);
}

static void told(const char *text, const char *message)
{
    open_all(text);
    is_int(f.errors, 1, "one error in %s", text);
    is_str(f.v[0].text, message, "  told well");
    close_all();
}

static void test_errors(void)
{
    told("tap: {dissectors: {smaple: {}}}", "c.yaml:1:20: there is no dissector \"smaple\"; did you mean \"sample\"?");
    told("tap: {dissectors: {kafka: {}}}", "c.yaml:1:20: there is no dissector \"kafka\"; available: sample");
    told("tap: {exporters: {parquet: {}}}", "c.yaml:1:19: there is no exporter \"parquet\"; available: samplefile");
    told("tap: {dissectors: {sample: {dpeth: 1}}}",
         "c.yaml:1:29: unknown option \"dpeth\" of dissector \"sample\"; did you mean \"depth\"?");
    told("tap: {exporters: {samplefile: {x: 1}}}", "c.yaml:1:32: unknown option \"x\" of exporter \"samplefile\"; it has none");
    told("tap: {dissectors: {sample: 5}}", "c.yaml:1:28: dissector \"sample\" must be a mapping of options to values, not a single value");
    told("tap: {enabledDissectors: [sample, http]}", "c.yaml:1:35: there is no dissector \"http\"; available: sample");
    told("tap: {snapshots: {cloud: {provider: s3, s3: {bucket: b}}}}", "c.yaml:1:37: there is no storage plugin \"s3\"; available: none");
    told("tap: {snapshots: {cloud: {azblob: {container: b}}}}", "c.yaml:1:27: there is no storage plugin \"azblob\"; available: none");
    told("tap: {dissection: {decodeAs: ['tcp.port==1,sampel']}}",
         "c.yaml:1:31: there is no dissector \"sampel\"; did you mean \"sample\"?");
    told("tap: {enabledDissectors: [], dissection: {decodeAs: 'tcp.port==1,sample'}}",
         "c.yaml:1:53: dissector \"sample\" is not among tap.enabledDissectors");
    open_all("tap: {enabledDissectors: [x], dissectors: {sample: {depth: 99, wiat: 1}, q: }, dissection: {thread: 1}}");
    is_int(f.errors, 5, "the core's errors and the plugins', all at once");
    close_all();
}

static void test_show(void)
{
    static const char want[] = "  dissectors:\n"
                               "    sample:\n"
                               "      label: none\n"
                               "      password: \"********\"\n"
                               "      verbose: true\n"
                               "      depth: -3\n"
                               "      maxBodySize: 64Ki\n"
                               "      wait: 1h30m\n"
                               "      mode: exact\n"
                               "      hosts: [a, b]\n"
                               "      old: null\n"
                               "  exporters:\n"
                               "    samplefile: {}\n"
                               "  plugins:\n"
                               "    path: null\n";
    struct buf first, second;
    buf_init(&first, 0);
    buf_init(&second, 0);
    open_all("tap: {dissectors: {sample: {password: hunter2}}}");
    ok(!f.errors && configure_show(my.config, my.registry, &first, &err) == TD_OK, "what is in force is shown");
    close_all();
    const char *plugins = strstr(buf_cstr(&first), "  dissectors:\n");
    ok(strstr(buf_cstr(&first), "  enabledDissectors: [sample]\n") && strstr(buf_cstr(&first), "      storageSize: 1Gi\n"),
       "with the core's defaults filled in");
    is_str(plugins ? plugins : "", want, "and those of plugins, secrets masked");
    open_all(buf_cstr(&first));
    ok(!f.errors && configure_show(my.config, my.registry, &second, &err) == TD_OK, "and is a configuration itself");
    close_all();
    is_str(buf_cstr(&second), buf_cstr(&first), "which says the same");
    buf_reset(&first);
    open_all("tap: {enabledDissectors: []}");
    ok(!f.errors && configure_show(my.config, my.registry, &first, &err) == TD_OK, "without dissectors");
    like(buf_cstr(&first), "enabledDissectors: []", "there are none");
    ok(!strstr(buf_cstr(&first), "maxBodySize"), "and no options of theirs");
    close_all();
    buf_clear(&first);
    buf_clear(&second);
}

static void test_memory(void)
{
    bool told_so = true, done = false;
    unsigned long nth = 1;
    for (; nth < 10000 && !done; nth++) {
        struct buf out;
        buf_init(&out, 0);
        mem_fail_at(nth);
        open_all("tap: {enabledDissectors: [sample], dissectors: {sample: {hosts: [a, b]}}, dissection: {decodeAs: 'tcp.port==1,sample'}}");
        int status = f.errors ? f.status : configure_show(my.config, my.registry, &out, &err);
        done = !mem_failed();
        mem_fail_at(0);
        told_so = told_so && status == (done ? TD_OK : TD_E_NOMEM);
        close_all();
        buf_clear(&out);
    }
    ok(told_so && done && nth > 10, "each of %lu allocations may fail", nth - 2);
}

int main(void)
{
    test_errors();
    test_show();
    test_memory();
    return tap_done();
}
