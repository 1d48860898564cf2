/* The tables of messages, and the walk over them: every API that is described, in every version. */
#include "../../../plugins/dissectors/kafka/kafka_header.h"
#include "../../../plugins/dissectors/kafka/kafka_walk.h"
#include "frames.h"
#include "tap.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- An encoder of its own: writes what a table says, with values that tell where they stand ---------------------- */

struct encoder {
    struct buf *out;
    const struct kafka_rows *rows;
    unsigned version, values;
    bool flexible, nulls;
};

static bool is_in(const struct encoder *e, const struct kafka_row *row)
{
    return row->from <= e->version && e->version <= row->to;
}

static void put_length(const struct encoder *e, unsigned type, int64_t n)
{
    if (e->flexible)
        put_uvarint(e->out, (uint64_t)(n + 1));
    else if (type == STRING)
        put16(e->out, (unsigned)n & 0xffff);
    else
        put32(e->out, (uint32_t)n);
}

static void put_struct(struct encoder *e, unsigned first, unsigned depth);

static void put_value(struct encoder *e, const struct kafka_row *row, unsigned type)
{
    static const uint8_t sizes[] = {
        [BOOL] = 1, [INT8] = 1, [INT16] = 2, [INT32] = 4, [INT64] = 8, [UINT16] = 2, [UINT32] = 4, [FLOAT64] = 8, [UUID] = 16};
    bool null = e->nulls && row->nulls && e->version >= row->nulls - 1u;
    if (type & ARRAY) {
        put_length(e, ARRAY, null ? -1 : 2);
        for (int i = 0; i < 2 && !null; i++)
            put_value(e, row, type & ~(unsigned)ARRAY);
        return;
    }
    e->values++;
    if (type == STRUCT) {
        bool single = !(row->type & ARRAY);
        if (single && row->nulls)
            put8(e->out, null ? 0xff : 1);
        if (!single || !null)
            put_struct(e, (unsigned)(row - e->rows->v) + 1, row->depth + 1u);
    } else if (type >= STRING) {
        null = null && !(row->type & ARRAY);
        put_length(e, type, null ? -1 : (int64_t)strlen(row->name));
        put_bytes(e->out, null ? td_bytes(NULL, 0) : td_str(row->name));
    } else {
        for (unsigned i = 0; i < sizes[type]; i++)
            put8(e->out, i + 1 == sizes[type] ? 1 : 0);
    }
}

static void put_tags(struct encoder *e, unsigned first, unsigned depth)
{
    unsigned n = 1; /* one that nobody knows */
    for (unsigned i = first; i < e->rows->n && e->rows->v[i].depth >= depth; i++)
        n += e->rows->v[i].depth == depth && e->rows->v[i].tag && is_in(e, &e->rows->v[i]);
    put_uvarint(e->out, n);
    for (unsigned i = first; i < e->rows->n && e->rows->v[i].depth >= depth; i++) {
        const struct kafka_row *row = &e->rows->v[i];
        if (row->depth != depth || !row->tag || !is_in(e, row))
            continue;
        struct buf inner = {0}, *outer = e->out;
        e->out = &inner;
        put_value(e, row, row->type);
        e->out = outer;
        put_uvarint(e->out, row->tag - 1u);
        put_uvarint(e->out, inner.n);
        put_bytes(e->out, buf_slice(&inner));
        buf_clear(&inner);
    }
    put_uvarint(e->out, 99);
    put_uvarint(e->out, 3);
    put_bytes(e->out, TD_LIT("new"));
}

static void put_struct(struct encoder *e, unsigned first, unsigned depth)
{
    for (unsigned i = first; i < e->rows->n && e->rows->v[i].depth >= depth; i++)
        if (e->rows->v[i].depth == depth && !e->rows->v[i].tag && is_in(e, &e->rows->v[i]))
            put_value(e, &e->rows->v[i], e->rows->v[i].type);
    if (e->flexible)
        put_tags(e, first, depth);
}

