#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "tap.h"

static struct findings f;

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    findings_init(&f);
    return config_parse(td_str(text), "c.yaml", &config, &f) == TD_OK ? config : NULL;
}

static void test_defaults(void)
{
    struct config *config = NULL;
    struct error err = {0, ""};
    is_int(config_load(NULL, &config, &err), TD_OK, "built-in defaults %s", err.text);
    if (!config)
        return;
    const struct dissection_config *d = &config->dissection;
    ok(d->max_memory == 32 << 20 && d->max_connection_memory == 2 << 20 && d->max_fragment_memory == 4 << 20, "memory");
    ok(d->tcp_idle_ns == 3600ll * NS_PER_S && d->udp_idle_ns == 60ll * NS_PER_S && d->threads == 0, "timeouts and threads");
    ok(config->decode_rule_count == 0 && !config->file && config->raw_capture.enabled, "no rules, no file");
    ok(config_dissector_enabled(config, "http") && config_dissector_enabled(config, "x"), "all dissectors are enabled");
    ok(!config_component(config, TD_KIND_DISSECTOR, "http") && !config_node(config, "tap"), "nothing is said");
    config_free(config);
}

static void test_hub(void)
{
    static const struct {
        const char *text;
        unsigned processors;
    } good[] = {{"", 0}, {"1", 1}, {"0.5", 1}, {"500m", 1}, {"16", 16}, {"1.25", 2}, {"1m", 1}, {"2500m", 3}};
    static const char *const bad[] = {"0", "-1", "x", ".5", "1x", "1mm", "0.0001", "12345678901"};
    unsigned processors;
    char text[200];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(text, sizeof(text), "tap: {delayedDissection: {cpu: \"%s\", memory: 1Gi}}", good[i].text);
        struct config *config = parse(text);
        ok(config && !f.errors && config->delayed_dissection.memory == 1 << 30, "cpu: %s", good[i].text);
        ok(config && config_processors(config->delayed_dissection.cpu, &processors) && processors == good[i].processors,
           "%s are %u processors", good[i].text, good[i].processors);
        config_free(config);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(text, sizeof(text), "tap:\n  delayedDissection: {cpu: \"%s\"}\n", bad[i]);
        struct config *config = parse(text);
        like(f.n ? f.v[0].text : "", "c.yaml:2:28: tap.delayedDissection.cpu ", "cpu: \"%s\" is refused", bad[i]);
        config_free(config);
    }
    struct config *config = parse("tap:\n  hub:\n    listen: ':1'\n    workers: [a, 'dns:b:2']\n    tls: {cert: c, key: k}\n"
                                  "    tokenFile: t\n    workerTokenFile: w\n    workerCa: ca\n    auditLog: log\n    workerPatience: 90s\n"
                                  "  snapshots: {local: {path: here}}\n");
    if (!ok(config && !f.errors && !f.n, "a hub's configuration %s", f.n ? f.v[0].text : ""))
        return;
    is_int(config->hub.workers.n, 2, "its workers");
    is_str(config->hub.workers.v[1], "dns:b:2", "by name");
    is_str(config->hub_tls.certificate, "c", "its certificate");
    is_int(config->hub.worker_patience_ns / 1000000000, 90, "its patience");
    is_str(config->local_snapshots.path, "here", "its snapshots");
    is_str(config->delayed_dissection.cpu, "", "and what is not said is the default");
    config_free(config);
    config = parse("");
    ok(config && !config->hub.workers.v && strcmp(config->hub.listen, "127.0.0.1:8898") == 0, "without a word it listens on loopback");
    config_free(config);
    struct error err = {0, ""};
    is_int(config_load("configs/hub.yaml", &config, &err), TD_OK, "the hub's example is right %s", err.text);
    config_free(config);
}

static void test_sections(void)
{
    size_t n;
    const struct config_section *sections = config_sections(&n);
    for (size_t i = 0; i < n; i++) {
        struct error err = {0, ""};
        ok(options_check_table(sections[i].v, sections[i].n, sizeof(struct config) - sections[i].offset, &err) == TD_OK,
           "the table of %s is sound %s", sections[i].path, err.text);
    }
}

