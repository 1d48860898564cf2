/* Rounds: each is up to ROUND_PACKETS packets, sorted by worker. Every worker does its part of every round, in order. A
 * worker that has little left to do reads the next round, if nobody else is reading: so reading moves to whoever has time for
 * it, and no thread waits for another while there is work. Whoever completes a round writes it, and those behind it. */
#include "dissect/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

enum {
    ROUND_PACKETS = 1024,
    ROUNDS = 16,             /* in flight, with several threads */
    ROUNDS_LOW = 8,          /* so few must be in flight before a thread that waits for room is woken */
    ROUNDS_AHEAD = 4,        /* that are to be read before anybody runs out of them */
    AHEAD = 8,               /* packets whose memory is asked for in advance */
    OUTPUT_FULL = 256 << 10, /* bytes of output with which a single worker does not wait for its round's end: they are still in the cache */
};

struct ending { /* a connection to be closed at the end of the capture */
    struct flow *flow;
    uint32_t shard;
};

struct part { /* a worker's share of a round */
    struct flow_packet *packets;
    uint32_t packet_n;
    const struct ending *endings; /* of all workers: each picks its own */
    uint32_t ending_n;
    struct buf out;
    struct out_mark *marks;
    uint32_t mark_n, mark_cap;
};

struct round {
    struct part *parts; /* one for each thread */
    struct block *block;
    struct decode_datagram **datagrams;
    uint32_t datagram_n;
    unsigned pending; /* workers that are not done; under the lock */
};

struct engine_thread {
    struct engine *engine;
    unsigned index;
    pthread_t thread;
    bool running;
};

/* Where rounds come from: 1 filled, 0 no more, or a failure. One thread at a time calls it. */
typedef int fill_fn(struct engine *e, struct round *round, struct error *err);

struct engine {
    struct engine_options options;
    struct decoder *decoder;
    struct shard shards[ENGINE_SHARDS];
    struct worker workers[ENGINE_MAX_THREADS];
    struct engine_thread threads[ENGINE_MAX_THREADS]; /* the first is the caller's own */
    struct flow_stats flows_before;                   /* of nodes before this one */
    struct decode_stats decoded_before;
    struct round rounds[ROUNDS];
    unsigned round_n; /* of these in use */
    uint64_t seed;    /* of the tables' hashes */

    /* The source; touched only by the thread that is reading. */
    struct capture *capture;
    struct packet *packets; /* what capture_read() gave */
    uint64_t frame_base, last_frame, packet_n, byte_n;
    struct ending *endings;
    uint32_t ending_n, ending_at;
    struct error error; /* of the source */
    struct buf merged;  /* touched only by the thread that is writing */

    pthread_mutex_t lock;              /* of everything below, and of round.pending */
    pthread_cond_t more;               /* rounds, room for rounds, or the end */
    unsigned waiting;                  /* threads that wait for it */
    fill_fn *fill;                     /* NULL: there is no more to read */
    uint64_t filled, written;          /* rounds */
    uint64_t next[ENGINE_MAX_THREADS]; /* the round that each thread does next */
    bool reading, writing, stopping;
    int source_status;       /* of fill */
    int status, write_errno; /* of writing */
};

static struct worker *worker_of(struct engine *e, uint32_t shard)
{
    return &e->workers[shard % e->options.threads];
}

/* ---- A worker's part ---- */

/* Remembers which packet the output since the last mark belongs to. */
static bool mark_output(struct part *part, const struct worker *w, uint64_t key)
{
    if (part->mark_n ? part->marks[part->mark_n - 1].end == w->out.n : w->out.n == 0)
        return true;
    if (part->mark_n == part->mark_cap) {
        uint32_t cap = part->mark_cap ? part->mark_cap * 2 : 64;
        struct out_mark *marks = mem_realloc(part->marks, cap * sizeof(*marks));
        if (!marks)
            return false;
        part->marks = marks;
        part->mark_cap = cap;
    }
    part->marks[part->mark_n++] = (struct out_mark){key, w->out.n};
    return true;
}

static int write_bytes(struct engine *e, struct td_slice bytes)
{
    int status = bytes.n ? e->options.write(e->options.write_ctx, bytes) : TD_OK;
    if (status != TD_OK)
        e->write_errno = errno;
    return status;
}

/* What a single worker has written needs no sorting. */
static int write_early(struct engine *e, struct worker *w)
{
    if (e->options.threads > 1 || w->out.n < OUTPUT_FULL || w->out.failed)
        return TD_OK;
    int status = write_bytes(e, buf_slice(&w->out));
    buf_reset(&w->out);
    return status;
}

