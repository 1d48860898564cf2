/* gRPC's parts: texts, compressions, and messages as JSON, without a schema and with one. */
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "../../../plugins/dissectors/grpc/grpc_compress.h"
#include "../../../plugins/dissectors/grpc/grpc_json.h"
#include "base/buf.h"
#include "tap.h"

/* ---- Texts -------------------------------------------------------------------------------------------------------- */

static void timeout_is(const char *text, int64_t want)
{
    int64_t ns = -1;
    ok(grpc_parse_timeout(td_str(text), &ns) == (want >= 0), "timeout %s", text);
    is_int(ns, want, "of so many nanoseconds");
}

static void texts(void)
{
    uint8_t out[64];
    size_t n;
    timeout_is("1n", 1);
    timeout_is("20u", 20000);
    timeout_is("300m", 300000000);
    timeout_is("5S", INT64_C(5000000000));
    timeout_is("2M", INT64_C(120000000000));
    timeout_is("99999999H", INT64_C(9223369200000000000)); /* as much as fits */
    timeout_is("S", -1);
    timeout_is("5", -1);
    timeout_is("-5S", -1);
    timeout_is("5s", -1);

    n = grpc_percent_decode(TD_LIT("100%25 s%C3%bcr%0A%zz%4"), out);
    is_mem(out, n, "100% s\xc3\xbcr\n%zz%4", 15, "percent-encoding; what is none stays");

    ok(grpc_base64_decode(TD_LIT("AP8QAA=="), out, &n), "base64");
    is_mem(out, n, "\0\xff\x10\0", 4, "with padding");
    ok(grpc_base64_decode(TD_LIT("AP8QAA"), out, &n), "without");
    is_mem(out, n, "\0\xff\x10\0", 4, "it is the same");
    ok(grpc_base64_decode(TD_LIT("_-8=AA=="), out, &n), "the other alphabet, padding in between");
    is_mem(out, n, "\xff\xef\0", 3, "as gRPC-Web's pieces have it");
    ok(!grpc_base64_decode(TD_LIT("AA,"), out, &n), "other characters are none of it");
    ok(grpc_binary_decode(TD_LIT("\0,a"), out, &n) && n == 2 && memcmp(out, ",a", 2) == 0, "binary metadata as it is, behind a zero");
}

static void time_is(bool duration, int64_t seconds, int32_t nanos, const char *want)
{
    char room[64];
    struct grpc_out out = {(uint8_t *)room, 0, sizeof(room) - 1, false};
    ok((duration ? grpc_put_duration : grpc_put_timestamp)(&out, seconds, nanos) == (*want != 0), "%lld s", (long long)seconds);
    room[out.n] = 0;
    is_str(room, want, "as JSON has it");
}

static void times(void)
{
    time_is(false, 0, 0, "\"1970-01-01T00:00:00Z\"");
    time_is(false, 951782400, 0, "\"2000-02-29T00:00:00Z\"");
    time_is(false, 1709251199, 21000000, "\"2024-02-29T23:59:59.021Z\"");
    time_is(false, -1, 999999000, "\"1969-12-31T23:59:59.999999Z\"");
    time_is(false, -62135596800, 1, "\"0001-01-01T00:00:00.000000001Z\"");
    time_is(false, -2203891200, 0, "\"1900-03-01T00:00:00Z\"");
    time_is(false, 253402300799, 0, "\"9999-12-31T23:59:59Z\"");
    time_is(false, 253402300800, 0, "");
    time_is(false, 0, -1, "");
    time_is(true, 1, 340012000, "\"1.340012s\"");
    time_is(true, 0, -500000000, "\"-0.500s\"");
    time_is(true, -3, 0, "\"-3s\"");
    time_is(true, 1, -1, "");
    time_is(true, INT64_MIN, 0, "");
}

/* ---- Compressions --------------------------------------------------------------------------------------------------- */

static void unpacks(const char *encoding, const void *bytes, size_t n, const char *plain)
{
    uint8_t room[4096];
    struct td_slice got = {0};
    ok(grpc_decompress(td_str(encoding), td_bytes(bytes, n), room, sizeof(room), &got), "%s", encoding);
    is_mem(got.p, got.n, plain, strlen(plain), "gives the message");
    ok(!grpc_decompress(td_str(encoding), td_bytes(bytes, n), room, strlen(plain) - 1, &got), "not if it is larger than allowed");
    ok(!grpc_decompress(td_str(encoding), td_bytes(bytes, n / 2), room, sizeof(room), &got), "nor if half of it is missing");
}

static void compressions(void)
{
    const char *plain = "a message, a message, a message that is repeated, repeated, repeated";
    uint8_t packed[512], framed[512] = "\xff\x06\0\0sNaPpY";
    size_t n = sizeof(packed);
    struct td_slice got;
    ok(snappy_compress(plain, strlen(plain), (char *)packed, &n) == SNAPPY_OK, "snappy packs");
    unpacks("snappy", packed, n, plain);
    framed[10] = 0;
    framed[11] = (uint8_t)(n + 4);
    memcpy(framed + 18, packed, n);
    unpacks("snappy", framed, 18 + n, plain);

    uLongf deflated = sizeof(packed);
    ok(compress(packed, &deflated, (const Bytef *)plain, strlen(plain)) == Z_OK, "zlib packs");
    unpacks("deflate", packed, deflated, plain);
    z_stream z = {.next_in = (z_const Bytef *)plain, .avail_in = (uInt)strlen(plain), .next_out = packed, .avail_out = sizeof(packed)};
    ok(deflateInit2(&z, 6, Z_DEFLATED, 31, 8, 0) == Z_OK && deflate(&z, Z_FINISH) == Z_STREAM_END && deflateEnd(&z) == Z_OK, "gzip packs");
    unpacks("gzip", packed, sizeof(packed) - z.avail_out, plain);
    n = ZSTD_compress(packed, sizeof(packed), plain, strlen(plain), 3);
    unpacks("zstd", packed, n, plain);
    ok(!grpc_decompress(TD_LIT("lzma"), td_bytes(packed, n), framed, sizeof(framed), &got), "others are not known");
}

