/* Text between the quotes of a JSON string (RFC 8259 section 7), many bytes at a time: much of what is sent through Kafka is JSON itself,
 * and each of its quotes is to cost no more than other bytes. Pure. */
#ifndef KAFKA_ESCAPE_H
#define KAFKA_ESCAPE_H

#include <tapedeck/slice.h>

enum { KAFKA_ESCAPE_SLACK = 48 /* bytes that are written behind what counts */ };

struct kafka_escaped {
    size_t used; /* of the text */
    uint8_t *to; /* behind what was written */
};

/* Writes what `text` begins with to `to`, as far as it is ASCII without control characters, with a backslash before quotes and
 * backslashes. Ends before something else, at the end of the text, or when less than KAFKA_ESCAPE_SLACK bytes are left before `end`.
 * `behind`: so many bytes behind the text may be read, too; what they are does not matter. */
struct kafka_escaped kafka_escape(struct td_slice text, size_t behind, uint8_t *to, const uint8_t *end);

/* Length of the well-formed UTF-8 character at `p` (RFC 3629); 0: it is none. n is at least 1. */
size_t kafka_utf8_length(const uint8_t *p, size_t n);

/* The same if it is one that people can read: no control character but tabs and line ends. */
size_t kafka_readable_length(const uint8_t *p, size_t n);

/* Writes all of a text; what is not UTF-8 is replaced. `readable`: NULL if people cannot read it, and what was written is to be forgotten.
 * There must be room for KAFKA_ESCAPED_MOST bytes for each, and for KAFKA_ESCAPE_SLACK more. */
enum { KAFKA_ESCAPED_MOST = 6 };
uint8_t *kafka_escape_all(struct td_slice text, size_t behind, bool readable, uint8_t *to, const uint8_t *end);

/* Does such a character stand as it is in a JSON string, and in text that people read: ASCII, no control character, quote or backslash? */
static inline bool kafka_is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

#endif