static int run_packets(struct engine *e, struct part *part, struct worker *w)
{
    int status = TD_OK;
    for (uint32_t i = 0; i < part->packet_n && status == TD_OK; i++) {
        const struct flow_packet *pkt = &part->packets[i];
        if (i + AHEAD < part->packet_n) {
            const struct flow_packet *later = &part->packets[i + AHEAD];
            flow_table_prefetch(e->shards[later->shard].flows, later->hash);
            __builtin_prefetch(later->l4);
            __builtin_prefetch(later->l4 + 64);
        }
        flow_table_packet(e->shards[pkt->shard].flows, pkt);
        status = write_early(e, w);
        if (!mark_output(part, w, pkt->frame))
            status = TD_E_NOMEM;
    }
    return status;
}

static int run_endings(struct engine *e, struct part *part, struct worker *w)
{
    int status = TD_OK;
    for (uint32_t i = 0; i < part->ending_n && status == TD_OK; i++) {
        const struct ending *end = &part->endings[i];
        if (worker_of(e, end->shard) != w)
            continue;
        uint64_t key = end->flow->id;
        flow_table_end(e->shards[end->shard].flows, end->flow);
        status = write_early(e, w);
        if (!mark_output(part, w, key))
            status = TD_E_NOMEM;
    }
    return status;
}

static int run_part(struct engine *e, struct round *round, unsigned index)
{
    struct worker *w = &e->workers[index];
    struct part *part = &round->parts[index];
    part->mark_n = 0;
    int status = run_packets(e, part, w);
    if (status == TD_OK)
        status = run_endings(e, part, w);
    if (status == TD_OK && w->out.failed)
        status = TD_E_NOMEM;
    if (e->options.pause)
        e->options.pause(e->options.pause_ctx, index);
    struct buf empty = part->out;
    part->out = w->out;
    w->out = empty;
    buf_reset(&w->out);
    return status;
}

/* ---- Writing ---- */

static int write_error(const struct engine *e, int status, struct error *err)
{
    if (status == TD_OK)
        return TD_OK;
    return error_set(err, status, "the output cannot be written: %s", status == TD_E_NOMEM ? "out of memory" : strerror(e->write_errno));
}

/* Puts the parts' output together in the order of their marks. */
static void merge_parts(const struct engine *e, const struct round *round, struct buf *out)
{
    uint32_t at[ENGINE_MAX_THREADS] = {0};
    size_t begin[ENGINE_MAX_THREADS] = {0};
    for (;;) {
        int first = -1;
        uint64_t first_key = UINT64_MAX, limit = UINT64_MAX; /* the least next mark, and the one after it */
        for (unsigned i = 0; i < e->options.threads; i++) {
            const struct part *part = &round->parts[i];
            uint64_t key = at[i] < part->mark_n ? part->marks[at[i]].key : UINT64_MAX;
            if (key < first_key) {
                limit = first_key;
                first_key = key;
                first = (int)i;
            } else if (key < limit) {
                limit = key;
            }
        }
        if (first < 0)
            return;
        const struct part *part = &round->parts[first];
        while (at[first] < part->mark_n && part->marks[at[first]].key < limit)
            at[first]++;
        size_t end = part->marks[at[first] - 1].end;
        buf_put(out, part->out.p + begin[first], end - begin[first]);
        begin[first] = end;
    }
}

static int write_round(struct engine *e, struct round *round)
{
    const struct part *only = NULL;
    unsigned speaking = 0;
    for (unsigned i = 0; i < e->options.threads; i++)
        if (round->parts[i].out.n) {
            only = &round->parts[i];
            speaking++;
        }
    if (speaking <= 1)
        return only ? write_bytes(e, buf_slice(&only->out)) : TD_OK;
    buf_reset(&e->merged);
    merge_parts(e, round, &e->merged);
    return e->merged.failed ? TD_E_NOMEM : write_bytes(e, buf_slice(&e->merged));
}

static void release_round(struct round *round)
{
    for (uint32_t i = 0; i < round->datagram_n; i++)
        block_unref(&round->datagrams[i]->block);
    round->datagram_n = 0;
    block_unref(round->block);
    round->block = NULL;
}

