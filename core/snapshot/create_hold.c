/* Asking a worker to hold the window, and keeping it so. */
#include "snapshot/create_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"

enum {
    PROBES = 4, /* of the clock */
    CONNECT_S = 5,
    SMALL_ANSWER = 4 << 20,      /* bytes */
    AHEAD_S = 5,                 /* so far may the window's end be ahead of the worker's clock: it is waited for */
    SETTLE_NS = 250 * NS_PER_MS, /* until packets of the window's end have come out of the kernel's buffers */
    HOLDS_AGAIN = 3
};

#define PLAN_PATIENCE_NS ((int64_t)5 * NS_PER_S)

static const char holds_path[] = "/api/v1/holds";

/* ---- Asking ---- */

int create_client(struct create *c, const struct create_node *n, struct http_client **ret, struct error *err)
{
    int64_t idle_s = c->patience_ns / 3 / NS_PER_S; /* so that there is time for another try */
    const struct http_client_options options = {.url = n->worker->url,
                                                .token = n->worker->token,
                                                .ca = n->worker->ca,
                                                .agent = c->agent,
                                                .connect_s = CONNECT_S,
                                                .idle_s = idle_s < 1    ? 1
                                                          : idle_s > 30 ? 30
                                                                        : (unsigned)idle_s,
                                                .cancel = &c->stop};
    return http_client_new(&options, ret, err);
}

static int take_answer(void *ctx, struct td_slice bytes, struct error *err)
{
    struct buf *b = ctx;
    buf_put_slice(b, bytes);
    return b->failed ? error_set(err, TD_E_CORRUPT, "the worker's answer is too long") : TD_OK;
}

/* One request with a small answer. */
static int ask(struct http_client *client, const char *method, const char *path, struct buf *answer, struct http_result *res,
               struct error *err)
{
    const struct http_call call = {.method = method, .path = path, .accept = "application/json", .write = take_answer, .ctx = answer};
    return http_client_run(client, &call, res, err);
}

/* The same, tried again for a while. */
static int ask_again(struct create *c, struct http_client *client, const char *method, const char *path, struct buf *answer,
                     struct http_result *res, struct error *err)
{
    int64_t patience_ns = c->patience_ns < PLAN_PATIENCE_NS ? c->patience_ns : PLAN_PATIENCE_NS, until_ns = create_now() + patience_ns;
    for (unsigned attempt = 0;; attempt++) {
        buf_reset(answer);
        int status = ask(client, method, path, answer, res, err);
        if (status != TD_E_RETRY || create_now() >= until_ns || !create_sleep(c, create_backoff(attempt)))
            return status;
    }
}

/* The worker looked at its clock somewhere between question and answer. The shortest time says it best. A clock of ours that jumped in
 * between says nothing. */
static void probe_clock(struct create_node *n, const struct http_result *res, int64_t now_ns)
{
    int64_t took_ns = res->answered_ns - res->began_ns;
    if (took_ns < 0 || took_ns > (int64_t)60 * NS_PER_S || took_ns / 2 + 1 >= n->error_ns)
        return;
    n->error_ns = took_ns / 2 + 1;
    n->offset_ns = now_ns - (res->began_ns + took_ns / 2);
}

static int probe(struct create *c, struct create_node *n, struct http_client *client, struct error *err)
{
    struct http_result res;
    struct buf answer;
    int64_t now_ns;
    int status = TD_OK;
    n->error_ns = INT64_MAX;
    buf_init(&answer, SMALL_ANSWER);
    for (int i = 0; status == TD_OK && i < PROBES; i++) {
        status = ask_again(c, client, "GET", "/api/v1/node", &answer, &res, err);
        if (status == TD_OK && i && offer_parse_now(buf_slice(&answer), &now_ns)) /* the first one made the connection */
            probe_clock(n, &res, now_ns);
    }
    buf_clear(&answer);
    return status;
}

/* ---- Holds ---- */

static const char *put_window(struct buf *path, const struct create_request *r)
{
    char start[UNITS_TEXT], end[UNITS_TEXT];
    units_format_time(r->start_ns, start);
    units_format_time(r->end_ns, end);
    buf_lit(path, "?start=");
    http_put_encoded(path, start);
    buf_lit(path, "&end=");
    http_put_encoded(path, end);
    return buf_cstr(path);
}

