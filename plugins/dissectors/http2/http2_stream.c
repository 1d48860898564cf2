#include "http2_stream.h"

#define LINGER_NS INT64_C(60000000000)
enum { LINGER_STREAMS = 4 /* that the client opens meanwhile: their answers come later than what was on its way before */ };

static const struct td_host *host_of(const struct http2_streams *all)
{
    return all->out->http2->host;
}

/* ---- The table ------------------------------------------------------------------------------------------------------ */

static struct http2_stream **bucket_of(struct http2_streams *all, uint32_t id)
{
    return &all->buckets[id * all->spread >> (32 - HTTP2_BUCKET_BITS)];
}

void http2_streams_init(struct http2_streams *all)
{
    all->spread = ((uint32_t)((uintptr_t)all >> 4) * 0x9e3779b1u) | 1; /* where memory lies is not for peers to know */
}

struct http2_stream *http2_stream_find(struct http2_streams *all, uint32_t id)
{
    struct http2_stream *s = *bucket_of(all, id);
    while (s && s->id != id)
        s = s->next;
    return s;
}

bool http2_stream_was_open(const struct http2_streams *all, uint32_t id)
{
    uint32_t i;
    for (i = 0; i < HTTP2_RECENT; i++)
        if (all->recent[i] == id)
            return true;
    return false;
}

static void unlink_stream(struct http2_streams *all, struct http2_stream *s)
{
    struct http2_stream **link = bucket_of(all, s->id);
    while (*link != s)
        link = &(*link)->next;
    *link = s->next;
    *(s->older ? &s->older->newer : &all->oldest) = s->newer;
    *(s->newer ? &s->newer->older : &all->newest) = s->older;
    all->n--;
    s->next = all->free;
    all->free = s;
}

static void join_headless(struct http2_streams *all, struct http2_stream *s)
{
    s->headless = true;
    s->headless_newer = NULL;
    s->headless_older = all->headless_newest;
    *(all->headless_newest ? &all->headless_newest->headless_newer : &all->headless_oldest) = s;
    all->headless_newest = s;
    all->n_headless++;
}

static void leave_headless(struct http2_streams *all, struct http2_stream *s)
{
    if (!s->headless)
        return;
    s->headless = false;
    *(s->headless_older ? &s->headless_older->headless_newer : &all->headless_oldest) = s->headless_newer;
    *(s->headless_newer ? &s->headless_newer->headless_older : &all->headless_newest) = s->headless_older;
    all->n_headless--;
}

static struct http2_stream *new_stream(struct http2_streams *all)
{
    struct http2_stream *s = all->free;
    if (!s)
        return (struct http2_stream *)host_of(all)->alloc(all->arena, sizeof(*s), sizeof(void *));
    all->free = s->next;
    memset(s, 0, sizeof(*s));
    return s;
}

/* ---- Ends ----------------------------------------------------------------------------------------------------------- */

static unsigned body_field(int dir)
{
    return dir == TD_CLIENT ? F_REQUEST_BODY : F_RESPONSE_BODY;
}

static struct content_sink sink_of(const struct http2_streams *all, const struct http2_stream *s, int dir)
{
    return (struct content_sink){host_of(all), all->out->conn, s->call, body_field(dir), all->out->http2->config->max_body};
}

static void end_body(struct http2_streams *all, struct http2_stream *s, int dir)
{
    struct http2_half *h = &s->half[dir];
    struct content_sink sink = sink_of(all, s, dir);
    bool decode = all->out->http2->config->decode_bodies;
    if (h->begun || h->content) {
        http2_set_number(all->out, s->call, dir == TD_CLIENT ? F_REQUEST_BODY_SIZE : F_RESPONSE_BODY_SIZE, h->body.size);
        http2_set_number(all->out, s->call, dir == TD_CLIENT ? F_REQUEST_DATA_FRAMES : F_RESPONSE_DATA_FRAMES, h->data_frames);
    }
    s->flags |= content_body_end(&h->body, &sink, decode);
    content_child_end(&s->child, &sink, &h->body, dir, h->content_end);
}

static void end_form(struct http2_streams *all, struct http2_stream *s, bool whole)
{
    if (s->form)
        content_form_end(&all->forms, s->form, s->call, whole);
    s->form = NULL;
}

static void end_half(struct http2_streams *all, struct http2_stream *s, int dir, bool cut)
{
    struct http2_half *h = &s->half[dir];
    if (h->ended)
        return;
    http2_stream_catch_up(all, s, dir);
    h->ended = true;
    h->cut |= cut;
    if (h->cut)
        s->flags |= dir == TD_CLIENT ? TD_REQUEST_CUT : TD_RESPONSE_CUT;
    if (dir == TD_CLIENT)
        end_form(all, s, !h->cut);
    if (dir == TD_CLIENT)
        leave_headless(all, s);
    end_body(all, s, dir);
}

