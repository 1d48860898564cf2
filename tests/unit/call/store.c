/* What goes into a store comes out of it: every type of field, several appenders, the order of time, readers that follow. */
#include "call/store.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "call/call_json.h"
#include "call_maker.h"
#include "sample.h"
#include "tap.h"

static char folder[] = "/tmp/store_test_XXXXXX";
static char path[sizeof(folder) + 16];
static struct error err;
static uint64_t seed = 1;
static bool large; /* now and then, texts that are long */

static uint64_t draw(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)((draw() >> 32) * n >> 32);
}

/* ---- Calls with anything in them ---- */

struct anything {
    struct field_set fields;
    const struct field_set *components[1];
    struct field_registry *registry;
    struct td_call call;
    struct td_flow flow;
};

static void anything_init(struct anything *a)
{
    static const struct registry_protocol protocols[] = {{"SAMPLE", NULL}};
    if (sample_call(&a->fields, &a->call) != TD_OK)
        exit(1);
    a->components[0] = &a->fields;
    if (field_registry_new(a->components, protocols, 1, &a->registry, &err) != TD_OK)
        exit(1);
}

static void anything_clear(struct anything *a)
{
    field_registry_free(a->registry);
    call_clear(&a->call);
    field_set_clear(&a->fields);
}

/* Bytes of any kind: few different ones, many, empty, long, not UTF-8. */
static struct td_slice some_text(void)
{
    static uint8_t text[60000];
    size_t n = large && below(10) == 0 ? sizeof(text) : below(8) == 0 ? below(1500) : below(12);
    bool wild = below(3) == 0;
    for (size_t i = 0; i < n; i++)
        text[i] = wild ? (uint8_t)below(256) : (uint8_t)('a' + below(2));
    return td_bytes(text, n);
}

static uint64_t some_number(void)
{
    switch (below(5)) {
    case 0: return draw();
    case 1: return UINT64_MAX - below(3);
    case 2: return (uint64_t)INT64_MAX + below(3);
    default: return below(600);
    }
}

static void set_some(struct td_call *c, uint32_t f)
{
    const struct field *field = &c->fields->fields[f];
    uint32_t n = field->type == TD_MAP || field->flags & TD_F_LIST ? 1 + below(5) : 1;
    uint8_t name[16];
    for (; n > 0; n--) {
        switch (field->type) {
        case TD_BOOL: call_set_u64(c, f, below(2)); break;
        case TD_U64:
        case TD_ENUM: call_set_u64(c, f, below(2) ? 1 + below(3) : some_number()); break;
        case TD_I64:
        case TD_TIME_NS:
        case TD_DUR_NS: call_set_i64(c, f, (int64_t)some_number()); break;
        case TD_IP: call_set_bytes(c, f, td_bytes("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", below(2) ? 4 : 16)); break;
        case TD_MAP:
            memcpy(name, "name-0", 6);
            name[5] = (uint8_t)('0' + below(9));
            call_set_pair(c, f, td_bytes(name, 6), some_text());
            break;
        default: call_set_bytes(c, f, some_text()); break;
        }
    }
}

static void make_half(struct td_call *c, int dir, int64_t time)
{
    struct call_half *h = &c->half[dir];
    for (uint32_t i = below(30) == 0 ? 3000 : 1 + below(4); i > 0; i--)
        call_add_packet(h, some_number(), time + below(1000000), below(1500));
    h->cut = below(8) == 0;
    h->missing = below(8) == 0 ? some_number() : 0;
    h->frames.cut = below(20) == 0;
}

