#include "grpc_compress.h"

#include "../content/content_decode.h"
#include "tapedeck/cursor.h"

#include <snappy-c.h>

static bool decompress_block(struct td_slice in, uint8_t *room, size_t cap, size_t *ret_n)
{
    size_t n = 0;
    if (snappy_uncompressed_length((const char *)in.p, in.n, &n) != SNAPPY_OK || n > cap)
        return false;
    *ret_n = n;
    return snappy_uncompress((const char *)in.p, in.n, (char *)room, ret_n) == SNAPPY_OK;
}

/* Chunks with a type, three bytes of length, and for data four bytes of checksum (framing_format.txt). */
static bool decompress_frames(struct td_slice in, uint8_t *room, size_t cap, size_t *ret_n)
{
    struct td_cursor c = td_cursor(in);
    *ret_n = 0;
    while (td_left(&c)) {
        uint8_t type = td_u8(&c);
        uint32_t n = td_le16(&c) | (uint32_t)td_u8(&c) << 16;
        struct td_slice body = td_take(&c, n), data = td_sub(body, 4, body.n);
        size_t got = 0;
        if (c.failed || (type >= 0x02 && type < 0x80))
            return false;
        if (type > 0x01)
            continue;
        if (type == 0x01 && data.n <= cap - *ret_n) {
            memcpy(room + *ret_n, data.p, data.n);
            got = data.n;
        } else if (type == 0x01 || !decompress_block(data, room + *ret_n, cap - *ret_n, &got)) {
            return false;
        }
        *ret_n += got;
    }
    return true;
}

bool grpc_decompress(struct td_slice encoding, struct td_slice in, uint8_t *room, size_t cap, struct td_slice *ret)
{
    uint8_t coding = (uint8_t)content_coding_by_name(encoding);
    struct td_slice magic = td_bytes("\xff\x06\x00\x00sNaPpY", 10);
    size_t n = 0;
    if (td_eq_nocase(encoding, TD_LIT("snappy"))) {
        bool good = td_starts(in, magic) ? decompress_frames(in, room, cap, &n) : decompress_block(in, room, cap, &n);
        *ret = td_bytes(room, n);
        return good;
    }
    return coding != CONTENT_CODING_UNKNOWN && content_decode(&coding, 1, in, room, cap, ret) == CONTENT_DECODED && ret->n < cap;
}