static void commit(struct http2_streams *all, struct http2_stream *s, int why)
{
    if (s->padding)
        http2_set_number(all->out, s->call, F_PADDING, s->padding);
    if (s->half[TD_CLIENT].window) /* which may grow when all has been sent */
        http2_set_number(all->out, s->call, F_REQUEST_WINDOW, s->half[TD_CLIENT].window);
    if (s->half[TD_SERVER].window)
        http2_set_number(all->out, s->call, F_RESPONSE_WINDOW, s->half[TD_SERVER].window);
    if (s->child.sub)
        host_of(all)->sub_close(s->child.sub, why);
    if (s->call)
        host_of(all)->commit(s->call, s->flags);
    unlink_stream(all, s);
}

/* ---- Requests that may still come ------------------------------------------------------------------------------------ */

static void give_up_request(struct http2_streams *all, struct http2_stream *s)
{
    end_half(all, s, TD_CLIENT, true);
    if (s->half[TD_SERVER].ended)
        commit(all, s, TD_CLOSE_FIN);
}

void http2_streams_settle(struct http2_streams *all, uint32_t id)
{
    struct http2_stream *s, *newer;
    for (s = all->headless_oldest; s; s = newer) {
        newer = s->headless_newer;
        if (s->id < id)
            give_up_request(all, s);
    }
}

struct http2_stream *http2_stream_open(struct http2_streams *all, uint32_t id)
{
    struct http2_stream *s, **bucket = bucket_of(all, id);
    if (all->n == HTTP2_MAX_STREAMS)
        http2_stream_finish(all, all->oldest, TD_CLOSE_EVICTED);
    s = new_stream(all);
    if (!s)
        return NULL;
    s->id = id;
    all->first_used |= id == 1;
    s->call = host_of(all)->call(all->out->conn);
    http2_set_number(all->out, s->call, F_STREAM_ID, id);
    s->next = *bucket;
    *bucket = s;
    s->older = all->newest;
    *(all->newest ? &all->newest->newer : &all->oldest) = s;
    all->newest = s;
    all->n++;
    join_headless(all, s);
    if (all->n_headless > HTTP2_HEADLESS)
        give_up_request(all, all->headless_oldest);
    return s;
}

/* ---- Ends, told from outside ------------------------------------------------------------------------------------------ */

bool http2_stream_end(struct http2_streams *all, struct http2_stream *s, int dir, bool cut)
{
    end_half(all, s, dir, cut);
    /* A response whose request was lost: it never comes if the client is past it, or if nothing at all is seen of the client. */
    if (dir == TD_SERVER && !s->half[TD_CLIENT].begun && !s->by_server && (s->id <= all->highest[TD_CLIENT] || all->silent_client))
        end_half(all, s, TD_CLIENT, true);
    if (!s->half[!dir].ended)
        return false;
    commit(all, s, TD_CLOSE_FIN);
    return true;
}

void http2_stream_finish(struct http2_streams *all, struct http2_stream *s, int why)
{
    all->recent[all->recent_n++ % HTTP2_RECENT] = s->id;
    end_half(all, s, TD_CLIENT, true);
    end_half(all, s, TD_SERVER, true);
    commit(all, s, why);
}

static void end_oldest_lingering(struct http2_streams *all)
{
    struct http2_stream *s = http2_stream_find(all, all->lingering[all->lingering_first].id);
    all->lingering_first = (all->lingering_first + 1) % HTTP2_LINGERING;
    all->lingering_n--;
    if (s)
        http2_stream_finish(all, s, TD_CLOSE_RESET);
}

void http2_stream_linger(struct http2_streams *all, struct http2_stream *s, int64_t now_ns)
{
    struct http2_lingering *l;
    end_half(all, s, TD_CLIENT, true);
    if (s->half[TD_SERVER].ended) {
        http2_stream_finish(all, s, TD_CLOSE_RESET);
        return;
    }
    s->lingers = true;
    if (all->lingering_n == HTTP2_LINGERING)
        end_oldest_lingering(all);
    l = &all->lingering[(all->lingering_first + all->lingering_n++) % HTTP2_LINGERING];
    *l = (struct http2_lingering){s->id, all->opened + LINGER_STREAMS, now_ns + LINGER_NS};
}

void http2_streams_expire(struct http2_streams *all, int64_t now_ns)
{
    while (all->lingering_n) {
        const struct http2_lingering *l = &all->lingering[all->lingering_first];
        if (l->until_ns > now_ns && (int32_t)(l->until_opened - all->opened) > 0)
            break;
        end_oldest_lingering(all);
    }
}

void http2_streams_close(struct http2_streams *all, int why)
{
    while (all->oldest)
        http2_stream_finish(all, all->oldest, why);
}

/* ---- Header lists ---------------------------------------------------------------------------------------------------- */

static void note_list(struct http2_stream *s, const struct http2_list *list)
{
    if (list->dropped || list->unknown || list->damaged)
        s->flags |= TD_PARTIAL;
}

