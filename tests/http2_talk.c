#include "http2_talk.h"

#include <string.h>

static struct traffic traffic;
static struct talk talk;

void h2_start(void)
{
    traffic_init(&traffic);
    talk_open(&talk, &traffic, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 80});
    talk_send(&talk, 0, TD_LIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0);
    h2_frame(0, H2_SETTINGS, 0, 0, TD_LIT(""));
    h2_frame(1, H2_SETTINGS, 0, 0, TD_LIT(""));
}

void h2_frame(int dir, unsigned type, unsigned flags, uint32_t stream, struct td_slice payload)
{
    const uint8_t header[9] = {
        (uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8), (uint8_t)payload.n,     (uint8_t)type,  (uint8_t)flags,
        (uint8_t)(stream >> 24),    (uint8_t)(stream >> 16),   (uint8_t)(stream >> 8), (uint8_t)stream};
    struct buf out = {0};
    buf_put_slice(&out, td_bytes(header, sizeof(header)));
    buf_put_slice(&out, payload);
    talk_send(&talk, dir, buf_slice(&out), 1400);
    buf_clear(&out);
}

void h2_headers(int dir, unsigned flags, uint32_t stream, const char *const *fields)
{
    struct buf block = {0};
    for (; *fields; fields += 2) {
        buf_putc(&block, 0); /* a literal that is not inserted (RFC 7541 section 6.2.2) */
        for (int i = 0; i < 2; i++) {
            buf_putc(&block, (char)strlen(fields[i]));
            buf_puts(&block, fields[i]);
        }
    }
    h2_frame(dir, H2_HEADERS, flags | H2_END_HEADERS, stream, buf_slice(&block));
    buf_clear(&block);
}

void h2_lose(int dir, size_t n)
{
    talk_lose(&talk, dir, n);
}

const char *h2_run(struct rig *rig)
{
    talk_close(&talk);
    const char *out = rig_run(rig, buf_slice(&traffic.pcap));
    traffic_clear(&traffic);
    return out;
}
