#include "host.h"

#include <stdarg.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "plugin/instance.h"

__attribute__((format(printf, 3, 4))) static int host_fail(struct td_inst *inst, int status, const char *fmt, ...)
{
    char text[INSTANCE_ERROR_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    instance_failed(inst, status, text);
    return status;
}

static bool may_log(struct td_inst *inst, uint32_t *ret_suppressed)
{
    pthread_mutex_lock(&inst->lock);
    bool may = rate_admit(&inst->rate, clock_ns(CLOCK_MONOTONIC), ret_suppressed);
    pthread_mutex_unlock(&inst->lock);
    return may;
}

__attribute__((format(printf, 3, 4))) static void host_log(struct td_inst *inst, int level, const char *fmt, ...)
{
    uint32_t suppressed;
    if (!may_log(inst, &suppressed))
        return;
    char text[INSTANCE_ERROR_TEXT], component[PLUGIN_OWNER];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    snprintf(component, sizeof(component), "%s.%s", plugin_kind_name(inst->component->c.kind), inst->component->c.name);
    if (suppressed)
        log_event(TD_LOG_WARN, component, "%u events were not logged: too many at once", suppressed);
    log_event(level, component, "%s", text);
}

static bool host_cancelled(struct td_inst *inst)
{
    return atomic_load_explicit(&inst->cancelled, memory_order_relaxed);
}

/* There are no extensions. */
static const void *host_iface(struct td_inst *inst, const char *id)
{
    (void)inst;
    (void)id;
    return NULL;
}

void host_init_control(struct td_host *host)
{
    *host = (struct td_host){
        .size = sizeof(*host),
        .abi_minor = TD_ABI_MINOR,
        .fail = host_fail,
        .log = host_log,
        .cancelled = host_cancelled,
        .iface = host_iface,
    };
}
