/* The network interfaces of this machine (of this network namespace), and being told when they change. */
#ifndef CAPTURE_LINK_LIST_H
#define CAPTURE_LINK_LIST_H

#include <net/if.h>
#include <stdbool.h>

#include "base/error.h"

struct link_entry {
    char name[IF_NAMESIZE];
    int index;         /* never used again for another interface, unlike the name */
    uint16_t hardware; /* ARPHRD_ value */
    bool up;
};

/* mem_free(*ret). */
int link_list_read(struct link_entry **ret, size_t *ret_n, struct error *err) MUST_CHECK;

/* A descriptor, not blocking, that gets readable when links or addresses may have changed (rtnetlink(7)); -1: the system does not tell. */
int link_watch_open(void);
/* Takes what was told; the list says what it was. */
void link_watch_drain(int fd);

#endif
