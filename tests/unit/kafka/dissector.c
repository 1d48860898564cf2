/* The Kafka dissector as the core drives it: frames in, calls out. */
#include "frames.h"
#include "mock_host.h"
#include "tap.h"

#include <lz4.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <zlib.h>
#include <zstd.h>

extern const struct td_plugin td_plugin_v1_kafka;

struct session {
    struct mock m;
    char summary[32768];
};

static struct session *begin_as(unsigned options)
{
    struct session *s = calloc(1, sizeof(*s));
    if (!s || !mock_init(&s->m, &td_plugin_v1_kafka, options))
        abort();
    return s;
}

static void start(struct session *s, uint32_t flags)
{
    struct td_flow flow = {.size = sizeof(flow),
                           .flags = flags,
                           .ip = {{198, 51, 100, 1}, {198, 51, 100, 2}},
                           .port = {40000, 9092},
                           .ip_version = 4,
                           .transport = 6};
    mock_open_flow(&s->m, &flow);
}

static struct session *begin(void)
{
    struct session *s = begin_as(MOCK_VIOLATIONS | MOCK_LONG_VALUES);
    start(s, 0);
    return s;
}

/* Feeds and empties the buffer. */
static void feed(struct session *s, int dir, struct buf *b)
{
    mock_feed(&s->m, dir, buf_slice(b));
    buf_clear(b);
}

/* The lines of the transcript that begin with one of `wanted`, which are separated by spaces; calls as "call|". */
static const char *lines(struct session *s, const char *wanted)
{
    size_t at = 0, n;
    char word[64];
    for (const char *line = buf_cstr(&s->m.out); *line; line += n + (line[n] == '\n')) {
        n = strcspn(line, "\n");
        const char *text = line + strspn(line, " ");
        bool keep = line[0] != ' ';
        for (const char *w = wanted; *w && !keep; w += strcspn(w, " "), w += *w == ' ') {
            size_t w_n = strcspn(w, " ");
            snprintf(word, sizeof(word), "%.*s:", (int)w_n, w);
            keep = strncmp(text, word, strlen(word)) == 0;
        }
        size_t text_n = n - (size_t)(text - line);
        if (!keep || at + text_n + 2 > sizeof(s->summary))
            continue;
        memcpy(s->summary + at, text, text_n);
        s->summary[at + text_n] = '|';
        at += text_n + 1;
    }
    s->summary[at] = 0;
    return s->summary;
}

static const char *end(struct session *s, const char *wanted)
{
    mock_close(&s->m, TD_CLOSE_END);
    ok(!s->m.fault, "the contract is kept%s%s", s->m.fault ? ": " : "", s->m.fault ? s->m.fault : "");
    return lines(s, wanted);
}

static void discard(struct session *s)
{
    mock_clear(&s->m);
    free(s);
}

#define ENDS(s, wanted, expected, what)         \
    do {                                        \
        is_str(end(s, wanted), expected, what); \
        discard(s);                             \
    } while (0)

/* ---- Requests and responses -------------------------------------------------------------------------------------- */

static void test_matching(void)
{
    const char *wanted = "kafka_correlation_id kafka_out_of_order kafka_response_lost kafka_response flags";
    struct buf b = {0};
    struct session *s = begin();
    for (uint32_t id = 1; id <= 3; id++)
        put_heartbeat(&b, id);
    feed(s, TD_CLIENT, &b);
    put_heartbeat_answer(&b, 2, 27);
    put_heartbeat_answer(&b, 1, 0);
    feed(s, TD_SERVER, &b);
    ENDS(s, wanted,
         "call|kafka_correlation_id: 2|kafka_response: 1|kafka_out_of_order: 1|"
         "call|kafka_correlation_id: 1|kafka_response: 1|"
         "call|kafka_correlation_id: 3|kafka_response: 0|",
         "responses by correlation id; one that came too early is told");
    s = begin();
    put_heartbeat(&b, 1);
    put_heartbeat(&b, 2);
    feed(s, TD_CLIENT, &b);
    put_heartbeat_answer(&b, 2, 0);
    feed(s, TD_SERVER, &b);
    ENDS(s, wanted,
         "call|kafka_correlation_id: 2|kafka_response: 1|kafka_out_of_order: 1|"
         "call|kafka_correlation_id: 1|kafka_response: 0|kafka_response_lost: 1|",
         "a request that was passed over is told");
    s = begin_as(0);
    mock_option(&s->m, "maxPending", 2);
    start(s, 0);
    for (uint32_t id = 1; id <= 4; id++)
        put_heartbeat(&b, id);
    feed(s, TD_CLIENT, &b);
    is_int(s->m.committed, 2, "no more requests wait than maxPending");
    put_heartbeat_answer(&b, 1, 0);
    feed(s, TD_SERVER, &b);
    is_int(s->m.committed, 3, "a response whose request has ended is a call of its own");
    end(s, "");
    discard(s);
}

