/* Live capture on veth pairs and the loopback in a network namespace of its own: the real kernel, the real libpcap, and exact counts.
 *
 * The interfaces that are captured are called c0, c1 ...; their other ends, which send, p0, p1 ... */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/units.h"
#include "capture/packet_source.h"
#include "capture/privileges.h"
#include "tap.h"

enum {
    MAX_INTERFACES = 64,
    MAX_SENT = 2048,
    TEST_PROTOCOL = 0x88b5, /* EtherType for local experiments: nothing else is counted */
    OWN_PORT = 48999,
    OTHER_PORT = 48998,
    PATIENCE_MS = 5000
};

/* What the sink was told, by the number that it gave an interface. */
struct told {
    uint32_t up, downs;
    struct {
        char name[32], description[128], filter[64], why[128];
        uint32_t linktype, snaplen;
        bool down;
        uint64_t packets, other, caplen, own_port, other_port, out_of_order;
        uint32_t next;
        struct source_drops drops;
    } v[MAX_INTERFACES];
    int64_t first_ns, last_ns;
    uint64_t packets;
};

static int on_up(void *ctx, const struct source_interface *i, uint32_t *ret, struct error *err)
{
    struct told *t = ctx;
    if (t->up == MAX_INTERFACES)
        return error_set(err, TD_E_LIMIT, "too many interfaces");
    snprintf(t->v[t->up].name, sizeof(t->v[0].name), "%s", i->name);
    snprintf(t->v[t->up].description, sizeof(t->v[0].description), "%s", i->description ? i->description : "");
    snprintf(t->v[t->up].filter, sizeof(t->v[0].filter), "%s", i->filter ? i->filter : "");
    t->v[t->up].linktype = i->linktype;
    t->v[t->up].snaplen = i->snaplen;
    *ret = t->up++;
    return TD_OK;
}

static void on_down(void *ctx, uint32_t iface, const char *why)
{
    struct told *t = ctx;
    ok(iface < t->up && !t->v[iface].down, "an interface that is up goes down: %s", why);
    t->v[iface].down = true;
    snprintf(t->v[iface].why, sizeof(t->v[0].why), "%s", why);
    t->downs++;
}

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

/* Of a test frame its number is checked; of a TCP segment over IPv4 its ports. */
static void on_packet(void *ctx, uint32_t iface, int64_t time_ns, const uint8_t *p, uint32_t caplen, uint32_t len)
{
    struct told *t = ctx;
    uint32_t header = t->v[iface].linktype == 276 ? 20 : 14, number;
    const uint8_t *body = p + header;
    uint16_t protocol = caplen < header + 4 ? 0 : header == 20 ? get16(p) : get16(p + 12);
    if (!t->packets++)
        t->first_ns = time_ns;
    t->last_ns = time_ns;
    t->v[iface].caplen += caplen;
    if (protocol == TEST_PROTOCOL) {
        memcpy(&number, body, sizeof(number));
        t->v[iface].packets++;
        t->v[iface].out_of_order += number < t->v[iface].next || len < caplen;
        t->v[iface].next = number + 1;
        return;
    }
    t->v[iface].other++;
    if (protocol == 0x0800 && caplen >= header + 40 && body[9] == 6) {
        t->v[iface].own_port += get16(body + 20) == OWN_PORT || get16(body + 22) == OWN_PORT;
        t->v[iface].other_port += get16(body + 20) == OTHER_PORT || get16(body + 22) == OTHER_PORT;
    }
}

static const struct live_options usual = {.filter = "ether proto 0x88b5", .buffer_size = 8 << 20};

static struct packet_source *open_live(struct live_options o, const char *const *names, size_t n, struct told *told)
{
    struct packet_source *s = NULL;
    struct error err = {0};
    *told = (struct told){0};
    o.interfaces = names;
    o.interface_count = n;
    if (packet_source_open_live(&o, &(struct source_sink){told, on_up, on_down, on_packet}, &s, &err) != TD_OK)
        tap_diag("%s", err.text);
    ok(s != NULL, "a live source on %s", names[0]);
    if (!s)
        exit(tap_done());
    return s;
}

