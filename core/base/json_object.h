/* Members of JSON objects, for answers and files that are written at once; commas are put as they are needed. */
#ifndef BASE_JSON_OBJECT_H
#define BASE_JSON_OBJECT_H

#include "base/buf.h"

/* Before another member or element. */
void json_put_comma(struct buf *);
void json_put_key(struct buf *, const char *key);
void json_put_text(struct buf *, const char *key, const char *text); /* NULL: null */
void json_put_u64(struct buf *, const char *key, uint64_t v);
void json_put_i64(struct buf *, const char *key, int64_t v);
void json_put_bool(struct buf *, const char *key, bool v);
/* RFC 3339, UTC, with nanoseconds. `known`: false writes null. */
void json_put_time(struct buf *, const char *key, int64_t ns, bool known);
/* In hexadecimal; NULL: null. */
void json_put_hex(struct buf *, const char *key, const uint8_t *bytes, size_t n);

#endif
