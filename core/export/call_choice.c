#include "call_choice.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "call/store.h"
#include "filter/scan.h"

struct making {
    const struct call_choice_request *request;
    struct call_choice *choice;
    struct store *store;
    struct filter *filter;
    struct filter_scan *scan;
    struct store_call call;
    uint64_t *ends; /* number of the last packet of each source */
    struct buf numbers;
};

/* ---- Sources ---- */

/* What the dissection has read must be what is here. */
static int check_packets(const struct making *m, uint64_t total, struct error *err)
{
    struct td_slice summary = store_summary(m->store);
    json_t *statistics = summary.n ? json_loadb((const char *)summary.p, summary.n, 0, NULL) : NULL;
    const json_t *counts = json_object_get(statistics, "packets");
    uint64_t read = 0;
    for (size_t i = 0; i < json_array_size(counts); i++)
        read += (uint64_t)json_integer_value(json_array_get(counts, i));
    bool differs = json_is_array(counts) && read != total;
    json_decref(statistics);
    if (differs)
        return error_set(err, TD_E_CORRUPT, "%s was made from %llu packets, but here are %llu: it is of something else", m->request->store,
                         (unsigned long long)read, (unsigned long long)total);
    return TD_OK;
}

static int count_sources(struct making *m, struct error *err)
{
    uint64_t total = 0;
    m->ends = mem_calloc(m->request->source_count, sizeof(*m->ends));
    if (!m->ends)
        return error_nomem(err);
    for (size_t i = 0; i < m->request->source_count; i++)
        m->ends[i] = total += m->request->packets[i];
    return check_packets(m, total, err);
}

