/* The WebSocket dissector as the core drives it: frames in, messages out. Each conversation is fed whole, byte by byte and at random
 * cuts, with the same result; then with a gap at every offset and from every offset on, where each message that is told without a
 * flag must be one that was sent. */
#include "mock_host.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

extern const struct td_plugin td_plugin_v1_websocket;

enum { C = TD_CLIENT, S = TD_SERVER };

/* ---- Making frames ------------------------------------------------------------------------------------------------------ */

struct piece {
    int dir;
    size_t begin, end; /* of its stream */
};

/* What is sent, in order. */
static struct buf sent[2];
static struct piece pieces[256];
static size_t n_pieces;
static z_stream deflater[2];
static bool deflating[2];
static const char *const *told;
static const char *const handshake[] = {
    ":status", "101", ":path", "/chat?room=1", ":authority", "h:81", "Sec-WebSocket-Extensions", "permessage-deflate", NULL};

static void start(void)
{
    for (int dir = 0; dir < 2; dir++) {
        buf_reset(&sent[dir]);
        if (deflating[dir])
            (void)deflateEnd(&deflater[dir]);
        deflating[dir] = false;
    }
    n_pieces = 0;
    told = handshake;
}

static void raw(int dir, struct td_slice bytes)
{
    struct piece p = {dir, sent[dir].n, sent[dir].n + bytes.n};
    buf_put_slice(&sent[dir], bytes);
    if (n_pieces < sizeof(pieces) / sizeof(pieces[0]))
        pieces[n_pieces++] = p;
}

/* `first`: the header's first byte: FIN, RSV, opcode. */
static void frame(int dir, unsigned first, struct td_slice payload)
{
    static const uint8_t mask[4] = {0x12, 0x9f, 0x03, 0xe7};
    struct buf out = {0};
    buf_putc(&out, (char)first);
    if (payload.n < 126) {
        buf_putc(&out, (char)(payload.n | (dir == C ? 0x80 : 0)));
    } else if (payload.n < 65536) {
        buf_putc(&out, (char)(126 | (dir == C ? 0x80 : 0)));
        buf_putc(&out, (char)(payload.n >> 8));
        buf_putc(&out, (char)payload.n);
    } else {
        buf_putc(&out, (char)(127 | (dir == C ? 0x80 : 0)));
        for (int shift = 56; shift >= 0; shift -= 8)
            buf_putc(&out, (char)(payload.n >> shift));
    }
    if (dir == C)
        buf_put_slice(&out, td_bytes(mask, 4));
    for (size_t i = 0; i < payload.n; i++)
        buf_putc(&out, (char)(payload.p[i] ^ (dir == C ? mask[i % 4] : 0)));
    raw(dir, buf_slice(&out));
    buf_clear(&out);
}

static void text(int dir, const char *s)
{
    frame(dir, 0x81, td_str(s));
}

enum { KEEP = 0, RESET = 1, FINAL = 2 };

/* A compressed message; the caller frees it. */
static struct buf make_compressed(int dir, struct td_slice s, int how, int window_bits)
{
    struct buf out = {0};
    uint8_t room[4096];
    z_stream *z = &deflater[dir];
    if (!deflating[dir]) {
        memset(z, 0, sizeof(*z));
        (void)deflateInit2(z, 6, Z_DEFLATED, -window_bits, 8, Z_DEFAULT_STRATEGY);
        deflating[dir] = true;
    }
    if (how == RESET)
        (void)deflateReset(z);
    z->next_in = (z_const Bytef *)s.p;
    z->avail_in = (uInt)s.n;
    do {
        z->next_out = room;
        z->avail_out = sizeof(room);
        (void)deflate(z, how == FINAL ? Z_FINISH : Z_SYNC_FLUSH);
        buf_put_slice(&out, td_bytes(room, sizeof(room) - z->avail_out));
    } while (z->avail_out == 0);
    if (how == FINAL) {
        buf_putc(&out, 0); /* RFC 7692 section 7.2.3.4 */
        (void)deflateReset(z);
    } else if (out.n >= 4) {
        out.n -= 4; /* 00 00 ff ff */
    } else {
        buf_putc(&out, 0); /* nothing was pending: section 7.2.3.6 */
    }
    return out;
}