static void test_fields(void)
{
    struct buf b = {0}, records = {0};
    struct session *s = begin();
    put_record(&records, 0, 5, "key", TD_LIT("value \"1\""));
    struct buf batch = {0};
    put_batch(&batch, 0x10, 0, 1, buf_slice(&records));
    put_produce(&b, 3, 9, 0xffff, buf_slice(&batch));
    size_t n = b.n;
    feed(s, TD_CLIENT, &b);
    put_produced(&b, 9, 3);
    feed(s, TD_SERVER, &b);
    is_int(n, 128, "the request's size");
    ENDS(
        s,
        "kafka_api_key kafka_api_key_name kafka_api_version kafka_client_id kafka_request_summary kafka_size kafka_topics kafka_partitions "
        "kafka_acks kafka_error kafka_error_code kafka_record_count kafka_record_bytes kafka_compression request.body response.body "
        "request",
        "call|kafka_api_key: 0|kafka_api_key_name: Produce|kafka_api_version: 3|kafka_client_id: test|kafka_request_summary: t|"
        "kafka_size: 165|kafka_topics: t|kafka_partitions: 0|kafka_acks: -1|kafka_error: UNKNOWN_TOPIC_OR_PARTITION|kafka_error_code: 3|"
        "kafka_record_count: 1|kafka_record_bytes: 83|kafka_compression: none|"
        "request.body: {\"transactionalId\":null,\"acks\":-1,\"timeoutMs\":1000,\"topicData\":[{\"name\":\"t\",\"partitionData\":["
        "{\"index\":0,\"records\":[{\"baseOffset\":0,\"magic\":2,\"compression\":\"none\",\"timestampType\":\"CreateTime\","
        "\"partitionLeaderEpoch\":5,\"producerId\":42,\"producerEpoch\":1,\"baseSequence\":7,\"isTransactional\":true,\"isControl\":false,"
        "\"count\":1,\"records\":[{\"offset\":0,\"timestamp\":1700000000005,\"key\":\"key\",\"value\":\"value \\x5c\"1\\x5c\"\","
        "\"headers\":[{\"key\":\"h\",\"value\":null}]}]}]}]}]}|"
        "response.body: {\"responses\":[{\"name\":\"t\",\"partitionResponses\":[{\"index\":0,\"errorCode\":3,\"baseOffset\":100,"
        "\"logAppendTimeMs\":-1}]}],\"throttleTimeMs\":0}|request: 0-128|",
        "a Produce call's fields and bodies");
    buf_clear(&records);
    buf_clear(&batch);
}

static void test_one_way(void)
{
    struct buf b = {0};
    struct session *s = begin();
    put_produce(&b, 3, 1, 0, td_bytes(NULL, 0));
    feed(s, TD_CLIENT, &b);
    is_int(s->m.committed, 1, "acks=0: the call ends with its request");
    ENDS(s, "kafka_acks kafka_response kafka_response_lost flags", "call|kafka_response: 0|kafka_acks: 0|flags: one-way|",
         "... whole, without a response, and none is missed");
}

static void test_unknown(void)
{
    const char *wanted = "kafka_api_key_name kafka_api_version kafka_client_id kafka_response_size flags";
    struct buf b = {0};
    struct session *s = begin();
    put_heartbeat(&b, 1); /* so that it is certain that this is Kafka */
    size_t at = begin_request(&b, 500, 2, 7);
    put64(&b, 0x0102030405060708);
    end_frame(&b, at);
    at = begin_request(&b, 12, 77, 8);
    put64(&b, 0x0102030405060708);
    end_frame(&b, at);
    at = begin_request(&b, 29, 1, 9); /* known, but not described */
    put64(&b, 0x0102030405060708);
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    put_heartbeat_answer(&b, 1, 0);
    for (uint32_t id = 7; id <= 9; id++) {
        at = begin_response(&b, id);
        put64(&b, 5);
        end_frame(&b, at);
    }
    feed(s, TD_SERVER, &b);
    ENDS(s, wanted,
         "call|kafka_api_key_name: Heartbeat|kafka_api_version: 0|kafka_client_id: test|kafka_response_size: 6|"
         "call|kafka_api_key_name: Api500|kafka_api_version: 2|kafka_client_id: test|kafka_response_size: 12|flags: partial|"
         "call|kafka_api_key_name: Heartbeat|kafka_api_version: 77|kafka_client_id: test|kafka_response_size: 12|flags: partial|"
         "call|kafka_api_key_name: DescribeAcls|kafka_api_version: 1|kafka_client_id: test|kafka_response_size: 12|flags: partial|",
         "unknown keys, newer versions and what has no table: calls from their headers, partial");
}