static int ask_hold(struct create *c, struct create_node *n, struct http_client *client, struct offer *ret, struct error *err)
{
    struct http_result res;
    struct buf path, answer;
    buf_init(&path, 0);
    buf_init(&answer, OFFER_MAX_BYTES);
    buf_puts(&path, holds_path);
    put_window(&path, c->request);
    int status = path.failed ? error_nomem(err) : ask_again(c, client, "POST", (const char *)path.p, &answer, &res, err);
    if (status == TD_OK)
        status = offer_parse(buf_slice(&answer), c->request->start_ns, c->request->end_ns, ret, err);
    if (status == TD_OK)
        probe_clock(n, &res, ret->now_ns);
    buf_clear(&path);
    buf_clear(&answer);
    return status;
}

static const char *hold_path(struct buf *path, const char *id, const char *tail)
{
    buf_puts(path, holds_path);
    buf_putc(path, '/');
    http_put_encoded(path, id);
    buf_puts(path, tail);
    return buf_cstr(path);
}

static int drop_hold(struct http_client *client, const char *id, struct error *err)
{
    struct http_result res;
    struct buf path, answer;
    buf_init(&path, 0);
    buf_init(&answer, SMALL_ANSWER);
    hold_path(&path, id, "");
    int status = path.failed ? error_nomem(err) : ask(client, "DELETE", (const char *)path.p, &answer, &res, err);
    buf_clear(&path);
    buf_clear(&answer);
    return status;
}

/* The hold of a window whose end has passed on the worker, and whose last packets have been captured. */
static int ask_settled_hold(struct create *c, struct create_node *n, struct http_client *client, struct offer *ret, struct error *err)
{
    struct error why;
    int status = ask_hold(c, n, client, ret, err);
    for (int i = 0; status == TD_OK && i < HOLDS_AGAIN; i++) {
        int64_t ahead_ns = c->request->end_ns > ret->now_ns - SETTLE_NS ? c->request->end_ns - (ret->now_ns - SETTLE_NS) : 0;
        if (ahead_ns <= 0 || ahead_ns > (int64_t)AHEAD_S * NS_PER_S)
            break;
        if (drop_hold(client, ret->id, &why) == TD_E_CANCELLED || !create_sleep(c, ahead_ns)) {
            offer_clear(ret);
            return error_set(err, TD_E_CANCELLED, "cancelled");
        }
        offer_clear(ret);
        status = ask_hold(c, n, client, ret, err);
    }
    if (status == TD_OK && ret->covered_to_ns > ret->now_ns) /* nobody has captured the future */
        ret->covered_to_ns = ret->now_ns > ret->covered_from_ns ? ret->now_ns : ret->covered_from_ns;
    return status;
}

static int ask_boundaries(struct create_node *n, struct http_client *client, struct error *err)
{
    struct http_result res;
    struct buf answer;
    buf_init(&answer, SMALL_ANSWER);
    int status = ask(client, "GET", "/api/v1/data-boundaries", &answer, &res, err);
    if (status == TD_OK)
        (void)offer_parse_boundaries(buf_slice(&answer), &n->ring_from_ns, &n->ring_to_ns);
    buf_clear(&answer);
    return status;
}

static int copy_pieces(struct create_node *n, struct error *err)
{
    n->pieces = mem_calloc(n->offer.segment_count + 1, sizeof(*n->pieces));
    if (!n->pieces)
        return error_nomem(err);
    n->n = n->offer.segment_count;
    for (size_t i = 0; i < n->n; i++)
        n->pieces[i] = (struct piece){.said = n->offer.segments[i], .compressed = n->offer.segments[i].compressed};
    return TD_OK;
}

static bool is_covered(const struct create *c, const struct create_node *n)
{
    return n->offer.covered_from_ns <= c->request->start_ns && n->offer.covered_to_ns >= c->request->end_ns;
}

