/* What libmicrohttpd calls: a request comes, is checked, is given to its handler, is over. */
#include <inttypes.h>
#include <stdlib.h>
#include <strings.h>

#include <netinet/in.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "net/http_exchange.h"

enum { MAX_ARENA = 64 << 10, MAX_LOGGED_TARGET = 200, MAX_METHOD = 32 };

static void parse_target(struct http_request *r, const char *uri)
{
    size_t n = strlen(uri);
    r->text = arena_strndup(&r->arena, uri, n < MAX_LOGGED_TARGET ? n : MAX_LOGGED_TARGET);
    char *text = n <= HTTP_MAX_TARGET ? arena_strndup(&r->arena, uri, n) : NULL;
    if (n > HTTP_MAX_TARGET) {
        r->target_status = 414;
        error_set(&r->target_error, TD_E_LIMIT, "the address is longer than %d bytes", HTTP_MAX_TARGET);
    } else if (!text || !r->text) {
        r->target_status = 503;
        error_nomem(&r->target_error);
    } else if (http_target_parse(text, &r->target, &r->target_error) != TD_OK) {
        r->target_status = 400;
    }
    if (!r->text)
        r->text = arena_strndup(&r->arena, "", 0);
}

static void note_client(struct http_request *r)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (address && address->sa_family == AF_INET)
        ip_format((const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr, 4, r->client);
    else if (address && address->sa_family == AF_INET6)
        ip_format((const uint8_t *)&((const struct sockaddr_in6 *)address)->sin6_addr, 6, r->client);
}

void *http_on_begin(void *cls, const char *uri, struct MHD_Connection *connection)
{
    struct http_request *r = mem_calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->server = cls;
    r->connection = connection;
    r->begin_ns = http_now_ns();
    r->method = "";
    arena_init(&r->arena, MAX_ARENA);
    note_client(r);
    parse_target(r, uri);
    atomic_fetch_add(&r->server->requests, 1);
    return r;
}

/* ---- The head: is it well-formed, known, allowed? Each check puts a problem as the answer if not. ---- */

struct measure {
    size_t bytes;
};

static enum MHD_Result measure_field(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value, size_t value_n)
{
    struct measure *m = cls;
    (void)kind;
    (void)name;
    (void)value;
    m->bytes += name_n + value_n + 4; /* ": " and the line's end */
    return MHD_YES;
}

/* Methods go into logs as they are: libmicrohttpd takes anything without a space for one. */
static bool is_method(const char *text)
{
    size_t n = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
    return n > 0 && n <= MAX_METHOD && !text[n];
}

static bool check_form(struct http_request *r)
{
    struct measure m = {0};
    MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, measure_field, &m);
    if (!is_method(r->method)) {
        r->method = "-";
        http_reply_problem(r, 400, "invalid_method", "the method is not one: up to %d capital letters", MAX_METHOD);
    } else if (r->target_status == 400)
        http_reply_problem(r, 400, "invalid_address", "%s", r->target_error.text);
    else if (r->target_status == 414)
        http_reply_problem(r, 414, "address_too_long", "%s", r->target_error.text);
    else if (r->target_status)
        http_reply_problem(r, r->target_status, "out_of_memory", "%s", r->target_error.text);
    else if (m.bytes > HTTP_MAX_HEAD)
        http_reply_problem(r, 431, "head_too_long", "the header fields have %zu bytes; %d are the most", m.bytes, HTTP_MAX_HEAD);
    return r->reply.kind == HTTP_REPLY_NONE;
}

/* Methods of a path for the Allow field: "GET, HEAD, POST". */
static void add_allowed(struct buf *allowed, const char *method)
{
    bool get = strcmp(method, "GET") == 0;
    if (allowed->n && memmem(allowed->p, allowed->n, method, strlen(method)))
        return;
    if (allowed->n)
        buf_lit(allowed, ", ");
    buf_puts(allowed, get ? "GET, HEAD" : method);
}