static void test_fallback(void)
{
    struct buf b = {0};
    struct session *s = begin();
    size_t at = begin_request(&b, 18, 3, 1);
    put_uvarint(&b, 0);
    put_compact(&b, "client");
    put_compact(&b, "1.0");
    put_uvarint(&b, 0);
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    at = begin_response(&b, 1);
    put16(&b, 35);
    put32(&b, 1);
    put16(&b, 18);
    put16(&b, 0);
    put16(&b, 2);
    end_frame(&b, at);
    feed(s, TD_SERVER, &b);
    at = begin_request(&b, 18, 3, 2);
    put_uvarint(&b, 0);
    put_compact(&b, "client");
    put_compact(&b, "1.0");
    put_uvarint(&b, 0);
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    at = begin_response(&b, 2); /* never tagged fields in this header */
    put16(&b, 0);
    put_uvarint(&b, 1);
    put32(&b, 0);
    put_uvarint(&b, 0);
    end_frame(&b, at);
    feed(s, TD_SERVER, &b);
    ENDS(s, "kafka_api_version kafka_response_version kafka_error response.body flags",
         "call|kafka_api_version: 3|kafka_response_version: 0|kafka_error: UNSUPPORTED_VERSION|"
         "response.body: {\"errorCode\":35,\"apiKeys\":[{\"apiKey\":18,\"minVersion\":0,\"maxVersion\":2}]}|"
         "call|kafka_api_version: 3|kafka_error: NONE|response.body: {\"errorCode\":0,\"apiKeys\":[],\"throttleTimeMs\":0}|",
         "ApiVersions: refused in version 0; its response's header");
}

/* ---- Topic ids --------------------------------------------------------------------------------------------------- */

static void put_id(struct buf *b, unsigned last)
{
    put64(b, 0x1122334455667788);
    put64(b, last);
}

static void put_fetch(struct buf *b, uint32_t id, unsigned topic)
{
    size_t at = begin_request(b, 1, 13, id);
    put_uvarint(b, 0);
    put32(b, UINT32_MAX);
    put32(b, 500);
    put32(b, 1);
    put32(b, 1 << 20);
    put8(b, 0);
    put32(b, 0);
    put32(b, 0);
    put_uvarint(b, 2);
    put_id(b, topic);
    put_uvarint(b, 1);
    put_uvarint(b, 0);
    put_uvarint(b, 1);
    put_compact(b, "");
    put_uvarint(b, 0);
    end_frame(b, at);
}

static void test_topic_ids(void)
{
    struct buf b = {0};
    struct session *s = begin();
    size_t at = begin_request(&b, 3, 12, 1);
    put_uvarint(&b, 0);
    put_uvarint(&b, 0);
    put16(&b, 0);
    put_uvarint(&b, 0);
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    at = begin_response(&b, 1);
    put_uvarint(&b, 0);
    put32(&b, 0);
    put_uvarint(&b, 1);
    put_uvarint(&b, 0);
    put32(&b, 1);
    put_uvarint(&b, 2);
    put16(&b, 0);
    put_compact(&b, "orders");
    put_id(&b, 1);
    put8(&b, 0);
    put_uvarint(&b, 1);
    put32(&b, 0);
    put_uvarint(&b, 0);
    put_uvarint(&b, 0);
    end_frame(&b, at);
    feed(s, TD_SERVER, &b);
    put_fetch(&b, 2, 1);
    put_fetch(&b, 3, 2);
    feed(s, TD_CLIENT, &b);
    ENDS(s, "kafka_api_key_name kafka_topics",
         "call|kafka_api_key_name: Metadata|kafka_topics: orders|"
         "call|kafka_api_key_name: Fetch|kafka_topics: orders|"
         "call|kafka_api_key_name: Fetch|kafka_topics: ESIzRFVmd4gAAAAAAAAAAg|",
         "a topic's id is its name once Metadata told it");
}

/* ---- SASL -------------------------------------------------------------------------------------------------------- */

static void put_token(struct buf *b, struct td_slice bytes)
{
    put32(b, (uint32_t)bytes.n);
    put_bytes(b, bytes);
}

