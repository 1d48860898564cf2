#include "base/clock.h"
#include "hub/nodes.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <arpa/inet.h>
#include <jansson.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "net/http_client.h"

enum { THREADS = 8, ANSWER_MAX = 4 << 20, CONNECT_S = 3, IDLE_S = 10, DEFAULT_INTERVAL_S = 3, DEFAULT_LOOKUP_S = 30 };

/* A worker, or a name to be looked up. All but what `busy` gives to one thread is under the lock. */
struct target {
    struct target *next;
    struct target *source; /* the name that it comes from; NULL: the configuration */
    bool is_name, busy, gone, asked, mark;
    int64_t due_ns; /* monotonic */
    struct node node;
    struct node_clock clock;
    struct http_client *client; /* [busy] */
};

struct nodes {
    char *agent;
    int64_t interval_ns, lookup_ns;
    pthread_mutex_t lock;
    pthread_cond_t work, asked;
    struct target *first;
    size_t count;
    pthread_t threads[THREADS];
    size_t thread_count;
    atomic_bool stop;
};

const char *node_health_name(enum node_health health)
{
    static const char *const names[] = {"unknown", "capturing", "failing", "unreachable"};
    return names[health];
}

/* ---- Clocks ---- */

void node_clock_add(struct node_clock *c, int64_t asked_ns, int64_t answered_ns, int64_t theirs_ns)
{
    int64_t took_ns, offset_ns;
    if (answered_ns < asked_ns || __builtin_sub_overflow(answered_ns, asked_ns, &took_ns) ||
        __builtin_sub_overflow(theirs_ns, asked_ns + took_ns / 2, &offset_ns))
        return;
    c->offset_ns[c->n % NODE_CLOCK_SAMPLES] = offset_ns;
    c->error_ns[c->n % NODE_CLOCK_SAMPLES] = took_ns / 2 + 1;
    c->n++;
}

bool node_clock_best(const struct node_clock *c, int64_t *ret_offset_ns, int64_t *ret_error_ns)
{
    unsigned n = c->n < NODE_CLOCK_SAMPLES ? c->n : NODE_CLOCK_SAMPLES, best = 0;
    for (unsigned i = 1; i < n; i++)
        if (c->error_ns[i] < c->error_ns[best])
            best = i;
    *ret_offset_ns = n ? c->offset_ns[best] : INT64_MAX;
    *ret_error_ns = n ? c->error_ns[best] : INT64_MAX;
    return n > 0;
}

/* ---- Asking a worker ---- */

static void take_text(const json_t *object, const char *key, char *out, size_t n)
{
    const char *text = json_string_value(json_object_get(object, key));
    snprintf(out, n, "%s", text ? text : "");
}

static uint64_t take_number(const json_t *object, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(object, key));
    return v > 0 ? (uint64_t)v : 0;
}

static bool take_time(const json_t *object, const char *key, int64_t *ret)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text && units_parse_time(text, 0, ret);
}

static int ask(struct http_client *client, const char *path, json_t **ret, struct http_result *res, struct error *err)
{
    struct buf body;
    json_error_t why;
    buf_init(&body, ANSWER_MAX);
    int status = http_client_get(client, path, ANSWER_MAX, &body, res, err);
    if (status == TD_OK) {
        *ret = json_loadb(body.n ? (const char *)body.p : "", body.n, JSON_REJECT_DUPLICATES, &why);
        if (!json_is_object(*ret)) {
            json_decref(*ret);
            status = error_set(err, TD_E_CORRUPT, "its answer to %s is none of a worker: %.100s", path, *ret ? "no object" : why.text);
        }
    }
    buf_clear(&body);
    return status;
}

