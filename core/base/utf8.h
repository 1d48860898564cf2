/* UTF-8 (RFC 3629): what is well-formed, and captured text made safe to print. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/buf.h"

/* Length of the well-formed sequence at `p` (no overlong forms, no surrogates), 0 if there is none. n is at least 1. */
static inline size_t utf8_length(const uint8_t *p, size_t n)
{
    uint8_t lead = p[0];
    uint8_t low = 0x80, high = 0xbf; /* allowed range of the second byte */
    size_t length;
    if (lead < 0x80)
        return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        length = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        length = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        length = 4;
    else
        return 0;
    if (lead == 0xe0)
        low = 0xa0;
    else if (lead == 0xed)
        high = 0x9f;
    else if (lead == 0xf0)
        low = 0x90;
    else if (lead == 0xf4)
        high = 0x8f;
    if (n < length || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

/* Bytes at the beginning of `p` that need no second look: printable ASCII but quotes and backslashes. Eight at a time. */
size_t utf8_plain_run(const uint8_t *p, size_t n);

/* Appends what text begins with, as far as it is ASCII without control characters, with a backslash before quotes and backslashes; many
 * bytes at a time, as text that quotes text is full of these. Returns how much of it that was; up to seven bytes may be left of what
 * could be put. */
size_t utf8_put_slashed(struct buf *out, struct td_slice text);

/* Appends text in which nothing steers a terminal: control characters (also U+0080 to U+009F) and bytes that are not
 * UTF-8 become \xNN, line breaks \n and \r. */
enum utf8_style {
    UTF8_CELL, /* a cell of a table: tabs become \t, and backslashes double, so that the bytes can be told from the text */
    UTF8_PROSE /* a line for people: tabs and backslashes stay */
};
void utf8_put_printable(struct buf *out, struct td_slice text, enum utf8_style style);
/* Appends text as it is, for files that have to be UTF-8: bytes that are not become U+FFFD, and so do zeros, at which many
 * readers stop. */
void utf8_put_text(struct buf *out, struct td_slice text);

#endif
