/* Calls of a dissection: searching, and one in full. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_object.h"
#include "base/units.h"
#include "call/call_json.h"
#include "call/column.h"
#include "filter/search.h"
#include "hub/routes.h"

enum { DEFAULT_LIMIT = 100, MAX_LIMIT = 1000, ANSWER_BYTES = 8 << 20, BODY_MAX = 4 * FILTER_MAX_TEXT };

static const char *const members[] = {"db", "filter", "limit", "cursor", "order", "format", "start", "end", NULL};

struct calls_query {
    const char *db;
    struct search_options search;
    struct store_position after;
    uint64_t limit;
    bool growing; /* a dissection that runs fills the store */
    struct http_request *q;
};

/* ---- The question ---- */

bool hub_parse_cursor(const char *text, bool oldest_first, struct store_position *ret)
{
    char *end;
    if (text[0] != (oldest_first ? 'o' : 'n') || strspn(text + 1, "-.0123456789") != strlen(text + 1) || strlen(text) > 48)
        return false;
    ret->time_ns = strtoll(text + 1, &end, 10);
    if (end == text + 1 || *end != '.' || end[1] == '-')
        return false;
    ret->id = strtoull(end + 1, &end, 10);
    return !*end && ret->id > 0;
}

/* One of two words: is it the second? */
static int take_word(const json_t *body, const char *name, const char *first, const char *second, bool *ret, struct error *err)
{
    const char *text;
    int status = hub_take_text(body, name, first, &text, err);
    if (status != TD_OK)
        return status;
    *ret = strcmp(text, second) == 0;
    return *ret || strcmp(text, first) == 0 ? TD_OK : error_set(err, TD_E_CONFIG, "%s must be %s or %s", name, first, second);
}

static int take_time(const json_t *body, const char *name, int64_t now_ns, int64_t *ret, struct error *err)
{
    const char *text;
    int status = hub_take_text(body, name, NULL, &text, err);
    if (status == TD_OK && text && !units_parse_time(text, now_ns, ret))
        status = error_set(err, TD_E_CONFIG, "%s: \"%.64s\" is no time; write it as 2026-01-02T03:04:05.6Z, or as now-5m", name, text);
    return status;
}

static bool nobody_waits(void *ctx)
{
    return http_cancelled(ctx);
}

static int take_query(const json_t *body, struct calls_query *c, struct error *err)
{
    const char *cursor = NULL;
    c->search = (struct search_options){
        .now_ns = clock_ns(CLOCK_REALTIME), .from_ns = INT64_MIN, .to_ns = INT64_MAX, .stop = nobody_waits, .ctx = c->q};
    int status = hub_take_text(body, "db", NULL, &c->db, err);
    if (status == TD_OK && !c->db)
        status = error_set(err, TD_E_CONFIG, "db is missing: the snapshot or snapshot/dissection to search");
    if (status == TD_OK)
        status = hub_take_text(body, "filter", NULL, &c->search.filter, err);
    if (status == TD_OK)
        status = hub_take_number(body, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT, &c->limit, err);
    if (status == TD_OK)
        status = take_word(body, "order", "newest", "oldest", &c->search.oldest_first, err);
    if (status == TD_OK)
        status = take_word(body, "format", "compact", "full", &c->search.payload, err);
    if (status == TD_OK)
        status = take_time(body, "start", c->search.now_ns, &c->search.from_ns, err);
    if (status == TD_OK)
        status = take_time(body, "end", c->search.now_ns, &c->search.to_ns, err);
    if (status == TD_OK && c->search.from_ns >= c->search.to_ns)
        status = error_set(err, TD_E_CONFIG, "start is not before end");
    if (status == TD_OK)
        status = hub_take_text(body, "cursor", NULL, &cursor, err);
    if (status == TD_OK && cursor && !hub_parse_cursor(cursor, c->search.oldest_first, &c->after))
        status = error_set(err, TD_E_CONFIG, "\"%.64s\" is no cursor of an answer in this order", cursor);
    if (cursor)
        c->search.after = &c->after;
    return status;
}