static void compressed(int dir, struct td_slice s, int how)
{
    struct buf out = make_compressed(dir, s, how, 15);
    frame(dir, 0xc1, buf_slice(&out));
    buf_clear(&out);
}

/* ---- Feeding ------------------------------------------------------------------------------------------------------------ */

enum how { WHOLE, BYTES, RANDOM };

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

struct setting {
    enum how how;
    uint32_t seed, flow;
    int hole_dir;   /* -1: none */
    size_t at, len; /* of the hole */
    size_t from[2]; /* nothing before these */
    unsigned options, fail_at;
    uint64_t max_message; /* 0: the default */
};
static const struct setting plain = {.hole_dir = -1};

static void feed(struct mock *m, const struct piece *p, const struct setting *s, uint32_t *seed)
{
    size_t at = p->begin > s->from[p->dir] ? p->begin : s->from[p->dir];
    while (at < p->end) {
        size_t n = s->how == WHOLE ? p->end - at : s->how == BYTES ? 1 : 1 + next_random(seed) % (next_random(seed) % 2 ? 7 : 90);
        n = n < p->end - at ? n : p->end - at;
        if (p->dir == s->hole_dir && at < s->at + s->len && s->at < at + n) {
            n = at < s->at ? s->at - at : s->at + s->len - at < p->end - at ? s->at + s->len - at : p->end - at;
            if (at >= s->at) {
                mock_gap(m, p->dir, n);
                at += n;
                continue;
            }
        }
        mock_feed(m, p->dir, td_sub(buf_slice(&sent[p->dir]), at, at + n));
        at += n;
    }
}

/* The caller frees it. */
static size_t count(const char *text, const char *word)
{
    size_t n = 0;
    for (; (text = strstr(text, word)); text += strlen(word))
        n++;
    return n;
}

static char *transcript(const struct setting *s)
{
    struct mock m;
    uint32_t seed = s->seed;
    char *out;
    if (!mock_init(&m, &td_plugin_v1_websocket, s->options))
        ok(false, "init: %s", m.fault);
    m.told = s->from[0] || s->from[1] ? NULL : told;
    m.fail_alloc_at = s->fail_at;
    m.side[0].offset = s->from[0];
    m.side[1].offset = s->from[1];
    if (s->max_message)
        mock_option(&m, "maxMessageSize", s->max_message);
    if (mock_open(&m, s->flow))
        for (size_t i = 0; i < n_pieces; i++)
            feed(&m, &pieces[i], s, &seed);
    mock_close(&m, TD_CLOSE_FIN);
    if (m.fault)
        ok(false, "the dissector broke the contract: %s", m.fault);
    out = strdup(buf_cstr(&m.out));
    mock_clear(&m);
    if (count(out, "flags: one-way\n") != count(out, "call\n"))
        ok(false, "a message that seems to be answered by another: %s", out);
    return out;
}

/* ---- What must hold ------------------------------------------------------------------------------------------------------ */

/* Lines that every message has, or that only say where it stood, are of no interest here. */
static char *shorten(char *text)
{
    static const char *const drop[] = {"  url:",      "  path:",      "  query_string:",   "  http_host:",    "  ws_extensions:",
                                       "  request: ", "  response: ", "  ws_subprotocol:", "  flags: one-way"};
    char *from = text, *to = text;
    while (*from) {
        size_t n = strcspn(from, "\n");
        bool keep = true;
        for (size_t i = 0; i < sizeof(drop) / sizeof(drop[0]); i++)
            keep &= strncmp(from, drop[i], strlen(drop[i])) != 0;
        n += from[n] == '\n';
        if (keep)
            memmove(to, from, n);
        to += keep ? n : 0;
        from += n;
    }
    *to = 0;
    return text;
}

static const char *first_lie(const char *text, const char *truth, char *block, size_t room)
{
    const char *at = text;
    while ((at = strstr(at, "call\n")) != NULL) {
        const char *end = strstr(at + 5, "call\n");
        size_t n = end ? (size_t)(end - at) : strlen(at);
        const char *lost = strstr(at, "claim lost");
        if (lost && (size_t)(lost - at) < n)
            n = (size_t)(lost - at);
        snprintf(block, room, "%.*s", (int)n, at);
        at += n;
        if (!strstr(block, "flags:") && !strstr(truth, block))
            return block;
    }
    return NULL;
}

