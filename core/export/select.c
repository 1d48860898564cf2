#include "select.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "packet/bytes.h"

enum { IPPROTO_NUMBER_TCP = 6, IPPROTO_NUMBER_UDP = 17 };

void selection_init(struct selection *s)
{
    *s = (struct selection){.start_ns = INT64_MIN, .end_ns = INT64_MAX, .linktype = -1};
}

/* ---- Parsing a connection ---- */

/* "192.0.2.1:80" or "[2001:db8::1]:80" in [text, text + n). */
static bool parse_endpoint(const char *text, size_t n, uint8_t ip[16], uint8_t *ret_version, uint16_t *ret_port)
{
    char copy[INET6_ADDRSTRLEN + 2], *end;
    size_t colon = n;
    while (colon > 0 && text[colon - 1] != ':')
        colon--;
    bool brackets = colon > 2 && text[0] == '[' && text[colon - 2] == ']';
    size_t begin = brackets ? 1 : 0, len = colon ? colon - 1 - 2 * begin : 0;
    if (!len || len >= sizeof(copy) || colon == n || n - colon > 5)
        return false;
    memcpy(copy, text + begin, len);
    copy[len] = 0;
    memset(ip, 0, 16);
    *ret_version = strchr(copy, ':') ? 6 : 4;
    if (inet_pton(*ret_version == 6 ? AF_INET6 : AF_INET, copy, ip) != 1)
        return false;
    memcpy(copy, text + colon, n - colon);
    copy[n - colon] = 0;
    unsigned long port = strtoul(copy, &end, 10);
    *ret_port = (uint16_t)port;
    return copy[0] >= '0' && copy[0] <= '9' && !*end && port <= UINT16_MAX;
}

int select_parse_connection(const char *text, struct select_connection *ret, struct error *err)
{
    struct select_connection c = {0};
    uint8_t second_version;
    const char *slash = strchr(text, '/'), *dash = strchr(text, '-');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    bool known = true;
    if (slash && strcmp(slash, "/tcp") == 0)
        c.transport = IPPROTO_NUMBER_TCP;
    else if (slash && strcmp(slash, "/udp") == 0)
        c.transport = IPPROTO_NUMBER_UDP;
    else
        known = !slash;
    size_t first = dash ? (size_t)(dash - text) : 0;
    if (!known || first == 0 || first + 1 >= n || !parse_endpoint(text, first, c.ip[0], &c.ip_version, &c.port[0]) ||
        !parse_endpoint(text + first + 1, n - first - 1, c.ip[1], &second_version, &c.port[1]) || c.ip_version != second_version)
        return error_set(err, TD_E_CONFIG,
                         "\"%s\" is no connection; write it as 192.0.2.1:40000-192.0.2.2:80 or [2001:db8::1]:40000-[2001:db8::2]:80, "
                         "with /tcp or /udp behind it if only one is meant",
                         text);
    *ret = c;
    return TD_OK;
}

/* ---- Matching ---- */

/* Is it the connection, in either direction? */
static bool is_connection(const struct select_connection *c, const struct decoded *d)
{
    if (d->ip_version != c->ip_version || (c->transport && d->transport != c->transport))
        return false;
    size_t n = c->ip_version == 4 ? 4 : 16;
    const uint8_t *addresses = d->ip + (c->ip_version == 4 ? 12 : 8);
    uint16_t src = bytes_u16(d->l4, true), dst = bytes_u16(d->l4 + 2, true);
    for (int k = 0; k < 2; k++)
        if (src == c->port[k] && dst == c->port[!k] && memcmp(addresses, c->ip[k], n) == 0 && memcmp(addresses + n, c->ip[!k], n) == 0)
            return true;
    return false;
}

static bool is_one_of(const struct connection_set *set, const struct decoded *d)
{
    struct select_connection c = {.ip_version = d->ip_version, .transport = d->transport};
    size_t n = c.ip_version == 4 ? 4 : 16;
    const uint8_t *addresses = d->ip + (c.ip_version == 4 ? 12 : 8);
    for (size_t k = 0; k < 2; k++) {
        memcpy(c.ip[k], addresses + k * n, n);
        c.port[k] = bytes_u16(d->l4 + 2 * k, true);
    }
    return connection_set_has(set, &c);
}

static bool in_window(const struct selection *s, int64_t time_ns)
{
    return time_ns >= s->start_ns && (time_ns < s->end_ns || s->end_ns == INT64_MAX);
}

struct select_result select_packet(const struct selection *s, struct decoder *decoder, const struct packet *p)
{
    bool wanted = (s->linktype < 0 || p->linktype == s->linktype) && in_window(s, p->time_ns) && (!s->bpf || bpf_match(s->bpf, p));
    if (!select_by_connection(s))
        return (struct select_result){.verdict = wanted ? SELECT_YES : SELECT_NO};

    /* Even what is not wanted itself may be the fragment that tells the ports of others. */
    struct decoded d = {0};
    enum decode_skip skip = decode_packet(decoder, p, &d);
    if (skip != DECODE_OK)
        return (struct select_result){.verdict = wanted && skip == DECODE_FRAGMENT ? SELECT_WAIT : SELECT_NO};
    bool matches = (!s->connection.ip_version || is_connection(&s->connection, &d)) && (!s->connections || is_one_of(s->connections, &d));
    return (struct select_result){
        .verdict = wanted && matches ? SELECT_YES : SELECT_NO,
        .datagram = d.datagram,
        .datagram_matches = matches,
    };
}