static const struct td_call *anything_next(struct anything *a, int64_t time)
{
    struct td_call *c = &a->call;
    uint32_t seen = 1 + below(3), bodies = 0;
    call_reset(c, 1 << 20);
    a->flow = sample_flow;
    a->flow.transport = below(2) ? 6 : 17;
    a->flow.ip_version = below(4) ? 4 : 6;
    a->flow.flags = below(16);
    for (int dir = 0; dir < 2; dir++) {
        memset(a->flow.ip[dir], 0, 16);
        for (int i = 0; i < (a->flow.ip_version == 4 ? 4 : 16); i++)
            a->flow.ip[dir][i] = (uint8_t)below(3);
        a->flow.port[dir] = (uint16_t)below(65536);
        if (seen >> dir & 1)
            make_half(c, dir, time + dir * 5000);
    }
    c->flow = &a->flow;
    c->conn_id = some_number();
    c->flags = below(16);
    c->incomplete_values = below(30) == 0;
    for (uint32_t f = 0; f < F_COUNT; f++) {
        bool body = c->fields->fields[f].flags & TD_F_BODY;
        if (f == F_UNUSED || below(3) == 0 || (body && bodies == CALL_BODIES))
            continue;
        set_some(c, f);
        bodies += body;
        if (body)
            c->bodies[bodies - 1].cut = below(9) == 0;
    }
    return c;
}

/* ---- Helpers ---- */

static struct store_create_options options_for(const struct field_registry *registry, const struct field_set *const *components,
                                               uint32_t component_n, uint32_t appenders)
{
    return (struct store_create_options){.registry = registry,
                                         .components = components,
                                         .component_n = component_n,
                                         .appenders = appenders,
                                         .about = TD_LIT("{\"from\":\"here\"}"),
                                         .payloads = true,
                                         .replace = true};
}

static struct store_writer *create(const struct store_create_options *o)
{
    struct store_writer *w = NULL;
    if (store_create(path, o, &w, &err) != TD_OK) {
        tap_diag("%s", err.text);
        exit(1);
    }
    return w;
}

static struct store *open_store(void)
{
    struct store *s = NULL;
    if (store_open(path, &s, &err) != TD_OK) {
        tap_diag("%s", err.text);
        exit(1);
    }
    return s;
}

static void must(int status)
{
    if (status == TD_OK)
        return;
    tap_diag("%s", err.text);
    exit(1);
}

/* The JSON lines of calls, to be compared; each by itself. */
struct lines {
    struct buf text;
    size_t *ends;
    int64_t *times;
    uint32_t n;
};

static void add_line(struct lines *l, const struct td_call *c)
{
    call_put_json(&l->text, c, true);
    l->ends = realloc(l->ends, (l->n + 1) * sizeof(*l->ends));
    l->times = realloc(l->times, (l->n + 1) * sizeof(*l->times));
    l->times[l->n] = call_time(c);
    l->ends[l->n++] = l->text.n;
}

static struct td_slice line_at(const struct lines *l, uint32_t i)
{
    size_t from = i ? l->ends[i - 1] : 0;
    return td_bytes(l->text.p + from, l->ends[i] - from);
}

static void lines_clear(struct lines *l)
{
    buf_clear(&l->text);
    free(l->ends);
    free(l->times);
    *l = (struct lines){0};
}

/* ---- Tests ---- */

