/* Which packets are wanted: by time, link type, filter expression and connection. */
#ifndef EXPORT_SELECT_H
#define EXPORT_SELECT_H

#include "export/connection_set.h"
#include "packet/bpf.h"
#include "packet/decode.h"

/* Packets of one source by their numbers from 1, ascending. */
struct select_frames {
    const uint64_t *v;
    size_t n;
};

struct selection {
    int64_t start_ns, end_ns; /* start <= time < end; INT64_MIN, INT64_MAX: no bound */
    int32_t linktype;         /* -1: any */
    struct bpf *bpf;          /* NULL: no filter */
    struct select_connection connection;
    const struct connection_set *connections; /* one of these; NULL: any */
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

/* Must packets be decoded for it? */
static inline bool select_by_connection(const struct selection *s)
{
    return s->connection.ip_version || s->connections;
}

struct select_result {
    enum select_verdict verdict;
    struct decode_datagram *datagram; /* the packet made this fragmented datagram whole; NULL: none; the caller's to block_unref() */
    bool datagram_matches;            /* the connection, whatever the verdict on this one packet is */
};

/* `decoder`, one for each capture, is used if connections are asked for. */
struct select_result select_packet(const struct selection *, struct decoder *, const struct packet *);

#endif