/* ---- The answer ---- */

/* What tables show of a call, whatever its protocol calls it. */
static void put_summary(struct buf *b, const struct td_call *call)
{
    static const struct {
        const char *key;
        enum column_kind kind;
    } parts[] = {{"method", COLUMN_METHOD}, {"target", COLUMN_TARGET}, {"status", COLUMN_STATUS}};
    struct buf text = {.n = 0};
    json_put_key(b, "summary");
    buf_putc(b, '{');
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        buf_reset(&text);
        column_put_summary(&text, parts[i].kind, call);
        json_put_key(b, parts[i].key);
        json_put_string(b, buf_slice(&text));
    }
    buf_putc(b, '}');
    b->failed |= text.failed;
    buf_clear(&text);
}

void hub_put_call(struct buf *b, const char *db, const struct td_call *call, bool payload)
{
    json_put_comma(b);
    buf_printf(b, "{\"id\":\"%s/%" PRIu64 "\"", db, call->id); /* names need no escapes */
    put_summary(b, call);
    size_t brace = b->n;
    call_put_json(b, call, payload);
    if (!b->failed) {
        b->p[brace] = ',';
        b->n--; /* its line's end */
    }
}

static const char *state_name(enum store_state state)
{
    return state == STORE_WRITING ? "writing" : state == STORE_COMPLETE ? "complete" : "incomplete";
}

/* At most `limit`, and no more when the answer is long; the cursor is of the last one that is in it. */
static int put_calls(struct search *s, const struct calls_query *c, struct buf *b, struct error *err)
{
    const struct td_call *call = NULL;
    struct store_position last = {0};
    uint64_t n = 0;
    bool more = false;
    int status;
    buf_lit(b, "{\"calls\":[");
    while ((status = search_next(s, &call, err)) == TD_OK && call && !more) {
        more = n == c->limit || b->n > ANSWER_BYTES;
        if (more)
            break;
        hub_put_call(b, c->db, call, c->search.payload);
        last = search_position(s);
        n++;
    }
    buf_putc(b, ']');
    json_put_key(b, "cursor");
    if (more)
        buf_printf(b, "\"%c%" PRId64 ".%" PRIu64 "\"", c->search.oldest_first ? 'o' : 'n', last.time_ns, last.id);
    else
        buf_lit(b, "null");
    return status;
}

void hub_refuse_filter(struct http_request *q, const struct filter_diagnostics *diagnostics, const char *text, const struct error *why)
{
    struct buf b = {.n = 0};
    buf_putc(&b, '{');
    json_put_text(&b, "type", "about:blank");
    json_put_text(&b, "title", "Bad Request");
    json_put_u64(&b, "status", 400);
    json_put_text(&b, "detail", why->text);
    json_put_text(&b, "code", "filter_error");
    json_put_key(&b, "diagnostics");
    filter_diagnostics_put_json(&b, diagnostics, td_str(text));
    buf_lit(&b, "}\n");
    http_reply_body(q, 400, "application/problem+json", &b);
}

/* Of a dissection that has found nothing yet; what it will have is not known for certain, but what the filter may name is. */
static int answer_nothing(struct hub *hub, const struct calls_query *c, struct error *err)
{
    struct filter_diagnostics diagnostics;
    struct filter *filter = NULL;
    struct buf b = {.n = 0};
    const char *text = c->search.filter ? c->search.filter : "";
    filter_diagnostics_init(&diagnostics);
    int status = filter_compile(hub->fields, td_str(text), c->search.now_ns, &filter, &diagnostics, err);
    bool refused = status == TD_E_CONFIG && diagnostics.fault_n;
    if (refused)
        hub_refuse_filter(c->q, &diagnostics, text, err);
    if (status == TD_OK) {
        buf_lit(&b, "{\"calls\":[],\"cursor\":null,\"state\":\"writing\",\"total\":0,\"not_judged\":0}");
        hub_reply_json(c->q, 200, &b);
    }
    filter_free(filter);
    filter_diagnostics_clear(&diagnostics);
    buf_clear(&b);
    return refused ? TD_OK : status;
}

