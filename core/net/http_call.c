/* One call of the HTTP client: request, redirects to the same server, answer, and what went wrong. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/units.h"
#include "net/http_answer.h"
#include "net/http_client_internal.h"

enum { MAX_REDIRECTS = 5, POLL_MS = 100, READ_SIZE = 512 << 10 };

/* Why a transfer was ended by us. */
enum stop { STOP_NONE, STOP_CALLER, STOP_ENOUGH, STOP_HEAD, STOP_CANCEL, STOP_IDLE };

struct run {
    struct http_client *client;
    const struct http_call *call;
    struct http_result *result;
    struct error *err;
    const char *url;           /* that is asked now */
    struct curl_slist *fields; /* of the request */
    bool failed;               /* a field or an option could not be set */
    enum stop stop;
    int status;                  /* of the caller's function, or of the head; then err has its text */
    int64_t begin_ns, active_ns; /* monotonic; active: 0 until the request is sent */
    curl_off_t moved;            /* bytes up and down that `active_ns` knows of */
    char why[CURL_ERROR_SIZE];
    /* Of the answer: */
    bool answered; /* its head is there */
    bool chunked, coded, has_range;
    size_t head_bytes;
    struct http_content_range range;
    int64_t body_bytes;
    struct buf problem;
};

static int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static bool is_cancelled(const struct run *r)
{
    return r->client->cancel && atomic_load(r->client->cancel);
}

static bool is_success(const struct run *r)
{
    return r->result->status >= 200 && r->result->status < 300;
}

/* Says what was asked of whom in front of the error. */
static int told(struct run *r, int status)
{
    error_prefix(r->err, "%s %.300s: ", r->call->method, r->url);
    return status;
}

/* ---- The answer ---- */

static void forget_answer(struct run *r)
{
    struct http_result *res = r->result;
    *res = (struct http_result){.length = -1, .range_first = -1, .range_size = -1, .retry_after_s = -1, .began_ns = res->began_ns};
    r->answered = r->chunked = r->coded = r->has_range = false;
    r->body_bytes = 0;
    buf_reset(&r->problem);
}

static int end_head(struct run *r, const char *what)
{
    r->stop = STOP_HEAD;
    r->status = error_set(r->err, TD_E_CORRUPT, "%s", what);
    return told(r, r->status);
}

static int take_field(struct run *r, struct td_slice name, struct td_slice value)
{
    struct http_result *res = r->result;
    int64_t length;
    if (td_eq_nocase(name, TD_LIT("Content-Length"))) {
        if (!http_number_parse(value, &length) || (res->length >= 0 && res->length != length))
            return end_head(r, "the length of the answer cannot be understood");
        res->length = length;
    } else if (td_eq_nocase(name, TD_LIT("Transfer-Encoding"))) {
        r->chunked = true;
    } else if (td_eq_nocase(name, TD_LIT("Content-Encoding"))) {
        r->coded = !td_eq_nocase(value, TD_LIT("identity"));
    } else if (td_eq_nocase(name, TD_LIT("Content-Range"))) {
        r->has_range = http_content_range_parse(value, &r->range);
    } else if (td_eq_nocase(name, TD_LIT("ETag"))) {
        if (!http_etag_parse(value, res->etag, sizeof(res->etag)))
            res->etag[0] = '\0';
    } else if (td_eq_nocase(name, TD_LIT("Retry-After"))) {
        if (!http_number_parse(value, &res->retry_after_s))
            res->retry_after_s = -1;
    }
    return TD_OK;
}

/* A part has to be the part that was asked for: who puts files together relies on it. */
static int check_part(struct run *r)
{
    const struct http_call *call = r->call;
    struct http_result *res = r->result;
    if (res->status != 206)
        return TD_OK;
    if (!r->has_range || call->range_n == 0)
        return end_head(r, call->range_n ? "the part that it sends cannot be told" : "it sends a part, and was asked for all");
    if ((uint64_t)r->range.first != call->range_first || (uint64_t)r->range.n > call->range_n ||
        (res->length >= 0 && res->length != r->range.n))
        return end_head(r, "it sends another part than was asked for");
    res->range_first = r->range.first;
    res->range_size = r->range.size;
    return TD_OK;
}