static bool find_route(struct http_request *r)
{
    struct http_server *s = r->server;
    const char *method = http_head_only(r) ? "GET" : r->method;
    struct buf allowed = {.max = 256};
    for (size_t i = 0; i < s->set_count; i++) {
        for (size_t k = 0; k < s->sets[i].n; k++) {
            const struct http_route *route = &s->sets[i].routes[k];
            if (!http_target_fits(&r->target, route->path))
                continue;
            if (strcmp(route->method, method) == 0) {
                r->route = route;
                r->ctx = s->sets[i].ctx;
                buf_clear(&allowed);
                return true;
            }
            add_allowed(&allowed, route->method);
        }
    }
    if (allowed.n) {
        http_reply_header(r, "Allow", "%s", buf_cstr(&allowed));
        http_reply_problem(r, 405, "method_not_allowed", "this path knows the methods %s, not %.32s", buf_cstr(&allowed), r->method);
    } else {
        http_reply_problem(r, 404, "unknown_path", "there is nothing at this path");
    }
    buf_clear(&allowed);
    return false;
}

static bool check_crowd(struct http_request *r)
{
    const struct http_connection *c = http_connection_of(r->connection);
    if (r->route->needs == HTTP_ANYONE || (c && !c->too_many))
        return true;
    http_reply_header(r, "Retry-After", "5");
    http_reply_header(r, "Connection", "close"); /* its place is wanted */
    http_reply_problem(r, 503, "too_many_connections", "there are more than %u connections; close some, or try again later",
                       r->server->max_connections);
    return false;
}

/* Role and name of the token that the client has shown; HTTP_ANYONE: none that is known. All tokens are compared, so that the time does not
 * tell which of them is near. Without tokens everybody may do everything. */
static enum http_role find_role(struct http_request *r, char name[HTTP_TOKEN_NAME + 1], bool *ret_open)
{
    struct http_server *s = r->server;
    enum http_role role = HTTP_ANYONE;
    pthread_mutex_lock(&s->lock);
    *ret_open = s->token_count == 0;
    r->rights = atomic_load(&s->rights);
    for (size_t i = 0; i < s->token_count; i++) {
        if (token_same(&s->tokens[i].token, &r->shown) && s->tokens[i].role > role) {
            role = s->tokens[i].role;
            memcpy(name, s->tokens[i].name, sizeof(s->tokens[i].name));
        }
    }
    pthread_mutex_unlock(&s->lock);
    return *ret_open ? HTTP_ADMIN : role;
}

bool http_still_admitted(struct http_request *r)
{
    char name[HTTP_TOKEN_NAME + 1]; /* what it was let in with is what is logged */
    bool open;
    return atomic_load(&r->server->rights) == r->rights || find_role(r, name, &open) >= r->route->needs;
}

static struct td_slice bearer_token(const char *authorization)
{
    if (!authorization || strncasecmp(authorization, "Bearer ", 7) != 0)
        return td_bytes(NULL, 0);
    authorization += 7 + strspn(authorization + 7, " ");
    return td_bytes(authorization, strcspn(authorization, " \t"));
}

/* Without a token, whoever reaches the loopback interface may ask everything. A web page elsewhere can have a browser here do that under
 * the page's own name (DNS rebinding); under a name of this machine it cannot. */
static bool is_own_name(const char *host)
{
    size_t n = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    static const char *const names[] = {"localhost", "[::1]"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strlen(names[i]) == n && strncasecmp(host, names[i], n) == 0)
            return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == n;
}

/* A web page elsewhere can also have a browser send requests to localhost. It gets no answer, but what they ask for would be done; only
 * the field Origin tells (RFC 6454 section 7). */
static bool is_own_origin(const char *origin)
{
    size_t scheme = strncasecmp(origin, "http://", 7) == 0 ? 7 : strncasecmp(origin, "https://", 8) == 0 ? 8 : 0;
    return scheme && is_own_name(origin + scheme);
}

