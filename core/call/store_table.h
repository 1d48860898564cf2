/* A call store as a table of SQL: `calls`, a row for each call, read-only.
 *
 * Its columns are `id`, `time_ns` (when the call began, ns since 1970), and the registry's fields by their names: numbers and
 * booleans as INTEGER, durations in ns, timestamps as text (RFC 3339, so that they sort by time), lists and maps as JSON text,
 * bodies as BLOB. What a call lacks is NULL. Terms that compare id, times, numbers, or texts for equality keep chunks from being
 * read; ORDER BY time_ns or timestamp costs no sorting. Only columns that are used are read. */
#ifndef CALL_STORE_TABLE_H
#define CALL_STORE_TABLE_H

#include <sqlite3.h>

#include "call/store.h"

/* The store outlives the connection, and is used by its thread only. */
int store_table_register(sqlite3 *db, struct store *store, struct error *err) MUST_CHECK;

#endif
