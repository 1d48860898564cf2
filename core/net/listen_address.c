#include "net/listen_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int wrong(const char *text, const char *why, struct error *err)
{
    return error_set(err, TD_E_CONFIG, "cannot listen on \"%s\": %s; write \"127.0.0.1:48999\", \"[::1]:48999\" or \":48999\"", text, why);
}

static bool parse_port(const char *s, uint16_t *ret)
{
    unsigned port = 0;
    size_t n = strspn(s, "0123456789");
    if (n == 0 || n > 5 || s[n])
        return false;
    for (size_t i = 0; i < n; i++)
        port = port * 10 + (unsigned)(s[i] - '0');
    *ret = (uint16_t)port;
    return port <= UINT16_MAX;
}

static void set_ipv4(struct listen_address *a, struct in_addr ip, uint16_t port)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&a->address;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr = ip;
    a->n = sizeof(*in);
    a->loopback = ntohl(ip.s_addr) >> 24 == 127;
}

static void set_ipv6(struct listen_address *a, const struct in6_addr *ip, uint16_t port)
{
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&a->address;
    in->sin6_family = AF_INET6;
    in->sin6_port = htons(port);
    in->sin6_addr = *ip;
    a->n = sizeof(*in);
    a->loopback = IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}

int listen_address_parse(const char *text, struct listen_address *ret, struct error *err)
{
    char host[INET6_ADDRSTRLEN + 2]; /* with brackets */
    const char *colon = strrchr(text, ':');
    struct in_addr ipv4;
    struct in6_addr ipv6;
    uint16_t port;
    if (!colon)
        return wrong(text, "it has no port", err);
    if (!parse_port(colon + 1, &port))
        return wrong(text, "the port is not a number up to 65535", err);
    size_t n = (size_t)(colon - text);
    if (n >= sizeof(host))
        return wrong(text, "that is not an IP address", err);
    memcpy(host, text, n);
    host[n] = '\0';
    *ret = (struct listen_address){.every = n == 0};
    if (n == 0) {
        set_ipv6(ret, &in6addr_any, port);
    } else if (strcmp(host, "localhost") == 0) {
        set_ipv4(ret, (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
    } else if (inet_pton(AF_INET, host, &ipv4) == 1) {
        set_ipv4(ret, ipv4, port);
    } else if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        if (inet_pton(AF_INET6, host + 1, &ipv6) != 1)
            return wrong(text, "that is not an IPv6 address", err);
        set_ipv6(ret, &ipv6, port);
    } else if (strchr(host, ':')) {
        return wrong(text, "an IPv6 address stands in brackets", err);
    } else {
        return wrong(text, "that is not an IP address, and names are not looked up", err);
    }
    return TD_OK;
}

static int open_error(const struct listen_address *a, const char *text, struct error *err)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)&a->address; /* the port is where IPv6 has it */
    switch (errno) {
    case EADDRINUSE:
        return error_set(err, TD_E_EXISTS, "cannot listen on %s: the port is in use; `ss -ltnp` shows by whom, or choose another", text);
    case EACCES:
    case EPERM:
        return error_set(err, TD_E_DENIED,
                         "cannot listen on %s: no right to port %u; ports below 1024 need CAP_NET_BIND_SERVICE, or choose another", text,
                         ntohs(in->sin_port));
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: return error_set(err, TD_E_CONFIG, "cannot listen on %s: this machine has no such address", text);
    default: return error_set(err, TD_E_INTERNAL, "cannot listen on %s: %s", text, strerror(errno));
    }
}

static int open_socket(const struct listen_address *a)
{
    const int on = 1, off = 0;
    int fd = socket(a->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Connections of an earlier run that wait for their end must not keep the port. */
    bool good = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0;
    if (good && a->address.ss_family == AF_INET6)
        good = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, a->every ? &off : &on, sizeof(on)) == 0;
    if (good && bind(fd, (const struct sockaddr *)&a->address, a->n) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

int listen_address_open(const struct listen_address *a, const char *text, int *ret_fd, struct error *err)
{
    int fd = open_socket(a);
    if (fd < 0 && a->every && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) { /* no IPv6 here */
        struct listen_address ipv4 = {.n = 0};
        set_ipv4(&ipv4, (struct in_addr){htonl(INADDR_ANY)}, ntohs(((const struct sockaddr_in6 *)&a->address)->sin6_port));
        fd = open_socket(&ipv4);
    }
    if (fd < 0)
        return open_error(a, text, err);
    *ret_fd = fd;
    return TD_OK;
}

int listen_address_of(int fd, uint16_t *ret_port, char ret_host[LISTEN_HOST_TEXT], struct error *err)
{
    struct sockaddr_storage address = {.ss_family = 0};
    socklen_t n = sizeof(address);
    char ip[INET6_ADDRSTRLEN] = "";
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot ask for the port: %s", strerror(errno));
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)&address;
        inet_ntop(AF_INET6, &in->sin6_addr, ip, sizeof(ip));
        snprintf(ret_host, LISTEN_HOST_TEXT, "[%s]", ip);
        *ret_port = ntohs(in->sin6_port);
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)&address;
        inet_ntop(AF_INET, &in->sin_addr, ip, sizeof(ip));
        snprintf(ret_host, LISTEN_HOST_TEXT, "%s", ip);
        *ret_port = ntohs(in->sin_port);
    }
    return TD_OK;
}
