/* `tapedeck worker`: capture on this node until told to stop. */
#include "cli/cli.h"
#include "cli/commands.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "capture/worker.h"
#include "config/config.h"

const char worker_usage[] = "Usage: tapedeck worker [OPTIONS]\n\n"
                            "Captures on this node into a rolling raw capture, and serves windows of it.\n\n"
                            "  -c, --config FILE     the configuration; without it, built-in defaults\n"
                            "      --check           only tell what it would do and what it lacks\n"
                            "  -v, --verbose         log every request\n"
                            "  -h, --help            this text\n\n"
                            "SIGTERM writes and seals what was captured, and ends; SIGHUP reads the configuration again.\n";

struct args {
    const char *config_path;
    bool check;
};

/* The exit code, or -1: go on. */
static int parse(int argc, char **argv, struct args *ret)
{
    static const struct option options[] = {
        {"help", no_argument, NULL, 'h'},
        {"config", required_argument, NULL, 'c'},
        {"check", no_argument, NULL, 'k'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int c;
    optind = 0;
    opterr = 0;
    while ((c = getopt_long(argc, argv, ":hc:v", options, NULL)) != -1) {
        switch (c) {
        case 'h': return printf("%s", worker_usage) < 0 ? CLI_FAILURE : CLI_OK;
        case 'c': ret->config_path = optarg; break;
        case 'k': ret->check = true; break;
        case 'v': log_set_level(TD_LOG_DEBUG); break;
        default: return cli_bad_option("worker ", argv);
        }
    }
    if (optind < argc)
        return cli_usage("worker ", "\"%s\" is too many", argv[optind]);
    return -1;
}

static void tell(void *ctx, bool good, const char *what)
{
    (void)ctx;
    printf("%s  %s\n", good ? "ok   " : "LACKS", what);
}

static int check(const char *path)
{
    struct config *config;
    struct error err;
    if (config_load(path, &config, &err) != TD_OK)
        return cli_fail(&err);
    bool good = worker_check(config, tell, NULL);
    config_free(config);
    return good ? CLI_OK : CLI_FAILURE;
}

static void reload(struct worker *w, const char *path)
{
    struct config *config;
    struct error err;
    int status = config_load(path, &config, &err);
    if (status == TD_OK) {
        status = worker_reload(w, config, &err);
        if (status != TD_OK)
            config_free(config);
    }
    if (status == TD_OK)
        log_event(TD_LOG_INFO, "worker", "the configuration was read again");
    else
        log_event(TD_LOG_ERROR, "worker", "the configuration stays as it was: %s", err.text);
}

int cmd_worker(int argc, char **argv)
{
    struct args args = {0};
    struct config *config;
    struct worker *w;
    struct error err;
    sigset_t signals;
    int code = parse(argc, argv, &args), signal_number = 0;
    if (code >= 0)
        return code;
    if (args.check)
        return check(args.config_path);
    /* Blocked in all threads: only this one takes them, and only while it waits for them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 2); /* connections come and go, each with a thread: their memory is shared, not kept for each */
    if (config_load(args.config_path, &config, &err) != TD_OK || worker_open(config, CLI_VERSION, &w, &err) != TD_OK)
        return cli_fail(&err);
    log_event(TD_LOG_INFO, "worker", "listening on %s", worker_url(w));
    while (sigwait(&signals, &signal_number) == 0 && signal_number == SIGHUP)
        reload(w, args.config_path);
    log_event(TD_LOG_INFO, "worker", "%s: writing what was captured", signal_number == SIGINT ? "interrupted" : "told to end");
    worker_close(w);
    return CLI_OK;
}
