#include "http_parse.h"

#include "../content/content_text.h"

/* Characters of a token (RFC 9110 section 5.6.2). */
static const uint8_t token_char[256] = {
    ['0' ... '9'] = 1, ['A' ... 'Z'] = 1, ['a' ... 'z'] = 1, ['!'] = 1, ['#'] = 1, ['$'] = 1, ['%'] = 1, ['&'] = 1, ['\''] = 1,
    ['*'] = 1,         ['+'] = 1,         ['-'] = 1,         ['.'] = 1, ['^'] = 1, ['_'] = 1, ['`'] = 1, ['|'] = 1, ['~'] = 1,
};

static inline size_t token_length(struct td_slice s)
{
    size_t i = 0;
    while (i < s.n && token_char[s.p[i]])
        i++;
    return i;
}

bool http_is_token(struct td_slice s)
{
    return s.n > 0 && token_length(s) == s.n;
}

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10u;
}

static inline bool is_upper(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26u;
}

static void set_fault(struct http_head *head, const char *fault)
{
    if (!head->fault)
        head->fault = fault;
}

/* Cuts the line at *at off, without its CR LF or bare LF. False when its end is not there. */
static inline bool next_line(struct td_slice in, size_t *at, struct td_slice *ret_line)
{
    const uint8_t *begin, *lf;
    if (*at >= in.n)
        return false;
    begin = in.p + *at;
    lf = (const uint8_t *)memchr(begin, '\n', in.n - *at);
    if (!lf)
        return false;
    *at = (size_t)(lf - in.p) + 1;
    *ret_line = td_bytes(begin, (size_t)(lf - begin));
    if (lf > begin && lf[-1] == '\r')
        ret_line->n--;
    return true;
}

/* ---- Start lines ----------------------------------------------------------------------------------------------- */

/* IANA's method registry, and what WebDAV, UPnP and CalDAV servers meet beyond it. */
static const char *const methods[] = {
    "GET",
    "POST",
    "PUT",
    "HEAD",
    "DELETE",
    "OPTIONS",
    "PATCH",
    "CONNECT",
    "TRACE",
    "PROPFIND",
    "PROPPATCH",
    "MKCOL",
    "COPY",
    "MOVE",
    "LOCK",
    "UNLOCK",
    "REPORT",
    "SEARCH",
    "MKCALENDAR",
    "MKACTIVITY",
    "CHECKOUT",
    "CHECKIN",
    "UNCHECKOUT",
    "VERSION-CONTROL",
    "MERGE",
    "BASELINE-CONTROL",
    "ACL",
    "BIND",
    "UNBIND",
    "REBIND",
    "LINK",
    "UNLINK",
    "LABEL",
    "UPDATE",
    "ORDERPATCH",
    "MKREDIRECTREF",
    "UPDATEREDIRECTREF",
    "MKWORKSPACE",
    "QUERY",
    "PURGE",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "NOTIFY",
    "M-SEARCH",
    "BMOVE",
    "BCOPY",
    "BDELETE",
    "BPROPFIND",
    "BPROPPATCH",
    "POLL",
    "SOURCE",
    "RPC_CONNECT",
    "RPC_IN_DATA",
    "RPC_OUT_DATA",
    "CCM_POST",
};

int http_known_method(struct td_slice prefix)
{
    size_t i;
    int known = 0;
    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        struct td_slice method = td_str(methods[i]);
        if (td_starts(method, prefix))
            known = method.n == prefix.n ? 2 : known ? known : 1;
    }
    return known;
}

/* "1.1", but also "2" and "1.", which people type and programs mangle: what matters is that it stands behind "HTTP/". */
static bool is_version(struct td_slice s)
{
    return s.n <= 8 && http_is_token(s);
}

