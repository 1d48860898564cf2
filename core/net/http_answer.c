#include "net/http_answer.h"

#include <curl/curl.h>
#include <jansson.h>

#include "base/error.h"

/* ---- Fields ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct td_slice trim(struct td_slice s)
{
    while (s.n && is_blank(s.p[0]))
        s = td_sub(s, 1, s.n);
    while (s.n && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool http_field_split(struct td_slice line, struct td_slice *ret_name, struct td_slice *ret_value)
{
    const uint8_t *colon = line.n ? memchr(line.p, ':', line.n) : NULL;
    if (!colon || colon == line.p)
        return false;
    *ret_name = td_sub(line, 0, (size_t)(colon - line.p));
    *ret_value = trim(td_sub(line, (size_t)(colon - line.p) + 1, line.n));
    return true;
}

/* Digits at the beginning of *s, which moves behind them. */
static bool take_number(struct td_slice *s, int64_t *ret)
{
    int64_t value = 0;
    size_t i = 0;
    for (; i < s->n && s->p[i] >= '0' && s->p[i] <= '9'; i++) {
        int64_t digit = s->p[i] - '0';
        if (value > (INT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *s = td_sub(*s, i, s->n);
    *ret = value;
    return i > 0;
}

bool http_number_parse(struct td_slice text, int64_t *ret)
{
    int64_t value;
    if (!take_number(&text, &value) || text.n)
        return false;
    *ret = value;
    return true;
}

static bool take_byte(struct td_slice *s, char c)
{
    if (!s->n || s->p[0] != (uint8_t)c)
        return false;
    *s = td_sub(*s, 1, s->n);
    return true;
}

bool http_content_range_parse(struct td_slice value, struct http_content_range *ret)
{
    int64_t first, last, size = -1;
    if (value.n < 6 || !td_eq_nocase(td_sub(value, 0, 6), TD_LIT("bytes ")))
        return false;
    value = td_sub(value, 6, value.n);
    if (!take_number(&value, &first) || !take_byte(&value, '-') || !take_number(&value, &last) || !take_byte(&value, '/'))
        return false;
    if (!td_eq(value, TD_LIT("*")) && !http_number_parse(value, &size))
        return false;
    if (last < first || last == INT64_MAX || (size >= 0 && last >= size))
        return false;
    *ret = (struct http_content_range){first, last - first + 1, size};
    return true;
}

bool http_etag_parse(struct td_slice value, char *ret, size_t size)
{
    if (td_starts(value, TD_LIT("W/")))
        value = td_sub(value, 2, value.n);
    if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"' || value.n - 2 >= size)
        return false;
    value = td_sub(value, 1, value.n - 1);
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] <= ' ' || value.p[i] == '"' || value.p[i] == 0x7f)
            return false;
    memcpy(ret, value.p, value.n);
    ret[value.n] = '\0';
    return true;
}

/* ---- Problems ---- */

static void copy_code(const char *text, char *ret, size_t size)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        uint8_t c = td_ascii_lower((uint8_t)text[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'))
            return;
    }
    if (n < size)
        memcpy(ret, text, n + 1);
}

/* It is shown on terminals and written to logs. `text` is UTF-8; C1 controls are C2 80 to C2 9F in it. */
static void copy_line(const char *text, size_t n, char *ret, size_t size)
{
    if (n >= size) {
        n = size - 1;
        while (n && ((uint8_t)text[n] & 0xc0) == 0x80) /* not within a character */
            n--;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        bool c1 = c == 0xc2 && i + 1 < n && (uint8_t)text[i + 1] < 0xa0;
        ret[i] = c < ' ' || c == 0x7f || c1 ? ' ' : text[i];
        if (c1)
            ret[++i] = ' ';
    }
    ret[n] = '\0';
}

void http_problem_parse(struct td_slice body, struct http_problem *ret)
{
    *ret = (struct http_problem){.code = ""};
    json_t *root = body.n ? json_loadb((const char *)body.p, body.n, 0, NULL) : NULL;
    const json_t *code = json_object_get(root, "code"), *detail = json_object_get(root, "detail");
    if (json_string_length(detail) == 0)
        detail = json_object_get(root, "title");
    if (json_is_string(code))
        copy_code(json_string_value(code), ret->code, sizeof(ret->code));
    if (json_is_string(detail))
        copy_line(json_string_value(detail), json_string_length(detail), ret->detail, sizeof(ret->detail));
    json_decref(root);
}

/* ---- Meaning ---- */

int http_status_error(unsigned status)
{
    if (status >= 200 && status < 300)
        return TD_OK;
    switch (status) {
    case 400:
    case 421:
    case 422: return TD_E_CONFIG;
    case 401:
    case 403: return TD_E_DENIED;
    case 404:
    case 410: return TD_E_NOT_FOUND;
    case 409: return TD_E_EXISTS;
    case 413:
    case 507: return TD_E_LIMIT;
    case 405:
    case 501:
    case 505: return TD_E_UNSUPPORTED;
    case 408:
    case 429:
    case 502:
    case 503:
    case 504: return TD_E_RETRY;
    default: return TD_E_INTERNAL;
    }
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *x = NULL, *y = NULL;
    bool same = curl_url_get(a, part, &x, CURLU_DEFAULT_PORT) == CURLUE_OK && curl_url_get(b, part, &y, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                td_eq_nocase(td_str(x), td_str(y));
    curl_free(x);
    curl_free(y);
    return same;
}

bool http_same_origin(const char *url, const char *other)
{
    CURLU *a = curl_url(), *b = curl_url();
    bool same = a && b && curl_url_set(a, CURLUPART_URL, url, 0) == CURLUE_OK && curl_url_set(b, CURLUPART_URL, other, 0) == CURLUE_OK &&
                same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) && same_part(a, b, CURLUPART_PORT);
    curl_url_cleanup(a);
    curl_url_cleanup(b);
    return same;
}
