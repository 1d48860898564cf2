/* Sessions, and exchanges from their beginning to their end. */
#include "cloud_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "cloud_private.h"

enum {
    POLL_MS = 250,   /* between questions whether to stop */
    MAX_IDLE = 16,   /* sessions that are kept */
    MAX_KEPT = 32,   /* connections in each of them */
    PACE_TIMES = 10, /* idle times, in which CLOUD_LEAST_BYTES are to move */
};
static const int64_t ns_per_s = 1000000000, ns_per_ms = 1000000;

int64_t cloud_monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * ns_per_s + now.tv_nsec;
}

static int fail_nomem(const struct cloud_http *h)
{
    return h->host->fail(h->inst, TD_E_NOMEM, "out of memory");
}

/* ---- Life ---- */

/* Is there a certificate in the file? What is wrong with it otherwise, libcurl tells only when it connects. */
static bool is_ca_file(const char *path, const char **ret_why)
{
    char text[4096];
    bool found = false, readable = false;
    FILE *f = fopen(path, "re");
    *ret_why = "cannot be read";
    if (!f)
        return false;
    while (!found && fgets(text, sizeof(text), f)) {
        readable = true;
        found = strstr(text, "-----BEGIN ") != NULL;
    }
    if (readable || feof(f))
        *ret_why = "holds no certificate in PEM form";
    fclose(f);
    return found;
}

static bool is_proxy(const char *text)
{
    static const char *const schemes[] = {"http", "https", "socks4", "socks4a", "socks5", "socks5h"};
    CURLU *parsed = curl_url();
    char *scheme = NULL;
    bool good = false;
    if (parsed && curl_url_set(parsed, CURLUPART_URL, text, CURLU_DEFAULT_SCHEME | CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
        curl_url_get(parsed, CURLUPART_SCHEME, &scheme, CURLU_DEFAULT_SCHEME) == CURLUE_OK)
        for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
            good = good || strcasecmp(scheme, schemes[i]) == 0;
    curl_free(scheme);
    curl_url_cleanup(parsed);
    return good;
}

static int check_options(const struct cloud_http_options *o)
{
    const char *why;
    if (o->ca_file && !is_ca_file(o->ca_file, &why))
        return o->host->fail(o->inst, TD_E_CONFIG, "caFile %.400s %s", o->ca_file, why);
    /* Its text may hold a password. */
    if (o->proxy && strcmp(o->proxy, "env") != 0 && !is_proxy(o->proxy))
        return o->host->fail(o->inst, TD_E_CONFIG, "proxy must be a URL such as http://proxy.example:3128, or env");
    return TD_OK;
}

static bool copy(const char *text, char **ret)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

int cloud_http_new(const struct cloud_http_options *o, struct cloud_http **ret)
{
    int status = check_options(o);
    if (status != TD_OK)
        return status;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return o->host->fail(o->inst, TD_E_NOMEM, "libcurl cannot be used");
    struct cloud_http *h = calloc(1, sizeof(*h));
    if (!h) {
        curl_global_cleanup();
        return o->host->fail(o->inst, TD_E_NOMEM, "out of memory");
    }
    *h = (struct cloud_http){.inst = o->inst,
                             .host = o->host,
                             .connect_ns = o->connect_ns ? o->connect_ns : 10 * ns_per_s,
                             .idle_ns = o->idle_ns ? o->idle_ns : 30 * ns_per_s};
    pthread_mutex_init(&h->lock, NULL);
    if (!copy(o->ca_file, &h->ca_file) || !copy(o->proxy, &h->proxy) || !copy(o->agent, &h->agent)) {
        cloud_http_free(h);
        return o->host->fail(o->inst, TD_E_NOMEM, "out of memory");
    }
    *ret = h;
    return TD_OK;
}

static void free_session(struct cloud_session *s)
{
    for (struct cloud_running *r = s->free, *next; r; r = next) {
        next = r->next;
        curl_easy_cleanup(r->easy);
        free(r);
    }
    curl_multi_cleanup(s->multi);
    free(s);
}

void cloud_http_free(struct cloud_http *h)
{
    if (!h)
        return;
    for (struct cloud_session *s = h->idle, *next; s; s = next) {
        next = s->next;
        free_session(s);
    }
    pthread_mutex_destroy(&h->lock);
    free(h->ca_file);
    free(h->proxy);
    free(h->agent);
    free(h);
    curl_global_cleanup();
}

/* ---- Sessions ---- */

int cloud_http_take(struct cloud_http *h, struct cloud_session **ret)
{
    pthread_mutex_lock(&h->lock);
    struct cloud_session *s = h->idle;
    if (s) {
        h->idle = s->next;
        h->idle_n--;
    }
    pthread_mutex_unlock(&h->lock);
    if (!s) {
        s = calloc(1, sizeof(*s));
        CURLM *multi = s ? curl_multi_init() : NULL;
        if (!multi) {
            free(s);
            return fail_nomem(h);
        }
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)MAX_KEPT);
        *s = (struct cloud_session){.http = h, .multi = multi};
    }
    *ret = s;
    return TD_OK;
}