/* ---- Messages -------------------------------------------------------------------------------------------------------- */

static void json_is(struct td_slice message, const struct grpc_message *type, const char *want)
{
    char room[2048];
    struct grpc_out out = {(uint8_t *)room, 0, sizeof(room) - 1, false};
    grpc_put_message(&out, message, type);
    room[out.n] = 0;
    is_str(room, want, "as JSON");
}
#define PLAIN(message, want) json_is(TD_LIT(message), NULL, want)

static void guesses(void)
{
    PLAIN("", "{}");
    PLAIN("\x08\x96\x01", "{\"1\":150}");
    PLAIN("\x12\x07testing\x12\0", "{\"2\":[\"testing\",\"\"]}");
    PLAIN("\x1a\x03\x08\x96\x01", "{\"3\":{\"1\":150}}");
    PLAIN("\x0a\x02\xff\xfe", "{\"1\":\"//4=\"}");
    PLAIN("\x09\0\0\0\0\0\0\xf8\x3f\x15\0\0\x20\x40", "{\"1\":1.5,\"2\":2.5}");
    PLAIN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "{\"1\":\"18446744073709551615\"}");
    PLAIN("\x0a\x05\"\\\n\t\x7f", "{\"1\":\"IlwKCX8=\"}");
    PLAIN("\x08", "\"CA==\"");
    PLAIN("\x0b\x08\x01\x0c", "\"CwgBDA==\"");

    /* As deep as one likes: told to some depth, and never by recursion. */
    uint8_t deep[2000];
    char room[8192];
    size_t at = sizeof(deep);
    for (size_t n = 0; at > 3; n = sizeof(deep) - at) {
        uint8_t head[3] = {0x0a, (uint8_t)(n & 127), (uint8_t)(n >> 7)};
        if (n >= 128)
            head[1] |= 128;
        at -= n >= 128 ? 3 : 2;
        memcpy(deep + at, head, n >= 128 ? 3 : 2);
    }
    struct grpc_out out = {(uint8_t *)room, 0, sizeof(room), false};
    grpc_put_message(&out, td_bytes(deep + at, sizeof(deep) - at), NULL);
    ok(!out.full && out.n > GRPC_MAX_DEPTH, "messages in messages in messages");
}

/* A length-delimited field. */
static void put(struct buf *out, unsigned number, struct td_slice bytes)
{
    buf_putc(out, (char)(number << 3 | 2));
    if (bytes.n > 127)
        buf_putc(out, (char)((bytes.n & 127) | 128));
    buf_putc(out, (char)(bytes.n > 127 ? bytes.n >> 7 : bytes.n));
    buf_put_slice(out, bytes);
}

static void put_number(struct buf *out, unsigned number, unsigned value)
{
    buf_putc(out, (char)(number << 3));
    buf_putc(out, (char)value);
}

static void put_field(struct buf *message, const char *name, unsigned number, unsigned label, unsigned type, const char *type_name)
{
    struct buf field = {0};
    put(&field, 1, td_str(name));
    put_number(&field, 3, number);
    put_number(&field, 4, label);
    put_number(&field, 5, type);
    if (type_name)
        put(&field, 6, td_str(type_name));
    put(message, 2, buf_slice(&field));
    buf_clear(&field);
}

static void schemas(void)
{
    struct buf message = {0}, file = {0}, set = {0};
    struct grpc_schema *schema = grpc_schema_new();
    const char *why = "";
    put(&message, 1, TD_LIT("M"));
    put_field(&message, "my_text", 1, 1, GRPC_STRING, NULL);
    put_field(&message, "sizes", 2, 3, GRPC_SINT32, NULL);
    put_field(&message, "inner", 3, 1, GRPC_MESSAGE, ".p.M");
    put_field(&message, "far", 4, 1, GRPC_INT64, NULL);
    put(&file, 2, TD_LIT("p"));
    put(&file, 4, buf_slice(&message));
    put(&set, 1, buf_slice(&file));
    ok(grpc_schema_add(schema, buf_slice(&set), &why) && grpc_schema_finish(schema), "a descriptor set %s", why);
    const struct grpc_message *type = grpc_schema_message(schema, TD_LIT(".p.M"));
    ok(type != NULL, "has its message");
    json_is(TD_LIT("\x0a\1a\x12\2\1\4\x10\3\x1a\2\x20\5\x28\7"), type,
            "{\"myText\":\"a\",\"sizes\":[-1,2,-2],\"inner\":{\"far\":\"5\"},\"5\":7}");
    json_is(TD_LIT("\x0a\1a\x0a\1b"), type, "{\"myText\":\"b\"}");
    json_is(TD_LIT("\x08\1"), type, "{\"myText\":1}");
    grpc_schema_free(schema);

    schema = grpc_schema_new();
    ok(!grpc_schema_add(schema, TD_LIT("syntax = \"proto3\";"), &why), "a .proto file is none: %s", why);
    ok(!grpc_schema_add(schema, td_sub(buf_slice(&set), 0, set.n - 1), &why), "nor is one that is cut");
    grpc_schema_free(schema);
    buf_clear(&message);
    buf_clear(&file);
    buf_clear(&set);
}

int main(void)
{
    texts();
    times();
    compressions();
    guesses();
    schemas();
    return tap_done();
}