/* ---- Walking ----------------------------------------------------------------------------------------------------- */

struct heard {
    unsigned values, depth;
    bool balanced, named;
};

static void hear(void *ctx, const struct kafka_event *e)
{
    struct heard *h = ctx;
    switch (e->kind) {
    case KAFKA_ARRAY_BEGIN: h->depth++; return;
    case KAFKA_STRUCT_BEGIN:
        h->depth++;
        h->values++;
        return;
    case KAFKA_ARRAY_END:
    case KAFKA_STRUCT_END:
        h->balanced &= h->depth > 0;
        h->depth--;
        return;
    case KAFKA_NULL: h->values += !(e->row->type & ARRAY) || e->element; return;
    case KAFKA_TEXT:
    case KAFKA_BINARY: h->named &= td_eq(e->bytes, td_str(e->row->name)); break;
    case KAFKA_INTEGER:
    case KAFKA_FALSE_TRUE: h->named &= e->integer == 1; break;
    default: break;
    }
    h->values++;
}

/* Walks `bytes`, shown in pieces of at most `piece` beyond what is asked for: what it came to. */
static enum kafka_walk_result walk(struct td_slice bytes, const struct encoder *e, size_t piece, struct heard *h)
{
    struct kafka_walk w;
    enum kafka_walk_result result;
    size_t at = 0, shown = piece < bytes.n ? piece : bytes.n;
    uint64_t n;
    *h = (struct heard){0, 0, true, true};
    kafka_walk_begin(&w, e->rows, e->version, e->flexible, false);
    for (;;) {
        uint8_t *copy = malloc(shown - at + 1); /* so that a read too far is found */
        if (shown > at)
            memcpy(copy, bytes.p + at, shown - at);
        struct td_cursor c = td_cursor(td_bytes(copy, shown - at));
        result = kafka_walk(&w, &c, bytes.n - at, hear, h, &n);
        at += td_pos(&c);
        free(copy);
        if (result == KAFKA_WALK_RECORDS)
            h->values++;
        if (result == KAFKA_WALK_RECORDS || result == KAFKA_WALK_SKIP) {
            at += n;
            shown = shown < at ? at : shown;
        } else if (result != KAFKA_WALK_MORE) {
            break;
        } else if (at + n > bytes.n || n <= shown - at) {
            return KAFKA_WALK_BAD; /* it asks for what is there, or cannot be */
        } else {
            shown = at + n > shown + piece ? at + n : shown + piece;
            shown = shown < bytes.n ? shown : bytes.n;
        }
    }
    return result == KAFKA_WALK_DONE && at != bytes.n ? KAFKA_WALK_BAD : result;
}

/* A message with one byte less than its frame says must not come to its end. */
static bool is_bad_if_cut(const struct encoder *e, struct td_slice bytes)
{
    struct heard h;
    for (size_t n = 0; n < bytes.n; n++)
        if (walk(td_sub(bytes, 0, n), e, SIZE_MAX / 2, &h) == KAFKA_WALK_DONE)
            return false;
    return true;
}

static bool check_version(const struct kafka_api *api, const struct kafka_rows *rows, unsigned version, bool nulls)
{
    struct buf b = {0};
    struct encoder e = {.out = &b, .rows = rows, .version = version, .flexible = version >= api->flexible, .nulls = nulls};
    struct heard h;
    bool good = true;
    put_struct(&e, 0, 0);
    for (size_t piece = 1; piece < 64 && good; piece = piece * 2 + 1) {
        good = walk(buf_slice(&b), &e, piece, &h) == KAFKA_WALK_DONE && h.balanced && h.named && h.depth == 0 && h.values == e.values;
        if (!good)
            tap_diag("%s version %u, pieces of %zu: %u of %u values", api->name, version, piece, h.values, e.values);
    }
    good = good && is_bad_if_cut(&e, buf_slice(&b));
    buf_clear(&b);
    return good;
}

