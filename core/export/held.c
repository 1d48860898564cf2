#include "held.h"

#include <string.h>

#include "base/mem.h"

struct held_packet {
    struct held_packet *next;
    enum select_verdict verdict;
    struct packet packet;
    uint8_t bytes[];
};

static void give_up(struct held *h, struct held_packet *p)
{
    p->verdict = SELECT_NO;
    h->given_up++;
}

/* Makes room by giving up the oldest fragment, behind which the others wait. */
static void keep_budget(struct held *h)
{
    if (h->count < HELD_MAX_PACKETS && h->bytes < HELD_MAX_BYTES)
        return;
    for (struct held_packet *p = h->first; p; p = p->next)
        if (p->verdict == SELECT_WAIT) {
            give_up(h, p);
            return;
        }
}

bool held_push(struct held *h, const struct packet *p, enum select_verdict verdict)
{
    keep_budget(h);
    struct held_packet *copy = mem_alloc(sizeof(*copy) + p->caplen);
    if (!copy)
        return false;
    copy->next = NULL;
    copy->verdict = verdict;
    copy->packet = *p;
    copy->packet.p = copy->bytes;
    if (p->caplen)
        memcpy(copy->bytes, p->p, p->caplen);
    if (h->last)
        h->last->next = copy;
    else
        h->first = copy;
    h->last = copy;
    h->count++;
    h->bytes += p->caplen;
    return true;
}

void held_decide(struct held *h, const uint64_t *frames, size_t n, bool wanted)
{
    size_t i = 0;
    for (struct held_packet *p = h->first; p && i < n; p = p->next) {
        while (i < n && frames[i] < p->packet.frame)
            i++;
        if (i < n && frames[i] == p->packet.frame && p->verdict == SELECT_WAIT)
            p->verdict = wanted ? SELECT_YES : SELECT_NO;
    }
}

void held_give_up_all(struct held *h)
{
    for (struct held_packet *p = h->first; p; p = p->next)
        if (p->verdict == SELECT_WAIT)
            give_up(h, p);
}

const struct packet *held_first(struct held *h)
{
    while (h->first && h->first->verdict == SELECT_NO)
        held_pop(h);
    return h->first && h->first->verdict == SELECT_YES ? &h->first->packet : NULL;
}

void held_pop(struct held *h)
{
    struct held_packet *p = h->first;
    h->first = p->next;
    if (!h->first)
        h->last = NULL;
    h->count--;
    h->bytes -= p->packet.caplen;
    mem_free(p);
}

void held_clear(struct held *h)
{
    while (h->first)
        held_pop(h);
}
