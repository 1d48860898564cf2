/* Many packets to one decoder, so that fragments meet. Each packet in the input: two bytes link type, two bytes captured
 * length, one byte that lengthens it on the wire, one byte of seconds since the packet before; then the packet. */
#include <stdlib.h>

#include "packet/decode.h"
#include "tapedeck/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads all that the decoder says is there, so that the sanitizers see if it is not. */
static void check(const struct decoded *d, const struct packet *packet)
{
    uint32_t sum = d->l4[d->l4_caplen - 1];
    for (uint32_t i = 0; i < d->l4_caplen; i++)
        sum += d->l4[i];
    for (uint32_t i = 0; i < (d->ip_version == 4 ? 20 : 40); i++)
        sum += d->ip[i];
    bool sane = d->l4_caplen <= d->l4_len && d->l4_caplen >= (d->transport == 6 ? 20 : 8) && (d->transport == 6 || d->transport == 17);
    for (uint32_t i = 0; d->datagram && i < d->datagram->frame_count; i++)
        sane = sane && d->datagram->frames[i] <= packet->frame && (i == 0 || d->datagram->frames[i] > d->datagram->frames[i - 1]);
    if (!sane || sum == UINT32_MAX)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder *decoder = decoder_new(20000);
    struct td_cursor c = td_cursor(td_bytes(data, size));
    struct packet packet = {0};
    while (decoder && td_left(&c) > 0) {
        packet.linktype = td_be16(&c);
        size_t caplen = td_be16(&c);
        uint8_t cut = td_u8(&c);
        packet.time_ns += td_u8(&c) * 1000000000LL;
        struct td_slice bytes = td_take(&c, caplen < td_left(&c) ? caplen : td_left(&c));
        uint8_t *p = malloc(bytes.n ? bytes.n : 1);
        if (bytes.n)
            memcpy(p, bytes.p, bytes.n);
        packet.p = p;
        packet.caplen = (uint32_t)bytes.n;
        packet.len = packet.caplen + cut;
        packet.frame++;
        struct decoded decoded;
        if (decode_packet(decoder, &packet, &decoded) == DECODE_OK) {
            check(&decoded, &packet);
            if (decoded.datagram)
                block_unref(&decoded.datagram->block);
        }
        free(p);
    }
    decoder_free(decoder);
    return 0;
}
