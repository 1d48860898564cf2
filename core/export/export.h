/* Drives an exporter: takes the packets that are wanted from one or several captures, merges them by time and hands them on.
 *
 * The next packet is always the earliest of those that stand first in their captures, and of the same time the one whose
 * capture was named first. Packets of one capture keep their order, so that a single one comes out as it was, even
 * where its times go backwards. One thread. */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "export/select.h"
#include "plugin/instance.h"

struct export_request {
    struct td_inst *exporter; /* an instance of an exporter */
    const char *const *paths; /* captures; "-" is standard input */
    size_t path_count;
    const struct selection *selection;
    /* Takes the output's bytes in order; on failure fills the error. */
    int (*write)(void *ctx, struct td_slice bytes, struct error *err);
    void *write_ctx;
    /* A capture that is damaged: what stands before the damage is exported, and so are the others. */
    void (*damaged)(void *ctx, const struct error *fault);
    void *damaged_ctx;
    /* Every few hundred packets: bytes of captures read, of how many (0: unknown), packets exported. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t packets);
    void *progress_ctx;
};

struct export_stats {
    uint64_t packets_read, packets, bytes; /* bytes: captured, of the packets exported */
    uint64_t fragments_given_up;           /* whose connection never became known */
    size_t damaged;                        /* captures */
};

/* Damage in a capture is no failure; see stats->damaged. After a failure the output is to be thrown away. */
int export_run(const struct export_request *, struct export_stats *ret, struct error *err) MUST_CHECK;

#endif