static int check_framing(struct run *r)
{
    bool has_body = strcmp(r->call->method, "HEAD") != 0 && r->result->status != 204;
    const char *why = NULL;
    if (has_body && !r->chunked && r->result->length < 0)
        why = "the end of its answer could not be told from a broken connection; it needs HTTP/1.1";
    if (r->coded && has_body && !r->call->compressed)
        why = "it sends the answer encoded, which nobody asked for";
    if (r->chunked || r->coded)
        r->result->length = -1;
    if (!why)
        return TD_OK;
    r->stop = STOP_HEAD;
    r->status = error_set(r->err, TD_E_UNSUPPORTED, "%s", why);
    return told(r, r->status);
}

static int take_head(struct run *r)
{
    long status = 0;
    curl_easy_getinfo(r->client->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200) {
        forget_answer(r); /* 100 Continue: the answer comes yet */
        return TD_OK;
    }
    r->result->status = (unsigned)status;
    r->answered = true;
    if (!is_success(r))
        return TD_OK;
    int good = check_part(r);
    if (good == TD_OK)
        good = check_framing(r);
    if (good == TD_OK && r->call->head) {
        good = r->status = r->call->head(r->call->ctx, r->result, r->err);
        if (good != TD_OK)
            r->stop = STOP_CALLER;
    }
    return good;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    struct run *r = ctx;
    struct td_slice line = td_bytes(p, size * n), name, value;
    int status = TD_OK;
    r->active_ns = now_ns();
    r->head_bytes += line.n;
    if (r->head_bytes > HTTP_CLIENT_HEAD)
        status = end_head(r, "the head of its answer is too long");
    else if (r->answered) /* fields behind the last chunk */
        status = TD_OK;
    else if (td_starts(line, TD_LIT("HTTP/"))) {
        forget_answer(r);
        r->result->answered_ns = clock_ns(CLOCK_REALTIME);
    } else if (line.n <= 2 && line.n > 0 && (line.p[0] == '\r' || line.p[0] == '\n'))
        status = take_head(r);
    else if (http_field_split(line, &name, &value))
        status = take_field(r, name, value);
    r->active_ns = now_ns(); /* the caller may have taken its time */
    return status == TD_OK ? line.n : 0;
}

/* Of other answers only the beginning is looked at; a redirect's body is not. */
static size_t take_problem(struct run *r, struct td_slice bytes)
{
    size_t room = HTTP_CLIENT_PROBLEM - r->problem.n;
    buf_put_slice(&r->problem, td_sub(bytes, 0, room));
    if (bytes.n <= room)
        return bytes.n;
    r->stop = STOP_ENOUGH;
    return 0;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct run *r = ctx;
    struct td_slice bytes = td_bytes(p, size * n);
    if (!is_success(r))
        return take_problem(r, bytes);
    r->body_bytes += (int64_t)bytes.n;
    if (r->call->write)
        r->status = r->call->write(r->call->ctx, bytes, r->err);
    else if (r->body_bytes > HTTP_CLIENT_DISCARD)
        r->stop = STOP_ENOUGH;
    if (r->status != TD_OK)
        r->stop = STOP_CALLER;
    else if (is_cancelled(r)) /* libcurl gives us up to a hundred full buffers before it comes back */
        r->stop = STOP_CANCEL;
    r->active_ns = now_ns();
    return r->stop == STOP_NONE ? bytes.n : 0;
}

/* ---- The request ---- */

static int on_request(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
    struct run *r = ctx;
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    r->active_ns = now_ns();
    r->result->began_ns = clock_ns(CLOCK_REALTIME);
    return CURL_PREREQFUNC_OK;
}

/* A whole field; what would begin another line is refused. */
static void add_field(struct run *r, const char *field)
{
    struct curl_slist *longer = strpbrk(field, "\r\n") ? NULL : curl_slist_append(r->fields, field);
    r->failed = r->failed || !longer;
    r->fields = longer ? longer : r->fields;
}

