#include "call/har_url.h"

static bool is_letter(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26u;
}

static bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10u;
}

bool har_url_is_absolute(struct td_slice url)
{
    size_t i = 0;
    while (i < url.n && (is_letter(url.p[i]) || (i && (is_digit(url.p[i]) || memchr("+-.", url.p[i], 3)))))
        i++;
    struct td_slice rest = td_sub(url, i, url.n);
    return i && td_starts(rest, TD_LIT("://")) && rest.n > 3 && !memchr("/?#", rest.p[3], 3);
}

/* May it stand in a URL? Of reserved characters, all that may stand somewhere, but "#". */
static bool may_stand(uint8_t c)
{
    switch (c) {
    case '"':
    case '#':
    case '<':
    case '>':
    case '\\':
    case '^':
    case '`':
    case '{':
    case '|':
    case '}': return false;
    default: return c > ' ' && c < 0x7f;
    }
}

void har_url_put(struct buf *out, struct td_slice part)
{
    static const char hex[] = "0123456789ABCDEF";
    for (size_t i = 0; i < part.n;) {
        size_t begin = i;
        while (i < part.n && may_stand(part.p[i]))
            i++;
        buf_put_slice(out, td_sub(part, begin, i));
        if (i == part.n)
            break;
        uint8_t c = part.p[i++];
        buf_put(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

/* The part of `s` before the first `mark`; *ret_rest is what is behind it. */
static struct td_slice cut_at(struct td_slice s, char mark, struct td_slice *ret_rest)
{
    const uint8_t *at = s.n ? memchr(s.p, mark, s.n) : NULL;
    size_t n = at ? (size_t)(at - s.p) : s.n;
    *ret_rest = td_sub(s, n + 1, s.n);
    return td_sub(s, 0, n);
}

bool har_url_next_parameter(struct td_slice *query, struct td_slice *ret_name, struct td_slice *ret_value)
{
    struct td_slice parameter = {0};
    while (query->n && !parameter.n)
        parameter = cut_at(*query, '&', query);
    *ret_name = cut_at(parameter, '=', ret_value);
    return parameter.n > 0;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool har_url_decode(struct td_slice text, struct buf *room, struct td_slice *ret)
{
    *ret = text;
    if (!text.n || (!memchr(text.p, '%', text.n) && !memchr(text.p, '+', text.n)))
        return true;
    buf_reset(room);
    if (!buf_reserve(room, text.n))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];
        int high = c == '%' && text.n - i > 2 ? hex_value(text.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(text.p[i + 2]) : -1;
        if (low >= 0) {
            c = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        room->p[room->n++] = c;
    }
    *ret = buf_slice(room);
    return true;
}