static void test_tables(void)
{
    unsigned described = 0;
    for (int key = 0; kafka_api(key); key++) {
        const struct kafka_api *api = kafka_api(key);
        bool good = true;
        for (unsigned version = 0; api->request && version <= api->max_version; version++)
            for (int i = 0; i < 4; i++)
                good &= check_version(api, i & 1 ? api->request : api->response, version, i & 2);
        if (api->request)
            ok(good, "%s, versions 0 to %u: written and read", api->name, (unsigned)api->max_version);
        described += api->request != NULL;
    }
    ok(described >= 24, "%u APIs are described", described);
}

static bool is_sound(const struct kafka_rows *rows)
{
    for (unsigned i = 0; i < rows->n; i++) {
        const struct kafka_row *row = &rows->v[i];
        unsigned before = i ? rows->v[i - 1].depth : 0, may = i && (rows->v[i - 1].type & ~ARRAY) == STRUCT ? before + 1 : before;
        bool must = i && (rows->v[i - 1].type & ~ARRAY) == STRUCT;
        if (row->depth > may || (must && row->depth != may) || row->from > row->to || (row->tag && row->from == 0))
            return false;
    }
    return true;
}

static void test_soundness(void)
{
    bool good = true;
    for (int key = 0; kafka_api(key); key++) {
        const struct kafka_api *api = kafka_api(key);
        if (!api->request)
            continue;
        if (!is_sound(api->request) || !is_sound(api->response)) {
            tap_diag("%s", api->name);
            good = false;
        }
    }
    ok(good, "depths follow each other; tags come with flexible versions");
    is_str(kafka_error_name(-1), "UNKNOWN_SERVER_ERROR", "the first error");
    is_str(kafka_error_name(133), "SHARE_SESSION_LIMIT_REACHED", "an error by its number");
    is_str(kafka_error_name(136), "CONTROLLER_ID_NOT_REGISTERED", "the last error");
    ok(!kafka_error_name(137) && !kafka_error_name(-2) && !kafka_api(-1), "no others");
    is_str(kafka_api(68)->name, "ConsumerGroupHeartbeat", "an API by its number");
}

/* ---- Messages as others wrote them ------------------------------------------------------------------------------- */

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static struct td_slice unhex(const char *text, uint8_t *room)
{
    size_t n = 0;
    for (; text[2 * n]; n++)
        room[n] = (uint8_t)(digit(text[2 * n]) << 4 | digit(text[2 * n + 1]));
    return td_bytes(room, n);
}

#include "vectors.h"

static void test_vectors(void)
{
    uint8_t room[4096];
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct kafka_header h;
        size_t need;
        bool whole = false;
        struct td_slice frame = unhex(vectors[i].hex, room);
        bool parsed = kafka_request_header(frame, true, &h, &need) == KAFKA_OK && h.length + 4 == frame.n;
        const struct kafka_api *api = kafka_api(vectors[i].key);
        ok(parsed && h.api_key == vectors[i].key && h.api_version == vectors[i].version &&
               kafka_body_fits(td_sub(frame, h.size, frame.n), frame.n - h.size, api->request, (unsigned)h.api_version, h.flexible,
                               h.flexible, &whole) &&
               whole,
           "%s of version %d by another encoder", api->name, vectors[i].version);
    }
}

/* ---- Tagged fields ----------------------------------------------------------------------------------------------- */

/* Does a response to ApiVersions of version 3 fit that has one tagged field, which claims `size` bytes? */
static bool tag_fits(unsigned tag, unsigned size, struct td_slice value, size_t shown)
{
    struct buf b = {0};
    bool whole;
    put16(&b, 0);
    put8(&b, 1); /* no APIs */
    put32(&b, 0);
    put8(&b, 1);
    put_uvarint(&b, tag);
    put_uvarint(&b, size);
    put_bytes(&b, value);
    bool fits =
        kafka_body_fits(td_sub(buf_slice(&b), 0, b.n - shown), b.n, kafka_api(KAFKA_API_VERSIONS)->response, 3, true, false, &whole) &&
        (whole || shown);
    buf_clear(&b);
    return fits;
}

