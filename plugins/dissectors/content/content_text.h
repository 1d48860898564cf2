/* Lists and whitespace in the values of header fields (RFC 9110 section 5.6). */
#ifndef CONTENT_TEXT_H
#define CONTENT_TEXT_H

#include "tapedeck/slice.h"

static inline bool content_is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without whitespace (SP, HTAB, and CR and LF of folds) at both ends. */
static inline struct td_slice content_trim(struct td_slice s)
{
    const uint8_t *begin = s.p, *end = s.p + s.n;
    while (begin < end && content_is_space(*begin))
        begin++;
    while (begin < end && content_is_space(end[-1]))
        end--;
    return td_bytes(begin, (size_t)(end - begin));
}

/* A list's next element: cuts it off *list at `separator`, trims whitespace. False at the end. Empty elements are skipped. */
static inline bool content_next_element(struct td_slice *list, uint8_t separator, struct td_slice *ret_element)
{
    while (list->n) {
        const uint8_t *end = (const uint8_t *)memchr(list->p, separator, list->n);
        size_t n = end ? (size_t)(end - list->p) : list->n;
        *ret_element = content_trim(td_sub(*list, 0, n));
        *list = td_sub(*list, end ? n + 1 : n, list->n);
        if (ret_element->n)
            return true;
    }
    return false;
}

#endif
