/* gzip (RFC 1952) and zstd (RFC 8878) streams, decompressed as they are read.
 *
 * Concatenated gzip members and zstd frames follow one another without a seam; skippable frames are skipped; zero
 * bytes behind the last gzip member are padding. A zstd frame may ask for a window of up to 128 MiB, as the zstd tool allows. */
#ifndef PACKET_DECOMPRESS_H
#define PACKET_DECOMPRESS_H

#include "packet/raw.h"

struct decompress;

enum decompress_kind { DECOMPRESS_NONE = 0, DECOMPRESS_GZIP, DECOMPRESS_ZSTD };

/* By the first bytes. */
enum decompress_kind decompress_detect(struct td_slice head);
/* Reads from `raw`, which must outlive it. */
int decompress_new(enum decompress_kind, struct raw *raw, struct decompress **ret, struct error *err) MUST_CHECK;
void decompress_free(struct decompress *);
/* Up to `n` decompressed bytes; *ret_n is 0 at the end. A cut or corrupt stream fails, with the offset in the
 * compressed data, after everything before the fault has been given out. */
int decompress_read(struct decompress *, uint8_t *to, size_t n, size_t *ret_n, struct error *err) MUST_CHECK;

#endif
