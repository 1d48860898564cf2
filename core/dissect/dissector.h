/* The dissectors that take part in a dissection: instances with checked tables, in the order of their names. */
#ifndef DISSECT_DISSECTOR_H
#define DISSECT_DISSECTOR_H

#include "dissect/kind.h"

enum { DISSECTOR_MAX = 64 };

/* A claim of a point within another dissector's connections or calls. */
struct point_claim {
    const char *point;
    struct td_slice key; /* NULL: any */
};

struct dissector {
    const char *name;
    char protocol[32]; /* the name in capitals: what calls show */
    struct td_dissector ops;
    const void *self;
    const struct td_claim *claims; /* rows of today's size */
    uint32_t claim_n;
    const struct point_claim *points; /* of the claims those on points */
    uint32_t point_n;
    bool on_tcp, on_udp;
};

/* A rule of the user's: "tcp.port==8888,http". */
struct dissect_rule {
    uint8_t transport; /* 6 or 17 */
    uint16_t port_lo, port_hi;
    uint32_t dissector; /* index in the set */
};

struct dissector_set {
    struct dissector *v;
    uint32_t n;
    struct dissect_rule *rules;
    uint32_t rule_n;
    struct call_kind *kinds; /* KIND_MAX; the first are the dissectors' own, in their order */
    uint32_t kind_n;
};

/* Adds a component's instance; names must come in ascending order. `ops` is the loader's copy. */
int dissector_set_add(struct dissector_set *set, const char *name, const struct td_dissector *ops, const void *self,
                      struct error *err) MUST_CHECK;
int dissector_set_rule(struct dissector_set *set, uint8_t transport, uint16_t port_lo, uint16_t port_hi, const char *name,
                       struct error *err) MUST_CHECK;
/* Once all are there: the kinds of calls that they make. Not to be added to after that. */
int dissector_set_complete(struct dissector_set *set, struct error *err) MUST_CHECK;
void dissector_set_clear(struct dissector_set *set);

/* Does a claim of this dissector name the port? */
bool dissector_has_port(const struct dissector *d, uint8_t transport, uint16_t port);
/* Those that a hand-over may go to, one after the other: those whose claim names point and key, then those that take any key. Start
 * with *at = 0; NULL: no more. */
const struct dissector *dissector_for_point(const struct dissector_set *set, const char *point, struct td_slice key, uint32_t *at);

#endif