static void begin_half(struct http2_streams *all, struct http2_stream *s, int dir, const struct http2_list *list)
{
    struct http2_half *h = &s->half[dir];
    bool keep = all->out->http2->config->max_body > 0 && (http2_wants(all->out, body_field(dir)) || (s->child.sub && list->n_codings));
    if (dir == TD_CLIENT)
        leave_headless(all, s);
    http2_stream_catch_up(all, s, dir);
    h->begun = true;
    if (h->content) /* content came without it: nobody knows what was before that */
        keep = false;
    content_body_begin(&h->body, keep, list->codings, list->n_codings);
    note_list(s, list);
}

/* An extended CONNECT (RFC 8441): what its content is, :protocol says. */
static void open_tunnel(struct http2_streams *all, struct http2_stream *s, const struct http2_list *list)
{
    if (s->call && !s->child.sub)
        s->child.sub = host_of(all)->sub_open(all->out->conn, s->call, "http.upgrade", list->protocol);
    s->child.raw = s->tunnel = s->child.sub != NULL;
}

/* It was refused: what follows is the content of an ordinary response. */
static void close_tunnel(struct http2_streams *all, struct http2_stream *s)
{
    if (s->child.sub)
        host_of(all)->sub_close(s->child.sub, TD_CLOSE_LOST);
    s->child.sub = NULL;
    s->child.raw = s->tunnel = false;
}

void http2_stream_request(struct http2_streams *all, struct http2_stream *s, const struct http2_list *list)
{
    struct content_sink sink = sink_of(all, s, TD_CLIENT);
    bool asks = !list->protocol.n && content_asks_by_query(list->method, list->content_type);
    struct td_slice query = asks ? content_query(list->path) : td_bytes(NULL, 0);
    if (list->protocol.n)
        open_tunnel(all, s, list);
    if (query.n)
        content_child_open_query(&s->child, &sink, query);
    query.n = s->child.sub ? query.n : 0;
    if (!list->protocol.n)
        content_child_open(&s->child, &sink, list->content_type);
    begin_half(all, s, TD_CLIENT, list);
    http2_set_request(all->out, s->call, list);
    if (list->content_type.n && !list->n_codings && !s->form && !s->half[TD_CLIENT].content)
        s->form = content_form_begin(&all->forms, list->content_type);
    if (query.n)
        content_child_query(&s->child, &sink, query, 0);
}

void http2_stream_response(struct http2_streams *all, struct http2_stream *s, const struct http2_list *list)
{
    struct content_sink sink = sink_of(all, s, TD_SERVER);
    unsigned status = http2_list_status(list);
    if (s->tunnel && status && status / 100 != 2)
        close_tunnel(all, s);
    if (!s->half[TD_CLIENT].begun)
        content_child_open(&s->child, &sink, list->content_type);
    begin_half(all, s, TD_SERVER, list);
    http2_set_response(all->out, s->call, list, !s->half[TD_CLIENT].begun);
}

void http2_stream_trailers(struct http2_streams *all, struct http2_stream *s, int dir, const struct http2_list *list)
{
    note_list(s, list);
    http2_set_trailers(all->out, s->call, dir, list);
}

/* ---- Losses ----------------------------------------------------------------------------------------------------------- */

void http2_streams_doubt(struct http2_streams *all, int dir)
{
    all->losses[dir]++;
    all->unseen = UINT32_MAX;
}

void http2_stream_catch_up(struct http2_streams *all, struct http2_stream *s, int dir)
{
    struct http2_half *h = &s->half[dir];
    if (h->losses == all->losses[dir])
        return;
    h->losses = all->losses[dir];
    if (h->ended || (!h->begun && !h->content))
        return;
    http2_stream_miss(all, s, dir, 0);
    s->flags |= TD_PARTIAL;
}

/* ---- Content --------------------------------------------------------------------------------------------------------- */

bool http2_stream_may_skip(const struct http2_streams *all, const struct http2_stream *s, int dir)
{
    return !s || (!s->half[dir].body.keep && !(dir == TD_CLIENT && s->form) && !content_child_follows(&s->child, &s->half[dir].body) &&
                  !http2_wants(all->out, dir == TD_CLIENT ? F_REQUEST_BODY_SIZE : F_RESPONSE_BODY_SIZE));
}

void http2_stream_data(struct http2_streams *all, struct http2_stream *s, int dir, struct td_slice content, uint64_t begin)
{
    struct content_sink sink = sink_of(all, s, dir);
    s->half[dir].content = true;
    s->half[dir].content_end = begin + content.n;
    content_body_add(&s->half[dir].body, &sink, content);
    if (dir == TD_CLIENT && s->form)
        content_form_add(&all->forms, s->form, s->call, content);
    content_child_data(&s->child, &sink, &s->half[dir].body, dir, content, begin);
}

void http2_stream_miss(struct http2_streams *all, struct http2_stream *s, int dir, uint64_t n)
{
    struct content_sink sink = sink_of(all, s, dir);
    struct content_body *body = &s->half[dir].body;
    if (body->keep || content_child_follows(&s->child, body))
        s->flags |= TD_PARTIAL;
    content_body_miss(body, n);
    if (dir == TD_CLIENT)
        end_form(all, s, false);
    content_child_gap(&s->child, &sink, body, dir, n);
}
