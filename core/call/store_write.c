/* Writing a call store. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/units.h"
#include "call/chunk_build.h"
#include "call/store.h"
#include "call/store_file.h"
#include "call/store_layout.h"

enum {
    COMMIT_BYTES = 8 << 20, /* that wait in memory for a commit, at most */
    CACHE_KIB = 12 << 10,   /* of SQLite: room for what waits, used again after each commit */
    MAX_PATH = 4096,
    PAUSE_MS = 1 /* between two tries to commit while somebody reads */
};

struct store_writer {
    struct chunk_plan plan;
    char path[MAX_PATH];
    uint32_t appender_n;
    struct chunk_builder **builders;
    atomic_uint_fast64_t appended;
    atomic_bool stopped;  /* after a failure: `failure` says which */
    pthread_mutex_t lock; /* of all below */
    struct error failure;
    sqlite3 *db;
    sqlite3_stmt *insert_chunk, *insert_part, *insert_page, *put_meta;
    uint64_t chunks; /* written; the next one has the number after it */
    size_t waiting;  /* bytes since the last commit */
    int64_t committed_ns;
    bool finished;
};

/* ---- Statements ---- */

/* The lock is held. What failed once fails for good. */
static int fail(struct store_writer *w, int code, struct error *err)
{
    int status = store_sqlite_error(w->db, code, "cannot write", &w->failure);
    error_prefix(&w->failure, "%s: ", w->path);
    atomic_store(&w->stopped, true);
    sqlite3_exec(w->db, "ROLLBACK", NULL, NULL, NULL);
    if (err)
        *err = w->failure;
    return status;
}

static int run(struct store_writer *w, sqlite3_stmt *statement, struct error *err)
{
    int code = sqlite3_step(statement);
    if (code == SQLITE_DONE)
        code = sqlite3_reset(statement);
    if (code == SQLITE_OK)
        return TD_OK;
    code = sqlite3_extended_errcode(w->db);
    int status = fail(w, code, err);
    sqlite3_reset(statement);
    return status;
}

static int insert_blob(struct store_writer *w, sqlite3_stmt *statement, uint64_t key, const void *p, size_t n, struct error *err)
{
    sqlite3_bind_int64(statement, 1, (int64_t)key);
    sqlite3_bind_blob64(statement, 2, p, n, SQLITE_STATIC);
    w->waiting += n;
    return run(w, statement, err);
}