/* A stable order by time of what was appended by one thread: what the store must give, oldest first. */
static uint32_t *order_of(const struct lines *l)
{
    uint32_t *order = malloc((l->n + 1) * sizeof(*order));
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t at = i;
        for (; at > 0 && l->times[order[at - 1]] > l->times[i]; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    return order;
}

static uint32_t count_wrong(struct store *s, const struct lines *l, const uint32_t *order, bool oldest_first)
{
    struct store_scan *scan;
    struct store_position p;
    struct store_call call = {0};
    struct buf json = {0};
    uint32_t wrong = 0, n = 0;
    must(store_scan_new(s, &(struct store_scan_options){.oldest_first = oldest_first}, &scan, &err));
    for (;; n++) {
        must(store_scan_next(scan, &p, &err));
        if (!p.id || n == l->n)
            break;
        must(store_read_call(s, p.id, true, &call, &err));
        buf_reset(&json);
        call_put_json(&json, &call.call, true);
        uint32_t i = order[oldest_first ? n : l->n - 1 - n];
        if (p.time_ns == l->times[i] && td_eq(buf_slice(&json), line_at(l, i)))
            continue;
        if (wrong++ == 0)
            tap_diag("call %u:\n%.*s%.*s", i, (int)line_at(l, i).n, (const char *)line_at(l, i).p, (int)json.n, (const char *)json.p);
    }
    wrong += n != l->n || p.id != 0;
    buf_clear(&json);
    store_call_clear(&call);
    store_scan_free(scan);
    return wrong;
}

static void test_round_trip(uint32_t n, int64_t spread, const char *what)
{
    struct anything a;
    struct lines lines = {0};
    anything_init(&a);
    struct store_create_options o = options_for(a.registry, a.components, 1, 1);
    struct store_writer *w = create(&o);
    for (uint32_t i = 0; i < n; i++) {
        const struct td_call *c = anything_next(&a, 1700000000000000000 + (int64_t)i * 1000 + (int64_t)(draw() % (uint64_t)spread));
        add_line(&lines, c);
        must(store_append(w, 0, c, &err));
        if (i % 700 == 699)
            must(store_flush(w, 0, &err));
    }
    is_int(store_appended(w), n, "%s: %u calls are taken", what, n);
    must(store_finish(w, TD_LIT("{\"calls\":1}"), &err));
    store_writer_free(w);
    struct store *s = open_store();
    uint32_t *order = order_of(&lines);
    int64_t first = 0, last = 0;
    is_int(store_state(s), STORE_COMPLETE, "%s: it is complete", what);
    is_int(store_count(s), n, "%s: it has all calls", what);
    is_int(count_wrong(s, &lines, order, true), 0, "%s: oldest first, each as it was", what);
    is_int(count_wrong(s, &lines, order, false), 0, "%s: newest first, each as it was", what);
    ok(store_times(s, &first, &last) && first == lines.times[order[0]] && last == lines.times[order[n - 1]], "%s: its times", what);
    is_mem(store_about(s).p, store_about(s).n, "{\"from\":\"here\"}", 15, "%s: where it comes from", what);
    is_mem(store_summary(s).p, store_summary(s).n, "{\"calls\":1}", 11, "%s: the summary", what);
    is_int(field_registry_count(store_registry(s)), field_registry_count(a.registry), "%s: the registry", what);
    free(order);
    store_free(s);
    lines_clear(&lines);
    anything_clear(&a);
}

/* What columns say of each row is what the registry says of the call. */
struct columns_check {
    struct field_registry *registry;
    struct store *store;
    uint32_t wrong;
    const char *first;
};

static void wrong(struct columns_check *k, const char *field)
{
    if (k->wrong++ == 0)
        k->first = field;
}

static void check_many(struct columns_check *k, uint32_t f, const struct chunk_column *col, uint32_t row, const struct td_call *c)
{
    struct registry_value v;
    uint32_t at = 0, i = col->offsets[row];
    bool map = col->type == REGISTRY_MAP;
    for (; field_registry_next(k->registry, f, c, &at, &v); i++) {
        if (i >= col->offsets[row + 1] || !td_eq(chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, i)), v.bytes) ||
            (map && !td_eq(chunk_text(&col->names, (uint32_t)chunk_lane(&col->name_ids, i)), v.name))) {
            wrong(k, field_registry_at(k->registry, f)->name);
            return;
        }
    }
    if (i != col->offsets[row + 1])
        wrong(k, field_registry_at(k->registry, f)->name);
}

static bool text_within(struct td_slice text, const struct chunk_stats *stats)
{
    struct td_slice head = td_sub(text, 0, CHUNK_PREFIX);
    size_t n = head.n < stats->min_text.n ? head.n : stats->min_text.n;
    int low = n ? memcmp(head.p, stats->min_text.p, n) : 0;
    n = head.n < stats->max_text.n ? head.n : stats->max_text.n;
    int high = n ? memcmp(head.p, stats->max_text.p, n) : 0;
    return (low > 0 || (low == 0 && head.n >= stats->min_text.n)) && (high < 0 || (high == 0 && head.n <= stats->max_text.n));
}

