/* The HTTP/2 dissector behind the mock host, fed as the input says: each step is a byte that tells what comes and how long.
 *
 *   bit 7      direction
 *   bits 5, 6  0 and 1: bytes that follow, 2: a gap, 3: (other bits zero) the direction's end
 *   bits 0..4  length; 31: the next byte tells how many more
 *
 * The first byte chooses the flow's flags, the second the fields that are wanted and the limits. */
#include "mock_host.h"

#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_http2;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t length_of(const uint8_t *data, size_t size, size_t *at, uint8_t code)
{
    size_t n = code & 31;
    if (n == 31 && *at < size)
        n += data[(*at)++];
    return n;
}

static void play(struct mock *m, const uint8_t *data, size_t size)
{
    size_t at = 0;
    while (at < size && m->claimed) {
        uint8_t code = data[at++];
        int dir = code >> 7;
        size_t n = length_of(data, size, &at, code);
        switch (code >> 5 & 3) {
        case 2: mock_gap(m, dir, n ? n : UINT64_C(1) << 40); break;
        case 3:
            if (n == 0)
                mock_eof(m, dir);
            break;
        default:
            if (n > size - at)
                n = size - at;
            mock_feed(m, dir, td_bytes(data + at, n));
            at += n;
        }
    }
}

static int probe_both(const struct mock *m, const uint8_t *data, size_t size)
{
    struct td_flow flow;
    int dir, sum = 0;
    memset(&flow, 0, sizeof(flow));
    for (dir = 0; dir < 2; dir++) {
        int score = m->ops->probe(m->self, &flow, dir, td_bytes(data, size));
        /* It may not ask for what it has, nor for more than it said that it would. */
        if (score > 100 || (score < 0 && ((size_t)-score <= size || (size_t)-score > m->ops->max_probe)))
            abort();
        sum += score;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned wanted[] = {MOCK_QUIET, MOCK_QUIET | MOCK_NO_BODIES, MOCK_QUIET | MOCK_NO_BODIES | MOCK_NO_SIZES,
                                      MOCK_QUIET | MOCK_FEW_FIELDS};
    struct mock m;
    if (size < 2)
        return 0;
    if (!mock_init(&m, &td_plugin_v1_http2, wanted[data[1] & 3]))
        abort();
    if (data[1] & 4)
        mock_option(&m, "maxHeadersSize", 1024);
    mock_option(&m, "maxBodySize", data[1] & 8 ? 16 : 65536);
    if (data[1] & 16)
        m.fail_alloc_at = data[1] >> 5;
    (void)probe_both(&m, data + 2, size - 2);
    if (mock_open(&m, data[0] & (TD_FLOW_MIDSTREAM | TD_FLOW_ROLE_GUESSED)))
        play(&m, data + 2, size - 2);
    mock_close(&m, data[0] & 4 ? TD_CLOSE_FIN : TD_CLOSE_RESET);
    if (m.fault)
        abort();
    mock_clear(&m);
    return 0;
}