static void only_truth(const char *name, const char *truth, const struct setting *s, bool *good)
{
    char block[8192];
    char *got = shorten(transcript(s));
    const char *lie = *good ? first_lie(got, truth, block, sizeof(block)) : NULL;
    if (lie) {
        *good = false;
        tap_diag("%s: hole %d at %zu of %zu, from %zu, %zu: %s", name, s->hole_dir, s->at, s->len, s->from[0], s->from[1], lie);
    }
    free(got);
}

static void check_damage(const char *name, const char *truth)
{
    static const size_t lengths[] = {1, 5, 40, 400};
    bool good = true, mid = true, budget = true;
    for (int dir = 0; dir < 2; dir++)
        for (size_t at = 0; at < sent[dir].n; at += sent[dir].n / 400 + 1) {
            struct setting s = plain;
            s.hole_dir = dir;
            s.at = at;
            s.len = lengths[at % 4];
            s.how = at % 3 ? WHOLE : RANDOM;
            only_truth(name, truth, &s, &good);
            s = plain;
            s.from[dir] = at + 1;
            s.from[!dir] = at + 1 < sent[!dir].n ? at + 1 : sent[!dir].n;
            s.flow = TD_FLOW_MIDSTREAM;
            only_truth(name, truth, &s, &mid);
        }
    ok(good, "%s: a gap anywhere makes no false message", name);
    ok(mid, "%s: nor does a missing beginning", name);
    for (unsigned n = 1; n < 40; n++) {
        struct setting s = plain;
        s.fail_at = n;
        only_truth(name, truth, &s, &budget);
    }
    ok(budget, "%s: nor a budget that is used up", name);
}

/* The same in all cuts; the caller frees what it was. */
static char *same(const char *name, unsigned options)
{
    struct setting s = plain;
    s.options = options;
    char *whole = transcript(&s), *other;
    bool good = true;
    for (uint32_t i = 0; i < 9; i++) {
        s.how = i ? RANDOM : BYTES;
        s.seed = i;
        other = transcript(&s);
        if (good && strcmp(other, whole) != 0) {
            good = false;
            is_str(other, whole, "%s: seed %u", name, i);
        }
        free(other);
    }
    ok(good, "%s: byte by byte, and at random cuts", name);
    return shorten(whole);
}

static void expect(const char *name, const char *want)
{
    char *got = same(name, MOCK_VIOLATIONS), *quiet = same(name, 0);
    is_str(got, want, "%s", name);
    check_damage(name, quiet);
    free(got);
    free(quiet);
}

/* ---- Messages ------------------------------------------------------------------------------------------------------------ */

#define REQUEST(opcode, more, n, frames, rest) \
    "call\n  ws_opcode: " opcode "\n  ws_request: 1\n" more "  ws_request_payload_length: " n "\n  ws_frames: " frames "\n" rest
#define RESPONSE(opcode, more, n, frames, rest) \
    "call\n  ws_opcode: " opcode "\n  ws_response: 1\n" more "  ws_response_payload_length: " n "\n  ws_frames: " frames "\n" rest
#define ASKED(s) "  ws_request_payload_data: " s "\n"
#define TOLD(s) "  ws_response_payload_data: " s "\n"

static void test_messages(void)
{
    start();
    text(C, "hello");
    text(S, "hi there");
    frame(C, 0x82, TD_LIT("\x00\x01\xff"));
    frame(S, 0x89, TD_LIT("are you there"));
    frame(C, 0x8a, TD_LIT("are you there"));
    text(S, "");
    frame(C, 0x88, TD_LIT("\x03\xe9going"));
    frame(S, 0x88, TD_LIT("\x03\xe9"));
    expect("messages",
           REQUEST("1", ASKED("hello"), "5", "1", "  request.body: hello\n") RESPONSE("1", TOLD("hi there"), "8", "1",
                                                                                      "  response.body: hi there\n")
               REQUEST("2", "", "3", "1", "  request.body: \\x00\\x01\\xff\n") RESPONSE("9", TOLD("are you there"), "13", "1",
                                                                                        "  response.body: are you there\n")
                   REQUEST("10", ASKED("are you there"), "13", "1", "  request.body: are you there\n") RESPONSE("1", "", "0", "1", "")
                       REQUEST("8", ASKED("going"), "7", "1",
                               "  ws_close_code: 1001\n  ws_close_name: 1001\n  ws_close_reason: going\n  request.body: \\x03\\xe9going\n")
                           RESPONSE("8", "", "2", "1", "  ws_close_code: 1001\n  ws_close_name: 1001\n  response.body: \\x03\\xe9\n"));
}