static enum http_result parse_request_line(struct td_slice line, struct http_head *head)
{
    size_t n = token_length(line);
    struct td_slice rest;
    size_t space;
    if (n == 0 || n > HTTP_MAX_METHOD || n == line.n || (line.p[n] != ' ' && line.p[n] != '\t'))
        return HTTP_BAD;
    head->method = td_sub(line, 0, n);
    rest = content_trim(td_sub(line, n, line.n));
    for (space = rest.n; space && rest.p[space - 1] != ' '; space--)
        ;
    if (space == 0) {
        /* Only what certainly is a request may lack the version, or every text protocol would pass. */
        if (rest.n == 0 || (rest.p[0] != '/' && !td_starts(rest, TD_LIT("http://"))) || http_known_method(head->method) != 2)
            return HTTP_BAD;
        head->target = rest;
        set_fault(head, "request line without a version");
        return HTTP_OK;
    }
    head->target = content_trim(td_sub(rest, 0, space));
    head->version = td_sub(rest, space, rest.n);
    if (!td_starts(head->version, TD_LIT("HTTP/")))
        return HTTP_BAD;
    head->version = td_sub(head->version, 5, head->version.n);
    /* The HTTP/2 connection preface is made to look like a request (RFC 9113 section 3.4). */
    if (!is_version(head->version) || (td_eq(head->method, TD_LIT("PRI")) && head->version.p[0] == '2'))
        return HTTP_BAD;
    if (memchr(head->target.p, ' ', head->target.n))
        set_fault(head, "whitespace in the request target");
    return HTTP_OK;
}

static enum http_result parse_status_line(struct td_slice line, struct http_head *head)
{
    size_t i, code;
    /* SHOUTcast servers answer "ICY 200 OK" and mean HTTP/1.0. */
    if (td_starts(line, TD_LIT("ICY "))) {
        i = 3;
    } else if (td_starts(line, TD_LIT("HTTP/"))) {
        const uint8_t *space = (const uint8_t *)memchr(line.p, ' ', line.n);
        if (!space)
            return HTTP_BAD;
        i = (size_t)(space - line.p);
        head->version = td_sub(line, 5, i);
        if (!is_version(head->version))
            return HTTP_BAD;
    } else {
        return HTTP_BAD;
    }
    for (code = i; code < line.n && line.p[code] == ' '; code++)
        ;
    if (line.n - code < 3 || !is_digit(line.p[code]) || !is_digit(line.p[code + 1]) || !is_digit(line.p[code + 2]))
        return HTTP_BAD;
    if (line.n > code + 3 && !content_is_space(line.p[code + 3]))
        return HTTP_BAD;
    head->status = (unsigned)(line.p[code] - '0') * 100 + (unsigned)(line.p[code + 1] - '0') * 10 + (unsigned)(line.p[code + 2] - '0');
    head->reason = content_trim(td_sub(line, code + 3, line.n));
    if (head->status < 100 || head->status > 599)
        set_fault(head, "status code out of range");
    return HTTP_OK;
}

/* ---- Header fields --------------------------------------------------------------------------------------------- */

static bool parse_decimal(struct td_slice s, uint64_t *ret)
{
    uint64_t v = 0;
    size_t i;
    /* 18 digits hold every length that can be, and no overflow. */
    if (s.n == 0 || s.n > 18)
        return false;
    for (i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]))
            return false;
        v = v * 10 + (uint64_t)(s.p[i] - '0');
    }
    *ret = v;
    return true;
}

static void note_content_length(struct http_head *head, struct td_slice value)
{
    struct td_slice element;
    uint64_t length;
    if (value.n == 0)
        set_fault(head, "invalid Content-Length");
    while (content_next_element(&value, ',', &element)) {
        if (!parse_decimal(element, &length)) {
            set_fault(head, "invalid Content-Length");
        } else if (head->has_length && head->content_length != length) {
            set_fault(head, "conflicting Content-Length");
        } else {
            head->content_length = length;
            head->has_length = true;
        }
    }
}

/* Inserts a coding at `at`; a longer chain than is kept ends in one that nobody can undo. */
static void add_coding(struct http_head *head, uint8_t at, struct td_slice name)
{
    uint8_t i;
    if (head->n_codings == CONTENT_MAX_CODINGS) {
        head->codings[CONTENT_MAX_CODINGS - 1] = CONTENT_CODING_UNKNOWN;
        return;
    }
    for (i = head->n_codings++; i > at; i--)
        head->codings[i] = head->codings[i - 1];
    head->codings[at] = (uint8_t)content_coding_by_name(name);
}

static void note_content_encoding(struct http_head *head, struct td_slice value)
{
    struct td_slice coding;
    while (content_next_element(&value, ',', &coding))
        if (!content_is_identity(coding))
            add_coding(head, head->n_content_codings++, coding);
}

