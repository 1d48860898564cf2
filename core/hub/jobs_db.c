#include "hub/jobs_db.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "base/log.h"
#include "base/mem.h"

enum {
    APPLICATION_ID = 0x54444842, /* PRAGMA application_id */
    FORMAT = 1,                  /* PRAGMA user_version; what reads format n reads no n + 1 */
    SPARE_PAGES = 64,            /* at least so many that nothing uses; the journal has room for as many */
    MAX_PATH = 4096
};

/* States are written as words: people look into such files with the sqlite3 program. */
static const char *const states[] = {"pending", "running", "completed", "failed", "cancelled"};
enum { STATES = sizeof(states) / sizeof(states[0]) };

enum statement { INSERT, UPDATE, UPDATE_RESULT, REMOVE, REQUEST, RESULT, STATEMENTS };

static const char *const statements[STATEMENTS] = {
    [INSERT] = "INSERT INTO job(id,kind,subject,state,done,total,created,started,finished,attempts,crashes,cancel,error,code,request)"
               " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,0,0,?11,?12,?13)",
    [UPDATE] = "UPDATE job SET state=?4,done=?5,total=?6,started=?8,finished=?9,attempts=?10,error=?11,code=?12,crashes=?14,cancel=?15"
               " WHERE number=?16",
    [UPDATE_RESULT] = "UPDATE job SET state=?4,done=?5,total=?6,started=?8,finished=?9,attempts=?10,error=?11,code=?12,crashes=?14,"
                      "cancel=?15,result=?17 WHERE number=?16",
    [REMOVE] = "DELETE FROM job WHERE number=?16",
    [REQUEST] = "SELECT request FROM job WHERE number=?16",
    [RESULT] = "SELECT result FROM job WHERE number=?16",
};

struct jobs_db {
    sqlite3 *db;
    char path[MAX_PATH];
    sqlite3_stmt *statements[STATEMENTS];
};

/* ---- SQLite's answers in our words ---- */

static int fail(struct jobs_db *d, const char *what, struct error *err)
{
    int code = sqlite3_extended_errcode(d->db), reason = sqlite3_system_errno(d->db);
    if (!reason)
        sqlite3_file_control(d->db, "main", SQLITE_FCNTL_LAST_ERRNO, &reason);
    bool full = reason == ENOSPC || reason == EFBIG || reason == EDQUOT;
    switch (code & 0xff) {
    case SQLITE_NOMEM: return error_nomem(err);
    case SQLITE_FULL: return error_set(err, TD_E_LIMIT, "%s: %s: no room is left on the disk", d->path, what);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return error_set(err, TD_E_EXISTS, "%s belongs to a hub that is running", d->path);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return error_set(err, TD_E_DENIED, "%s: %s: the file or its directory may not be written", d->path, what);
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT: return error_set(err, TD_E_CORRUPT, "%s: %s: the file is damaged", d->path, what);
    case SQLITE_IOERR:
        if (full)
            return error_set(err, TD_E_LIMIT, "%s: %s: no room is left on the disk", d->path, what);
        break;
    case SQLITE_CANTOPEN:
        if (reason == EACCES || reason == EPERM || reason == EROFS)
            return error_set(err, TD_E_DENIED, "%s: %s: %s", d->path, what, strerror(reason));
        break;
    default: break;
    }
    return error_set(err, TD_E_INTERNAL, "%s: %s: %s%s%s", d->path, what, sqlite3_errmsg(d->db), reason ? ": " : "",
                     reason ? strerror(reason) : "");
}

static int exec(struct jobs_db *d, const char *sql, const char *what, struct error *err)
{
    return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? TD_OK : fail(d, what, err);
}