void cloud_http_give(struct cloud_http *h, struct cloud_session *s)
{
    if (!s)
        return;
    while (s->running)
        cloud_stop(s, s->running->x);
    pthread_mutex_lock(&h->lock);
    bool keep = h->idle_n < MAX_IDLE;
    if (keep) {
        s->next = h->idle;
        h->idle = s;
        h->idle_n++;
    }
    pthread_mutex_unlock(&h->lock);
    if (!keep)
        free_session(s);
}

/* ---- Exchanges ---- */

void cloud_exchange_clear(struct cloud_exchange *x)
{
    cloud_text_clear(&x->head);
    cloud_text_clear(&x->answer);
}

const char *cloud_header(struct cloud_exchange *x, const char *name)
{
    size_t n = strlen(name);
    /* Lines that a former call has cut are put together again. */
    for (size_t i = 0; i < x->head.n; i++)
        if (!x->head.p[i])
            x->head.p[i] = '\n';
    for (char *line = x->head.p, *end = x->head.p ? line + x->head.n : NULL; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line)), *last = stop ? stop : end;
        if ((size_t)(last - line) > n && line[n] == ':' && strncasecmp(line, name, n) == 0) {
            char *value = line + n + 1;
            while (value < last && (*value == ' ' || *value == '\t'))
                value++;
            while (last > value && (last[-1] == ' ' || last[-1] == '\t' || last[-1] == '\r'))
                last--;
            *last = 0;
            return value;
        }
        line = last + 1;
    }
    return NULL;
}

/* The libcurl side, from those that are free, or made. */
static struct cloud_running *take_running(struct cloud_session *s)
{
    struct cloud_running *r = s->free;
    if (r) {
        s->free = r->next;
        return r;
    }
    r = calloc(1, sizeof(*r));
    if (r)
        r->easy = curl_easy_init();
    if (r && !r->easy) {
        free(r);
        return NULL;
    }
    return r;
}

/* Some are credentials. */
static void free_headers(struct curl_slist *headers)
{
    for (struct curl_slist *each = headers; each; each = each->next)
        explicit_bzero(each->data, strlen(each->data));
    curl_slist_free_all(headers);
}

/* The exchange is done; its libcurl side goes to those that are free, unless it was ended before its time: then libcurl (7.88) may keep a
 * buffer with it and refuses to set its size again. */
static void release(struct cloud_session *s, struct cloud_running *r)
{
    struct cloud_running **at = &s->running;
    while (*at && *at != r)
        at = &(*at)->next;
    if (*at) {
        *at = r->next;
        curl_multi_remove_handle(s->multi, r->easy);
    }
    bool keep = r->x->failure == TD_OK && !r->x->stopped;
    r->x->done = true;
    r->x->private = NULL;
    r->x = NULL;
    if (keep)
        curl_easy_reset(r->easy);
    else
        curl_easy_cleanup(r->easy);
    free_headers(r->headers);
    r->headers = NULL;
    r->next = s->free;
    if (keep)
        s->free = r;
    else
        free(r);
}

int cloud_start(struct cloud_session *s, struct cloud_exchange *x)
{
    struct cloud_http *h = s->http;
    struct cloud_running *r = take_running(s);
    if (!r)
        return fail_nomem(h);
    x->done = false;
    x->status = 0;
    x->failure = x->stopped = 0;
    x->sent = x->received = 0;
    x->length = -1;
    x->head.n = x->answer.n = 0;
    x->private = r;
    r->http = h;
    r->x = x;
    r->began_ns = r->moved_ns = r->paced_ns = cloud_monotonic_ns();
    r->moved_bytes = r->paced_bytes = r->read_at = r->heard = 0;
    r->heard_all = false;
    int code = cloud_describe(r);
    if (code == CURLE_OK && curl_multi_add_handle(s->multi, r->easy) != CURLM_OK)
        code = CURLE_OUT_OF_MEMORY;
    if (code != CURLE_OK) {
        cloud_explain(r, code);
        release(s, r);
        return h->host->fail(h->inst, x->failure, "%s", x->why);
    }
    r->next = s->running;
    s->running = r;
    return TD_OK;
}

void cloud_stop(struct cloud_session *s, struct cloud_exchange *x)
{
    struct cloud_running *r = x->private;
    if (!r || x->done)
        return;
    cloud_set_failure(x, TD_E_CANCELLED, "stopped");
    release(s, r);
}

/* ---- Waiting ---- */