static void check_field(struct columns_check *k, uint32_t f, struct chunk *chunk, uint32_t row, const struct td_call *c)
{
    const struct registry_field *field = field_registry_at(k->registry, f);
    const struct chunk_column *col;
    struct registry_value v;
    struct chunk_stats stats;
    bool may;
    if (field->payload || strcmp(field->name, "id") == 0)
        return;
    must(chunk_column(chunk, f, CHUNK_PRESENT | CHUNK_VALUES | CHUNK_DICTIONARY | CHUNK_NAMES, &col, &err));
    chunk_stats(chunk, f, &stats);
    bool has = col->present ? col->present[row / 64] >> (row % 64) & 1 : stats.present > 0;
    if (has != field_registry_has(k->registry, f, c) || col->type != field->type)
        wrong(k, field->name);
    if (field->type == REGISTRY_LIST || field->type == REGISTRY_MAP) {
        check_many(k, f, col, row, c);
        return;
    }
    field_registry_get(k->registry, f, c, &v);
    if (field->type == REGISTRY_STRING || field->type == REGISTRY_BYTES) {
        must(chunk_may_have_text(chunk, f, v.bytes, &may, &err));
        if (!td_eq(chunk_text(&col->texts, (uint32_t)chunk_lane(&col->ids, row)), v.bytes) || !may || !text_within(v.bytes, &stats))
            wrong(k, field->name);
    } else if (chunk_number(&col->numbers, row) != v.number || v.number < stats.min || v.number > stats.max) {
        wrong(k, field->name);
    }
}

static void test_columns(int calls, const char *what)
{
    struct anything a;
    anything_init(&a);
    struct store_create_options o = options_for(a.registry, a.components, 1, 1);
    struct store_writer *w = create(&o);
    uint64_t begin = seed;
    for (int i = 0; i < calls; i++)
        must(store_append(w, 0, anything_next(&a, 1000000000000 + (int64_t)i * 2000000), &err));
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    struct columns_check k = {.registry = a.registry, .store = open_store()};
    struct chunk *chunk;
    must(store_chunk(k.store, 0, &chunk, &err));
    is_int(chunk_rows(chunk), calls, "%s: one chunk has them all", what);
    seed = begin;
    for (uint32_t i = 0; i < chunk_rows(chunk); i++) {
        const struct td_call *c = anything_next(&a, 1000000000000 + (int64_t)i * 2000000);
        for (uint32_t f = 0; f < field_registry_count(a.registry); f++)
            check_field(&k, f, chunk, i, c);
    }
    if (k.first)
        tap_diag("first wrong: %s", k.first);
    is_int(k.wrong, 0, "%s: every column says of every row what the registry says of the call", what);
    const struct chunk_column *ids;
    must(chunk_column(chunk, (uint32_t)field_registry_find(a.registry, TD_LIT("id")), CHUNK_VALUES, &ids, &err));
    ok(chunk_number(&ids->numbers, 7) == (int64_t)chunk_first_id(chunk) + 7, "%s: and the id is the store's", what);
    store_release(k.store, chunk);
    store_free(k.store);
    anything_clear(&a);
}

/* Made-up traffic by several threads. */
enum { THREADS = 4, CALLS_EACH = 40000 };

struct appending {
    struct store_writer *w;
    uint32_t index;
    int status;
};

static void *append_some(void *arg)
{
    struct appending *a = arg;
    struct call_maker m;
    struct error why;
    call_maker_init(&m, a->index + 1);
    m.headers = true;
    for (int i = 0; i < CALLS_EACH && a->status == TD_OK; i++)
        a->status = store_append(a->w, a->index, call_maker_next(&m), &why);
    call_maker_clear(&m);
    return NULL;
}