static void test_handshake(void)
{
    static const char *const with[] = {":status", "101", ":path", "/a/b?c=d", ":authority", "h:81", "Sec-WebSocket-Protocol", "v1", NULL};
    struct setting s = plain;
    char *got;
    start();
    told = with;
    text(C, "x");
    got = transcript(&s);
    ok(strstr(got, "url: ws://h:81/a/b?c=d\n  path: /a/b\n  query_string: c=d\n  http_host: h:81\n  ws_subprotocol: v1\n"),
       "what the handshake said is told with each message");
    ok(strstr(got, "request: 0-7\n"), "and where its frame was");
    free(got);
}

static void test_fragments(void)
{
    start();
    frame(C, 0x01, TD_LIT("frag"));
    frame(C, 0x89, TD_LIT("between"));
    frame(C, 0x00, TD_LIT(""));
    frame(C, 0x00, TD_LIT("men"));
    frame(C, 0x80, TD_LIT("ted"));
    frame(S, 0x01, TD_LIT("\xc3"));
    frame(S, 0x80, TD_LIT("\xa9!"));
    expect("fragments", REQUEST("9", ASKED("between"), "7", "1", "  request.body: between\n")
                            REQUEST("1", ASKED("fragmented"), "10", "4", "  request.body: fragmented\n")
                                RESPONSE("1", TOLD("\\xc3\\xa9!"), "3", "2", "  response.body: \\xc3\\xa9!\n"));
    start();
    frame(C, 0x01, TD_LIT("never ends"));
    frame(C, 0x81, TD_LIT("another"));
    frame(S, 0x80, TD_LIT("of nothing"));
    expect("fragments that do not fit", "violation: a message begins before the one before has ended\n" REQUEST(
                                            "1", ASKED("never ends"), "10", "1", "  request.body: never ends\n  flags: request-cut\n")
                                            REQUEST("1", ASKED("another"), "7", "1", "  request.body: another\n")
                                                RESPONSE("0", "", "10", "1", "  flags: response-cut\n  flags: partial\n"));
}

static void test_lengths(void)
{
    static const size_t lengths[] = {0, 1, 125, 126, 127, 128, 65535, 65536, 100000};
    char want[40], name[40];
    uint8_t *much = malloc(100000);
    memset(much, '*', 100000);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
        for (int dir = 0; dir < 2; dir++) {
            struct setting s = plain;
            char *got;
            start();
            frame(dir, 0x82, td_bytes(much, lengths[i]));
            text(dir, "behind");
            s.how = RANDOM;
            s.max_message = 1000;
            got = transcript(&s);
            snprintf(want, sizeof(want), "payload_length: %zu\n", lengths[i]);
            snprintf(name, sizeof(name), "%zu bytes, direction %d", lengths[i], dir);
            ok(strstr(got, want) && strstr(got, "behind"), "%s", name);
            ok(lengths[i] <= 1000 || strstr(got, "body: 1000 bytes"), "%s: as much is kept as shall be", name);
            free(got);
            s.options = MOCK_FEW_FIELDS;
            got = transcript(&s);
            is_int((long)count(got, "call\n"), 2, "%s: nobody looks at it", name);
            free(got);
        }
    free(much);
}