static void test_raw_sasl(void)
{
    struct buf b = {0};
    struct session *s = begin();
    size_t at = begin_request(&b, 17, 0, 1);
    put_string(&b, "PLAIN");
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    at = begin_response(&b, 1);
    put16(&b, 0);
    put32(&b, 1);
    put_string(&b, "PLAIN");
    end_frame(&b, at);
    feed(s, TD_SERVER, &b);
    put_token(&b, TD_LIT("\0alice\0secret"));
    feed(s, TD_CLIENT, &b);
    put_token(&b, td_bytes(NULL, 0));
    feed(s, TD_SERVER, &b);
    put_heartbeat(&b, 2);
    feed(s, TD_CLIENT, &b);
    put_heartbeat_answer(&b, 2, 0);
    feed(s, TD_SERVER, &b);
    mock_close(&s->m, TD_CLOSE_END);
    ok(!strstr(buf_cstr(&s->m.out), "secret"), "the password is not told");
    is_str(lines(s, "kafka_api_key_name kafka_sasl_mechanism request response flags"),
           "call|kafka_api_key_name: SaslHandshake|kafka_sasl_mechanism: PLAIN|request: 0-42|response: 0-25|"
           "call|kafka_api_key_name: Heartbeat|request: 42-70|response: 25-35|",
           "tokens without requests belong to the handshake; then requests go on");
    discard(s);
}

static void test_sasl_authenticate(void)
{
    struct buf b = {0};
    struct session *s = begin();
    size_t at = begin_request(&b, 36, 0, 1);
    put32(&b, 13);
    put_bytes(&b, TD_LIT("\0alice\0secret"));
    end_frame(&b, at);
    feed(s, TD_CLIENT, &b);
    at = begin_response(&b, 1);
    put16(&b, 58);
    put_string(&b, "no");
    put32(&b, 0);
    end_frame(&b, at);
    feed(s, TD_SERVER, &b);
    ENDS(s, "kafka_api_key_name kafka_error kafka_error_message request.body",
         "call|kafka_api_key_name: SaslAuthenticate|kafka_error: SASL_AUTHENTICATION_FAILED|kafka_error_message: no|"
         "request.body: {\"authBytes\":\"(left out: credentials)\"}|",
         "SaslAuthenticate without what it carries");
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

/* What the body of a Produce request with these records has of them. */
static const char *records_of(struct session *s, unsigned version, struct td_slice records)
{
    struct buf b = {0};
    put_produce(&b, version, 1, 0, records);
    feed(s, TD_CLIENT, &b);
    end(s, "");
    const char *body = strstr(buf_cstr(&s->m.out), "\"records\":");
    snprintf(s->summary, sizeof(s->summary), "%s", body ? body : "nothing");
    s->summary[strcspn(s->summary, "\n")] = 0;
    return s->summary;
}

static void check_codec(unsigned codec, const char *name, struct td_slice packed)
{
    struct buf batch = {0};
    char expected[128];
    put_batch(&batch, codec, 0, 2, packed);
    struct session *s = begin();
    const char *got = records_of(s, 3, buf_slice(&batch));
    snprintf(expected, sizeof(expected), "\"compression\":\"%s\"", name);
    ok(strstr(got, expected) && strstr(got, "\"value\":\"one\"") &&
           strstr(got, "{\"offset\":1,\"timestamp\":1700000000001,\"key\":null,"
                       "\"value\":\"two\",\"headers\""),
       "%s: records decoded", name);
    ok(!strstr(buf_cstr(&s->m.out), "partial"), "%s: whole", name);
    discard(s);
    buf_clear(&batch);
}

static struct td_slice gzip(struct td_slice in, uint8_t *room, size_t cap)
{
    z_stream z = {0};
    deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    z.next_in = (Bytef *)(uintptr_t)in.p;
    z.avail_in = (uInt)in.n;
    z.next_out = room;
    z.avail_out = (uInt)cap;
    deflate(&z, Z_FINISH);
    size_t n = cap - z.avail_out;
    deflateEnd(&z);
    return td_bytes(room, n);
}

static struct td_slice lz4_frame(struct td_slice in, uint8_t *room, size_t cap)
{
    static const uint8_t head[] = {0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x00 /* the wrong checksum of old clients */};
    memcpy(room, head, sizeof(head));
    int n = LZ4_compress_default((const char *)in.p, (char *)room + 11, (int)in.n, (int)cap - 15);
    for (int i = 0; i < 4; i++)
        room[7 + i] = (uint8_t)((unsigned)n >> 8 * i);
    memset(room + 11 + n, 0, 4);
    return td_bytes(room, (size_t)n + 15);
}

static struct td_slice xerial(struct td_slice block, uint8_t *room)
{
    static const uint8_t head[] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0};
    memcpy(room, head, sizeof(head));
    room[sizeof(head)] = (uint8_t)block.n;
    memcpy(room + sizeof(head) + 1, block.p, block.n);
    return td_bytes(room, sizeof(head) + 1 + block.n);
}

