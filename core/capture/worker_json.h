/* The members of JSON objects, as the worker's API writes them. */
#ifndef CAPTURE_WORKER_JSON_H
#define CAPTURE_WORKER_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

/* Before another member or element. */
void worker_put_comma(struct buf *);
void worker_put_key(struct buf *, const char *key);
void worker_put_text(struct buf *, const char *key, const char *text);
void worker_put_number(struct buf *, const char *key, uint64_t v);
void worker_put_bool(struct buf *, const char *key, bool v);
/* `known`: false writes null. */
void worker_put_time(struct buf *, const char *key, int64_t ns, bool known);
/* In hexadecimal; NULL writes null. */
void worker_put_hex(struct buf *, const char *key, const uint8_t *bytes, size_t n);

#endif
