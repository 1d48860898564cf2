/* From packets to calls: decoding, fragments, reassembly, claiming, the HTTP, DNS and toy dissectors, JSON.
 *
 * The input is a program: its first byte sets limits, each further instruction sends a packet on one of a few connections, whose
 * bytes come from conversations that make sense or from the input itself: in order, lost, twice, too early, cut, in fragments.
 * So the dissectors get far, and the reassembly has something to put right.
 *
 * Besides what sanitizers find: memory is accounted for to the byte and within its limit, each line of output is a JSON object
 * without equal keys, and the whole engine gives the same bytes with one and with three threads. */
#include <jansson.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "call/call_json.h"
#include "dissect/conn.h"
#include "rig.h"
#include "toy.h"
#include "traffic.h"

extern const struct td_plugin td_plugin_v1_http, td_plugin_v1_dns;
static const struct td_plugin *const plugins[] = {&td_plugin_v1_http, &td_plugin_v1_dns, &td_plugin_v1_toy, NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_PACKETS = 400, TALKS = 8 };

/* ---- What is said ---- */

#define SAY(text)                                 \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define DNS_NAME "\3www\7example\3org\0"

static const struct td_slice words[TALKS][2] = {
    {SAY("GET /a HTTP/1.1\r\nHost: h\r\n\r\nPOST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello"
         "HEAD /c HTTP/1.1\r\nHost: h\r\nCookie: a=b; c=d\r\n\r\nGET /d HTTP/1.0\r\n\r\n"),
     SAY("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nTransfer-Encoding: "
         "chunked\r\n\r\n"
         "5\r\nhello\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nHTTP/1.0 404 No\r\n\r\nuntil the "
         "close")},
    {SAY("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\nask a\nmore\nGET /x HTTP/1.1\r\nHost: h\r\n\r\n"),
     SAY("HTTP/1.1 200 Fine\r\n\r\nreply 5\nHTTP/1.1 204 No\r\n\r\n")},
    {SAY("GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x05hello"),
     SAY("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x02hi")},
    {SAY("ask a\nskip 20\n12345678901234567890wait 9\n123456789ask b\ntail\nmore\nask c\nahead 10 30\nhold 0\nask d\nfill 3000\npairs 9\n"
         "take 200\nbad\nsure\nover child\nask e\nhold 12\nanew\nask f\ncalls 5\nlose\nask g\nover! x\nask h\nother y\nask i\n"),
     SAY("reply 1\nskip 7\n1234567go\nreply 2\nhold 0\nreply 3\nmore\nreply 4\nbad\nreply 5\ngo\nreply 6\nreply 7\n")},
    {SAY("\0\x21\x12\x34\1\0\0\1\0\0\0\0\0\0" DNS_NAME "\0\1\0\1\0\x21\x12\x35\1\0\0\1\0\0\0\0\0\0" DNS_NAME "\0\x1c\0\1"),
     SAY("\0\x31\x12\x34\x81\x80\0\1\0\1\0\0\0\0" DNS_NAME "\0\1\0\1\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
         "\0\x21\x12\x35\x81\x83\0\1\0\0\0\0\0\0" DNS_NAME "\0\x1c\0\1")},
    {SAY("\x12\x34\1\0\0\1\0\0\0\0\0\1" DNS_NAME "\0\1\0\1\0\0\x29\4\xd0\0\0\0\0\0\0"),
     SAY("\x12\x34\x81\x80\0\1\0\2\0\0\0\0" DNS_NAME
         "\0\1\0\1\xc0\x0c\0\5\0\1\0\0\0\x3c\0\4\1x\xc0\x10\1x\xc0\x10\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4")},
    {SAY("beta=70\nask u\nmore\nskip 9\n"), SAY("reply 9\n")},
    {SAY("\0\0\x84\0\0\0\0\1\0\0\0\0\4_ssh\4_tcp\5local\0\0\x0c\0\1\0\0\x11\x94\0\7\4host\xc0\x0c"),
     SAY("\0\0\0\0\0\1\0\0\0\0\0\0\5local\0\0\xff\0\1")},
};

