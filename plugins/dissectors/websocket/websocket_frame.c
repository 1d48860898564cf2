#include "websocket_frame.h"

#include "../utf8/utf8.h"
#include "tapedeck/cursor.h"

size_t ws_read_header(struct td_slice in, struct ws_frame *ret)
{
    struct td_cursor c = td_cursor(in);
    uint8_t first, second;
    size_t need = 2;
    if (in.n < need)
        return need;
    first = td_u8(&c);
    second = td_u8(&c);
    memset(ret, 0, sizeof(*ret));
    ret->fin = first & 0x80;
    ret->rsv = first >> 4 & 7;
    ret->opcode = first & 0x0f;
    ret->masked = second & 0x80;
    ret->length = second & 0x7f;
    need += ret->length == 126 ? 2 : ret->length == 127 ? 8 : 0;
    need += ret->masked ? 4 : 0;
    if (in.n < need)
        return need;
    if (ret->length == 126) {
        ret->length = td_be16(&c);
        ret->long_winded = ret->length < 126;
    } else if (ret->length == 127) {
        ret->length = td_be64(&c);
        ret->long_winded = ret->length <= UINT16_MAX;
    }
    if (ret->masked)
        memcpy(ret->mask, td_take(&c, 4).p, 4);
    ret->header = (uint8_t)need;
    return 0;
}

const char *ws_header_fault(const struct ws_frame *frame, bool from_client)
{
    if ((frame->opcode > WS_BINARY && frame->opcode < WS_CLOSE) || frame->opcode > WS_PONG)
        return "unknown opcode";
    if (frame->rsv & 3)
        return "reserved bits are set";
    if (frame->length >> 63)
        return "payload length of more than 63 bits";
    if (frame->masked != from_client)
        return from_client ? "frame of the client without mask" : "frame of the server with mask";
    if (!ws_is_control(frame->opcode))
        return NULL;
    if (!frame->fin)
        return "fragmented control frame";
    if (frame->length > WS_MAX_CONTROL)
        return "control frame too long";
    return frame->rsv ? "compressed control frame" : NULL;
}

void ws_unmask(const uint8_t mask[4], uint64_t at, const uint8_t *in, size_t n, uint8_t *out)
{
    uint8_t turned[8];
    uint64_t wide, eight;
    size_t i;
    for (i = 0; i < 8; i++)
        turned[i] = mask[(at + i) & 3];
    memcpy(&wide, turned, 8);
    for (i = 0; n - i >= 8; i += 8) {
        memcpy(&eight, in + i, 8);
        eight ^= wide;
        memcpy(out + i, &eight, 8);
    }
    for (; i < n; i++)
        out[i] = in[i] ^ turned[i & 7];
}

bool ws_is_close_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

/* ---- Plausibility ---------------------------------------------------------------------------------------------------- */

enum {
    LOOK = 512,     /* bytes of a text that are looked at */
    MUCH = 24,      /* of them that are no chance */
    MAX_FRAMES = 16 /* that are looked at */
};

bool ws_is_printable(struct td_slice text)
{
    size_t i;
    for (i = 0; i < text.n; i++)
        if (text.p[i] < ' ' && text.p[i] != '\t' && text.p[i] != '\n' && text.p[i] != '\r')
            return false;
    return true;
}

/* How much a frame's payload, of which `in` is there, tells: 0 that it is none. */
static int judge_payload(const struct ws_frame *frame, struct td_slice in)
{
    uint8_t text[LOOK];
    struct utf8 utf8 = {0, 0, 0, false};
    size_t n = in.n < LOOK ? in.n : LOOK;
    bool whole = in.n == frame->length;
    if (frame->opcode == WS_CONTINUATION && !frame->length)
        return 1; /* of the server two zeros, of which binary data is full */
    if (frame->opcode != WS_CLOSE && (frame->opcode != WS_TEXT || frame->rsv))
        return whole ? 15 : 5;
    ws_unmask(frame->mask, 0, in.p, n, text);
    if (frame->opcode == WS_CLOSE) {
        if (!whole || n == 0)
            return n == 0 ? 10 : 5;
        return n >= 2 && ws_is_close_code((unsigned)text[0] << 8 | text[1]) && utf8_add(&utf8, td_bytes(text + 2, n - 2)) ? 60 : 0;
    }
    if (!utf8_add(&utf8, td_bytes(text, n)) || !ws_is_printable(td_bytes(text, n)))
        return 0;
    if (n >= MUCH)
        return whole ? 75 : 60;
    return whole ? n >= 4 ? 55 : 15 : 5;
}

int ws_plausible(struct td_slice in, bool from_client)
{
    int score = 0;
    size_t frames = 0;
    /* It is asked at each byte while frames are looked for: more than what leaves no doubt must not be walked through. */
    while (in.n && score < 100 && frames < MAX_FRAMES) {
        struct ws_frame frame;
        struct td_slice payload;
        int one;
        if (frames == 0 && !(in.p[0] & 0x80))
            return 0; /* a message in fragments: wait for its end */
        if (ws_read_header(in, &frame))
            break;
        if (ws_header_fault(&frame, from_client) || frame.long_winded || (frames == 0 && frame.opcode == WS_CONTINUATION))
            return 0;
        payload = td_sub(in, frame.header, frame.length < in.n ? frame.header + (size_t)frame.length : in.n);
        one = judge_payload(&frame, payload);
        if (one == 0)
            return 0;
        score += one;
        if (payload.n < frame.length)
            return score >= 50 ? score > 100 ? 100 : score : -1;
        if (++frames == 2)
            score += 10; /* one that fits behind another */
        in = td_sub(in, frame.header + payload.n, in.n);
        if (in.n == 0)
            score += 20 + (from_client ? 10 : 0); /* it ends where the packet does */
    }
    if (in.n && score < 50)
        return frames < MAX_FRAMES ? -1 : 0;
    return score > 100 ? 100 : score;
}
