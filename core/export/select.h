/* Which packets are wanted: by time, link type, filter expression and connection. */
#ifndef EXPORT_SELECT_H
#define EXPORT_SELECT_H

#include "packet/bpf.h"
#include "packet/decode.h"

/* Both directions of it. */
struct select_connection {
    uint8_t ip[2][16]; /* IPv4 in the first four bytes, the rest zero */
    uint16_t port[2];
    uint8_t ip_version; /* 4 or 6; 0: any connection */
    uint8_t transport;  /* 6 TCP, 17 UDP; 0: either */
};

/* Packets of one capture by their numbers, ascending. */
struct select_frames {
    const uint64_t *v;
    size_t n;
};

struct selection {
    int64_t start_ns, end_ns; /* start <= time < end; INT64_MIN, INT64_MAX: no bound */
    int32_t linktype;         /* -1: any */
    struct bpf *bpf;          /* NULL: no filter */
    struct select_connection connection;
    const struct select_frames *frames; /* for each capture, in the order in which they are named; NULL: any packet */
};

/* Everything. */
void selection_init(struct selection *);
/* "IP:PORT-IP:PORT", IPv6 addresses in brackets, with "/tcp" or "/udp" behind it or neither. */
int select_parse_connection(const char *text, struct select_connection *ret, struct error *err) MUST_CHECK;

enum select_verdict {
    SELECT_NO,
    SELECT_YES,
    SELECT_WAIT /* a fragment whose ports are not known yet */
};

struct select_result {
    enum select_verdict verdict;
    struct decode_datagram *datagram; /* the packet made this fragmented datagram whole; NULL: none; the caller's to block_unref() */
    bool datagram_matches;            /* the connection, whatever the verdict on this one packet is */
};

/* `decoder`, one for each capture, is used if a connection is asked for. */
struct select_result select_packet(const struct selection *, struct decoder *, const struct packet *);

#endif
