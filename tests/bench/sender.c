/* Sends numbered packets on a network interface, as fast as it can or at a given rate:
 *
 *     sender IFACE [--size BYTES[-BYTES]] [--rate PACKETS_PER_S] [--count N | --seconds S] [--flows F] [--share N] [--first N]
 *
 * and then prints `packets bytes seconds packets_per_s` in one line. SIGTERM and SIGINT end it early, with that line.
 *
 * Frames are UDP and TCP over IPv4 with right lengths and checksums, between clients 10.1.x.y and servers 10.2.0.z of F flows;
 * every Nth packet (--share; 0: none) goes from the chosen host SENDER_HOST instead. The payload begins with the packet's number in
 * SENDER_NUMBER bytes, big-endian; tally.c reads it again. A rate is kept in batches of at most a millisecond; what the
 * machine held up is caught up with, but for delays of over DEBT_NS.
 *
 * AF_PACKET with sendmmsg(), past the queueing discipline: on a veth pair the receiver's work, up to the copy into the capturing
 * socket's buffer, is done in this process's time. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "sender.h"

enum {
    BATCH = 64,
    ETHERNET = 14,
    IPV4 = 20,
    UDP = 8,
    TCP = 20,
    MIN_SIZE = ETHERNET + IPV4 + TCP + SENDER_NUMBER,
    MAX_SIZE = 9014,
    SLOT = 9216,
    MAX_FLOWS = 1 << 20,
    DEBT_NS = 10000000,
    BATCH_NS = 1000000,
    S = 1000000000
};

struct options {
    const char *iface;
    uint64_t rate, count, first, share;
    double seconds;
    uint32_t flows, min_size, max_size;
};

struct sender {
    struct options options;
    int fd;
    uint8_t *slots;
    uint32_t *tcp_sequences;     /* of each flow */
    uint32_t sums[MAX_SIZE + 2]; /* of the payload's filling up to a place, as the checksum wants it */
    uint64_t number, bytes;
    int64_t begin_ns;
};

static void die(const char *what)
{
    fprintf(stderr, "sender: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * S + t.tv_nsec;
}

/* ---- Frames ---- */

static void put16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
    put16(p, v >> 16);
    put16(p + 2, v);
}

static uint32_t sum_words(const uint8_t *p, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i + 1 < n; i += 2)
        sum += (uint32_t)p[i] << 8 | p[i + 1];
    return n & 1 ? sum + ((uint32_t)p[n - 1] << 8) : sum;
}

static uint32_t fold(uint32_t sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return ~sum & 0xffff;
}

/* What stands behind the numbers: text that compresses to about half, the same in all packets. */
static uint8_t filling(uint32_t at)
{
    uint32_t x = (at + 1) * 2654435761u;
    return (uint8_t)("abcdefghijklmnop"[(x >> 28) & 15]);
}

static void prepare_filling(struct sender *s)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i <= MAX_SIZE; i++) {
        s->sums[i] = sum;
        sum += i & 1 ? filling(i) : (uint32_t)filling(i) << 8;
    }
    for (uint32_t slot = 0; slot < BATCH; slot++)
        for (uint32_t i = 0; i < SLOT; i++)
            s->slots[slot * SLOT + i] = filling(i);
}

struct flow {
    uint32_t index, client, server;
    uint16_t client_port, server_port;
    bool tcp;
};

static struct flow choose_flow(const struct sender *s, uint64_t number)
{
    static const uint16_t ports[] = {80, 443, 53, 8080};
    uint32_t i = (uint32_t)((number * 0x9e3779b97f4a7c15u) >> 40) % s->options.flows;
    struct flow f = {.index = i,
                     .client = 0x0a010000 | (i / 250 & 255) << 8 | (i % 250 + 1),
                     .server = 0x0a020001 + i % 50,
                     .client_port = (uint16_t)(20000 + i % 40000),
                     .server_port = ports[i % 4],
                     .tcp = i & 1};
    if (s->options.share && number % s->options.share == 0)
        f.client = SENDER_HOST;
    return f;
}

