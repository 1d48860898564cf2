/* Writing JSON text (RFC 8259) into a buffer, for output at speed. What is read as JSON goes through jansson. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "buf.h"

/* A JSON string, quotes included. Bytes that are not valid UTF-8 become U+FFFD, one for each byte. */
void json_put_string(struct buf *b, struct td_slice text);
/* Is it all valid UTF-8 (RFC 3629: no overlong forms, no surrogates)? */
bool json_is_utf8(struct td_slice text);
/* At most how many bytes of memory, about, the values of such a text take when jansson has read it: what is "[],[]," many times over
 * becomes eighty times as long. For those who read what strangers send. */
size_t json_tree_bytes(struct td_slice text);
/* A JSON string with the bytes in base64 (RFC 4648 section 4, padded). */
void json_put_base64(struct buf *b, struct td_slice bytes);

#endif