static void test_codecs(void)
{
    struct buf plain = {0};
    uint8_t room[1024], framed[1024];
    size_t n = sizeof(room);
    put_record(&plain, 0, 0, "a", TD_LIT("one"));
    put_record(&plain, 1, 1, NULL, TD_LIT("two"));
    check_codec(0, "none", buf_slice(&plain));
    check_codec(1, "gzip", gzip(buf_slice(&plain), room, sizeof(room)));
    snappy_compress((const char *)plain.p, plain.n, (char *)room, &n);
    check_codec(2, "snappy", td_bytes(room, n));
    check_codec(2, "snappy", xerial(td_bytes(room, n), framed));
    check_codec(3, "lz4", lz4_frame(buf_slice(&plain), room, sizeof(room)));
    check_codec(4, "zstd", td_bytes(room, ZSTD_compress(room, sizeof(room), plain.p, plain.n, 3)));
    struct session *s = begin();
    struct buf batch = {0};
    put_batch(&batch, 4, 0, 2, TD_LIT("no zstd at all"));
    ok(strstr(records_of(s, 3, buf_slice(&batch)), "\"count\":2,\"records\":[]"), "damaged: its header is told");
    ok(strstr(buf_cstr(&s->m.out), "flags: partial"), "... and that it is partial");
    discard(s);
    buf_clear(&batch);
    buf_clear(&plain);
}

static void check_partial(unsigned version, struct td_slice records, bool partial, const char *what)
{
    struct session *s = begin();
    records_of(s, version, records);
    is_int(strstr(buf_cstr(&s->m.out), "flags: partial") != NULL, partial, "%s: %s", what, partial ? "partial" : "whole");
    discard(s);
}

/* The same records in a batch that is not compressed, and in one that is. */
static void check_batches(uint32_t count, struct td_slice records, bool partial, const char *what)
{
    struct buf batch = {0};
    uint8_t room[1024];
    put_batch(&batch, 0, 0, count, records);
    check_partial(3, buf_slice(&batch), partial, what);
    buf_clear(&batch);
    put_batch(&batch, 4, 0, count, td_bytes(room, ZSTD_compress(room, sizeof(room), records.p, records.n, 3)));
    check_partial(3, buf_slice(&batch), partial, what);
    buf_clear(&batch);
}

/* A record with `n` bytes of headers, which should be as many as it says. */
static void put_odd_record(struct buf *b, unsigned headers, struct td_slice bytes)
{
    put_varint(b, (int64_t)(6 + bytes.n));
    put8(b, 0);
    put_varint(b, 0);
    put_varint(b, 0);
    put_varint(b, -1);
    put_varint(b, -1);
    put_varint(b, headers);
    put_bytes(b, bytes);
}

static void test_odd_content(void)
{
    struct buf records = {0}, set = {0}, wrapper = {0};
    uint8_t room[1024];
    put_record(&records, 0, 0, "k", TD_LIT("v"));
    check_batches(1, buf_slice(&records), false, "as many records as the header says");
    check_batches(2, buf_slice(&records), true, "fewer records than the header says");
    put_record(&records, 0, 0, "k", TD_LIT("v"));
    check_batches(1, buf_slice(&records), true, "more records than the header says");
    buf_clear(&records);
    put_odd_record(&records, 2, TD_LIT("\2h\1\2h\1"));
    check_batches(1, buf_slice(&records), false, "two headers");
    buf_clear(&records);
    put_odd_record(&records, 2, TD_LIT("\2h\1\7h\1"));
    check_batches(1, buf_slice(&records), true, "a header that is none");
    buf_clear(&records);
    put_odd_record(&records, 1, TD_LIT("\2h\1\2h\1"));
    check_batches(1, buf_slice(&records), true, "bytes behind the headers");
    put_message(&set, 0, 1, 0, "a", TD_LIT("one"));
    put_message(&wrapper, 0, 1, 3, NULL, lz4_frame(buf_slice(&set), room, sizeof(room)));
    check_partial(2, buf_slice(&wrapper), false, "a wrapper of messages");
    buf_clear(&wrapper);
    put_bytes(&set, TD_LIT("no message at all"));
    put_message(&wrapper, 0, 1, 3, NULL, lz4_frame(buf_slice(&set), room, sizeof(room)));
    check_partial(2, buf_slice(&wrapper), true, "something behind a wrapper's messages");
    buf_clear(&records);
    buf_clear(&set);
    buf_clear(&wrapper);
}

