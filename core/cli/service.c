#include "cli/service.h"

#include <getopt.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"

struct args {
    const char *config_path;
    bool check;
};

/* The exit code, or -1: go on. */
static int parse(const struct service *s, int argc, char **argv, struct args *ret)
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
        case 'h': fputs(s->help, stdout); return CLI_OK;
        case 'c': ret->config_path = optarg; break;
        case 'k': ret->check = true; break;
        case 'v': log_set_level(TD_LOG_DEBUG); break;
        default: return cli_bad_option(s->command, argv);
        }
    }
    if (optind < argc)
        return cli_usage(s->command, "\"%s\" is too many", argv[optind]);
    return -1;
}

static void tell(void *ctx, bool good, const char *what)
{
    (void)ctx;
    printf("%s  %s\n", good ? "ok   " : "LACKS", what);
}

static int check(const struct service *s, const char *path)
{
    struct config *config;
    struct error err;
    if (config_load(path, &config, &err) != TD_OK)
        return cli_fail(&err);
    bool good = s->check(config, tell, NULL);
    config_free(config);
    return good ? CLI_OK : CLI_FAILURE;
}

/* The words without the space behind them. */
static void component(const struct service *s, char out[32])
{
    snprintf(out, 32, "%.*s", (int)strcspn(s->command, " "), s->command);
}

static void reload(const struct service *s, void *what, const char *path)
{
    char name[32];
    struct config *config;
    struct error err;
    component(s, name);
    int status = config_load(path, &config, &err);
    if (status == TD_OK) {
        status = s->reload(what, config, path, &err);
        if (status != TD_OK)
            config_free(config);
    }
    if (status == TD_OK)
        log_event(TD_LOG_INFO, name, "the configuration was read again");
    else
        log_event(TD_LOG_ERROR, name, "the configuration stays as it was: %s", err.text);
}

int service_run(const struct service *s, int argc, char **argv)
{
    struct args args = {0};
    struct config *config;
    struct error err;
    sigset_t signals;
    char name[32];
    void *what;
    int code = parse(s, argc, argv, &args), number = 0;
    if (code >= 0)
        return code;
    if (args.check)
        return check(s, args.config_path);
    component(s, name);
    /* Blocked in all threads: only this one takes them, and only while it waits for them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    mallopt(M_ARENA_MAX, 2);              /* connections come and go, each with a thread: their memory is shared, not kept for each */
    mallopt(M_MMAP_THRESHOLD, 256 << 10); /* large blocks are given back; else the C library keeps those that are like one given back */
    if (config_load(args.config_path, &config, &err) != TD_OK || s->open(config, &what, &err) != TD_OK)
        return cli_fail(&err);
    log_event(TD_LOG_INFO, name, "listening on %s", s->url(what));
    while (sigwait(&signals, &number) == 0 && number == SIGHUP)
        reload(s, what, args.config_path);
    log_event(TD_LOG_INFO, name, "%s: %s", number == SIGINT ? "interrupted" : "told to end", s->closing);
    s->close(what);
    return CLI_OK;
}
