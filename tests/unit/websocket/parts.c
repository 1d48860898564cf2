/* Parts of the WebSocket dissector that need no host: frame headers, masks, UTF-8, what looks like frames. */
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../../plugins/dissectors/utf8/utf8.h"
#include "../../../plugins/dissectors/websocket/websocket_deflate.h"
#include "../../../plugins/dissectors/websocket/websocket_frame.h"

static void test_headers(void)
{
    static const struct {
        const char *wire;
        size_t n;
        const char *what; /* opcode fin rsv masked length header; then the fault, from who may send it */
    } cases[] = {
        {"\x81\x05", 2, "1 1 0 0 5 2"},
        {"\x81\x85\x01\x02\x03\x04", 6, "1 1 0 1 5 6"},
        {"\x02\x7e\x01\x00", 4, "2 0 0 0 256 4"},
        {"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10, "2 1 0 0 65536 10"},
        {"\x82\xff\x00\x00\x00\x00\x00\x01\x00\x00\x09\x08\x07\x06", 14, "2 1 0 1 65536 14"},
        {"\x82\x7e\x00\x05", 4, "2 1 0 0 5 4 long-winded"},
        {"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff", 10, "2 1 0 0 65535 10 long-winded"},
        {"\xc1\x00", 2, "1 1 4 0 0 2"},
        {"\xa1\x00", 2, "1 1 2 0 0 2 reserved bits are set"},
        {"\x91\x00", 2, "1 1 1 0 0 2 reserved bits are set"},
        {"\x83\x00", 2, "3 1 0 0 0 2 unknown opcode"},
        {"\x8b\x00", 2, "11 1 0 0 0 2 unknown opcode"},
        {"\x09\x00", 2, "9 0 0 0 0 2 fragmented control frame"},
        {"\xc9\x00", 2, "9 1 4 0 0 2 compressed control frame"},
        {"\x89\x7e\x00\x7e", 4, "9 1 0 0 126 4 control frame too long"},
        {"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00", 10, "2 1 0 0 9223372036854775808 10 payload length of more than 63 bits"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_frame f;
        char got[200];
        const char *fault;
        size_t short_of = 0;
        for (size_t n = 0; n < cases[i].n; n++)
            short_of += ws_read_header(td_bytes(cases[i].wire, n), &f) > n;
        ok(short_of == cases[i].n, "a header that is not whole asks for more: %s", cases[i].what);
        is_int((long)ws_read_header(td_bytes(cases[i].wire, cases[i].n), &f), 0, "whole: %s", cases[i].what);
        fault = ws_header_fault(&f, f.masked);
        snprintf(got, sizeof(got), "%u %d %u %d %llu %u%s%s%s", f.opcode, f.fin, f.rsv, f.masked, (unsigned long long)f.length, f.header,
                 f.long_winded ? " long-winded" : "", fault ? " " : "", fault ? fault : "");
        is_str(got, cases[i].what, "read right");
        ok(ws_header_fault(&f, !f.masked) != NULL, "the other side masks, or does not: %s", cases[i].what);
    }
}

static void test_masks(void)
{
    const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    uint8_t in[64], want[64], got[64];
    bool good = true;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 37);
    for (uint64_t at = 0; at < 9; at++)
        for (size_t n = 0; n <= sizeof(in); n++) {
            for (size_t i = 0; i < n; i++)
                want[i] = in[i] ^ mask[(at + i) % 4];
            ws_unmask(mask, at, in, n, got);
            good &= memcmp(want, got, n) == 0;
        }
    ok(good, "masks come off from any place on");
}

/* The kinds of text that Autobahn's suite sends in its section 6, and the table of well-formed sequences in RFC 3629. */
static void test_utf8(void)
{
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"", true},
        {"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!", true},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5", true},
        {"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"
         "edited",
         false},
        {"\xf0\x90\x80\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xf8\x88\x80\x80\x80", false},
        {"\x7f", true},
        {"\xdf\xbf", true},
        {"\xef\xbf\xbd", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\x80", false},
        {"\xbf", false},
        {"\xc0\xaf", false},
        {"\xc1\xbf", false},
        {"\xe0\x80\xaf", false},
        {"\xe0\x9f\xbf", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xc0 ", false},
        {"\xe0\xa0 ", false},
        {"\xed\xa0\x80", false},
        {"\xed\xbf\xbf", false},
        {"\xfe", false},
        {"\xff", false},
        {"\xce", false},
        {"\xf0\x90\x80", false},
        {"abcdefghijklmnop\xff", false},
        {"abcdefgh\xc3\xa9ijklmnopqrstuvw\xc3\xa9", true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t n = strlen(cases[i].text);
        bool same = true;
        for (size_t cut = 0; cut <= n; cut++) {
            struct utf8 u = {0, 0, 0, false};
            (void)utf8_add(&u, td_bytes(cases[i].text, cut));
            (void)utf8_add(&u, td_bytes(cases[i].text + cut, n - cut));
            same &= utf8_is_whole(&u) == cases[i].good;
        }
        ok(same, "UTF-8: case %zu, in any two pieces", i);
    }
    is_int((long)utf8_whole_characters(TD_LIT("ab\xc3\xa9")).n, 4, "whole characters stay");
    is_int((long)utf8_whole_characters(TD_LIT("ab\xc3")).n, 2, "half ones go");
    is_int((long)utf8_whole_characters(TD_LIT("ab\xf0\x9f\x98")).n, 2, "three quarters too");
}

static void test_plausible(void)
{
    static const char text[] = "{\"type\":\"price\",\"value\":12345}";
    uint8_t frame[2 + sizeof(text) - 1] = {0x81, sizeof(text) - 1}, pings[230];
    memcpy(frame + 2, text, sizeof(text) - 1);
    ok(ws_plausible(td_bytes(frame, sizeof(frame)), false) >= 75, "a text of the server");
    is_int(ws_plausible(td_bytes(frame, sizeof(frame)), true), 0, "the client would mask it");
    is_int(ws_plausible(td_bytes(frame, 6), false), -1, "its beginning: more must be seen");
    frame[10] = 0x01;
    is_int(ws_plausible(td_bytes(frame, sizeof(frame)), false), 0, "text has no control characters");
    is_int(ws_plausible(TD_LIT("\x88\x02\x00\x01"), false), 0, "no code of a close frame");
    ok(ws_plausible(TD_LIT("\x88\x02\x03\xe8"), false) >= 60, "a close frame");
    is_int(ws_plausible(TD_LIT("GET / HTTP/1.1\r\n"), true), 0, "a request of HTTP");
    is_int(ws_plausible(TD_LIT("\x17\x03\x03\x00\x20"), true), 0, "a record of TLS");
    is_int(ws_plausible(TD_LIT("\x82\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false), 0,
           "zeros are no frames");
    for (size_t i = 0; i < 200; i += 2)
        memcpy(pings + i, "\x89\x00", 2);
    memset(pings + 200, 0xff, sizeof(pings) - 200);
    is_int(ws_plausible(td_bytes(pings, sizeof(pings)), false), 100, "enough of it: no more is walked through");
}

static void test_extensions(void)
{
    static const struct {
        char field[80];
        bool has;
    } cases[] = {
        {"permessage-deflate", true},
        {"permessage-deflate; server_no_context_takeover; client_max_window_bits=10", true},
        {"x-other; a=\"1\" , Permessage-Deflate;a", true},
        {"x-permessage-deflate", false},
        {"permessage-deflated", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        ok(ws_has_deflate(td_str(cases[i].field)) == cases[i].has, "extensions: %s", cases[i].field);
}

int main(void)
{
    test_headers();
    test_masks();
    test_utf8();
    test_plausible();
    test_extensions();
    return tap_done();
}