/* What it says of itself. */
static int ask_node(struct http_client *client, struct node *node, struct node_clock *clock, struct error *err)
{
    struct http_result res;
    json_t *answer = NULL;
    char state[32];
    int64_t theirs_ns;
    int status = ask(client, "/api/v1/node", &answer, &res, err);
    if (status != TD_OK)
        return status;
    take_text(answer, "node", node->name, sizeof(node->name));
    take_text(answer, "version", node->version, sizeof(node->version));
    take_text(answer, "reason", node->reason, sizeof(node->reason));
    take_text(answer, "status", state, sizeof(state));
    node->health = strcmp(state, "capturing") == 0 ? NODE_CAPTURING : NODE_FAILING;
    if (take_time(answer, "now", &theirs_ns))
        node_clock_add(clock, res.began_ns, res.answered_ns, theirs_ns);
    node_clock_best(clock, &node->clock_offset_ns, &node->clock_error_ns);
    node->seen_ns = res.answered_ns;
    json_decref(answer);
    return *node->name ? TD_OK : error_set(err, TD_E_CORRUPT, "it does not say its name");
}

static int ask_boundaries(struct http_client *client, struct node *node, struct error *err)
{
    struct http_result res;
    json_t *answer = NULL;
    int status = ask(client, "/api/v1/data-boundaries", &answer, &res, err);
    if (status != TD_OK)
        return status;
    node->has_packets = take_time(answer, "oldest", &node->oldest_ns) && take_time(answer, "newest", &node->newest_ns);
    node->has_cover = take_time(answer, "covered_from", &node->covered_from_ns) && take_time(answer, "covered_to", &node->covered_to_ns);
    node->packets = take_number(answer, "packets");
    node->dropped_by_kernel = take_number(answer, "dropped_by_kernel");
    node->dropped_by_interface = take_number(answer, "dropped_by_interface");
    node->dropped_by_disk = take_number(answer, "dropped_by_disk");
    json_decref(answer);
    return TD_OK;
}

/* [busy] What is known becomes what it says now, or that it says nothing. */
static void ask_worker(struct nodes *ns, struct target *t)
{
    struct error err = {.text = ""};
    struct node node = t->node;
    struct node_clock clock = t->clock;
    const struct http_client_options o = {.url = t->node.url,
                                          .token = t->node.token,
                                          .ca = t->node.ca,
                                          .agent = ns->agent,
                                          .connect_s = CONNECT_S,
                                          .idle_s = IDLE_S,
                                          .cancel = &ns->stop};
    int status = t->client ? TD_OK : http_client_new(&o, &t->client, &err);
    if (status == TD_OK)
        status = ask_node(t->client, &node, &clock, &err);
    if (status == TD_OK)
        status = ask_boundaries(t->client, &node, &err);
    if (atomic_load(&ns->stop))
        return;
    pthread_mutex_lock(&ns->lock);
    enum node_health before = t->node.health;
    t->clock = clock;
    if (status == TD_OK) {
        t->node = node;
    } else {
        t->node.health = NODE_UNREACHABLE;
        snprintf(t->node.reason, sizeof(t->node.reason), "%.*s", NODE_REASON - 1, err.text);
    }
    enum node_health now = t->node.health;
    pthread_mutex_unlock(&ns->lock);
    if (now == NODE_UNREACHABLE && before != now)
        log_event(TD_LOG_WARN, "hub", "worker %s: %s", t->node.url, err.text);
    else if (now != before)
        log_event(now == NODE_CAPTURING ? TD_LOG_INFO : TD_LOG_WARN, "hub", "worker %s, node %s: %s%s%s", node.url, node.name,
                  node_health_name(now), *node.reason ? ": " : "", node.reason);
}

/* ---- The list; with the lock held ---- */

static void free_target(struct target *t)
{
    http_client_free(t->client);
    if (t->node.token)
        explicit_bzero(t->node.token, strlen(t->node.token));
    mem_free(t->node.token);
    mem_free(t->node.ca);
    mem_free(t);
}

/* A copy; NULL stays NULL, and "" becomes it. */
static bool copy_text(const char *text, char **ret)
{
    *ret = text && *text ? mem_strdup(text) : NULL;
    return *ret || !text || !*text;
}

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static struct target *find(struct nodes *ns, const char *url, const struct target *source)
{
    for (struct target *t = ns->first; t; t = t->next)
        if (!t->gone && t->source == source && strcmp(t->node.url, url) == 0)
            return t;
    return NULL;
}

