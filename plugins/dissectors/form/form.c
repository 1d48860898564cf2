#include "form.h"

bool form_next_pair(struct td_slice *rest, struct td_slice *ret_name, struct td_slice *ret_value)
{
    while (rest->n) {
        const uint8_t *end = (const uint8_t *)memchr(rest->p, '&', rest->n);
        size_t n = end ? (size_t)(end - rest->p) : rest->n;
        struct td_slice pair = td_sub(*rest, 0, n);
        const uint8_t *sign = n ? (const uint8_t *)memchr(pair.p, '=', n) : NULL;
        *rest = td_sub(*rest, end ? n + 1 : n, rest->n);
        if (!n)
            continue;
        n = sign ? (size_t)(sign - pair.p) : pair.n;
        *ret_name = td_sub(pair, 0, n);
        *ret_value = td_sub(pair, n + 1, pair.n);
        return true;
    }
    return false;
}

static int digit(uint8_t c)
{
    if ((uint8_t)(c - '0') < 10)
        return c - '0';
    c = td_ascii_lower(c);
    return (uint8_t)(c - 'a') < 6 ? c - 'a' + 10 : -1;
}

struct td_slice form_decode(struct td_slice in, uint8_t *room)
{
    size_t i, n = 0;
    if (!in.n || (!memchr(in.p, '%', in.n) && !memchr(in.p, '+', in.n)))
        return in;
    for (i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && in.n - i > 2 && digit(in.p[i + 1]) >= 0 && digit(in.p[i + 2]) >= 0) {
            c = (uint8_t)(digit(in.p[i + 1]) << 4 | digit(in.p[i + 2]));
            i += 2;
        }
        room[n++] = c;
    }
    return td_bytes(room, n);
}

/* ---- Multipart ---------------------------------------------------------------------------------------------------------- */

static struct td_slice trim(struct td_slice s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = td_sub(s, 1, s.n);
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r'))
        s.n--;
    return s;
}

/* Where the parameter that begins here ends: at a semicolon that is not within quotes. */
static size_t parameter_end(struct td_slice s)
{
    bool quoted = false;
    size_t i;
    for (i = 0; i < s.n; i++) {
        if (s.p[i] == '"')
            quoted = !quoted;
        else if (s.p[i] == '\\' && quoted)
            i++;
        else if (s.p[i] == ';' && !quoted)
            break;
    }
    return i < s.n ? i : s.n;
}

struct td_slice form_parameter(struct td_slice value, const char *name)
{
    struct td_slice wanted = td_str(name);
    size_t at = parameter_end(value);
    while (at < value.n) {
        struct td_slice rest = td_sub(value, at + 1, value.n), one = td_sub(rest, 0, parameter_end(rest));
        const uint8_t *sign = one.n ? (const uint8_t *)memchr(one.p, '=', one.n) : NULL;
        at += 1 + one.n;
        if (!sign || !td_eq_nocase(trim(td_sub(one, 0, (size_t)(sign - one.p))), wanted))
            continue;
        one = trim(td_sub(one, (size_t)(sign - one.p) + 1, one.n));
        if (one.n > 1 && one.p[0] == '"' && one.p[one.n - 1] == '"')
            one = td_sub(one, 1, one.n - 1);
        return one;
    }
    return td_bytes(NULL, 0);
}

struct td_slice form_boundary(struct td_slice content_type)
{
    return form_parameter(content_type, "boundary");
}

struct td_slice form_part_field(struct td_slice head, const char *name)
{
    struct td_slice wanted = td_str(name);
    while (head.n) {
        const uint8_t *end = (const uint8_t *)memchr(head.p, '\n', head.n);
        struct td_slice line = td_sub(head, 0, end ? (size_t)(end - head.p) : head.n);
        head = td_sub(head, line.n + 1, head.n);
        if (line.n > wanted.n && line.p[wanted.n] == ':' && td_eq_nocase(td_sub(line, 0, wanted.n), wanted))
            return trim(td_sub(line, wanted.n + 1, line.n));
    }
    return td_bytes(NULL, 0);
}

enum {
    PREAMBLE,   /* before the first delimiter */
    IN_CONTENT, /* of a part */
    DELIMITED,  /* behind a delimiter: the rest of its line */
    IN_HEAD,
    EPILOGUE
};

