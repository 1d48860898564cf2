#include "filter/search.h"

#include "base/mem.h"

struct search {
    struct store *store;
    struct filter *filter;
    struct filter_scan *scan;
    struct store_scan *walk;
    struct store_call call;
    struct store_position at;
    bool payload;
    bool (*stop)(void *ctx);
    void *ctx;
};

/* For each chunk. */
static int choose(void *ctx, struct chunk *chunk, uint64_t *bits, struct error *err)
{
    struct search *s = ctx;
    if (s->stop && s->stop(s->ctx))
        return error_set(err, TD_E_CANCELLED, "nobody waits for the calls any more");
    return s->scan ? filter_scan_chunk(s->scan, chunk, bits, err) : TD_OK;
}

static bool is_blank(const char *text)
{
    return !text || !text[strspn(text, " \t\r\n")];
}

int search_open(struct store *store, const struct search_options *o, struct search **ret, struct filter_diagnostics *diagnostics,
                struct error *err)
{
    struct search *s = mem_calloc(1, sizeof(*s));
    int status = TD_OK;
    if (!s)
        return error_nomem(err);
    s->store = store;
    s->payload = o->payload;
    s->stop = o->stop;
    s->ctx = o->ctx;
    if (!is_blank(o->filter)) {
        status = filter_compile(store_registry(store), td_str(o->filter), o->now_ns, &s->filter, diagnostics, err);
        if (status == TD_OK)
            status = filter_scan_new(s->filter, store_registry(store), &s->scan, err);
    }
    const struct store_scan_options options = {.oldest_first = o->oldest_first,
                                               .as_found = o->as_found,
                                               .from_ns = o->from_ns,
                                               .to_ns = o->to_ns,
                                               .after = o->after,
                                               .select = choose,
                                               .ctx = s};
    if (status == TD_OK)
        status = store_scan_new(store, &options, &s->walk, err);
    if (status == TD_OK)
        *ret = s;
    else
        search_close(s);
    return status;
}

void search_close(struct search *s)
{
    if (!s)
        return;
    store_scan_free(s->walk);
    store_call_clear(&s->call);
    filter_scan_free(s->scan);
    filter_free(s->filter);
    mem_free(s);
}

int search_next(struct search *s, const struct td_call **ret, struct error *err)
{
    struct store_position at;
    int status = store_scan_next(s->walk, &at, err);
    if (status == TD_OK && at.id)
        status = store_read_call(s->store, at.id, s->payload, &s->call, err);
    if (status != TD_OK)
        return status;
    if (at.id)
        s->at = at;
    *ret = at.id ? &s->call.call : NULL;
    return TD_OK;
}

struct store_position search_position(const struct search *s)
{
    return s->at;
}

uint64_t search_errors(const struct search *s)
{
    return s->scan ? filter_scan_stats(s->scan)->errors : 0;
}
