#include "instance.h"

#include <stdalign.h>

#include "base/mem.h"

/* This thread's text; else NULL, or with `make` the place that a new one may take. The lock is held. */
static struct instance_failure *find_failure(struct td_inst *inst, bool make)
{
    struct instance_failure *oldest = inst->failure;
    pthread_t self = pthread_self();
    for (size_t i = 0; i < INSTANCE_ERRORS; i++) {
        struct instance_failure *f = &inst->failure[i];
        if (f->order && pthread_equal(f->thread, self))
            return f;
        if (f->order < oldest->order)
            oldest = f;
    }
    return make ? oldest : NULL;
}

void instance_failed(struct td_inst *inst, int status, const char *text)
{
    pthread_mutex_lock(&inst->lock);
    struct instance_failure *f = find_failure(inst, true);
    f->thread = pthread_self();
    f->order = ++inst->failures;
    error_set(&f->error, status, "%s", text);
    pthread_mutex_unlock(&inst->lock);
}

int instance_error(struct td_inst *inst, int status, struct error *err)
{
    pthread_mutex_lock(&inst->lock);
    struct instance_failure *f = find_failure(inst, false);
    error_set(err, status, "%s \"%s\": %s", plugin_kind_name(inst->component->c.kind), inst->component->c.name,
              f && f->error.text[0] && f->error.status == status ? f->error.text : error_name(status));
    if (f)
        f->order = 0;
    pthread_mutex_unlock(&inst->lock);
    return status;
}

static int fill_config(struct td_inst *inst, const struct yaml_node *node, struct error *err)
{
    const struct td_component *c = &inst->component->c;
    char owner[PLUGIN_OWNER];
    struct findings f;
    if (c->config_size) {
        inst->config = arena_alloc(&inst->arena, c->config_size, alignof(max_align_t));
        if (!inst->config)
            return error_nomem(err);
    }
    struct options options = plugin_options(inst->component, owner);
    findings_init(&f);
    options_fill(&options, node, inst->config, &inst->arena, &f);
    return findings_status(&f, err);
}

static int call_create(struct td_inst *inst, const struct yaml_node *node, const struct td_host *host, struct error *err)
{
    const struct td_component *c = &inst->component->c;
    int status = c->create ? c->create(inst, host, inst->config, &inst->self) : TD_OK;
    if (status == TD_OK)
        return TD_OK;
    if (status > 0) { /* not a td_status */
        status = TD_E_INTERNAL;
        error_set(err, status, "%s \"%s\": create() returned a value that is no status", plugin_kind_name(c->kind), c->name);
    } else {
        instance_error(inst, status, err);
    }
    if (node && err)
        error_prefix(err, "%s:%u:%u: ", node->file, node->line, node->column);
    return status;
}

int instance_create(const struct plugin_component *component, const struct yaml_node *node, const struct td_host *host,
                    struct td_inst **ret, struct error *err)
{
    struct td_inst *inst = mem_calloc(1, sizeof(*inst));
    if (!inst)
        return error_nomem(err);
    inst->component = component;
    arena_init(&inst->arena, INSTANCE_MAX_CONFIG_BYTES);
    pthread_mutex_init(&inst->lock, NULL);
    int status = fill_config(inst, node, err);
    if (status == TD_OK)
        status = call_create(inst, node, host, err);
    if (status == TD_OK) {
        *ret = inst;
        return TD_OK;
    }
    pthread_mutex_destroy(&inst->lock);
    arena_clear(&inst->arena);
    mem_free(inst);
    return status;
}

void instance_destroy(struct td_inst *inst)
{
    if (!inst)
        return;
    if (inst->component->c.destroy)
        inst->component->c.destroy(inst->self);
    pthread_mutex_destroy(&inst->lock);
    arena_clear(&inst->arena);
    mem_free(inst);
}

void instance_cancel(struct td_inst *inst)
{
    atomic_store_explicit(&inst->cancelled, true, memory_order_relaxed);
}
