#include "traffic.h"

#include "base/units.h"

static void put16(struct buf *b, uint32_t v)
{
    uint8_t p[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    buf_put(b, p, 2);
}

static void put32(struct buf *b, uint32_t v)
{
    put16(b, v >> 16);
    put16(b, v & 0xffff);
}

void traffic_init(struct traffic *t)
{
    *t = (struct traffic){.time_ns = 1700000000ll * NS_PER_S, .step_ns = NS_PER_MS};
    buf_init(&t->pcap, 0);
    put32(&t->pcap, 0xa1b23c4d); /* nanoseconds, big-endian */
    put16(&t->pcap, 2);
    put16(&t->pcap, 4);
    put32(&t->pcap, 0);
    put32(&t->pcap, 0);
    put32(&t->pcap, 262144);
    put32(&t->pcap, 1);
}

void traffic_clear(struct traffic *t)
{
    buf_clear(&t->pcap);
}

void traffic_frame(struct traffic *t, struct td_slice frame)
{
    size_t captured = t->snaplen && t->snaplen < frame.n ? t->snaplen : frame.n;
    put32(&t->pcap, (uint32_t)(t->time_ns / NS_PER_S));
    put32(&t->pcap, (uint32_t)(t->time_ns % NS_PER_S));
    put32(&t->pcap, (uint32_t)captured);
    put32(&t->pcap, (uint32_t)frame.n);
    buf_put(&t->pcap, frame.p, captured);
    t->time_ns += t->step_ns;
    t->frames++;
}

/* `fragment`: the header's second word, identification, flags and offset. */
static void put_packet(struct traffic *t, uint8_t transport, uint32_t fragment, struct peer from, struct peer to, struct td_slice l4,
                       struct td_slice payload)
{
    static const uint8_t ethernet[14] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0};
    struct buf p = {0};
    buf_put(&p, ethernet, sizeof(ethernet));
    put16(&p, 0x4500);
    put16(&p, (uint32_t)(20 + l4.n + payload.n));
    put32(&p, fragment);
    put16(&p, 64u << 8 | transport);
    put16(&p, 0);
    buf_put(&p, from.ip, 4);
    buf_put(&p, to.ip, 4);
    buf_put_slice(&p, l4);
    buf_put_slice(&p, payload);
    traffic_frame(t, buf_slice(&p));
    buf_clear(&p);
}

void traffic_tcp(struct traffic *t, struct peer from, struct peer to, uint32_t seq, uint32_t ack, uint8_t flags, struct td_slice payload)
{
    struct buf h = {0};
    put16(&h, from.port);
    put16(&h, to.port);
    put32(&h, seq);
    put32(&h, ack);
    put16(&h, 0x5000u | flags);
    put16(&h, 65535);
    put32(&h, 0);
    put_packet(t, 6, (uint32_t)t->frames << 16, from, to, buf_slice(&h), payload);
    buf_clear(&h);
}

void traffic_datagram(struct buf *out, struct peer from, struct peer to, struct td_slice payload)
{
    put16(out, from.port);
    put16(out, to.port);
    put16(out, (uint32_t)(8 + payload.n));
    put16(out, 0);
    buf_put_slice(out, payload);
}

void traffic_udp(struct traffic *t, struct peer from, struct peer to, struct td_slice payload)
{
    struct buf datagram = {0};
    traffic_datagram(&datagram, from, to, payload);
    put_packet(t, 17, (uint32_t)t->frames << 16, from, to, buf_slice(&datagram), td_bytes(NULL, 0));
    buf_clear(&datagram);
}

void traffic_fragment(struct traffic *t, struct peer from, struct peer to, uint16_t id, struct td_slice datagram, size_t begin, size_t end)
{
    uint32_t more = end < datagram.n ? 0x2000 : 0;
    put_packet(t, 17, (uint32_t)id << 16 | more | (uint32_t)(begin / 8), from, to, td_sub(datagram, begin, end), td_bytes(NULL, 0));
}

static void put_talk(struct talk *k, int dir, uint8_t flags, struct td_slice payload)
{
    traffic_tcp(k->t, k->peer[dir], k->peer[!dir], k->seq[dir], flags & ACK ? k->seq[!dir] : 0, flags, payload);
    k->seq[dir] += (uint32_t)payload.n + !!(flags & SYN) + !!(flags & FIN);
}

void talk_join(struct talk *k, struct traffic *t, struct peer client, struct peer server)
{
    *k = (struct talk){.t = t, .peer = {client, server}, .seq = {1000, 900000}};
}

void talk_open(struct talk *k, struct traffic *t, struct peer client, struct peer server)
{
    talk_join(k, t, client, server);
    put_talk(k, 0, SYN, td_bytes(NULL, 0));
    put_talk(k, 1, SYN | ACK, td_bytes(NULL, 0));
    put_talk(k, 0, ACK, td_bytes(NULL, 0));
}

void talk_send(struct talk *k, int dir, struct td_slice data, size_t mss)
{
    for (size_t at = 0; at < data.n;) {
        size_t n = mss && mss < data.n - at ? mss : data.n - at;
        put_talk(k, dir, ACK | PSH, td_sub(data, at, at + n));
        at += n;
    }
}

void talk_lose(struct talk *k, int dir, size_t n)
{
    k->seq[dir] += (uint32_t)n;
}

void talk_ack(struct talk *k, int dir)
{
    put_talk(k, dir, ACK, td_bytes(NULL, 0));
}

void talk_close(struct talk *k)
{
    put_talk(k, 0, FIN | ACK, td_bytes(NULL, 0));
    put_talk(k, 1, FIN | ACK, td_bytes(NULL, 0));
    talk_ack(k, 0);
}
