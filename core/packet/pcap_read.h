/* The pcap format (draft-ietf-opsawg-pcap), all kinds that are known:
 *
 *   a1b2c3d4            microseconds, 16-byte record headers. The same magic is used by ss990417 (Red Hat 6.1, 24 bytes), Nokia
 *                       (20 bytes) and AIX (version 2.2, nanoseconds, link types by ifType); those are told by their records.
 *   a1b23c4d            nanoseconds
 *   a1b2cd34            "modified" (Kuznetzov): ss991029 with 24-byte record headers or ss990915 (SuSE 6.3) with 28
 *   1c0001ac, 1c0001ab  Ixia, nanoseconds and microseconds, with four more bytes in the file header
 *
 * each in both byte orders; versions before 2.3 and 543.0 (DG/UX) with the lengths exchanged. */
#ifndef PACKET_PCAP_READ_H
#define PACKET_PCAP_READ_H

#include "packet/input.h"
#include "packet/packet.h"
#include "packet/tables.h"

enum { CAPTURE_MAX_PACKET = 16 << 20 }; /* captured bytes; a record that claims more is damage */

enum pcap_lengths { PCAP_LENGTHS_PLAIN = 0, PCAP_LENGTHS_SWAPPED, PCAP_LENGTHS_DOUBTFUL };

struct pcap_reader {
    bool big;
    uint8_t lengths; /* pcap_lengths: which of the two comes first */
    uint16_t linktype;
    uint32_t header_len; /* of a record */
    uint32_t ns_per_tick;
    uint64_t frames;     /* packets given out */
    const char *variant; /* for people; NULL: none */
};

bool pcap_detect(struct td_slice head);
/* Reads the file header and adds the one interface. */
int pcap_open(struct pcap_reader *, struct input *, struct tables *, struct error *err) MUST_CHECK;
/* As capture_read(). */
int pcap_read(struct pcap_reader *, struct input *, struct packet *, size_t max, struct error *err) MUST_CHECK;

#endif