/* Writes all rounds that are complete and next in turn. With the lock held. */
static void write_complete(struct engine *e)
{
    if (e->writing)
        return;
    e->writing = true;
    while (e->written < e->filled && e->rounds[e->written % e->round_n].pending == 0) {
        struct round *round = &e->rounds[e->written % e->round_n];
        int status = e->status;
        pthread_mutex_unlock(&e->lock);
        if (status == TD_OK)
            status = write_round(e, round);
        release_round(round);
        pthread_mutex_lock(&e->lock);
        if (e->status == TD_OK) /* another thread may have failed meanwhile */
            e->status = status;
        e->written++;
    }
    e->writing = false;
    if (e->waiting && (e->filled - e->written <= ROUNDS_LOW || e->round_n == 1))
        pthread_cond_broadcast(&e->more);
}

/* ---- The work of every thread ---- */

static void do_part(struct engine *e, unsigned index)
{
    struct round *round = &e->rounds[e->next[index]++ % e->round_n];
    pthread_mutex_unlock(&e->lock);
    int status = run_part(e, round, index);
    pthread_mutex_lock(&e->lock);
    if (status != TD_OK && e->status == TD_OK)
        e->status = status;
    round->pending--;
    write_complete(e);
}

static void read_round(struct engine *e)
{
    struct round *round = &e->rounds[e->filled % e->round_n];
    e->reading = true;
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < e->options.threads; i++)
        round->parts[i].packet_n = round->parts[i].ending_n = 0;
    int status = e->fill(e, round, &e->error);
    pthread_mutex_lock(&e->lock);
    e->reading = false;
    if (status > 0) {
        round->pending = e->options.threads;
        e->filled++;
    } else {
        e->source_status = status;
        e->fill = NULL;
    }
    if (e->waiting)
        pthread_cond_broadcast(&e->more);
}

/* Works until the source is used up and every round is written. With the lock held. */
static void work(struct engine *e, unsigned index)
{
    for (;;) {
        bool room = e->filled - e->written < e->round_n;
        if (e->fill && !e->reading && room && e->filled - e->next[index] < ROUNDS_AHEAD && e->status == TD_OK) {
            read_round(e);
        } else if (e->next[index] < e->filled) {
            do_part(e, index);
        } else if ((!e->fill || e->status != TD_OK) && !e->reading && e->written == e->filled) {
            return;
        } else {
            e->waiting++;
            pthread_cond_wait(&e->more, &e->lock);
            e->waiting--;
        }
    }
}

