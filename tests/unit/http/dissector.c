/* The HTTP dissector as the core drives it: conversations in, calls out. Each conversation is fed whole, byte by byte and
 * at random cuts, with the same result; then with a gap at every offset, from every offset on, and with the sides
 * swapped, where each call that claims to be whole must be one of those that really happened. */
#include "mock_host.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_http;

enum { MAX_EVENTS = 12, RANDOM_CUTS = 12 };

enum kind { END, C, S, GAP_C, GAP_S, EOF_C, EOF_S, CLOSE, RESET };

struct event {
    enum kind kind;
    const char *text;
    size_t n; /* of the text (0: up to its zero), or of the gap */
};

struct conversation {
    const char *name;
    struct event events[MAX_EVENTS];
};

#define BINARY(literal) literal, sizeof(literal) - 1
#define REQ(path) "GET " path " HTTP/1.1\r\nHost: h\r\n\r\n"
#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

#include "conversations.h"

/* ---- Feeding ------------------------------------------------------------------------------------------------- */

enum how { WHOLE, BYTES, RANDOM };

/* Where a gap is put into the conversation. */
struct hole {
    int dir; /* -1: nowhere */
    uint64_t at, len;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static void feed_pieces(struct mock *m, int dir, struct td_slice bytes, enum how how, uint32_t *seed)
{
    size_t at = 0, n;
    while (at < bytes.n) {
        n = how == WHOLE ? bytes.n : how == BYTES ? 1 : 1 + next_random(seed) % (next_random(seed) % 2 ? 7 : 60);
        mock_feed(m, dir, td_sub(bytes, at, at + n));
        at += n;
    }
}

/* Feeds `bytes`, which begin at stream offset `offset`, but for what falls into the hole. */
static void feed(struct mock *m, int dir, struct td_slice bytes, uint64_t offset, const struct hole *hole, enum how how, uint32_t *seed)
{
    uint64_t begin = offset, end = offset + bytes.n;
    uint64_t hole_begin = hole->at, hole_end = hole->at + hole->len;
    if (dir != hole->dir || hole_end <= begin || hole_begin >= end) {
        feed_pieces(m, dir, bytes, how, seed);
        return;
    }
    if (hole_begin < begin)
        hole_begin = begin;
    if (hole_end > end)
        hole_end = end;
    feed_pieces(m, dir, td_sub(bytes, 0, (size_t)(hole_begin - begin)), how, seed);
    mock_gap(m, dir, hole_end - hole_begin);
    feed_pieces(m, dir, td_sub(bytes, (size_t)(hole_end - begin), bytes.n), how, seed);
}

static struct td_slice text_of(const struct event *e)
{
    return td_bytes(e->text, e->n ? e->n : e->text ? strlen(e->text) : 0);
}

static void play(struct mock *m, const struct event *events, const struct hole *hole, enum how how, uint32_t seed, bool swapped)
{
    uint64_t offset[2] = {m->side[0].offset, m->side[1].offset};
    uint64_t start[2] = {offset[0], offset[1]};
    uint64_t passed[2] = {0, 0};
    int why = TD_CLOSE_END;
    for (; events->kind != END; events++) {
        int dir = (events->kind == S || events->kind == GAP_S || events->kind == EOF_S) ^ (swapped ? 1 : 0);
        struct td_slice bytes = text_of(events);
        switch (events->kind) {
        case C:
        case S:
            /* A stream that is seen from an offset on lacks what was before. */
            if (passed[dir] < start[dir])
                bytes = td_sub(bytes, (size_t)(start[dir] - passed[dir]), bytes.n);
            passed[dir] += text_of(events).n;
            feed(m, dir, bytes, offset[dir], hole, how, &seed);
            offset[dir] += bytes.n;
            break;
        case GAP_C:
        case GAP_S:
            mock_gap(m, dir, events->n);
            offset[dir] += events->n;
            passed[dir] += events->n;
            break;
        case EOF_C:
        case EOF_S: mock_eof(m, dir); break;
        case CLOSE: why = TD_CLOSE_FIN; break;
        default: why = TD_CLOSE_RESET; break;
        }
    }
    mock_close(m, why);
}

struct setting {
    struct hole hole;
    enum how how;
    uint32_t seed, flow;
    uint64_t start[2];
    unsigned options, fail_at;
    bool swapped;
};

static const struct setting plain = {.hole = {.dir = -1}};

/* The transcript; the caller frees it. Any breach of the contract is a failure. */
static char *transcript(const struct conversation *c, const struct setting *s)
{
    struct mock m;
    char *text;
    if (!mock_init(&m, &td_plugin_v1_http, s->options))
        ok(false, "%s: init: %s", c->name, m.fault);
    m.fail_alloc_at = s->fail_at;
    m.side[0].offset = s->start[0];
    m.side[1].offset = s->start[1];
    if (mock_open(&m, s->flow))
        play(&m, c->events, &s->hole, s->how, s->seed, s->swapped);
    else
        mock_close(&m, TD_CLOSE_END);
    if (m.fault)
        ok(false, "%s: the dissector broke the contract: %s", c->name, m.fault);
    text = strdup(buf_cstr(&m.out));
    mock_clear(&m);
    return text;
}

/* ---- What must hold ------------------------------------------------------------------------------------------- */

static void expect(const struct conversation *c, const char *expected)
{
    struct setting s = plain;
    char *whole = transcript(c, &s), *other;
    uint32_t i;
    is_str(whole, expected, "%s", c->name);
    s.how = BYTES;
    other = transcript(c, &s);
    is_str(other, whole, "%s: byte by byte", c->name);
    free(other);
    s.how = RANDOM;
    for (i = 0; i < RANDOM_CUTS; i++) {
        s.seed = i * 7919 + 1;
        other = transcript(c, &s);
        if (strcmp(other, whole) != 0)
            break;
        free(other);
    }
    ok(i == RANDOM_CUTS, "%s: at random cuts", c->name);
    if (i < RANDOM_CUTS) {
        tap_diag("seed %u gives:\n%s", s.seed, other);
        free(other);
    }
    free(whole);
}

/* Removes lines that a gap elsewhere may take from a call without making it less whole: interim responses. */
static void drop_line(char *block, const char *key)
{
    char *line = strstr(block, key);
    char *end = line ? strchr(line, '\n') : NULL;
    if (end)
        memmove(line, end + 1, strlen(end + 1) + 1);
}

/* Is each call in `text` that has no flags one of `truth`? `*ret_bad` is the first that is not. */
static bool only_true_calls(const char *text, const char *truth, char *bad, size_t bad_size)
{
    const char *at = text;
    while ((at = strstr(at, "call\n")) != NULL) {
        const char *end = strstr(at + 5, "call\n"), *other = strstr(at, "takeover:"), *lost = strstr(at, "claim lost");
        char block[4096], haystack[16384];
        size_t n;
        if (other && (!end || other < end))
            end = other;
        if (lost && (!end || lost < end))
            end = lost;
        n = end ? (size_t)(end - at) : strlen(at);
        at += n;
        if (n >= sizeof(block))
            return false;
        memcpy(block, at - n, n);
        block[n] = '\0';
        if (strstr(block, "flags:"))
            continue;
        snprintf(haystack, sizeof(haystack), "%s", truth);
        drop_line(block, "  http_informational");
        while (strstr(haystack, "  http_informational"))
            drop_line(haystack, "  http_informational");
        if (!strstr(haystack, block)) {
            snprintf(bad, bad_size, "%s", block);
            return false;
        }
    }
    return true;
}

/* Every method and status that is reported must have been on the wire as such. */
static bool only_true_starts(const char *text, const char *truth, char *bad, size_t bad_size)
{
    static const char *const keys[] = {"  method: ", "  http_request_target: ", "  status_code: "};
    size_t k;
    /* What goes through a tunnel may well be a request, if one does not know that it is a tunnel. */
    if (strstr(truth, "takeover:"))
        return true;
    for (k = 0; k < 3; k++) {
        const char *at = text;
        while ((at = strstr(at, keys[k])) != NULL) {
            const char *end = strchr(at, '\n');
            snprintf(bad, bad_size, "%.*s", (int)(end - at + 1), at);
            if (!strstr(truth, bad))
                return false;
            at = end;
        }
    }
    return true;
}

static uint64_t stream_length(const struct conversation *c, int dir)
{
    uint64_t n = 0;
    const struct event *e;
    for (e = c->events; e->kind != END; e++)
        if (e->kind == (dir == TD_CLIENT ? C : S))
            n += text_of(e).n;
    return n;
}

static bool has_gaps(const struct conversation *c)
{
    const struct event *e;
    for (e = c->events; e->kind != END; e++)
        if (e->kind == GAP_C || e->kind == GAP_S)
            return true;
    return false;
}

/* Does the client send a request before the one before it is answered? */
static bool pipelines(const struct conversation *c)
{
    const struct event *e;
    int requests = 0;
    for (e = c->events; e->kind != END && requests < 2; e++) {
        const char *at = e->text;
        if (e->kind != C)
            requests = 0;
        while (e->kind == C && (at = strstr(at, " HTTP/1.")) != NULL) {
            requests++;
            at++;
        }
    }
    return requests >= 2;
}

static void expect_clean_gaps(const struct conversation *c, const char *expected)
{
    static const uint64_t lengths[] = {1, 2, 7, 40, 150};
    struct setting s = plain;
    char bad[4096] = "", *text;
    bool good = true;
    int dir;
    size_t i;
    for (dir = 0; dir < 2 && good; dir++)
        for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]) && good; i++)
            for (s.hole.at = 0; s.hole.at < stream_length(c, dir) && good; s.hole.at++) {
                s.hole.dir = dir;
                s.hole.len = lengths[i];
                s.how = s.hole.at % 3 == 0 ? BYTES : WHOLE;
                text = transcript(c, &s);
                good = only_true_calls(text, expected, bad, sizeof(bad)) && only_true_starts(text, expected, bad, sizeof(bad));
                if (!good)
                    tap_diag("side %d, %d bytes at %d: false:\n%s\nin:\n%s", dir, (int)s.hole.len, (int)s.hole.at, bad, text);
                free(text);
            }
    ok(good, "%s: a gap anywhere makes no false call", c->name);
}