/* The target of this URL stays, or comes. */
static int keep(struct nodes *ns, const char *url, struct target *source, const char *token, const char *ca, struct error *err)
{
    struct target *t = find(ns, url, source);
    if (t && same_text(t->node.token, token) && same_text(t->node.ca, ca)) {
        t->mark = true;
        return TD_OK;
    }
    if (ns->count >= NODES_MAX)
        return error_set(err, TD_E_LIMIT, "there are more than %d workers", NODES_MAX);
    t = mem_calloc(1, sizeof(*t));
    if (!t || !copy_text(token, &t->node.token) || !copy_text(ca, &t->node.ca)) {
        if (t)
            free_target(t);
        return error_nomem(err);
    }
    snprintf(t->node.url, sizeof(t->node.url), "%s", url);
    t->node.clock_offset_ns = t->node.clock_error_ns = INT64_MAX;
    t->source = source;
    t->is_name = !source && strncmp(url, "dns:", 4) == 0;
    t->mark = true;
    t->next = ns->first;
    ns->first = t;
    ns->count++;
    return TD_OK;
}

/* Those of `source` that were not kept go, and with a name what comes from it. */
static void drop_unmarked(struct nodes *ns, const struct target *source)
{
    for (struct target *t = ns->first; t; t = t->next)
        if (t->source == source && !t->mark) {
            t->gone = true;
            for (struct target *of = ns->first; t->is_name && of; of = of->next)
                of->gone |= of->source == t;
        }
}

static void free_gone(struct nodes *ns)
{
    for (struct target **at = &ns->first; *at;) {
        struct target *t = *at;
        bool used = t->busy;
        for (const struct target *of = ns->first; of && !used; of = of->next)
            used = of->source == t;
        if (!t->gone || used) {
            at = &t->next;
            continue;
        }
        *at = t->next;
        ns->count--;
        free_target(t);
    }
}

static void unmark(struct nodes *ns, const struct target *source)
{
    for (struct target *t = ns->first; t; t = t->next)
        if (t->source == source)
            t->mark = false;
}

/* ---- Names ---- */

static void address_url(const struct addrinfo *a, const char *port, char url[NODE_URL])
{
    char text[INET6_ADDRSTRLEN] = "";
    bool six = a->ai_family == AF_INET6;
    const void *bytes = six ? (const void *)&((const struct sockaddr_in6 *)(const void *)a->ai_addr)->sin6_addr
                            : (const void *)&((const struct sockaddr_in *)(const void *)a->ai_addr)->sin_addr;
    inet_ntop(a->ai_family, bytes, text, sizeof(text));
    snprintf(url, NODE_URL, six ? "http://[%s]:%s" : "http://%s:%s", text, port);
}

/* [busy] A name that cannot be looked up keeps the addresses that it had. */
static void look_up(struct nodes *ns, struct target *t)
{
    char name[NODE_URL], url[NODE_URL];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *list = NULL;
    struct error err = {.text = ""};
    int status = TD_OK;
    snprintf(name, sizeof(name), "%s", t->node.url + strlen("dns:"));
    char *port = strrchr(name, ':');
    *port++ = '\0';
    int failure = getaddrinfo(name, port, &hints, &list);
    pthread_mutex_lock(&ns->lock);
    bool known = t->node.health == NODE_UNREACHABLE;
    t->node.health = failure ? NODE_UNREACHABLE : NODE_UNKNOWN;
    snprintf(t->node.reason, sizeof(t->node.reason), "%s%.300s", failure ? "the name cannot be looked up: " : "",
             failure ? gai_strerror(failure) : "");
    unmark(ns, t);
    for (const struct addrinfo *a = list; a && status == TD_OK && !t->gone; a = a->ai_next)
        if (a->ai_family == AF_INET || a->ai_family == AF_INET6) {
            address_url(a, port, url);
            status = keep(ns, url, t, t->node.token, t->node.ca, &err);
        }
    if (!failure && status == TD_OK)
        drop_unmarked(ns, t);
    pthread_cond_broadcast(&ns->work);
    pthread_mutex_unlock(&ns->lock);
    if (list)
        freeaddrinfo(list);
    if (failure && !known)
        log_event(TD_LOG_WARN, "hub", "%s: the name cannot be looked up: %s", t->node.url, gai_strerror(failure));
    if (status != TD_OK)
        log_event(TD_LOG_WARN, "hub", "%s: %s", t->node.url, err.text);
}

