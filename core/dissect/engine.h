/* The whole way from packets to calls: packets are read, decoded and handed out, workers own the connections, and what
 * they write is put together in the order of the packets, so that the output is the same for any number of threads.
 *
 * Connections are spread over a fixed number of shards by address; each shard has its own table and its own share of the
 * memory, and belongs to one worker. The caller's thread is the first of the workers. */
#ifndef DISSECT_ENGINE_H
#define DISSECT_ENGINE_H

#include "dissect/conn.h"
#include "packet/capture.h"

enum { ENGINE_SHARDS = 16, ENGINE_MAX_THREADS = 16 };

struct engine_options {
    const struct dissector_set *set;
    size_t max_memory, max_connection_memory, max_fragment_memory; /* bytes; connections share the first */
    int64_t tcp_idle_ns, udp_idle_ns;
    unsigned threads;         /* 1 to ENGINE_MAX_THREADS */
    dissect_call_fn *on_call; /* in the workers' threads; appends to `out` what is to be written */
    void *on_call_ctx;
    td_sink_fn *write; /* what was appended, in order; never from two threads at once */
    void *write_ctx;
    bool (*want)(void *ctx, const struct packet *); /* NULL: every packet. Never from two threads at once */
    void *want_ctx;
    bool (*progress)(void *ctx, uint64_t packets); /* NULL, or called now and then, as `want`; false stops (TD_E_CANCELLED) */
    void *progress_ctx;
    /* [that worker's thread] NULL, or called after its share of each round of packets, even if it had none: it is at no connection then. */
    void (*pause)(void *ctx, unsigned worker);
    void *pause_ctx;
    const struct watch *watches; /* NULL: nobody watches; or one for each thread, copied */
};

struct engine_stats {
    uint64_t packets, bytes; /* read, after `want` */
    struct flow_stats flow;
    struct decode_stats decode;
    struct dissect_stats dissect;
};

struct engine;

int engine_new(const struct engine_options *options, struct engine **ret, struct error *err) MUST_CHECK;
/* Dissects a capture to its end. Several may follow each other: frames are then counted on. A damaged capture gives
 * its error after everything before the damage has been dissected. */
int engine_run(struct engine *e, struct capture *capture, struct error *err) MUST_CHECK;
/* Ends all connections and writes what is left. */
int engine_finish(struct engine *e, struct error *err) MUST_CHECK;
/* At the beginning or after engine_finish(): what follows was captured by another node, `node` (which must last; NULL: not known). Of
 * connections, fragments and clocks nothing is left; frames and statistics are counted on. */
int engine_begin(struct engine *e, const char *node, struct error *err) MUST_CHECK;
/* After engine_finish(). */
void engine_stats(const struct engine *e, struct engine_stats *ret);
void engine_free(struct engine *e);

#endif
