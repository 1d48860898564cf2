/* The cloud's life, its status, and the thread that asks what is there. */
#include "cloud/cloud.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "cloud/cloud_internal.h"

/* After a failure it is asked again as soon as this. */
#define AWAY_NS ((int64_t)10 * NS_PER_S)

/* ---- Asking now and then ---- */

int cloud_refresh_unless(struct cloud *c, const atomic_bool *cancel, struct error *err)
{
    struct error unread = {0};
    return catalog_ask(c, cancel, err ? err : &unread);
}

int cloud_refresh(struct cloud *c, struct error *err)
{
    return cloud_refresh_unless(c, NULL, err);
}

static void *ask_often(void *arg)
{
    struct cloud *c = arg;
    struct error why;
    pthread_mutex_lock(&c->lock);
    while (!c->closing && !atomic_load(&c->cancelled)) {
        c->hurry = false;
        c->busy = true;
        pthread_mutex_unlock(&c->lock);
        int status = catalog_ask(c, NULL, &why);
        int64_t ns = run_now() + (status == TD_OK || c->refresh_ns < AWAY_NS ? c->refresh_ns : AWAY_NS);
        const struct timespec until = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
        pthread_mutex_lock(&c->lock);
        c->busy = false;
        c->rounds++;
        pthread_cond_broadcast(&c->asked);
        for (int waited = 0; !c->closing && !c->hurry && waited != ETIMEDOUT;)
            waited = pthread_cond_timedwait(&c->wake, &c->lock, &until);
    }
    c->closing = true; /* it does not ask any more */
    pthread_cond_broadcast(&c->asked);
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* One that runs already may have asked for the folders before what is looked for came: the next one counts. */
void cloud_refresh_soon(struct cloud *c, int64_t most_ns)
{
    int64_t ns = run_now() + most_ns;
    const struct timespec until = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    pthread_mutex_lock(&c->lock);
    uint64_t rounds = c->rounds + (c->busy ? 2 : 1);
    c->hurry = true;
    pthread_cond_signal(&c->wake);
    for (int waited = 0; !c->closing && c->rounds < rounds && waited != ETIMEDOUT;)
        waited = pthread_cond_timedwait(&c->asked, &c->lock, &until);
    pthread_mutex_unlock(&c->lock);
}

/* ---- Life ---- */

int cloud_check_prefix(const char *prefix, struct error *err)
{
    char key[CLOUD_PREFIX + 1];
    size_t n = strnlen(prefix, CLOUD_PREFIX);
    bool good = n < CLOUD_PREFIX && (!n || prefix[n - 1] == '/');
    if (good) {
        snprintf(key, sizeof(key), "%sx", prefix);
        good = storage_is_key(key);
    }
    if (good)
        return TD_OK;
    return error_set(err, TD_E_CONFIG,
                     "prefix \"%.200s\": it is empty, or parts that each end with a slash, none empty or beginning with a dot or a slash, "
                     "altogether at most %d bytes, as \"production/hub-1/\"",
                     prefix, CLOUD_PREFIX - 1);
}

static struct cloud *make(const struct cloud_options *o)
{
    pthread_condattr_t monotonic;
    struct cloud *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->storage = o->storage;
    c->parallel = o->parallel < 1 ? 1 : o->parallel < CLOUD_PARALLEL ? o->parallel : CLOUD_PARALLEL;
    c->refresh_ns = o->refresh_ns > 0 ? o->refresh_ns : (int64_t)60 * NS_PER_S;
    c->retry = o->retry;
    c->most = CLOUD_MAX_SNAPSHOTS;
    c->most_bytes = CLOUD_MAX_BRIEFS;
    retry_budget_init(&c->budget);
    pthread_mutex_init(&c->asking, NULL);
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&c->wake, &monotonic);
    pthread_cond_init(&c->asked, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return c;
}

static int start(struct cloud *c, const struct cloud_options *o, struct error *err)
{
    int status = cloud_check_prefix(o->prefix, err);
    if (status == TD_OK && strnlen(o->work_dir, CLOUD_PATH) > CLOUD_PATH - 128)
        status = error_set(err, TD_E_CONFIG, "%.400s: the path is too long", o->work_dir);
    if (status != TD_OK)
        return status;
    snprintf(c->prefix, sizeof(c->prefix), "%s", o->prefix);
    snprintf(c->work_dir, sizeof(c->work_dir), "%s", o->work_dir);
    c->starting = true; /* no other thread knows it yet */
    status = catalog_prove(c, err);
    c->starting = false;
    if (status == TD_E_RETRY && o->may_be_away) {
        log_event(TD_LOG_WARN, "cloud", "storage \"%s\" does not answer, and is asked again: %s", storage_name(c->storage), err->text);
        status = TD_OK;
    }
    if (status == TD_OK && pthread_create(&c->asker, NULL, ask_often, c) != 0)
        status = error_set(err, TD_E_NOMEM, "no thread can be started");
    c->has_asker = status == TD_OK;
    return status;
}

int cloud_open(const struct cloud_options *o, struct cloud **ret, struct error *err)
{
    struct error unread = {0};
    struct cloud *c = make(o);
    err = err ? err : &unread;
    if (!c) {
        storage_close(o->storage);
        return error_nomem(err);
    }
    int status = start(c, o, err);
    if (status == TD_OK)
        *ret = c;
    else
        cloud_close(c);
    return status;
}

void cloud_cancel(struct cloud *c)
{
    atomic_store(&c->cancelled, true);
    storage_cancel(c->storage);
}

void cloud_close(struct cloud *c)
{
    if (!c)
        return;
    cloud_cancel(c);
    pthread_mutex_lock(&c->lock);
    c->closing = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (c->has_asker)
        pthread_join(c->asker, NULL);
    catalog_clear(c);
    storage_close(c->storage);
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->asked);
    pthread_mutex_destroy(&c->lock);
    pthread_mutex_destroy(&c->asking);
    mem_free(c);
}

/* ---- Status ---- */

void cloud_status(struct cloud *c, struct cloud_status *ret)
{
    *ret = (struct cloud_status){.provider = storage_name(c->storage), .prefix = c->prefix};
    pthread_mutex_lock(&c->lock);
    ret->connected = c->connected;
    ret->asked_ns = c->asked_ns;
    snprintf(ret->error, sizeof(ret->error), "%s", c->error);
    ret->snapshots = c->n;
    for (size_t i = 0; i < c->n; i++)
        ret->bytes += c->v[i]->manifest->bytes;
    pthread_mutex_unlock(&c->lock);
}

uint64_t cloud_version(struct cloud *c)
{
    return atomic_load(&c->version);
}