static int put_meta(struct store_writer *w, const char *key, struct td_slice value, struct error *err)
{
    sqlite3_bind_text(w->put_meta, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text64(w->put_meta, 2, value.n ? (const char *)value.p : "", value.n, SQLITE_STATIC, SQLITE_UTF8);
    return run(w, w->put_meta, err);
}

static int step(struct store_writer *w, const char *sql, struct error *err)
{
    int code = sqlite3_exec(w->db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? TD_OK : fail(w, sqlite3_extended_errcode(w->db), err);
}

/* Between commits there always is a transaction: its lock tells readers that somebody writes. */
static int commit(struct store_writer *w, struct error *err)
{
    int status = step(w, "COMMIT", err);
    if (status == TD_OK && !w->finished)
        status = step(w, "BEGIN IMMEDIATE", err);
    w->waiting = 0;
    w->committed_ns = clock_ns(CLOCK_MONOTONIC_COARSE);
    return status;
}

/* ---- Creating ---- */

/* Makes way for the new file. */
static int clear_path(const char *path, bool replace, struct error *err)
{
    struct stat info;
    char journal[MAX_PATH + 16];
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? TD_OK : error_set(err, TD_E_DENIED, "%s: %s", path, strerror(errno));
    if (!replace)
        return error_set(err, TD_E_EXISTS, "%s: there is a file already", path);
    if (!S_ISREG(info.st_mode))
        return error_set(err, TD_E_EXISTS, "%s: not a file that can be replaced", path);
    snprintf(journal, sizeof(journal), "%s-journal", path);
    if (unlink(path) != 0 || (unlink(journal) != 0 && errno != ENOENT))
        return error_set(err, TD_E_DENIED, "%s: cannot replace it: %s", path, strerror(errno));
    return TD_OK;
}

/* As sqlite3_busy_timeout() has it, but without a system call that sandboxes refuse. */
static int wait_for_readers(void *ctx, int tries)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never = PTHREAD_COND_INITIALIZER;
    struct timespec until;
    (void)ctx;
    if (tries >= STORE_BUSY_MS / PAUSE_MS)
        return 0;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += PAUSE_MS * (long)NS_PER_MS;
    until.tv_sec += until.tv_nsec / (long)NS_PER_S;
    until.tv_nsec %= (long)NS_PER_S;
    pthread_mutex_lock(&lock);
    pthread_cond_timedwait(&never, &lock, &until);
    pthread_mutex_unlock(&lock);
    return 1;
}

static int open_file(struct store_writer *w, bool disposable, struct error *err)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(w->path, &w->db, flags, NULL);
    if (code != SQLITE_OK)
        return store_sqlite_error(w->db, code, "cannot create the call store", err);
    sqlite3_busy_handler(w->db, wait_for_readers, NULL);
    static const char lasting[] = "PRAGMA journal_mode=DELETE; PRAGMA synchronous=NORMAL;";
    static const char passing[] = "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;";
    char sql[320];
    snprintf(sql, sizeof(sql),
             "PRAGMA page_size=%d; %s PRAGMA cache_spill=OFF; PRAGMA cache_size=%d;"
             "BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d",
             STORE_PAGE_SIZE, disposable ? passing : lasting, -CACHE_KIB, STORE_APPLICATION_ID, STORE_FORMAT);
    int status = store_exec(w->db, sql, err);
    for (int i = 0; i < STORE_TABLES && status == TD_OK; i++)
        status = store_exec(w->db, store_tables[i], err);
    static const char insert_chunk[] = "INSERT INTO chunk VALUES(?,?,?,?)";
    if (status == TD_OK)
        status = store_prepare(w->db, insert_chunk, &w->insert_chunk, err);
    if (status == TD_OK)
        status = store_prepare(w->db, "INSERT INTO part VALUES(?,?)", &w->insert_part, err);
    if (status == TD_OK)
        status = store_prepare(w->db, "INSERT INTO page VALUES(?,?)", &w->insert_page, err);
    if (status == TD_OK)
        status = store_prepare(w->db, "INSERT OR REPLACE INTO meta VALUES(?,?)", &w->put_meta, err);
    return status;
}

