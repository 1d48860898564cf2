/* Captures made by hand: Ethernet, IPv4, TCP and UDP, as pcap in memory. For tests that need to choose every bit;
 * everything else uses recorded traffic. */
#ifndef TESTS_TRAFFIC_H
#define TESTS_TRAFFIC_H

#include "base/buf.h"

enum { FIN = 0x01, SYN = 0x02, RST = 0x04, PSH = 0x08, ACK = 0x10, URG = 0x20 };

struct traffic {
    struct buf pcap;
    int64_t time_ns;  /* of the next packet */
    int64_t step_ns;  /* between packets */
    uint32_t snaplen; /* captured bytes of a packet; 0: all */
    uint64_t frames;
};

struct peer {
    uint8_t ip[4];
    uint16_t port;
};

void traffic_init(struct traffic *t);
void traffic_clear(struct traffic *t);
/* One packet each, with right checksums left zero: nobody checks them in a capture. */
void traffic_tcp(struct traffic *t, struct peer from, struct peer to, uint32_t seq, uint32_t ack, uint8_t flags, struct td_slice payload);
void traffic_udp(struct traffic *t, struct peer from, struct peer to, struct td_slice payload);

/* A UDP datagram, header and all, and bytes [begin, end) of it as an IPv4 fragment; `begin` is a multiple of 8, `id` tells
 * datagrams apart. */
void traffic_datagram(struct buf *out, struct peer from, struct peer to, struct td_slice payload);
void traffic_fragment(struct traffic *t, struct peer from, struct peer to, uint16_t id, struct td_slice datagram, size_t begin, size_t end);
/* One packet as it is on the wire, Ethernet header and all. */
void traffic_frame(struct traffic *t, struct td_slice frame);

/* A TCP connection that keeps its own numbers. */
struct talk {
    struct traffic *t;
    struct peer peer[2]; /* client, server */
    uint32_t seq[2];     /* next */
};

/* With the handshake. */
void talk_open(struct talk *k, struct traffic *t, struct peer client, struct peer server);
/* In mid-stream: nothing is sent. */
void talk_join(struct talk *k, struct traffic *t, struct peer client, struct peer server);
/* Sends data in segments of at most `mss` bytes (0: one segment). */
void talk_send(struct talk *k, int dir, struct td_slice data, size_t mss);
/* As if the capture had missed it. */
void talk_lose(struct talk *k, int dir, size_t n);
void talk_ack(struct talk *k, int dir);
void talk_close(struct talk *k);

#endif
