/* What every dissector must hold, through the real engine. The conversations in the captures beside the dissectors are told
 * again: byte by byte, cut at random places, in disorder, with exchanged ports and without SYN: the same calls come out. With
 * a hole anywhere, or from anywhere on: no call that is not in the conversation, none that claims to be complete and is not
 * as it was, and all that lie wholly behind the damage. */
#include <glob.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "call/call_json.h"
#include "conversation.h"
#include "dissect/conn.h"
#include "rig.h"
#include "tap.h"

enum {
    HOLES = 150,
    BEGINNINGS = 100,
    SEEDS = 6, /* in each conversation */
    GRACE = 3  /* calls behind the damage whose halves need not be paired yet: nothing may tell which answer was lost. Twice as many
                * messages that go one way need not be found: a connection may have to be recognised by them */
};

/* ---- Calls ---- */

/* A call in the output of a run: a line of tab-separated values. */
struct record {
    uint32_t id;         /* of the telling */
    uint64_t begin, end; /* its first and last frame */
    bool complete;
    struct td_slice question, status, json; /* the summary's method and target; what does not depend on times and frames */
};

struct records {
    struct record *v;
    size_t n;
};

static void put_summary(struct buf *out, const struct td_call *call, int field)
{
    struct call_value v = {0};
    uint32_t at = 0;
    if (field >= 0 && call_next_value(call, (uint32_t)field, &at, &v) && v.bytes.n == 0)
        buf_u64(out, v.number);
    else
        json_put_string(out, v.bytes);
}

/* Copies JSON without the value of a key; `end`: what ends that, and is left out as well. */
static void drop(struct buf *json, const char *key, const char *end)
{
    size_t kept = 0, n = strlen(key);
    for (size_t i = 0; i < json->n;) {
        if (json->n - i > n && memcmp(json->p + i, key, n) == 0) {
            uint8_t *stop = memmem(json->p + i + n, json->n - i - n, end, strlen(end));
            if (stop) {
                i = (size_t)(stop - json->p) + strlen(end);
                continue;
            }
        }
        json->p[kept++] = json->p[i++];
    }
    json->n = kept;
}

/* Called from several threads. */
static void put_record(void *ctx, const struct td_call *call, struct buf *out)
{
    (void)ctx;
    const uint8_t *ip = call->flow->ip[call->flow->ip[0][0] == 10 ? 0 : 1];
    uint64_t begin = UINT64_MAX, end = 0, frame;
    for (int dir = 0; dir < 2; dir++) {
        frame = 0;
        for (size_t at = 0; call_next_frame(&call->half[dir].frames, &at, &frame);) {
            begin = frame < begin ? frame : begin;
            end = frame > end ? frame : end;
        }
    }
    bool complete = call_complete(call) && !(call->flags & TD_PARTIAL);
    buf_printf(out, "%u\t%llu\t%llu\t%d\t", (unsigned)ip[1] << 16 | (unsigned)ip[2] << 8 | ip[3], (unsigned long long)begin,
               (unsigned long long)end, complete);
    /* Of the lowest layer: whether a layer on it is recognised depends on what was lost. */
    const struct call_kind *kind = call->kind;
    while (kind->below >= 0)
        kind = &call->conn->shard->worker->set->kinds[kind->below];
    put_summary(out, call, kind->fields.method);
    put_summary(out, call, kind->fields.target);
    buf_putc(out, '\t');
    put_summary(out, call, kind->fields.status);
    buf_putc(out, '\t');
    struct buf json = {0};
    call_put_json(&json, call, true);
    drop(&json, "\"timestamp\":", ",");
    drop(&json, "\"conn_id\":", ",");
    drop(&json, "\"src\":{", "},");
    drop(&json, "\"dst\":{", "},");
    drop(&json, "\"elapsed_time\":", ",");
    drop(&json, "\"first_time\":", ",");
    drop(&json, "\"last_time\":", ",");
    drop(&json, "\"frames\":[", "],");
    buf_put_slice(out, buf_slice(&json)); /* ends with a newline */
    buf_clear(&json);
}