/* The first value of the first row. */
static int get(struct jobs_db *d, const char *sql, int64_t *ret_number, char *ret_text, size_t text_n, struct error *err)
{
    sqlite3_stmt *s = NULL;
    int status = TD_OK;
    if (sqlite3_prepare_v2(d->db, sql, -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        status = fail(d, "cannot be read", err);
    if (status == TD_OK && ret_number)
        *ret_number = sqlite3_column_int64(s, 0);
    if (status == TD_OK && ret_text)
        snprintf(ret_text, text_n, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return status;
}

/* ---- Opening ---- */

/* A new file has to be there after a loss of power, too. */
static void sync_directory(const char *path)
{
    char copy[MAX_PATH];
    snprintf(copy, sizeof(copy), "%s", path);
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int make_tables(struct jobs_db *d, struct error *err)
{
    char sql[1024];
    snprintf(sql, sizeof(sql),
             "BEGIN; CREATE TABLE job(number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,"
             " subject TEXT NOT NULL, state TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, created INTEGER NOT NULL,"
             " started INTEGER NOT NULL, finished INTEGER NOT NULL, attempts INTEGER NOT NULL, crashes INTEGER NOT NULL,"
             " cancel INTEGER NOT NULL, error TEXT NOT NULL, code TEXT NOT NULL, request BLOB NOT NULL, result BLOB NOT NULL DEFAULT x'');"
             " CREATE TABLE spare(data BLOB); PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
             APPLICATION_ID, FORMAT);
    int status = exec(d, sql, "cannot be made", err);
    if (status == TD_OK)
        sync_directory(d->path);
    return status;
}

/* Pages that are written and freed stay in the file; that they change once while they are in use makes the journal as long (not within a
 * transaction that began before). */
static int keep_spare(struct jobs_db *d, struct error *err)
{
    char sql[256];
    int64_t have, size;
    int status = get(d, "PRAGMA freelist_count", &have, NULL, 0, err);
    if (status == TD_OK)
        status = get(d, "PRAGMA page_size", &size, NULL, 0, err);
    if (status != TD_OK || have >= SPARE_PAGES)
        return status;
    snprintf(sql, sizeof(sql),
             "DELETE FROM spare; INSERT INTO spare VALUES(randomblob(%lld)); UPDATE spare SET data=zeroblob(%lld); DELETE FROM spare",
             (long long)(2 * SPARE_PAGES * size), (long long)(2 * SPARE_PAGES * size));
    return exec(d, sql, "no room can be kept in it", err);
}

static int check(struct jobs_db *d, struct error *err)
{
    int64_t tables, application, format;
    char text[256];
    int status = get(d, "SELECT count(*) FROM sqlite_schema", &tables, NULL, 0, err);
    if (status == TD_OK && tables == 0)
        return make_tables(d, err);
    if (status == TD_OK)
        status = get(d, "PRAGMA application_id", &application, NULL, 0, err);
    if (status == TD_OK)
        status = get(d, "PRAGMA user_version", &format, NULL, 0, err);
    if (status != TD_OK)
        return status;
    if (application != APPLICATION_ID)
        return error_set(err, TD_E_UNSUPPORTED, "%s is a database, but of something else; move it away, or choose another tap.dataDir",
                         d->path);
    if (format > FORMAT)
        return error_set(err, TD_E_UNSUPPORTED, "%s was written by a newer version of tapedeck (format %lld; this one knows %d)", d->path,
                         (long long)format, FORMAT);
    status = get(d, "PRAGMA quick_check(1)", NULL, text, sizeof(text), err);
    if (status == TD_OK && strcmp(text, "ok") != 0)
        status = error_set(err, TD_E_CORRUPT, "%s is damaged: %.200s", d->path, text);
    return status;
}

static void close_file(struct jobs_db *d)
{
    for (int i = 0; i < STATEMENTS; i++) {
        sqlite3_finalize(d->statements[i]);
        d->statements[i] = NULL;
    }
    sqlite3_close(d->db);
    d->db = NULL;
}

/* Only one process: the lock on the file is taken with the first write, and kept. */
static int open_file(struct jobs_db *d, struct error *err)
{
    int code = sqlite3_open_v2(d->path, &d->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (!d->db)
        return error_nomem(err);
    int status = code == SQLITE_OK ? TD_OK : fail(d, "cannot be opened", err);
    if (status == TD_OK)
        status = exec(d,
                      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=PERSIST; PRAGMA synchronous=FULL; PRAGMA trusted_schema=OFF;"
                      " PRAGMA cell_size_check=ON; PRAGMA cache_size=-256; BEGIN EXCLUSIVE; COMMIT",
                      "cannot be opened", err);
    if (status == TD_OK)
        status = check(d, err);
    if (status == TD_OK && keep_spare(d, err) != TD_OK)
        log_event(TD_LOG_WARN, "hub", "%s", err->text); /* what is there can be served all the same */
    for (int i = 0; i < STATEMENTS && status == TD_OK; i++)
        if (sqlite3_prepare_v3(d->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i], NULL) != SQLITE_OK)
            status = fail(d, "cannot be read", err);
    if (status != TD_OK)
        close_file(d);
    return status;
}

/* With its journal, which belongs to it. */
static int move_aside(struct jobs_db *d, char note[JOBS_NOTE], struct error *err)
{
    char from[MAX_PATH + 16], to[MAX_PATH + 48];
    long long now = (long long)time(NULL);
    const struct error why = *err;
    snprintf(to, sizeof(to), "%s.damaged-%lld", d->path, now);
    if (rename(d->path, to) != 0)
        return error_set(err, TD_E_CORRUPT, "%.400s; it cannot be moved aside: %s", why.text, strerror(errno));
    snprintf(note, JOBS_NOTE, "%.300s. It was moved to %.100s: what jobs did, and those that had not ended, are not known any more",
             why.text, strrchr(to, '/') ? strrchr(to, '/') + 1 : to);
    log_event(TD_LOG_ERROR, "hub", "%s", note);
    snprintf(from, sizeof(from), "%s-journal", d->path);
    snprintf(to, sizeof(to), "%s.damaged-%lld-journal", d->path, now);
    if (rename(from, to) != 0 && errno != ENOENT)
        return error_set(err, TD_E_CORRUPT, "%s cannot be moved aside: %s", from, strerror(errno));
    return TD_OK;
}

int jobs_db_open(const char *path, struct jobs_db **ret, char note[JOBS_NOTE], struct error *err)
{
    struct jobs_db *d = mem_calloc(1, sizeof(*d));
    struct error why = {0};
    note[0] = '\0';
    if (!d)
        return error_nomem(err);
    int n = snprintf(d->path, sizeof(d->path), "%s", path);
    int status = n > 0 && n < (int)sizeof(d->path) ? TD_OK : error_set(&why, TD_E_CONFIG, "the path of the hub's database is too long");
    if (status == TD_OK)
        status = open_file(d, &why);
    if (status == TD_E_CORRUPT && move_aside(d, note, &why) == TD_OK)
        status = open_file(d, &why);
    if (status != TD_OK) {
        mem_free(d);
        return error_set(err, status, "%s", why.text);
    }
    *ret = d;
    return TD_OK;
}

void jobs_db_close(struct jobs_db *d)
{
    if (!d)
        return;
    close_file(d);
    mem_free(d);
}

/* ---- Rows ---- */

/* A text of the file, cut to what there is room for. */
static void take_text(sqlite3_stmt *s, int column, char *out, size_t n)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    snprintf(out, n, "%s", text ? text : "");
}

static void take_row(sqlite3_stmt *s, struct jobs_row *ret)
{
    struct job_status *j = &ret->status;
    char state[32];
    int i = 0;
    *ret = (struct jobs_row){.number = sqlite3_column_int64(s, 0)};
    take_text(s, 1, j->id, sizeof(j->id));
    take_text(s, 2, j->kind, sizeof(j->kind));
    take_text(s, 3, j->subject, sizeof(j->subject));
    take_text(s, 4, state, sizeof(state));
    j->done = (uint64_t)sqlite3_column_int64(s, 5);
    j->all = (uint64_t)sqlite3_column_int64(s, 6);
    j->created_ns = sqlite3_column_int64(s, 7);
    j->started_ns = sqlite3_column_int64(s, 8);
    j->finished_ns = sqlite3_column_int64(s, 9);
    j->attempts = (unsigned)sqlite3_column_int(s, 10);
    ret->crashes = (unsigned)sqlite3_column_int(s, 11);
    ret->cancel_asked = sqlite3_column_int(s, 12) != 0;
    take_text(s, 13, j->error, sizeof(j->error));
    take_text(s, 14, j->code, sizeof(j->code));
    while (i < STATES && strcmp(states[i], state) != 0)
        i++;
    j->state = i < STATES ? (enum job_state)i : JOB_FAILED;
    if (i == STATES)
        snprintf(j->error, sizeof(j->error), "its entry in the hub's database is damaged");
}

int jobs_db_each(struct jobs_db *d, int (*each)(void *ctx, const struct jobs_row *, struct error *), void *ctx, struct error *err)
{
    struct jobs_row row;
    sqlite3_stmt *s = NULL;
    int status = TD_OK, code = SQLITE_ROW;
    if (sqlite3_prepare_v2(d->db,
                           "SELECT number,id,kind,subject,state,done,total,created,started,finished,attempts,crashes,cancel,error,code"
                           " FROM job ORDER BY number",
                           -1, &s, NULL) != SQLITE_OK)
        return fail(d, "cannot be read", err);
    while (status == TD_OK && (code = sqlite3_step(s)) == SQLITE_ROW) {
        take_row(s, &row);
        status = each(ctx, &row, err);
    }
    if (status == TD_OK && code != SQLITE_DONE)
        status = fail(d, "cannot be read", err);
    sqlite3_finalize(s);
    return status;
}

static void bind_text(sqlite3_stmt *s, int i, const char *text)
{
    sqlite3_bind_text(s, i, text, -1, SQLITE_STATIC);
}

static void bind_bytes(sqlite3_stmt *s, int i, struct td_slice bytes)
{
    sqlite3_bind_blob64(s, i, bytes.n ? (const void *)bytes.p : "", bytes.n, SQLITE_STATIC);
}

static void bind_status(sqlite3_stmt *s, const struct job_status *j)
{
    bind_text(s, 4, states[j->state]);
    sqlite3_bind_int64(s, 5, (int64_t)j->done);
    sqlite3_bind_int64(s, 6, (int64_t)j->all);
    sqlite3_bind_int64(s, 8, j->started_ns);
    sqlite3_bind_int64(s, 9, j->finished_ns);
    sqlite3_bind_int64(s, 10, j->attempts);
    bind_text(s, 11, j->error);
    bind_text(s, 12, j->code);
}

/* Runs a statement without rows. What did not bind for want of memory is told by its step, for columns are NOT NULL. */
static int run(struct jobs_db *d, sqlite3_stmt *s, struct error *err)
{
    int status = sqlite3_step(s) == SQLITE_DONE ? TD_OK : fail(d, "cannot be written", err);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return status;
}

/* Ends the transaction: with what was done, or as if nothing was. */
static int commit(struct jobs_db *d, int status, struct error *err)
{
    if (status == TD_OK)
        status = exec(d, "COMMIT", "cannot be written", err);
    if (status != TD_OK && !sqlite3_get_autocommit(d->db))
        sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

int jobs_db_insert(struct jobs_db *d, const struct job_status *j, struct td_slice request, int64_t *ret_number, struct error *err)
{
    sqlite3_stmt *s = d->statements[INSERT];
    bind_text(s, 1, j->id);
    bind_text(s, 2, j->kind);
    bind_text(s, 3, j->subject);
    sqlite3_bind_int64(s, 7, j->created_ns);
    bind_status(s, j);
    bind_bytes(s, 13, request);
    int status = exec(d, "BEGIN", "cannot be written", err);
    if (status == TD_OK)
        status = run(d, s, err);
    int64_t number = sqlite3_last_insert_rowid(d->db);
    if (status == TD_OK) /* no job begins for whose end there may be no room */
        status = keep_spare(d, err);
    status = commit(d, status, err);
    if (status == TD_OK)
        *ret_number = number;
    return status;
}

int jobs_db_update(struct jobs_db *d, const struct jobs_row *row, const struct td_slice *result, struct error *err)
{
    sqlite3_stmt *s = d->statements[result ? UPDATE_RESULT : UPDATE];
    bind_status(s, &row->status);
    sqlite3_bind_int64(s, 14, row->crashes);
    sqlite3_bind_int(s, 15, row->cancel_asked);
    sqlite3_bind_int64(s, 16, row->number);
    if (result)
        bind_bytes(s, 17, *result);
    return run(d, s, err);
}

int jobs_db_remove(struct jobs_db *d, const int64_t *numbers, size_t n, struct error *err)
{
    int status = exec(d, "BEGIN", "cannot be written", err);
    if (status != TD_OK)
        return status;
    for (size_t i = 0; i < n && status == TD_OK; i++) {
        sqlite3_bind_int64(d->statements[REMOVE], 16, numbers[i]);
        status = run(d, d->statements[REMOVE], err);
    }
    return commit(d, status, err);
}

static int get_bytes(struct jobs_db *d, enum statement which, int64_t number, struct buf *ret, struct error *err)
{
    sqlite3_stmt *s = d->statements[which];
    int status = TD_OK;
    sqlite3_bind_int64(s, 16, number);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW) {
        const void *p = sqlite3_column_blob(s, 0);
        buf_put(ret, p, p ? (size_t)sqlite3_column_bytes(s, 0) : 0);
        if (ret->failed)
            status = error_nomem(err);
    } else if (code == SQLITE_DONE) {
        status = error_set(err, TD_E_NOT_FOUND, "there is no such job any more");
    } else {
        status = fail(d, "cannot be read", err);
    }
    sqlite3_reset(s);
    return status;
}

int jobs_db_request(struct jobs_db *d, int64_t number, struct buf *ret, struct error *err)
{
    return get_bytes(d, REQUEST, number, ret, err);
}

int jobs_db_result(struct jobs_db *d, int64_t number, struct buf *ret, struct error *err)
{
    return get_bytes(d, RESULT, number, ret, err);
}
