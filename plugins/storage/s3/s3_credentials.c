/* The keys in force, and their renewal.
 *
 * How long keys hold is counted from the moment they came, by the server's clock and ours since then, so that a clock that is wrong here
 * neither renews them all the time nor lets them expire; what it does to signatures, the bucket's answers tell. */
#include "s3_credentials.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "s3_chain.h"

static const int64_t ns_per_s = 1000000000, ns_per_ms = 1000000;
enum {
    RENEW_BEFORE_S = 300,    /* before keys expire; at the latest in the last quarter of their time */
    READ_AGAIN_AFTER_S = 60, /* files, which somebody may replace */
    TRY_AGAIN_AFTER_S = 30,  /* a renewal, while the old keys hold */
    POLL_MS = 100,           /* between questions whether to stop */
};

/* A text that was given out stays: places are few. */
struct source {
    struct source *next;
    char text[];
};

struct s3_credentials {
    struct td_inst *inst;
    const struct td_host *host;
    struct s3_chain chain; /* constant */
    pthread_mutex_t lock;  /* of all that follows */
    pthread_cond_t asked;  /* somebody's asking has ended */
    struct s3_keys keys;
    bool has_keys;
    bool refused; /* for having expired: only others are good */
    enum s3_origin origin;
    int64_t renew_ns, hold_ns; /* when they are to be renewed, and until when they hold: by now_ns(); INT64_MAX: never, for ever */
    bool asking;
    uint64_t asked_n;          /* how often; */
    struct s3_trouble trouble; /* what the last one came to */
    bool told;                 /* that keys cannot be renewed */
    struct source *sources, *source;
};

/* Goes on while the machine sleeps, as the keys' time does. */
static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * ns_per_s + now.tv_nsec;
}

/* ---- Life ---- */

static void init_condition(pthread_cond_t *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attributes);
    pthread_condattr_destroy(&attributes);
}

int s3_credentials_new(const struct s3_credentials_options *o, struct s3_credentials **ret)
{
    struct s3_trouble t = {0};
    struct s3_credentials *c = calloc(1, sizeof(*c));
    if (!c)
        return o->host->fail(o->inst, TD_E_NOMEM, "out of memory");
    c->inst = o->inst;
    c->host = o->host;
    pthread_mutex_init(&c->lock, NULL);
    init_condition(&c->asked);
    int status = s3_chain_init(&c->chain, o, &t);
    if (status != TD_OK) {
        s3_credentials_free(c);
        return o->host->fail(o->inst, status, "%s", t.text);
    }
    *ret = c;
    return TD_OK;
}

void s3_credentials_free(struct s3_credentials *c)
{
    if (!c)
        return;
    for (struct source *s = c->sources, *next; s; s = next) {
        next = s->next;
        free(s);
    }
    s3_chain_clear(&c->chain);
    pthread_cond_destroy(&c->asked);
    pthread_mutex_destroy(&c->lock);
    explicit_bzero(c, sizeof(*c));
    free(c);
}

/* ---- Renewal; the lock is held ---- */

static void note_source(struct s3_credentials *c, const char *text)
{
    size_t n = strlen(text);
    for (struct source *s = c->sources; s; s = s->next) {
        if (strcmp(s->text, text) == 0) {
            c->source = s;
            return;
        }
    }
    struct source *s = malloc(sizeof(*s) + n + 1);
    if (!s)
        return;
    memcpy(s->text, text, n + 1);
    s->next = c->sources;
    c->sources = c->source = s;
}

static bool are_same(const struct s3_keys *a, const struct s3_keys *b)
{
    return strcmp(a->access_key, b->access_key) == 0 && strcmp(a->secret_key, b->secret_key) == 0 && strcmp(a->token, b->token) == 0;
}

static int64_t later(int64_t at_ns, int64_t by_ns)
{
    return by_ns > INT64_MAX - at_ns ? INT64_MAX : at_ns + by_ns;
}

static void set_times(struct s3_credentials *c, const struct s3_found *f)
{
    int64_t now = now_ns(), left = f->lifetime_ns;
    if (left == INT64_MAX) {
        c->hold_ns = INT64_MAX;
        c->renew_ns = f->origin == S3_FROM_FILE ? now + READ_AGAIN_AFTER_S * ns_per_s : INT64_MAX;
        return;
    }
    if (left <= 0) {
        /* A service that is in trouble itself gives old keys, and their receivers may take them all the same. They decide. */
        c->hold_ns = INT64_MAX;
        c->renew_ns = now + TRY_AGAIN_AFTER_S * ns_per_s;
        return;
    }
    int64_t before = left / 4 < RENEW_BEFORE_S * ns_per_s ? left / 4 : RENEW_BEFORE_S * ns_per_s;
    c->hold_ns = later(now, left);
    c->renew_ns = c->hold_ns - before;
}

static bool hold(const struct s3_credentials *c, int64_t now)
{
    return c->has_keys && !c->refused && now < c->hold_ns;
}

