/* Opening a call store and reading its chunks. */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "base/units.h"
#include "call/store_reader.h"

enum {
    MAX_META = 64 << 20,
    MAX_CHUNKS = 1 << 26,
    LIVE_TRIES = 4, /* a writer is without its lock for an instant after a commit */
    LIVE_PAUSE_MS = 5
};

static int sqlite_failed(struct store *s, struct error *err)
{
    return store_sqlite_error(s->db, sqlite3_extended_errcode(s->db), "cannot read the call store", err);
}

/* ---- Blobs ---- */

static void close_blobs(struct store *s)
{
    sqlite3_blob_close(s->part);
    sqlite3_blob_close(s->page);
    s->part = s->page = NULL;
}

/* An open blob is a lock. A store that grows must not stay locked, or nobody could commit to it. */
static void unlock(struct store *s)
{
    if (s->state != STORE_COMPLETE)
        close_blobs(s);
}

int store_read_blob(struct store *s, sqlite3_blob **handle, const char *table, int64_t key, uint32_t size, uint32_t limit, struct buf *ret,
                    struct error *err)
{
    int code = *handle ? sqlite3_blob_reopen(*handle, key) : sqlite3_blob_open(s->db, "main", table, "data", key, 0, handle);
    if (code != SQLITE_OK) {
        int status = (code & 0xff) == SQLITE_ERROR ? error_set(err, TD_E_CORRUPT, "a part of the file is missing") : sqlite_failed(s, err);
        close_blobs(s);
        return status;
    }
    uint32_t bytes = (uint32_t)sqlite3_blob_bytes(*handle);
    int status = TD_OK;
    if (size ? bytes != size : bytes > limit)
        status = error_set(err, TD_E_CORRUPT, "a part of the file has %u bytes, which cannot be", bytes);
    else if (!buf_reserve(ret, bytes))
        status = error_nomem(err);
    else if (sqlite3_blob_read(*handle, ret->p + ret->n, (int)bytes, 0) != SQLITE_OK)
        status = sqlite_failed(s, err);
    else
        ret->n += bytes;
    unlock(s);
    return status;
}

static int fetch_part(void *ctx, uint64_t key, uint32_t size, struct buf *ret, struct error *err)
{
    struct store *s = ctx;
    return store_read_blob(s, &s->part, "part", (int64_t)key, size, CHUNK_MAX_PART, ret, err);
}

/* ---- Opening ---- */

static int check_file(const char *path, struct error *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        int status = errno == ENOENT || errno == ENOTDIR ? TD_E_NOT_FOUND : errno == EACCES ? TD_E_DENIED : TD_E_INTERNAL;
        return error_set(err, status, "%s", strerror(errno));
    }
    return S_ISREG(info.st_mode) ? TD_OK : error_set(err, TD_E_CORRUPT, "no call store: it is not a regular file");
}

/* The file may come from anywhere: nothing in it is run. */
static void distrust(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_limit(db, SQLITE_LIMIT_LENGTH, CHUNK_MAX_PART);
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
}

static int check_marks(struct store *s, struct error *err)
{
    int64_t application, format;
    int status = store_get_number(s->db, "PRAGMA application_id", &application, err);
    if (status == TD_OK)
        status = store_get_number(s->db, "PRAGMA user_version", &format, err);
    if (status != TD_OK)
        return status;
    if (application != STORE_APPLICATION_ID)
        return error_set(err, TD_E_CORRUPT, "no call store: an SQLite file of another program (application id 0x%08llx)",
                         (unsigned long long)application);
    if (format > STORE_FORMAT)
        return error_set(err, TD_E_UNSUPPORTED, "written by a newer program: its format is %lld, this one reads up to %d",
                         (long long)format, STORE_FORMAT);
    if (format < 1)
        return error_set(err, TD_E_CORRUPT, "no call store: format %lld", (long long)format);
    return TD_OK;
}

