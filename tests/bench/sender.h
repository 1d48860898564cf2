/* What sender.c writes into its packets and tally.c reads again. */
#ifndef SENDER_H
#define SENDER_H

#define SENDER_MAC 2, 'T', 'D', 0, 0, 1 /* the source of every frame */

enum {
    SENDER_NUMBER = 6,       /* bytes of a packet's number, big-endian, at the beginning of its payload */
    SENDER_HOST = 0x0ac80001 /* 10.200.0.1, the host with a share of its own */
};

#endif