static void test_utf8(void)
{
    start();
    frame(C, 0x81, TD_LIT("ok \xff"));
    frame(C, 0x81, TD_LIT("half \xc3"));
    frame(C, 0x88, TD_LIT("\x03\xe8\xff"));
    frame(C, 0x88, TD_LIT("\x0f\xa1see you"));
    frame(C, 0x88, TD_LIT("\x01"));
    expect("invalid text",
           REQUEST("1", ASKED("ok \\xff"), "4", "1", "  ws_invalid_utf8: 1\n  request.body: ok \\xff\n")
               REQUEST("1", ASKED("half \\xc3"), "6", "1", "  ws_invalid_utf8: 1\n  request.body: half \\xc3\n")
                   REQUEST("8", "", "3", "1",
                           "  ws_close_code: 1000\n  ws_close_name: 1000\n  ws_close_reason: \\xff\n  ws_invalid_utf8: 1\n  request.body: "
                           "\\x03\\xe8\\xff\n")
                       REQUEST("8", ASKED("see you"), "9", "1",
                               "  ws_close_code: 4001\n  ws_close_reason: see you\n  request.body: \\x0f\\xa1see you\n")
                           REQUEST("8", "", "1", "1", "  request.body: \\x01\n"));
}

/* ---- Compression --------------------------------------------------------------------------------------------------------- */

#define Z(n) "  ws_compressed_length: " n "\n"

static void test_compression(void)
{
    static const struct td_slice same_text = {(const uint8_t *)"the same words again", 20};
    char *got, *again;
    for (int how = KEEP; how <= FINAL; how++) {
        static const char *const names[] = {"context takeover", "no context takeover", "final blocks"};
        start();
        for (int i = 0; i < 4; i++)
            compressed(i % 2, same_text, how);
        compressed(C, TD_LIT(""), how);
        text(C, "not compressed");
        compressed(C, TD_LIT("and the same words again"), how);
        got = same(names[how], 0);
        is_int((long)count(got, "payload_data: the same words again\n"), 4, "%s: what was said", names[how]);
        is_int((long)count(got, "payload_length: 20\n"), 4, "%s: its length", names[how]);
        ok(strstr(got, "payload_length: 0\n"), "%s: an empty message", names[how]);
        ok(strstr(got, "request.body: and the same words again\n"), "%s: the last one", names[how]);
        ok(!strstr(got, "flags:"), "%s: nothing is missing", names[how]);
        again = strdup(got);
        check_damage(names[how], again);
        free(again);
        free(got);
    }
}

static void test_fragmented_compression(void)
{
    struct buf z;
    char *got;
    start();
    z = make_compressed(S, TD_LIT("a text in three compressed frames"), KEEP, 9);
    frame(S, 0x41, td_sub(buf_slice(&z), 0, 5));
    frame(S, 0x00, td_sub(buf_slice(&z), 5, 11));
    frame(S, 0x80, td_sub(buf_slice(&z), 11, z.n));
    buf_clear(&z);
    got = same("fragmented", 0);
    ok(strstr(got, "payload_data: a text in three compressed frames\n") && strstr(got, "ws_frames: 3\n"),
       "a fragmented one, window of 512");
    free(got);
    start();
    frame(S, 0xc1, TD_LIT("\xff\xff\xff\xff"));
    compressed(S, TD_LIT("right again"), KEEP);
    got = same("no deflate", 0);
    ok(strstr(got, Z("4") "  flags: partial\n"), "what is not deflate is partial");
    ok(strstr(got, "right again\n"), "and the next one is read");
    free(got);
}

/* After a loss, what is told is right, or is told to be partial. */
static void test_lost_context(void)
{
    struct setting s = plain;
    char *got;
    start();
    compressed(S, TD_LIT("abcdefghijklmnopqrstuvwxyz0123456789"), KEEP);
    size_t second = sent[S].n;
    compressed(S, TD_LIT("0123456789ABCDEFGHIJ"), KEEP);
    compressed(S, TD_LIT("abcdefghijklmnopqrstuvwxyz"), KEEP);
    compressed(S, TD_LIT("now for something new"), KEEP);
    s.hole_dir = S;
    s.at = 3;
    s.len = 4;
    got = transcript(&s);
    is_int((long)count(got, "partial"), 3, "what refers to what was lost is partial");
    ok(strstr(got, "payload_length: 21\n"), "what does not is whole");
    free(got);
    s.at = second;
    s.len = 2;
    got = transcript(&s);
    ok(!strstr(got, "ABCDEFGHIJ\n") || strstr(got, "flags:"), "the framing is lost for a while");
    free(got);
}

