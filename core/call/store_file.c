#include "call/store_file.h"

#include <errno.h>
#include <string.h>

const char *const store_tables[STORE_TABLES] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE chunk(id INTEGER PRIMARY KEY, calls INTEGER NOT NULL, first_ns INTEGER NOT NULL, last_ns INTEGER NOT NULL)",
    "CREATE TABLE part(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE page(id INTEGER PRIMARY KEY, data BLOB NOT NULL)",
};

/* What the operating system said last, as far as SQLite kept it. */
static int system_reason(sqlite3 *db)
{
    int reason = sqlite3_system_errno(db);
    if (!reason)
        sqlite3_file_control(db, "main", SQLITE_FCNTL_LAST_ERRNO, &reason);
    return reason;
}

/* A write that found no room: SQLITE_FULL, or an I/O error with the reason beside it. */
static bool no_room(int code, int reason)
{
    return (code & 0xff) == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && (reason == ENOSPC || reason == EFBIG || reason == EDQUOT));
}

int store_sqlite_error(sqlite3 *db, int code, const char *what, struct error *err)
{
    int reason = db ? system_reason(db) : 0;
    if (no_room(code, reason))
        return error_set(err, TD_E_LIMIT, "%s: no room is left for the file; what was committed before is kept", what);
    switch (code & 0xff) {
    case SQLITE_NOMEM: return error_nomem(err);
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return error_set(err, TD_E_RETRY, "%s: another process keeps the file busy", what);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_READONLY: return error_set(err, TD_E_DENIED, "%s: the file or its folder may not be written", what);
    case SQLITE_NOTADB: return error_set(err, TD_E_CORRUPT, "no call store: it is not even an SQLite file");
    case SQLITE_CORRUPT: return error_set(err, TD_E_CORRUPT, "%s: the file is damaged (%s)", what, db ? sqlite3_errmsg(db) : "SQLite");
    case SQLITE_CANTOPEN:
        if (reason == ENOENT)
            return error_set(err, TD_E_NOT_FOUND, "%s: %s", what, strerror(reason));
        if (reason == EACCES || reason == EPERM || reason == EROFS)
            return error_set(err, TD_E_DENIED, "%s: %s", what, strerror(reason));
        break;
    default: break;
    }
    if (reason)
        return error_set(err, TD_E_INTERNAL, "%s: %s (%s)", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code), strerror(reason));
    return error_set(err, TD_E_INTERNAL, "%s: %s", what, db ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

int store_exec(sqlite3 *db, const char *sql, struct error *err)
{
    int code = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return code == SQLITE_OK ? TD_OK : store_sqlite_error(db, sqlite3_extended_errcode(db), "cannot use the file", err);
}

int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct error *err)
{
    int code = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    return code == SQLITE_OK ? TD_OK : store_sqlite_error(db, sqlite3_extended_errcode(db), "cannot read the file", err);
}

int store_get_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *err)
{
    sqlite3_stmt *statement;
    int status = store_prepare(db, sql, &statement, err);
    if (status != TD_OK)
        return status;
    if (sqlite3_step(statement) == SQLITE_ROW)
        *ret = sqlite3_column_int64(statement, 0);
    else
        status = store_sqlite_error(db, sqlite3_extended_errcode(db), "cannot read the file", err);
    sqlite3_finalize(statement);
    return status;
}
