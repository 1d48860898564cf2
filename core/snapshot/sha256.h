/* SHA-256 (FIPS 180-4) of bytes as they pass, by libcrypto. */
#ifndef SNAPSHOT_SHA256_H
#define SNAPSHOT_SHA256_H

#include "base/error.h"

enum { SHA256_BYTES = 32, SHA256_HEX = 65 /* with its zero */ };

struct sha256;

struct sha256 *sha256_new(void); /* NULL: out of memory */
void sha256_free(struct sha256 *);
/* From the beginning again. */
void sha256_begin(struct sha256 *);
void sha256_add(struct sha256 *, struct td_slice);
/* False: libcrypto failed meanwhile. */
bool sha256_end(struct sha256 *, uint8_t ret[SHA256_BYTES]);

/* Lower case. */
void sha256_format(const uint8_t digest[SHA256_BYTES], char out[SHA256_HEX]);
bool sha256_parse(const char *text, uint8_t ret[SHA256_BYTES]); /* 64 hexadecimal digits; what follows is not looked at */

#endif
