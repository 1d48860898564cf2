/* The WebSocket dissector behind the mock host, fed as the input says: each step is a byte that tells what comes and how long.
 *
 *   bit 7      direction
 *   bits 5, 6  0: bytes that follow as they are; 1: the same as the payload of a frame whose header's first byte follows; 2: a gap;
 *              3: (other bits zero) the direction's end
 *   bits 0..4  length; 31: the next byte tells how many more
 *
 * The first byte chooses the flow's flags and what was told, the second the fields that are wanted and the limits. */
#include "mock_host.h"

#include <stdlib.h>

#include "../../plugins/dissectors/websocket/websocket_frame.h"

extern const struct td_plugin td_plugin_v1_websocket;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void feed_frame(struct mock *m, int dir, uint8_t first, struct td_slice payload)
{
    static const uint8_t mask[4] = {1, 0, 0xff, 0x55};
    uint8_t frame[8 + 31 + 255];
    size_t n = 0;
    frame[n++] = first;
    frame[n++] = (uint8_t)((payload.n < 126 ? payload.n : 126) | (dir == TD_CLIENT ? 0x80 : 0));
    if (payload.n >= 126) {
        frame[n++] = (uint8_t)(payload.n >> 8);
        frame[n++] = (uint8_t)payload.n;
    }
    if (dir == TD_CLIENT) {
        memcpy(frame + n, mask, 4);
        n += 4;
        ws_unmask(mask, 0, payload.p, payload.n, frame + n);
    } else if (payload.n) {
        memcpy(frame + n, payload.p, payload.n);
    }
    mock_feed(m, dir, td_bytes(frame, n + payload.n));
}

static void play(struct mock *m, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size && m->claimed) {
        uint8_t code = data[at++];
        int dir = code >> 7;
        size_t n = code & 31;
        if (n == 31 && at < size)
            n += data[at++];
        switch (code >> 5 & 3) {
        case 2: mock_gap(m, dir, n ? n : UINT64_C(1) << 40); break;
        case 3:
            if (n == 0)
                mock_eof(m, dir);
            break;
        default: {
            bool framed = (code & 0x20) && at < size;
            uint8_t first = framed ? data[at++] : 0;
            if (n > size - at)
                n = size - at;
            if (framed)
                feed_frame(m, dir, first, td_bytes(data + at, n));
            else
                mock_feed(m, dir, td_bytes(data + at, n));
            at += n;
        }
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const told[] = {":status", "101", ":path", "/a?b", ":authority", "h", "sec-websocket-protocol", "x", NULL};
    struct mock m;
    if (size < 2)
        return 0;
    for (int client = 0; client < 2; client++) {
        int score = ws_plausible(td_bytes(data + 2, size - 2), client);
        if (score < -1 || score > 100)
            abort();
    }
    if (!mock_init(&m, &td_plugin_v1_websocket, MOCK_QUIET | (data[1] & (MOCK_FEW_FIELDS | MOCK_NO_BODIES))))
        abort();
    m.told = data[0] & 2 ? told : NULL;
    if (data[1] & 128)
        mock_option(&m, "maxMessageSize", 16);
    if (mock_open(&m, data[0] & TD_FLOW_MIDSTREAM))
        play(&m, data + 2, size - 2);
    mock_close(&m, TD_CLOSE_FIN);
    if (m.fault)
        abort();
    mock_clear(&m);
    return 0;
}
