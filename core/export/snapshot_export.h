/* Exports packets of a snapshot: what the API and the command line ask for.
 *
 * Packets are those of the nodes, times, filter expression and calls that are wanted, merged by time over the nodes; what is known of the
 * window, of coverage, gaps and drops goes along as a comment, where the format has room for one. One thread. */
#ifndef EXPORT_SNAPSHOT_EXPORT_H
#define EXPORT_SNAPSHOT_EXPORT_H

#include "export/call_choice.h"
#include "export/export.h"
#include "snapshot/manifest.h"

struct snapshot_export {
    const struct manifest *manifest;
    const char *dir;          /* with a folder for each node: storage's <id> as files */
    const char *const *nodes; /* NULL: all */
    size_t node_count;
    int64_t start_ns, end_ns; /* [start, end); INT64_MIN, INT64_MAX: no bound */
    const char *bpf;          /* as tcpdump takes it; NULL or "": all */
    int32_t linktype;         /* -1: any */

    /* Only packets of calls: of a dissection of this snapshot, see call_choice.h. The times are those of packets, not of calls. */
    const char *calls; /* path of its call store; NULL: any packet */
    const char *filter;
    bool connections;

    struct td_inst *exporter;
    const char *version; /* of this program */
    const atomic_bool *cancel;
    int (*write)(void *ctx, struct td_slice bytes, struct error *err);
    void (*damaged)(void *ctx, const struct error *fault);
    void (*progress)(void *ctx, uint64_t done, uint64_t all, uint64_t packets); /* NULL: none */
    void *ctx;
};

struct snapshot_export_stats {
    struct export_stats packets;
    uint64_t calls;        /* chosen */
    uint64_t calls_cut;    /* of these, those that do not know all their packets */
    uint64_t calls_failed; /* could not be judged, and were left out */
};

/* All that can be refused (a filter, a node, a dissection) is refused before the first byte is written. TD_E_NOT_FOUND: no such node, or
 * none of the nodes has packets. `diagnostics`: of the filter; may be NULL. */
int snapshot_export_run(const struct snapshot_export *, struct snapshot_export_stats *ret, struct filter_diagnostics *diagnostics,
                        struct error *err) MUST_CHECK;
/* The comment: appended. */
void snapshot_export_comment(const struct snapshot_export *, struct buf *ret);

#endif