static const uint16_t ports[TALKS] = {80, 8080, 9000, 7000, 53, 53, 7002, 5353};

static bool is_udp(unsigned talk)
{
    return talk >= 5;
}

/* ---- The program ---- */

struct input {
    const uint8_t *p, *end;
};

static uint8_t next_byte(struct input *in)
{
    return in->p < in->end ? *in->p++ : 0;
}

static struct td_slice next_bytes(struct input *in, size_t n)
{
    size_t left = (size_t)(in->end - in->p);
    struct td_slice s = td_bytes(in->p, n < left ? n : left);
    in->p += s.n;
    return s;
}

struct side {
    uint32_t seq; /* of the next byte */
    size_t said;  /* of its words */
};

struct scene {
    struct traffic t;
    struct side side[TALKS][2];
};

static struct peer peer_of(unsigned talk, int dir)
{
    struct peer p = {{10, 0, 0, (uint8_t)(dir ? 200 : 1 + talk)}, dir ? ports[talk] : (uint16_t)(talk == 7 ? 5353 : 40000 + talk)};
    return p;
}

/* The next `n` of a side's words, which begin again at their end. */
static struct td_slice next_words(struct scene *s, unsigned talk, int dir, size_t n)
{
    struct side *side = &s->side[talk][dir];
    struct td_slice all = words[talk][dir];
    struct td_slice part = td_sub(all, side->said, side->said + n);
    side->said += part.n;
    if (side->said == all.n)
        side->said = 0;
    return part;
}

static void put_udp(struct scene *s, unsigned talk, int dir, struct td_slice bytes)
{
    traffic_udp(&s->t, peer_of(talk, dir), peer_of(talk, !dir), bytes);
}

/* The same in two fragments, the second one perhaps first. */
static void put_fragments(struct scene *s, unsigned talk, int dir, struct td_slice bytes, uint8_t how)
{
    struct peer from = peer_of(talk, dir), to = peer_of(talk, !dir);
    struct buf datagram = {0};
    traffic_datagram(&datagram, from, to, bytes);
    size_t cut = how % 64 * 8 < datagram.n ? how % 64 * 8u : 8;
    for (int i = 0; i < 2; i++) {
        bool second = (i == 1) ^ (how >> 7);
        traffic_fragment(&s->t, from, to, how, buf_slice(&datagram), second ? cut : 0, second ? datagram.n : cut);
    }
    buf_clear(&datagram);
}

static void put_tcp(struct scene *s, unsigned talk, int dir, int32_t seq_delta, int32_t ack_delta, uint8_t flags, struct td_slice bytes)
{
    uint32_t seq = s->side[talk][dir].seq + (uint32_t)seq_delta, ack = s->side[talk][!dir].seq + (uint32_t)ack_delta;
    traffic_tcp(&s->t, peer_of(talk, dir), peer_of(talk, !dir), seq, flags & ACK ? ack : 0, flags, bytes);
}

/* A packet that moves its side on. */
static void send_tcp(struct scene *s, unsigned talk, int dir, uint8_t flags, struct td_slice bytes)
{
    put_tcp(s, talk, dir, 0, 0, flags, bytes);
    s->side[talk][dir].seq += (uint32_t)bytes.n + !!(flags & SYN) + !!(flags & FIN);
}

static void do_udp(struct scene *s, struct input *in, unsigned talk, int dir, unsigned verb)
{
    switch (verb) {
    case 0:
    case 1:
    case 2: put_udp(s, talk, dir, words[talk][dir]); break;
    case 3: put_udp(s, talk, dir, next_words(s, talk, dir, next_byte(in))); break;
    case 4: put_fragments(s, talk, dir, words[talk][dir], next_byte(in)); break;
    case 5: put_fragments(s, talk, dir, next_bytes(in, next_byte(in)), 0x87); break;
    default: put_udp(s, talk, dir, next_bytes(in, next_byte(in))); break;
    }
}