static void test_threads(void)
{
    struct call_maker m;
    call_maker_init(&m, 1);
    struct store_create_options o = options_for(m.registry, m.components, 2, THREADS);
    struct appending appending[THREADS];
    pthread_t threads[THREADS];
    o.about = TD_LIT("");
    struct store_writer *w = create(&o);
    for (uint32_t i = 0; i < THREADS; i++) {
        appending[i] = (struct appending){.w = w, .index = i};
        pthread_create(&threads[i], NULL, append_some, &appending[i]);
    }
    int failed = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failed += appending[i].status != TD_OK;
    }
    is_int(failed, 0, "four threads append");
    is_int(store_appended(w), THREADS * CALLS_EACH, "all is counted");
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    struct store *s = open_store();
    is_int(store_count(s), THREADS * CALLS_EACH, "all is there");
    for (int oldest = 0; oldest < 2; oldest++) {
        struct store_scan *scan;
        struct store_position p, before = {0};
        uint32_t n = 0, disorder = 0;
        must(store_scan_new(s, &(struct store_scan_options){.oldest_first = oldest}, &scan, &err));
        for (;; n++) {
            must(store_scan_next(scan, &p, &err));
            if (!p.id)
                break;
            bool ascends = p.time_ns > before.time_ns || (p.time_ns == before.time_ns && p.id > before.id);
            disorder += n > 0 && ascends != (bool)oldest;
            before = p;
        }
        is_int(n, THREADS * CALLS_EACH, "all come, %s first", oldest ? "oldest" : "newest");
        is_int(disorder, 0, "in order, although the chunks overlap");
        store_scan_free(scan);
    }
    store_free(s);
    call_maker_clear(&m);
}

/* Ranges of time, positions to go on from, and a selection. */
static int every_third(void *ctx, struct chunk *c, uint64_t *bits, struct error *e)
{
    uint32_t *asked = ctx;
    (void)e;
    ++*asked;
    for (uint32_t row = 0; row < chunk_rows(c); row++)
        if ((chunk_first_id(c) + row) % 3)
            bits[row / 64] &= ~(1ull << (row % 64));
    return TD_OK;
}

static uint32_t scan_count(struct store *s, const struct store_scan_options *o, uint32_t limit, struct store_position *ret_last)
{
    struct store_scan *scan;
    struct store_position p;
    uint32_t n = 0;
    must(store_scan_new(s, o, &scan, &err));
    while (n < limit) {
        must(store_scan_next(scan, &p, &err));
        if (!p.id)
            break;
        *ret_last = p;
        n++;
    }
    store_scan_free(scan);
    return n;
}

/* As they were found: by id, and what is added comes behind what there was. */
static void check_found(struct store *s, uint32_t n)
{
    struct store_scan_options o = {.as_found = true, .oldest_first = true};
    struct store_position last = {0}, middle, end = store_end(s);
    is_int(scan_count(s, &o, UINT32_MAX, &last), n, "as found: all");
    ok(last.id <= end.id, "as found: to the end");
    is_int(scan_count(s, &o, n / 3, &middle), n / 3, "as found: some");
    o.after = &middle;
    is_int(scan_count(s, &o, UINT32_MAX, &last), n - n / 3, "as found: the rest, from where it ended");
    o.after = &last;
    is_int(scan_count(s, &o, UINT32_MAX, &last), 0, "as found: nothing behind the last");
    o.after = &end;
    is_int(scan_count(s, &o, UINT32_MAX, &last), 0, "as found: nor behind the end");
    struct store_scan *scan;
    struct store_position p = {0};
    uint64_t before = 0;
    bool ascend = true;
    o.after = NULL;
    must(store_scan_new(s, &o, &scan, &err));
    do {
        before = p.id;
        must(store_scan_next(scan, &p, &err));
        ascend &= !p.id || p.id > before;
    } while (p.id);
    store_scan_free(scan);
    ok(ascend, "as found: ids ascend");
}

