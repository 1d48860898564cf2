#include "net/http_range.h"

#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

/* Digits at *s, which moves behind them. A number that is too large for 64 bits is far behind every end: it becomes the largest. */
static bool read_number(const char **s, uint64_t *ret)
{
    uint64_t value = 0;
    const char *begin = *s;
    for (; **s >= '0' && **s <= '9'; (*s)++) {
        uint64_t digit = (uint64_t)(**s - '0');
        value = value > (UINT64_MAX - digit) / 10 ? UINT64_MAX : value * 10 + digit;
    }
    *ret = value;
    return *s != begin;
}

struct http_range http_range_parse(const char *field, uint64_t size)
{
    const struct http_range none = {HTTP_RANGE_NONE, 0, size}, outside = {HTTP_RANGE_OUTSIDE, 0, 0};
    uint64_t first = 0, last = 0;
    if (!field || strncasecmp(field, "bytes=", 6) != 0)
        return none;
    const char *s = field + 6;
    bool has_first = read_number(&s, &first);
    if (*s++ != '-')
        return none;
    bool has_last = read_number(&s, &last);
    if (*s || (!has_first && !has_last) || (has_first && has_last && last < first))
        return none;
    if (!has_first) { /* "-5": the last five */
        if (last == 0 || size == 0)
            return outside;
        uint64_t length = last < size ? last : size;
        return (struct http_range){HTTP_RANGE_PART, size - length, length};
    }
    if (first >= size)
        return outside;
    if (!has_last || last >= size)
        last = size - 1;
    return (struct http_range){HTTP_RANGE_PART, first, last - first + 1};
}
