/* `tapedeck run`: a hub and a worker in one process. */
#include "base/mem.h"
#include "capture/worker.h"
#include "cli/cli.h"
#include "cli/service.h"
#include "hub/hub.h"
#include "net/http_server.h"

struct both {
    struct worker *worker;
    struct hub *hub;
};

static bool check(const struct config *config, void (*tell)(void *ctx, bool good, const char *what), void *ctx)
{
    bool worker = worker_check(config, tell, ctx);
    return hub_check(config, CLI_VERSION, tell, ctx) && worker;
}

/* Each has a configuration of its own, for each takes one over. */
static int copy_config(const struct config *config, struct config **ret, struct error *err)
{
    return config_load(config->file, ret, err);
}

static void close_both(void *ctx)
{
    struct both *b = ctx;
    hub_close(b->hub); /* first: it uses the worker */
    worker_close(b->worker);
    mem_free(b);
}

static int open_both(struct config *config, void **ret, struct error *err)
{
    struct both *b = mem_calloc(1, sizeof(*b));
    struct config *own = NULL;
    int status = b ? copy_config(config, &own, err) : error_nomem(err);
    if (status == TD_OK)
        status = worker_open(own, CLI_VERSION, &b->worker, err);
    if (status != TD_OK) {
        config_free(config);
        mem_free(b);
        return status;
    }
    const struct hub_own_worker worker = {worker_url(b->worker)};
    status = hub_open(config, CLI_VERSION, &worker, &b->hub, err);
    if (status == TD_OK)
        *ret = b;
    else
        close_both(b);
    return status;
}

/* Both or neither. */
static int reload(void *ctx, struct config *config, const char *path, struct error *err)
{
    struct both *b = ctx;
    struct config *own;
    struct http_server_change *change = NULL;
    int status = config_load(path, &own, err);
    if (status != TD_OK)
        return status;
    status = worker_prepare(b->worker, own, &change, err);
    if (status == TD_OK)
        status = hub_reload(b->hub, config, err);
    if (status == TD_OK) {
        worker_take(b->worker, own, change);
        return TD_OK;
    }
    http_server_forget(change);
    config_free(own);
    return status;
}

static const char *url(const void *ctx)
{
    const struct both *b = ctx;
    return hub_url(b->hub);
}

const char run_usage[] =
    "Usage: tapedeck run [OPTIONS]\n\n"
    "A hub and a worker in one process: captures on this node, keeps snapshots, runs jobs and serves the API.\n\n"
    "  -c, --config FILE     the configuration; without it, built-in defaults\n"
    "      --check           only tell what it would do and what it lacks\n"
    "  -v, --verbose         log every request\n"
    "  -h, --help            this text\n\n"
    "SIGTERM writes what was captured, and ends; what runs goes on at the next start. SIGHUP reads the configuration again.\n";

int cmd_run(int argc, char **argv)
{
    const struct service service = {
        .command = "run ",
        .help = run_usage,
        .closing = "writing what was captured; what runs goes on at the next start",
        .check = check,
        .open = open_both,
        .reload = reload,
        .close = close_both,
        .url = url,
    };
    return service_run(&service, argc, argv);
}