/* Exactly our tables, told by their own text; no views, triggers or what else a file may bring along. */
static int check_tables(struct store *s, struct error *err)
{
    sqlite3_stmt *statement;
    unsigned seen = 0;
    int code, status = store_prepare(s->db, "SELECT sql FROM sqlite_schema", &statement, err);
    if (status != TD_OK)
        return status;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && status == TD_OK) {
        const char *sql = (const char *)sqlite3_column_text(statement, 0);
        int i = 0;
        while (i < STORE_TABLES && (!sql || strcmp(sql, store_tables[i]) != 0))
            i++;
        if (i == STORE_TABLES)
            status = error_set(err, TD_E_CORRUPT, "no call store: it has other tables");
        else
            seen |= 1u << i;
    }
    if (status == TD_OK && code != SQLITE_DONE)
        status = sqlite_failed(s, err);
    sqlite3_finalize(statement);
    if (status == TD_OK && seen != (1u << STORE_TABLES) - 1)
        status = error_set(err, TD_E_CORRUPT, "no call store: tables are missing");
    return status;
}

static int read_meta(struct store *s, const char *key, bool needed, struct buf *ret, struct error *err)
{
    sqlite3_stmt *statement;
    buf_reset(ret);
    int status = store_prepare(s->db, "SELECT value FROM meta WHERE key=?", &statement, err);
    if (status != TD_OK)
        return status;
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        int n = sqlite3_column_bytes(statement, 0);
        const void *value = sqlite3_column_blob(statement, 0);
        if (n > MAX_META)
            status = error_set(err, TD_E_CORRUPT, "its \"%s\" has %d bytes", key, n);
        else if (n)
            buf_put(ret, value, (size_t)n);
        if (ret->failed)
            status = error_nomem(err);
    } else if (code != SQLITE_DONE) {
        status = sqlite_failed(s, err);
    } else if (needed) {
        status = error_set(err, TD_E_CORRUPT, "its \"%s\" is missing", key);
    }
    sqlite3_finalize(statement);
    return status;
}

/* Does somebody hold the lock that a writer holds? */
static bool is_written(sqlite3 *db)
{
    sqlite3_file *file = NULL;
    for (int i = 0; i < LIVE_TRIES; i++) {
        int reserved = 0;
        sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);
        if (file && file->pMethods && file->pMethods->xCheckReservedLock(file, &reserved) == SQLITE_OK && reserved)
            return true;
        nanosleep(&(struct timespec){.tv_nsec = LIVE_PAUSE_MS * (long)NS_PER_MS}, NULL);
    }
    return false;
}

static int is_complete(struct store *s, bool *ret, struct error *err)
{
    struct buf state = {0};
    int status = read_meta(s, "state", true, &state, err);
    *ret = td_eq(buf_slice(&state), TD_LIT("complete"));
    buf_clear(&state);
    return status;
}

static int read_state(struct store *s, struct error *err)
{
    bool complete, written;
    int status = is_complete(s, &complete, err);
    if (status == TD_OK && !complete) {
        written = is_written(s->db);
        s->state = written ? STORE_WRITING : STORE_INCOMPLETE;
        if (!written) /* it may have come to its end just now */
            status = is_complete(s, &complete, err);
    }
    if (status != TD_OK || !complete)
        return status;
    s->state = STORE_COMPLETE;
    return read_meta(s, "summary", false, &s->summary, err);
}

static int list_components(struct store *s, struct error *err)
{
    s->components = mem_calloc(s->layout.n + 1, sizeof(struct field_set *));
    if (!s->components)
        return error_nomem(err);
    for (uint32_t i = 0; i < s->layout.n; i++)
        s->components[i] = &s->layout.components[i].fields;
    return TD_OK;
}

