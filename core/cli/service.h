/* What the commands that go on until they are told to stop have in common: worker, hub, run. */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <stdbool.h>

#include "base/error.h"
#include "config/config.h"

struct service {
    const char *command; /* "hub " */
    const char *help;    /* text of --help */
    const char *closing; /* said when it is told to end: "writing what was captured" */
    /* Line by line what it lacks; may be NULL. */
    bool (*check)(const struct config *, void (*tell)(void *ctx, bool good, const char *what), void *ctx);
    /* Takes the configuration over. */
    int (*open)(struct config *, void **ret, struct error *err);
    /* Takes the configuration over if it returns TD_OK. `path` is where it comes from: for a second copy. */
    int (*reload)(void *, struct config *, const char *path, struct error *err);
    void (*close)(void *);
    const char *(*url)(const void *);
};

/* The commands that are made with it, and the texts of their --help. */
int cmd_hub(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_worker(int argc, char **argv);
extern const char hub_usage[], run_usage[], worker_usage[];

/* Parses the arguments and runs it: SIGTERM and SIGINT end it, SIGHUP makes it read its configuration again. The exit code. */
int service_run(const struct service *, int argc, char **argv);

#endif