static void finish(struct cloud_session *s, struct cloud_running *r, CURLcode code)
{
    long status = 0;
    curl_off_t length = -1, sent = 0;
    curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(r->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(r->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    r->x->status = (unsigned)status;
    r->x->length = length;
    r->x->sent = (uint64_t)sent;
    /* An end within the head is as good as any for libcurl, if nothing was said of a body. */
    bool whole = r->heard_all && status >= 200;
    if (code == CURLE_OK && !whole)
        cloud_set_failure(r->x, TD_E_RETRY, "the connection was closed within the answer's head");
    if (whole)
        atomic_store_explicit(&r->http->spoke_http, true, memory_order_relaxed);
    cloud_explain(r, (int)code);
    release(s, r);
}

/* How many have ended. */
static unsigned reap(struct cloud_session *s)
{
    unsigned n = 0;
    int left;
    for (const CURLMsg *m; (m = curl_multi_info_read(s->multi, &left));) {
        struct cloud_running *r = NULL;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE || curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &r) != CURLE_OK || !r)
            continue;
        finish(s, r, code);
        n++;
    }
    return n;
}

/* Has an exchange taken too long? */
static bool is_late(struct cloud_running *r, int64_t now_ns)
{
    struct cloud_exchange *x = r->x;
    curl_off_t sent = 0, ready_us = 0;
    curl_easy_getinfo(r->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(r->easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
    x->sent = (uint64_t)sent;
    uint64_t bytes = x->sent + x->received + r->heard;
    /* Until there is a connection its own time limit holds. */
    if (bytes != r->moved_bytes || !ready_us) {
        r->moved_bytes = bytes;
        r->moved_ns = now_ns;
    }
    if (bytes - r->paced_bytes >= CLOUD_LEAST_BYTES || !ready_us) {
        r->paced_bytes = bytes;
        r->paced_ns = now_ns;
    }
    int64_t idle_ns = r->http->idle_ns, pace_ns = PACE_TIMES * idle_ns;
    const char *moves = x->sent < x->body_n ? "could be sent" : "came";
    if (x->deadline_ns && now_ns - r->began_ns > x->deadline_ns)
        cloud_set_failure(x, TD_E_RETRY, "no whole answer within %lld ms", (long long)(x->deadline_ns / ns_per_ms));
    else if (now_ns - r->moved_ns > idle_ns)
        cloud_set_failure(x, TD_E_RETRY, "not a byte %s for %lld ms", moves, (long long)(idle_ns / ns_per_ms));
    else if (!x->deadline_ns && now_ns - r->paced_ns > pace_ns)
        cloud_set_failure(x, TD_E_RETRY, "only %llu bytes %s within %lld ms", (unsigned long long)(bytes - r->paced_bytes), moves,
                          (long long)(pace_ns / ns_per_ms));
    return x->failure != TD_OK && !x->stopped;
}

static unsigned end_late(struct cloud_session *s, int64_t now_ns)
{
    unsigned n = 0;
    for (struct cloud_running *r = s->running, *next; r; r = next) {
        next = r->next;
        if (!is_late(r, now_ns))
            continue;
        r->x->status = 0;
        release(s, r);
        n++;
    }
    return n;
}

static int wait_for_one(struct cloud_session *s, int64_t timeout_ns, bool even_if_cancelled)
{
    const struct cloud_http *h = s->http;
    int64_t end_ns = cloud_monotonic_ns() + timeout_ns;
    for (;;) {
        int running;
        if (!even_if_cancelled && h->host->cancelled(h->inst))
            return h->host->fail(h->inst, TD_E_CANCELLED, "told to stop");
        if (curl_multi_perform(s->multi, &running) != CURLM_OK)
            return fail_nomem(h);
        int64_t now_ns = cloud_monotonic_ns();
        unsigned done = reap(s);
        done += end_late(s, now_ns);
        if (done || !s->running || now_ns >= end_ns)
            return TD_OK;
        int64_t left_ms = (end_ns - now_ns + ns_per_ms - 1) / ns_per_ms, idle_ms = h->idle_ns / (4 * ns_per_ms) + 1;
        int64_t poll_ms = left_ms < POLL_MS ? left_ms : POLL_MS;
        curl_multi_poll(s->multi, NULL, 0, (int)(poll_ms < idle_ms ? poll_ms : idle_ms), NULL);
    }
}

int cloud_wait(struct cloud_session *s, int64_t timeout_ns)
{
    return wait_for_one(s, timeout_ns, false);
}

int cloud_run(struct cloud_session *s, struct cloud_exchange *x)
{
    const struct cloud_http *h = s->http;
    int status = cloud_start(s, x);
    while (status == TD_OK && !x->done)
        status = wait_for_one(s, ns_per_s, x->cleans_up);
    if (status != TD_OK) {
        cloud_stop(s, x);
        return status;
    }
    if (x->stopped)
        return x->stopped;
    if (x->failure == TD_OK || x->cleans_up)
        return x->failure;
    return h->host->fail(h->inst, x->failure, "%s", x->why);
}