/* ---- The world around it ---- */

static void sh(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void sh(const char *format, ...)
{
    char command[512];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        ok(false, "%s", command);
}

static void add_pair(int i)
{
    sh("ip link add c%d type veth peer name p%d && ip link set p%d up && ip link set c%d up", i, i, i, i);
}

static void remove_pair(int i)
{
    sh("ip link del c%d", i);
}

static int64_t clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* Sends `n` numbered test frames of `size` bytes into an interface. */
static void send_frames(const char *name, uint32_t n, size_t size)
{
    static const uint8_t foreign[6] = {2, 0, 0, 0, 0, 9};
    uint8_t frame[MAX_SENT] = {0};
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name), .sll_halen = 6};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    memcpy(frame, foreign, 6);
    frame[12] = TEST_PROTOCOL >> 8;
    frame[13] = TEST_PROTOCOL & 0xff;
    uint32_t sent = 0;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(frame + 14, &i, sizeof(i));
        sent += sendto(fd, frame, size, 0, (struct sockaddr *)&to, sizeof(to)) == (ssize_t)size;
    }
    close(fd);
    is_int(sent, n, "%u frames go into %s", n, name);
}

/* ---- Waiting ---- */

static bool is_up(const struct told *t, const char *name)
{
    for (uint32_t i = 0; i < t->up; i++)
        if (strcmp(t->v[i].name, name) == 0 && !t->v[i].down)
            return true;
    return false;
}

static uint64_t test_frames(const struct told *t)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->up; i++)
        n += t->v[i].packets;
    return n;
}

static void run(struct packet_source *s, int ms)
{
    struct error err = {0};
    bool ended = false;
    if (packet_source_run(s, ms, &ended, &err) != TD_OK || ended)
        ok(false, "a run fails: %s", err.text);
}

static void run_for(struct packet_source *s, int ms)
{
    for (int64_t until = clock_ns() + (int64_t)ms * NS_PER_MS; clock_ns() < until;)
        run(s, 50);
}

static bool comes_up(struct packet_source *s, const struct told *t, const char *name)
{
    for (int64_t until = clock_ns() + (int64_t)PATIENCE_MS * NS_PER_MS; !is_up(t, name) && clock_ns() < until;)
        run(s, 50);
    return is_up(t, name);
}

static bool goes_down(struct packet_source *s, const struct told *t, uint32_t downs)
{
    for (int64_t until = clock_ns() + (int64_t)PATIENCE_MS * NS_PER_MS; t->downs < downs && clock_ns() < until;)
        run(s, 50);
    return t->downs == downs;
}

/* Exactly `n` test frames, and no more after them. */
static bool frames_come(struct packet_source *s, const struct told *t, uint64_t n)
{
    for (int64_t until = clock_ns() + (int64_t)PATIENCE_MS * NS_PER_MS; test_frames(t) < n && clock_ns() < until;)
        run(s, 50);
    run_for(s, 150);
    return test_frames(t) == n;
}

static void add_drops(struct packet_source *s, struct told *t)
{
    struct source_drops drops[2];
    for (size_t n = 2; n == 2;) {
        n = packet_source_drops(s, drops, 2);
        for (size_t i = 0; i < n; i++) {
            t->v[drops[i].iface].drops.received += drops[i].received;
            t->v[drops[i].iface].drops.by_kernel += drops[i].by_kernel;
            t->v[drops[i].iface].drops.by_interface += drops[i].by_interface;
        }
        if (t->up <= 2)
            break; /* all were told */
    }
}

/* ---- Tests ---- */