static void test_values(void)
{
    struct config *config = parse("tap:\n"
                                  "  capture: {raw: {enabled: false, storageSize: 10Gi}}\n"
                                  "  snapshots:\n"
                                  "    local: {storageSize: 100Gi}\n"
                                  "    cloud: {provider: s3, prefix: production/, s3: {bucket: b}}\n"
                                  "  enabledDissectors: [http, dns]\n"
                                  "  dissectors: {http: {maxBodySize: 1Mi}}\n"
                                  "  exporters: {pcap: }\n"
                                  "  plugins: {path: [p, /q]}\n"
                                  "  dissection: {maxMemory: 64Mi, threads: 3, decodeAs: ['tcp.port==8888,http', 'udp.port==1-2,dns']}\n");
    if (!ok(config && !f.errors && !f.n, "a whole configuration %s", f.n ? f.v[0].text : ""))
        return;
    ok(!config->raw_capture.enabled && config->raw_capture.storage_size == 10ull << 30, "raw capture");
    ok(config->local_snapshots.storage_size == 100ull << 30, "local snapshots");
    is_str(config->cloud_snapshots.provider, "s3", "provider");
    is_str(config->cloud_snapshots.prefix, "production/", "prefix");
    ok(config_dissector_enabled(config, "dns") && !config_dissector_enabled(config, "kafka"), "enabled dissectors");
    is_str(yaml_get(config_component(config, TD_KIND_DISSECTOR, "http"), "maxBodySize")->text, "1Mi", "a plugin's options");
    is_str(yaml_get(config_component(config, TD_KIND_STORAGE, "s3"), "bucket")->text, "b", "a storage plugin's options");
    ok(yaml_is_null(config_component(config, TD_KIND_EXPORTER, "pcap")), "an exporter without options");
    ok(config->plugins.path.n == 2 && config->dissection.max_memory == 64 << 20 && config->dissection.threads == 3, "plugins, dissection");
    ok(config->decode_rule_count == 2 && config->decode_rules[1].transport == 17, "rules");
    is_str(config->file, "c.yaml", "it knows its name");
    config_free(config);
    config = parse("tap: {enabledDissectors: []}\n");
    ok(config && !config_dissector_enabled(config, "http"), "an empty list enables none");
    config_free(config);
    config = parse("tap:\n");
    ok(config && !f.errors && config_dissector_enabled(config, "http"), "an empty section is fine");
    config_free(config);
}

static void test_processors(void)
{
    static const struct {
        const char *text;
        int want; /* -1: refused */
    } cases[] = {
        {"", 0},     {"1", 1},      {"2", 2},   {"500m", 1},  {"1500m", 2}, {"1.5", 2}, {"0.25", 1}, {"16.000", 16},
        {"0", -1},   {"0m", -1},    {"-1", -1}, {"1.5m", -1}, {"m", -1},    {"1 ", -1}, {"x", -1},   {"99999999999999999999999", -1},
        {"1e3", -1}, {"0.0001", -1}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned n = 77;
        bool fine = config_processors(cases[i].text, &n);
        ok(fine == (cases[i].want >= 0) && (!fine || n == (unsigned)cases[i].want), "processors \"%s\"", cases[i].text);
    }
    struct config *config = parse("tap: {delayedDissection: {cpu: \"1\", memory: 4Gi}}\n");
    ok(config && !f.errors && config->delayed_dissection.memory == 4ull << 30, "a snippet as people have it");
    config_free(config);
    config = parse("tap: {delayedDissection: {cpu: many}}\n");
    ok(f.errors == 1, "no number of processors");
    config_free(config);
}