static int search(struct hub *hub, struct store *store, const struct calls_query *c, struct error *err)
{
    if (!store)
        return answer_nothing(hub, c, err);
    struct filter_diagnostics diagnostics;
    struct search *s = NULL;
    struct buf b = {.n = 0};
    filter_diagnostics_init(&diagnostics);
    int status = search_open(store, &c->search, &s, &diagnostics, err);
    if (status == TD_E_CONFIG && diagnostics.fault_n) {
        hub_refuse_filter(c->q, &diagnostics, c->search.filter, err);
        filter_diagnostics_clear(&diagnostics);
        return TD_OK;
    }
    filter_diagnostics_clear(&diagnostics);
    if (status == TD_OK)
        status = put_calls(s, c, &b, err);
    if (status == TD_OK) {
        json_put_text(&b, "state", state_name(c->growing ? STORE_WRITING : store_state(store)));
        json_put_u64(&b, "total", store_count(store));
        json_put_u64(&b, "not_judged", search_errors(s));
        buf_putc(&b, '}');
        hub_reply_json(c->q, 200, &b);
    }
    buf_clear(&b);
    search_close(s);
    return status;
}

/* Opens the store of a name, and passes it on; NULL: a dissection that has found nothing yet. */
static int with_store(struct hub *hub, int (*use)(struct hub *, struct store *, const struct calls_query *, struct error *),
                      struct calls_query *c, struct error *err)
{
    struct hub_calls calls;
    struct store *store = NULL;
    int status = hub_open_calls(hub, c->db, &calls, &store, err);
    if (status == TD_E_NOT_FOUND && hub_refuse_remote(hub, c->q, c->db))
        return TD_OK;
    if (status != TD_OK)
        return status;
    c->db = calls.db;
    c->growing = calls.growing;
    status = use(hub, store, c, err);
    hub_close_calls(&calls, store);
    return status;
}

static int find_calls(struct hub *hub, struct http_request *q, json_t *body, struct error *err)
{
    struct calls_query c = {.q = q};
    int status = take_query(body, &c, err);
    if (status == TD_OK)
        status = with_store(hub, search, &c, err);
    json_decref(body);
    return status;
}

static int get_calls(void *ctx, struct http_request *q, struct error *err)
{
    json_t *query = hub_query(q, members);
    return query ? find_calls(ctx, q, query, err) : error_nomem(err);
}

static int post_calls(void *ctx, struct http_request *q, struct error *err)
{
    json_t *body;
    int status = hub_body(q, members, &body, err);
    return status == TD_OK ? find_calls(ctx, q, body, err) : status;
}

static int put_one(struct hub *hub, struct store *store, const struct calls_query *c, struct error *err)
{
    struct store_call call = {0};
    struct buf b = {.n = 0};
    (void)hub;
    if (!store)
        return error_set(err, TD_E_NOT_FOUND, "%s has no call %" PRIu64 " yet", c->db, c->after.id);
    int status = store_read_call(store, c->after.id, true, &call, err);
    if (status == TD_OK) {
        hub_put_call(&b, c->db, &call.call, true);
        hub_reply_json(c->q, 200, &b);
    }
    store_call_clear(&call);
    return status;
}

bool hub_parse_call_id(const char *id, char db[JOB_SUBJECT], uint64_t *ret_number)
{
    const char *slash = strrchr(id, '/'), *number = slash ? slash + 1 : "";
    if (!slash || slash - id >= (ptrdiff_t)JOB_SUBJECT || !*number || strlen(number) > 18 || number[strspn(number, "0123456789")])
        return false;
    snprintf(db, JOB_SUBJECT, "%.*s", (int)(slash - id), id);
    *ret_number = strtoull(number, NULL, 10);
    return *ret_number > 0 && strchr(db, '/');
}