static void test_counts(void)
{
    static const char *const names[] = {"c?"};
    struct told t;
    struct live_options o = usual;
    add_pair(0);
    add_pair(1);
    o.filter = "";
    struct packet_source *s = open_live(o, names, 1, &t);
    is_int(t.up, 2, "a pattern matches both");
    is_int(t.v[0].linktype, 1, "Ethernet");
    is_int(t.v[0].snaplen, 262144, "whole packets");
    int64_t before = (int64_t)time(NULL) * NS_PER_S;
    send_frames("p0", 10000, 64);
    send_frames("p1", 3000, 1000);
    ok(frames_come(s, &t, 13000), "every frame is captured");
    uint32_t c0 = strcmp(t.v[0].name, "c0") == 0 ? 0 : 1;
    is_int(t.v[c0].packets, 10000, "those of the first interface");
    is_int(t.v[1 - c0].packets, 3000, "those of the second");
    is_int(t.v[0].out_of_order + t.v[1].out_of_order, 0, "in order");
    ok(t.first_ns >= before && t.last_ns <= ((int64_t)time(NULL) + 1) * NS_PER_S, "with the time of now");
    ok(t.first_ns % NS_PER_US != 0 || t.last_ns % NS_PER_US != 0, "in nanoseconds");
    add_drops(s, &t);
    is_int(t.v[c0].drops.received, t.v[c0].packets + t.v[c0].other, "the kernel has counted as many");
    is_int(t.v[c0].drops.by_kernel + t.v[c0].drops.by_interface, 0, "and dropped none");
    add_drops(s, &t);
    is_int(t.v[c0].drops.received, t.v[c0].packets + t.v[c0].other, "drops are differences");
    packet_source_close(s);
    remove_pair(0);
    remove_pair(1);
}

static void test_coming_and_going(void)
{
    static const char *const names[] = {"nowhere", "c*"};
    struct told t;
    struct packet_source *s = open_live(usual, names, 2, &t);
    is_int(t.up, 0, "no interface yet");
    add_pair(0);
    ok(comes_up(s, &t, "c0"), "an interface that comes is opened");
    send_frames("p0", 500, 100);
    remove_pair(0); /* at once: the last block is still the kernel's */
    ok(goes_down(s, &t, 1), "an interface that goes is told");
    is_int(t.v[0].packets, 500, "with its last packets before");
    is_str(t.v[0].why, "the interface is gone", "and why");
    add_drops(s, &t);
    is_int(t.v[0].drops.received, 500, "what was counted until its end is told, too");
    add_pair(0);
    ok(comes_up(s, &t, "c0"), "another one of the same name is opened");
    is_int(t.up, 2, "as another interface");
    send_frames("p0", 300, 100);
    ok(frames_come(s, &t, 800), "and captured");
    is_int(t.v[1].packets, 300, "under its number");
    sh("ip link del c0 && ip link add c0 type veth peer name p0 && ip link set p0 up && ip link set c0 up");
    ok(goes_down(s, &t, 2), "replaced at once: the old one goes");
    ok(comes_up(s, &t, "c0"), "and the new one comes");
    send_frames("p0", 10, 100);
    ok(frames_come(s, &t, 810), "and is captured");
    sh("ip link set c0 down && ip link set c0 name d0 && ip link set d0 up");
    ok(goes_down(s, &t, 3), "renamed out of the pattern: it goes");
    like(t.v[2].why, "renamed to d0", "and why");
    sh("ip link set d0 down && ip link set d0 name c9 && ip link set c9 up");
    ok(comes_up(s, &t, "c9"), "renamed into it: it comes");
    packet_source_close(s);
    sh("ip link del c9");
}

static void test_down_and_up(void)
{
    static const char *const names[] = {"c0"};
    struct told t;
    add_pair(0);
    struct packet_source *s = open_live(usual, names, 1, &t);
    send_frames("p0", 10, 100);
    sh("ip link set c0 down");
    run_for(s, 250);
    is_int(test_frames(&t), 10, "what came before it was set down");
    is_int(t.downs, 0, "an interface that is down stays open");
    sh("ip link set c0 up");
    run_for(s, 200);
    send_frames("p0", 10, 100);
    ok(frames_come(s, &t, 20), "and goes on when it is up again");
    is_int(t.up, 1, "as the same interface");
    packet_source_close(s);
    sh("ip link set c0 down");
    s = open_live(usual, names, 1, &t);
    is_int(t.up, 0, "one that is down cannot be opened");
    sh("ip link set c0 up");
    ok(comes_up(s, &t, "c0"), "but is once it is up");
    packet_source_close(s);
    remove_pair(0);
}