static void note_transfer_encoding(struct http_head *head, struct td_slice value)
{
    struct td_slice element;
    while (content_next_element(&value, ',', &element)) {
        struct td_slice coding;
        if (!content_next_element(&element, ';', &coding) || content_is_identity(coding))
            continue;
        if (head->chunked)
            set_fault(head, "a transfer coding after chunked");
        head->has_coding = true;
        head->chunked = td_eq_nocase(coding, TD_LIT("chunked"));
        if (!head->chunked)
            add_coding(head, head->n_codings, coding);
    }
}

static void note_connection(struct http_head *head, struct td_slice value)
{
    struct td_slice option;
    while (content_next_element(&value, ',', &option))
        if (td_eq_nocase(option, TD_LIT("upgrade")))
            head->connection_upgrade = true;
}

static void note_first(struct td_slice *slot, struct td_slice value)
{
    if (!slot->p)
        *slot = value;
}

/* Is the name, which is a name_length() of `n` bytes, this one in lower case? Eight bytes at a time: the bit that makes an ASCII
 * letter small changes nothing else but controls into a letter or a hyphen, and those do not stand in names. */
static inline bool is_name(const uint8_t *name, const char *lower, size_t n)
{
    uint64_t a, b;
    size_t i;
    if (n < sizeof(a))
        return td_eq_nocase(td_bytes(name, n), td_bytes(lower, n));
    for (i = 0; i < n; i += sizeof(a)) {
        size_t at = i + sizeof(a) <= n ? i : n - sizeof(a);
        memcpy(&a, name + at, sizeof(a));
        memcpy(&b, lower + at, sizeof(b));
        if ((a | UINT64_C(0x2020202020202020)) != b)
            return false;
    }
    return true;
}
#define IS_NAME(slice, literal) is_name((slice).p, literal, sizeof(literal) - 1)

static void note_host(struct http_head *head, struct td_slice value)
{
    if (head->host.p && !td_eq(head->host, value))
        set_fault(head, "several Host fields");
    note_first(&head->host, value);
}

/* Looks at names by their length first: most fields end here after one comparison of numbers. */
static void note_field(struct http_head *head, const struct http_field *f)
{
    switch (f->name.n) {
    case 4:
        if (IS_NAME(f->name, "host"))
            note_host(head, f->value);
        break;
    case 7:
        if (IS_NAME(f->name, "upgrade"))
            note_first(&head->upgrade, f->value);
        break;
    case 10:
        if (IS_NAME(f->name, "connection"))
            note_connection(head, f->value);
        else if (IS_NAME(f->name, "user-agent"))
            note_first(&head->user_agent, f->value);
        break;
    case 12:
        if (IS_NAME(f->name, "content-type"))
            note_first(&head->content_type, f->value);
        break;
    case 14:
        if (IS_NAME(f->name, "content-length"))
            note_content_length(head, f->value);
        break;
    case 16:
        if (IS_NAME(f->name, "content-encoding"))
            note_content_encoding(head, f->value);
        break;
    case 17:
        if (IS_NAME(f->name, "transfer-encoding"))
            note_transfer_encoding(head, f->value);
        break;
    default: break;
    }
}

static void end_field(struct http_head *head, struct http_field *f)
{
    f->value = content_trim(f->value);
    if (f->folded)
        set_fault(head, "folded header field");
    note_field(head, f);
    if (!head->fields)
        return;
    if (head->n_fields < HTTP_MAX_FIELDS)
        head->fields[head->n_fields++] = *f;
    else
        head->dropped_fields = true;
}

/* Bytes before the first colon, blank, control or non-ASCII character: a header field's name, if a colon follows. Which other
 * characters a name may not have does not matter here. Eight bytes at a time: the subtraction borrows into a byte's top bit
 * if that byte is zero (or, for blanks and controls, below '!'); false alarms come only behind a true one. */