static void test_scans(void)
{
    enum { CALLS = 20000, STEP = 1000 };
    struct anything a;
    anything_init(&a);
    struct store_create_options o = options_for(a.registry, a.components, 1, 2);
    struct store_writer *w = create(&o);
    struct td_call *c = &a.call;
    call_reset(c, 0);
    for (int i = 0; i < CALLS; i++) { /* two appenders in turn, a call each STEP ns */
        c->half[0] = (struct call_half){.seen = true, .first_ns = (int64_t)i * STEP, .last_ns = (int64_t)i * STEP};
        must(store_append(w, (uint32_t)i % 2, c, &err));
        if (i % 3000 == 2999)
            must(store_flush(w, (uint32_t)i % 2, &err));
    }
    must(store_finish(w, TD_LIT("{}"), &err));
    store_writer_free(w);
    struct store *s = open_store();
    struct store_position last = {0}, middle;
    uint32_t asked = 0;
    for (int oldest = 0; oldest < 2; oldest++) {
        const char *how = oldest ? "oldest first" : "newest first";
        struct store_scan_options scan = {.oldest_first = oldest, .from_ns = 5000 * STEP, .to_ns = 7000 * STEP};
        is_int(scan_count(s, &scan, CALLS, &last), 2000, "%s: a range of time", how);
        is_int(last.time_ns, (oldest ? 6999 : 5000) * STEP, "%s: up to its end", how);
        scan = (struct store_scan_options){.oldest_first = oldest, .from_ns = 5000 * STEP + 1, .to_ns = 5001 * STEP};
        is_int(scan_count(s, &scan, CALLS, &last), 0, "%s: a range without calls", how);
        scan = (struct store_scan_options){.oldest_first = oldest};
        is_int(scan_count(s, &scan, 12345, &middle), 12345, "%s: some", how);
        scan.after = &middle;
        is_int(scan_count(s, &scan, CALLS, &last), CALLS - 12345, "%s: the rest, from where it ended", how);
        is_int(last.time_ns, oldest ? (CALLS - 1) * STEP : 0, "%s: to the end", how);
        asked = 0;
        scan = (struct store_scan_options){.oldest_first = oldest, .select = every_third, .ctx = &asked};
        uint32_t n = scan_count(s, &scan, CALLS, &last);
        ok(n > CALLS / 3 - 10 && n < CALLS / 3 + 10, "%s: a selection (%u)", how, n);
        is_int(asked, store_chunk_count(s), "%s: each chunk is asked once", how);
        asked = 0;
        scan_count(s, &scan, 1, &last);
        ok(asked < 4, "%s: for one call few chunks are opened (%u)", how, asked);
    }
    check_found(s, CALLS);
    struct store_scan_options found = {.as_found = true, .from_ns = 5000 * STEP, .to_ns = 7000 * STEP};
    is_int(scan_count(s, &found, CALLS, &last), 2000, "as found: a range of time");
    struct store_call call = {0};
    is_int(store_read_call(s, 1, false, &call, &err), TD_E_NOT_FOUND, "a call that is not there");
    is_int(store_read_call(s, UINT64_MAX, false, &call, &err), TD_E_NOT_FOUND, "nor is that one");
    store_call_clear(&call);
    store_free(s);
    anything_clear(&a);
}

/* Another process writes as fast as it can, and this one reads along. */
static void test_alongside(void)
{
    enum { CALLS = 60000, BATCH = 500 };
    struct call_maker m;
    call_maker_init(&m, 9);
    struct store_create_options o = options_for(m.registry, m.components, 2, 1);
    o.disposable = true;
    unlink(path);
    pid_t pid = fork();
    if (pid == 0) {
        struct store_writer *w = create(&o);
        for (int i = 1; i <= CALLS; i++) {
            must(store_append(w, 0, call_maker_next(&m), &err));
            if (i % BATCH == 0) {
                must(store_flush(w, 0, &err));
                must(store_commit(w, &err));
            }
        }
        must(store_finish(w, TD_LIT("{}"), &err));
        store_writer_free(w);
        _exit(0);
    }
    struct stat info;
    while (stat(path, &info) != 0 || info.st_size == 0)
        usleep(1000);
    struct store *s = open_store();
    struct store_position last = {0};
    uint32_t n = 0, looks = 0;
    for (bool complete = false, more; !complete; looks++) {
        struct store_scan_options scan = {.as_found = true, .oldest_first = true, .after = n ? &last : NULL};
        complete = store_state(s) == STORE_COMPLETE;
        n += scan_count(s, &scan, UINT32_MAX, &last);
        if (!complete)
            must(store_refresh(s, &more, &err));
    }
    int ended = 0;
    waitpid(pid, &ended, 0);
    ok(WIFEXITED(ended) && WEXITSTATUS(ended) == 0, "a process writes while another reads");
    is_int(n, CALLS, "who reads along gets every call once, in %u looks", looks);
    ok(store_birth(s) != 0, "it has a number of its own");
    uint64_t birth = store_birth(s);
    store_free(s);
    s = open_store();
    ok(store_birth(s) == birth, "which stays");
    store_free(s);
    struct store_writer *w = create(&o);
    s = open_store();
    ok(store_birth(s) != birth, "and is no other's");
    store_free(s);
    store_writer_free(w);
    call_maker_clear(&m);
}