static int read_head(struct store *s, struct error *err)
{
    struct buf text = {0};
    int status = check_marks(s, err);
    if (status == TD_OK)
        status = check_tables(s, err);
    if (status == TD_OK)
        status = read_meta(s, "registry", true, &text, err);
    if (status == TD_OK)
        status = field_registry_parse_json(buf_slice(&text), &s->registry, err);
    if (status == TD_OK && field_registry_count(s->registry) > CHUNK_MAX_COLUMNS - OWN_COLUMNS)
        status = error_set(err, TD_E_CORRUPT, "more fields than a store can have");
    if (status == TD_OK)
        status = read_meta(s, "layout", true, &text, err);
    if (status == TD_OK)
        status = store_layout_parse(buf_slice(&text), s->registry, &s->layout, err);
    if (status == TD_OK)
        status = list_components(s, err);
    if (status == TD_OK)
        status = read_meta(s, "birth", false, &text, err);
    if (status == TD_OK)
        s->birth = strtoull(buf_cstr(&text), NULL, 10);
    if (status == TD_OK)
        status = read_meta(s, "about", false, &s->about, err);
    buf_clear(&text);
    return status;
}

static int open_file(struct store *s, struct error *err)
{
    /* For writing, if that is allowed: only so can what a dead writer left half-done be taken back. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int code = sqlite3_open_v2(s->path, &s->db, flags, NULL);
    if (code != SQLITE_OK)
        return store_sqlite_error(s->db, code, "cannot open the call store", err);
    distrust(s->db);
    sqlite3_busy_timeout(s->db, (int)(s->patience_ns / NS_PER_MS));
    return store_exec(s->db, "PRAGMA query_only=ON; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0", err);
}

/* ---- The list of chunks ---- */

static bool add_chunk(struct store *s, const struct store_chunk *chunk)
{
    if (s->chunk_n == s->chunk_cap) {
        uint32_t cap = s->chunk_cap ? 2 * s->chunk_cap : 256;
        struct store_chunk *chunks = cap <= MAX_CHUNKS ? mem_realloc(s->chunks, cap * sizeof(*chunks)) : NULL;
        if (!chunks)
            return false;
        s->chunks = chunks;
        s->chunk_cap = cap;
    }
    s->chunks[s->chunk_n++] = *chunk;
    s->count += chunk->calls;
    return true;
}

static int read_chunks(struct store *s, struct error *err)
{
    sqlite3_stmt *statement;
    int code = SQLITE_DONE,
        status = store_prepare(s->db, "SELECT id, calls, first_ns, last_ns FROM chunk WHERE id>? ORDER BY id", &statement, err);
    if (status != TD_OK)
        return status;
    sqlite3_bind_int64(statement, 1, s->chunk_n ? (int64_t)s->chunks[s->chunk_n - 1].number : INT64_MIN);
    while (status == TD_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t number = sqlite3_column_int64(statement, 0), calls = sqlite3_column_int64(statement, 1);
        struct store_chunk chunk = {.number = (uint64_t)number,
                                    .calls = (uint32_t)calls,
                                    .first_ns = sqlite3_column_int64(statement, 2),
                                    .last_ns = sqlite3_column_int64(statement, 3)};
        if (number < 1 || number > INT64_MAX >> (CHUNK_COLUMN_BITS + CHUNK_PART_BITS) || calls < 1 || calls > CHUNK_MAX_ROWS ||
            chunk.first_ns > chunk.last_ns)
            status = error_set(err, TD_E_CORRUPT, "the entry of chunk %lld is damaged", (long long)number);
        else if (!add_chunk(s, &chunk))
            status = error_nomem(err);
    }
    if (status == TD_OK && code != SQLITE_DONE)
        status = sqlite_failed(s, err);
    sqlite3_finalize(statement);
    return status;
}

static int load(struct store *s, struct error *err)
{
    int status = open_file(s, err);
    if (status == TD_OK)
        status = read_head(s, err);
    if (status == TD_OK)
        status = read_state(s, err);
    if (status == TD_OK)
        status = unpacker_init(&s->unpacker, err);
    if (status != TD_OK)
        return status;
    s->source = (struct chunk_source){s, fetch_part, s->registry, &s->unpacker, s->path};
    /* What is complete does not change: one lock for as long as it is open spares one for each read. */
    if (s->state == STORE_COMPLETE)
        status = store_exec(s->db, "BEGIN", err);
    return status == TD_OK ? read_chunks(s, err) : status;
}

int store_open(const char *path, struct store **ret, struct error *err)
{
    return store_open_patient(path, (int64_t)STORE_BUSY_MS * (int64_t)NS_PER_MS, ret, err);
}

int store_open_patient(const char *path, int64_t patience_ns, struct store **ret, struct error *err)
{
    struct store *s = mem_calloc(1, sizeof(*s));
    if (!s || !(s->path = mem_strdup(path))) {
        mem_free(s);
        return error_nomem(err);
    }
    s->patience_ns = patience_ns;
    int status = check_file(path, err);
    if (status == TD_OK)
        status = load(s, err);
    if (status != TD_OK) {
        error_prefix(err, "%s: ", path);
        store_free(s);
        return status;
    }
    *ret = s;
    return TD_OK;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    close_blobs(s);
    for (int i = 0; i < STORE_CACHE; i++)
        chunk_free(s->cache[i]);
    unpacker_clear(&s->unpacker);
    mem_free(s->components);
    store_layout_clear(&s->layout);
    field_registry_free(s->registry);
    buf_clear(&s->about);
    buf_clear(&s->summary);
    buf_clear(&s->page_bytes);
    buf_clear(&s->page_raw);
    mem_free(s->chunks);
    sqlite3_close(s->db);
    mem_free(s->path);
    mem_free(s);
}

const struct field_set *const *store_components(const struct store *s, uint32_t *ret_n)
{
    *ret_n = s->layout.n;
    return s->components;
}

int store_refresh(struct store *s, bool *ret_more, struct error *err)
{
    uint32_t before = s->chunk_n;
    *ret_more = false;
    if (s->state == STORE_COMPLETE)
        return TD_OK;
    int status = read_state(s, err); /* before the chunks: a store that is complete has them all */
    if (status == TD_OK)
        status = read_chunks(s, err);
    *ret_more = s->chunk_n > before;
    if (status != TD_OK)
        error_prefix(err, "%s: ", s->path);
    return status;
}

/* ---- What is known of it ---- */

const struct field_registry *store_registry(const struct store *s)
{
    return s->registry;
}

uint64_t store_birth(const struct store *s)
{
    return s->birth;
}

enum store_state store_state(const struct store *s)
{
    return s->state;
}

uint64_t store_count(const struct store *s)
{
    return s->count;
}

struct store_position store_end(const struct store *s)
{
    struct store_position end = {0, 0};
    if (s->chunk_n)
        end.id = s->chunks[s->chunk_n - 1].number << CHUNK_ROW_BITS | ((1u << CHUNK_ROW_BITS) - 1);
    return end;
}

bool store_times(const struct store *s, int64_t *ret_first_ns, int64_t *ret_last_ns)
{
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (uint32_t i = 0; i < s->chunk_n; i++) {
        first = s->chunks[i].first_ns < first ? s->chunks[i].first_ns : first;
        last = s->chunks[i].last_ns > last ? s->chunks[i].last_ns : last;
    }
    if (s->chunk_n) {
        *ret_first_ns = first;
        *ret_last_ns = last;
    }
    return s->chunk_n > 0;
}

struct td_slice store_about(const struct store *s)
{
    return buf_slice(&s->about);
}

struct td_slice store_summary(const struct store *s)
{
    return buf_slice(&s->summary);
}

/* ---- Chunks ---- */

uint32_t store_chunk_count(const struct store *s)
{
    return s->chunk_n;
}

/* A place in the cache: of a chunk that was dropped; or a free one, unless much memory is held; or of the chunk that was
 * released first. */
static struct chunk **choose_place(struct store *s)
{
    size_t held = 0;
    struct chunk **unused = NULL, **oldest = NULL;
    for (int i = 0; i < STORE_CACHE; i++) {
        struct chunk **place = &s->cache[i];
        if (!*place) {
            unused = place;
            continue;
        }
        held += (*place)->room.held;
        if (!(*place)->users && (!oldest || (*place)->last_use < (*oldest)->last_use))
            oldest = place;
    }
    bool take_oldest = oldest && (!unused || (*oldest)->last_use == 0 || held > STORE_CACHE_BYTES);
    return take_oldest ? oldest : unused;
}

static int load_chunk(struct store *s, uint32_t index, struct chunk **ret, struct error *err)
{
    struct buf directory = {0};
    uint64_t number = s->chunks[index].number;
    struct chunk **place = choose_place(s);
    if (!place)
        return error_set(err, TD_E_LIMIT, "more than %d chunks in use", STORE_CACHE);
    int status = *place ? TD_OK : chunk_new(&s->source, place, err);
    if (status != TD_OK)
        return status;
    struct chunk *c = *place;
    directory = c->directory;
    c->directory = (struct buf){0};
    buf_reset(&directory);
    if (c->room.held > STORE_CACHE_BYTES / 2)
        room_clear(&c->room);
    c->index = UINT32_MAX;
    status = store_read_blob(s, &s->part, "part", (int64_t)part_key(number, OWN_DIRECTORY, 0), 0, CHUNK_MAX_DIRECTORY, &directory, err);
    if (status != TD_OK)
        error_prefix(err, "%s: chunk %llu: ", s->path, (unsigned long long)number);
    else
        status = chunk_load(c, number, &directory, err);
    buf_clear(&directory);
    if (status == TD_OK &&
        (c->rows != s->chunks[index].calls || c->first_ns != s->chunks[index].first_ns || c->last_ns != s->chunks[index].last_ns))
        status = error_set(err, TD_E_CORRUPT, "%s: chunk %llu: its entry contradicts its directory", s->path, (unsigned long long)number);
    if (status != TD_OK) {
        chunk_free(c);
        *place = NULL;
        return status;
    }
    c->index = index;
    *ret = c;
    return TD_OK;
}

int store_chunk(struct store *s, uint32_t index, struct chunk **ret, struct error *err)
{
    if (index >= s->chunk_n)
        return error_set(err, TD_E_NOT_FOUND, "%s: there is no chunk %u", s->path, index);
    struct chunk *found = NULL;
    for (int i = 0; i < STORE_CACHE && !found; i++)
        if (s->cache[i] && s->cache[i]->index == index)
            found = s->cache[i];
    if (!found) {
        int status = load_chunk(s, index, &found, err);
        if (status != TD_OK)
            return status;
    }
    found->users++;
    *ret = found;
    return TD_OK;
}

void store_release(struct store *s, struct chunk *c)
{
    c->users--;
    c->last_use = ++s->uses;
}

void store_drop(struct store *s, struct chunk *c)
{
    (void)s;
    c->users--;
    c->last_use = 0;
}

int store_locate(struct store *s, uint64_t id, struct chunk **ret, uint32_t *ret_row, struct error *err)
{
    uint64_t number = id >> CHUNK_ROW_BITS, row = id & ((1u << CHUNK_ROW_BITS) - 1);
    uint32_t low = 0, high = s->chunk_n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->chunks[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == s->chunk_n || s->chunks[low].number != number || row >= s->chunks[low].calls)
        return error_set(err, TD_E_NOT_FOUND, "%s: there is no call %llu", s->path, (unsigned long long)id);
    *ret_row = (uint32_t)row;
    return store_chunk(s, low, ret, err);
}
