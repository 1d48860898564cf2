/* pcapng, as it comes; or, if the first byte is 0 or 1 (which no capture begins with), as blocks that are put together here, so
 * that their lengths agree: that byte is the byte order, then come for each block one byte type, two bytes length in words,
 * and the body. */
#include "capture_fuzz.h"

#include "base/buf.h"
#include "tapedeck/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put32(struct buf *b, bool big, uint32_t v)
{
    uint8_t bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(v >> (big ? 24 - 8 * i : 8 * i));
    buf_put(b, bytes, 4);
}

static void put_block(struct buf *b, bool big, uint32_t type, struct td_slice body)
{
    static const uint8_t zeros[4];
    size_t pad = -body.n & 3;
    put32(b, big, type);
    put32(b, big, (uint32_t)(body.n + pad) + 12);
    buf_put_slice(b, body);
    buf_put(b, zeros, pad);
    put32(b, big, (uint32_t)(body.n + pad) + 12);
}

static void build(struct buf *b, struct td_cursor *c)
{
    static const uint32_t types[] = {1, 2, 3, 4, 5, 6, 10, 0xbad, 0x0a0d0d0a};
    bool big = td_u8(c);
    struct buf section = {0};
    put32(&section, big, 0x1a2b3c4d);
    put32(&section, big, big ? 0x10000 : 1);
    put32(&section, big, UINT32_MAX);
    put32(&section, big, UINT32_MAX);
    put_block(b, big, 0x0a0d0d0a, buf_slice(&section));
    buf_clear(&section);
    while (td_left(c) >= 3) {
        uint8_t type = td_u8(c);
        size_t n = 4u * td_be16(c);
        put_block(b, big, types[type % (sizeof(types) / sizeof(types[0]))], td_take(c, n < td_left(c) ? n : td_left(c)));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_cursor c = td_cursor(td_bytes(data, size));
    if (size == 0 || data[0] > 1) {
        read_all_ways(td_bytes(data, size));
        return 0;
    }
    struct buf b = {0};
    build(&b, &c);
    uint8_t *exact = malloc(b.n); /* so that reading too far is noticed */
    if (exact) {
        memcpy(exact, b.p, b.n);
        read_all_ways(td_bytes(exact, b.n));
    }
    free(exact);
    buf_clear(&b);
    return 0;
}