static struct td_slice next_column(struct td_slice *rest, char end)
{
    const uint8_t *stop = memchr(rest->p, end, rest->n);
    if (!stop)
        abort();
    struct td_slice column = td_sub(*rest, 0, (size_t)(stop - rest->p));
    *rest = td_sub(*rest, column.n + 1, rest->n);
    return column;
}

static uint64_t next_number(struct td_slice *rest)
{
    return strtoull((const char *)next_column(rest, '\t').p, NULL, 10);
}

static int by_id(const void *a, const void *b)
{
    const struct record *x = a, *y = b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->json.p > y->json.p) - (x->json.p < y->json.p); /* the order of the output */
}

/* Sorted by telling; they point into the output. */
static struct records read_records(struct td_slice out)
{
    struct records all = {0};
    size_t lines = 0;
    for (size_t i = 0; i < out.n; i++)
        lines += out.p[i] == '\n';
    all.v = calloc(lines + 1, sizeof(*all.v));
    while (out.n) {
        struct record *r = &all.v[all.n++];
        r->id = (uint32_t)next_number(&out);
        r->begin = next_number(&out);
        r->end = next_number(&out);
        r->complete = next_number(&out) != 0;
        r->question = next_column(&out, '\t');
        r->status = next_column(&out, '\t');
        r->json = next_column(&out, '\n');
    }
    qsort(all.v, all.n, sizeof(*all.v), by_id);
    return all;
}

/* ---- Tellings ---- */

struct telling_of { /* one conversation in one variation */
    const struct conversation *c;
    struct variation v;
    uint64_t first_frame;
};

struct session {
    struct rig rig;
    struct telling_of *v;
    size_t n;
    struct buf out;
    struct records records;
};

static void add(struct session *s, const struct conversation *c, struct variation v)
{
    s->v = realloc(s->v, (s->n + 1) * sizeof(*s->v));
    s->v[s->n++] = (struct telling_of){c, v, 0};
}

static void tell_all(struct session *s, struct traffic *t)
{
    traffic_init(t);
    for (size_t i = 0; i < s->n; i++)
        s->v[i].first_frame = conversation_tell(t, s->v[i].c, &s->v[i].v, (uint32_t)i);
}

static void clear(struct session *s)
{
    free(s->records.v);
    s->records = (struct records){0};
    buf_clear(&s->out);
    s->n = 0;
}

/* Runs all tellings that were added, in one capture. */
static void run(struct session *s)
{
    struct traffic t;
    tell_all(s, &t);
    (void)rig_run(&s->rig, buf_slice(&t.pcap));
    traffic_clear(&t);
    buf_clear(&s->out);
    s->out = s->rig.out;
    s->rig.out = (struct buf){0};
    s->records = read_records(buf_slice(&s->out));
}