static bool check_rights(struct http_request *r)
{
    bool open;
    const char *origin = http_header(r, "Origin");
    const char *host = http_header(r, "Host"), *authorization = http_header(r, "Authorization");
    struct td_slice shown = bearer_token(authorization);
    token_init(&r->shown, shown);
    r->role = find_role(r, r->token_name, &open);
    if (r->route->needs == HTTP_ANYONE)
        return true;
    if (open && host && !is_own_name(host)) {
        http_reply_problem(
            r, 421, "foreign_name",
            "without a token this server is only for its own machine, under the name localhost, not %.64s; configure a token", host);
    } else if (open && origin && !is_own_origin(origin)) {
        http_reply_problem(r, 403, "foreign_origin",
                           "without a token this server takes nothing from web pages of other machines, as %.64s; configure a token",
                           origin);
    } else if (r->role == HTTP_ANYONE) {
        http_reply_header(r, "WWW-Authenticate", "Bearer realm=\"tapedeck\"%s", shown.n ? ", error=\"invalid_token\"" : "");
        http_reply_problem(r, 401, shown.n ? "token_unknown" : "token_missing",
                           "%s; send \"Authorization: Bearer TOKEN\" with a token of the server's configuration",
                           shown.n ? "this token is not known here" : "this needs a token");
    } else if (r->role < r->route->needs) {
        http_reply_problem(r, 403, "role_too_low", "this needs the role %s; the token has the role %s", http_role_name(r->route->needs),
                           http_role_name(r->role));
    }
    return r->reply.kind == HTTP_REPLY_NONE;
}

uint64_t http_body_length(const struct http_request *r)
{
    const char *length = http_header(r, "Content-Length");
    if (http_header(r, "Transfer-Encoding"))
        return UINT64_MAX;
    return length ? strtoull(length, NULL, 10) : 0;
}

static void refuse_body(struct http_request *r)
{
    if (r->route->max_body)
        http_reply_problem(r, 413, "body_too_long", "the body is longer than %zu bytes", r->route->max_body);
    else
        http_reply_problem(r, 413, "body_too_long", "a request of this kind has no body");
}

/* ---- The handler ---- */

static void answer_error(struct http_request *r, int status, struct error *err)
{
    err->status = status;
    http_reply_error(r, err);
}

static void run_handler(struct http_request *r)
{
    struct error err = {.text = ""};
    bool end = r->sinking;
    int status = end ? r->sink.end(r->sink.ctx, r, &err) : r->route->handle(r->ctx, r, &err);
    if (status != TD_OK)
        answer_error(r, status, &err);
    else if (r->reply.kind == HTTP_REPLY_NONE && (end || !r->sinking))
        http_reply_problem(r, 500, "internal_error", "the handler gave no answer");
}

static void close_sink(struct http_request *r)
{
    if (r->sink.close)
        r->sink.close(r->sink.ctx);
    r->sink = (struct http_sink){0};
    r->sinking = false;
}

void http_take_body(struct http_request *r, const struct http_sink *sink)
{
    r->sink = *sink;
    r->sinking = true;
}

static void check_head(struct http_request *r)
{
    struct error err;
    if (!check_form(r) || !find_route(r) || !check_crowd(r) || !check_rights(r))
        return;
    uint64_t length = http_body_length(r);
    if (http_target_check(&r->target, r->route->parameters, &err) != TD_OK)
        http_reply_problem(r, 400, "invalid_parameter", "%s", err.text);
    else if (r->route->max_body == HTTP_BODY_TAKEN)
        run_handler(r);
    else if (length > r->route->max_body && length != UINT64_MAX)
        refuse_body(r);
}

/* ---- The body, and the answer ---- */

static void listening(struct http_request *r, bool yes)
{
    struct http_connection *c = http_connection_of(r->connection);
    if (c)
        atomic_store(&c->listening_since_ns, yes ? http_now_ns() : 0);
}

/* A long body takes its time; one of which nothing comes does not get it. */
static void pass_body(struct http_request *r, const char *p, size_t n)
{
    struct error err = {.text = ""};
    int status = r->sink.take(r->sink.ctx, r, td_bytes(p, n), &err);
    if (status != TD_OK)
        answer_error(r, status, &err);
    if (r->reply.kind != HTTP_REPLY_NONE)
        close_sink(r);
    if ((r->taken + n) / HTTP_PROGRESS != r->taken / HTTP_PROGRESS)
        listening(r, true);
    r->taken += n;
}