bool form_parts_begin(struct form_parts *parts, struct td_slice boundary)
{
    if (boundary.n == 0 || boundary.n > FORM_MAX_BOUNDARY)
        return false;
    memset(parts, 0, sizeof(*parts));
    memcpy(parts->delimiter, "\r\n--", 4);
    memcpy(parts->delimiter + 4, boundary.p, boundary.n);
    parts->delimiter_n = (uint8_t)(4 + boundary.n);
    parts->matched = parts->lent = 2; /* the first delimiter may stand at the very beginning */
    return true;
}

/* Content up to the delimiter, or to where that may begin. CR stands only at the delimiter's beginning, so that a match that fails
 * can begin anew only at the byte that made it fail. */
static enum form_event in_content(struct form_parts *parts, struct td_slice *in, struct td_slice *ret)
{
    bool keep = parts->state == IN_CONTENT;
    size_t n = 0;
    if (parts->matched == 0) {
        const uint8_t *cr = (const uint8_t *)memchr(in->p, '\r', in->n);
        n = cr ? (size_t)(cr - in->p) : in->n;
        *ret = td_sub(*in, 0, n);
    }
    if (n == 0) {
        size_t lent = parts->lent;
        for (; n < in->n && parts->matched < parts->delimiter_n && in->p[n] == parts->delimiter[parts->matched]; n++)
            parts->matched++;
        *in = td_sub(*in, n, in->n);
        if (parts->matched < parts->delimiter_n && in->n == 0)
            return FORM_MORE;
        parts->lent = 0;
        n = 0;
        if (parts->matched == parts->delimiter_n) {
            parts->state = DELIMITED;
            parts->matched = 0;
            return keep ? FORM_PART_END : FORM_MORE;
        }
        *ret = td_bytes(parts->delimiter + lent, parts->matched - lent); /* it was content after all */
        parts->matched = 0;
    }
    *in = td_sub(*in, n, in->n);
    if (!keep || !ret->n)
        return FORM_MORE;
    parts->size += ret->n;
    return FORM_CONTENT;
}

/* The rest of the delimiter's line; "--" says that it is the last one. */
static void behind_delimiter(struct form_parts *parts, struct td_slice *in)
{
    while (in->n && parts->state == DELIMITED) {
        uint8_t c = in->p[0];
        if (c == '-')
            parts->state = ++parts->matched == 2 ? EPILOGUE : DELIMITED;
        else if (c == '\n')
            parts->state = IN_HEAD;
        *in = td_sub(*in, 1, in->n);
    }
    if (parts->state == DELIMITED)
        return;
    parts->matched = 0;
    parts->head_n = 0;
    parts->size = 0;
}

/* Lines, up to an empty one. True: there it is. */
static bool in_head(struct form_parts *parts, struct td_slice *in)
{
    while (in->n) {
        uint8_t c = in->p[0];
        *in = td_sub(*in, 1, in->n);
        if (c == '\n') {
            if (parts->matched == 0) {
                /* The delimiter's line break may be the head's, if the content is empty. */
                parts->matched = parts->lent = 2;
                parts->state = IN_CONTENT;
                return true;
            }
            parts->matched = 0;
        } else if (c != '\r') {
            parts->matched = 1; /* here: the line is not empty */
        }
        if (parts->head_n < FORM_MAX_HEAD)
            parts->head[parts->head_n++] = c;
    }
    return false;
}

enum form_event form_parts_next(struct form_parts *parts, struct td_slice *in, struct td_slice *ret)
{
    *ret = td_bytes(NULL, 0);
    while (in->n) {
        enum form_event event = FORM_MORE;
        switch (parts->state) {
        case PREAMBLE:
        case IN_CONTENT: event = in_content(parts, in, ret); break;
        case DELIMITED: behind_delimiter(parts, in); break;
        case IN_HEAD:
            if (in_head(parts, in)) {
                *ret = td_bytes(parts->head, parts->head_n);
                return FORM_HEAD;
            }
            break;
        default: *in = td_sub(*in, in->n, in->n); break;
        }
        if (event != FORM_MORE)
            return event;
    }
    return FORM_MORE;
}
