/* A small host for tests of dissectors: feeds bytes as the core does and prints calls as text.
 *
 * It keeps the contract of tapedeck/plugin.h strictly where a dissector might lean on luck: what was not used is presented
 * again from a fresh copy that ends where the allocation ends (so that a stale slice or a read too far is found by
 * AddressSanitizer), marks may not begin before the chunk at hand nor overlap (bytes would count twice), setters check the
 * field's type, and each scratch() invalidates the one before. When one direction has moved on, the other's unused bytes are
 * presented again.
 *
 * The transcript has one block for each committed call, in the order of the commits:
 *
 *     call
 *       method: GET
 *       request.headers: Host=a
 *       request: 0-18
 *       flags: response-cut
 *
 * and a line for each takeover, for what is told with it, for the claim's end, and (if asked for) each violation. */
#ifndef TESTS_MOCK_HOST_H
#define TESTS_MOCK_HOST_H

#include "base/buf.h"
#include "tapedeck/plugin.h"

enum mock_option {
    MOCK_VIOLATIONS = 1u << 0, /* print them */
    MOCK_NO_BODIES = 1u << 1,  /* nobody wants the fields with TD_F_BODY */
    MOCK_NO_SIZES = 1u << 2,   /* nor those whose name ends in _body_size: bodies may be skipped */
    MOCK_QUIET = 1u << 3,      /* no transcript: for fuzzing and timing */
    MOCK_FEW_FIELDS = 1u << 4, /* only the summary's fields are wanted */
    MOCK_LONG_VALUES = 1u << 5 /* print them whole, not their hash */
};

struct mock_side {
    struct buf unused; /* presented again with what follows */
    uint64_t offset;   /* of its first byte */
    uint64_t skip;     /* bytes that come next and were used already */
    bool ended;
};

struct mock {
    struct td_host host;
    struct td_inst *inst;
    const struct td_component *component;
    const struct td_dissector *ops;
    void *self, *state;
    void *config;
    struct mock_side side[2];
    struct buf out; /* the transcript */
    struct mock_call *calls;
    void **memory; /* what alloc() gave out */
    size_t n_memory;
    void *scratch;
    const char *const *told; /* names and values, ending with NULL: by the dissector before; NULL: nothing. The test sets it */
    int64_t now_ns;          /* time of what is fed next; the test sets it */
    uint64_t chunk_offset[2];
    int dir_at_hand;
    unsigned options;
    unsigned fail_alloc_at; /* the nth alloc() or call() fails; 0: none */
    unsigned violations, committed, faults;
    const char *fault; /* the first breach of the contract by the dissector; NULL: none */
    bool confirmed, claimed, opened;
};

/* Creates the plugin's only component with its default options. False (with `fault`) when that fails. */
bool mock_init(struct mock *m, const struct td_plugin *plugin, unsigned options);
/* Changes an option before mock_open(); INT, SIZE, BOOL only. */
void mock_option(struct mock *m, const char *name, uint64_t value);
/* A TCP connection from port 40000 to port 80, which is one that the dissector claims. */
bool mock_open(struct mock *m, uint32_t flow_flags);
bool mock_open_flow(struct mock *m, const struct td_flow *flow);
/* The next bytes of a direction. */
void mock_feed(struct mock *m, int dir, struct td_slice bytes);
/* A datagram; `flags`: 0 or TD_CHUNK_CUT. */
void mock_datagram(struct mock *m, int dir, struct td_slice bytes, uint32_t flags);
/* The next `len` bytes of a direction are missing. */
void mock_gap(struct mock *m, int dir, uint64_t len);
void mock_eof(struct mock *m, int dir);
/* Ends the connection and destroys the instance; the transcript stays. */
void mock_close(struct mock *m, int why);
void mock_clear(struct mock *m);

#endif