static void expect_clean_midstream(const struct conversation *c, const char *expected)
{
    struct setting s = plain;
    char bad[4096] = "", *text;
    bool good = true;
    int which;
    s.flow = TD_FLOW_MIDSTREAM;
    /* 1: the client's beginning is missing, 2: the server's, 3: both. */
    for (which = 1; which < 4 && good; which++) {
        uint64_t at, n = stream_length(c, which == 2 ? TD_SERVER : TD_CLIENT);
        for (at = 0; at < n && good; at++) {
            s.start[0] = which & 1 ? at : 0;
            s.start[1] = which & 2 ? (at < stream_length(c, TD_SERVER) ? at : stream_length(c, TD_SERVER)) : 0;
            text = transcript(c, &s);
            /* In a pipeline whose beginning was not seen, nothing tells whose the first answer is. */
            good =
                (pipelines(c) || only_true_calls(text, expected, bad, sizeof(bad))) && only_true_starts(text, expected, bad, sizeof(bad));
            if (!good)
                tap_diag("from %d and %d on: false:\n%s\nin:\n%s", (int)s.start[0], (int)s.start[1], bad, text);
            free(text);
        }
    }
    ok(good, "%s: a beginning that is missing makes no false call", c->name);
}

static void expect_survival(const struct conversation *c)
{
    struct setting s = plain;
    unsigned n;
    char *text;
    s.swapped = true;
    text = transcript(c, &s);
    ok(!strstr(text, "call\n"), "%s: swapped sides make no call", c->name);
    free(text);
    s.swapped = false;
    for (n = 1; n < 8; n++) {
        s.fail_at = n;
        free(transcript(c, &s));
    }
    ok(true, "%s: survives a budget that is used up", c->name);
}