static struct records records_of(const struct session *s, size_t id)
{
    size_t low = 0;
    for (size_t high = s->records.n; low < high;) {
        size_t middle = low + (high - low) / 2;
        if (s->records.v[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    struct records part = {s->records.v + low, 0};
    while (low + part.n < s->records.n && part.v[part.n].id == id)
        part.n++;
    return part;
}

static void explain(const char *what, const struct telling_of *t, const struct record *r)
{
    static const char *const names[] = {"whole", "byte by byte", "cut", "in disorder", "hole", "from", "swapped"};
    tap_diag("conversation of frame %llu, %s, direction %d, at %llu, %llu bytes, seed %u: %s", (unsigned long long)t->c->frame,
             names[t->v.how], t->v.dir, (unsigned long long)t->v.at, (unsigned long long)t->v.n, t->v.seed, what);
    if (r)
        tap_diag("    %.*s", (int)(r->json.n < 600 ? r->json.n : 600), (const char *)r->json.p);
}

/* ---- Comparing ---- */

static bool has_json(const struct records *all, struct td_slice json)
{
    for (size_t i = 0; i < all->n; i++)
        if (td_eq(all->v[i].json, json))
            return true;
    return false;
}

/* Is everything that this call tells so in one of the others? It may tell less: of what was before an answer, for instance. */
static bool is_part_of(const struct records *all, struct td_slice json)
{
    json_t *mine = json_loadb((const char *)json.p, json.n, JSON_ALLOW_NUL, NULL);
    bool found = false;
    for (size_t i = 0; mine && i < all->n && !found; i++) {
        json_t *other = json_loadb((const char *)all->v[i].json.p, all->v[i].json.n, JSON_ALLOW_NUL, NULL);
        const char *key;
        json_t *value;
        found = true;
        json_object_foreach(mine, key, value) found &=
            strcmp(key, "protocol") == 0 ||
            json_equal(value, json_object_get(other, key)) != 0; /* what a message is may have been said before */
        json_decref(other);
    }
    json_decref(mine);
    return found;
}

/* Do calls overlap? Then the beginning of the next one is no sign that the one before was answered. */
static bool is_pipelined(const struct records *all)
{
    for (size_t i = 0; i < all->n; i++)
        for (size_t j = i + 1; j < all->n; j++)
            if (all->v[i].begin < all->v[j].end && all->v[j].begin < all->v[i].end)
                return true;
    return false;
}

/* Are its question and its answer there, perhaps in two calls? */
static bool has_halves(const struct records *all, const struct record *call)
{
    bool question = false, status = false;
    for (size_t i = 0; i < all->n; i++) {
        question |= td_eq(all->v[i].question, call->question);
        status |= td_eq(all->v[i].status, call->status);
    }
    return question && status;
}

/* Where header fields are sent as references to earlier ones (HTTP/2), what was lost may make later ones unknowable: then they say so. */
static bool has_unknown(struct td_slice json)
{
    return memmem(json.p, json.n, "<unknown>", 9) != NULL;
}

static bool is_unknown(json_t *value)
{
    return json_is_string(value) && strcmp(json_string_value(value), "<unknown>") == 0;
}

/* Does it say nothing else than the other, but for what it says is unknown? Calls have objects in arrays in objects, and nothing
 * deeper. */
static bool says_less(json_t *mine, json_t *other, bool partial)
{
    const char *key;
    json_t *value;
    size_t i;
    if (is_unknown(mine) || json_equal(mine, other))
        return true;
    if (partial && json_is_string(mine) && json_is_string(other)) /* decoded up to where it needs what was lost */
        return strncmp(json_string_value(mine), json_string_value(other), json_string_length(mine)) == 0;
    if (json_is_array(mine) && json_is_array(other) && json_array_size(mine) == json_array_size(other)) {
        json_array_foreach(mine, i, value) if (!says_less(value, json_array_get(other, i), partial)) return false;
        return true;
    }
    if (!json_is_object(mine) || !json_is_object(other))
        return false;
    json_object_foreach(mine, key, value)
    {
        bool named = strcmp(key, "protocol") != 0 && strcmp(key, "partial") != 0; /* a layer on it may not be recognised */
        if (named && !says_less(value, json_object_get(other, key), partial))
            return false;
    }
    return true;
}

/* A call that has one half only, as a message that nobody answers: is that whole? */
static bool is_lone_half(json_t *call)
{
    json_t *request = json_object_get(call, "request"), *response = json_object_get(call, "response");
    return !request != !response && json_is_true(json_object_get(request ? request : response, "complete")) &&
           !json_object_get(call, "partial");
}

/* Has it only one half in the conversation itself? */
static bool is_message(const struct record *r)
{
    return !memmem(r->json.p, r->json.n, "\"request\":{", 11) || !memmem(r->json.p, r->json.n, "\"response\":{", 12);
}

/* Is the call there with some of it unknown, or without what came before it and belongs to it (SETTINGS)? */
static bool has_less(const struct records *all, const struct record *call)
{
    json_t *whole = json_loadb((const char *)call->json.p, call->json.n, JSON_ALLOW_NUL, NULL);
    bool found = false;
    for (size_t i = 0; i < all->n && !found; i++) {
        const struct record *r = &all->v[i];
        bool alone = is_message(call);
        if (!alone && !has_unknown(r->json) && !(r->complete && td_eq(r->question, call->question) && td_eq(r->status, call->status)))
            continue;
        json_t *mine = json_loadb((const char *)all->v[i].json.p, all->v[i].json.n, JSON_ALLOW_NUL, NULL);
        bool partial = json_is_true(json_object_get(mine, "partial"));
        found = (r->complete || partial || (alone && is_lone_half(mine))) && says_less(mine, whole, alone && partial);
        json_decref(mine);
    }
    json_decref(whole);
    return found;
}

/* Where a request was not seen whole, its question may be the beginning of what was asked. */
static bool is_asked(const struct record *truth, const struct record *r)
{
    bool beginning = !r->complete && r->question.n && td_starts(truth->question, td_sub(r->question, 0, r->question.n - 1));
    return beginning || td_eq(truth->question, r->question);
}

static bool is_known(const struct records *truth, const struct record *r)
{
    bool unknown = has_unknown(r->json);
    bool question = unknown || r->question.n <= 4, status = unknown || r->status.n <= 2; /* empty strings in quotes */
    for (size_t i = 0; i < truth->n; i++) {
        question |= is_asked(&truth->v[i], r);
        status |= td_eq(truth->v[i].status, r->status);
    }
    return question && status;
}

/* ---- The same calls ---- */

static bool same(const struct records *a, const struct records *b, const struct telling_of *t)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (!td_eq(a->v[i].json, b->v[i].json)) {
            explain("differs", t, &a->v[i]);
            tap_diag("not %.*s", (int)(b->v[i].json.n < 600 ? b->v[i].json.n : 600), (const char *)b->v[i].json.p);
            return false;
        }
    if (a->n != b->n)
        explain(a->n < b->n ? "a call is missing" : "a call too many", t, a->n < b->n ? &b->v[a->n] : &a->v[b->n]);
    return a->n == b->n;
}

static bool only_known(const struct records *got, const struct records *truth, const struct telling_of *t)
{
    for (size_t i = 0; i < got->n; i++)
        if (!is_known(truth, &got->v[i])) {
            explain("nobody asked or answered so", t, &got->v[i]);
            return false;
        }
    return true;
}

/* All conversations in one kind of variation, with several seeds if these matter. */
static void check_same(struct session *s, const struct session *truth, const struct conversations *all, enum telling how, const char *name,
                       const char *what)
{
    bool good = true;
    size_t seeds = how == TELL_CUTS || how == TELL_DISORDER ? SEEDS : 1;
    for (size_t i = 0; i < all->n; i++)
        for (size_t seed = 0; seed < seeds; seed++)
            add(s, &all->v[i], (struct variation){.how = how, .seed = (uint32_t)(seed * 7919 + i)});
    run(s);
    for (size_t i = 0; i < s->n && good; i++) {
        struct records got = records_of(s, i), want = records_of(truth, i / seeds), bytewise = records_of(truth, all->n + i / seeds);
        /* Ports may have been needed to recognise datagrams; without SYN a pipeline may have begun earlier. */
        bool free = how == TELL_SWAPPED && (s->v[i].c->transport == 17 || is_pipelined(&bytewise));
        good = free ? only_known(&got, &want, &s->v[i]) : same(&got, &want, &s->v[i]);
    }
    ok(good, "%s: %s", name, what);
    clear(s);
}

/* ---- Damage ---- */

/* The position in the conversation of a frame of its telling byte by byte. */
static uint64_t position_of(const struct telling_of *bytes, uint64_t frame, bool end)
{
    uint64_t n = frame - bytes->first_frame;
    if (bytes->c->transport == 6)
        return n + end;
    const struct told_event *e = &bytes->c->events[n]; /* UDP: one datagram each */
    return e->begin + (end ? e->n : 0);
}

/* Behind the last position that the damage touches. */
static uint64_t damage_end(const struct conversation *c, const struct variation *v)
{
    uint64_t end = 0;
    for (size_t i = 0; i < c->event_n; i++) {
        const struct told_event *e = &c->events[i];
        uint64_t event_end = e->begin + (e->what == TOLD_BYTES ? e->n : 1);
        if (v->how == TELL_FROM) {
            if (e->begin < v->at)
                end = event_end; /* a dissector is chosen where a segment begins */
        } else if (e->what == TOLD_BYTES && e->dir == v->dir && v->at < e->at + e->n && e->at < v->at + v->n) {
            uint64_t stop = v->at + v->n - e->at;
            end = c->transport == 17 || stop > e->n || i == 0 ? event_end : e->begin + stop; /* i: the protocol is not known yet */
        }
    }
    return end;
}

struct verdict {
    const struct session *truth; /* TELL_WHOLE of each conversation, then TELL_BYTES of each */
    size_t conversations;
    bool known, complete, found; /* so far */
    size_t damaged, behind;      /* tellings; calls behind the damage */
};

static void judge(struct verdict *v, const struct session *s, size_t id, size_t which)
{
    const struct telling_of *t = &s->v[id], *bytes = &v->truth->v[v->conversations + which];
    struct records got = records_of(s, id), truth = records_of(v->truth, which), bytewise = records_of(v->truth, v->conversations + which);
    uint64_t end = damage_end(t->c, &t->v);
    bool unsure = t->v.how == TELL_FROM && is_pipelined(&bytewise); /* whose is the first answer? */
    v->damaged++;
    for (size_t i = 0; i < got.n; i++) {
        if (v->known && !is_known(&truth, &got.v[i])) {
            v->known = false;
            explain("nobody asked or answered so", t, &got.v[i]);
        }
        if (v->complete && got.v[i].complete && !unsure && !has_json(&truth, got.v[i].json) && !is_part_of(&truth, got.v[i].json)) {
            v->complete = false;
            explain("claims to be complete", t, &got.v[i]);
        }
    }
    size_t behind = 0;
    for (size_t i = 0; i < bytewise.n; i++) {
        const struct record *call = &bytewise.v[i];
        uint64_t begin = position_of(bytes, call->begin, false);
        if (begin < end)
            continue;
        v->behind++;
        bool whole = has_json(&got, call->json);
        if (v->found && !whole && !has_less(&got, call) &&
            (behind >= (is_message(call) ? 2 * GRACE : GRACE) || (!is_message(call) && !has_halves(&got, call)))) {
            v->found = false;
            explain("a call behind the damage is missing", t, call);
            tap_diag("    damage ends at %llu, the call begins at %llu, call %zu behind it", (unsigned long long)end,
                     (unsigned long long)begin, behind + 1);
        }
        behind++;
    }
}

static void add_holes(struct session *s, const struct conversation *c)
{
    static const uint64_t lengths[] = {1, 100, 7, 40};
    for (int dir = 0; dir < 2; dir++) {
        uint64_t n = c->stream[dir].n, step = n / HOLES + 1;
        for (uint64_t at = 0, i = 0; at < n; at += step, i++)
            add(s, c, (struct variation){.how = TELL_HOLE, .dir = dir, .at = at, .n = lengths[i % 4]});
    }
}

static void add_beginnings(struct session *s, const struct conversation *c)
{
    uint64_t step = c->length / BEGINNINGS + 1;
    for (uint64_t at = 1; at < c->length; at += step)
        add(s, c, (struct variation){.how = TELL_FROM, .at = at});
    for (size_t i = 1; i < c->event_n; i++)
        add(s, c, (struct variation){.how = TELL_FROM, .at = c->events[i].begin});
}

static void check_damage(struct session *s, const struct session *truth, const struct conversations *all,
                         void (*add_some)(struct session *, const struct conversation *), const char *name, const char *what)
{
    struct verdict v = {.truth = truth, .conversations = all->n, .known = true, .complete = true, .found = true};
    size_t i = 0;
    for (size_t which = 0; which < all->n; which++)
        add_some(s, &all->v[which]);
    run(s);
    for (size_t which = 0; which < all->n; which++)
        for (; i < s->n && s->v[i].c == &all->v[which]; i++)
            judge(&v, s, i, which);
    ok(v.known, "%s: %s: nothing that was not said (%zu tellings)", name, what, v.damaged);
    ok(v.complete, "%s: %s: what claims to be complete is as it was", name, what);
    ok(v.found, "%s: %s: calls behind the damage are found (%zu)", name, what, v.behind);
    clear(s);
}

/* ---- Threads and instances ---- */

static void *run_session(void *arg)
{
    run(arg);
    return NULL;
}

static void check_threads(struct session *s, struct session *other, const struct conversations *all, const char *name)
{
    struct session *both[] = {s, other};
    bool good = true;
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < all->n; i++) {
            add(both[k], &all->v[i], (struct variation){.how = TELL_DISORDER, .seed = (uint32_t)i});
            add(both[k], &all->v[i], (struct variation){.how = TELL_HOLE, .dir = 1, .at = 20, .n = 30});
        }
    run(s);
    struct buf one = s->out;
    s->out = (struct buf){0};
    for (unsigned threads = 2; threads <= 4; threads++) {
        free(s->records.v);
        s->rig.options.threads = threads;
        run(s);
        good &= td_eq(buf_slice(&s->out), buf_slice(&one));
    }
    ok(good, "%s: the same with 1 to 4 threads", name);

    pthread_t thread;
    s->rig.options.threads = 1;
    free(s->records.v);
    if (pthread_create(&thread, NULL, run_session, other) != 0)
        abort();
    run(s);
    pthread_join(thread, NULL);
    ok(td_eq(buf_slice(&s->out), buf_slice(&one)) && td_eq(buf_slice(&other->out), buf_slice(&one)),
       "%s: the same from two instances at once", name);
    buf_clear(&one);
    clear(s);
    clear(other);
}

/* ---- Captures ---- */

static void check_capture(struct session *truth, struct session *s, struct session *other, const char *path)
{
    const char *name = strstr(path, "dissectors/") + sizeof("dissectors/") - 1;
    struct conversations all = conversations_read(path);
    for (size_t i = 0; i < all.n; i++)
        add(truth, &all.v[i], (struct variation){.how = TELL_WHOLE});
    for (size_t i = 0; i < all.n; i++)
        add(truth, &all.v[i], (struct variation){.how = TELL_BYTES});
    run(truth);
    bool good = truth->records.n > 0;
    for (size_t i = 0; i < all.n && good; i++) {
        struct records whole = records_of(truth, i), bytes = records_of(truth, all.n + i);
        good = same(&bytes, &whole, &truth->v[all.n + i]);
    }
    ok(good, "%s: %zu conversations, %zu calls; the same byte by byte", name, all.n, truth->records.n / 2);
    check_same(s, truth, &all, TELL_CUTS, name, "the same at random cuts");
    check_same(s, truth, &all, TELL_DISORDER, name, "the same in disorder");
    check_same(s, truth, &all, TELL_SWAPPED, name, "the same without SYN and with exchanged ports");
    check_damage(s, truth, &all, add_holes, name, "a hole");
    check_damage(s, truth, &all, add_beginnings, name, "no beginning");
    check_threads(s, other, &all, name);
    clear(truth);
    conversations_free(&all);
}

int main(void)
{
    static struct session sessions[3];
    glob_t found;
    if (glob("plugins/dissectors/*/captures/*.pcap*", 0, NULL, &found) != 0) {
        ok(false, "captures are found; is this the source tree's directory?");
        return tap_done();
    }
    for (int i = 0; i < 3; i++) {
        rig_open_built(&sessions[i].rig);
        sessions[i].rig.options.on_call = put_record;
        sessions[i].rig.options.max_memory = 1u << 30;
    }
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_capture(&sessions[0], &sessions[1], &sessions[2], found.gl_pathv[i]);
    for (int i = 0; i < 3; i++) {
        free(sessions[i].v);
        rig_close(&sessions[i].rig);
    }
    globfree(&found);
    return tap_done();
}