static void test_bomb(void)
{
    size_t n = 80u << 20;
    uint8_t *zeros = calloc(1, n);
    struct setting s = plain;
    char *got;
    start();
    compressed(S, td_bytes(zeros, n), KEEP);
    text(S, "still here");
    got = transcript(&s);
    ok(strstr(got, "partial"), "of a message that grows without end, 64 MiB are decompressed");
    ok(strstr(got, "still here"), "and the connection goes on");
    free(got);
    start();
    for (int i = 0; i < 6; i++)
        compressed(S, td_bytes(zeros, 8 << 20), RESET);
    compressed(S, td_bytes(zeros, 60000), RESET);
    compressed(C, td_bytes(zeros, 8 << 20), RESET);
    got = transcript(&s);
    is_int((long)count(got, "payload_length: 8388608\n"), 3,
           "smaller ones: two of the server's, until it has had enough, and the client's");
    is_int((long)count(got, "partial\n"), 4, "the others are partial");
    is_int((long)count(got, "payload_length: 60000\n"), 1, "what is small is read all the same");
    free(got);
    free(zeros);
}

/* ---- Faults and beginnings ------------------------------------------------------------------------------------------------- */

static void test_faults(void)
{
    static const struct {
        const char *wire, *why;
        int dir;
    } cases[] = {
        {"\x81\x05hello", "frame of the client without mask", C},
        {"\x81\x85\x01\x01\x01\x01iiiii", "frame of the server with mask", S},
        {"\xb1\x05hello", "reserved bits are set", S},
        {"\x83\x05hello", "unknown opcode", S},
        {"\x09\x05hello", "fragmented control frame", S},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct setting s = plain;
        char *got, want[100];
        start();
        text(S, "before");
        text(C, "before");
        raw(cases[i].dir, td_str(cases[i].wire));
        text(cases[i].dir, "a text that comes behind the fault");
        s.options = MOCK_VIOLATIONS;
        got = transcript(&s);
        snprintf(want, sizeof(want), "violation: %s\n", cases[i].why);
        ok(strstr(got, want), "%s", cases[i].why);
        ok(strstr(got, "a text that comes behind the fault\n"), "%s: the next packet's frame is found", cases[i].why);
        free(got);
    }
}

static int probe(int dir, struct td_slice in, uint32_t flags)
{
    const struct td_dissector *d = td_plugin_v1_websocket.components[0]->ops;
    struct td_flow flow = {.size = sizeof(flow), .flags = flags};
    return d->probe(NULL, &flow, dir, in);
}

static void test_midstream(void)
{
    struct setting s = plain;
    char *got;
    start();
    told = NULL;
    text(C, "{\"op\":\"subscribe\",\"topic\":\"prices\"}");
    text(S, "{\"topic\":\"prices\",\"value\":1}");
    frame(C, 0x89, TD_LIT(""));
    text(S, "{\"topic\":\"prices\",\"value\":2}");
    ok(probe(C, buf_slice(&sent[C]), TD_FLOW_MIDSTREAM) >= 50, "known by its frames");
    ok(probe(S, buf_slice(&sent[S]), TD_FLOW_MIDSTREAM) >= 50, "of either side");
    is_int(probe(S, buf_slice(&sent[C]), TD_FLOW_MIDSTREAM), 0, "and which side it is");
    is_int(probe(C, buf_slice(&sent[C]), 0), 0, "but not if the beginning was seen");
    s.flow = TD_FLOW_MIDSTREAM;
    got = shorten(transcript(&s));
    is_int((long)count(got, "call\n"), 4, "all messages of a connection that was open already");
    free(got);
    s.hole_dir = S;
    s.at = 3;
    s.len = sent[S].n / 2 - 2; /* up to within the second frame's header */
    got = shorten(transcript(&s));
    is_int((long)count(got, "call\n"), 2, "where a frame's beginning was lost nothing is made up");
    free(got);
}

int main(void)
{
    test_messages();
    test_handshake();
    test_fragments();
    test_lengths();
    test_utf8();
    test_compression();
    test_fragmented_compression();
    test_lost_context();
    test_bomb();
    test_faults();
    test_midstream();
    start();
    buf_clear(&sent[0]);
    buf_clear(&sent[1]);
    return tap_done();
}
