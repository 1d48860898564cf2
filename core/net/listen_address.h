/* Addresses to listen at, as people write them. */
#ifndef NET_LISTEN_ADDRESS_H
#define NET_LISTEN_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/error.h"

struct listen_address {
    struct sockaddr_storage address;
    socklen_t n;
    bool loopback; /* nobody but this machine reaches it */
    bool every;    /* no address was given: IPv6 and IPv4, or what there is */
};

/* "127.0.0.1:48999", "[::1]:48999", "localhost:48999" (127.0.0.1), ":48999". Names are not looked up. TD_E_CONFIG. */
int listen_address_parse(const char *text, struct listen_address *ret, struct error *err) MUST_CHECK;

/* A socket that listens there; the caller closes it. TD_E_EXISTS: in use; TD_E_DENIED; TD_E_CONFIG: no such address here. */
int listen_address_open(const struct listen_address *, const char *text, int *ret_fd, struct error *err) MUST_CHECK;
/* The port of a socket that listens, and its address as it stands in a URL: "127.0.0.1", "[::1]". */
enum { LISTEN_HOST_TEXT = 64 };
int listen_address_of(int fd, uint16_t *ret_port, char ret_host[LISTEN_HOST_TEXT], struct error *err) MUST_CHECK;

#endif