static int get_call(void *ctx, struct http_request *q, struct error *err)
{
    const char *id = http_segment(q, "id");
    char db[JOB_SUBJECT];
    struct calls_query c = {.q = q, .db = db};
    if (!hub_parse_call_id(id, db, &c.after.id))
        return error_set(err, TD_E_NOT_FOUND, "\"%.200s\" is no call; ids are as GET /api/v1/calls gives them: snapshot/dissection/number",
                         id);
    return with_store(ctx, put_one, &c, err);
}

/* ---- Routes ---- */

#define DB "{\"type\":\"string\",\"description\":\"snapshot, if it has one dissection, or snapshot/dissection\"}"
#define TEXT "{\"type\":\"string\"}"
#define LIMIT "{\"type\":\"integer\",\"minimum\":1,\"maximum\":1000,\"default\":100}"
#define ORDER "{\"type\":\"string\",\"enum\":[\"newest\",\"oldest\"],\"default\":\"newest\"}"
#define FORMAT "{\"type\":\"string\",\"enum\":[\"compact\",\"full\"],\"default\":\"compact\"}"

static const struct hub_parameter search_parameters[] = {
    {"db", DB, "Where to search", true},
    {"filter", TEXT, "Only calls that match it", false},
    {"limit", LIMIT, "At most so many", false},
    {"cursor", TEXT, "Of an earlier answer: goes on behind it", false},
    {"order", ORDER, "Which come first", false},
    {"format", FORMAT, "full: with headers and bodies", false},
    {"start", TEXT, "Only calls that began then or later: 2026-01-02T03:04:05.6Z, now-5m", false},
    {"end", TEXT, "Only calls that began before", false},
    {0}};
static const struct hub_parameter one_parameters[] = {
    {"id", TEXT, "The call's id: snapshot/dissection/number, with its slashes encoded", true}, {0}};
static const struct hub_answer search_answers[] = {
    {200, JSON_TYPE,
     "calls, and a cursor if there are more. While the dissection runs (state: writing) they are those that it has found so far; others "
     "that "
     "it finds later may lie before a cursor: /calls/stream misses none"},
    {400, "application/problem+json", "filter_error: with diagnostics, as /filter/check has them; or invalid_request"},
    {404, "application/problem+json", "There is no such snapshot or dissection"},
    {409, "application/problem+json", "not_local: the snapshot is in the cloud only"},
    {503, "application/problem+json", "cloud_unavailable: the snapshot is not here, and the cloud does not answer"},
    {0}};
static const struct hub_answer one_answers[] = {{200, JSON_TYPE, "The call, with headers and bodies"}, {0}};

static const struct hub_route routes[] = {
    {"GET", API "/calls", HTTP_VIEWER, 0, get_calls, "listCalls", "Search calls", search_parameters, NULL, search_answers},
    {"POST", API "/calls", HTTP_VIEWER, BODY_MAX, post_calls, "searchCalls", "Search calls with a filter that is too long for an address",
     NULL,
     "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"db\"],\"properties\":{\"db\":" DB ",\"filter\":" TEXT
     ",\"limit\":" LIMIT ",\"cursor\":" TEXT ",\"order\":" ORDER ",\"format\":" FORMAT ",\"start\":" TEXT ",\"end\":" TEXT "}}",
     search_answers},
    {"GET", API "/calls/{id}", HTTP_VIEWER, 0, get_call, "getCall", "One call in full", one_parameters, NULL, one_answers},
};

const struct hub_subject *hub_routes_calls(void)
{
    static const struct hub_subject subject = {"calls", "Requests and responses that dissections found", routes,
                                               sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