static void test_any(void)
{
    static const char *const names[] = {"any"};
    struct told t;
    add_pair(0);
    struct live_options o = usual;
    o.promiscuous = true;
    struct packet_source *s = open_live(o, names, 1, &t);
    is_str(t.v[0].name, "any", "any is an interface");
    is_int(t.v[0].linktype, 276, "with a header that tells the interface");
    add_pair(1);
    run_for(s, 200);
    send_frames("p1", 100, 100);
    /* Each frame goes out of one end and comes in at the other. */
    ok(frames_come(s, &t, 200), "frames of an interface that came later, on both of its ends");
    remove_pair(1);
    run_for(s, 200);
    is_int(t.downs, 0, "it stays when an interface goes");
    packet_source_close(s);
    remove_pair(0);
}

static int promiscuity(const char *name)
{
    char command[128], line[512] = "";
    snprintf(command, sizeof(command), "ip -details link show dev %s | grep -o 'promiscuity [0-9]*'", name);
    FILE *out = popen(command, "re");
    bool read = out && fgets(line, sizeof(line), out);
    if (out)
        pclose(out);
    return read ? (int)strtol(line + strlen("promiscuity "), NULL, 10) : -1;
}

static void test_promiscuous_and_snaplen(void)
{
    static const char *const names[] = {"c0"};
    struct told t;
    struct live_options o = usual;
    add_pair(0);
    struct packet_source *s = open_live(o, names, 1, &t);
    is_int(promiscuity("c0"), 0, "not promiscuous unless asked for");
    packet_source_close(s);
    o.promiscuous = true;
    o.snaplen = 60;
    s = open_live(o, names, 1, &t);
    is_int(promiscuity("c0"), 1, "promiscuous");
    is_int(t.v[0].snaplen, 60, "the length is told");
    send_frames("p0", 10, 1000);
    ok(frames_come(s, &t, 10), "long frames come");
    is_int(t.v[0].caplen, 600, "cut");
    packet_source_close(s);
    is_int(promiscuity("c0"), 0, "and off again");
    remove_pair(0);
}

/* The buffer is small and nobody reads: the kernel says how much it had to drop. */
static void test_drops(void)
{
    enum { N = 20000 };
    static const char *const names[] = {"c0"};
    struct told t;
    struct live_options o = usual;
    o.buffer_size = 1 << 20;
    o.filter = "";
    add_pair(0);
    struct packet_source *s = open_live(o, names, 1, &t);
    run_for(s, 200); /* until what its coming up has caused is over */
    send_frames("p0", N, 1000);
    run_for(s, 250);
    add_drops(s, &t);
    ok(t.v[0].drops.by_kernel > 0, "a reader that pauses: the kernel drops (%d)", (int)t.v[0].drops.by_kernel);
    ok(t.v[0].packets > 500 && t.v[0].packets < N, "what fitted is captured (%d)", (int)t.v[0].packets);
    is_int(t.v[0].packets + t.v[0].other + t.v[0].drops.by_kernel, t.v[0].drops.received, "no packet is neither captured nor told");
    uint64_t had = test_frames(&t);
    send_frames("p0", 100, 1000);
    ok(frames_come(s, &t, had + 100), "then it goes on");
    packet_source_close(s);
    remove_pair(0);
}

/* A connection over the loopback interface, and a few bytes. */
static void talk(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    bool listens = bind(listener, (struct sockaddr *)&at, sizeof(at)) == 0 && listen(listener, 1) == 0;
    ok(listens && connect(client, (struct sockaddr *)&at, sizeof(at)) == 0, "a connection to port %u", port);
    int server = accept(listener, NULL, NULL);
    char bytes[5] = {0};
    ok(write(client, "hello", 5) == 5 && read(server, bytes, 5) == 5, "and bytes");
    close(client);
    close(server);
    close(listener);
}