void create_ask(struct create *c, struct create_node *n)
{
    struct error err = {0}, why;
    struct http_client *client = NULL;
    struct offer offer = {0};
    int status = create_client(c, n, &client, &err);
    if (status == TD_OK)
        status = probe(c, n, client, &err);
    if (status == TD_OK)
        status = ask_settled_hold(c, n, client, &offer, &err);
    if (status == TD_OK) {
        pthread_mutex_lock(&n->lock);
        n->offer = offer;
        n->held = true;
        n->renewed_ns = create_now();
        pthread_mutex_unlock(&n->lock);
        snprintf(n->name, sizeof(n->name), "%s", offer.node);
        status = copy_pieces(n, &err);
    }
    if (status == TD_OK && !is_covered(c, n))
        (void)!ask_boundaries(n, client, &why);
    if (status != TD_OK) {
        n->missing = true;
        n->status = status;
        manifest_cut_text(n->reason, sizeof(n->reason), err.text);
    }
    http_client_free(client);
}

int create_hold_again(struct create *c, struct create_node *n, struct http_client *client, unsigned generation, struct error *err)
{
    struct offer offer = {0};
    pthread_mutex_lock(&n->lock);
    int status = TD_OK;
    if (n->generation == generation) {
        status = ask_hold(c, n, client, &offer, err);
        if (status == TD_OK && strcmp(offer.node, n->name) != 0)
            status = error_set(err, TD_E_CORRUPT, "the worker was node %s, and says now that it is %s", n->name, offer.node);
        if (status == TD_OK) {
            offer_clear(&n->offer);
            n->offer = offer;
            n->renewed_ns = create_now();
            n->generation++;
        } else {
            offer_clear(&offer);
        }
    }
    pthread_mutex_unlock(&n->lock);
    return status;
}

/* ---- Renewing ---- */

static bool is_due(struct create_node *n, char id[OFFER_ID])
{
    pthread_mutex_lock(&n->lock);
    bool due = n->held && !atomic_load(&n->lost) && create_now() - n->renewed_ns > n->offer.expires_s * NS_PER_S / 3;
    if (due) {
        n->renewed_ns = create_now();
        snprintf(id, OFFER_ID, "%s", n->offer.id);
    }
    pthread_mutex_unlock(&n->lock);
    return due;
}

/* What fails here shows when the hold is used. */
static void renew(struct create *c, struct create_node *n, const char *id)
{
    struct http_client *client;
    struct http_result res;
    struct error err;
    struct buf path, answer;
    if (create_client(c, n, &client, &err) != TD_OK)
        return;
    buf_init(&path, 0);
    buf_init(&answer, SMALL_ANSWER);
    hold_path(&path, id, "/renew");
    if (!path.failed)
        (void)!ask(client, "POST", (const char *)path.p, &answer, &res, &err);
    buf_clear(&path);
    buf_clear(&answer);
    http_client_free(client);
}

void *create_renew(void *arg)
{
    struct create *c = arg;
    char id[OFFER_ID];
    bool goes_on = true;
    while (goes_on) {
        for (size_t i = 0; i < c->n && !atomic_load(&c->stop); i++)
            if (is_due(&c->nodes[i], id))
                renew(c, &c->nodes[i], id);
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += 1;
        pthread_mutex_lock(&c->lock);
        while (c->renewing && pthread_cond_timedwait(&c->changed, &c->lock, &until) == 0)
            ;
        goes_on = c->renewing;
        pthread_mutex_unlock(&c->lock);
    }
    return NULL;
}

void create_release(struct create *c, struct create_node *n)
{
    struct http_client *client;
    struct error err;
    char id[OFFER_ID];
    pthread_mutex_lock(&n->lock);
    bool held = n->held && !atomic_load(&n->lost);
    n->held = false;
    snprintf(id, sizeof(id), "%s", n->offer.id);
    pthread_mutex_unlock(&n->lock);
    /* After a cancel as well: segments that nobody wants must not stay pinned. */
    const struct http_client_options options = {
        .url = n->worker->url, .token = n->worker->token, .ca = n->worker->ca, .agent = c->agent, .connect_s = 1, .idle_s = 1};
    if (!held || http_client_new(&options, &client, &err) != TD_OK)
        return;
    (void)!drop_hold(client, id, &err);
    http_client_free(client);
}
