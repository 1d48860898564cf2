/* The file that holds the index of a segment, version 2; shared by those who write and read it.
 *
 * Numbers are little-endian; "varint" is unsigned LEB128 of at most 32 bits. The header says of each part how many elements and bytes it
 * has, and their checksum (hash_bytes() with INDEX_SEED); the parts follow it in this order, without room between them:
 *
 *     interfaces   16 bytes each: place of the description block, its length, link type, snaplen
 *     frames       4 bytes each: of a compressed segment, the compressed size; none: it is not compressed
 *     strides      24 bytes each: place, packets before it (4 bytes each), earliest, latest time
 *     rows         of each key: link type (2), IP version, protocol, offset of the IP header, flags (1 each), with PACKET_KEY_PORTS both
 *                  ports (2 each), addresses (4 or 16 each), and as varints its packets and the bytes of its postings
 *     pages        8 bytes each: the checksum of INDEX_PAGE bytes of postings, so that they are read in pieces
 *     postings     row by row the places of its packets, ascending: varints, each the distance to the one before, the first from 0
 *
 * Places are offsets in the segment in units of 4 bytes. Version 1 had no digest of the segment's file in its header; it is still read. */
#ifndef CAPTURE_SEGMENT_INDEX_FORMAT_H
#define CAPTURE_SEGMENT_INDEX_FORMAT_H

#include "capture/frames.h"
#include "capture/notes.h"
#include "capture/segment_summary.h"

enum index_part { INDEX_INTERFACES, INDEX_FRAMES, INDEX_STRIDES, INDEX_ROWS, INDEX_PAGES, INDEX_POSTINGS, INDEX_PARTS };

enum {
    INDEX_VERSION = 2,
    INDEX_VERSION_WITHOUT_DIGEST = 1,
    INDEX_SEED = 0x746470, /* of checksums */
    INDEX_MAGIC_BYTES = 8,
    INDEX_SUMMARY_BYTES = 12 * 8 + 2 * 4,
    INDEX_DIGEST_BYTES = 8 + SEGMENT_SHA256, /* is there one, and which */
    INDEX_HEADER_BYTES =
        INDEX_MAGIC_BYTES + 2 * 4 + 8 + INDEX_SUMMARY_BYTES + INDEX_DIGEST_BYTES + INDEX_PARTS * 3 * 8 + 8, /* its checksum */
    INDEX_INTERFACE_BYTES = 16,
    INDEX_FRAME_BYTES = 4,
    INDEX_STRIDE_BYTES = 24,
    INDEX_CHECKSUM_BYTES = 8,
    INDEX_PAGE = 16 << 10,  /* bytes */
    INDEX_VARINT_BYTES = 5, /* at most */
    INDEX_MAX_ROW_BYTES = 6 + 4 + 2 * 16 + 2 * INDEX_VARINT_BYTES
};

#define INDEX_MAGIC "TDINDEX\n"

struct index_header {
    uint64_t file_bytes;
    struct segment_summary summary;
    struct {
        uint64_t count, bytes, checksum; /* of the postings, which have their own ones: 0 */
    } parts[INDEX_PARTS];
};

/* Bytes of a key in its row. */
enum { INDEX_MAX_KEY_BYTES = 6 + 4 + 2 * 16 };

static inline size_t index_key_bytes(const struct packet_key *key)
{
    size_t addresses = key->ip_version == 4 ? 2 * 4 : key->ip_version == 6 ? 2 * 16 : 0;
    return (key->flags & PACKET_KEY_PORTS ? 6u + 4u : 6u) + addresses;
}

/* How many elements of so many bytes each it takes to cover `n` bytes. */
static inline uint64_t index_pieces(uint64_t n, uint64_t piece)
{
    return n / piece + (n % piece != 0);
}

#endif
