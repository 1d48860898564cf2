/* What the kinds of packet source have in common: packet_source.c calls them through this. */
#ifndef CAPTURE_SOURCE_KIND_H
#define CAPTURE_SOURCE_KIND_H

#include "capture/packet_source.h"

struct source_ops {
    void (*close)(struct packet_source *);
    int (*run)(struct packet_source *, int timeout_ms, bool *ret_ended, struct error *err);
    size_t (*drops)(struct packet_source *, struct source_drops *ret, size_t max);
    int (*reconfigure)(struct packet_source *, const struct live_options *, struct error *err); /* NULL: it has nothing to configure */
};

struct packet_source {
    const struct source_ops *ops;
    int wake_fd; /* an eventfd, not blocking: readable when somebody wants the wait to end */
    struct source_sink sink;
};

int source_kind_init(struct packet_source *, const struct source_ops *, const struct source_sink *, struct error *err) MUST_CHECK;
void source_kind_clear(struct packet_source *);
/* Takes the wish back, now that the wait has ended. */
void source_kind_awake(struct packet_source *);

/* CLOCK_MONOTONIC. */
int64_t source_kind_clock(void);

#endif