static void test_errors(void)
{
    static const char *const want[] = {
        "c.yaml:1:1: unknown option \"tpa\" of the configuration; did you mean \"tap\"?",
        "c.yaml:8:3: unknown option \"capure\" of section \"tap\"; did you mean \"capture\"?",
        "c.yaml:9:12: section \"tap.capture\" must be a mapping of options to values, not a list",
        "c.yaml:4:16: option \"maxMemory\" of section \"tap.dissection\": \"1Mi\" is out of range; it must be at least 8Mi",
        "c.yaml:5:5: unknown option \"maxMemroy\" of section \"tap.dissection\"; did you mean \"maxMemory\"?",
        "c.yaml:6:16: option \"threads\" of section \"tap.dissection\": \"many\" is not a whole number",
        "c.yaml:7:16: \"tcp:80\" does not begin with tcp.port== or udp.port==; write as tcp.port==8888,http or udp.port==5300-5310,dns",
    };
    struct config *config = parse("tpa: 1\n"
                                  "tap:\n"
                                  "  dissection:\n"
                                  "    maxMemory: 1Mi\n"
                                  "    maxMemroy: 9Mi\n"
                                  "    threads:   many\n"
                                  "    decodeAs: ['tcp:80']\n"
                                  "  capure: {}\n"
                                  "  capture: []\n");
    ok(config != NULL, "what is YAML is read");
    enum { COUNT = sizeof(want) / sizeof(want[0]) };
    is_int(f.errors, COUNT, "all errors are told at once");
    for (size_t i = 0; i < COUNT && i < f.n; i++)
        is_str(f.v[i].text, want[i], "error %zu", i + 1);
    config_free(config);
    config = parse("tap: {dissection: {maxConnectionMemory: 64Mi}}\n");
    is_str(f.v[0].text, "c.yaml:1:19: maxConnectionMemory, 64Mi, is more than maxMemory, 32Mi", "a contradiction");
    config_free(config);
    ok(!parse("a: [\n") && f.errors == 1 && f.status == TD_E_CONFIG, "what is not YAML is not read");

    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, "tap:\n  dissection:\n    decodeAs:\n");
    for (int i = 0; i <= CONFIG_MAX_DECODE_RULES; i++)
        buf_puts(&text, "    - tcp.port==1,http\n");
    config = parse(buf_cstr(&text));
    is_str(f.v[0].text, "c.yaml:4:5: more than 256 rules in decodeAs", "rules have a limit");
    config_free(config);
    buf_clear(&text);
}

static void test_load(void)
{
    struct config *config = NULL;
    struct error err = {0, ""};
    char path[] = "/tmp/tapedeck-config-XXXXXX", want[128];
    static const char text[] = "tap: {x: 1, yy: 2}\n";
    int fd = mkstemp(path);
    ok(fd >= 0 && write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1, "a file with two errors");
    close(fd);
    is_int(config_load(path, &config, &err), TD_E_CONFIG, "is not loaded");
    snprintf(want, sizeof(want), "%s:1:7: unknown option \"x\" of section \"tap\"", path);
    like(err.text, want, "the first error is told");
    like(err.text, "(and 1 more; `tapedeck config check` lists them)", "and that there is another");
    unlink(path);
    is_int(config_load(path, &config, &err), TD_E_CONFIG, "a file that is not there");
    is_int(config_load("configs/tapedeck.yaml", &config, &err), TD_OK, "the example is right %s", err.text);
    is_str(config->file, "configs/tapedeck.yaml", "and known by its name");
    config_free(config);
}

/* Fails each allocation in turn: no crash, no leak, and always told. */
static void test_memory(void)
{
    static const char text[] = "tap:\n  enabledDissectors: [a, b]\n  plugins: {path: x}\n"
                               "  dissection: {decodeAs: 'tcp.port==1,a', threads: 2}\n";
    unsigned long nth = 1;
    bool told = true, done = false;
    for (; nth < 10000 && !done; nth++) {
        mem_fail_at(nth);
        struct config *config = parse(text);
        done = !mem_failed();
        if (!done)
            told = told && f.status == TD_E_NOMEM;
        else
            told = told && config && !f.errors;
        config_free(config);
    }
    mem_fail_at(0);
    ok(told && done && nth > 5, "each of %lu allocations may fail", nth - 2);
}

int main(void)
{
    test_defaults();
    test_hub();
    test_sections();
    test_values();
    test_processors();
    test_errors();
    test_load();
    test_memory();
    return tap_done();
}