/* Where there is no chance to be had, as soon after the start of a machine, the time does. */
static uint64_t make_birth(void)
{
    uint64_t birth = 0;
    struct timespec now;
    if (getrandom(&birth, sizeof(birth), GRND_NONBLOCK) != sizeof(birth)) {
        clock_gettime(CLOCK_REALTIME, &now);
        birth = (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
    }
    return birth | 1;
}

static int write_head(struct store_writer *w, const struct store_create_options *o, struct error *err)
{
    struct buf json = {0};
    field_registry_put_json(&json, o->registry);
    int status = json.failed ? error_nomem(err) : put_meta(w, "registry", buf_slice(&json), err);
    buf_reset(&json);
    store_layout_put(&json, o->components, o->component_n);
    if (status == TD_OK)
        status = json.failed ? error_nomem(err) : put_meta(w, "layout", buf_slice(&json), err);
    buf_reset(&json);
    buf_u64(&json, make_birth());
    if (status == TD_OK)
        status = json.failed ? error_nomem(err) : put_meta(w, "birth", buf_slice(&json), err);
    buf_clear(&json);
    if (status == TD_OK)
        status = put_meta(w, "about", o->about, err);
    if (status == TD_OK)
        status = put_meta(w, "state", TD_LIT("writing"), err);
    return status == TD_OK ? commit(w, err) : status;
}

static int make_builders(struct store_writer *w, uint32_t n, struct error *err)
{
    if (n == 0 || n > STORE_MAX_APPENDERS)
        return error_set(err, TD_E_LIMIT, "%u threads for a call store; 1 to %d are possible", n, STORE_MAX_APPENDERS);
    w->builders = mem_calloc(n, sizeof(struct chunk_builder *));
    if (!w->builders)
        return error_nomem(err);
    int status = TD_OK;
    for (; w->appender_n < n && status == TD_OK; w->appender_n++)
        status = chunk_builder_new(&w->plan, &w->builders[w->appender_n], err);
    return status;
}

int store_create(const char *path, const struct store_create_options *o, struct store_writer **ret, struct error *err)
{
    struct store_writer *w = mem_calloc(1, sizeof(*w));
    if (!w)
        return error_nomem(err);
    pthread_mutex_init(&w->lock, NULL);
    int n = snprintf(w->path, sizeof(w->path), "%s", path);
    int status = n < (int)sizeof(w->path) ? TD_OK : error_set(err, TD_E_LIMIT, "%.64s...: the path is too long", path);
    if (status == TD_OK)
        status = chunk_plan_init(&w->plan, o->registry, o->payloads, err);
    if (status == TD_OK && o->component_n != w->plan.component_n)
        status = error_set(err, TD_E_INTERNAL, "%u components, but %u in the registry", o->component_n, w->plan.component_n);
    if (status == TD_OK)
        status = make_builders(w, o->appenders, err);
    if (status == TD_OK)
        status = clear_path(path, o->replace, err);
    bool cleared = status == TD_OK;
    if (status == TD_OK && (status = open_file(w, o->disposable, err)) != TD_OK)
        error_prefix(err, "%s: ", path);
    if (status == TD_OK)
        status = write_head(w, o, err);
    if (status == TD_OK) {
        *ret = w;
        return TD_OK;
    }
    atomic_store(&w->stopped, true);
    store_writer_free(w);
    if (cleared)
        unlink(path); /* nothing stands in it */
    return status;
}

/* ---- Chunks ---- */

static int insert_pages(struct store_writer *w, uint64_t chunk, const struct packed_chunk *p, struct error *err)
{
    const uint64_t *ends = (const uint64_t *)(const void *)p->page_ends.p;
    int status = TD_OK;
    for (uint32_t i = 0; i < p->page_ends.n / sizeof(*ends) && status == TD_OK; i++) {
        uint64_t from = i ? ends[i - 1] : 0;
        status = insert_blob(w, w->insert_page, (uint64_t)page_key(chunk, i), p->pages.p + from, ends[i] - from, err);
    }
    return status;
}

static int insert_parts(struct store_writer *w, uint64_t chunk, const struct packed_chunk *p, struct error *err)
{
    const struct packed_part *parts = (const struct packed_part *)(const void *)p->parts.p;
    int status = insert_blob(w, w->insert_part, part_key(chunk, OWN_DIRECTORY, 0), p->directory.p, p->directory.n, err);
    for (size_t i = 0; i < p->parts.n / sizeof(*parts) && status == TD_OK; i++)
        status =
            insert_blob(w, w->insert_part, part_key(chunk, parts[i].column, parts[i].part), p->data.p + parts[i].at, parts[i].size, err);
    return status;
}

static int insert_chunk(struct store_writer *w, const struct packed_chunk *p, struct error *err)
{
    uint64_t chunk = w->chunks + 1;
    int status = insert_parts(w, chunk, p, err);
    if (status == TD_OK)
        status = insert_pages(w, chunk, p, err);
    if (status != TD_OK)
        return status;
    sqlite3_bind_int64(w->insert_chunk, 1, (int64_t)chunk);
    sqlite3_bind_int64(w->insert_chunk, 2, p->rows);
    sqlite3_bind_int64(w->insert_chunk, 3, p->first_ns);
    sqlite3_bind_int64(w->insert_chunk, 4, p->last_ns);
    status = run(w, w->insert_chunk, err);
    w->chunks += status == TD_OK;
    return status;
}

static int take_failure(struct store_writer *w, struct error *err)
{
    if (err)
        *err = w->failure;
    return w->failure.status;
}

static int keep_failure(struct store_writer *w, const struct error *failure, struct error *err)
{
    pthread_mutex_lock(&w->lock);
    if (!atomic_load(&w->stopped)) {
        w->failure = *failure;
        error_prefix(&w->failure, "%s: ", w->path);
        atomic_store(&w->stopped, true);
    }
    int status = take_failure(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

/* Packs a builder's chunk, in its own thread, and stores it. */
static int end_chunk(struct store_writer *w, struct chunk_builder *b, struct error *err)
{
    const struct packed_chunk *packed;
    struct error failure;
    if (chunk_builder_rows(b) == 0)
        return TD_OK;
    if (chunk_builder_pack(b, &packed, &failure) != TD_OK)
        return keep_failure(w, &failure, err);
    pthread_mutex_lock(&w->lock);
    int status = atomic_load(&w->stopped) ? take_failure(w, err) : insert_chunk(w, packed, err);
    if (status == TD_OK && (w->waiting >= COMMIT_BYTES || clock_ns(CLOCK_MONOTONIC_COARSE) - w->committed_ns >= NS_PER_S))
        status = commit(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

static int say_stopped(struct store_writer *w, struct error *err)
{
    pthread_mutex_lock(&w->lock);
    int status = take_failure(w, err);
    pthread_mutex_unlock(&w->lock);
    return status;
}

int store_append(struct store_writer *w, uint32_t appender, const struct td_call *c, struct error *err)
{
    struct error failure;
    if (atomic_load_explicit(&w->stopped, memory_order_relaxed))
        return say_stopped(w, err);
    if (appender >= w->appender_n)
        return error_set(err, TD_E_INTERNAL, "appender %u of %u", appender, w->appender_n);
    struct chunk_builder *b = w->builders[appender];
    if (chunk_builder_add(b, c, &failure) != TD_OK)
        return keep_failure(w, &failure, err);
    atomic_fetch_add_explicit(&w->appended, 1, memory_order_relaxed);
    return chunk_builder_full(b) ? end_chunk(w, b, err) : TD_OK;
}

int store_flush(struct store_writer *w, uint32_t appender, struct error *err)
{
    if (atomic_load_explicit(&w->stopped, memory_order_relaxed))
        return say_stopped(w, err);
    if (appender >= w->appender_n)
        return error_set(err, TD_E_INTERNAL, "appender %u of %u", appender, w->appender_n);
    return end_chunk(w, w->builders[appender], err);
}

int store_commit(struct store_writer *w, struct error *err)
{
    pthread_mutex_lock(&w->lock);
    int status = atomic_load(&w->stopped) ? take_failure(w, err) : w->waiting ? commit(w, err) : TD_OK;
    pthread_mutex_unlock(&w->lock);
    return status;
}

uint64_t store_appended(const struct store_writer *w)
{
    return atomic_load_explicit(&w->appended, memory_order_relaxed);
}

/* ---- Ending ---- */

int store_finish(struct store_writer *w, struct td_slice summary, struct error *err)
{
    int status = TD_OK;
    for (uint32_t i = 0; i < w->appender_n && status == TD_OK; i++)
        status = store_flush(w, i, err);
    if (status != TD_OK)
        return status;
    pthread_mutex_lock(&w->lock);
    if (atomic_load(&w->stopped))
        status = take_failure(w, err);
    if (status == TD_OK)
        status = put_meta(w, "summary", summary, err);
    if (status == TD_OK)
        status = put_meta(w, "state", TD_LIT("complete"), err);
    if (status == TD_OK) {
        w->finished = true;
        status = commit(w, err);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

void store_writer_free(struct store_writer *w)
{
    if (!w)
        return;
    if (w->db && !w->finished && !atomic_load(&w->stopped))
        sqlite3_exec(w->db, "COMMIT", NULL, NULL, NULL); /* ended chunks are whole; the state stays "writing" */
    sqlite3_finalize(w->insert_chunk);
    sqlite3_finalize(w->insert_part);
    sqlite3_finalize(w->insert_page);
    sqlite3_finalize(w->put_meta);
    sqlite3_close(w->db);
    for (uint32_t i = 0; i < w->appender_n; i++)
        chunk_builder_free(w->builders[i]);
    mem_free(w->builders);
    chunk_plan_clear(&w->plan);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}