static void put_ipv4(uint8_t *p, const struct flow *f, uint32_t length, uint64_t number)
{
    p[0] = 0x45;
    p[1] = 0;
    put16(p + 2, length);
    put16(p + 4, (uint32_t)number & 0xffff);
    put16(p + 6, 0x4000); /* don't fragment */
    p[8] = 64;
    p[9] = f->tcp ? IPPROTO_TCP : IPPROTO_UDP;
    put16(p + 10, 0);
    put32(p + 12, f->client);
    put32(p + 16, f->server);
    put16(p + 10, fold(sum_words(p, IPV4)));
}

static uint32_t put_transport(struct sender *s, uint8_t *p, const struct flow *f, uint32_t length)
{
    put16(p, f->client_port);
    put16(p + 2, f->server_port);
    if (!f->tcp) {
        put16(p + 4, length);
        put16(p + 6, 0);
        return UDP;
    }
    put32(p + 4, s->tcp_sequences[f->index]);
    put32(p + 8, 1);
    put16(p + 12, 5 << 12 | 0x18); /* PSH, ACK */
    put16(p + 14, 65535);
    put32(p + 16, 0);
    s->tcp_sequences[f->index] += length - TCP;
    return TCP;
}

static void put_frame(struct sender *s, uint8_t *p, uint32_t size, uint64_t number)
{
    static const uint8_t macs[ETHERNET] = {2, 'T', 'D', 0, 0, 2, SENDER_MAC, 8, 0};
    struct flow f = choose_flow(s, number);
    uint8_t *ip = p + ETHERNET, *transport = ip + IPV4;
    uint32_t length = size - ETHERNET - IPV4;
    memcpy(p, macs, sizeof(macs));
    put_ipv4(ip, &f, size - ETHERNET, number);
    uint32_t header = put_transport(s, transport, &f, length);
    uint8_t *payload = transport + header;
    uint32_t rest = length - header - SENDER_NUMBER;
    for (int i = 0; i < SENDER_NUMBER; i++)
        payload[i] = (uint8_t)(number >> 8 * (SENDER_NUMBER - 1 - i));
    /* The filling stands at the same place of every frame, whatever the headers: only what a shorter header uncovers is written. */
    uint32_t from = (uint32_t)(payload + SENDER_NUMBER - p);
    uint8_t *begin = p + from;
    for (; begin < p + MIN_SIZE && begin < p + size; begin++)
        *begin = filling((uint32_t)(begin - p));
    uint32_t sum = sum_words(ip + 12, 8) + (f.tcp ? IPPROTO_TCP : IPPROTO_UDP) + length;
    sum += sum_words(transport, header + SENDER_NUMBER) + s->sums[from + rest] - s->sums[from];
    uint32_t folded = fold(sum);
    put16(transport + (f.tcp ? 16 : 6), folded || f.tcp ? folded : 0xffff);
}

static uint32_t choose_size(const struct options *o, uint64_t number)
{
    uint32_t range = o->max_size - o->min_size + 1;
    return o->min_size + (range > 1 ? (uint32_t)((number * 0xd1342543de82ef95u) >> 40) % range : 0);
}

/* ---- Sending ---- */

