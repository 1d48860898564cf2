/* Connections from their first byte to their last: who is too many, who takes too long to say what it wants, and with which certificate
 * we show up. */
#include <errno.h>
#include <time.h>

#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "net/http_exchange.h"

int64_t http_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

static void insert(struct http_server *s, struct http_connection *c)
{
    pthread_mutex_lock(&s->lock);
    c->next = s->connections;
    if (c->next)
        c->next->back = &c->next;
    c->back = &s->connections;
    s->connections = c;
    c->too_many = ++s->connection_count > s->max_connections;
    c->identity = s->identity ? tls_identity_ref(s->identity) : NULL;
    pthread_mutex_unlock(&s->lock);
}

/* libmicrohttpd closes the socket only after it told us: what is in the list is open. */
static void erase(struct http_server *s, struct http_connection *c)
{
    pthread_mutex_lock(&s->lock);
    *c->back = c->next;
    if (c->next)
        c->next->back = c->back;
    s->connection_count--;
    pthread_mutex_unlock(&s->lock);
    tls_identity_unref(c->identity);
    mem_free(c);
}

void http_on_connection(void *cls, struct MHD_Connection *connection, void **context, enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = cls;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*context)
            erase(s, *context);
        *context = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    int fd = info ? info->connect_fd : -1;
    struct http_connection *c = mem_calloc(1, sizeof(*c));
    if (!c) {
        shutdown(fd, SHUT_RDWR); /* it has no limits and no identity */
        return;
    }
    c->fd = fd;
    atomic_init(&c->listening_since_ns, http_now_ns());
    insert(s, c);
    *context = c;
    /* The identity of now, whatever libmicrohttpd was started with; the connection keeps it to its end. */
    info = c->identity ? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    if (info)
        gnutls_credentials_set(info->tls_session, GNUTLS_CRD_CERTIFICATE, c->identity->credentials);
}

struct http_connection *http_connection_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

/* A client that sends a byte now and then is never idle, and could keep a place for ever. */
static void cut_late(struct http_server *s, int64_t now_ns)
{
    for (struct http_connection *c = s->connections; c; c = c->next) {
        int64_t since = atomic_load(&c->listening_since_ns);
        if (since && now_ns - since > (int64_t)s->receive_s * NS_PER_S)
            shutdown(c->fd, SHUT_RDWR);
    }
}

static void *watch(void *cls)
{
    struct http_server *s = cls;
    pthread_mutex_lock(&s->lock);
    while (!atomic_load(&s->stopping)) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        if (pthread_cond_timedwait(&s->stop, &s->lock, &until) == ETIMEDOUT)
            cut_late(s, http_now_ns());
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

int http_watch_start(struct http_server *s, struct error *err)
{
    int reason = pthread_create(&s->watcher, NULL, watch, s);
    if (reason)
        return error_set(err, TD_E_INTERNAL, "cannot start a thread of the HTTP server: %s", strerror(reason));
    s->watched = true;
    return TD_OK;
}

void http_watch_stop(struct http_server *s)
{
    pthread_mutex_lock(&s->lock);
    atomic_store(&s->stopping, true);
    pthread_cond_signal(&s->stop);
    pthread_mutex_unlock(&s->lock);
    if (s->watched)
        pthread_join(s->watcher, NULL);
}