static enum MHD_Result take_body(struct http_request *r, const char *p, size_t n)
{
    if (r->reply.kind == HTTP_REPLY_NONE && r->sinking) {
        pass_body(r, p, n);
        return MHD_YES;
    }
    if (r->reply.kind == HTTP_REPLY_NONE && n > r->route->max_body - r->body.n)
        refuse_body(r);
    if (r->reply.kind == HTTP_REPLY_NONE) {
        buf_put(&r->body, p, n);
        if (r->body.failed)
            http_reply_problem(r, 503, "out_of_memory", "out of memory");
        return MHD_YES;
    }
    r->discarded += n;
    return r->discarded <= HTTP_DISCARD ? MHD_YES : MHD_NO;
}

enum MHD_Result http_on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                                const char *upload, size_t *upload_n, void **request)
{
    struct http_request *r = *request;
    (void)cls;
    (void)connection;
    (void)url;
    if (!r)
        return MHD_NO; /* there was no memory for it */
    if (!r->checked) {
        r->checked = true;
        r->method = method;
        r->old_client = strcmp(version, "HTTP/1.1") != 0;
        check_head(r);
        /* An answer given here ends the connection, so it is only given here if there is a long body to be spared. */
        bool spare = r->reply.kind != HTTP_REPLY_NONE && http_body_length(r) > HTTP_DISCARD && http_body_length(r) != UINT64_MAX;
        if (!spare)
            return MHD_YES;
        listening(r, false);
        return http_reply_send(r);
    }
    if (*upload_n) {
        enum MHD_Result result = take_body(r, upload, *upload_n);
        *upload_n = 0;
        return result;
    }
    listening(r, false);
    if (r->reply.kind == HTTP_REPLY_NONE)
        run_handler(r);
    close_sink(r);
    return http_reply_send(r);
}

/* ---- Its end ---- */

static void log_end(struct http_request *r, enum MHD_RequestTerminationCode why)
{
    static const char *const ends[] = {"", " end=error", " end=timeout", " end=stop", " end=unread", " end=client-left"};
    char duration[UNITS_TEXT];
    units_format_duration(http_now_ns() - r->begin_ns, duration);
    log_event(TD_LOG_DEBUG, r->server->component, "%s %s status=%u bytes=%" PRIu64 " duration=%s client=%s%s", r->method, r->text,
              r->queued ? r->reply.status : 0, r->sent, duration, r->client, (size_t)why < sizeof(ends) / sizeof(ends[0]) ? ends[why] : "");
    if (why == MHD_REQUEST_TERMINATED_TIMEOUT_REACHED && r->queued)
        log_event(TD_LOG_WARN, r->server->component, "%s %s: cut after %" PRIu64 " bytes: client %s took nothing for %u s", r->method,
                  r->text, r->sent, r->client, r->server->idle_s);
}

static void tell_answered(const struct http_request *r, enum MHD_RequestTerminationCode why)
{
    if (!r->server->answered)
        return;
    r->server->answered(r->server->answered_ctx, &(struct http_answered){.who = http_caller(r),
                                                                         .address = r->client,
                                                                         .role = r->role,
                                                                         .method = r->method,
                                                                         .path = r->text ? r->text : "",
                                                                         .route = r->route ? r->route->path : NULL,
                                                                         .status = r->queued ? r->reply.status : 0,
                                                                         .bytes = r->sent,
                                                                         .duration_ns = http_now_ns() - r->begin_ns,
                                                                         .complete = why == MHD_REQUEST_TERMINATED_COMPLETED_OK});
}

void http_on_end(void *cls, struct MHD_Connection *connection, void **request, enum MHD_RequestTerminationCode why)
{
    struct http_request *r = *request;
    (void)cls;
    (void)connection;
    if (!r)
        return;
    *request = NULL;
    listening(r, true);
    log_end(r, why);
    tell_answered(r, why);
    if (r->broken || (r->queued && r->reply.status >= 500))
        atomic_fetch_add(&r->server->failures, 1);
    close_sink(r);
    http_reply_clear(r, true);
    buf_clear(&r->body);
    arena_clear(&r->arena);
    mem_free(r);
}