static void test_own_traffic(void)
{
    static const char *const names[] = {"lo"};
    static const uint16_t own[] = {OWN_PORT};
    struct told t;
    struct live_options o = usual;
    o.filter = "tcp";
    struct packet_source *s = open_live(o, names, 1, &t);
    talk(OWN_PORT);
    run_for(s, 200);
    ok(t.v[0].own_port >= 5, "everything is captured when nothing is left out (%d)", (int)t.v[0].own_port);
    packet_source_close(s);
    o.own_ports = own;
    o.own_port_count = 1;
    s = open_live(o, names, 1, &t);
    is_str(t.v[0].description, "without TCP traffic of the capturing machine's ports 48999", "what is left out is told");
    is_str(t.v[0].filter, "tcp", "with the user's filter");
    talk(OWN_PORT);
    talk(OTHER_PORT);
    run_for(s, 200);
    is_int(t.v[0].own_port, 0, "own traffic is left out");
    ok(t.v[0].other_port >= 5, "the rest is not (%d)", (int)t.v[0].other_port);
    packet_source_close(s);
}

/* An address that comes later is this machine's as well. */
static void test_new_address(void)
{
    static const char *const names[] = {"c0"};
    static const uint16_t own[] = {OWN_PORT};
    struct told t;
    struct live_options o = {.filter = "", .buffer_size = 1 << 20, .own_ports = own, .own_port_count = 1};
    uint8_t frame[54] = {2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, 8, 8, 0, 0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6};
    memcpy(frame + 26, "\xc0\x00\x02\x01\xc0\x00\x02\x02", 8); /* 192.0.2.1 to 192.0.2.2 */
    frame[34] = OTHER_PORT >> 8;
    frame[35] = OTHER_PORT & 0xff;
    frame[36] = OWN_PORT >> 8;
    frame[37] = OWN_PORT & 0xff;
    add_pair(0);
    struct packet_source *s = open_live(o, names, 1, &t);
    struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex("p0"), .sll_halen = 6};
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    (void)!sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to));
    run_for(s, 200);
    is_int(t.v[0].own_port, 1, "the port of a machine that is not this one is captured");
    sh("ip address add 192.0.2.2/24 dev c0");
    run_for(s, 250);
    (void)!sendto(fd, frame, sizeof(frame), 0, (struct sockaddr *)&to, sizeof(to));
    run_for(s, 200);
    is_int(t.v[0].own_port, 1, "and left out once the address is this machine's");
    is_int(t.up, 1, "without a new interface");
    close(fd);
    packet_source_close(s);
    remove_pair(0);
}

static void test_reconfigure(void)
{
    static const char *const names[] = {"c0", "c1"};
    struct told t;
    struct error err = {0};
    add_pair(0);
    add_pair(1);
    struct live_options o = usual;
    struct packet_source *s = open_live(o, names, 1, &t);
    o.interfaces = names + 1;
    o.interface_count = 1;
    is_int(packet_source_reconfigure(s, &o, &err), TD_OK, "another interface");
    ok(goes_down(s, &t, 1) && comes_up(s, &t, "c1"), "the one goes, the other comes");
    like(t.v[0].why, "no longer configured", "and why");
    o.filter = "ether proto";
    is_int(packet_source_reconfigure(s, &o, &err), TD_E_CONFIG, "a filter that is none");
    send_frames("p1", 10, 100);
    ok(frames_come(s, &t, 10), "the old options hold");
    o.filter = "ether proto 0x88b6";
    is_int(packet_source_reconfigure(s, &o, &err), TD_OK, "another filter");
    is_int(t.downs * 10 + t.up, 23, "the interface has another number");
    send_frames("p1", 10, 100);
    ok(frames_come(s, &t, 10), "and what it does not match is not captured");
    o.filter = "wlan type mgt";
    is_int(packet_source_reconfigure(s, &o, &err), TD_OK, "a filter for another link type");
    ok(goes_down(s, &t, 3), "matches nothing here: the interface goes");
    like(t.v[2].why, "makes no sense for link type 1", "and why: %s", t.v[2].why);
    packet_source_close(s);
    remove_pair(0);
    remove_pair(1);
}

