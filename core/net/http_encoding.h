/* In which content coding an answer is sent (RFC 9110 sections 8.4.1 and 12.5.3), and the coding itself: gzip (RFC 1952), zstd (RFC 8878).
 *
 * Sent compressed are texts only: captured files are compressed already, or are wanted byte for byte. */
#ifndef NET_HTTP_ENCODING_H
#define NET_HTTP_ENCODING_H

#include "base/buf.h"
#include "base/error.h"

enum { HTTP_COMPRESS_FROM = 1024 }; /* bytes; what is shorter is sent as it is */

enum http_coding { HTTP_IDENTITY, HTTP_GZIP, HTTP_ZSTD };

/* The coding that the client likes best; of equals zstd, gzip, none. `accept` is its Accept-Encoding; NULL: none, so is what it gets. A
 * client that accepts "*" only gets none: some say so who can unpack nothing. Elements that are not well-formed are passed over. */
enum http_coding http_coding_choose(const char *accept);
const char *http_coding_name(enum http_coding);
/* Is it a media type of text, as JSON, HTML, event streams? */
bool http_type_is_text(const char *type);

enum http_coding_flush {
    HTTP_CODING_MORE,  /* it may keep what it has for what comes */
    HTTP_CODING_FLUSH, /* all of it can be unpacked from what comes out */
    HTTP_CODING_END,   /* and nothing follows */
};

/* A body on its way. Not for sharing between threads. */
struct http_encoder;
/* `live`: many may be open for long, with little in them: takes less memory, compresses less. */
int http_encoder_new(enum http_coding, bool live, struct http_encoder **ret, struct error *err) MUST_CHECK;
void http_encoder_free(struct http_encoder *); /* NULL is fine */
/* Appends to `out`. TD_E_NOMEM: that has failed, and the encoder is of no more use. */
int http_encode(struct http_encoder *, struct td_slice in, enum http_coding_flush, struct buf *out, struct error *err) MUST_CHECK;

#endif
