/* Drives an exporter: takes the packets that are wanted from one or several sources, merges them by time and hands them on.
 *
 * A source is a capture or a folder with segments, as a node has one in a snapshot. The next packet is always the earliest of those that
 * stand first in their sources, and of the same time the one whose source was named first. Packets of one source keep their
 * order, so that a single one comes out as it was, even where its times go backwards. One thread. */
#ifndef EXPORT_EXPORT_H
#define EXPORT_EXPORT_H

#include "export/source.h"
#include "plugin/instance.h"

struct export_request {
    struct td_inst *exporter; /* an instance of an exporter */
    const struct export_source *sources;
    size_t source_count;
    const struct selection *selection; /* of all sources */
    const char *application;           /* what writes this: "tapedeck 1.0"; NULL: nothing is said */
    const char *comment;       /* for whoever reads the output, of which exporters take what their format has room for; NULL: none */
    const atomic_bool *cancel; /* ends it with TD_E_CANCELLED; NULL: never */
    /* Takes the output's bytes in order; on failure fills the error. */
    int (*write)(void *ctx, struct td_slice bytes, struct error *err);
    void *write_ctx;
    /* A source that is damaged: what stands before the damage is exported, and so are the others. */
    void (*damaged)(void *ctx, const struct error *fault);
    void *damaged_ctx;
    /* Every few hundred packets: bytes of sources read or done with, of how many (0: unknown), packets exported. May be NULL. */
    void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t packets);
    void *progress_ctx;
};

struct export_stats {
    uint64_t packets_read, packets, bytes; /* bytes: captured, of the packets exported */
    uint64_t fragments_given_up;           /* whose connection never became known */
    size_t damaged;                        /* sources */
};

/* Damage in a source is no failure; see stats->damaged. After a failure the output is to be thrown away. */
int export_run(const struct export_request *, struct export_stats *ret, struct error *err) MUST_CHECK;

#endif
