/* Undoing what producers compress record batches with. Pure; the output is bounded by the room that is given. */
#ifndef KAFKA_CODEC_H
#define KAFKA_CODEC_H

#include <tapedeck/slice.h>

/* The low three bits of a batch's attributes. */
enum kafka_codec { KAFKA_PLAIN, KAFKA_GZIP, KAFKA_SNAPPY, KAFKA_LZ4, KAFKA_ZSTD, KAFKA_CODECS };

/* "gzip"; NULL for a number that means nothing. */
const char *kafka_codec_name(unsigned codec);

/* A context for zstd that waits for its next use, as to make one takes as long as to decode a small batch. Threads share it. All zero:
 * there is none. */
struct kafka_spare {
    _Atomic(void *) zstd;
};
void kafka_spare_clear(struct kafka_spare *spare);

/* Decodes `in` into `room`: how many bytes came out. *ret_whole: to the end; otherwise what came before it is damaged or the room was
 * too small. snappy as it is or in xerial's blocks; LZ4 frames whose header checksum is not looked at, as old clients computed it
 * wrongly (KAFKA-3160). */
size_t kafka_decode(unsigned codec, struct td_slice in, struct kafka_spare *spare, uint8_t *room, size_t cap, bool *ret_whole);

#endif