static void *wake_later(void *arg)
{
    struct timespec pause = {.tv_nsec = 20 * NS_PER_MS};
    nanosleep(&pause, NULL);
    packet_source_wake(arg);
    return NULL;
}

static void test_wake(void)
{
    static const char *const names[] = {"c0"};
    struct told t;
    pthread_t thread;
    add_pair(0);
    struct packet_source *s = open_live(usual, names, 1, &t);
    run_for(s, 200); /* what its coming up has caused */
    int64_t start = clock_ns();
    run(s, 200);
    int64_t took = clock_ns() - start;
    ok(took > 150 * (int64_t)NS_PER_MS && took < 2 * (int64_t)NS_PER_S, "a run waits as long as it may (%.3f s)", (double)took / NS_PER_S);
    start = clock_ns();
    pthread_create(&thread, NULL, wake_later, s);
    run(s, 60000);
    ok(clock_ns() - start < NS_PER_S, "or until it is woken");
    pthread_join(thread, NULL);
    packet_source_close(s);
    remove_pair(0);
}

/* What packet_source_check() tells. */
struct findings {
    int good, bad;
    char text[2048];
};

static void note(void *ctx, bool good, const char *what)
{
    struct findings *f = ctx;
    size_t n = strlen(f->text);
    *(good ? &f->good : &f->bad) += 1;
    snprintf(f->text + n, sizeof(f->text) - n, "%s\n", what);
}

/* ---- In a child, because there is no way back ---- */

static bool in_child(bool (*check)(void))
{
    int status = 1;
    fflush(stdout); /* or a sanitizer writes it twice */
    pid_t child = fork();
    if (child == 0) {
        bool good = check();
        fflush(stdout);
        _exit(good ? 0 : 1);
    }
    waitpid(child, &status, 0);
    return status == 0;
}

static bool without_rights(void)
{
    static const char *const names[] = {"c0"};
    struct told t = {0};
    struct packet_source *s = NULL;
    struct error err = {0};
    struct live_options o = usual;
    o.interfaces = names;
    o.interface_count = 1;
    if (privileges_drop(NULL, false, &err) != TD_OK)
        return false;
    struct findings f = {0};
    int status = packet_source_open_live(&o, &(struct source_sink){&t, on_up, on_down, on_packet}, &s, &err);
    bool denied = status == TD_E_DENIED && strstr(err.text, "CAP_NET_RAW") && !s;
    return denied && packet_source_check(&o, note, &f, &err) == TD_E_DENIED && f.bad == 1 && strstr(f.text, "setcap") &&
           strstr(f.text, "c0: is there and up");
}

static bool after_dropping(void)
{
    static const char *const names[] = {"c*"};
    struct told t = {0};
    struct packet_source *s = NULL;
    struct error err = {0};
    struct live_options o = usual;
    o.interfaces = names;
    o.interface_count = 1;
    o.promiscuous = true;
    if (packet_source_open_live(&o, &(struct source_sink){&t, on_up, on_down, on_packet}, &s, &err) != TD_OK)
        return false;
    /* In a user namespace there may be no other user. */
    if (privileges_drop("nobody", true, &err) != TD_OK && !strstr(err.text, "cannot become user"))
        return false;
    bool comes = comes_up(s, &t, "c1");
    packet_source_close(s);
    return comes;
}

/* Bytes. */
static rlim_t address_space(void)
{
    FILE *statm = fopen("/proc/self/statm", "re");
    char line[64] = "";
    bool read = statm && fgets(line, sizeof(line), statm);
    if (statm)
        fclose(statm);
    return read ? strtoull(line, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) : 0;
}

