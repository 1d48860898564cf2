/* Undoing content codings (RFC 9110 section 8.4.1): gzip, deflate (zlib or raw), br, zstd, also stacked.
 *
 * A call decodes what there is of one body into the caller's buffer and keeps nothing. Never more is written than the
 * buffer holds; the decoders' own memory is bounded by their window limits (deflate 32 KiB, br 16 MiB, zstd 8 MiB,
 * RFC 9659) and freed before the call returns. */
#ifndef CONTENT_DECODE_H
#define CONTENT_DECODE_H

#include "tapedeck/slice.h"

enum { CONTENT_MAX_CODINGS = 4 /* that are undone of one body; more count as unknown */ };

enum content_coding { CONTENT_GZIP = 1, CONTENT_DEFLATE, CONTENT_BROTLI, CONTENT_ZSTD, CONTENT_CODING_UNKNOWN };

enum content_decoded {
    CONTENT_DECODED,     /* all of it, or as much as the buffer holds */
    CONTENT_DECODED_CUT, /* what there was of it: the input ends early */
    CONTENT_DECODED_BAD  /* up to a fault, maybe nothing: not in this coding, or a coding that is unknown */
};

/* Decodes `in`, to which the `n` codings were applied in this order. `room` has 2 * cap bytes if n > 1, else cap. *ret_out
 * lies in `room`; with CONTENT_DECODED_BAD it is empty unless the fault came late. */
enum content_decoded content_decode(const uint8_t *codings, size_t n, struct td_slice in, uint8_t *room, size_t cap,
                                    struct td_slice *ret_out);

/* The coding of this name as Content-Encoding has it, letters' case ignored. */
enum content_coding content_coding_by_name(struct td_slice name);

/* A name that stands for no coding at all. */
bool content_is_identity(struct td_slice name);

#endif
