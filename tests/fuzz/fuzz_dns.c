/* The DNS dissector under the mock host. The first byte says how the rest is cut into events:
 *
 *   bit 0: UDP (else TCP)   bits 1-2: port 53, 53, 5353, 5355   bit 3: from mid-stream   bit 4: few fields wanted
 *
 * Then events: a byte with the direction (bit 0), a gap (bit 1) or a cut datagram (bit 2), and how much time passes (the
 * rest); two bytes with a length; so many bytes. What begins with bit 7 of the first byte set goes to the parsers directly. */
#include "../../plugins/dissectors/dns/dns_dso.h"
#include "../../plugins/dissectors/dns/dns_edns.h"
#include "../../plugins/dissectors/dns/dns_plausible.h"
#include "../../plugins/dissectors/dns/dns_rdata.h"
#include "mock_host.h"

#include "tapedeck/cursor.h"

#include <stdlib.h>

extern const struct td_plugin td_plugin_v1_dns;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 4096, EVENT_NS = 50000000 };

/* A record of the type and class in the first four bytes, its data being the rest. */
static void fuzz_record(struct td_slice message)
{
    struct td_cursor c = td_cursor(message);
    struct dns_record r = {.type = td_be16(&c), .cls = td_be16(&c)};
    char *room = malloc(ROOM);
    if (!room || c.failed || td_left(&c) > UINT16_MAX) {
        free(room);
        return;
    }
    struct dns_text t = dns_text(room, ROOM);
    r.rdata = td_pos(&c);
    r.rdata_n = (uint16_t)td_left(&c);
    dns_put_rdata(&t, message, &r);
    t = dns_text(room, ROOM);
    struct td_cursor tlvs = c;
    dns_put_edns(&t, &r, td_rest(&c));
    for (struct dns_tlv tlv; dns_next_tlv(&tlvs, &tlv);) {
        t = dns_text(room, ROOM);
        dns_put_tlv(&t, message, &tlv);
    }
    free(room);
}

static void fuzz_connection(unsigned kind, struct td_cursor *c)
{
    static const uint16_t ports[] = {53, 53, 5353, 5355};
    struct mock m;
    unsigned port = ports[kind >> 1 & 3];
    struct td_flow flow = {.size = sizeof(flow), .flags = kind & 8 ? TD_FLOW_MIDSTREAM : 0, .ip_version = 4};
    flow.transport = kind & 1 ? 17 : 6;
    flow.port[0] = port == 53 ? 40000 : (uint16_t)port;
    flow.port[1] = (uint16_t)port;
    flow.ip[1][0] = port == 5353 ? 224 : 10;
    if (!mock_init(&m, &td_plugin_v1_dns, MOCK_QUIET | (kind & 16 ? MOCK_FEW_FIELDS : 0)) || !mock_open_flow(&m, &flow))
        abort();
    while (td_left(c)) {
        unsigned event = td_u8(c);
        size_t n = td_be16(c);
        int dir = event & 1;
        m.now_ns += (int64_t)(event >> 3) * EVENT_NS;
        struct td_slice bytes = td_take(c, n < td_left(c) ? n : td_left(c));
        for (int role = 0; role < 2; role++)
            (void)m.ops->probe(m.self, &flow, role, bytes);
        if (kind & 1)
            mock_datagram(&m, dir, bytes, event & 4 ? TD_CHUNK_CUT : 0);
        else if (event & 2)
            mock_gap(&m, dir, n);
        else
            mock_feed(&m, dir, bytes);
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
        fuzz_record(td_rest(&c));
    else
        fuzz_connection(kind, &c);
    return 0;
}
