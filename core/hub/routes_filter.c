/* Fields and filters: for editors. */
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_object.h"
#include "base/units.h"
#include "call/store.h"
#include "filter/complete.h"
#include "filter/filter.h"
#include "hub/routes.h"

enum { COMPLETION_MEMORY = 16 << 20, BODY_MAX = 4 * FILTER_MAX_TEXT };

static const char *const filter_members[] = {"filter", "at", "db", NULL};

/* The fields that a filter may name: of a store of calls, or of the dissectors that are enabled. */
struct fields {
    const struct field_registry *registry;
    struct hub_calls calls;
    struct store *store;
};

/* False: answered, or *status is an error. */
static bool open_fields(struct hub *hub, struct http_request *q, const char *db, struct fields *ret, int *status, struct error *err)
{
    *ret = (struct fields){.registry = hub->fields};
    *status = db ? hub_open_calls(hub, db, &ret->calls, &ret->store, err) : TD_OK;
    if (*status == TD_OK && ret->store)
        ret->registry = store_registry(ret->store);
    bool opened = *status == TD_OK;
    if (*status == TD_E_NOT_FOUND && hub_refuse_remote(hub, q, db))
        *status = TD_OK;
    return opened;
}

static void close_fields(struct fields *f)
{
    hub_close_calls(&f->calls, f->store);
}

static int get_fields(void *ctx, struct http_request *q, struct error *err)
{
    struct fields fields;
    struct buf b = {.n = 0};
    int status;
    if (!open_fields(ctx, q, http_parameter(q, "db"), &fields, &status, err))
        return status;
    field_registry_put_json(&b, fields.registry);
    close_fields(&fields);
    hub_reply_json(q, 200, &b);
    return TD_OK;
}

static void put_check(struct buf *b, const struct filter *filter, const struct filter_diagnostics *diagnostics, const char *text)
{
    struct buf canonical = {.n = 0};
    buf_putc(b, '{');
    json_put_bool(b, "ok", filter != NULL);
    if (filter) {
        filter_put_text(&canonical, filter);
        json_put_key(b, "filter");
        json_put_string(b, buf_slice(&canonical));
        b->failed |= canonical.failed;
        buf_clear(&canonical);
    }
    json_put_key(b, "diagnostics");
    filter_diagnostics_put_json(b, diagnostics, td_str(text));
    buf_putc(b, '}');
}

static int check(const struct field_registry *fields, const char *text, struct http_request *q, struct error *err)
{
    struct filter_diagnostics diagnostics;
    struct filter *filter = NULL;
    struct buf b = {.n = 0};
    filter_diagnostics_init(&diagnostics);
    int status = filter_compile(fields, td_str(text), clock_ns(CLOCK_REALTIME), &filter, &diagnostics, err);
    if (status == TD_OK || (status == TD_E_CONFIG && diagnostics.fault_n)) {
        put_check(&b, filter, &diagnostics, text);
        hub_reply_json(q, 200, &b);
        status = TD_OK;
    }
    filter_free(filter);
    filter_diagnostics_clear(&diagnostics);
    return status;
}

static int complete(const struct field_registry *fields, const char *text, uint64_t at, struct http_request *q, struct error *err)
{
    struct filter_completion completion;
    const struct filter_env env = filter_registry_env(fields);
    struct arena arena;
    struct buf b = {.n = 0};
    arena_init(&arena, COMPLETION_MEMORY);
    int status = filter_complete(&env, td_str(text), (size_t)at, &arena, &completion);
    if (status == TD_OK) {
        filter_completion_put_json(&b, &completion);
        hub_reply_json(q, 200, &b);
    } else {
        status = error_nomem(err);
    }
    arena_clear(&arena);
    return status;
}

static int with_filter(struct hub *hub, struct http_request *q, bool completes, struct error *err)
{
    const char *text = "", *db = NULL;
    struct fields fields;
    json_t *body = NULL;
    uint64_t at = 0;
    int status = hub_body(q, filter_members, &body, err);
    if (status == TD_OK)
        status = hub_take_text(body, "filter", "", &text, err);
    if (status == TD_OK)
        status = hub_take_text(body, "db", NULL, &db, err);
    if (status == TD_OK)
        status = hub_take_number(body, "at", strlen(text), 0, strlen(text), &at, err);
    if (status == TD_OK && open_fields(hub, q, db, &fields, &status, err)) {
        status = completes ? complete(fields.registry, text, at, q, err) : check(fields.registry, text, q, err);
        close_fields(&fields);
    }
    json_decref(body);
    return status;
}

static int post_check(void *ctx, struct http_request *q, struct error *err)
{
    return with_filter(ctx, q, false, err);
}

static int post_complete(void *ctx, struct http_request *q, struct error *err)
{
    return with_filter(ctx, q, true, err);
}

#define DB "{\"type\":\"string\",\"description\":\"snapshot or snapshot/dissection; without it, the fields of the enabled dissectors\"}"
#define BODY(more)                                                                                                                    \
    "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"filter\"],\"properties\":{\"filter\":{\"type\":\"string\"}," \
    "\"db\":" DB more "}}"

static const struct hub_parameter fields_parameters[] = {{"db", DB, "Of these calls", false}, {0}};
/* Of all three, if they name a db. */
#define DB_ANSWERS                                                                                                    \
    {404, "application/problem+json", "There is no such snapshot or dissection"},                                     \
        {409, "application/problem+json", "not_local: the snapshot is in the cloud only"},                            \
    {                                                                                                                 \
        503, "application/problem+json", "cloud_unavailable: the snapshot is not here, and the cloud does not answer" \
    }
static const struct hub_answer fields_answers[] = {{200, JSON_TYPE, "The table of fields: names, types, meanings"}, DB_ANSWERS, {0}};
static const struct hub_answer check_answers[] = {
    {200, JSON_TYPE, "ok, the filter in its shortest form, and what is wrong or doubtful, with places and ways out"}, DB_ANSWERS, {0}};
static const struct hub_answer complete_answers[] = {{200, JSON_TYPE, "What may stand there"}, DB_ANSWERS, {0}};

static const struct hub_route routes[] = {
    {"GET", API "/fields", HTTP_VIEWER, 0, get_fields, "listFields", "The fields that calls have", fields_parameters, NULL, fields_answers},
    {"POST", API "/filter/check", HTTP_VIEWER, BODY_MAX, post_check, "checkFilter", "Check a filter", NULL, BODY(""), check_answers},
    {"POST", API "/filter/complete", HTTP_VIEWER, BODY_MAX, post_complete, "completeFilter", "What may stand at a place in a filter", NULL,
     BODY(",\"at\":{\"type\":\"integer\",\"minimum\":0,\"description\":\"in bytes; without it, the end\"}"), complete_answers},
};

const struct hub_subject *hub_routes_filter(void)
{
    static const struct hub_subject subject = {"filter", "Fields of calls, and filters over them", routes,
                                               sizeof(routes) / sizeof(routes[0])};
    return &subject;
}
