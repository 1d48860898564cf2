/* gRPC: a message as JSON, which must be JSON whatever it is, with a schema made of the input as well; and a call whose content and
 * header fields are the input, through the engine with HTTP/2 below.
 *
 *   byte 0      bits 0, 1: message, message with a schema, call, gRPC-Web in text; bits 2 to 4: the compression
 *   byte 1      how the call's content is cut
 *   the rest    the message; schema and message (two bytes of length first); content: of the request, then of the response */
#include <jansson.h>
#include <stdlib.h>

#include "../../plugins/dissectors/grpc/grpc_compress.h"
#include "../../plugins/dissectors/grpc/grpc_json.h"
#include "base/json.h"
#include "rig.h"
#include "traffic.h"

extern const struct td_plugin td_plugin_v1_http2, td_plugin_v1_grpc;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_http2, &td_plugin_v1_grpc, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 16 };

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_message(struct td_slice message, const struct grpc_message *type)
{
    uint8_t *room = malloc(ROOM);
    struct grpc_out out = {room, 0, ROOM, false};
    grpc_put_message(&out, message, type);
    /* JSON's names may have a zero in them, but the reader's may not. */
    if (!out.full && !memmem(room, out.n, "\\u0000", 6)) {
        json_t *root = json_loadb((const char *)room, out.n, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
        check(root != NULL);
        json_decref(root);
    }
    free(room);
}

static void check_schema(struct td_slice in)
{
    size_t n = in.n > 2 ? (size_t)in.p[0] << 8 | in.p[1] : 0;
    struct td_slice set = td_sub(in, 2, 2 + n), message = td_sub(in, 2 + n, in.n);
    struct grpc_schema *schema = grpc_schema_new();
    const char *why;
    if (schema && grpc_schema_add(schema, set, &why) && grpc_schema_finish(schema)) {
        check_message(message, grpc_schema_message(schema, TD_LIT(".t.M")));
        (void)grpc_schema_method(schema, TD_LIT("/t.S/M"));
    }
    grpc_schema_free(schema);
}

static void put_frame(struct buf *out, uint8_t type, uint8_t flags, struct td_slice payload)
{
    uint8_t header[9] = {(uint8_t)(payload.n >> 16), (uint8_t)(payload.n >> 8), (uint8_t)payload.n, type, flags, 0, 0, 0, 1};
    buf_put_slice(out, td_bytes(header, sizeof(header)));
    buf_put_slice(out, payload);
}

static void put_literal(struct buf *out, const char *name, const char *value)
{
    buf_putc(out, 0);
    buf_putc(out, (char)strlen(name));
    buf_put_slice(out, td_str(name));
    buf_putc(out, (char)strlen(value));
    buf_put_slice(out, td_str(value));
}

static void check_call(uint8_t how, uint8_t cuts, struct td_slice in)
{
    static const char *const encodings[] = {"identity", "gzip", "deflate", "snappy", "zstd", "br", "x", ""};
    static struct rig rig;
    const char *type = (how & 3) == 3 ? "application/grpc-web-text" : how & 32 ? "application/grpc+json" : "application/grpc";
    struct buf side[2] = {{0}, {0}}, block = {0};
    struct traffic t;
    struct talk talk;
    if (!rig.config)
        rig_open(&rig, plugins);
    traffic_init(&t);
    talk_open(&talk, &t, (struct peer){{10, 0, 0, 1}, 40000}, (struct peer){{10, 0, 0, 2}, 50051});
    for (int dir = 0; dir < 2; dir++) {
        struct td_slice content = dir ? td_sub(in, in.n / 2, in.n) : td_sub(in, 0, in.n / 2);
        if (dir == 0)
            buf_puts(&side[0], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        put_frame(&side[dir], 4, 0, td_bytes(NULL, 0));
        buf_reset(&block);
        put_literal(&block, dir ? ":status" : ":path", dir ? "200" : "/t.S/M");
        put_literal(&block, "content-type", type);
        put_literal(&block, "grpc-encoding", encodings[how >> 2 & 7]);
        put_frame(&side[dir], 1, 4, buf_slice(&block));
        for (size_t at = 0, n; at < content.n; at += n) {
            n = cuts ? cuts : 1000;
            put_frame(&side[dir], 0, 0, td_sub(content, at, at + n));
        }
        if (dir)
            put_frame(&side[dir], 1, 5, content.n < 8000 ? content : td_bytes(NULL, 0));
        talk_send(&talk, dir, buf_slice(&side[dir]), 1400);
        buf_clear(&side[dir]);
    }
    talk_close(&talk);
    buf_clear(&block);
    rig.payload = true;
    struct td_slice out = td_str(rig_run(&rig, buf_slice(&t.pcap)));
    check(out.n > 0 && rig.status == TD_OK);
    json_t *root = json_loadb((const char *)out.p, out.n, JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
    check(root != NULL);
    json_decref(root);
    traffic_clear(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct td_slice in = td_bytes(data + 2, size - 2), plain;
    uint8_t *room = malloc(ROOM);
    (void)grpc_decompress(TD_LIT("snappy"), in, room, ROOM, &plain);
    free(room);
    switch (data[0] & 3) {
    case 0: check_message(in, NULL); break;
    case 1: check_schema(in); break;
    default: check_call(data[0], data[1], in); break;
    }
    return 0;
}