int nodes_check_spec(const char *spec, struct error *err)
{
    bool dns = strncmp(spec, "dns:", 4) == 0, http = strncmp(spec, "http://", 7) == 0, https = strncmp(spec, "https://", 8) == 0;
    const char *host = spec + (dns ? 4 : http ? 7 : 8), *colon = strrchr(spec, ':');
    size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
    unsigned long port = digits && digits <= 5 ? strtoul(colon + 1, NULL, 10) : 0;
    bool good = (dns || http || https) && *host && *host != ':' && *host != '/' && strlen(spec) < NODE_URL - 64;
    for (const char *p = spec; *p; p++)
        good = good && *p > ' ' && *p < 0x7f;
    if (good && dns)
        good = colon > host && port >= 1 && port <= 65535 && !colon[1 + digits] && !memchr(host, '/', strlen(host));
    return good ? TD_OK
                : error_set(
                      err, TD_E_CONFIG,
                      "\"%.100s\" is no worker: write http://HOST:PORT, https://HOST:PORT, or dns:NAME:PORT for every address of a name",
                      spec);
}

/* ---- Threads ---- */

/* [lock held] The one that waits longest; *ret_due_ns is when the next will. */
static struct target *next_due(struct nodes *ns, int64_t *ret_due_ns)
{
    int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
    struct target *best = NULL;
    *ret_due_ns = now_ns + 3600 * (int64_t)NS_PER_S;
    for (struct target *t = ns->first; t; t = t->next) {
        if (t->busy || t->gone)
            continue;
        if (t->due_ns < *ret_due_ns)
            *ret_due_ns = t->due_ns;
        if (t->due_ns <= now_ns && (!best || t->due_ns < best->due_ns))
            best = t;
    }
    return best;
}

static void *run(void *arg)
{
    struct nodes *ns = arg;
    int64_t due_ns;
    pthread_mutex_lock(&ns->lock);
    while (!atomic_load(&ns->stop)) {
        struct target *t = next_due(ns, &due_ns);
        if (!t) {
            const struct timespec until = {.tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S};
            pthread_cond_timedwait(&ns->work, &ns->lock, &until);
            continue;
        }
        t->busy = true;
        pthread_mutex_unlock(&ns->lock);
        if (t->is_name)
            look_up(ns, t);
        else
            ask_worker(ns, t);
        pthread_mutex_lock(&ns->lock);
        t->busy = false;
        t->asked = true;
        t->due_ns = clock_ns(CLOCK_MONOTONIC) + (t->is_name ? ns->lookup_ns : ns->interval_ns);
        free_gone(ns);
        pthread_cond_broadcast(&ns->asked);
    }
    pthread_mutex_unlock(&ns->lock);
    return NULL;
}

/* As many as there is something to ask, up to THREADS; signals are for others. */
static int start_threads(struct nodes *ns, const struct nodes_source *v, size_t n, struct error *err)
{
    sigset_t all, old;
    int failure = 0;
    size_t wanted = n;
    for (size_t i = 0; i < n; i++)
        if (strncmp(v[i].spec, "dns:", 4) == 0)
            wanted = THREADS; /* nobody knows how many it will be */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    while (!failure && ns->thread_count < THREADS && ns->thread_count < wanted)
        if ((failure = pthread_create(&ns->threads[ns->thread_count], NULL, run, ns)) == 0)
            ns->thread_count++;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return failure && !ns->thread_count ? error_set(err, TD_E_NOMEM, "cannot start a thread: %s", strerror(failure)) : TD_OK;
}

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

int nodes_open(const struct nodes_options *o, struct nodes **ret, struct error *err)
{
    struct nodes *ns = mem_calloc(1, sizeof(*ns));
    if (!ns)
        return error_nomem(err);
    pthread_mutex_init(&ns->lock, NULL);
    init_cond(&ns->work);
    init_cond(&ns->asked);
    ns->interval_ns = o->interval_ns ? o->interval_ns : DEFAULT_INTERVAL_S * (int64_t)NS_PER_S;
    ns->lookup_ns = o->lookup_ns ? o->lookup_ns : DEFAULT_LOOKUP_S * (int64_t)NS_PER_S;
    int status = copy_text(o->agent, &ns->agent) ? TD_OK : error_nomem(err);
    if (status == TD_OK)
        status = nodes_set_sources(ns, o->sources, o->source_count, err);
    if (status == TD_OK)
        *ret = ns;
    else
        nodes_close(ns);
    return status;
}

