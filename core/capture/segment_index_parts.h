/* The index of a segment as it is read: shared by those who load its parts and those who choose by them. */
#ifndef CAPTURE_SEGMENT_INDEX_PARTS_H
#define CAPTURE_SEGMENT_INDEX_PARTS_H

#include "capture/segment_index.h"
#include "capture/segment_index_format.h"
#include "tapedeck/cursor.h"

struct segment_index {
    const struct notes *notes; /* NULL: it is a file */
    int fd;
    struct index_header header;
    uint64_t header_bytes;         /* by its version */
    uint64_t offsets[INDEX_PARTS]; /* of the parts in the file */
    struct notes_interface *interfaces;
    size_t interface_n;
    struct segment_frames frames; /* n 0: not compressed */
    /* Of a file, once they are wanted. */
    struct notes_stride *strides;
    struct buf rows, pages;
};

/* One row of a file. */
struct index_row {
    struct packet_key key;
    uint32_t packets, bytes; /* bytes: of its postings */
};

/* Reads the next row; false: damaged. */
bool index_next_row(struct td_cursor *, struct index_row *ret);
/* At most 32 bits; anything else makes the cursor fail. */
uint32_t index_varint(struct td_cursor *);

/* Read and checked when they are first asked for. */
int index_load_strides(struct segment_index *, struct error *err) MUST_CHECK;
int index_load_rows(struct segment_index *, struct error *err) MUST_CHECK;
int index_load_pages(struct segment_index *, struct error *err) MUST_CHECK;
/* One page of postings, checked; its bytes go to *ret_n. */
int index_read_page(const struct segment_index *, uint64_t page, uint8_t bytes[INDEX_PAGE], size_t *ret_n, struct error *err) MUST_CHECK;
/* Exactly `n` bytes of the file. */
int index_read_at(int fd, uint64_t offset, void *p, size_t n, struct error *err) MUST_CHECK;
/* Says that a part is damaged, at which offset of the file, and how. */
int index_damaged(const struct segment_index *, enum index_part part, uint64_t offset, const char *how, struct error *err);

#endif