/* Skipping bodies changes nothing but what nobody wants. */
static void expect_same_when_skipping(const struct conversation *c)
{
    struct setting s = plain;
    char *seen, *skipped, *line;
    s.options = MOCK_NO_BODIES;
    seen = transcript(c, &s);
    while ((line = strstr(seen, "  request_body_size")) != NULL || (line = strstr(seen, "  response_body_size")) != NULL)
        memmove(line, strchr(line, '\n') + 1, strlen(strchr(line, '\n') + 1) + 1);
    s.options = MOCK_NO_BODIES | MOCK_NO_SIZES;
    skipped = transcript(c, &s);
    is_str(skipped, seen, "%s: bodies skipped", c->name);
    free(skipped);
    s.how = BYTES;
    skipped = transcript(c, &s);
    is_str(skipped, seen, "%s: bodies skipped, byte by byte", c->name);
    free(skipped);
    free(seen);
}

/* ---- What the conversations hold -------------------------------------------------------------------------------- */

/* The text of conversations.txt; tests run from the repository's root. */
static void read_expectations(struct buf *text)
{
    FILE *file = fopen("tests/unit/http/conversations.txt", "r");
    char piece[4096];
    size_t n;
    while (file && (n = fread(piece, 1, sizeof(piece), file)) > 0)
        buf_put(text, piece, n);
    if (file)
        (void)fclose(file);
}

/* The part behind "== name", up to the next one. The caller frees it. */
static char *expectation(const char *all, const char *name)
{
    char heading[128];
    const char *at, *end;
    snprintf(heading, sizeof(heading), "== %s\n", name);
    at = strstr(all, heading);
    if (!at)
        return strdup("");
    at += strlen(heading);
    end = strstr(at, "== ");
    return strndup(at, end ? (size_t)(end - at) : strlen(at));
}

int main(void)
{
    struct buf all = {.max = 0};
    size_t i;
    read_expectations(&all);
    for (i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        const struct conversation *c = &conversations[i];
        char *expected = expectation(buf_cstr(&all), c->name);
        expect(c, expected);
        expect_survival(c);
        expect_same_when_skipping(c);
        if (!has_gaps(c)) {
            expect_clean_gaps(c, expected);
            expect_clean_midstream(c, expected);
        }
        free(expected);
    }
    buf_clear(&all);
    return tap_done();
}