/* Somebody holds the lock that SQLite's writers take, and does not let go. */
static void test_kept(void)
{
    struct call_maker m;
    struct store *s = NULL;
    int ready[2];
    char byte;
    call_maker_init(&m, 9);
    struct store_create_options o = options_for(m.registry, m.components, 2, 1);
    store_writer_free(create(&o));
    if (pipe(ready) != 0)
        exit(1);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock all = {.l_type = F_WRLCK, .l_start = 1 << 30, .l_len = 1024};
        int fd = open(path, O_RDWR);
        if (fcntl(fd, F_SETLK, &all) == 0 && write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    if (read(ready[0], &byte, 1) != 1)
        exit(1);
    is_int(store_open_patient(path, 50000000, &s, &err), TD_E_RETRY, "a file that is kept");
    like(err.text, "busy", "is told");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(ready[0]);
    close(ready[1]);
    must(store_open_patient(path, 50000000, &s, &err));
    ok(s, "and can be read when it is let go");
    store_free(s);
    call_maker_clear(&m);
}

static void test_following(bool disposable)
{
    struct call_maker m;
    bool more;
    call_maker_init(&m, 5);
    struct store_create_options o = options_for(m.registry, m.components, 2, 1);
    struct store_position seen = {0};
    o.disposable = disposable;
    struct store_writer *w = create(&o);
    struct store *s = open_store();
    is_int(store_count(s), 0, "a store that was just begun is empty");
    is_int(store_state(s), STORE_WRITING, "and being written");
    must(store_refresh(s, &more, &err));
    ok(!more, "nothing new");
    for (int round = 1; round <= 3; round++) {
        for (int i = 0; i < 100; i++)
            must(store_append(w, 0, call_maker_next(&m), &err));
        must(store_flush(w, 0, &err));
        must(store_refresh(s, &more, &err));
        ok(!more && store_count(s) == (uint64_t)(round - 1) * 100, "what is not committed is not seen");
        must(store_commit(w, &err));
        must(store_refresh(s, &more, &err));
        ok(more && store_count(s) == (uint64_t)round * 100, "after the commit it is");
        struct store_position last;
        is_int(scan_count(s, &(struct store_scan_options){0}, UINT32_MAX, &last), round * 100, "and can be read");
        is_int(store_state(s), STORE_WRITING, "still being written");
        is_int(scan_count(s, &(struct store_scan_options){.as_found = true, .after = &seen}, UINT32_MAX, &last), 100,
               "as found, the new ones are behind those seen");
        seen = store_end(s);
    }
    check_found(s, 300);
    must(store_finish(w, TD_LIT("{\"n\":300}"), &err));
    must(store_refresh(s, &more, &err));
    is_int(store_state(s), STORE_COMPLETE, "finished, it is complete");
    is_mem(store_summary(s).p, store_summary(s).n, "{\"n\":300}", 9, "with the summary");
    store_writer_free(w);
    store_free(s);
    char journal[sizeof(path) + 16];
    snprintf(journal, sizeof(journal), "%s-journal", path);
    ok(access(journal, F_OK) != 0, "a finished store is one file");
    snprintf(journal, sizeof(journal), "%s-wal", path);
    ok(access(journal, F_OK) != 0, "without a log");
    call_maker_clear(&m);
}

static void test_creating(void)
{
    struct anything a;
    anything_init(&a);
    struct store_create_options o = options_for(a.registry, a.components, 1, 1);
    struct store_writer *w = create(&o);
    must(store_append(w, 0, anything_next(&a, 5), &err));
    store_writer_free(w);
    o.replace = false;
    is_int(store_create(path, &o, &w, &err), TD_E_EXISTS, "a file that is there is not overwritten");
    like(err.text, path, "the error names it");
    o.replace = true;
    is_int(store_create("/", &o, &w, &err), TD_E_EXISTS, "a folder is never replaced");
    is_int(store_create("/nowhere/at/all", &o, &w, &err), TD_E_NOT_FOUND, "a folder that is not there");
    o.appenders = 0;
    is_int(store_create(path, &o, &w, &err), TD_E_LIMIT, "no appenders");
    o.appenders = STORE_MAX_APPENDERS + 1;
    is_int(store_create(path, &o, &w, &err), TD_E_LIMIT, "too many");
    o.appenders = 1;
    w = create(&o);
    is_int(store_append(w, 1, anything_next(&a, 5), &err), TD_E_INTERNAL, "an appender that there is not");
    must(store_append(w, 0, anything_next(&a, 5), &err));
    store_writer_free(w);
    struct store *s = open_store();
    is_int(store_state(s), STORE_INCOMPLETE, "a store that was given up is incomplete");
    store_free(s);
    anything_clear(&a);
}

/* Every allocation fails once: an error, never a crash, and what can be read is right. */
static void test_memory(void)
{
    struct anything a;
    unsigned long nth;
    bool passed = false, fine = true;
    anything_init(&a);
    struct store_create_options o = options_for(a.registry, a.components, 1, 1);
    for (nth = 1; !passed && nth < 100000; nth += 1 + nth / 50) {
        struct store_writer *w = NULL;
        mem_fail_at(nth);
        int status = store_create(path, &o, &w, &err);
        for (int i = 0; i < 20 && status == TD_OK; i++) {
            seed = 77 + (uint64_t)i; /* the same calls each time */
            mem_fail_at(0);
            const struct td_call *c = anything_next(&a, i);
            mem_fail_at(nth > 400 ? nth - 400 : nth);
            status = store_append(w, 0, c, &err);
            if (mem_failed())
                break;
        }
        if (status == TD_OK)
            status = store_finish(w, TD_LIT("{}"), &err);
        passed = !mem_failed();
        mem_fail_at(0);
        fine &= status == (passed ? TD_OK : TD_E_NOMEM);
        store_writer_free(w);
    }
    ok(fine && passed, "writing: each of %lu allocations may fail", nth);
    passed = false;
    fine = true;
    for (nth = 1; !passed && nth < 100000; nth++) {
        struct store *s = NULL;
        struct store_call call = {0};
        mem_fail_at(nth);
        int status = store_open(path, &s, &err);
        struct store_scan *scan = NULL;
        struct store_position p = {0};
        if (status == TD_OK)
            status = store_scan_new(s, &(struct store_scan_options){0}, &scan, &err);
        for (int i = 0; i < 20 && status == TD_OK; i++) {
            status = store_scan_next(scan, &p, &err);
            if (status == TD_OK)
                status = store_read_call(s, p.id, true, &call, &err);
        }
        passed = !mem_failed();
        mem_fail_at(0);
        fine &= status == (passed ? TD_OK : TD_E_NOMEM);
        store_call_clear(&call);
        store_scan_free(scan);
        store_free(s);
    }
    ok(fine && passed, "reading: each of %lu allocations may fail", nth);
    anything_clear(&a);
}

int main(void)
{
    if (!mkdtemp(folder))
        return 1;
    snprintf(path, sizeof(path), "%s/a.calls", folder);
    test_round_trip(2000, 1, "in order");
    test_round_trip(2500, 400000, "a little disorder");
    test_round_trip(1500, INT64_MAX / 4, "any time");
    test_columns(3000, "anything");
    large = true;
    test_columns(100, "long texts");
    large = false;
    test_threads();
    test_scans();
    test_following(false);
    test_following(true);
    test_alongside();
    test_kept();
    test_creating();
    test_memory();
    unlink(path);
    rmdir(folder);
    return tap_done();
}