/* [lock held] Those that were put in front of `first` go again; nobody has asked them yet. */
static void take_back(struct nodes *ns, const struct target *first)
{
    for (struct target *t; (t = ns->first) != first; ns->count--) {
        ns->first = t->next;
        free_target(t);
    }
}

int nodes_set_sources(struct nodes *ns, const struct nodes_source *v, size_t n, struct error *err)
{
    int status = TD_OK;
    for (size_t i = 0; i < n && status == TD_OK; i++)
        status = nodes_check_spec(v[i].spec, err);
    if (status == TD_OK)
        status = start_threads(ns, v, n, err);
    if (status != TD_OK)
        return status;
    pthread_mutex_lock(&ns->lock);
    const struct target *first = ns->first;
    unmark(ns, NULL);
    for (size_t i = 0; i < n && status == TD_OK; i++)
        status = keep(ns, v[i].spec, NULL, v[i].token, v[i].ca, err);
    if (status == TD_OK) {
        drop_unmarked(ns, NULL);
        free_gone(ns);
    } else {
        take_back(ns, first);
    }
    pthread_cond_broadcast(&ns->work);
    pthread_mutex_unlock(&ns->lock);
    return status;
}

void nodes_close(struct nodes *ns)
{
    if (!ns)
        return;
    pthread_mutex_lock(&ns->lock);
    atomic_store(&ns->stop, true);
    pthread_cond_broadcast(&ns->work);
    pthread_mutex_unlock(&ns->lock);
    for (size_t i = 0; i < ns->thread_count; i++)
        pthread_join(ns->threads[i], NULL);
    for (struct target *t = ns->first, *next; t; t = next) {
        next = t->next;
        free_target(t);
    }
    pthread_cond_destroy(&ns->work);
    pthread_cond_destroy(&ns->asked);
    pthread_mutex_destroy(&ns->lock);
    mem_free(ns->agent);
    mem_free(ns);
}

/* ---- Asking ---- */

static int compare(const void *a, const void *b)
{
    const struct node *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name ? by_name : strcmp(x->url, y->url);
}

/* A name that has given addresses is no node. */
static bool is_listed(const struct target *t)
{
    return !t->gone && (!t->is_name || t->node.health == NODE_UNREACHABLE);
}

int nodes_list(struct nodes *ns, struct node **ret, size_t *ret_n, struct error *err)
{
    size_t n = 0;
    pthread_mutex_lock(&ns->lock);
    struct node *v = mem_calloc(ns->count + 1, sizeof(*v));
    bool good = v != NULL;
    for (const struct target *t = ns->first; good && t; t = t->next) {
        if (!is_listed(t))
            continue;
        v[n] = t->node;
        good = copy_text(t->node.token, &v[n].token);
        good = copy_text(t->node.ca, &v[n].ca) && good;
        n++;
    }
    pthread_mutex_unlock(&ns->lock);
    if (!good) {
        nodes_list_free(v, n);
        return error_nomem(err);
    }
    qsort(v, n, sizeof(*v), compare);
    *ret = v;
    *ret_n = n;
    return TD_OK;
}

void nodes_list_free(struct node *v, size_t n)
{
    for (size_t i = 0; v && i < n; i++) {
        if (v[i].token)
            explicit_bzero(v[i].token, strlen(v[i].token));
        mem_free(v[i].token);
        mem_free(v[i].ca);
    }
    mem_free(v);
}

bool nodes_wait_asked(struct nodes *ns, int64_t timeout_ns)
{
    int64_t until_ns = clock_ns(CLOCK_MONOTONIC) + timeout_ns;
    const struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};
    bool all = false, timeout = false;
    pthread_mutex_lock(&ns->lock);
    while (!all && !timeout) {
        all = true;
        for (const struct target *t = ns->first; t; t = t->next)
            all = all && (t->asked || t->gone);
        if (!all)
            timeout = pthread_cond_timedwait(&ns->asked, &ns->lock, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&ns->lock);
    return all;
}