static void open_socket(struct sender *s)
{
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(s->options.iface)};
    if (!address.sll_ifindex)
        die(s->options.iface);
    s->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: it receives nothing */
    if (s->fd < 0)
        die("packet socket");
    int on = 1, bytes = 16 << 20;
    if (setsockopt(s->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)) < 0)
        die("PACKET_QDISC_BYPASS");
    if (setsockopt(s->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
        setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    if (bind(s->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        die("bind");
}

static void send_batch(struct sender *s, unsigned n)
{
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    memset(messages, 0, sizeof(messages));
    for (unsigned i = 0; i < n; i++) {
        uint32_t size = choose_size(&s->options, s->number);
        parts[i] = (struct iovec){s->slots + (size_t)i * SLOT, size};
        put_frame(s, parts[i].iov_base, size, s->number++);
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        s->bytes += size;
    }
    for (unsigned sent = 0; sent < n;) {
        int more = sendmmsg(s->fd, messages + sent, n - sent, 0);
        if (more > 0)
            sent += (unsigned)more;
        else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR)
            die("sendmmsg");
    }
}

static bool is_stopped(const sigset_t *signals)
{
    static const struct timespec at_once = {0, 0};
    return sigtimedwait(signals, NULL, &at_once) > 0;
}

/* Waits until the next batch is due; how long the plan was missed by, if that cannot be caught up with. */
static int64_t wait_until(int64_t due_ns)
{
    int64_t late = now_ns() - due_ns;
    if (late >= 0)
        return late > DEBT_NS ? late - DEBT_NS : 0;
    struct timespec t = {due_ns / S, due_ns % S};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
    return 0;
}

static void run(struct sender *s, const sigset_t *signals)
{
    const struct options *o = &s->options;
    uint64_t batch = o->rate ? o->rate / (S / BATCH_NS) : BATCH, sent = 0;
    batch = batch < 1 ? 1 : batch > BATCH ? BATCH : batch;
    s->begin_ns = now_ns();
    int64_t end_ns = o->seconds > 0 ? s->begin_ns + (int64_t)(o->seconds * S) : INT64_MAX, forgiven = 0;
    while (sent < o->count && !is_stopped(signals) && now_ns() < end_ns) {
        if (o->rate)
            forgiven += wait_until(s->begin_ns + forgiven + (int64_t)((double)sent / (double)o->rate * S));
        uint64_t n = o->count - sent < batch ? o->count - sent : batch;
        send_batch(s, (unsigned)n);
        sent += n;
    }
}

/* ---- The command line ---- */

static uint64_t read_number(const char *text, uint64_t least, uint64_t most)
{
    char *end;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    if (errno || *end || end == text || v < least || v > most) {
        fprintf(stderr, "sender: %s is not a number of %" PRIu64 " to %" PRIu64 "\n", text, least, most);
        exit(2);
    }
    return v;
}

static void read_size(char *text, struct options *o)
{
    char *dash = strchr(text, '-');
    if (dash)
        *dash = 0;
    o->min_size = (uint32_t)read_number(text, MIN_SIZE, MAX_SIZE);
    o->max_size = dash ? (uint32_t)read_number(dash + 1, o->min_size, MAX_SIZE) : o->min_size;
}

static void read_options(int argc, char **argv, struct options *o)
{
    static const struct option names[] = {
        {"size", 1, NULL, 's'},  {"rate", 1, NULL, 'r'},  {"count", 1, NULL, 'c'},   {"flows", 1, NULL, 'f'},
        {"share", 1, NULL, 'h'}, {"first", 1, NULL, 'n'}, {"seconds", 1, NULL, 't'}, {0}};
    *o = (struct options){.count = UINT64_MAX, .share = 1000, .flows = 1000, .min_size = 1024, .max_size = 1024};
    int c;
    while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (c) {
        case 's': read_size(optarg, o); break;
        case 'r': o->rate = read_number(optarg, 1, 100000000); break;
        case 'c': o->count = read_number(optarg, 1, UINT64_MAX); break;
        case 'f': o->flows = (uint32_t)read_number(optarg, 1, MAX_FLOWS); break;
        case 'h': o->share = read_number(optarg, 0, UINT64_MAX); break;
        case 'n': o->first = read_number(optarg, 0, UINT64_MAX >> 16); break;
        case 't': o->seconds = (double)read_number(optarg, 1, 1000000); break;
        default: exit(2);
        }
    }
    if (optind + 1 != argc) {
        fprintf(stderr, "usage: sender IFACE [--size BYTES[-BYTES]] [--rate PACKETS_PER_S] [--count N | --seconds S] [--flows F] "
                        "[--share N] [--first N]\n");
        exit(2);
    }
    o->iface = argv[optind];
}

int main(int argc, char **argv)
{
    static struct sender sender; /* too large for the stack */
    struct sender *s = &sender;
    sigset_t signals;
    read_options(argc, argv, &s->options);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    prctl(PR_SET_TIMERSLACK, 1);
    s->slots = calloc(BATCH, SLOT);
    s->tcp_sequences = calloc(s->options.flows, sizeof(*s->tcp_sequences));
    if (!s->slots || !s->tcp_sequences)
        die("memory");
    s->number = s->options.first;
    prepare_filling(s);
    open_socket(s);
    run(s, &signals);
    double seconds = (double)(now_ns() - s->begin_ns) / S;
    uint64_t packets = s->number - s->options.first;
    printf("%" PRIu64 " %" PRIu64 " %.3f %.0f\n", packets, s->bytes, seconds, (double)packets / seconds);
    close(s->fd);
    free(s->slots);
    free(s->tcp_sequences);
    return 0;
}
