#include "link_list.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

/* One entry for each link, whatever its addresses. */
static const struct sockaddr_ll *as_link(const struct ifaddrs *i)
{
    return i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET ? (const struct sockaddr_ll *)(const void *)i->ifa_addr : NULL;
}

int link_list_read(struct link_entry **ret, size_t *ret_n, struct error *err)
{
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) != 0)
        return error_set(err, TD_E_INTERNAL, "cannot list the network interfaces: %s", strerror(errno));
    size_t n = 0, at = 0;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next)
        n += as_link(i) != NULL;
    struct link_entry *links = mem_calloc(n, sizeof(*links));
    for (const struct ifaddrs *i = list; links && i; i = i->ifa_next) {
        const struct sockaddr_ll *address = as_link(i);
        size_t name_n = strlen(i->ifa_name);
        if (!address || name_n >= sizeof(links->name))
            continue;
        memcpy(links[at].name, i->ifa_name, name_n);
        links[at].index = address->sll_ifindex;
        links[at].hardware = address->sll_hatype;
        links[at++].up = (i->ifa_flags & IFF_UP) != 0;
    }
    freeifaddrs(list);
    if (!links)
        return error_nomem(err);
    *ret = links;
    *ret_n = at;
    return TD_OK;
}

int link_watch_open(void)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    struct sockaddr_nl address = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR};
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

void link_watch_drain(int fd)
{
    enum { MAX_MESSAGES = 10000 };
    char one[1]; /* the rest of each message is cut off */
    /* ENOBUFS says that messages were lost, which does not matter either. */
    for (int i = 0; i < MAX_MESSAGES; i++)
        if (recv(fd, one, sizeof(one), MSG_TRUNC) < 0 && errno != ENOBUFS && errno != EINTR)
            break;
}
