/* The files of a ring's directory: their names, what they cost, and the head of a segment. */
#ifndef CAPTURE_SEGMENT_FILE_H
#define CAPTURE_SEGMENT_FILE_H

#include "base/buf.h"
#include "base/error.h"
#include "capture/segment_summary.h"

enum { SEGMENT_NAME = 40 };

enum segment_file_kind { SEGMENT_FILE_PLAIN, SEGMENT_FILE_COMPRESSED, SEGMENT_FILE_INDEX, SEGMENT_FILE_KINDS };

/* "0000000042.pcapng". `unfinished`: with ".tmp" behind it, for a file that does not count yet. */
const char *segment_file_name(uint64_t sequence, enum segment_file_kind, bool unfinished, char out[SEGMENT_NAME]);
/* False: no name of a segment's file. */
bool segment_file_parse(const char *name, uint64_t *ret_sequence, enum segment_file_kind *ret_kind, bool *ret_unfinished);

/* What a file of so many bytes takes of the disk. */
static inline uint64_t segment_file_cost(uint64_t bytes)
{
    return (bytes + 4095) / 4096 * 4096;
}

/* What stands in the section header of a segment for people: which one it is, and what is missing before it. `previous_ns`: until when was
 * captured before the gap; INT64_MIN: nothing was. */
void segment_file_head(struct buf *ret, const char *node, const struct segment_summary *, int64_t previous_ns, const char *reason);

/* Reads from the first bytes of a segment what segment_file_head() wrote for people: since when, and what is missing before it. What is not
 * there is left alone. */
void segment_file_read_head(struct td_slice head, struct segment_summary *);

#endif