static void *thread_main(void *arg)
{
    struct engine_thread *self = arg;
    struct engine *e = self->engine;
    pthread_mutex_lock(&e->lock);
    while (!e->stopping) {
        work(e, self->index);
        if (e->stopping)
            break;
        e->waiting++;
        pthread_cond_wait(&e->more, &e->lock);
        e->waiting--;
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* Runs a source to its end, with all threads. */
static int run_source(struct engine *e, fill_fn *fill, struct error *err)
{
    pthread_mutex_lock(&e->lock);
    e->fill = fill;
    e->source_status = TD_OK;
    if (e->waiting)
        pthread_cond_broadcast(&e->more);
    work(e, 0);
    e->fill = NULL;
    int status = e->status, source_status = e->source_status;
    pthread_cond_broadcast(&e->more);
    pthread_mutex_unlock(&e->lock);
    if (source_status != TD_OK) {
        if (err)
            *err = e->error;
        return source_status;
    }
    return write_error(e, status, err);
}

/* ---- Sources ---- */

static void add_packet(struct engine *e, struct round *round, const struct packet *pkt)
{
    struct decoded d;
    if (e->options.want && !e->options.want(e->options.want_ctx, pkt))
        return;
    e->packet_n++;
    e->byte_n += pkt->caplen;
    if (decode_packet(e->decoder, pkt, &d) != DECODE_OK)
        return;
    uint32_t shard = flow_hash(&d, 0) % ENGINE_SHARDS;
    struct part *part = &round->parts[shard % e->options.threads];
    part->packets[part->packet_n++] = (struct flow_packet){.ip = d.ip,
                                                           .l4 = d.l4,
                                                           .l4_caplen = d.l4_caplen,
                                                           .l4_len = d.l4_len,
                                                           .time_ns = pkt->time_ns,
                                                           .frame = pkt->frame,
                                                           .datagram = d.datagram,
                                                           .hash = flow_hash(&d, e->seed),
                                                           .ip_version = d.ip_version,
                                                           .transport = d.transport,
                                                           .shard = (uint8_t)shard};
    if (d.datagram)
        round->datagrams[round->datagram_n++] = d.datagram;
}

static int fill_packets(struct engine *e, struct round *round, struct error *err)
{
    if (e->options.progress && !e->options.progress(e->options.progress_ctx, e->packet_n))
        return error_set(err, TD_E_CANCELLED, "stopped");
    int n = capture_read(e->capture, e->packets, ROUND_PACKETS, &round->block, err);
    if (n <= 0) {
        round->block = NULL;
        return n;
    }
    for (int i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch(e->packets[i + AHEAD].p + 14);
        e->packets[i].frame += e->frame_base;
        add_packet(e, round, &e->packets[i]);
    }
    e->last_frame = e->packets[n - 1].frame;
    return 1;
}

int engine_run(struct engine *e, struct capture *capture, struct error *err)
{
    e->capture = capture;
    int status = run_source(e, fill_packets, err);
    e->frame_base = e->last_frame;
    e->capture = NULL;
    return status;
}

static int fill_endings(struct engine *e, struct round *round, struct error *err)
{
    (void)err;
    uint32_t left = e->ending_n - e->ending_at, n = left < ROUND_PACKETS ? left : ROUND_PACKETS;
    for (unsigned i = 0; i < e->options.threads; i++) {
        round->parts[i].endings = e->endings + e->ending_at;
        round->parts[i].ending_n = n;
    }
    e->ending_at += n;
    return n > 0;
}

static int compare_endings(const void *a, const void *b)
{
    uint64_t x = ((const struct ending *)a)->flow->id, y = ((const struct ending *)b)->flow->id;
    return (x > y) - (x < y);
}

/* All connections that are open, in the order of their first packets. */
static int list_endings(struct engine *e, struct error *err)
{
    uint32_t total = 0, n = 0;
    for (int i = 0; i < ENGINE_SHARDS; i++)
        total += flow_table_count(e->shards[i].flows);
    struct flow **flows = mem_alloc(total * sizeof(struct flow *));
    e->endings = mem_alloc(total * sizeof(*e->endings));
    if (!flows || !e->endings) {
        mem_free(flows);
        return error_nomem(err);
    }
    for (uint32_t i = 0; i < ENGINE_SHARDS; i++) {
        uint32_t count = flow_table_count(e->shards[i].flows);
        flow_table_list(e->shards[i].flows, flows);
        for (uint32_t j = 0; j < count; j++)
            e->endings[n++] = (struct ending){flows[j], i};
    }
    mem_free(flows);
    if (total)
        qsort(e->endings, total, sizeof(*e->endings), compare_endings);
    e->ending_n = total;
    e->ending_at = 0;
    return TD_OK;
}

int engine_finish(struct engine *e, struct error *err)
{
    int status = list_endings(e, err);
    if (status == TD_OK)
        status = run_source(e, fill_endings, err);
    mem_free(e->endings);
    e->endings = NULL;
    return status;
}

/* ---- Nodes ---- */

/* Both kinds of statistics are counters throughout. */
static void add_counters(void *to, const void *from, size_t size)
{
    uint64_t *sum = to;
    const uint64_t *more = from;
    for (size_t i = 0; i < size / sizeof(*sum); i++)
        sum[i] += more[i];
}

static bool make_shards(struct engine *e)
{
    const struct engine_options *o = &e->options;
    struct flow_limits limits = {.max_memory = o->max_memory / ENGINE_SHARDS,
                                 .max_connection_memory = o->max_connection_memory,
                                 .tcp_idle_ns = o->tcp_idle_ns,
                                 .udp_idle_ns = o->udp_idle_ns};
    for (uint32_t i = 0; i < ENGINE_SHARDS; i++) {
        e->shards[i].worker = worker_of(e, i);
        e->shards[i].flows = shard_flows_new(&e->shards[i], &limits);
        if (!e->shards[i].flows)
            return false;
    }
    return true;
}

static void free_shards(struct engine *e)
{
    for (int i = 0; i < ENGINE_SHARDS; i++) {
        if (e->shards[i].flows)
            add_counters(&e->flows_before, flow_table_stats(e->shards[i].flows), sizeof(e->flows_before));
        flow_table_free(e->shards[i].flows);
        e->shards[i].flows = NULL;
    }
}

int engine_begin(struct engine *e, const char *node, struct error *err)
{
    for (unsigned i = 0; i < e->options.threads; i++)
        e->workers[i].node = node;
    if (e->frame_base == 0)
        return TD_OK; /* nothing was read yet */
    free_shards(e);
    add_counters(&e->decoded_before, decoder_stats(e->decoder), sizeof(e->decoded_before));
    decoder_free(e->decoder);
    e->decoder = decoder_new(e->options.max_fragment_memory);
    return e->decoder && make_shards(e) ? TD_OK : error_nomem(err);
}

/* ---- Life ---- */

static int start_threads(struct engine *e, struct error *err)
{
    for (unsigned i = 1; i < e->options.threads; i++) {
        e->threads[i] = (struct engine_thread){.engine = e, .index = i};
        int problem = pthread_create(&e->threads[i].thread, NULL, thread_main, &e->threads[i]);
        if (problem)
            return error_set(err, TD_E_NOMEM, "cannot start a thread: %s; try fewer (-j)", strerror(problem));
        e->threads[i].running = true;
    }
    return TD_OK;
}

static bool make_rounds(struct engine *e)
{
    e->round_n = e->options.threads > 1 ? ROUNDS : 1;
    for (unsigned r = 0; r < e->round_n; r++) {
        struct round *round = &e->rounds[r];
        round->datagrams = mem_calloc(ROUND_PACKETS, sizeof(*round->datagrams));
        round->parts = mem_calloc(e->options.threads, sizeof(*round->parts));
        if (!round->datagrams || !round->parts)
            return false;
        for (unsigned i = 0; i < e->options.threads; i++) {
            round->parts[i].packets = mem_calloc(ROUND_PACKETS, sizeof(struct flow_packet));
            if (!round->parts[i].packets)
                return false;
        }
    }
    return true;
}

static void free_rounds(struct engine *e)
{
    for (unsigned r = 0; r < e->round_n; r++) {
        struct round *round = &e->rounds[r];
        for (unsigned i = 0; round->parts && i < e->options.threads; i++) {
            buf_clear(&round->parts[i].out);
            mem_free(round->parts[i].marks);
            mem_free(round->parts[i].packets);
        }
        mem_free(round->parts);
        mem_free(round->datagrams);
    }
}

int engine_new(const struct engine_options *options, struct engine **ret, struct error *err)
{
    if (options->threads < 1 || options->threads > ENGINE_MAX_THREADS)
        return error_set(err, TD_E_CONFIG, "%u threads: 1 to %d are possible", options->threads, ENGINE_MAX_THREADS);
    struct engine *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return error_nomem(err);
    e->options = *options;
    if (getrandom(&e->seed, sizeof(e->seed), GRND_NONBLOCK) != sizeof(e->seed))
        e->seed = (uintptr_t)e; /* soon after the start of a machine there may be nothing better */
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->more, NULL);
    for (unsigned i = 0; i < options->threads; i++) {
        worker_init(&e->workers[i], options->set, options->on_call, options->on_call_ctx);
        e->workers[i].index = i;
        if (options->watches)
            e->workers[i].watch = options->watches[i];
    }
    e->decoder = decoder_new(options->max_fragment_memory);
    e->packets = mem_calloc(ROUND_PACKETS, sizeof(*e->packets));
    int status = e->decoder && e->packets && make_shards(e) && make_rounds(e) ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = start_threads(e, err);
    if (status != TD_OK) {
        engine_free(e);
        return status;
    }
    *ret = e;
    return TD_OK;
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
    *ret = (struct engine_stats){.packets = e->packet_n, .bytes = e->byte_n, .flow = e->flows_before, .decode = e->decoded_before};
    add_counters(&ret->decode, decoder_stats(e->decoder), sizeof(ret->decode));
    for (int i = 0; i < ENGINE_SHARDS; i++)
        add_counters(&ret->flow, flow_table_stats(e->shards[i].flows), sizeof(ret->flow));
    const struct dissect_stats *workers[ENGINE_MAX_THREADS];
    for (unsigned i = 0; i < e->options.threads; i++) {
        workers[i] = &e->workers[i].stats;
        stats_add(&ret->dissect, workers[i]);
    }
    stats_add_ports(&ret->dissect, workers, e->options.threads);
}

static void discard_call(void *ctx, const struct td_call *call, struct buf *out)
{
    (void)ctx, (void)call, (void)out;
}

void engine_free(struct engine *e)
{
    if (!e)
        return;
    pthread_mutex_lock(&e->lock);
    e->stopping = true;
    pthread_cond_broadcast(&e->more);
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < e->options.threads; i++)
        if (e->threads[i].running)
            pthread_join(e->threads[i].thread, NULL);
    for (unsigned i = 0; i < e->options.threads; i++)
        e->workers[i].on_call = discard_call; /* of connections that were not finished */
    free_shards(e);
    for (unsigned i = 0; i < e->options.threads; i++)
        worker_clear(&e->workers[i]);
    free_rounds(e);
    buf_clear(&e->merged);
    decoder_free(e->decoder);
    mem_free(e->packets);
    pthread_cond_destroy(&e->more);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}
