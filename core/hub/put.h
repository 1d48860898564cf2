/* Members of JSON objects, for the answers of the API; commas are put as they are needed. */
#ifndef HUB_PUT_H
#define HUB_PUT_H

#include "base/buf.h"

/* Before another member or element. */
void put_comma(struct buf *);
void put_key(struct buf *, const char *key);
void put_text(struct buf *, const char *key, const char *text); /* NULL: null */
void put_number(struct buf *, const char *key, uint64_t v);
void put_signed(struct buf *, const char *key, int64_t v);
void put_bool(struct buf *, const char *key, bool v);
/* `known`: false writes null. */
void put_time(struct buf *, const char *key, int64_t ns, bool known);

#endif
