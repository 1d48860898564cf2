/* The real engine under test: static plugins, a capture in memory, and what comes out. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "config/config.h"
#include "dissect/enabled.h"
#include "dissect/engine.h"

struct rig {
    struct config *config;
    struct registry *registry;
    struct enabled_dissectors dissectors;
    struct engine_options options; /* for the next run; rig_open() sets one thread and the configuration's defaults */
    bool payload;                  /* the usual on_call, JSON lines, shows headers and bodies */
    unsigned long fail_at;         /* the nth allocation of a run fails; 0: none */
    bool failed;                   /* it was reached in the last run */
    struct buf out;                /* of the last run */
    struct engine_stats stats;     /* of the last run */
    int status;                    /* of the last run: the first failure of engine_run() and engine_finish() */
    struct error error;
};

/* `plugins` ends with NULL. Prints a line and ends the program when something fails. */
void rig_open(struct rig *rig, const struct td_plugin *const *plugins);
/* With all plugins that were built, as shared objects. */
void rig_open_built(struct rig *rig);
/* A rule as of the command line: "tcp.port==8888,http". */
void rig_decode_as(struct rig *rig, const char *rule);
/* Dissects a capture; the output as text, valid until the next run. */
const char *rig_run(struct rig *rig, struct td_slice pcap);
void rig_close(struct rig *rig);

#endif
