/* What a dissection's two processes have in common: a page or two of shared memory, the request, and who has which descriptor.
 *
 * The parent believes nothing of what stands in the memory: the child has seen captured bytes. */
#ifndef DISSECT_DISSECTION_SHARED_H
#define DISSECT_DISSECTION_SHARED_H

#include "base/buf.h"
#include "dissect/dissection.h"
#include "dissect/engine.h"
#include "dissect/watch.h"

/* The child's descriptors, counted from the one that it is told. */
enum { CHILD_REQUEST, CHILD_SHARED, CHILD_SOCKET, CHILD_DESCRIPTORS };

enum dissection_state { DISSECTION_STARTING, DISSECTION_RUNNING, DISSECTION_DONE, DISSECTION_FAILED };

/* A connection, and who is at fault with it. */
struct dissection_suspect {
    uint64_t flow;
    struct flow_key key;
    int8_t client;
    uint16_t dissector; /* or WATCH_NOBODY */
};

struct dissection_shared {
    atomic_int state; /* enum dissection_state */
    atomic_uint node; /* that is being read */
    atomic_uint_fast64_t done_bytes, packets, calls;

    /* The end. */
    int status; /* of DISSECTION_FAILED */
    char error[1024];
    uint64_t bytes, damaged;
    bool memory_short; /* whatever else was said */

    /* A signal that was not survived: the first thread's. */
    atomic_int signal, system_call; /* the latter of SIGSYS, plus 1 */
    int thread;                     /* its slot; -1: none */

    /* With `measure`: who has most memory that nobody accounts for, and how much. */
    struct dissection_suspect eater;
    uint64_t eaten, measured; /* bytes; the latter: in use after the last event that has ended */

    uint32_t dissector_n;
    char dissectors[DISSECTOR_MAX][32];
    struct watch_slot slots[ENGINE_MAX_THREADS];
};

/* The request as the child reads it. */
struct dissection_order {
    int parent;
    char *config, *config_file; /* YAML; the name of the file that it was in, or NULL */
    char *out_path, *about, *quarantine;
    unsigned threads;
    uint64_t memory, room; /* bytes; room: of the store, 0: no limit */
    bool payloads, measure;
    uint64_t *banned;
    uint32_t banned_n;
    struct dissection_order_node {
        char *name;
        char **captures; /* names, for messages: the files come over the socket */
        size_t capture_n;
    } * nodes;
    size_t node_n;
};

int dissection_order_read(int fd, struct dissection_order *ret, struct error *err) MUST_CHECK;
void dissection_order_clear(struct dissection_order *);

/* What of a configuration a dissection needs, and no more (nobody's keys), as YAML. */
void dissection_put_config(const struct config *, struct buf *out);

/* "10.0.0.1:4711-10.0.0.2:80/tcp", the client first. */
void dissection_connection_text(const struct dissection_suspect *, char *out, size_t n);

#endif
