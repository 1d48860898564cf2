/* The HTTP plugin's pure parts: heads, framing, chunks, content codings; and what the probe claims. */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "../../../plugins/dissectors/content/content_decode.h"
#include "../../../plugins/dissectors/http/http_chunked.h"
#include "../../../plugins/dissectors/http/http_parse.h"
#include "tapedeck/plugin.h"

extern const struct td_plugin td_plugin_v1_http;

/* ---- Heads ------------------------------------------------------------------------------------------------------- */

static struct http_field fields[HTTP_MAX_FIELDS];

static enum http_result parse(const char *text, enum http_kind kind, struct http_head *head)
{
    memset(head, 0, sizeof(*head));
    head->fields = fields;
    return http_parse_head(td_str(text), kind, false, head);
}

static void test_start_lines(void)
{
    static const struct {
        enum http_kind kind;
        enum http_result result;
        const char *text, *what; /* method and target, or status and reason */
    } cases[] = {
        {HTTP_REQUEST, HTTP_OK, "GET / HTTP/1.1\r\n\r\n", "GET /"},
        {HTTP_REQUEST, HTTP_OK, "M-SEARCH * HTTP/1.1\n\n", "M-SEARCH *"},
        {HTTP_REQUEST, HTTP_OK, "x~y a HTTP/1.0\r\n\r\n", "x~y a"},
        {HTTP_REQUEST, HTTP_OK, "GET\t/ HTTP/1.1\r\n\r\n", "GET /"},
        {HTTP_REQUEST, HTTP_OK, "GET /a b c HTTP/1.1  \r\n\r\n", "GET /a b c"},
        {HTTP_REQUEST, HTTP_OK, "GET /nine\r\n\r\n", "GET /nine"},
        {HTTP_REQUEST, HTTP_BAD, "FOO /nine\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "GET nine\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "GET\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, " GET / HTTP/1.1\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "GET / HTTP/\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "OPTIONS * RTSP/1.0\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "INVITE sip:a@b SIP/2.0\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "OPTIONS icap://h/s ICAP/1.0\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "PRI * HTTP/2.0\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "HTTP/1.1 200 OK\r\n\r\n", NULL},
        {HTTP_REQUEST, HTTP_BAD, "\x16\x03\x01\x02", NULL},
        {HTTP_REQUEST, HTTP_BAD, "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQRSTUVWXYZ", NULL},
        {HTTP_REQUEST, HTTP_MORE, "GE", NULL},
        {HTTP_REQUEST, HTTP_MORE, "GET / HTTP/1.1\r\nHost: h\r\n", NULL},
        {HTTP_RESPONSE, HTTP_OK, "HTTP/1.1 200 OK\r\n\r\n", "200 OK"},
        {HTTP_RESPONSE, HTTP_OK, "HTTP/1.0  404\r\n\r\n", "404 "},
        {HTTP_RESPONSE, HTTP_OK, "HTTP/2 301 Moved it is\n\n", "301 Moved it is"},
        {HTTP_RESPONSE, HTTP_OK, "ICY 200 OK\r\n\r\n", "200 OK"},
        {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1 2000 OK\r\n\r\n", NULL},
        {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1 OK\r\n\r\n", NULL},
        {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1\r\n\r\n", NULL},
        {HTTP_RESPONSE, HTTP_BAD, "RTSP/1.0 200 OK\r\n\r\n", NULL},
        {HTTP_RESPONSE, HTTP_BAD, "HTTQ", NULL},
        {HTTP_RESPONSE, HTTP_MORE, "HT", NULL},
    };
    struct http_head head;
    char what[64];
    size_t i;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum http_result result = parse(cases[i].text, cases[i].kind, &head);
        is_int(result, cases[i].result, "start line %.20s", cases[i].text);
        if (result != HTTP_OK)
            continue;
        if (cases[i].kind == HTTP_REQUEST)
            snprintf(what, sizeof(what), "%.*s %.*s", (int)head.method.n, head.method.p, (int)head.target.n, head.target.p);
        else
            snprintf(what, sizeof(what), "%u %.*s", head.status, (int)head.reason.n, head.reason.p);
        is_str(what, cases[i].what, "... and its parts");
    }
}

static void test_faults(void)
{
    static const struct {
        const char *text, *fault;
    } cases[] = {
        {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", NULL},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", "several Host fields"},
        {"GET / HTTP/1.1\r\nHost : h\r\n\r\n", "whitespace before a header field's colon"},
        {"GET / HTTP/1.1\r\nno colon\r\n\r\n", "header line without a colon"},
        {"GET / HTTP/1.1\r\n: h\r\n\r\n", "invalid header field name"},
        {"GET / HTTP/1.1\r\n b: h\r\n\r\n", "whitespace before the first header field"},
        {"GET / HTTP/1.1\r\na: b\r\n c\r\n\r\n", "folded header field"},
        {"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "conflicting Content-Length"},
        {"GET / HTTP/1.1\r\nContent-Length: 1x\r\n\r\n", "invalid Content-Length"},
        {"GET / HTTP/1.1\r\nContent-Length:\r\n\r\n", "invalid Content-Length"},
        {"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", "invalid Content-Length"},
        {"GET / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "a transfer coding after chunked"},
    };
    struct http_head head;
    size_t i;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_int(parse(cases[i].text, HTTP_REQUEST, &head), HTTP_OK, "%s: read all the same", cases[i].fault ? cases[i].fault : "no fault");
        is_str(head.fault ? head.fault : "", cases[i].fault ? cases[i].fault : "", "... and told");
    }
}

static void test_framing(void)
{
    static const struct {
        enum http_kind kind;
        bool to_head;
        enum http_framing framing;
        const char *text;
    } cases[] = {
        {HTTP_REQUEST, false, HTTP_BODY_NONE, "POST / HTTP/1.1\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_NONE, "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_LENGTH, "POST / HTTP/1.1\r\nCONTENT-length: 5\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_CHUNKED, "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: gzip ,\tCHUNKED\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_CHUNKED, "POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked;a=b\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_UNKNOWN, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_UNKNOWN, "POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n"},
        {HTTP_REQUEST, false, HTTP_BODY_LENGTH, "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_CLOSE, "HTTP/1.1 200 OK\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_CLOSE, "HTTP/1.1 200 OK\r\nContent-Length: 5 6\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_LENGTH, "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n"},
        {HTTP_RESPONSE, true, HTTP_BODY_NONE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_NONE, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_NONE, "HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n"},
        {HTTP_RESPONSE, false, HTTP_BODY_NONE, "HTTP/1.1 103 No\r\nContent-Length: 5\r\n\r\n"},
    };
    struct http_head head;
    size_t i;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)parse(cases[i].text, cases[i].kind, &head);
        is_int(http_framing(&head, cases[i].kind, cases[i].to_head), cases[i].framing, "framing of case %zu", i);
    }
    (void)parse("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\nContent-Encoding: br, identity\r\nContent-Encoding: zstd\r\n\r\n",
                HTTP_RESPONSE, &head);
    ok(head.n_codings == 3 && head.codings[0] == CONTENT_BROTLI && head.codings[1] == CONTENT_ZSTD && head.codings[2] == CONTENT_GZIP,
       "content codings come before transfer codings, wherever they stand");
}

static void test_fields(void)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nX-A:  one\t\r\n two \n\t\r\n three\r\nServer:s\r\n\r\n";
    struct http_head head;
    char out[64];
    is_int(parse(text, HTTP_RESPONSE, &head), HTTP_OK, "a folded field");
    is_int(head.n_fields, 2, "two fields");
    ok(head.fields[0].folded && !head.fields[1].folded, "which of them is folded");
    is_mem(out, http_unfold(head.fields[0].value, (uint8_t *)out), "one two three", 13, "unfolded");
    is_int(head.size, sizeof(text) - 1, "the head's size");
}

/* A head is found whole at its last byte, not before, from wherever the search goes on. */
static void test_find_end(void)
{
    static const char *const heads[] = {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "G\r\nA: b\r\n \r\nB: \r\r\n\n", "G\n\r\n"};
    size_t i, n;
    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        size_t scanned = 0, end = strlen(heads[i]);
        for (n = 0; n <= end && !http_find_end(td_bytes(heads[i], n), &scanned); n++)
            ;
        is_int(n, end, "the end of head %zu", i);
    }
}

static void test_plausible(void)
{
    static const struct {
        enum http_kind kind;
        enum http_result result;
        const char *text;
    } cases[] = {
        {HTTP_REQUEST, HTTP_OK, "GET / HTTP/1.1\r\nH:"},       {HTTP_REQUEST, HTTP_OK, "GET / HTTP/1.0\r\n\r\n"},
        {HTTP_REQUEST, HTTP_MORE, "GET / HTTP/1.1\r\nHost"},   {HTTP_REQUEST, HTTP_MORE, "GET / HTTP/1.1\r\n"},
        {HTTP_REQUEST, HTTP_MORE, "GET / HTTP/1.1\r\n\r"},     {HTTP_REQUEST, HTTP_BAD, "GET / HTTP/1.1\r\nnot a field"},
        {HTTP_REQUEST, HTTP_BAD, "ET / HTTP/1.1\r\nH:"},       {HTTP_REQUEST, HTTP_BAD, "GET /a b HTTP/1.1\r\nH:"},
        {HTTP_REQUEST, HTTP_BAD, "GET / HTTP/2.0\r\nH:"},      {HTTP_REQUEST, HTTP_BAD, "get / HTTP/1.1\r\nH:"},
        {HTTP_RESPONSE, HTTP_OK, "HTTP/1.1 200 OK\r\nH:"},     {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1 200 OK\r\n<html>"},
        {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1 900 OK\r\nH: h"},  {HTTP_RESPONSE, HTTP_MORE, "HTTP/1"},
        {HTTP_RESPONSE, HTTP_BAD, "HTTP is a protocol\r\nH:"}, {HTTP_RESPONSE, HTTP_BAD, "HTTP/1.1 204 No\r\n\rX"},
    };
    size_t i;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        is_int(http_plausible(td_str(cases[i].text), cases[i].kind), cases[i].result, "plausible? %.24s",
               cases[i].text ? cases[i].text : "");
}

/* ---- Chunks ------------------------------------------------------------------------------------------------------- */

/* Feeds in two pieces, cut at `cut`; the content so far is left in `out`. */
static enum http_chunked_event feed_chunks(const char *text, size_t cut, char *out, size_t *ret_consumed)
{
    struct http_chunked c;
    struct td_slice all = td_str(text), data;
    enum http_chunked_event event = HTTP_CHUNK_MORE;
    size_t at = 0, used, end = cut, n = 0;
    memset(&c, 0, sizeof(c));
    for (;;) {
        event = http_chunked_next(&c, td_sub(all, at, end), &used, &data);
        at += used;
        if (event == HTTP_CHUNK_DATA) {
            memcpy(out + n, data.p, data.n);
            n += data.n;
        } else if (event == HTTP_CHUNK_MORE && end < all.n) {
            end = all.n;
        } else {
            break;
        }
    }
    out[n] = '\0';
    *ret_consumed = at;
    return event;
}

static void test_chunks(void)
{
    static const struct {
        const char *text, *content;
        enum http_chunked_event event;
        size_t left; /* of the text */
    } cases[] = {
        {"4\r\nWiki\r\n5\r\npedia\r\n0\r\n\r\n", "Wikipedia", HTTP_CHUNK_TRAILERS, 2},
        {" 00A ; ext=\"a\"\r\n0123456789\r\n0;x\r\nT: t\r\n\r\n", "0123456789", HTTP_CHUNK_TRAILERS, 8},
        {"1\nx\n0\n\n", "x", HTTP_CHUNK_TRAILERS, 1},
        {"f\r\nfifteen", "fifteen", HTTP_CHUNK_MORE, 0},
        {"g\r\n", "", HTTP_CHUNK_BAD, 3},
        {"\r\n", "", HTTP_CHUNK_BAD, 2},
        {"1\rx", "", HTTP_CHUNK_BAD, 1},
        {"1 1\r\n", "", HTTP_CHUNK_BAD, 3},
        {"1\r\nxy\r\n", "x", HTTP_CHUNK_BAD, 3},
        {"1\r\nx\ry", "x", HTTP_CHUNK_BAD, 1},
        {"10000000000000000\r\n", "", HTTP_CHUNK_BAD, 4},
        {"000000000000000000000000000000000\r\n", "", HTTP_CHUNK_BAD, 3},
    };
    char out[64];
    size_t i, cut, consumed;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        for (cut = 0; cut <= n; cut++)
            if (feed_chunks(cases[i].text, cut, out, &consumed) != cases[i].event || strcmp(out, cases[i].content) != 0 ||
                (cases[i].event != HTTP_CHUNK_BAD && consumed != n - cases[i].left))
                break;
        ok(cut == n + 1, "chunks %zu at every cut (%zu): %s", i, cut, out);
    }
}

static void test_long_extension(void)
{
    struct http_chunked c = {0, 0, 0};
    struct td_slice data;
    char line[1024];
    size_t used, n = 0;
    memset(line, ';', sizeof(line));
    line[0] = '1';
    while (n < 1024 * 1024 && http_chunked_next(&c, td_bytes(line, sizeof(line)), &used, &data) == HTTP_CHUNK_MORE)
        n += used;
    ok(n <= HTTP_MAX_CHUNK_EXT + sizeof(line), "endless extensions end at %zu bytes", n);
}

/* ---- Content codings ------------------------------------------------------------------------------------------------ */

static size_t deflate_as(int window_bits, const void *in, size_t n, uint8_t *out, size_t cap)
{
    z_stream z;
    memset(&z, 0, sizeof(z));
    (void)deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (z_const Bytef *)in;
    z.avail_in = (uInt)n;
    z.next_out = out;
    z.avail_out = (uInt)cap;
    (void)deflate(&z, Z_FINISH);
    (void)deflateEnd(&z);
    return z.total_out;
}

static const char brotli_text[] = "brotli brotli brotli, said the server";
static const uint8_t brotli_coded[] = {0x1b, 0x24, 0x00, 0xf8, 0x1d, 0x09, 0x36, 0x4e, 0x74, 0x6f, 0x24, 0x86,
                                       0x57, 0x62, 0x72, 0x09, 0xc2, 0x42, 0x97, 0x69, 0x6c, 0x6f, 0x49, 0x88,
                                       0x24, 0xf1, 0x64, 0x02, 0x60, 0xf8, 0xf3, 0x7e, 0x28, 0x53, 0x0a};

static void test_one_coding(const char *name, uint8_t coding, struct td_slice coded, struct td_slice plain)
{
    uint8_t *room = malloc(plain.n + 1);
    struct td_slice out;
    size_t n;
    bool good = room != NULL;
    is_int(content_decode(&coding, 1, coded, room, plain.n + 1, &out), CONTENT_DECODED, "%s", name);
    is_mem(out.p, out.n, plain.p, plain.n, "%s: content", name);
    is_int(content_decode(&coding, 1, coded, room, 5, &out), CONTENT_DECODED, "%s: no more than there is room for", name);
    is_mem(out.p, out.n, plain.p, 5, "%s: the beginning", name);
    for (n = 1; n < coded.n && good; n++) {
        enum content_decoded result = content_decode(&coding, 1, td_sub(coded, 0, n), room, plain.n + 1, &out);
        good = result != CONTENT_DECODED_BAD && out.n <= plain.n && (out.n == 0 || memcmp(out.p, plain.p, out.n) == 0);
    }
    ok(good, "%s: cut anywhere, what there is is right (%zu of %zu)", name, n, coded.n);
    is_int(content_decode(&coding, 1, plain, room, plain.n + 1, &out), CONTENT_DECODED_BAD, "%s: something else is noticed", name);
    free(room);
}

static void test_codings(void)
{
    static const char plain[] = "to be or not to be, that is the question; to be or not to be";
    uint8_t coded[512], twice[1024], room[2 * 256], codings[3] = {CONTENT_ZSTD, CONTENT_GZIP, CONTENT_CODING_UNKNOWN};
    struct td_slice text = td_bytes(plain, sizeof(plain) - 1), out;
    size_t n, m;
    n = deflate_as(MAX_WBITS + 16, text.p, text.n, coded, sizeof(coded));
    test_one_coding("gzip", CONTENT_GZIP, td_bytes(coded, n), text);
    memcpy(coded + n, coded, n);
    codings[0] = CONTENT_GZIP;
    (void)content_decode(codings, 1, td_bytes(coded, 2 * n), room, 256, &out);
    is_int(out.n, 2 * text.n, "gzip: two members");
    n = deflate_as(MAX_WBITS, text.p, text.n, coded, sizeof(coded));
    test_one_coding("deflate", CONTENT_DEFLATE, td_bytes(coded, n), text);
    n = deflate_as(-MAX_WBITS, text.p, text.n, coded, sizeof(coded));
    is_int(content_decode((const uint8_t[]){CONTENT_DEFLATE}, 1, td_bytes(coded, n), room, 256, &out), CONTENT_DECODED,
           "deflate without zlib's wrapping");
    is_mem(out.p, out.n, text.p, text.n, "... content");
    test_one_coding("br", CONTENT_BROTLI, td_bytes(brotli_coded, sizeof(brotli_coded)), td_str(brotli_text));
    n = ZSTD_compress(coded, sizeof(coded), text.p, text.n, 3);
    test_one_coding("zstd", CONTENT_ZSTD, td_bytes(coded, n), text);
    m = deflate_as(MAX_WBITS + 16, coded, n, twice, sizeof(twice));
    codings[0] = CONTENT_ZSTD;
    is_int(content_decode(codings, 2, td_bytes(twice, m), room, 256, &out), CONTENT_DECODED, "zstd, then gzip");
    is_mem(out.p, out.n, text.p, text.n, "... content");
    is_int(content_decode(codings, 3, td_bytes(twice, m), room, 256, &out), CONTENT_DECODED_BAD, "a coding that nobody knows");
    is_int(out.n, 0, "... gives nothing");
}

/* A few bytes that want to become many. */
static void test_bomb(void)
{
    size_t n, big = 4u << 20, cap = 64 * 1024;
    uint8_t *zeros = calloc(1, big), *coded = malloc(big), *room = malloc(cap);
    struct td_slice out;
    if (!zeros || !coded || !room)
        abort();
    n = deflate_as(MAX_WBITS + 16, zeros, big, coded, big);
    is_int(content_decode((const uint8_t[]){CONTENT_GZIP}, 1, td_bytes(coded, n), room, cap, &out), CONTENT_DECODED,
           "a gzip bomb of %zu bytes", n);
    is_int(out.n, cap, "... fills the room and no more");
    free(zeros);
    free(coded);
    free(room);
}

/* ---- The probe ------------------------------------------------------------------------------------------------------- */

static int probe(int dir, struct td_slice bytes)
{
    const struct td_dissector *d = td_plugin_v1_http.components[0]->ops;
    struct td_flow flow;
    memset(&flow, 0, sizeof(flow));
    return d->probe(NULL, &flow, dir, bytes);
}

static void test_probe(void)
{
    static const struct {
        int dir, score; /* 0: no; else at least; negative: wants more */
        const char *text;
    } cases[] = {
        {TD_CLIENT, 100, "GET /x HTTP/1.1\r\n"},
        {TD_CLIENT, 100, "\r\nCONNECT h:443 HTTP/1.0\r\nHost: h"},
        {TD_CLIENT, 90, "FROBNICATE /x HTTP/1.1\r\n"},
        {TD_CLIENT, 60, "POST /x"},
        {TD_CLIENT, 25, "GET /x\r\n"},
        {TD_CLIENT, -1, "POS"},
        {TD_CLIENT, -1, "FROBNICATE /x HTT"},
        {TD_CLIENT, 0, "OPTIONS * RTSP/1.0\r\n"},
        {TD_CLIENT, 0, "INVITE sip:a@b SIP/2.0\r\n"},
        {TD_CLIENT, 0, "OPTIONS icap://h/s ICAP/1.0\r\n"},
        {TD_CLIENT, 0, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
        {TD_CLIENT, 0, "EHLO there\r\n"},
        {TD_CLIENT, 0, "NICK me\r\n"},
        {TD_CLIENT, 0, "\x16\x03\x01\x02\x01\x01"},
        {TD_CLIENT, 0, "HTTP/1.1 200 OK\r\n"},
        {TD_SERVER, 100, "HTTP/1.1 200 OK\r\n"},
        {TD_SERVER, 95, "HTTP/1.1 200 OK"},
        {TD_SERVER, -1, "HTTP/1."},
        {TD_SERVER, 0, "RTSP/1.0 200 OK\r\n"},
        {TD_SERVER, 0, "HTTP/1.1 what\r\n"},
        {TD_SERVER, 0, "GET / HTTP/1.1\r\n"},
        {TD_SERVER, 0, "220 mail ESMTP\r\n"},
    };
    size_t i, n;
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct td_slice text = td_str(cases[i].text);
        int score = probe(cases[i].dir, text);
        ok(cases[i].score < 0 ? score < 0 && (size_t)-score > text.n
           : cases[i].score   ? score >= cases[i].score
                              : score == 0,
           "probe of %.24s: %d", cases[i].text, score);
        /* What will be certain is never refused before, and what will be refused is never certain before. */
        for (n = 0; n <= text.n; n++)
            if (cases[i].score >= 90 ? probe(cases[i].dir, td_sub(text, 0, n)) == 0
                                     : cases[i].score == 0 && probe(cases[i].dir, td_sub(text, 0, n)) >= 50)
                break;
        ok(n == text.n + 1, "... and of its beginnings");
    }
}

int main(void)
{
    test_start_lines();
    test_faults();
    test_framing();
    test_fields();
    test_find_end();
    test_plausible();
    test_chunks();
    test_long_extension();
    test_codings();
    test_bomb();
    test_probe();
    return tap_done();
}
