/* A call while it is filled, and as the outputs read it.
 *
 * Values lie one behind the other in one reused buffer; those of one field form a chain. Bodies, which may be
 * large and grow, lie apart. The memory that they take is the caller's business. */
#ifndef CALL_CALL_H
#define CALL_CALL_H

#include "base/buf.h"
#include "call/field.h"

enum {
    CALL_BODIES = 4,       /* fields with TD_F_BODY that one call can hold */
    CALL_VALUE_HEADER = 16 /* bytes that each value takes in `values` besides its own */
};

/* How a value lies in `values`; name and bytes follow. */
struct call_record {
    uint32_t next; /* offset of the field's next value, 0: none (a chain never goes back to the first record) */
    uint32_t name_n;
    uint64_t number; /* for bytes: how many */
};
_Static_assert(sizeof(struct call_record) == CALL_VALUE_HEADER, "what a value costs");

/* The packets of a half, as differences in a variable-length code: about two bytes each. */
struct call_frames {
    struct buf more; /* beyond `few` */
    uint8_t few[24];
    uint8_t few_n;
    bool cut; /* memory was short: the list is not whole */
    uint64_t last;
    uint64_t count;
};

struct call_half {
    bool seen;
    bool cut;                  /* its end was not seen */
    int64_t first_ns, last_ns; /* of the packets that carried it */
    uint64_t bytes;            /* on the wire */
    uint64_t missing;          /* of these, not captured */
    struct call_frames frames;
};

struct call_body {
    uint32_t field;
    bool used;
    bool cut; /* memory was short: bytes are missing at its end */
    struct buf bytes;
};

struct td_call {
    struct td_call *next, **link;   /* in the connection's list of open calls, or in the pool */
    struct td_conn *conn;           /* whose call it is; this and the next two are the core's dissection's only */
    struct td_conn *child;          /* that is open on it, or NULL */
    const struct call_kind *kind;   /* with the topmost layer, confirmed or not */
    const struct field_set *fields; /* with those of layers that have not confirmed yet */
    const uint64_t *wanted;         /* bits of the fields that somebody will look at; others are not kept */
    const char *protocol;           /* "HTTP" */
    const char *node;               /* the node that captured it; NULL: not known. Lives as long as who fills the call says */
    uint32_t component;             /* index of the dissector in its set */
    const struct td_flow *flow;     /* client and server */
    uint64_t conn_id;               /* frame of the connection's first packet */
    uint64_t id;                    /* its number in its call store; 0: it is in none */
    struct call_half half[2];       /* TD_CLIENT, TD_SERVER */
    struct buf values;
    uint64_t set[FIELD_MAX / 64];               /* which fields have a value */
    uint32_t first[FIELD_MAX], last[FIELD_MAX]; /* their chains, as offsets in `values`; valid for fields that are set */
    struct call_body bodies[CALL_BODIES];
    uint32_t flags;         /* td_commit_flag */
    size_t charged;         /* memory accounted for */
    bool incomplete_values; /* memory was short: values are missing */
};

/* Empties a call for use again; buffers above `keep` bytes are freed. */
void call_reset(struct td_call *c, size_t keep);
void call_clear(struct td_call *c);

/* What the host's setters do. A value of another type than the field's is refused: false. */
bool call_set_u64(struct td_call *c, uint32_t field, uint64_t value);
bool call_set_i64(struct td_call *c, uint32_t field, int64_t value);
bool call_set_bytes(struct td_call *c, uint32_t field, struct td_slice value);
bool call_append_bytes(struct td_call *c, uint32_t field, struct td_slice more);
bool call_set_pair(struct td_call *c, uint32_t field, struct td_slice name, struct td_slice value);
/* The body of a field with TD_F_BODY, begun if it is not there yet; NULL: no such field, or too many. */
struct call_body *call_make_body(struct td_call *c, uint32_t field);

/* One value. Maps have `name`; numbers are in `number`, the rest is in `bytes`. */
struct call_value {
    uint64_t number;
    struct td_slice name, bytes;
};

static inline bool call_has(const struct td_call *c, uint32_t field)
{
    return c->set[field / 64] >> (field % 64) & 1;
}
/* The values of a field in the order in which they were set: start with at = 0; false at the end. Bodies have none. */
bool call_next_value(const struct td_call *c, uint32_t field, uint32_t *at, struct call_value *ret);
/* The value of a MAP's first pair with this name, ASCII letters in any case; false: there is none. */
bool call_find_pair(const struct td_call *c, uint32_t field, struct td_slice name, struct td_slice *ret);
const struct call_body *call_get_body(const struct td_call *c, uint32_t field);

/* Adds a packet's bytes to a half. */
void call_add_packet(struct call_half *h, uint64_t frame, int64_t time_ns, uint64_t bytes);
void call_add_frame(struct call_frames *f, uint64_t frame);
/* The frames in order: start with at = 0 and frame = 0; false at the end. */
bool call_next_frame(const struct call_frames *f, size_t *at, uint64_t *frame);

/* When it began: the first byte of the request, or of the response if that is all there is. */
static inline int64_t call_time(const struct td_call *c)
{
    return c->half[c->half[TD_CLIENT].seen ? TD_CLIENT : TD_SERVER].first_ns;
}

/* From the first byte of the request to the last of the response, in ns; 0 when a half is missing. */
static inline int64_t call_duration(const struct td_call *c)
{
    int64_t begin = c->half[TD_CLIENT].first_ns, end = c->half[TD_SERVER].last_ns, ns;
    if (!c->half[TD_CLIENT].seen || !c->half[TD_SERVER].seen || end < begin)
        return 0;
    return __builtin_sub_overflow(end, begin, &ns) ? INT64_MAX : ns; /* captures may hold any times */
}

/* Is everything there that the call should have? */
static inline bool call_half_complete(const struct call_half *h)
{
    return h->seen && !h->cut && h->missing == 0;
}

static inline bool call_complete(const struct td_call *c)
{
    const struct call_half *request = &c->half[TD_CLIENT], *response = &c->half[TD_SERVER];
    if (c->flags & TD_ONE_WAY && request->seen != response->seen)
        return call_half_complete(request->seen ? request : response);
    return call_half_complete(request) && call_half_complete(response);
}

#endif
