#include "net/http_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <netinet/in.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/http_exchange.h"

/* ---- Opening ---- */

static bool given(const char *s)
{
    return s && *s;
}

/* What is on the network is somebody's secret: who is not on this machine has to show a token. */
static int check_exposure(const struct http_server_options *o, const struct listen_address *a, struct error *err)
{
    if (a->loopback)
        return TD_OK;
    if (o->token_count == 0)
        return error_set(err, TD_E_CONFIG,
                         "refusing to listen on %s without a token: everybody who reaches it could read the captured traffic; configure a "
                         "token, or listen on loopback: 127.0.0.1:%u",
                         o->listen, ntohs(((const struct sockaddr_in *)&a->address)->sin_port));
    if (o->tls_required && !given(o->tls_certificate))
        return error_set(err, TD_E_CONFIG,
                         "refusing to listen on %s without TLS: token and traffic would cross the network in clear; configure a "
                         "certificate and its key, allow it in clear, or listen on loopback",
                         o->listen);
    return TD_OK;
}

static int read_tokens(const struct http_token *tokens, size_t n, struct http_admission out[HTTP_MAX_TOKENS], struct error *err)
{
    if (n > HTTP_MAX_TOKENS)
        return error_set(err, TD_E_CONFIG, "there are %zu tokens; %d are the most", n, HTTP_MAX_TOKENS);
    for (size_t i = 0; i < n; i++) {
        struct td_slice text = td_str(tokens[i].text);
        int status = token_check(text, err);
        if (status != TD_OK)
            return status;
        token_init(&out[i].token, text);
        out[i].role = tokens[i].role;
        snprintf(out[i].name, sizeof(out[i].name), "%s", tokens[i].name ? tokens[i].name : "");
    }
    return TD_OK;
}

static void put_tokens(struct http_server *s, const struct http_admission *v, size_t n)
{
    pthread_mutex_lock(&s->lock);
    memcpy(s->tokens, v, n * sizeof(v[0]));
    s->token_count = n;
    atomic_fetch_add(&s->rights, 1);
    pthread_mutex_unlock(&s->lock);
}

static int copy_options(struct http_server *s, const struct http_server_options *o, struct error *err)
{
    struct http_admission admissions[HTTP_MAX_TOKENS];
    if (strlen(o->listen) >= sizeof(s->listen))
        return error_set(err, TD_E_CONFIG, "cannot listen on \"%.80s...\": that is not an IP address", o->listen);
    snprintf(s->component, sizeof(s->component), "%s", o->component);
    snprintf(s->listen, sizeof(s->listen), "%s", o->listen);
    s->answered = o->answered;
    s->answered_ctx = o->answered_ctx;
    s->max_connections = o->max_connections ? o->max_connections : HTTP_DEFAULT_CONNECTIONS;
    s->idle_s = o->idle_s ? o->idle_s : HTTP_DEFAULT_IDLE_S;
    s->receive_s = o->receive_s ? o->receive_s : s->idle_s + HTTP_DEFAULT_IDLE_S;
    s->sets = mem_calloc(o->set_count ? o->set_count : 1, sizeof(s->sets[0]));
    if (!s->sets)
        return error_nomem(err);
    for (; s->set_count < o->set_count; s->set_count++)
        s->sets[s->set_count] = o->sets[s->set_count];
    int status = read_tokens(o->tokens, o->token_count, admissions, err);
    if (status == TD_OK)
        put_tokens(s, admissions, o->token_count);
    return status;
}

static int open_identity(struct http_server *s, const struct http_server_options *o, struct error *err)
{
    if (!given(o->tls_certificate) && !given(o->tls_key))
        return TD_OK;
    if (!given(o->tls_certificate) || !given(o->tls_key))
        return error_set(err, TD_E_CONFIG, "TLS needs both a certificate and its key; %s is not configured",
                         given(o->tls_key) ? "the certificate" : "the key");
    int status = tls_identity_read(o->tls_certificate, o->tls_key, &s->first_identity, err);
    if (status == TD_OK)
        s->identity = tls_identity_ref(s->first_identity);
    return status;
}

static int open_socket(struct http_server *s, struct error *err)
{
    char host[LISTEN_HOST_TEXT];
    int status = listen_address_open(&s->address, s->listen, &s->fd, err);
    if (status == TD_OK)
        status = listen_address_of(s->fd, &s->port, host, err);
    if (status == TD_OK)
        snprintf(s->url, sizeof(s->url), "%s://%s:%u", s->first_identity ? "https" : "http", host, s->port);
    return status;
}

static void init_locks(struct http_server *s)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&s->stop, &attributes);
    pthread_condattr_destroy(&attributes);
}

int http_server_open(const struct http_server_options *o, struct http_server **ret, struct error *err)
{
    struct http_server *s = mem_calloc(1, sizeof(*s));
    if (!s)
        return error_nomem(err);
    s->fd = -1;
    init_locks(s);
    int status = listen_address_parse(o->listen, &s->address, err);
    if (status == TD_OK)
        status = check_exposure(o, &s->address, err);
    if (status == TD_OK)
        status = copy_options(s, o, err);
    if (status == TD_OK)
        status = open_identity(s, o, err);
    if (status == TD_OK)
        status = open_socket(s, err);
    if (status == TD_OK)
        *ret = s;
    else
        http_server_stop(s);
    return status;
}

/* ---- Running ---- */

