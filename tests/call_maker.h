/* Made-up calls that look like real ones: HTTP and DNS mixed, in the order in which they end. For tests and measurements of
 * what keeps calls. The same seed gives the same calls. */
#ifndef TESTS_CALL_MAKER_H
#define TESTS_CALL_MAKER_H

#include "call/registry.h"

enum { CALL_MAKER_CONNECTIONS = 512, CALL_MAKER_HOSTS = 3000 };

struct call_maker {
    struct field_set sets[2]; /* of the real dissectors: HTTP, DNS */
    const struct field_set *components[2];
    struct field_registry *registry;
    bool headers; /* with header maps */
    bool bodies;  /* with bodies */
    uint64_t random;
    int64_t time_ns; /* when the last call began */
    uint64_t frame;
    struct {
        uint64_t id;
        uint16_t port;
        uint8_t client, server;
    } connections[CALL_MAKER_CONNECTIONS];
    struct td_flow flow;
    struct td_call call;
    uint32_t fields[64]; /* of the dissectors, by the maker's own numbers */
};

/* Ends the program when it fails. */
void call_maker_init(struct call_maker *, uint64_t seed);
void call_maker_clear(struct call_maker *);
/* The next call; valid until the one after it. */
const struct td_call *call_maker_next(struct call_maker *);

#endif
