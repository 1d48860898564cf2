#include "rig.h"

#include <stdio.h>
#include <stdlib.h>

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
    rig->options = (struct engine_options){
        .set = &rig->dissectors.set, .max_memory = d->max_memory, .max_connection_memory = d->max_connection_memory,
        .max_fragment_memory = d->max_fragment_memory, .tcp_idle_ns = d->tcp_idle_ns, .udp_idle_ns = d->udp_idle_ns,
        .threads = 1, .on_call = put_json, .write = keep_output};
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
