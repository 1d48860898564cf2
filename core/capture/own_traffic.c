#include "own_traffic.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include "base/ip.h"
#include "base/log.h"
#include "packet/bpf.h"

struct own_address {
    uint8_t version;
    uint8_t ip[16];
};

struct own_addresses {
    size_t n, left_out;
    struct own_address v[OWN_TRAFFIC_MAX_ADDRESSES];
};

/* False: no IP address. */
static bool address_of(const struct sockaddr *sa, struct own_address *ret)
{
    *ret = (struct own_address){0};
    if (sa && sa->sa_family == AF_INET) {
        ret->version = 4;
        memcpy(ret->ip, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
    } else if (sa && sa->sa_family == AF_INET6) {
        ret->version = 6;
        memcpy(ret->ip, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, 16);
    }
    return ret->version != 0;
}

static void add_address(struct own_addresses *a, const struct own_address *address)
{
    if (address->version == 4 && address->ip[0] == 127)
        return; /* the whole network is this machine's, addresses or not */
    for (size_t i = 0; i < a->n; i++)
        if (memcmp(&a->v[i], address, sizeof(*address)) == 0)
            return;
    if (a->n < OWN_TRAFFIC_MAX_ADDRESSES)
        a->v[a->n++] = *address;
    else
        a->left_out++;
}

static int find_addresses(struct own_addresses *ret, struct error *err)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot list this machine's addresses: %s", strerror(errno));
    struct own_address address;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        if (address_of(i->ifa_addr, &address))
            add_address(ret, &address);
    freeifaddrs(list);
    return TD_OK;
}

/* Traffic in one direction: `side` is "dst" or "src". Each name of an address stands with its protocol, or libpcap would also look into
 * ARP; each port with its direction, so that the other end's port does not count. */
static void put_direction(struct buf *b, const char *side, const struct own_addresses *a, const uint16_t *ports, size_t n)
{
    char text[IP_TEXT];
    buf_putc(b, '(');
    for (size_t i = 0; i < n; i++)
        buf_printf(b, "%stcp %s port %u", i ? " or " : "(", side, ports[i]);
    buf_printf(b, ") and (ip %s net 127.0.0.0/8", side);
    for (size_t i = 0; i < a->n; i++) {
        ip_format(a->v[i].ip, a->v[i].version, text);
        buf_printf(b, " or %s %s host %s", a->v[i].version == 4 ? "ip" : "ip6", side, text);
    }
    buf_lit(b, "))");
}

static int put_expression(struct buf *b, const uint16_t *ports, size_t n, size_t *ret_left_out, struct error *err)
{
    struct own_addresses addresses;
    addresses.n = addresses.left_out = 0;
    int status = find_addresses(&addresses, err);
    if (status != TD_OK)
        return status;
    put_direction(b, "dst", &addresses, ports, n);
    buf_lit(b, " or ");
    put_direction(b, "src", &addresses, ports, n);
    *ret_left_out = addresses.left_out;
    return b->failed ? error_nomem(err) : TD_OK;
}

int own_traffic_expression(const uint16_t *ports, size_t n, struct buf *ret, struct error *err)
{
    size_t left_out;
    return n ? put_expression(ret, ports, n, &left_out, err) : TD_OK;
}

int own_traffic_filter(const char *user_filter, const uint16_t *ports, size_t n, struct buf *ret, struct error *err)
{
    bool all = user_filter[strspn(user_filter, " \t\r\n")] == 0;
    if (!all) {
        struct bpf *alone;
        /* By itself, so that no parenthesis in it reaches what is put around it. */
        int status = bpf_compile(user_filter, &alone, err);
        if (status != TD_OK)
            return status;
        bpf_free(alone);
    }
    if (n > 0) {
        /* Own traffic comes first: words such as `vlan` shift where everything behind them looks. */
        size_t left_out = 0;
        buf_lit(ret, "not (");
        int status = put_expression(ret, ports, n, &left_out, err);
        if (status != TD_OK)
            return status;
        buf_lit(ret, ")");
        if (left_out)
            log_event(TD_LOG_WARN, "capture", "this machine has more than %d addresses; own traffic at the last %zu of them is captured",
                      OWN_TRAFFIC_MAX_ADDRESSES, left_out);
    }
    if (n > 0 && !all)
        buf_printf(ret, " and (%s)", user_filter);
    else if (!all)
        buf_puts(ret, user_filter);
    return ret->failed ? error_nomem(err) : TD_OK;
}
