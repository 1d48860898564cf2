/* Writes metrics in the text form of Prometheus (exposition format 0.0.4).
 *
 *     metrics_begin(&m, &body);
 *     metrics_family(&m, METRIC_COUNTER, "tapedeck_received_packets_total", "Packets that arrived.");
 *     metrics_u64(&m, packets, NULL, 0);
 *     status = metrics_end(&m, err);
 *
 * Names are checked, for a scraper refuses the whole page for one wrong line. */
#ifndef NET_METRICS_H
#define NET_METRICS_H

#include "base/buf.h"
#include "base/error.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE };

struct metric_label {
    const char *name, *value;
};

struct metrics {
    struct buf *out;
    size_t begin;       /* where the page begins in `out` */
    const char *family; /* of the samples that come */
    const char *wrong;  /* the first name that cannot be written */
};

void metrics_begin(struct metrics *, struct buf *out);
/* The samples of a family follow it. A name has to be new, and to end in "_total" if it is a counter, and only then. `name` must live until
 * metrics_end(). */
void metrics_family(struct metrics *, enum metric_type, const char *name, const char *help);
void metrics_u64(struct metrics *, uint64_t value, const struct metric_label *labels, size_t n);
void metrics_double(struct metrics *, double value, const struct metric_label *labels, size_t n);
/* TD_E_INTERNAL: a name was wrong; TD_E_NOMEM. */
int metrics_end(struct metrics *, struct error *err) MUST_CHECK;

#endif
