/* Counts the packets of sender.c in captures that follow on each other: `tally FILE...`. Prints one line:
 *
 *     packets=N bytes=N foreign=N first=N last=N missing=N backward=N unreadable=N
 *
 * bytes: of the packets as captured; foreign: packets of others; missing: numbers between first and last that are not there; backward:
 * packets whose number is not above that of the packet before, 0 in a capture that is right; unreadable: files that are damaged. Each of
 * those is named on standard error. Exit status 1 if there are any, or any backward. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "packet/capture.h"
#include "sender.h"

enum { BATCH = 1024, ETHERNET = 14, PROTOCOL_AT = ETHERNET + 9, TRANSPORT_AT = ETHERNET + 20, UDP = 8, TCP = 20, IP_TCP = 6 };

struct tally {
    uint64_t packets, bytes, foreign, first, last, backward, unreadable;
};

/* False: not a packet of the sender. */
static bool read_number(const struct packet *p, uint64_t *ret)
{
    static const uint8_t mac[] = {SENDER_MAC, 8, 0};
    if (p->caplen < TRANSPORT_AT + UDP + SENDER_NUMBER || memcmp(p->p + 6, mac, sizeof(mac)) != 0)
        return false;
    uint32_t at = TRANSPORT_AT + (p->p[PROTOCOL_AT] == IP_TCP ? TCP : UDP);
    if (p->caplen < at + SENDER_NUMBER)
        return false;
    *ret = 0;
    for (int i = 0; i < SENDER_NUMBER; i++)
        *ret = *ret << 8 | p->p[at + (uint32_t)i];
    return true;
}

static void add(struct tally *t, const struct packet *p)
{
    uint64_t number;
    if (!read_number(p, &number)) {
        t->foreign++;
        return;
    }
    if (!t->packets)
        t->first = number;
    else if (number <= t->last)
        t->backward++;
    t->last = number;
    t->packets++;
    t->bytes += p->caplen;
}

static void read_file(struct tally *t, const char *path)
{
    struct error err;
    struct capture *c = NULL;
    struct packet packets[BATCH];
    struct block *block;
    int n = capture_open(path, &c, &err);
    while (n >= 0 && (n = capture_read(c, packets, BATCH, &block, &err)) > 0) {
        for (int i = 0; i < n; i++)
            add(t, &packets[i]);
        block_unref(block);
    }
    if (n < 0) {
        fprintf(stderr, "tally: %s: %s\n", path, err.text);
        t->unreadable++;
    }
    if (c)
        capture_close(c);
}

int main(int argc, char **argv)
{
    struct tally t = {0};
    for (int i = 1; i < argc; i++)
        read_file(&t, argv[i]);
    uint64_t missing = t.packets && !t.backward ? t.last - t.first + 1 - t.packets : 0;
    printf("packets=%" PRIu64 " bytes=%" PRIu64 " foreign=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64 " missing=%" PRIu64
           " backward=%" PRIu64 " unreadable=%" PRIu64 "\n",
           t.packets, t.bytes, t.foreign, t.first, t.last, missing, t.backward, t.unreadable);
    return t.backward || t.unreadable;
}
