/* A call as a hub gives it, a JSON object (call/call_json.h), for people: its columns, and everything in it. */
#ifndef CLI_CALL_DOCUMENT_H
#define CLI_CALL_DOCUMENT_H

#include <jansson.h>

#include "base/buf.h"

/* The value of a column, by the names that columns have (call/column.h): "src", "latency", "summary.target", "status_code". Safe to print.
 */
void call_document_put_column(struct buf *out, const json_t *call, const char *name);
bool call_document_is_complete(const json_t *call);
/* Header fields and bodies, indented. */
void call_document_put_payload(struct buf *out, const json_t *call);
/* All of it. */
void call_document_put_text(struct buf *out, const json_t *call);

#endif
