/* Memory for the inflaters out of the connection's arena, which has no free: what they give back waits in lists, by its size, to be used
 * again. So it is counted with the connection's, and a hostile peer gets no more than that. */
#ifndef HTTP2_MEMORY_H
#define HTTP2_MEMORY_H

#ifndef TD_TARGET_MINOR /* tests know the whole interface */
#define TD_TARGET_MINOR 1
#endif

#include <nghttp2/nghttp2.h>

#include "tapedeck/plugin.h"

enum {
    HTTP2_SMALLEST_CLASS = 5, /* 1 << 5 bytes, in which the header of a piece stands as well */
    HTTP2_CLASSES = 16        /* up to 1 MiB */
};

struct http2_memory {
    nghttp2_mem functions; /* for nghttp2 */
    const struct td_host *host;
    struct td_arena *arena;
    void *free[HTTP2_CLASSES];
};

void http2_memory_init(struct http2_memory *m, const struct td_host *host, struct td_arena *arena);

#endif
