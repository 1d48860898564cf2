/* Packets that are held back because one before them is a fragment whose connection is not known yet: what leaves an input
 * keeps the order of its file. They are copied, within a budget; when it is used up, the oldest fragment is given up. */
#ifndef EXPORT_HELD_H
#define EXPORT_HELD_H

#include <stdbool.h>
#include <stddef.h>

#include "packet/packet.h"
#include "export/select.h"

enum { HELD_MAX_PACKETS = 4096, HELD_MAX_BYTES = 16 << 20 };

struct held_packet;

struct held {
    struct held_packet *first, *last;
    size_t count, bytes;
    uint64_t given_up; /* fragments */
};

/* A copy behind those there are; SELECT_YES or SELECT_WAIT. False when memory is short. */
bool held_push(struct held *h, const struct packet *p, enum select_verdict);
/* Decides fragments, by their frame numbers, which ascend. */
void held_decide(struct held *h, const uint64_t *frames, size_t n, bool wanted);
/* No fragment's datagram becomes whole any more. */
void held_give_up_all(struct held *h);
/* The first packet, if it may leave; NULL: none is there, or it has to wait. */
const struct packet *held_first(struct held *h);
void held_pop(struct held *h);
void held_clear(struct held *h);

#endif