static void __attribute__((format(printf, 2, 3))) add_fieldf(struct run *r, const char *fmt, ...)
{
    char field[1024];
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(field, sizeof(field), fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof(field))
        r->failed = true;
    else
        add_field(r, field);
}

static void add_fields(struct run *r)
{
    const struct http_call *call = r->call;
    uint64_t first = call->range_first, n = call->range_n;
    if (r->client->authorization)
        add_field(r, r->client->authorization);
    if (call->accept)
        add_fieldf(r, "Accept: %s", call->accept);
    if (n && n - 1 <= UINT64_MAX - first)
        add_fieldf(r, "Range: bytes=%" PRIu64 "-%" PRIu64, first, first + n - 1);
    else if (n)
        add_fieldf(r, "Range: bytes=%" PRIu64 "-", first);
    if (n && call->if_range)
        add_fieldf(r, "If-Range: \"%s\"", call->if_range);
    if (call->body.n)
        add_fieldf(r, "Content-Type: %s", call->body_type ? call->body_type : "application/json");
}

/* libcurl asks again by itself if a kept connection turns out to be dead, which might do a thing twice (RFC 9110 section 9.2.2). */
static bool may_repeat(const char *method)
{
    return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

#define set(r, option, value) ((r)->failed = (r)->failed || curl_easy_setopt((r)->client->easy, (option), (value)) != CURLE_OK)

static void set_method(struct run *r)
{
    const struct http_call *call = r->call;
    if (strcmp(call->method, "HEAD") == 0) {
        set(r, CURLOPT_NOBODY, 1L);
    } else if (call->body.n || strcmp(call->method, "POST") == 0 || strcmp(call->method, "PUT") == 0) {
        set(r, CURLOPT_POST, 1L);
        set(r, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
        set(r, CURLOPT_POSTFIELDS, call->body.n ? (const char *)call->body.p : "");
        set(r, CURLOPT_CUSTOMREQUEST, call->method);
    } else if (strcmp(call->method, "GET") != 0) {
        set(r, CURLOPT_CUSTOMREQUEST, call->method);
    }
}

static void set_trust(struct run *r)
{
    set(r, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (!r->client->ca)
        return;
    set(r, CURLOPT_CAINFO, r->client->ca);
    set(r, CURLOPT_CAPATH, NULL); /* or the system's would be trusted as well */
}

static void set_options(struct run *r)
{
    struct http_client *c = r->client;
    curl_easy_reset(c->easy);
    set(r, CURLOPT_ERRORBUFFER, r->why);
    set(r, CURLOPT_NOSIGNAL, 1L);
    set(r, CURLOPT_PROTOCOLS_STR, "http,https");
    set(r, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set(r, CURLOPT_PROXY, "");
    set(r, CURLOPT_PATH_AS_IS, 1L);
    set(r, CURLOPT_QUICK_EXIT, 1L); /* a name that is looked up does not hold up the end */
    set(r, CURLOPT_TCP_KEEPALIVE, 1L);
    set(r, CURLOPT_MAXAGE_CONN, 30L); /* servers end what idles for longer, maybe in the moment of a request */
    set(r, CURLOPT_FRESH_CONNECT, may_repeat(r->call->method) ? 0L : 1L);
    set(r, CURLOPT_CONNECTTIMEOUT, (long)c->connect_s);
    set(r, CURLOPT_BUFFERSIZE, (long)READ_SIZE);
    set(r, CURLOPT_USERAGENT, c->agent);
    set(r, CURLOPT_PREREQFUNCTION, on_request);
    set(r, CURLOPT_PREREQDATA, r);
    set(r, CURLOPT_HEADERFUNCTION, on_header);
    set(r, CURLOPT_HEADERDATA, r);
    set(r, CURLOPT_WRITEFUNCTION, on_body);
    set(r, CURLOPT_WRITEDATA, r);
    set(r, CURLOPT_HTTPHEADER, r->fields);
    if (r->call->compressed)
        set(r, CURLOPT_ACCEPT_ENCODING, ""); /* all that libcurl can unpack */
    set_method(r);
    set_trust(r);
    set(r, CURLOPT_URL, r->url);
}

/* ---- Running it ---- */

static bool must_stop(struct run *r)
{
    curl_off_t up = 0, down = 0;
    int64_t now = now_ns();
    if (is_cancelled(r))
        r->stop = STOP_CANCEL;
    curl_easy_getinfo(r->client->easy, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(r->client->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
    if (r->active_ns && up + down != r->moved)
        r->active_ns = now;
    r->moved = up + down;
    if (r->stop == STOP_NONE && r->active_ns && now - r->active_ns > (int64_t)r->client->idle_s * NS_PER_S)
        r->stop = STOP_IDLE;
    return r->stop != STOP_NONE;
}

static CURLcode outcome(struct http_client *c)
{
    int left;
    CURLcode code = CURLE_OK;
    for (const CURLMsg *m; (m = curl_multi_info_read(c->multi, &left)) != NULL;)
        if (m->msg == CURLMSG_DONE)
            code = m->data.result;
    return code;
}

/* One request and its answer. The loop is ours and not curl_easy_perform(), which looks up only once a second. */
static CURLcode transfer(struct run *r)
{
    struct http_client *c = r->client;
    int running = 1;
    CURLcode code = CURLE_ABORTED_BY_CALLBACK;
    r->active_ns = r->moved = 0;
    if (curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        return CURLE_OUT_OF_MEMORY;
    while (!must_stop(r)) {
        CURLMcode status = curl_multi_perform(c->multi, &running);
        if (status == CURLM_OK && running)
            status = curl_multi_poll(c->multi, NULL, 0, POLL_MS, NULL);
        if (status != CURLM_OK) {
            code = CURLE_OUT_OF_MEMORY;
            break;
        }
        if (!running) {
            code = outcome(c);
            break;
        }
    }
    curl_multi_remove_handle(c->multi, c->easy);
    return code;
}

/* ---- What came of it ---- */

static int transfer_error(struct run *r, CURLcode code)
{
    const char *why = r->why[0] ? r->why : curl_easy_strerror(code);
    switch (code) {
    case CURLE_OUT_OF_MEMORY: return error_nomem(r->err);
    case CURLE_URL_MALFORMAT: return error_set(r->err, TD_E_CONFIG, "%s", why);
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(r->err, TD_E_CONFIG, "%s; check the file with the CAs, %s", why, r->client->ca ? r->client->ca : "the system's");
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return error_set(r->err, TD_E_DENIED, "its certificate is not trusted: %s; configure the CA that signed it", why);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT: return error_set(r->err, TD_E_RETRY, "cannot be reached: %s", why);
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(r->err, TD_E_RETRY, "cannot be reached: no connection within %u s", r->client->connect_s);
    case CURLE_SSL_CONNECT_ERROR: return error_set(r->err, TD_E_RETRY, "no TLS connection: %s", why);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return error_set(r->err, TD_E_CORRUPT, "the answer cannot be understood: %s", why);
    default: return error_set(r->err, TD_E_RETRY, "broken off%s: %s", r->answered ? " in its answer" : "", why);
    }
}

static int stop_error(struct run *r)
{
    if (r->stop == STOP_CANCEL)
        return error_set(r->err, TD_E_CANCELLED, "cancelled");
    return error_set(r->err, TD_E_RETRY, "not a byte came for %u s", r->client->idle_s);
}

static int status_error(struct run *r)
{
    struct http_result *res = r->result;
    struct http_problem problem = {.code = ""};
    http_problem_parse(buf_slice(&r->problem), &problem);
    memcpy(res->code, problem.code, sizeof(res->code));
    return error_set(r->err, http_status_error(res->status), "%s (%u%s%s)",
                     problem.detail[0] ? problem.detail : MHD_get_reason_phrase_for(res->status), res->status, problem.code[0] ? " " : "",
                     problem.code);
}

/* A body that ended by the rules of HTTP can still not be the part that its head told of. */
static int check_end(struct run *r)
{
    if (r->result->status == 206 && r->call->write && r->body_bytes != r->range.n)
        return told(r, error_set(r->err, TD_E_RETRY, "broken off: %" PRId64 " of %" PRId64 " bytes", r->body_bytes, r->range.n));
    return TD_OK;
}

static int finish(struct run *r, CURLcode code)
{
    if (r->stop == STOP_CALLER || r->stop == STOP_HEAD)
        return r->status;
    if (r->stop == STOP_CANCEL || r->stop == STOP_IDLE)
        return told(r, stop_error(r));
    if (r->stop != STOP_ENOUGH && code != CURLE_OK)
        return told(r, transfer_error(r, code));
    if (!r->answered) /* libcurl takes an end within the head for one of the answer */
        return told(r, error_set(r->err, TD_E_RETRY, "broken off in the head of its answer"));
    if (!is_success(r))
        return told(r, status_error(r));
    return check_end(r);
}

/* ---- Redirects ---- */

static bool is_redirect(unsigned status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* Where to go on, on the same server; NULL: nowhere. mem: curl_free(). */
static char *redirect(struct run *r, int *ret_status)
{
    char *to = NULL;
    bool reads = strcmp(r->call->method, "GET") == 0 || strcmp(r->call->method, "HEAD") == 0;
    if (!is_redirect(r->result->status) || curl_easy_getinfo(r->client->easy, CURLINFO_REDIRECT_URL, &to) != CURLE_OK || !to)
        return NULL;
    if (reads && http_same_origin(r->client->url, to)) {
        CURLU *copy = curl_url(); /* libcurl's own goes with the next request */
        char *text = NULL;
        if (!copy || curl_url_set(copy, CURLUPART_URL, to, 0) != CURLUE_OK || curl_url_get(copy, CURLUPART_URL, &text, 0) != CURLUE_OK)
            *ret_status = error_nomem(r->err);
        curl_url_cleanup(copy);
        return text;
    }
    *ret_status = told(r, error_set(r->err, TD_E_CONFIG, "it sends us on to %.200s; configure that address if it is the right one", to));
    return NULL;
}

static int ask(struct run *r)
{
    char *next = NULL;
    int status = TD_OK;
    for (unsigned n = 0;; n++) {
        forget_answer(r);
        r->head_bytes = 0;
        r->stop = STOP_NONE;
        r->why[0] = '\0';
        set_options(r);
        if (r->failed) {
            status = told(r, error_set(r->err, TD_E_CONFIG, "the request cannot be made of what it was given, or memory is short"));
            break;
        }
        CURLcode code = transfer(r);
        char *to = code == CURLE_OK || r->stop == STOP_ENOUGH ? redirect(r, &status) : NULL;
        if (status == TD_OK && !to)
            status = finish(r, code);
        else if (status == TD_OK && n == MAX_REDIRECTS)
            status = told(r, error_set(r->err, TD_E_INTERNAL, "it sends us in a circle"));
        if (to) {
            curl_free(next);
            r->url = next = to;
        }
        if (!to || status != TD_OK)
            break;
    }
    curl_free(next);
    return status;
}

/* Without a slash it would go on with the name of the host. */
static bool is_path(const char *path)
{
    for (const char *p = path; *p; p++)
        if ((uint8_t)*p <= ' ' || *p == 0x7f || *p == '#')
            return false;
    return path[0] == '/';
}

int http_client_run(struct http_client *c, const struct http_call *call, struct http_result *ret, struct error *err)
{
    struct error own = {.text = ""};
    struct buf url = {.n = 0};
    struct run r = {.client = c, .call = call, .result = ret, .err = err ? err : &own, .problem = {.max = HTTP_CLIENT_PROBLEM}};
    *ret = (struct http_result){.length = -1, .range_first = -1, .range_size = -1, .retry_after_s = -1};
    buf_puts(&url, c->url);
    buf_puts(&url, call->path);
    r.url = buf_cstr(&url);
    r.failed = !is_path(call->path);
    add_fields(&r);
    int status = url.failed ? error_nomem(err) : ask(&r);
    curl_slist_free_all(r.fields);
    curl_easy_reset(c->easy); /* it points to what ends here */
    buf_clear(&r.problem);
    buf_clear(&url);
    return status;
}
