/* What decompression may cost. */
#include "../../../plugins/dissectors/kafka/kafka_codec.h"

#include <stdlib.h>
#include <zstd.h>

#include "tap.h"

enum { PLAIN = 3 << 20, CAP = 1 << 20 };

/* A frame that does not say how long its content is, with a window of its own. */
static size_t pack(int window_log, uint8_t *room, size_t cap)
{
    ZSTD_CCtx *ctx = ZSTD_createCCtx();
    uint8_t *plain = calloc(1, PLAIN);
    size_t n = 0;
    if (ctx && plain) {
        ZSTD_CCtx_setParameter(ctx, ZSTD_c_windowLog, window_log);
        ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, 0);
        ZSTD_inBuffer in = {plain, PLAIN / 2, 0};
        ZSTD_outBuffer out = {room, cap, 0};
        ZSTD_compressStream2(ctx, &out, &in, ZSTD_e_flush);
        in.size = PLAIN;
        n = ZSTD_compressStream2(ctx, &out, &in, ZSTD_e_end) == 0 ? out.pos : 0;
    }
    free(plain);
    ZSTD_freeCCtx(ctx);
    return n;
}

static size_t decode(int window_log, uint8_t *room, bool *ret_whole)
{
    struct kafka_spare spare = {NULL};
    uint8_t packed[8192];
    size_t packed_n = pack(window_log, packed, sizeof(packed));
    size_t n = kafka_decode(KAFKA_ZSTD, td_bytes(packed, packed_n), &spare, room, CAP, ret_whole);
    kafka_spare_clear(&spare);
    return packed_n ? n : SIZE_MAX;
}

int main(void)
{
    uint8_t *room = malloc(CAP);
    bool whole = true;
    is_int(decode(20, room, &whole), CAP, "zstd: of what does not fit comes what fits");
    ok(!whole, "... and it is not whole");
    is_int(decode(27, room, &whole), 0, "a window larger than all that may come out gets no memory");
    ok(!whole, "... and it is not whole either");
    free(room);
    return tap_done();
}
