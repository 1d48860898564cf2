/* `tapedeck hub`: snapshots, jobs and the API, until told to stop. */
#include "cli/cli.h"
#include "cli/service.h"
#include "hub/hub.h"

static bool check(const struct config *config, void (*tell)(void *ctx, bool good, const char *what), void *ctx)
{
    return hub_check(config, CLI_VERSION, tell, ctx);
}

static int open_hub(struct config *config, void **ret, struct error *err)
{
    struct hub *hub;
    int status = hub_open(config, CLI_VERSION, NULL, &hub, err);
    if (status == TD_OK)
        *ret = hub;
    return status;
}

static int reload(void *hub, struct config *config, const char *path, struct error *err)
{
    (void)path;
    return hub_reload(hub, config, err);
}

static void close_hub(void *hub)
{
    hub_close(hub);
}

static const char *url(const void *hub)
{
    return hub_url(hub);
}

const char hub_usage[] = "Usage: tapedeck hub [OPTIONS]\n\n"
                         "Keeps snapshots, runs jobs and serves the API; its workers are those that the configuration names.\n\n"
                         "  -c, --config FILE     the configuration; without it, built-in defaults\n"
                         "      --check           only tell what it would do and what it lacks\n"
                         "  -v, --verbose         log every request\n"
                         "  -h, --help            this text\n\n"
                         "SIGTERM ends it: what runs goes on at the next start. SIGHUP reads the configuration again.\n";

int cmd_hub(int argc, char **argv)
{
    const struct service service = {
        .command = "hub ",
        .help = hub_usage,
        .closing = "what runs goes on at the next start",
        .check = check,
        .open = open_hub,
        .reload = reload,
        .close = close_hub,
        .url = url,
    };
    return service_run(&service, argc, argv);
}
