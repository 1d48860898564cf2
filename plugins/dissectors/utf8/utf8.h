/* Is it UTF-8 (RFC 3629)? Text that comes in pieces is checked as it comes. */
#ifndef UTF8_H
#define UTF8_H

#include "tapedeck/slice.h"

/* All zero: at the beginning. */
struct utf8 {
    uint8_t left;     /* bytes of the current character that are to come */
    uint8_t min, max; /* of the next one of them */
    bool bad;
};

/* Takes the next piece; false once something cannot be UTF-8. */
bool utf8_add(struct utf8 *u, struct td_slice text);
/* Were all characters whole and right? */
static inline bool utf8_is_whole(const struct utf8 *u)
{
    return !u->bad && u->left == 0;
}
/* `text` without a character that is cut off at its end. */
struct td_slice utf8_whole_characters(struct td_slice text);

#endif
