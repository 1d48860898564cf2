/* Conversations: what two peers said to each other, taken from a capture, and told again in other packets: whole, in pieces,
 * in disorder, with holes, from the middle on. */
#ifndef TESTS_CONVERSATION_H
#define TESTS_CONVERSATION_H

#include "traffic.h"

enum told { TOLD_BYTES, TOLD_LOST /* in the capture already */, TOLD_FIN, TOLD_RESET };

struct told_event {
    enum told what;
    int dir;        /* 0: from the client */
    size_t at, n;   /* bytes of its stream; for UDP one datagram */
    uint64_t begin; /* position in the conversation: bytes of both directions, and 1 for each FIN and RST */
};

struct conversation {
    uint8_t transport;
    uint16_t port[2]; /* client, server */
    struct buf stream[2];
    struct told_event *events;
    size_t event_n;
    uint64_t length; /* the position behind the last event */
    uint64_t frame;  /* first packet of it in the capture, for messages */
};

struct conversations {
    struct conversation *v;
    size_t n;
};

/* All TCP connections and UDP flows with payload, in the order of their first packets. Ends the program if it cannot. */
struct conversations conversations_read(const char *path);
void conversations_free(struct conversations *all);

enum telling {
    TELL_WHOLE,    /* large segments */
    TELL_BYTES,    /* one byte each: frame by frame, the positions */
    TELL_CUTS,     /* at random places */
    TELL_DISORDER, /* segments late, early, twice, overlapping */
    TELL_HOLE,     /* `n` bytes of `dir` from `at` on are lost (UDP: the datagrams that have them) */
    TELL_FROM,     /* nothing before position `at`, no SYN */
    TELL_SWAPPED   /* no SYN, and the ports of client and server are exchanged */
};

struct variation {
    enum telling how;
    int dir;
    uint64_t at, n;
    uint32_t seed;
};

/* Tells it from client 10.x.y.z (`id`) to server 198.51.100.7. Returns the frame of the first event. */
uint64_t conversation_tell(struct traffic *t, const struct conversation *c, const struct variation *v, uint32_t id);

#endif