static void install(struct s3_credentials *c, const struct s3_found *f)
{
    if (c->refused && are_same(&c->keys, &f->keys)) {
        /* A file is not going to be replaced within seconds; what a service gives may change. */
        s3_trouble(&c->trouble, f->origin == S3_FROM_SERVICE ? TD_E_RETRY : TD_E_DENIED,
                   "%s: the keys have expired, and there are no others yet; get new ones", f->source);
        return;
    }
    c->keys = f->keys;
    c->has_keys = true;
    c->refused = c->told = false;
    c->origin = f->origin;
    set_times(c, f);
    note_source(c, f->source);
    c->trouble.status = TD_OK;
}

/* They are not renewed: the old ones may hold for a while. */
static void postpone(struct s3_credentials *c)
{
    int64_t now = now_ns();
    /* Where keys came from before, there will be some again. */
    if (c->trouble.status == TD_E_NOT_FOUND)
        c->trouble.status = c->has_keys ? TD_E_RETRY : TD_E_DENIED;
    if (!hold(c, now) || c->trouble.status == TD_E_CANCELLED)
        return;
    int64_t left = c->hold_ns - now, pause = left / 4 < TRY_AGAIN_AFTER_S * ns_per_s ? left / 4 : TRY_AGAIN_AFTER_S * ns_per_s;
    c->renew_ns = now + pause;
    if (!c->told && left < INT64_MAX / 2)
        c->host->log(c->inst, TD_LOG_WARN, "credentials cannot be renewed, the old ones hold for %lld s: %s", (long long)(left / ns_per_s),
                     c->trouble.text);
    else if (!c->told)
        c->host->log(c->inst, TD_LOG_WARN, "credentials cannot be renewed, the old ones are used: %s", c->trouble.text);
    c->told = true;
}

/* One thread asks, without the lock. */
static void ask(struct s3_credentials *c)
{
    struct s3_found found = {0};
    struct s3_trouble trouble = {0};
    c->asking = true;
    pthread_mutex_unlock(&c->lock);
    int status = s3_chain_find(&c->chain, &found, &trouble);
    pthread_mutex_lock(&c->lock);
    c->asking = false;
    c->asked_n++;
    c->trouble = trouble;
    if (status == TD_OK)
        install(c, &found);
    if (c->trouble.status != TD_OK)
        postpone(c);
    s3_found_clear(&found);
    pthread_cond_broadcast(&c->asked);
}

/* ---- Getting ---- */

static void wait_a_little(struct s3_credentials *c)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + POLL_MS * ns_per_ms;
    until.tv_sec += (time_t)(ns / ns_per_s);
    until.tv_nsec = (long)(ns % ns_per_s);
    pthread_cond_timedwait(&c->asked, &c->lock, &until);
}

/* Until there are keys, or somebody's asking that ended after this began has failed; the lock is held. */
static int get(struct s3_credentials *c, struct s3_keys *ret, struct s3_trouble *t)
{
    for (uint64_t before = c->asked_n;; wait_a_little(c)) {
        int64_t now = now_ns();
        bool do_hold = hold(c, now);
        if ((!do_hold || now >= c->renew_ns) && !c->asking && c->asked_n == before) {
            ask(c);
            do_hold = hold(c, now_ns());
        }
        if (do_hold) {
            *ret = c->keys;
            return TD_OK;
        }
        if (c->asked_n != before && !c->asking && c->trouble.status != TD_OK && c->trouble.status != TD_E_CANCELLED) {
            *t = c->trouble;
            return t->status;
        }
        if (c->host->cancelled(c->inst))
            return s3_trouble(t, TD_E_CANCELLED, "told to stop");
        if (!c->asking)
            before = c->asked_n; /* it was told to stop, or its keys have expired already: this thread's turn */
    }
}

int s3_credentials_get(struct s3_credentials *c, struct s3_keys *ret)
{
    struct s3_trouble t = {0};
    pthread_mutex_lock(&c->lock);
    int status = get(c, ret, &t);
    pthread_mutex_unlock(&c->lock);
    return status == TD_OK ? TD_OK : c->host->fail(c->inst, status, "%s", t.text);
}

bool s3_credentials_expired(struct s3_credentials *c, const struct s3_keys *keys)
{
    pthread_mutex_lock(&c->lock);
    bool others = c->origin != S3_FROM_MEMORY && c->has_keys;
    if (others && are_same(&c->keys, keys))
        c->refused = true;
    pthread_mutex_unlock(&c->lock);
    return others;
}

bool s3_credentials_replaced(struct s3_credentials *c, const struct s3_keys *keys)
{
    pthread_mutex_lock(&c->lock);
    bool from_file = c->origin == S3_FROM_FILE && c->has_keys;
    while (from_file && c->asking)
        wait_a_little(c);
    if (from_file && are_same(&c->keys, keys))
        ask(c);
    bool others = from_file && !are_same(&c->keys, keys);
    pthread_mutex_unlock(&c->lock);
    return others;
}

const char *s3_credentials_source(struct s3_credentials *c)
{
    pthread_mutex_lock(&c->lock);
    const char *text = c->source ? c->source->text : "nowhere yet";
    pthread_mutex_unlock(&c->lock);
    return text;
}