static void __attribute__((format(printf, 2, 0))) log_library(void *cls, const char *fmt, va_list args)
{
    const struct http_server *s = cls;
    char text[512];
    vsnprintf(text, sizeof(text), fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log_event(TD_LOG_DEBUG, s->component, "libmicrohttpd: %s", text);
}

/* We decode targets ourselves: libmicrohttpd takes what is badly encoded as it is. */
static size_t leave_encoded(void *cls, struct MHD_Connection *connection, char *text)
{
    (void)cls;
    (void)connection;
    return strlen(text);
}

int http_server_start(struct http_server *s, struct error *err)
{
    unsigned flags = MHD_USE_POLL_INTERNAL_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    if (s->first_identity) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, s->first_identity->key.p};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, s->first_identity->certificate.p};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"};
    }
    int fd = s->fd;
    s->fd = -1;
    errno = 0;
    s->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, http_on_request, s, MHD_OPTION_EXTERNAL_LOGGER, log_library, s, MHD_OPTION_LISTEN_SOCKET, fd,
        MHD_OPTION_CONNECTION_LIMIT, s->max_connections + HTTP_SPARE_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, s->idle_s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_POOL, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK, leave_encoded,
        s, MHD_OPTION_URI_LOG_CALLBACK, http_on_begin, s, MHD_OPTION_NOTIFY_COMPLETED, http_on_end, s, MHD_OPTION_NOTIFY_CONNECTION,
        http_on_connection, s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (!s->daemon)
        return error_set(err, TD_E_INTERNAL, "cannot start the HTTP server on %s: %s", s->listen,
                         errno ? strerror(errno) : "libmicrohttpd refuses; its reason is in the log at level debug");
    return http_watch_start(s, err);
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    http_watch_stop(s);
    if (s->daemon)
        MHD_stop_daemon(s->daemon);
    if (s->fd >= 0)
        close(s->fd);
    tls_identity_unref(s->identity);
    tls_identity_unref(s->first_identity);
    pthread_cond_destroy(&s->stop);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->sets);
    mem_free(s);
}

uint16_t http_server_port(const struct http_server *s)
{
    return s->port;
}

const char *http_server_url(const struct http_server *s)
{
    return s->url;
}

/* ---- Changes ---- */

struct http_server_change {
    struct http_admission tokens[HTTP_MAX_TOKENS];
    size_t token_count;
    struct tls_identity *identity; /* NULL: none, as before */
};

static int check_tokens(const struct http_server *s, const struct http_token *tokens, size_t n, struct http_admission out[HTTP_MAX_TOKENS],
                        struct error *err)
{
    if (n == 0 && !s->address.loopback)
        return error_set(err, TD_E_CONFIG, "without a token everybody who reaches %s could read the captured traffic; the old tokens stay",
                         s->listen);
    return read_tokens(tokens, n, out, err);
}

int http_server_set_tokens(struct http_server *s, const struct http_token *tokens, size_t n, struct error *err)
{
    struct http_admission admissions[HTTP_MAX_TOKENS];
    int status = check_tokens(s, tokens, n, admissions, err);
    if (status == TD_OK)
        put_tokens(s, admissions, n);
    return status;
}

/* *ret is NULL if there is none, as before. */
static int read_identity(const struct http_server *s, const char *certificate, const char *key, struct tls_identity **ret,
                         struct error *err)
{
    *ret = NULL;
    if (!given(certificate) && !given(key) && !s->first_identity)
        return TD_OK;
    if (!given(certificate) != !given(key))
        return error_set(err, TD_E_CONFIG, "TLS needs both a certificate and its key; %s is not configured",
                         given(key) ? "the certificate" : "the key");
    if (!given(certificate) || !s->first_identity)
        return error_set(err, TD_E_UNSUPPORTED, "TLS can only be turned %s by a restart", given(certificate) ? "on" : "off");
    return tls_identity_read(certificate, key, ret, err);
}

/* Takes it; NULL: nothing changes. */
static void put_identity(struct http_server *s, struct tls_identity *identity)
{
    if (!identity)
        return;
    pthread_mutex_lock(&s->lock);
    struct tls_identity *old = s->identity;
    s->identity = identity;
    pthread_mutex_unlock(&s->lock);
    tls_identity_unref(old);
}

int http_server_set_tls(struct http_server *s, const char *certificate, const char *key, struct error *err)
{
    struct tls_identity *identity;
    int status = read_identity(s, certificate, key, &identity, err);
    if (status == TD_OK)
        put_identity(s, identity);
    return status;
}

int http_server_prepare(struct http_server *s, const struct http_token *tokens, size_t n, const char *certificate, const char *key,
                        struct http_server_change **ret, struct error *err)
{
    struct http_server_change *change = mem_calloc(1, sizeof(*change));
    if (!change)
        return error_nomem(err);
    change->token_count = n;
    int status = check_tokens(s, tokens, n, change->tokens, err);
    if (status == TD_OK)
        status = read_identity(s, certificate, key, &change->identity, err);
    if (status == TD_OK)
        *ret = change;
    else
        http_server_forget(change);
    return status;
}

void http_server_take(struct http_server *s, struct http_server_change *change)
{
    put_tokens(s, change->tokens, change->token_count);
    put_identity(s, change->identity);
    change->identity = NULL;
    http_server_forget(change);
}

void http_server_forget(struct http_server_change *change)
{
    if (change)
        tls_identity_unref(change->identity);
    mem_free(change);
}

void http_server_stats(struct http_server *s, struct http_server_stats *ret)
{
    ret->requests = atomic_load(&s->requests);
    ret->failures = atomic_load(&s->failures);
    ret->sent_bytes = atomic_load(&s->sent_bytes);
    pthread_mutex_lock(&s->lock);
    ret->connections = s->connection_count;
    pthread_mutex_unlock(&s->lock);
}
