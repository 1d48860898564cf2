#include "rig.h"

#include <dlfcn.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "call/call_json.h"

static void must(int status, const struct error *err)
{
    if (status == TD_OK)
        return;
    printf("not ok - the test's own setup: %s\n", err->text);
    exit(1);
}

static void put_json(void *ctx, const struct td_call *call, struct buf *out)
{
    const struct rig *rig = ctx;
    call_put_json(out, call, rig->payload);
}

static int keep_output(void *ctx, struct td_slice bytes)
{
    struct rig *rig = ctx;
    buf_put_slice(&rig->out, bytes);
    return rig->out.failed ? TD_E_NOMEM : TD_OK;
}

void rig_open(struct rig *rig, const struct td_plugin *const *plugins)
{
    struct error err = {0};
    *rig = (struct rig){.payload = true};
    must(config_load(NULL, &rig->config, &err), &err);
    must(registry_new(&rig->registry, &err), &err);
    for (; *plugins; plugins++)
        must(registry_add_static(rig->registry, *plugins, &err), &err);
    must(enabled_dissectors_open(&rig->dissectors, rig->config, rig->registry, &err), &err);
    const struct dissection_config *d = &rig->config->dissection;
    rig->options = (struct engine_options){.set = &rig->dissectors.set,
                                           .max_memory = d->max_memory,
                                           .max_connection_memory = d->max_connection_memory,
                                           .max_fragment_memory = d->max_fragment_memory,
                                           .tcp_idle_ns = d->tcp_idle_ns,
                                           .udp_idle_ns = d->udp_idle_ns,
                                           .threads = 1,
                                           .on_call = put_json,
                                           .write = keep_output};
}

/* Around the loader, whose opinion of the folder is not the question here. */
static const struct td_plugin *load(const char *path)
{
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* for good */
    const struct td_plugin *plugin = object ? dlsym(object, "td_plugin_v1") : NULL;
    if (!plugin) {
        printf("not ok - %s cannot be loaded: %s\n", path, dlerror());
        exit(1);
    }
    return plugin;
}

void rig_open_built(struct rig *rig)
{
    static const char pattern[] = "/plugins/dissectors/*.so";
    enum { MOST = 256 };
    const struct td_plugin *plugins[MOST] = {NULL};
    char path[PATH_MAX] = "";
    glob_t found;
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof(pattern));
    char *tests = NULL;
    for (char *at = path; n > 0 && (at = strstr(at, "/tests/")); at++)
        tests = at; /* build/tests/area/name, beside build/plugins */
    if (tests)
        memcpy(tests, pattern, sizeof(pattern));
    if (!tests || glob(path, 0, NULL, &found) != 0 || found.gl_pathc >= MOST) {
        printf("not ok - no plugins were found as %s\n", path);
        exit(1);
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        plugins[i] = load(found.gl_pathv[i]);
    globfree(&found);
    rig_open(rig, plugins);
}

void rig_decode_as(struct rig *rig, const char *rule)
{
    struct error err = {0};
    struct decode_rule parsed;
    must(decode_rule_parse(rule, &parsed, &err), &err);
    must(enabled_dissectors_rule(&rig->dissectors, &parsed, &err), &err);
}

const char *rig_run(struct rig *rig, struct td_slice pcap)
{
    struct engine *engine;
    struct capture *capture;
    struct error err = {0};
    rig->options.on_call_ctx = rig->options.write_ctx = rig;
    buf_reset(&rig->out);
    must(capture_open_memory(pcap, &capture, &err), &err);
    rig->stats = (struct engine_stats){0};
    mem_fail_at(rig->fail_at);
    rig->status = engine_new(&rig->options, &engine, &rig->error);
    if (rig->status == TD_OK) {
        rig->status = engine_run(engine, capture, &rig->error);
        int finished = engine_finish(engine, rig->status == TD_OK ? &rig->error : NULL);
        if (rig->status == TD_OK)
            rig->status = finished;
        engine_stats(engine, &rig->stats);
        engine_free(engine);
    }
    rig->failed = mem_failed();
    mem_fail_at(0);
    capture_close(capture);
    return buf_cstr(&rig->out);
}

void rig_close(struct rig *rig)
{
    enabled_dissectors_close(&rig->dissectors);
    registry_free(rig->registry);
    config_free(rig->config);
    buf_clear(&rig->out);
}