static void do_tcp(struct scene *s, struct input *in, unsigned talk, int dir, unsigned verb)
{
    struct side *side = &s->side[talk][dir];
    uint8_t n = next_byte(in);
    struct td_slice bytes;
    switch (verb) {
    case 0: send_tcp(s, talk, dir, ACK, next_words(s, talk, dir, n)); break;
    case 1: send_tcp(s, talk, dir, ACK | PSH, next_words(s, talk, dir, words[talk][dir].n)); break;
    case 2: send_tcp(s, talk, dir, ACK, next_bytes(in, n)); break;
    case 3: side->seq += (uint32_t)next_words(s, talk, dir, n).n; break; /* lost */
    case 4: put_tcp(s, talk, dir, -(int32_t)n, 0, ACK, td_sub(words[talk][dir], side->said, side->said + n + next_byte(in))); break;
    case 5: put_tcp(s, talk, dir, (int8_t)n * 4, (int8_t)next_byte(in), ACK, next_bytes(in, next_byte(in) % 64)); break;
    case 6: put_tcp(s, talk, dir, (int32_t)((uint32_t)n << 24), 0, ACK, td_sub(words[talk][dir], 0, 9)); break;
    case 7: put_tcp(s, talk, dir, 0, (int32_t)((uint32_t)n << 24), ACK, td_bytes(NULL, 0)); break;
    case 8:
        send_tcp(s, talk, dir, SYN, td_bytes(NULL, 0));
        send_tcp(s, talk, !dir, SYN | ACK, td_bytes(NULL, 0));
        break;
    case 9: send_tcp(s, talk, dir, FIN | ACK, next_words(s, talk, dir, n % 8)); break;
    case 10: put_tcp(s, talk, dir, (int8_t)n, 0, RST, td_bytes(NULL, 0)); break;
    case 11: put_tcp(s, talk, dir, 0, (int8_t)n, ACK, td_bytes(NULL, 0)); break;
    case 12: /* two packets in the wrong order */
        bytes = next_words(s, talk, dir, n);
        put_tcp(s, talk, dir, (int32_t)(bytes.n / 2), 0, ACK, td_sub(bytes, bytes.n / 2, bytes.n));
        put_tcp(s, talk, dir, 0, 0, ACK, td_sub(bytes, 0, bytes.n / 2));
        side->seq += (uint32_t)bytes.n;
        break;
    case 13: /* byte by byte */
        for (bytes = next_words(s, talk, dir, n % 64); bytes.n; bytes = td_sub(bytes, 1, bytes.n))
            send_tcp(s, talk, dir, ACK, td_sub(bytes, 0, 1));
        break;
    case 14: put_tcp(s, talk, dir, 0, 0, n, next_bytes(in, next_byte(in) % 32)); break;
    default: /* anew, elsewhere */
        side->seq = (uint32_t)n << 24;
        side->said = 0;
        break;
    }
}

static void write_traffic(struct scene *s, struct input *in)
{
    traffic_init(&s->t);
    for (unsigned i = 0; i < TALKS; i++)
        s->side[i][0] = (struct side){1000 * i, 0}, s->side[i][1] = (struct side){0xffffff00u + i, 0};
    while (in->p < in->end && s->t.frames < MAX_PACKETS) {
        uint8_t code = next_byte(in);
        unsigned talk = code & 7, verb = code >> 4;
        int dir = code >> 3 & 1;
        if (code == 0xff) { /* time passes, or jumps back; and how much of the packets is captured */
            uint8_t n = next_byte(in);
            s->t.time_ns += (int64_t)(int8_t)n * 1000000000ll;
            if (s->t.time_ns < 0)
                s->t.time_ns = 0;
            s->t.snaplen = n % 5 == 0 ? 60 + n : 0;
        } else if (code == 0xfe) {
            traffic_frame(&s->t, next_bytes(in, next_byte(in)));
        } else if (is_udp(talk)) {
            do_udp(s, in, talk, dir, verb / 2);
        } else {
            do_tcp(s, in, talk, dir, verb);
        }
    }
}

/* ---- The parts, with a look inside ---- */

#define MUST(condition) ((condition) ? (void)0 : abort())

static void put_call(void *ctx, const struct td_call *call, struct buf *out)
{
    (void)ctx;
    call_put_json(out, call, true);
}

