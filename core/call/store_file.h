/* The SQLite file that a call store is: its tables, its marks, errors in our words. */
#ifndef CALL_STORE_FILE_H
#define CALL_STORE_FILE_H

#include <sqlite3.h>

#include "base/error.h"

enum {
    STORE_APPLICATION_ID = 0x5444434c, /* PRAGMA application_id */
    STORE_FORMAT = 1,                  /* PRAGMA user_version; what reads format n reads no n + 1 */
    STORE_PAGE_SIZE = 16 << 10,
    STORE_BUSY_MS = 30 * 1000 /* how long one waits for the other: a reader for a commit, a commit for readers */
};

/* chunk: the chunks in the order of writing. part: their parts, by part_key(). page: payload, by page_key(). meta: the rest. */
extern const char *const store_tables[];
enum { STORE_TABLES = 4 };

static inline int64_t page_key(uint64_t chunk, uint32_t page)
{
    return (int64_t)(chunk << 20 | page);
}

/* Of what SQLite just answered. `what` says what was being done: "cannot write". */
int store_sqlite_error(sqlite3 *db, int code, const char *what, struct error *err);
/* Runs statements without results. */
int store_exec(sqlite3 *db, const char *sql, struct error *err) MUST_CHECK;
int store_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct error *err) MUST_CHECK;
/* The one number that a statement gives. */
int store_get_number(sqlite3 *db, const char *sql, int64_t *ret, struct error *err) MUST_CHECK;

#endif