/* All of a batch's records may have been compacted away. */
static void test_empty_batch(void)
{
    struct buf records = {0}, batches = {0};
    put_record(&records, 0, 0, "k", TD_LIT("v"));
    put_batch(&batches, 0, 0, 0, td_bytes(NULL, 0));
    put_batch(&batches, 0, 5, 1, buf_slice(&records));
    struct session *s = begin();
    like(records_of(s, 3, buf_slice(&batches)), "\"count\":0,\"records\":[]},{\"baseOffset\":5,",
         "an empty batch ends before the next one");
    ok(!strstr(buf_cstr(&s->m.out), "partial"), "... and is whole");
    discard(s);
    buf_clear(&records);
    buf_clear(&batches);
}

static void test_message_sets(void)
{
    struct buf set = {0}, wrapper = {0};
    uint8_t room[1024];
    put_message(&set, 0, 1, 0, "a", TD_LIT("one"));
    put_message(&set, 1, 1, 0, NULL, TD_LIT("two"));
    struct session *s = begin();
    is_str(records_of(s, 2, buf_slice(&set)),
           "\"records\":[{\"offset\":0,\"magic\":1,\"compression\":\"none\",\"timestampType\":\"CreateTime\",\"timestamp\":1700000000000,"
           "\"key\":\"a\",\"value\":\"one\"},{\"offset\":1,\"magic\":1,\"compression\":\"none\",\"timestampType\":\"CreateTime\","
           "\"timestamp\":1700000000000,\"key\":null,\"value\":\"two\"}]}]}]}",
           "messages of magic 1");
    discard(s);
    put_message(&wrapper, 11, 1, 3, NULL, lz4_frame(buf_slice(&set), room, sizeof(room)));
    s = begin();
    is_str(records_of(s, 2, buf_slice(&wrapper)),
           "\"records\":[{\"offset\":11,\"magic\":1,\"compression\":\"lz4\",\"timestampType\":\"CreateTime\",\"timestamp\":1700000000000,"
           "\"records\":[{\"offset\":10,\"timestamp\":1700000000000,\"key\":\"a\",\"value\":\"one\"},"
           "{\"offset\":11,\"timestamp\":1700000000000,\"key\":null,\"value\":\"two\"}]}]}]}]}",
           "a wrapper: offsets count from its first message (KIP-31)");
    like(lines(s, "kafka_record_count"), "kafka_record_count: 2", "... whose messages are counted");
    discard(s);
    buf_clear(&wrapper);
    put_message(&wrapper, 0, 0, 2, NULL, TD_LIT("\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0"));
    s = begin();
    records_of(s, 0, buf_slice(&wrapper));
    ok(strstr(buf_cstr(&s->m.out), "flags: partial"), "a cut wrapper of magic 0 is partial");
    discard(s);
    buf_clear(&set);
    buf_clear(&wrapper);
}

static void test_control(void)
{
    struct buf records = {0}, batch = {0}, r = {0};
    put8(&r, 0);
    put_varint(&r, 0);
    put_varint(&r, 0);
    put_varint(&r, 4);
    put_bytes(&r, TD_LIT("\0\0\0\1"));
    put_varint(&r, 6);
    put_bytes(&r, TD_LIT("\0\0\0\0\0\0"));
    put_varint(&r, 0);
    put_varint(&records, (int64_t)r.n);
    put_bytes(&records, buf_slice(&r));
    put_batch(&batch, 0x30, 4, 1, buf_slice(&records));
    struct session *s = begin();
    like(records_of(s, 3, buf_slice(&batch)),
         "\"isControl\":true,\"count\":1,\"records\":[{\"offset\":4,\"timestamp\":1700000000000,"
         "\"control\":\"COMMIT\"}]",
         "a transaction's marker");
    discard(s);
    buf_clear(&r);
    buf_clear(&records);
    buf_clear(&batch);
}

static void test_binary(void)
{
    struct buf records = {0}, batch = {0};
    put_record(&records, 0, 0, "k", TD_LIT("\xff\x00\x01"));
    put_batch(&batch, 0, 0, 1, buf_slice(&records));
    struct session *s = begin();
    like(records_of(s, 3, buf_slice(&batch)), "\"valueBase64\":\"/wAB\"", "what is no text is in base64");
    discard(s);
    buf_clear(&records);
    buf_clear(&batch);
}

/* ---- Limits ------------------------------------------------------------------------------------------------------ */

