/* The workers that the hub knows: asked every few seconds, so that nobody who wants to know has to wait for them.
 *
 * A few threads ask, each worker for itself: one that does not answer keeps no other waiting. Any thread. */
#ifndef HUB_NODES_H
#define HUB_NODES_H

#include "base/buf.h"
#include "base/error.h"

enum { NODES_MAX = 1024, NODE_URL = 300, NODE_NAME = 256, NODE_VERSION = 64, NODE_REASON = 512 };

struct nodes;

/* All of it is copied. */
struct nodes_source {
    const char *spec; /* "http://node-1:48999", "https://...", or "dns:name:port": every address of that name, looked up again and again */
    const char *token, *ca; /* as in net/http_client.h; "" or NULL: none */
};

struct nodes_options {
    const struct nodes_source *sources;
    size_t source_count;
    const char *agent;
    int64_t interval_ns; /* 0: 3 s */
    int64_t lookup_ns;   /* names are looked up so often; 0: 30 s */
};

enum node_health {
    NODE_UNKNOWN,     /* not asked yet */
    NODE_CAPTURING,   /* it answers, and packets are captured */
    NODE_FAILING,     /* it answers, but cannot capture or write: see reason */
    NODE_UNREACHABLE, /* see reason; what is below is as it was last */
};

struct node {
    char url[NODE_URL], name[NODE_NAME], version[NODE_VERSION], reason[NODE_REASON]; /* "": not known, or nothing to tell */
    enum node_health health;
    int64_t seen_ns; /* when it answered last, by our clock; 0: never */
    bool has_packets, has_cover;
    int64_t oldest_ns, newest_ns;           /* of its packets, by its clock */
    int64_t covered_from_ns, covered_to_ns; /* capture was running, but for gaps */
    uint64_t packets, dropped_by_kernel, dropped_by_interface, dropped_by_disk;
    int64_t clock_offset_ns, clock_error_ns; /* its clock less ours, and by how much that may be wrong; INT64_MAX: not known */
    char *token, *ca;                        /* NULL: none */
};

/* Is it a worker as tap.hub.workers may name it? TD_E_CONFIG. */
int nodes_check_spec(const char *spec, struct error *err) MUST_CHECK;

int nodes_open(const struct nodes_options *, struct nodes **ret, struct error *err) MUST_CHECK;
void nodes_close(struct nodes *);
/* Workers that are in both go on being known. On errors nothing has changed. */
int nodes_set_sources(struct nodes *, const struct nodes_source *, size_t n, struct error *err) MUST_CHECK;
/* All of them, by name and then URL, as they were last; nodes_list_free(). */
int nodes_list(struct nodes *, struct node **ret, size_t *ret_n, struct error *err) MUST_CHECK;
void nodes_list_free(struct node *, size_t n);
/* Waits until each has been asked once, or for so long. */
bool nodes_wait_asked(struct nodes *, int64_t timeout_ns);
const char *node_health_name(enum node_health);

/* ---- Parts, for tests ---- */

/* The estimate of an offset out of the last NODE_CLOCK_SAMPLES questions: that of the quickest answer. */
enum { NODE_CLOCK_SAMPLES = 8 };
struct node_clock {
    int64_t offset_ns[NODE_CLOCK_SAMPLES], error_ns[NODE_CLOCK_SAMPLES];
    unsigned n; /* so many were taken */
};
/* It was asked and answered at these times of our clock, and said that by its own it was `theirs_ns`. Nonsense is left out. */
void node_clock_add(struct node_clock *, int64_t asked_ns, int64_t answered_ns, int64_t theirs_ns);
/* False: nothing is known. */
bool node_clock_best(const struct node_clock *, int64_t *ret_offset_ns, int64_t *ret_error_ns);

#endif
