#include "filter/search.h"

#include "base/mem.h"

struct search {
    struct store *store;
    struct filter *filter;
    struct filter_scan *scan;
    struct store_scan *walk;
    struct store_call call;
    struct store_position at;
    bool payload, paused;
    bool (*stop)(void *ctx);
    bool (*pause)(void *ctx);
    void *ctx;
};

/* For each chunk. */
static int choose(void *ctx, struct chunk *chunk, uint64_t *bits, struct error *err)
{
    struct search *s = ctx;
    if (s->stop && s->stop(s->ctx))
        return error_set(err, TD_E_CANCELLED, "nobody waits for the calls any more");
    s->paused = s->pause && s->pause(s->ctx);
    if (s->paused)
        return error_set(err, TD_E_RETRY, "the search pauses");
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
    s->pause = o->pause;
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

int search_next_position(struct search *s, struct store_position *ret, struct error *err)
{
    int status = store_scan_next(s->walk, ret, err);
    if (status == TD_OK && ret->id)
        s->at = *ret;
    return status;
}

int search_next(struct search *s, const struct td_call **ret, struct error *err)
{
    struct store_position before = s->at, at;
    s->paused = false;
    int status = search_next_position(s, &at, err);
    if (status == TD_OK && at.id)
        status = store_read_call(s->store, at.id, s->payload, &s->call, err);
    if (status == TD_OK)
        *ret = at.id ? &s->call.call : NULL;
    else
        s->at = before;
    return status;
}

static int give_rows(struct search *s, struct chunk *chunk, const uint64_t *bits,
                     int (*each)(void *ctx, const struct td_call *, struct error *err), void *ctx, struct error *err)
{
    int status = TD_OK;
    for (uint32_t row = 0; status == TD_OK && row < chunk_rows(chunk); row++) {
        if (!(bits[row / 64] >> (row % 64) & 1))
            continue;
        status = store_read_call(s->store, chunk_first_id(chunk) + row, s->payload, &s->call, err);
        if (status == TD_OK)
            status = each(ctx, &s->call.call, err);
    }
    return status;
}

int search_chunk(struct search *s, uint32_t index, int (*each)(void *ctx, const struct td_call *, struct error *err), void *ctx,
                 struct error *err)
{
    uint64_t bits[CHUNK_BITS];
    struct chunk *chunk;
    int status = store_chunk(s->store, index, &chunk, err);
    if (status != TD_OK)
        return status;
    memset(bits, 0xff, sizeof(bits));
    status = choose(s, chunk, bits, err);
    if (status == TD_OK)
        status = give_rows(s, chunk, bits, each, ctx, err);
    store_release(s->store, chunk);
    return status;
}

bool search_paused(const struct search *s)
{
    return s->paused;
}

struct store_position search_position(const struct search *s)
{
    return s->at;
}

uint64_t search_errors(const struct search *s)
{
    return s->scan ? filter_scan_stats(s->scan)->errors : 0;
}

const struct filter_scan *search_scan(const struct search *s)
{
    return s->scan;
}