/* A request of many megabytes in pieces: nothing but single records is kept. */
static void test_large(void)
{
    enum { COUNT = 40, VALUE = 100000 };
    struct buf b = {0}, records = {0}, batch = {0};
    char *value = malloc(VALUE);
    memset(value, 'x', VALUE);
    for (int i = 0; i < COUNT; i++)
        put_record(&records, i, 0, "k", td_bytes(value, VALUE));
    put_batch(&batch, 0, 0, COUNT, buf_slice(&records));
    put_produce(&b, 3, 1, 0, buf_slice(&batch));
    put_heartbeat(&b, 2);
    for (int limits = 0; limits < 3; limits++) {
        struct session *s = begin_as(0);
        size_t most = 0;
        mock_option(&s->m, "maxBodySize", limits == 0 ? 8 << 20 : limits == 1 ? 300000 : 0);
        start(s, 0);
        for (size_t at = 0; at < b.n; at += 1460) {
            mock_feed(&s->m, TD_CLIENT, td_sub(buf_slice(&b), at, at + 1460));
            most = s->m.side[0].unused.n > most ? s->m.side[0].unused.n : most;
        }
        ok(most <= VALUE + 4096, "at most %zu bytes of %zu are kept", most, b.n);
        const char *got = end(s, "kafka_api_key_name kafka_record_count flags");
        is_str(got, "call|kafka_api_key_name: Produce|kafka_record_count: 40|flags: one-way|call|kafka_api_key_name: Heartbeat|",
               "both calls come out");
        discard(s);
    }
    free(value);
    buf_clear(&b);
    buf_clear(&records);
    buf_clear(&batch);
}

/* A compressed batch above maxBatchSize is passed over. */
static void test_batch_limit(void)
{
    struct buf b = {0}, noise = {0}, batch = {0};
    for (int i = 0; i < 20000; i++)
        put8(&noise, (unsigned)i * 167 & 0xff);
    put_batch(&batch, 4, 0, 9, buf_slice(&noise));
    put_produce(&b, 3, 1, 0, buf_slice(&batch));
    struct session *s = begin_as(0);
    mock_option(&s->m, "maxBatchSize", 10000);
    start(s, 0);
    feed(s, TD_CLIENT, &b);
    ENDS(s, "kafka_record_count kafka_compression flags",
         "call|kafka_record_count: 9|kafka_compression: zstd|flags: partial|flags: one-way|",
         "a batch that is too large is counted, not decoded");
    buf_clear(&noise);
    buf_clear(&batch);
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word))
        n++;
    return n;
}

/* Few bytes that come to many, again and again. */
static void test_bombs(void)
{
    enum { BATCHES = 10, VALUE = 60000 };
    struct buf b = {0}, plain = {0}, batches = {0};
    uint8_t room[1024];
    char *value = malloc(VALUE);
    memset(value, 'x', VALUE);
    put_record(&plain, 0, 0, "k", td_bytes(value, VALUE));
    for (int i = 0; i < BATCHES; i++)
        put_batch(&batches, 4, i, 1, td_bytes(room, ZSTD_compress(room, sizeof(room), plain.p, plain.n, 3)));
    put_produce(&b, 3, 1, 0, buf_slice(&batches));
    struct session *s = begin_as(MOCK_LONG_VALUES);
    mock_option(&s->m, "maxDecompressedSize", 64 << 10);
    mock_option(&s->m, "maxBodySize", 8 << 20);
    start(s, 0);
    feed(s, TD_CLIENT, &b);
    like(end(s, "kafka_record_count flags"), "kafka_record_count: 10|flags: partial",
         "more than a message may come to: partial, all counted");
    is_int(count_of(buf_cstr(&s->m.out), "\"offset\":"), 5, "batches beyond four times the limit are not decompressed");
    discard(s);
    free(value);
    buf_clear(&plain);
    buf_clear(&batches);
}