static inline size_t name_length(struct td_slice s)
{
    size_t i = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    while (s.n - i >= sizeof(uint64_t)) {
        uint64_t word, colon, found;
        memcpy(&word, s.p + i, sizeof(word));
        colon = word ^ ones * ':';
        found = (((colon - ones) & ~colon) | ((word - ones * '!') & ~word) | word) & tops;
        if (found)
            return i + (size_t)__builtin_ctzll(found) / 8;
        i += sizeof(word);
    }
#endif
    while (i < s.n && s.p[i] > ' ' && s.p[i] < 0x80 && s.p[i] != ':')
        i++;
    return i;
}

/* The name in a line that does not begin with one and a colon; empty: there is none. *ret_colon is where the colon is. */
static struct td_slice odd_name(struct http_head *head, struct td_slice line, size_t *ret_colon)
{
    const uint8_t *colon = (const uint8_t *)memchr(line.p, ':', line.n);
    struct td_slice name;
    if (!colon) {
        set_fault(head, "header line without a colon");
        return td_bytes(NULL, 0);
    }
    *ret_colon = (size_t)(colon - line.p);
    name = content_trim(td_sub(line, 0, *ret_colon));
    set_fault(head, http_is_token(name) ? "whitespace before a header field's colon" : "invalid header field name");
    return name;
}

/* Begins a field with its line; `n` is name_length() of it. False: it is none. */
static inline bool begin_field(struct http_head *head, struct td_slice line, size_t n, struct http_field *f)
{
    f->name = td_bytes(line.p, n);
    if (n == 0 || n >= line.n || line.p[n] != ':') {
        f->name = odd_name(head, line, &n);
        if (f->name.n == 0)
            return false;
    }
    f->value = td_sub(line, n + 1, line.n);
    f->folded = false;
    return true;
}

static void continue_field(struct http_head *head, struct td_slice line, bool open, struct http_field *f)
{
    if (!open) {
        set_fault(head, "whitespace before the first header field");
        return;
    }
    f->value = td_bytes(f->value.p, (size_t)(line.p + line.n - f->value.p));
    f->folded = true;
}

/* Reads fields from in[at] to the empty line. A field ends where a line follows that does not continue it. */
static enum http_result parse_fields(struct td_slice in, size_t at, bool last, struct http_head *head)
{
    struct http_field field = {{NULL, 0}, {NULL, 0}, false};
    bool open = false;
    struct td_slice line;
    while (at < in.n) {
        /* The name cannot hold a line's end: that is looked for behind it. */
        size_t begin = at, n = name_length(td_bytes(in.p + at, in.n - at));
        at += n;
        if (!next_line(in, &at, &line))
            break;
        line = td_bytes(in.p + begin, line.n + n);
        if (n == 0 && line.n && (line.p[0] == ' ' || line.p[0] == '\t')) {
            continue_field(head, line, open, &field);
            continue;
        }
        if (open)
            end_field(head, &field);
        if (line.n == 0) {
            head->size = at;
            return HTTP_OK;
        }
        open = begin_field(head, line, n, &field);
    }
    if (!last)
        return HTTP_MORE;
    if (open)
        end_field(head, &field);
    head->cut = true;
    head->size = in.n;
    return HTTP_OK;
}

/* A start line whose end is not in sight: refused as soon as it cannot become one, so that foreign bytes are not kept. */
static enum http_result beginning(struct td_slice in, enum http_kind kind)
{
    struct td_slice http = TD_LIT("HTTP/"), icy = TD_LIT("ICY ");
    size_t n;
    if (kind == HTTP_RESPONSE)
        return td_starts(td_sub(http, 0, in.n), td_sub(in, 0, http.n)) || td_starts(td_sub(icy, 0, in.n), td_sub(in, 0, icy.n)) ? HTTP_MORE
                                                                                                                                : HTTP_BAD;
    n = token_length(in);
    return n > HTTP_MAX_METHOD || (n < in.n && in.p[n] != ' ' && in.p[n] != '\t') || (n == 0 && in.n) ? HTTP_BAD : HTTP_MORE;
}

enum http_result http_parse_head(struct td_slice in, enum http_kind kind, bool last, struct http_head *head)
{
    struct td_slice line;
    size_t at = 0;
    enum http_result result;
    if (!next_line(in, &at, &line))
        return beginning(in, kind);
    result = kind == HTTP_REQUEST ? parse_request_line(line, head) : parse_status_line(line, head);
    if (result != HTTP_OK)
        return result;
    result = parse_fields(in, at, last, head);
    /* A request without version is all of its line: HTTP/0.9 had nothing else. */
    if (head->cut && kind == HTTP_REQUEST && head->version.n == 0 && at == in.n)
        head->cut = false;
    return result;
}

