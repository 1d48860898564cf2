/* Calls as comma-separated values (RFC 4180): UTF-8 without a byte order mark, each line ended by CR LF, the names of the
 * columns in the first.
 *
 * Cells are what columns have, exactly: commas, quotes and line breaks stand in quotes and nothing is escaped, so that a reader
 * gets back what was on the wire, save for zeros and bytes that are not UTF-8 (U+FFFD).
 *
 * This holds for cells that begin with = + - or @ as well, which spreadsheets take for formulas. There is no mark that all of
 * them understand and that other readers do not take for a part of the value, so none is added: a file of captured traffic is
 * to be imported with its columns as text, not opened by a double click. */
#ifndef CALL_CALL_CSV_H
#define CALL_CALL_CSV_H

#include "call/column.h"

void call_csv_put_header(struct buf *out, const struct column_set *set);
void call_csv_put_row(struct buf *out, const struct column_set *set, const struct td_call *c);

#endif