/* The address space has no room for the buffer that is asked for, but for a smaller one. */
static bool with_little_memory(void)
{
    static const char *const names[] = {"c0"};
    struct told t = {0};
    struct packet_source *s = NULL;
    struct error err = {0};
    struct live_options o = usual;
    o.interfaces = names;
    o.interface_count = 1;
    o.buffer_size = 64 << 20;
    rlim_t room = address_space() + (24 << 20);
    if (setrlimit(RLIMIT_AS, &(struct rlimit){room, room}) != 0)
        return false;
    if (packet_source_open_live(&o, &(struct source_sink){&t, on_up, on_down, on_packet}, &s, &err) != TD_OK)
        return false;
    bool up = is_up(&t, "c0");
    packet_source_close(s);
    return up;
}

static void add_soon(int i)
{
    fflush(stdout);
    if (fork() == 0) {
        struct timespec pause = {.tv_nsec = 300 * NS_PER_MS};
        nanosleep(&pause, NULL);
        add_pair(i);
        _exit(0);
    }
}

static void test_rights(void)
{
    add_pair(0);
    ok(in_child(without_rights), "without the right to capture: an error that says how to get it");
    add_soon(1);
    ok(in_child(after_dropping), "after privileges were dropped, an interface that comes is still opened");
    waitpid(-1, NULL, 0);
    if (address_space() > (rlim_t)1 << 40)
        tap_skip("under sanitizers the address space cannot be limited");
    else
        ok(in_child(with_little_memory), "when memory is short, the buffer is smaller");
    remove_pair(0);
    remove_pair(1);
}

/* ---- --check ---- */

static void test_check(void)
{
    static const char *const names[] = {"c0", "p*", "any", "later"};
    struct findings f = {0};
    struct error err = {0};
    struct live_options o = usual;
    o.interfaces = names;
    o.interface_count = 4;
    add_pair(0);
    sh("ip link set p0 down && ip link set c0 up");
    is_int(packet_source_check(&o, note, &f, &err), TD_OK, "what capturing would meet");
    is_int(f.bad, 0, "nothing bad");
    like(f.text, "c0: can be captured; Ethernet (link type 1); the filter fits it", "an interface");
    like(f.text, "p0: is down", "one that is down");
    like(f.text, "any: can be captured", "any");
    like(f.text, "later: there is no such interface", "one that is not there");
    f = (struct findings){0};
    o.filter = "wlan type mgt";
    is_int(packet_source_check(&o, note, &f, &err), TD_E_CONFIG, "a filter for another link type");
    like(f.text, "makes no sense for link type 1", "is told");
    o.filter = "port";
    f = (struct findings){0};
    is_int(packet_source_check(&o, note, &f, &err), TD_E_CONFIG, "a filter that is none");
    is_int(f.bad, 1, "is told");
    remove_pair(0);
}

static bool put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return written;
}

/* Who is not root gets a user namespace as well, in which they are. */
static bool become_root_inside(void)
{
    char map[64];
    snprintf(map, sizeof(map), "0 %u 1", geteuid());
    return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 && put_text("/proc/self/uid_map", map);
}

/* A namespace of its own, where root's rights hold. False: the system does not allow it. */
static bool enter_namespace(void)
{
    if (unshare(CLONE_NEWNET) != 0 && !become_root_inside())
        return false;
    /* Without IPv6 no interface sends anything by itself. */
    return system("ip link set lo up && for i in all default; do "
                  "! test -e /proc/sys/net/ipv6/conf/$i/disable_ipv6 || echo 1 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done "
                  "&& ip link add c0 type veth peer name p0 && ip link del c0") == 0;
}

int main(void)
{
    log_set_level(TD_LOG_ERROR);
    if (!enter_namespace()) {
        tap_skip("no network namespace can be made here; this needs root, iproute2 and veth");
        return tap_done();
    }
    test_counts();
    test_coming_and_going();
    test_down_and_up();
    test_any();
    test_promiscuous_and_snaplen();
    test_drops();
    test_own_traffic();
    test_new_address();
    test_reconfigure();
    test_wake();
    test_check();
    test_rights();
    return tap_done();
}
