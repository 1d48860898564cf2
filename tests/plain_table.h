/* A plain SQLite table of calls, a row each: what the call store and filters are measured against. */
#ifndef TESTS_PLAIN_TABLE_H
#define TESTS_PLAIN_TABLE_H

#include <sqlite3.h>

#include "call/registry.h"

enum { PLAIN_TABLE_COLUMNS = 200 };

/* A column for each field that the first calls of a maker have, named as the field, and what a store keeps of the halves beside
 * them: times and packets. One transaction. */
struct plain_table {
    sqlite3 *db;
    sqlite3_stmt *insert;
    const struct field_registry *registry;
    uint32_t fields[PLAIN_TABLE_COLUMNS], field_n;
    struct buf text[PLAIN_TABLE_COLUMNS], frames;
    struct registry_value values[PLAIN_TABLE_COLUMNS];
};

/* Ends the program when something fails. `registry` outlives the table. */
void plain_table_create(struct plain_table *, const char *path, const struct field_registry *registry, bool headers);
void plain_table_add(struct plain_table *, const struct td_call *);
void plain_table_close(struct plain_table *);

#endif