enum http_result http_parse_trailers(struct td_slice in, bool last, struct http_head *head)
{
    return parse_fields(in, 0, last, head);
}

bool http_find_end(struct td_slice in, size_t *scanned)
{
    size_t at = *scanned;
    while (at < in.n) {
        const uint8_t *lf = (const uint8_t *)memchr(in.p + at, '\n', in.n - at);
        size_t next;
        if (!lf)
            break;
        next = (size_t)(lf - in.p) + 1;
        /* What follows the line is not there yet: look at this line's end again. */
        if (next == in.n || (in.p[next] == '\r' && next + 1 == in.n)) {
            *scanned = next - 1;
            return false;
        }
        if (in.p[next] == '\n' || (in.p[next] == '\r' && in.p[next + 1] == '\n'))
            return true;
        at = next;
    }
    *scanned = in.n;
    return false;
}

size_t http_unfold(struct td_slice value, uint8_t *out)
{
    size_t n = 0, at = 0;
    while (at < value.n) {
        const uint8_t *lf = (const uint8_t *)memchr(value.p + at, '\n', value.n - at);
        size_t end = lf ? (size_t)(lf - value.p) : value.n;
        struct td_slice line = content_trim(td_sub(value, at, end));
        if (n && line.n)
            out[n++] = ' ';
        if (line.n)
            memcpy(out + n, line.p, line.n);
        n += line.n;
        at = end + 1;
    }
    return n;
}

enum http_framing http_framing(const struct http_head *head, enum http_kind kind, bool to_head)
{
    if (kind == HTTP_RESPONSE && (to_head || head->status / 100 == 1 || head->status == 204 || head->status == 304))
        return HTTP_BODY_NONE;
    if (head->has_coding && head->chunked)
        return HTTP_BODY_CHUNKED;
    if (head->has_coding)
        return kind == HTTP_RESPONSE ? HTTP_BODY_CLOSE : HTTP_BODY_UNKNOWN;
    if (head->has_length)
        return head->content_length ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
    return kind == HTTP_RESPONSE ? HTTP_BODY_CLOSE : HTTP_BODY_NONE;
}

/* ---- Looking for a start in the middle -------------------------------------------------------------------------- */

static bool plausible_line(struct td_slice line, enum http_kind kind)
{
    struct http_head head;
    memset(&head, 0, sizeof(head));
    if (kind == HTTP_RESPONSE)
        return td_starts(line, TD_LIT("HTTP/1.")) && parse_status_line(line, &head) == HTTP_OK && !head.fault;
    /* Right behind a gap, "ET" may be the rest of "GET": so only known methods will do. */
    return parse_request_line(line, &head) == HTTP_OK && !head.fault && td_starts(head.version, TD_LIT("1.")) && head.target.n &&
           http_known_method(head.method) == 2;
}

enum http_result http_plausible(struct td_slice in, enum http_kind kind)
{
    struct td_slice line, next;
    size_t at = 0, n;
    if (in.n == 0)
        return HTTP_MORE;
    /* Most lines are turned down by their first byte. */
    if (kind == HTTP_RESPONSE ? in.p[0] != 'H' : !is_upper(in.p[0]))
        return HTTP_BAD;
    if (!next_line(td_sub(in, 0, HTTP_MAX_RESYNC), &at, &line))
        return in.n < HTTP_MAX_RESYNC ? beginning(in, kind) : HTTP_BAD;
    if (!plausible_line(line, kind))
        return HTTP_BAD;
    next = td_sub(in, at, at + HTTP_MAX_FIELD_NAME);
    n = token_length(next);
    if (n == next.n)
        return next.n < HTTP_MAX_FIELD_NAME ? HTTP_MORE : HTTP_BAD;
    if (n)
        return next.p[n] == ':' ? HTTP_OK : HTTP_BAD;
    if (next.p[0] == '\r' && next.n == 1)
        return HTTP_MORE;
    return next.p[0] == '\n' || (next.p[0] == '\r' && next.p[1] == '\n') ? HTTP_OK : HTTP_BAD;
}
