/* Instances of components: what create() made, with its configuration, its last error and its cancel flag. */
#ifndef PLUGIN_INSTANCE_H
#define PLUGIN_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "plugin/descriptor.h"
#include "plugin/rate.h"

enum { INSTANCE_ERROR_TEXT = 1024, INSTANCE_MAX_CONFIG_BYTES = 4 << 20, INSTANCE_ERRORS = 16 };

/* What a plugin told host->fail() in one thread, until instance_error() asks for it there. */
struct instance_failure {
    pthread_t thread;
    uint64_t order; /* 0: free; else the higher, the newer */
    struct error error;
};

struct td_inst {
    const struct plugin_component *component;
    void *self;         /* what create() returned: the first argument of the component's functions */
    void *config;       /* filled by the component's table; NULL if it has no options */
    struct arena arena; /* of config */
    atomic_bool cancelled;
    pthread_mutex_t lock; /* of all below: the host's functions may be called from any thread */
    uint64_t failures;    /* told so far */
    struct instance_failure failure[INSTANCE_ERRORS];
    struct rate rate; /* of its log events */
};

/* Checks and fills the options from `node` (NULL: defaults) and creates. `component` and `host` must outlive the
 * instance. [control] */
int instance_create(const struct plugin_component *component, const struct yaml_node *node, const struct td_host *host,
                    struct td_inst **ret, struct error *err) MUST_CHECK;
/* Destroys what was created. NULL is allowed. [control] */
void instance_destroy(struct td_inst *inst);
/* From now on host->cancelled() is true. [any] */
void instance_cancel(struct td_inst *inst);
/* Keeps a text for the instance_error() of this thread. With more than INSTANCE_ERRORS threads that fail at once the oldest text is
 * lost. [any] */
void instance_failed(struct td_inst *inst, int status, const char *text);
/* Turns a status that one of the component's functions has returned in this thread into an error: the plugin's own text if it gave
 * one for this status in this thread, else the status's name. Clears the text. Returns `status`. [any] */
int instance_error(struct td_inst *inst, int status, struct error *err);

#endif
