/* Rounds: the reader fills one with up to ROUND_PACKETS packets, sorted by worker; each worker does its part of
 * every round; the worker that completes a round writes it, and those behind it that are complete. */
#include "dissect/engine.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum {
    ROUND_PACKETS = 1024,
    ROUNDS = 8,             /* in flight */
    AHEAD = 8,              /* packets whose memory is asked for in advance */
    WRITE_AT = 64 * 1024,   /* bytes of output that are written together, with one thread */
};

struct ending { /* a connection to be closed at the end of the capture */
    struct flow *flow;
    uint32_t shard;
};

struct part { /* a worker's share of a round */
    struct flow_packet *packets;
    uint32_t packet_n;
    const struct ending *endings;  /* of all workers: each picks its own */
    uint32_t ending_n;
    struct buf out;
    struct out_mark *marks;
    uint32_t mark_n, mark_cap;
};

struct round {
    struct part parts[ENGINE_MAX_THREADS];
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

struct engine {
    struct engine_options options;
    struct decoder *decoder;
    struct shard shards[ENGINE_SHARDS];
    struct worker workers[ENGINE_MAX_THREADS];
    struct engine_thread threads[ENGINE_MAX_THREADS];
    struct round rounds[ROUNDS];
    struct packet *packets;      /* what the reader was given */
    uint64_t frame_base, packet_n, byte_n;
    pthread_mutex_t lock;
    pthread_cond_t filled_more, written_more;
    uint64_t filled, written;    /* rounds */
    bool writing, stopping;
    int status, write_errno;     /* of writing */
};

static struct worker *worker_of(struct engine *e, uint32_t shard)
{
    return &e->workers[shard % e->options.threads];
}

static uint32_t shard_of(uint32_t hash)
{
    return hash % ENGINE_SHARDS;
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

static bool run_packets(struct engine *e, struct part *part, struct worker *w)
{
    bool fine = true;
    for (uint32_t i = 0; i < part->packet_n; i++) {
        const struct flow_packet *pkt = &part->packets[i];
        if (i + AHEAD < part->packet_n) {
            const struct flow_packet *later = &part->packets[i + AHEAD];
            flow_table_prefetch(e->shards[shard_of(later->hash)].flows, later->hash);
            __builtin_prefetch(later->l4);
            __builtin_prefetch(later->l4 + 64);
        }
        flow_table_packet(e->shards[shard_of(pkt->hash)].flows, pkt);
        fine &= mark_output(part, w, pkt->frame);
    }
    return fine;
}

static bool run_endings(struct engine *e, struct part *part, struct worker *w)
{
    bool fine = true;
    for (uint32_t i = 0; i < part->ending_n; i++) {
        const struct ending *end = &part->endings[i];
        if (worker_of(e, end->shard) != w)
            continue;
        uint64_t key = end->flow->id;
        flow_table_end(e->shards[end->shard].flows, end->flow);
        fine &= mark_output(part, w, key);
    }
    return fine;
}

static int run_part(struct engine *e, struct round *round, unsigned index)
{
    struct worker *w = &e->workers[index];
    struct part *part = &round->parts[index];
    part->mark_n = 0;
    bool fine = run_packets(e, part, w) && run_endings(e, part, w) && !w->out.failed;
    struct buf empty = part->out;
    part->out = w->out;
    w->out = empty;
    buf_reset(&w->out);
    return fine ? TD_OK : TD_E_NOMEM;
}

/* ---- Writing ---- */

static int write_bytes(struct engine *e, struct td_slice bytes)
{
    int status = bytes.n ? e->options.write(e->options.write_ctx, bytes) : TD_OK;
    if (status != TD_OK)
        e->write_errno = errno;
    return status;
}

static int write_error(const struct engine *e, int status, struct error *err)
{
    if (status == TD_OK)
        return TD_OK;
    return error_set(err, status, "the output cannot be written: %s", status == TD_E_NOMEM ? "out of memory" : strerror(e->write_errno));
}

/* Writes the parts' output in the order of their marks. */
static int write_round(struct engine *e, struct round *round)
{
    uint32_t at[ENGINE_MAX_THREADS] = {0};
    size_t begin[ENGINE_MAX_THREADS] = {0};
    for (;;) {
        int first = -1;
        uint64_t limit = UINT64_MAX; /* the next mark of any other part */
        for (unsigned i = 0; i < e->options.threads; i++) {
            struct part *part = &round->parts[i];
            if (at[i] == part->mark_n)
                continue;
            uint64_t key = part->marks[at[i]].key;
            if (first < 0 || key < round->parts[first].marks[at[first]].key) {
                if (first >= 0)
                    limit = round->parts[first].marks[at[first]].key;
                first = (int)i;
            } else if (key < limit) {
                limit = key;
            }
        }
        if (first < 0)
            return TD_OK;
        struct part *part = &round->parts[first];
        while (at[first] < part->mark_n && part->marks[at[first]].key < limit)
            at[first]++;
        size_t end = part->marks[at[first] - 1].end;
        int status = write_bytes(e, td_bytes(part->out.p + begin[first], end - begin[first]));
        if (status != TD_OK)
            return status;
        begin[first] = end;
    }
}

static void release_round(struct round *round)
{
    for (uint32_t i = 0; i < round->datagram_n; i++)
        block_unref(&round->datagrams[i]->block);
    round->datagram_n = 0;
    block_unref(round->block);
    round->block = NULL;
}

/* Writes all rounds that are complete and next in turn. Called with the lock held. */
static void write_complete(struct engine *e)
{
    if (e->writing)
        return;
    e->writing = true;
    while (e->written < e->filled && e->rounds[e->written % ROUNDS].pending == 0) {
        struct round *round = &e->rounds[e->written % ROUNDS];
        int status = e->status;
        pthread_mutex_unlock(&e->lock);
        if (status == TD_OK)
            status = write_round(e, round);
        release_round(round);
        pthread_mutex_lock(&e->lock);
        e->status = status;
        e->written++;
        pthread_cond_signal(&e->written_more);
    }
    e->writing = false;
}

static void *thread_main(void *arg)
{
    struct engine_thread *self = arg;
    struct engine *e = self->engine;
    pthread_mutex_lock(&e->lock);
    for (uint64_t next = 0;; next++) {
        while (e->filled <= next && !e->stopping)
            pthread_cond_wait(&e->filled_more, &e->lock);
        if (e->filled <= next)
            break;
        struct round *round = &e->rounds[next % ROUNDS];
        pthread_mutex_unlock(&e->lock);
        int status = run_part(e, round, self->index);
        pthread_mutex_lock(&e->lock);
        if (status != TD_OK && e->status == TD_OK)
            e->status = status;
        round->pending--;
        write_complete(e);
    }
    pthread_mutex_unlock(&e->lock);
    return NULL;
}

/* ---- The reader's side ---- */

/* A round that nobody uses. */
static struct round *begin_round(struct engine *e)
{
    if (e->options.threads > 1) {
        pthread_mutex_lock(&e->lock);
        while (e->filled - e->written == ROUNDS)
            pthread_cond_wait(&e->written_more, &e->lock);
        pthread_mutex_unlock(&e->lock);
    }
    struct round *round = &e->rounds[e->filled % ROUNDS];
    for (unsigned i = 0; i < e->options.threads; i++)
        round->parts[i].packet_n = round->parts[i].ending_n = 0;
    return round;
}

/* Does a round with one thread: here and now; the output may wait. */
static int do_round(struct engine *e, struct round *round)
{
    struct worker *w = &e->workers[0];
    struct part *part = &round->parts[0];
    part->mark_n = 0;
    bool fine = run_packets(e, part, w) && run_endings(e, part, w) && !w->out.failed;
    release_round(round);
    if (!fine)
        return TD_E_NOMEM;
    if (w->out.n < WRITE_AT && part->ending_n == 0)
        return TD_OK;
    int status = write_bytes(e, buf_slice(&w->out));
    buf_reset(&w->out);
    return status;
}

static int submit_round(struct engine *e, struct round *round)
{
    if (e->options.threads == 1) {
        if (e->status == TD_OK)
            e->status = do_round(e, round);
        return e->status;
    }
    pthread_mutex_lock(&e->lock);
    round->pending = e->options.threads;
    e->filled++;
    int status = e->status;
    pthread_cond_broadcast(&e->filled_more);
    pthread_mutex_unlock(&e->lock);
    return status;
}

static int wait_for_rounds(struct engine *e)
{
    if (e->options.threads == 1) {
        struct buf *out = &e->workers[0].out;
        if (e->status == TD_OK)
            e->status = write_bytes(e, buf_slice(out));
        buf_reset(out);
        return e->status;
    }
    pthread_mutex_lock(&e->lock);
    while (e->written < e->filled)
        pthread_cond_wait(&e->written_more, &e->lock);
    int status = e->status;
    pthread_mutex_unlock(&e->lock);
    return status;
}

static void add_packet(struct engine *e, struct round *round, const struct packet *pkt)
{
    struct decoded d;
    if (e->options.want && !e->options.want(e->options.want_ctx, pkt))
        return;
    e->packet_n++;
    e->byte_n += pkt->caplen;
    if (decode_packet(e->decoder, pkt, &d) != DECODE_OK)
        return;
    uint32_t hash = flow_hash(&d);
    struct part *part = &round->parts[shard_of(hash) % e->options.threads];
    part->packets[part->packet_n++] = (struct flow_packet){
        .ip = d.ip, .l4 = d.l4, .l4_caplen = d.l4_caplen, .l4_len = d.l4_len, .time_ns = pkt->time_ns,
        .frame = e->frame_base + pkt->frame, .datagram = d.datagram, .hash = hash, .ip_version = d.ip_version,
        .transport = d.transport};
    if (d.datagram) {
        for (uint32_t i = 0; i < d.datagram->frame_count; i++)
            d.datagram->frames[i] += e->frame_base;
        round->datagrams[round->datagram_n++] = d.datagram;
    }
}

int engine_run(struct engine *e, struct capture *capture, struct error *err)
{
    uint64_t last_frame = 0;
    int result = TD_OK;
    for (;;) {
        struct round *round = begin_round(e);
        int n = capture_read(capture, e->packets, ROUND_PACKETS, &round->block, err);
        if (n <= 0) {
            round->block = NULL;
            result = n;
            break;
        }
        for (int i = 0; i < n; i++) {
            if (i + AHEAD < n)
                __builtin_prefetch(e->packets[i + AHEAD].p + 14);
            add_packet(e, round, &e->packets[i]);
        }
        last_frame = e->packets[n - 1].frame;
        int status = submit_round(e, round);
        if (status != TD_OK) {
            result = write_error(e, status, err);
            break;
        }
        if (e->options.progress && !e->options.progress(e->options.progress_ctx, e->packet_n)) {
            result = error_set(err, TD_E_CANCELLED, "stopped");
            break;
        }
    }
    e->frame_base += last_frame;
    int status = wait_for_rounds(e);
    return result != TD_OK ? result : write_error(e, status, err);
}

static int compare_endings(const void *a, const void *b)
{
    uint64_t x = ((const struct ending *)a)->flow->id, y = ((const struct ending *)b)->flow->id;
    return (x > y) - (x < y);
}

int engine_finish(struct engine *e, struct error *err)
{
    uint32_t total = 0;
    for (int i = 0; i < ENGINE_SHARDS; i++)
        total += flow_table_count(e->shards[i].flows);
    struct ending *endings = mem_alloc(total * sizeof(*endings));
    struct flow **flows = mem_alloc(total * sizeof(struct flow *));
    int status = endings && flows ? TD_OK : TD_E_NOMEM;
    for (uint32_t i = 0, n = 0; status == TD_OK && i < ENGINE_SHARDS; i++) {
        uint32_t count = flow_table_count(e->shards[i].flows);
        flow_table_list(e->shards[i].flows, flows);
        for (uint32_t j = 0; j < count; j++)
            endings[n++] = (struct ending){flows[j], i};
    }
    mem_free(flows);
    if (status == TD_OK && total)
        qsort(endings, total, sizeof(*endings), compare_endings);
    for (uint32_t at = 0; status == TD_OK && at < total; at += ROUND_PACKETS) {
        struct round *round = begin_round(e);
        for (unsigned i = 0; i < e->options.threads; i++) {
            round->parts[i].endings = endings + at;
            round->parts[i].ending_n = total - at < ROUND_PACKETS ? total - at : ROUND_PACKETS;
        }
        status = submit_round(e, round);
    }
    int waited = wait_for_rounds(e);
    mem_free(endings);
    return write_error(e, status != TD_OK ? status : waited, err);
}

/* ---- Life ---- */

static int start_threads(struct engine *e, struct error *err)
{
    for (unsigned i = 0; e->options.threads > 1 && i < e->options.threads; i++) {
        e->threads[i] = (struct engine_thread){.engine = e, .index = i};
        int problem = pthread_create(&e->threads[i].thread, NULL, thread_main, &e->threads[i]);
        if (problem)
            return error_set(err, TD_E_NOMEM, "cannot start a thread: %s; try fewer (-j)", strerror(problem));
        e->threads[i].running = true;
    }
    return TD_OK;
}

static bool make_shards(struct engine *e)
{
    const struct engine_options *o = &e->options;
    struct flow_limits limits = {.max_memory = o->max_memory / ENGINE_SHARDS, .max_connection_memory = o->max_connection_memory,
                                 .tcp_idle_ns = o->tcp_idle_ns, .udp_idle_ns = o->udp_idle_ns};
    for (uint32_t i = 0; i < ENGINE_SHARDS; i++) {
        e->shards[i].worker = worker_of(e, i);
        e->shards[i].flows = shard_flows_new(&e->shards[i], &limits);
        if (!e->shards[i].flows)
            return false;
    }
    return true;
}

static bool make_rounds(struct engine *e)
{
    unsigned rounds = e->options.threads > 1 ? ROUNDS : 1;
    for (unsigned r = 0; r < ROUNDS; r++) {
        struct round *round = &e->rounds[r];
        if (r >= rounds) { /* one thread: the same memory for all */
            round->datagrams = e->rounds[0].datagrams;
            round->parts[0].packets = e->rounds[0].parts[0].packets;
            continue;
        }
        round->datagrams = mem_calloc(ROUND_PACKETS, sizeof(*round->datagrams));
        if (!round->datagrams)
            return false;
        for (unsigned i = 0; i < e->options.threads; i++) {
            round->parts[i].packets = mem_calloc(ROUND_PACKETS, sizeof(struct flow_packet));
            if (!round->parts[i].packets)
                return false;
        }
    }
    return true;
}

int engine_new(const struct engine_options *options, struct engine **ret, struct error *err)
{
    if (options->threads < 1 || options->threads > ENGINE_MAX_THREADS)
        return error_set(err, TD_E_CONFIG, "%u threads: 1 to %d are possible", options->threads, ENGINE_MAX_THREADS);
    struct engine *e = mem_calloc(1, sizeof(*e));
    if (!e)
        return error_nomem(err);
    e->options = *options;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->filled_more, NULL);
    pthread_cond_init(&e->written_more, NULL);
    for (unsigned i = 0; i < options->threads; i++)
        worker_init(&e->workers[i], options->set, options->on_call, options->on_call_ctx);
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

/* Adds rows that mean the same, drops none. */
static void add_reason(struct dissect_stats *sum, const struct dissect_reason *r)
{
    for (uint32_t i = 0; i < sum->reason_n; i++)
        if (strcmp(sum->reasons[i].why, r->why) == 0 && strcmp(sum->reasons[i].dissector, r->dissector) == 0) {
            sum->reasons[i].count += r->count;
            return;
        }
    if (sum->reason_n < REASON_MAX)
        sum->reasons[sum->reason_n++] = *r;
}

static void add_port(struct dissect_stats *sum, const struct dissect_port *p)
{
    for (uint32_t i = 0; i < sum->port_n; i++) {
        struct dissect_port *have = &sum->ports[i];
        if (have->transport == p->transport && have->port == p->port && have->tls == p->tls) {
            have->connections += p->connections;
            have->bytes += p->bytes;
            return;
        }
    }
    if (sum->port_n < PORT_MAX)
        sum->ports[sum->port_n++] = *p;
}

static void add_dissect_stats(struct dissect_stats *sum, const struct dissect_stats *s)
{
    for (int i = 0; i < DISSECTOR_MAX; i++) {
        sum->connections[i] += s->connections[i];
        sum->calls[i] += s->calls[i];
        sum->incomplete[i] += s->incomplete[i];
        sum->lost_claims[i] += s->lost_claims[i];
    }
    sum->unclaimed_tcp += s->unclaimed_tcp;
    sum->unclaimed_udp += s->unclaimed_udp;
    sum->over_limit += s->over_limit;
    sum->evicted_calls += s->evicted_calls;
    sum->misuse += s->misuse;
    for (uint32_t i = 0; i < s->reason_n; i++)
        add_reason(sum, &s->reasons[i]);
    for (uint32_t i = 0; i < s->port_n; i++)
        add_port(sum, &s->ports[i]);
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
    *ret = (struct engine_stats){.packets = e->packet_n, .bytes = e->byte_n, .decode = *decoder_stats(e->decoder)};
    for (int i = 0; i < ENGINE_SHARDS; i++) {
        /* struct flow_stats is counters throughout */
        const uint64_t *from = (const uint64_t *)flow_table_stats(e->shards[i].flows);
        uint64_t *to = (uint64_t *)&ret->flow;
        for (size_t j = 0; j < sizeof(ret->flow) / sizeof(*to); j++)
            to[j] += from[j];
    }
    for (unsigned i = 0; i < e->options.threads; i++)
        add_dissect_stats(&ret->dissect, &e->workers[i].stats);
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
    pthread_cond_broadcast(&e->filled_more);
    pthread_mutex_unlock(&e->lock);
    for (unsigned i = 0; i < e->options.threads; i++)
        if (e->threads[i].running)
            pthread_join(e->threads[i].thread, NULL);
    for (unsigned i = 0; i < e->options.threads; i++)
        e->workers[i].on_call = discard_call; /* of connections that were not finished */
    for (int i = 0; i < ENGINE_SHARDS; i++)
        flow_table_free(e->shards[i].flows);
    for (unsigned i = 0; i < e->options.threads; i++)
        worker_clear(&e->workers[i]);
    unsigned rounds = e->options.threads > 1 ? ROUNDS : 1;
    for (unsigned r = 0; r < ROUNDS; r++) {
        for (unsigned i = 0; i < e->options.threads; i++) {
            struct part *part = &e->rounds[r].parts[i];
            buf_clear(&part->out);
            mem_free(part->marks);
            if (r < rounds)
                mem_free(part->packets);
        }
        if (r < rounds)
            mem_free(e->rounds[r].datagrams);
    }
    decoder_free(e->decoder);
    mem_free(e->packets);
    pthread_cond_destroy(&e->written_more);
    pthread_cond_destroy(&e->filled_more);
    pthread_mutex_destroy(&e->lock);
    mem_free(e);
}
