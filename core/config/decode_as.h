/* The user's rules "this port carries that protocol", as tshark's -d has them: "tcp.port==8888,http" or, for a range,
 * "udp.port==5300-5310,dns". One parser for the configuration (tap.dissection.decodeAs) and the command line. */
#ifndef CONFIG_DECODE_AS_H
#define CONFIG_DECODE_AS_H

#include "base/error.h"

enum { DECODE_AS_NAME = 64 };

struct decode_rule {
    uint8_t transport;         /* IP protocol: 6 TCP, 17 UDP */
    uint16_t port_lo, port_hi; /* inclusive */
    char dissector[DECODE_AS_NAME + 1];
};

/* Whether such a dissector exists is for the caller to check. */
int decode_rule_parse(const char *text, struct decode_rule *ret, struct error *err) MUST_CHECK;
/* The rule for a connection with this port on either side, or NULL. A later rule wins over an earlier one. */
const struct decode_rule *decode_rule_find(const struct decode_rule *rules, size_t n, uint8_t transport, uint16_t port);

#endif
