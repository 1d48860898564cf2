/* The Kafka dissector under the mock host. The first byte says how the rest is cut into events:
 *
 *   bit 0: from mid-stream   bit 1: few fields wanted   bit 2: no bodies   bit 3: small limits
 *
 * Then events: a byte with the direction (bit 0), a gap (bit 1), whether a frame's length is put in front (bit 2); two bytes with a
 * length; so many bytes. What begins with bit 7 of the first byte set goes to the decoders: bits 0 to 2 say to which. */
#include "../../plugins/dissectors/kafka/kafka_codec.h"
#include "../../plugins/dissectors/kafka/kafka_header.h"
#include "../../plugins/dissectors/kafka/kafka_records.h"
#include "mock_host.h"

#include "tapedeck/cursor.h"

#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_kafka;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 1 << 16 };

static void fuzz_records(struct td_slice bytes)
{
    struct kafka_batch b;
    struct kafka_record r;
    struct td_slice name, value;
    bool there;
    if (kafka_batch_read(bytes, &b) != 2)
        return;
    if (b.magic < 2) {
        (void)kafka_message_read(bytes, &b, &r);
        return;
    }
    struct td_cursor c = td_cursor(td_sub(bytes, KAFKA_BATCH_HEADER, (size_t)b.size));
    while (kafka_record_next(&c, &b, &r))
        while (kafka_record_header(&r, &name, &there, &value))
            ;
}

static void fuzz_decoders(unsigned which, struct td_slice bytes)
{
    uint8_t *room = malloc(ROOM);
    struct kafka_spare spare = {NULL};
    bool whole;
    if (!room)
        return;
    if (which < KAFKA_CODECS && kafka_decode(which, bytes, &spare, room, ROOM, &whole) > ROOM)
        abort();
    kafka_spare_clear(&spare);
    if (which >= KAFKA_CODECS) {
        fuzz_records(bytes);
        (void)kafka_request_score(bytes, 2048);
    }
    free(room);
}

static void feed(struct mock *m, int dir, struct td_slice bytes, bool framed)
{
    uint8_t length[4] = {(uint8_t)(bytes.n >> 24), (uint8_t)(bytes.n >> 16), (uint8_t)(bytes.n >> 8), (uint8_t)bytes.n};
    if (framed)
        mock_feed(m, dir, td_bytes(length, sizeof(length)));
    mock_feed(m, dir, bytes);
}

static void fuzz_connection(unsigned kind, struct td_cursor *c)
{
    struct mock m;
    struct td_flow flow = {.size = sizeof(flow), .flags = kind & 1 ? TD_FLOW_MIDSTREAM : 0, .port = {40000, 9092}, .ip_version = 4};
    flow.transport = 6;
    if (!mock_init(&m, &td_plugin_v1_kafka, MOCK_QUIET | (kind & 2 ? MOCK_FEW_FIELDS : 0) | (kind & 4 ? MOCK_NO_BODIES : 0)))
        abort();
    if (kind & 8) {
        mock_option(&m, "maxBodySize", 200);
        mock_option(&m, "maxPending", 2);
        mock_option(&m, "maxBatchSize", 1024);
        mock_option(&m, "maxDecompressedSize", 1024);
        mock_option(&m, "maxRecords", 3);
    }
    if (!mock_open_flow(&m, &flow))
        abort();
    while (td_left(c)) {
        unsigned event = td_u8(c);
        size_t n = td_be16(c);
        int dir = event & 1;
        struct td_slice bytes = td_take(c, n < td_left(c) ? n : td_left(c));
        for (int role = 0; role < 2; role++)
            (void)m.ops->probe(m.self, &flow, role, bytes);
        if (event & 2)
            mock_gap(&m, dir, n);
        else
            feed(&m, dir, bytes, event & 4);
    }
    mock_close(&m, TD_CLOSE_END);
    if (m.fault)
        abort();
    mock_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct td_cursor c = td_cursor(td_bytes(data, size));
    unsigned kind = td_u8(&c);
    if (kind & 0x80)
        fuzz_decoders(kind & 7, td_rest(&c));
    else
        fuzz_connection(kind, &c);
    return 0;
}
