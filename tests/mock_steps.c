#include "mock_steps.h"

#include <stdlib.h>

static size_t length_of(const uint8_t *data, size_t size, size_t *at, uint8_t code)
{
    size_t n = code & 31;
    if (n == 31 && *at < size)
        n += data[(*at)++];
    return n;
}

void mock_play(struct mock *m, const uint8_t *data, size_t size)
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

int mock_probe_both(const struct mock *m, const uint8_t *data, size_t size)
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
