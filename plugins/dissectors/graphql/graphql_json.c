#include "graphql_json.h"

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct td_slice skip_space(struct td_slice s)
{
    size_t i = 0;
    while (i < s.n && is_space(s.p[i]))
        i++;
    return td_sub(s, i, s.n);
}

/* Behind the string that begins at `at`; n + 1: it does not end. */
static size_t string_end(struct td_slice s, size_t at)
{
    for (at++; at < s.n; at++) {
        const uint8_t *quote = (const uint8_t *)memchr(s.p + at, '"', s.n - at);
        size_t end = quote ? (size_t)(quote - s.p) : s.n, slashes = 0;
        if (!quote)
            break;
        while (end - slashes > at && s.p[end - slashes - 1] == '\\')
            slashes++;
        at = end;
        if (slashes % 2 == 0)
            return end + 1;
    }
    return s.n + 1;
}

/* Behind the value that `s` begins with; n + 1: it does not end. */
static size_t value_end(struct td_slice s)
{
    size_t at = 0, depth = 0;
    while (at < s.n) {
        uint8_t c = s.p[at];
        if (c == '"') {
            at = string_end(s, at);
            if (depth == 0 || at > s.n)
                return at;
            continue;
        }
        if (c == '{' || c == '[')
            depth++;
        else if ((c == '}' || c == ']') && depth)
            depth--;
        else if (depth == 0 && (is_space(c) || c == ',' || c == '}' || c == ']' || c == ':'))
            return at;
        at++;
        if (depth == 0 && (c == '}' || c == ']'))
            return at;
    }
    return depth ? s.n + 1 : s.n;
}

char gql_json_kind(struct td_slice value)
{
    uint8_t c = value.n ? value.p[0] : 0;
    if (c == '-' || (uint8_t)(c - '0') < 10)
        return '0';
    return c == '{' || c == '[' || c == '"' || c == 't' || c == 'f' || c == 'n' ? (char)c : 0;
}

struct td_slice gql_json_value(struct td_slice text)
{
    size_t end;
    text = skip_space(text);
    end = value_end(text);
    return gql_json_kind(text) && end <= text.n ? td_sub(text, 0, end) : td_bytes(NULL, 0);
}

/* Into the object or array at the first call; behind the comma at the others. */
static struct td_slice next(struct td_slice rest)
{
    rest = skip_space(rest);
    return rest.n && (rest.p[0] == '{' || rest.p[0] == '[' || rest.p[0] == ',') ? skip_space(td_sub(rest, 1, rest.n)) : td_bytes(NULL, 0);
}

bool gql_json_member(struct td_slice *rest, struct td_slice *ret_key, struct td_slice *ret_value, bool *ret_cut)
{
    struct td_slice s = next(*rest);
    size_t end;
    *rest = td_bytes(NULL, 0);
    *ret_cut = false;
    if (!s.n || s.p[0] != '"')
        return false;
    end = string_end(s, 0);
    if (end > s.n)
        return false;
    *ret_key = td_sub(s, 1, end - 1);
    s = skip_space(td_sub(s, end, s.n));
    if (!s.n || s.p[0] != ':')
        return false;
    s = skip_space(td_sub(s, 1, s.n));
    if (!gql_json_kind(s))
        return false;
    end = value_end(s);
    *ret_cut = end > s.n;
    *ret_value = td_sub(s, 0, end);
    *rest = td_sub(s, end, s.n);
    return true;
}

bool gql_json_element(struct td_slice *rest, struct td_slice *ret_value)
{
    struct td_slice s = next(*rest);
    size_t end = value_end(s);
    *rest = td_bytes(NULL, 0);
    if (!gql_json_kind(s) || end > s.n)
        return false;
    *ret_value = td_sub(s, 0, end);
    *rest = td_sub(s, end, s.n);
    return true;
}

struct td_slice gql_json_find(struct td_slice object, const char *key)
{
    struct td_slice rest = object, name, value;
    bool cut;
    if (gql_json_kind(object) != '{')
        return td_bytes(NULL, 0);
    while (gql_json_member(&rest, &name, &value, &cut))
        if (!cut && td_eq(name, td_str(key)))
            return value;
    return td_bytes(NULL, 0);
}

/* ---- Strings -------------------------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits; -1: they are none. */
static int32_t code_unit(struct td_slice s)
{
    int32_t unit = 0;
    size_t i;
    if (s.n < 4)
        return -1;
    for (i = 0; i < 4; i++) {
        uint8_t c = td_ascii_lower(s.p[i]);
        if ((uint8_t)(c - '0') < 10)
            unit = unit << 4 | (c - '0');
        else if ((uint8_t)(c - 'a') < 6)
            unit = unit << 4 | (c - 'a' + 10);
        else
            return -1;
    }
    return unit;
}

/* At most three bytes for a \uXXXX, four for a pair of them. */
static size_t put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

/* What an escape at the beginning of `s` stands for; *ret_used: its bytes. */
static uint32_t read_escape(struct td_slice s, size_t *ret_used)
{
    static const char names[] = "bfnrt", values[] = "\b\f\n\r\t";
    const char *name = s.n > 1 ? strchr(names, (char)s.p[1]) : NULL;
    int32_t unit, low;
    *ret_used = s.n > 1 ? 2 : 1;
    if (s.n > 1 && s.p[1] && name)
        return (uint8_t)values[name - names];
    if (s.n < 2 || s.p[1] != 'u')
        return s.n > 1 ? s.p[1] : '\\';
    unit = code_unit(td_sub(s, 2, s.n));
    if (unit < 0)
        return 'u';
    *ret_used = 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return (uint32_t)unit;
    low = s.n >= 12 && s.p[6] == '\\' && s.p[7] == 'u' ? code_unit(td_sub(s, 8, s.n)) : -1;
    if (unit > 0xdbff || low < 0xdc00 || low > 0xdfff)
        return 0xfffd;
    *ret_used = 12;
    return 0x10000 + (((uint32_t)unit & 0x3ff) << 10 | ((uint32_t)low & 0x3ff));
}

struct td_slice gql_json_string(struct td_slice value, uint8_t *room)
{
    size_t i = 0, n = 0;
    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
        return td_bytes(NULL, 0);
    value = td_sub(value, 1, value.n - 1);
    if (!value.n || !memchr(value.p, '\\', value.n))
        return value;
    while (i < value.n) {
        size_t used;
        if (value.p[i] != '\\') {
            room[n++] = value.p[i++];
            continue;
        }
        uint32_t c = read_escape(td_sub(value, i, value.n), &used);
        n += c < 0x100 && used < 6 ? (room[n] = (uint8_t)c, (size_t)1) : put_utf8(room + n, c);
        i += used;
    }
    return td_bytes(room, n);
}