/* Whose packet it is; false: nobody's. */
static bool find_source(const struct making *m, uint64_t number, size_t *ret)
{
    size_t low = 0, high = m->request->source_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (m->ends[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return number && low < m->request->source_count;
}

/* ---- Calls ---- */

static int foreign(const struct making *m, uint64_t number, struct error *err)
{
    return error_set(err, TD_E_CORRUPT, "%s: call %llu names packet %llu, which is not here: the dissection is of something else",
                     m->request->store, (unsigned long long)m->call.call.id, (unsigned long long)number);
}

static int add_packets(struct making *m, struct error *err)
{
    bool cut = false;
    size_t source;
    for (int dir = 0; dir < 2; dir++) {
        const struct call_frames *f = &m->call.call.half[dir].frames;
        uint64_t frame = 0;
        cut |= f->cut;
        for (size_t at = 0; call_next_frame(f, &at, &frame);) {
            if (!find_source(m, frame, &source))
                return foreign(m, frame, err);
            buf_put(&m->numbers, &frame, sizeof(frame));
        }
    }
    m->choice->cut += cut;
    if (m->numbers.n / sizeof(uint64_t) > CALL_CHOICE_MAX_PACKETS)
        return error_set(err, TD_E_LIMIT, "the calls have more than %d packets; choose fewer, or whole connections",
                         CALL_CHOICE_MAX_PACKETS);
    return m->numbers.failed ? error_nomem(err) : TD_OK;
}

static int add_connection(struct making *m, struct error *err)
{
    const struct td_flow *flow = &m->call.flow;
    struct select_connection c = {.ip_version = flow->ip_version, .transport = flow->transport};
    size_t source;
    if (!find_source(m, m->call.call.conn_id, &source))
        return foreign(m, m->call.call.conn_id, err);
    for (int dir = 0; dir < 2; dir++) {
        memcpy(c.ip[dir], flow->ip[dir], sizeof(c.ip[dir]));
        c.port[dir] = flow->port[dir];
    }
    struct connection_set *set = m->choice->connections[source];
    int status = connection_set_add(set, &c, err);
    if (status == TD_OK && connection_set_count(set) > CALL_CHOICE_MAX_CONNECTIONS)
        return error_set(err, TD_E_LIMIT, "the calls have more than %d connections; choose fewer", CALL_CHOICE_MAX_CONNECTIONS);
    return status;
}

static bool is_cancelled(const struct making *m)
{
    return m->request->cancel && atomic_load_explicit(m->request->cancel, memory_order_relaxed);
}

static int select_rows(void *ctx, struct chunk *chunk, uint64_t *bits, struct error *err)
{
    struct making *m = ctx;
    if (is_cancelled(m))
        return error_set(err, TD_E_CANCELLED, "stopped");
    return m->scan ? filter_scan_chunk(m->scan, chunk, bits, err) : TD_OK;
}

static int scan_calls(struct making *m, struct error *err)
{
    const struct call_choice_request *r = m->request;
    const struct store_scan_options options = {
        .oldest_first = true, .from_ns = r->start_ns, .to_ns = r->end_ns, .select = select_rows, .ctx = m};
    struct store_position at;
    struct store_scan *scan;
    int status = store_scan_new(m->store, &options, &scan, err);
    if (status != TD_OK)
        return status;
    while ((status = store_scan_next(scan, &at, err)) == TD_OK && at.id) {
        status = is_cancelled(m) ? error_set(err, TD_E_CANCELLED, "stopped") : store_read_call(m->store, at.id, false, &m->call, err);
        if (status == TD_OK)
            status = r->connections ? add_connection(m, err) : add_packets(m, err);
        if (status != TD_OK)
            break;
        m->choice->calls++;
    }
    store_scan_free(scan);
    return status;
}

/* ---- Lists ---- */

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, each once, and cut where a source ends; from then on they count from the source's first packet. */
static void cut_numbers(struct making *m)
{
    uint64_t *v = m->choice->numbers, base = 0;
    size_t n = m->numbers.n / sizeof(*v), kept = 0, at = 0;
    if (n) {
        memcpy(v, m->numbers.p, n * sizeof(*v));
        qsort(v, n, sizeof(*v), compare_numbers);
    }
    for (size_t i = 0; i < n; i++)
        if (!kept || v[kept - 1] != v[i])
            v[kept++] = v[i];
    for (size_t i = 0; i < m->request->source_count; i++) {
        size_t begin = at;
        for (; at < kept && v[at] <= m->ends[i]; at++)
            v[at] -= base;
        m->choice->frames[i] = (struct select_frames){v + begin, at - begin};
        base = m->ends[i];
    }
}

/* ---- All ---- */

static int make_room(struct making *m, struct error *err)
{
    struct call_choice *c = m->choice;
    c->source_count = m->request->source_count;
    if (m->request->connections)
        c->connections = mem_calloc(c->source_count, sizeof(struct connection_set *));
    else
        c->frames = mem_calloc(c->source_count, sizeof(*c->frames));
    if (!c->connections && !c->frames)
        return error_nomem(err);
    for (size_t i = 0; c->connections && i < c->source_count; i++) {
        c->connections[i] = connection_set_new();
        if (!c->connections[i])
            return error_nomem(err);
    }
    return TD_OK;
}

static int open_filter(struct making *m, struct filter_diagnostics *diagnostics, struct error *err)
{
    const struct field_registry *fields = store_registry(m->store);
    struct filter_diagnostics own;
    if (!m->request->filter || !*m->request->filter)
        return TD_OK;
    filter_diagnostics_init(&own);
    int status = filter_compile(fields, td_str(m->request->filter), m->request->now_ns, &m->filter, diagnostics ? diagnostics : &own, err);
    filter_diagnostics_clear(&own);
    return status == TD_OK ? filter_scan_new(m->filter, fields, &m->scan, err) : status;
}

int call_choice_make(const struct call_choice_request *request, struct call_choice *ret, struct filter_diagnostics *diagnostics,
                     struct error *err)
{
    struct call_choice choice = {0};
    struct making m = {.request = request, .choice = &choice};
    int status = store_open(request->store, &m.store, err);
    if (status == TD_OK)
        status = open_filter(&m, diagnostics, err);
    if (status == TD_OK)
        status = count_sources(&m, err);
    if (status == TD_OK)
        status = make_room(&m, err);
    if (status == TD_OK)
        status = scan_calls(&m, err);
    if (status == TD_OK && choice.frames) {
        choice.numbers = mem_alloc(m.numbers.n + 1);
        if (choice.numbers)
            cut_numbers(&m);
        else
            status = error_nomem(err);
    }
    if (m.scan)
        choice.failed = filter_scan_stats(m.scan)->errors;
    buf_clear(&m.numbers);
    store_call_clear(&m.call);
    filter_scan_free(m.scan);
    filter_free(m.filter);
    store_free(m.store);
    mem_free(m.ends);
    if (status == TD_OK)
        *ret = choice;
    else
        call_choice_clear(&choice);
    return status;
}

void call_choice_clear(struct call_choice *c)
{
    for (size_t i = 0; c->connections && i < c->source_count; i++)
        connection_set_free(c->connections[i]);
    mem_free(c->connections);
    mem_free(c->frames);
    mem_free(c->numbers);
    *c = (struct call_choice){0};
}