static void check_output(const struct buf *out)
{
    struct td_slice text = buf_slice(out);
    MUST(json_is_utf8(text));
    while (text.n) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        MUST(end);
        size_t n = (size_t)(end - text.p);
        json_t *object = json_loadb((const char *)text.p, n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
        MUST(json_is_object(object));
        json_decref(object);
        text = td_sub(text, n + 1, text.n);
    }
}

static void end_all(struct flow_table *table)
{
    uint32_t n = flow_table_count(table);
    struct flow **flows = malloc((n + 1) * sizeof(*flows));
    MUST(flows);
    flow_table_list(table, flows);
    for (uint32_t i = 0; i < n; i++)
        flow_table_end(table, flows[i]);
    free(flows);
    size_t slots = flow_table_memory(table); /* all that is left: slots of 8 bytes, a power of two of them */
    MUST(flow_table_count(table) == 0 && (slots & (slots - 1)) == 0);
}

static void run_parts(const struct rig *rig, struct td_slice pcap, const struct flow_limits *limits, unsigned long fail_at)
{
    struct worker worker;
    struct shard shard = {.worker = &worker};
    struct capture *capture;
    struct packet packets[32];
    struct block *block;
    int n;
    MUST(capture_open_memory(pcap, &capture, NULL) == TD_OK);
    worker_init(&worker, &rig->dissectors.set, put_call, NULL);
    shard.flows = shard_flows_new(&shard, limits);
    struct decoder *decoder = decoder_new(4096);
    MUST(shard.flows && decoder);
    mem_fail_at(fail_at);
    while ((n = capture_read(capture, packets, 32, &block, NULL)) > 0) {
        for (int i = 0; i < n; i++) {
            struct decoded d;
            if (decode_packet(decoder, &packets[i], &d) != DECODE_OK)
                continue;
            struct flow_packet pkt = {
                d.ip,        d.l4, d.l4_caplen, d.l4_len, packets[i].time_ns, packets[i].frame, d.datagram, flow_hash(&d, 0), d.ip_version,
                d.transport, 0};
            flow_table_packet(shard.flows, &pkt);
            MUST(flow_table_memory(shard.flows) <= limits->max_memory || flow_table_count(shard.flows) == 0);
            if (d.datagram)
                block_unref(&d.datagram->block);
        }
        block_unref(block);
    }
    end_all(shard.flows);
    mem_fail_at(0);
    if (!worker.out.failed)
        check_output(&worker.out);
    MUST(worker.stats.misuse == 0);
    flow_table_free(shard.flows);
    worker_clear(&worker);
    decoder_free(decoder);
    capture_close(capture);
}

static void run_engines(struct rig *rig, struct td_slice pcap)
{
    rig->options.threads = 1;
    (void)rig_run(rig, pcap);
    struct buf one = rig->out;
    rig->out = (struct buf){0};
    rig->options.threads = 3;
    (void)rig_run(rig, pcap);
    MUST(td_eq(buf_slice(&rig->out), buf_slice(&one)));
    buf_clear(&one);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct rig rig;
    if (!rig.config)
        rig_open(&rig, plugins);
    struct input in = {data, data + size};
    struct scene scene;
    uint8_t settings = next_byte(&in), more = next_byte(&in);
    static const size_t memory[] = {1 << 20, 1 << 20, 64 << 10, 24 << 10};
    static const size_t connection[] = {1 << 20, 32 << 10, 8 << 10, 4 << 10};
    struct flow_limits limits = {memory[settings & 3], connection[settings >> 2 & 3], settings & 0x10 ? 5000000000ll : 3600000000000ll,
                                 3000000000ll};
    write_traffic(&scene, &in);
    run_parts(&rig, buf_slice(&scene.t.pcap), &limits, settings & 0x20 ? more : 0);
    if (settings >> 5 == 7 || settings >> 5 == 4) {
        rig.options.max_memory = limits.max_memory * ENGINE_SHARDS;
        rig.options.max_connection_memory = limits.max_connection_memory;
        run_engines(&rig, buf_slice(&scene.t.pcap));
    }
    traffic_clear(&scene.t);
    return 0;
}
