/* Compressing a stream on its way: zstd (RFC 8878), gzip (RFC 1952), or nothing. */
#ifndef SNAPSHOT_PACK_H
#define SNAPSHOT_PACK_H

#include "snapshot/archive.h"

struct pack;

typedef int pack_write_fn(void *ctx, struct td_slice bytes, struct error *err);

int pack_new(enum archive_packing, int level, pack_write_fn *write, void *ctx, struct pack **ret, struct error *err) MUST_CHECK;
void pack_free(struct pack *);
int pack_write(struct pack *, struct td_slice bytes, struct error *err) MUST_CHECK;
/* All that is left goes out. */
int pack_end(struct pack *, struct error *err) MUST_CHECK;

#endif