/* The limit is for the message, not for each partition. */
static void test_record_limit(void)
{
    struct buf b = {0}, records = {0}, batch = {0};
    for (int i = 0; i < 3; i++)
        put_record(&records, i, 0, "k", TD_LIT("v"));
    put_batch(&batch, 0, 0, 3, buf_slice(&records));
    put_produce_to(&b, 3, 1, 0, 2, buf_slice(&batch));
    struct session *s = begin_as(MOCK_LONG_VALUES);
    mock_option(&s->m, "maxRecords", 4);
    start(s, 0);
    feed(s, TD_CLIENT, &b);
    like(end(s, "kafka_record_count"), "kafka_record_count: 6", "all records are counted");
    is_int(count_of(buf_cstr(&s->m.out), "\"offset\":"), 4, "... and as many are shown as one message may show");
    discard(s);
    buf_clear(&records);
    buf_clear(&batch);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What it takes to look through nonsense for the responses to so many requests. */
static double search(unsigned pending, struct td_slice nonsense)
{
    struct buf b = {0};
    double least = 1e9;
    for (uint32_t id = 1; id <= pending; id++)
        put_heartbeat(&b, id);
    for (int round = 0; round < 3; round++) {
        struct session *s = begin_as(MOCK_QUIET);
        mock_option(&s->m, "maxPending", 8192);
        start(s, TD_FLOW_MIDSTREAM);
        mock_feed(&s->m, TD_CLIENT, buf_slice(&b));
        double before = processor_seconds();
        for (size_t at = 0; at < nonsense.n; at += 1460)
            mock_feed(&s->m, TD_SERVER, td_sub(nonsense, at, at + 1460));
        double took = processor_seconds() - before;
        least = took < least ? took : least;
        mock_close(&s->m, TD_CLOSE_END);
        discard(s);
    }
    buf_clear(&b);
    return least;
}

static void test_search(void)
{
    enum { FEW = 10, MANY = 5000 };
    struct buf nonsense = {0};
    for (uint32_t i = 0, state = 1; i < 32768; i++) {
        state = state * 1664525 + 1013904223;
        put8(&nonsense, state >> 28);
    }
    double few = search(FEW, buf_slice(&nonsense)), many = search(MANY, buf_slice(&nonsense));
    ok(many < 30 * few, "%d requests that wait cost %.1f times as much as %d", MANY, many / few, FEW);
    buf_clear(&nonsense);
}

static void test_order_among_many(void)
{
    enum { MANY = 100 };
    struct buf b = {0}, answers = {0};
    struct session *s = begin();
    for (uint32_t i = 0; i < MANY; i++) {
        put_heartbeat(&b, i / 2); /* each id twice */
        put_heartbeat_answer(&answers, (MANY - 1 - i) / 2, 27);
    }
    feed(s, TD_CLIENT, &b);
    feed(s, TD_SERVER, &answers);
    const char *got = end(s, "kafka_correlation_id kafka_error");
    is_int(count_of(got, "kafka_error: REBALANCE_IN_PROGRESS|"), MANY, "each of many requests gets its response");
    ok(strncmp(got, "call|kafka_correlation_id: 49|", 30) == 0, "... in whatever order they come");
    discard(s);
}

static void test_gaps(void)
{
    struct buf b = {0};
    const char *wanted = "kafka_api_key_name kafka_correlation_id kafka_response flags";
    struct session *s = begin();
    put_heartbeat(&b, 1);
    put_heartbeat(&b, 2);
    mock_feed(&s->m, TD_CLIENT, td_sub(buf_slice(&b), 0, 20));
    mock_gap(&s->m, TD_CLIENT, 10);
    mock_feed(&s->m, TD_CLIENT, td_sub(buf_slice(&b), 30, b.n));
    buf_clear(&b);
    put_heartbeat(&b, 3);
    feed(s, TD_CLIENT, &b);
    ENDS(s, wanted,
         "call|kafka_api_key_name: Heartbeat|kafka_correlation_id: 1|kafka_response: 0|flags: request-cut|flags: partial|"
         "call|kafka_api_key_name: Heartbeat|kafka_correlation_id: 3|kafka_response: 0|",
         "behind a gap, requests are found again");
    s = begin_as(0);
    start(s, TD_FLOW_MIDSTREAM);
    put_bytes(&b, TD_LIT("the end of something"));
    put_heartbeat(&b, 5);
    feed(s, TD_CLIENT, &b);
    put_bytes(&b, TD_LIT("the end of an answer"));
    put_heartbeat_answer(&b, 5, 0);
    feed(s, TD_SERVER, &b);
    ENDS(s, wanted, "call|kafka_api_key_name: Heartbeat|kafka_correlation_id: 5|kafka_response: 1|", "a start in mid-stream");
}

/* Every allocation fails once; nothing may crash, and the contract holds. */
static void test_memory(void)
{
    struct buf b = {0}, answers = {0};
    bool kept = true;
    for (uint32_t id = 1; id <= 20; id++) {
        put_heartbeat(&b, id);
        put_heartbeat_answer(&answers, id, 0);
    }
    for (unsigned nth = 1; nth < 30; nth++) {
        struct session *s = begin_as(MOCK_QUIET);
        s->m.fail_alloc_at = nth;
        start(s, 0);
        mock_feed(&s->m, TD_CLIENT, buf_slice(&b));
        mock_feed(&s->m, TD_SERVER, buf_slice(&answers));
        mock_close(&s->m, TD_CLOSE_END);
        kept &= !s->m.fault;
        discard(s);
    }
    ok(kept, "without memory the contract is kept");
    buf_clear(&b);
    buf_clear(&answers);
}

int main(void)
{
    test_matching();
    test_fields();
    test_one_way();
    test_unknown();
    test_fallback();
    test_topic_ids();
    test_raw_sasl();
    test_sasl_authenticate();
    test_codecs();
    test_odd_content();
    test_empty_batch();
    test_message_sets();
    test_control();
    test_binary();
    test_large();
    test_batch_limit();
    test_bombs();
    test_record_limit();
    test_search();
    test_order_among_many();
    test_gaps();
    test_memory();
    return tap_done();
}
