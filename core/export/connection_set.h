/* A set of connections that is asked for every packet: a hash table by both ends, whichever sent it.
 *
 * Filled by one thread; then any number may ask. */
#ifndef EXPORT_CONNECTION_SET_H
#define EXPORT_CONNECTION_SET_H

#include "base/error.h"

/* Both directions of it. */
struct select_connection {
    uint8_t ip[2][16]; /* IPv4 in the first four bytes, the rest zero */
    uint16_t port[2];
    uint8_t ip_version; /* 4 or 6; 0: any connection */
    uint8_t transport;  /* 6 TCP, 17 UDP; 0: either (not in a set) */
};

struct connection_set;

struct connection_set *connection_set_new(void); /* NULL: out of memory */
void connection_set_free(struct connection_set *);
/* TD_OK also if it is there already. */
int connection_set_add(struct connection_set *, const struct select_connection *, struct error *err) MUST_CHECK;
bool connection_set_has(const struct connection_set *, const struct select_connection *);
size_t connection_set_count(const struct connection_set *);

#endif
