/* `tapedeck worker`: capturing on a node, and the API of what was captured, until told to stop. */
#include "capture/worker.h"
#include "cli/cli.h"
#include "cli/service.h"

static int open_worker(struct config *config, void **ret, struct error *err)
{
    struct worker *w;
    int status = worker_open(config, CLI_VERSION, &w, err);
    if (status == TD_OK)
        *ret = w;
    return status;
}

static int reload(void *w, struct config *config, const char *path, struct error *err)
{
    (void)path;
    return worker_reload(w, config, err);
}

static void close_worker(void *w)
{
    worker_close(w);
}

static const char *url(const void *w)
{
    return worker_url(w);
}

const char worker_usage[] = "Usage: tapedeck worker [OPTIONS]\n\n"
                            "Captures on this node into a rolling raw capture, and serves windows of it.\n\n"
                            "  -c, --config FILE     the configuration; without it, built-in defaults\n"
                            "      --check           only tell what it would do and what it lacks\n"
                            "  -v, --verbose         log every request\n"
                            "  -h, --help            this text\n\n"
                            "SIGTERM writes and seals what was captured, and ends; SIGHUP reads the configuration again.\n";

int cmd_worker(int argc, char **argv)
{
    const struct service service = {
        .command = "worker ",
        .help = worker_usage,
        .closing = "writing what was captured",
        .check = worker_check,
        .open = open_worker,
        .reload = reload,
        .close = close_worker,
        .url = url,
    };
    return service_run(&service, argc, argv);
}