static void test_tags(void)
{
    const struct td_slice features = TD_LIT("\2\2x\0\1\0\1\0"), number = TD_LIT("\0\0\0\0\0\0\0\1");
    ok(tag_fits(1, 8, number, 0) && tag_fits(2, 8, features, 0), "tagged fields as long as they say");
    ok(tag_fits(1, 8, number, 3) && tag_fits(2, 8, features, 3), "... and those that are still to come");
    ok(!tag_fits(1, 7, number, 0), "a number longer than its field");
    ok(!tag_fits(1, 9, TD_LIT("\0\0\0\0\0\0\0\1\0"), 0), "a number shorter than its field");
    ok(!tag_fits(2, 7, features, 0), "an array longer than its field");
    ok(!tag_fits(2, 9, TD_LIT("\2\2x\0\1\0\1\0\0"), 0), "an array shorter than its field");
    ok(!tag_fits(1, 3, TD_LIT("\0\0\0"), 0), "a number that is not there");
}

/* ---- Headers ----------------------------------------------------------------------------------------------------- */

static int score(struct buf *b, size_t n)
{
    return kafka_request_score(td_sub(buf_slice(b), 0, n), 2048);
}

static void test_probe(void)
{
    struct buf b = {0};
    put_heartbeat(&b, 1);
    is_int(score(&b, b.n), 100, "a whole request is certain");
    is_int(score(&b, 20), 85, "the beginning of one is strong");
    ok(score(&b, 3) < 0 && score(&b, 13) < 0, "less asks for more");
    b.p[5] = 99; /* key */
    is_int(score(&b, b.n), 0, "an API that is not known is none");
    b.p[5] = 12;
    b.p[7] = 9; /* version */
    is_int(score(&b, b.n), 0, "a version that is not published is none");
    b.p[7] = 0;
    b.p[8] = 0x80; /* correlation id */
    is_int(score(&b, b.n), 0, "a negative correlation id is none");
    b.p[8] = 0;
    b.p[14] = 1; /* the client's id */
    is_int(score(&b, b.n), 0, "a client id with control characters is none");
    b.p[14] = 't';
    b.p[3]++;
    put8(&b, 0);
    ok(score(&b, b.n) < 100, "a byte too many is not certain");
    ok(kafka_request_score(TD_LIT("GET / HTTP/1.1\r\n\r\n"), 2048) == 0 && kafka_request_score(TD_LIT("\x16\x03\x01\x02"), 2048) == 0,
       "others are none");
    buf_clear(&b);
}

/* Metadata about many topics, one of whose names is none. */
static void test_probe_limit(void)
{
    enum { TOPICS = 1000, LIMIT = 2048 };
    struct buf b = {0};
    size_t at = begin_request(&b, 3, 1, 1);
    put32(&b, TOPICS);
    for (int i = 0; i < TOPICS; i++)
        put_string(&b, "some");
    end_frame(&b, at);
    b.p[LIMIT / 2 / 6 * 6 + 22] = 0x80;
    is_int(score(&b, b.n), 0, "what is wrong near the beginning is seen");
    b.p[LIMIT / 2 / 6 * 6 + 22] = 0;
    for (size_t i = LIMIT; i < b.n; i++)
        b.p[i] = 0x80;
    is_int(score(&b, b.n), 85, "what is far behind it is not looked at");
    buf_clear(&b);
}

int main(void)
{
    test_tables();
    test_soundness();
    test_vectors();
    test_tags();
    test_probe();
    test_probe_limit();
    return tap_done();
}
