#include "utf8.h"

/* How many bytes follow this first one, and between what the next one lies; 0 with max 0: it begins nothing. */
static void begin(struct utf8 *u, uint8_t c)
{
    u->min = 0x80;
    u->max = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        u->left = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        u->left = 2;
        u->min = c == 0xe0 ? 0xa0 : 0x80; /* not longer than need be */
        u->max = c == 0xed ? 0x9f : 0xbf; /* no surrogates */
    } else if (c >= 0xf0 && c <= 0xf4) {
        u->left = 3;
        u->min = c == 0xf0 ? 0x90 : 0x80;
        u->max = c == 0xf4 ? 0x8f : 0xbf; /* up to U+10FFFF */
    } else {
        u->bad = true;
    }
}

bool utf8_add(struct utf8 *u, struct td_slice text)
{
    size_t i = 0;
    while (i < text.n && !u->bad) {
        uint8_t c = text.p[i];
        if (u->left == 0) {
            uint64_t eight;
            /* Most of what there is is ASCII. */
            while (text.n - i >= 8 && (memcpy(&eight, text.p + i, 8), !(eight & UINT64_C(0x8080808080808080))))
                i += 8;
            if (i == text.n)
                break;
            c = text.p[i];
            if (c >= 0x80)
                begin(u, c);
        } else if (c < u->min || c > u->max) {
            u->bad = true;
        } else {
            u->left--;
            u->min = 0x80;
            u->max = 0xbf;
        }
        i++;
    }
    return !u->bad;
}

struct td_slice utf8_whole_characters(struct td_slice text)
{
    size_t back = 0;
    while (back < 3 && back < text.n && (text.p[text.n - 1 - back] & 0xc0) == 0x80)
        back++;
    if (back < text.n) {
        uint8_t c = text.p[text.n - 1 - back];
        size_t needed = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        if (needed > back)
            text.n -= back + 1;
    }
    return text;
}
