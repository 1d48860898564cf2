/* Tapedeck's plugin interface, version 1: the whole contract between the core and a plugin.
 *
 * A plugin is a shared object with one visible symbol, `td_plugin_v1`, which is plain data: descriptors that
 * list its components, their options and their fields. Listing, help and documentation read that data and run no
 * plugin code. A plugin includes the headers of this folder and nothing else of Tapedeck.
 *
 * Versions. The major is in the symbol's name: a core of another major does not find it. Within a major, tables
 * and structs only grow at their end. Every struct that the plugin defines for the core begins with its `size`;
 * the core copies what it knows into a struct of its own. Tables are (pointer, count, stride), so that rows may
 * grow as well. Structs that the core passes by pointer may be longer than this header says; a plugin reads
 * the members that it knows. Structs passed or returned by value (td_slice, td_step, td_table) are frozen. Members
 * newer than minor 0 stand in `#if TD_TARGET_MINOR >= n`: a plugin says which minor is its oldest core by defining
 * TD_TARGET_MINOR before including this header, and what is newer than that does not compile.
 *
 * Threads. Each function carries a tag.
 *   [control]  the main thread; nothing else of this plugin runs meanwhile
 *   [worker]   any of several threads at once, but never two on one connection
 *   [io]       may block; should poll cancelled() about once a second
 *   [any]      callable from everywhere
 * Nothing is global: two instances of one component must work side by side. Static mutable state is forbidden.
 *
 * Memory. Who allocates frees; nothing changes its owner across this interface. A slice handed to a plugin dies when
 * the call returns; every setter copies.
 *
 * Errors. Functions that can fail return TD_OK or a negative td_status. The code is for the core's policy; the
 * text, given through host->fail(), is for people. Malformed traffic is not an error: see violation().
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef TAPEDECK_PLUGIN_H
#define TAPEDECK_PLUGIN_H

#include "slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TD_ABI_MAJOR 1
#define TD_ABI_MINOR 1
#ifndef TD_TARGET_MINOR
#define TD_TARGET_MINOR 0
#endif

#if defined(__GNUC__)
#define TD_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define TD_EXPORT __attribute__((visibility("default")))
#else
#define TD_PRINTF(fmt, args)
#define TD_EXPORT
#endif

enum td_status {
    TD_OK = 0,
    TD_E_CONFIG = -1,       /* an option's value cannot work */
    TD_E_NOMEM = -2,        /* out of memory, or out of the budget */
    TD_E_LIMIT = -3,        /* a stated limit was reached */
    TD_E_NOT_FOUND = -4,    /* what was asked for is not there */
    TD_E_EXISTS = -5,       /* it is there already */
    TD_E_DENIED = -6,       /* not allowed: credentials, permissions */
    TD_E_RETRY = -7,        /* passing trouble: the core may try again */
    TD_E_CORRUPT = -8,      /* data that cannot be what it should be */
    TD_E_CANCELLED = -9,    /* cancelled() was true */
    TD_E_UNSUPPORTED = -10, /* well-formed, but not for this plugin */
    TD_E_INTERNAL = -11     /* a defect of the plugin or the core */
};

enum td_log_level { TD_LOG_ERROR = 1, TD_LOG_WARN, TD_LOG_INFO, TD_LOG_DEBUG };

/* Rows of a table: `n` rows, each `stride` bytes after the one before. */
struct td_table {
    const void *v;
    uint32_t n, stride;
};
/* clang-format off */
#define TD_TABLE(a) { (a), (uint32_t)(sizeof(a) / sizeof((a)[0])), (uint32_t)sizeof((a)[0]) }
/* clang-format on */

/* The core's own; a plugin only passes the pointers back. */
struct td_inst;  /* an instance of a component; lives from create to destroy */
struct td_conn;  /* a connection that a dissector has claimed; lives from open to close */
struct td_call;  /* a request/response exchange that is being filled; lives from call() to commit() */
struct td_arena; /* memory of one connection, freed whole after close */

/* ---- Options ------------------------------------------------------------------------------------------------- */

/* The core parses, checks and fills the component's config struct before create(). */
enum td_opt_type {
    TD_OPT_STR = 1, /* const char *; NULL when it has neither value nor default */
    TD_OPT_BOOL,    /* bool; true or false */
    TD_OPT_INT,     /* int64_t; min..max */
    TD_OPT_SIZE,    /* uint64_t in bytes; "64Ki", "10Gi", "1M"; min..max */
    TD_OPT_DUR_NS,  /* int64_t in nanoseconds; "250ms", "10s", "1h30m"; min..max */
    TD_OPT_ENUM,    /* uint32_t, an index into choices */
    TD_OPT_STRLIST  /* struct td_strlist; a sequence of strings, or one string; default: comma-separated */
};

enum td_opt_flag {
    TD_OPT_REQUIRED = 1u << 0,
    TD_OPT_SECRET = 1u << 1,    /* masked wherever the configuration is shown */
    TD_OPT_DEPRECATED = 1u << 2 /* works, with a warning; `help` says what to use instead */
};

struct td_strlist {
    const char *const *v;
    size_t n;
};

/* Use the macros below: they check the member's type against the option's. */
struct td_option {
    const char *name;           /* camelCase, as in the configuration file */
    uint32_t type, flags;       /* td_opt_type, td_opt_flag */
    uint32_t offset;            /* of the member in the config struct */
    const char *def;            /* default, written as in the file; NULL: none (zero) */
    const char *help;           /* one or two sentences: what it does, its unit, its limits */
    int64_t min, max;           /* INT, SIZE and DUR_NS; both 0: no limits */
    const char *const *choices; /* ENUM: NULL-terminated */
};

#ifdef __cplusplus
#define TD_OFFSET_(S, m, T) ((uint32_t)offsetof(S, m))
#else
#define TD_OFFSET_(S, m, T) ((uint32_t) _Generic(((S *)0)->m, T : offsetof(S, m)))
#endif
/* clang-format off */
#define TD_STR_OPT(S, m, nm, d, h) \
    { nm, TD_OPT_STR, 0, TD_OFFSET_(S, m, const char *), d, h, 0, 0, NULL }
#define TD_REQUIRED_STR_OPT(S, m, nm, h) \
    { nm, TD_OPT_STR, TD_OPT_REQUIRED, TD_OFFSET_(S, m, const char *), NULL, h, 0, 0, NULL }
#define TD_SECRET_OPT(S, m, nm, h) \
    { nm, TD_OPT_STR, TD_OPT_SECRET, TD_OFFSET_(S, m, const char *), NULL, h, 0, 0, NULL }
#define TD_BOOL_OPT(S, m, nm, d, h) \
    { nm, TD_OPT_BOOL, 0, TD_OFFSET_(S, m, bool), d, h, 0, 0, NULL }
#define TD_INT_OPT(S, m, nm, d, lo, hi, h) \
    { nm, TD_OPT_INT, 0, TD_OFFSET_(S, m, int64_t), d, h, lo, hi, NULL }
#define TD_SIZE_OPT(S, m, nm, d, lo, hi, h) \
    { nm, TD_OPT_SIZE, 0, TD_OFFSET_(S, m, uint64_t), d, h, lo, hi, NULL }
#define TD_DUR_OPT(S, m, nm, d, lo, hi, h) \
    { nm, TD_OPT_DUR_NS, 0, TD_OFFSET_(S, m, int64_t), d, h, lo, hi, NULL }
#define TD_ENUM_OPT(S, m, nm, d, ch, h) \
    { nm, TD_OPT_ENUM, 0, TD_OFFSET_(S, m, uint32_t), d, h, 0, 0, ch }
#define TD_STRLIST_OPT(S, m, nm, d, h) \
    { nm, TD_OPT_STRLIST, 0, TD_OFFSET_(S, m, struct td_strlist), d, h, 0, 0, NULL }
/* clang-format on */

/* ---- Fields -------------------------------------------------------------------------------------------------- */

/* Fields are what filters, columns, exports and documentation know of a call. A field's name is global:
 * two components may declare the same name with the same type (`status_code`) and then mean the same field. Names
 * that are not shared begin with the component's name (`dns_questions`) or with `request.` or `response.`. A component
 * has at most 128 fields. */
enum td_type {
    TD_BOOL = 1, /* set_u64: 0 or 1 */
    TD_U64,      /* set_u64; KFL sees an int */
    TD_I64,      /* set_i64 */
    TD_STRING,   /* set_bytes: text, UTF-8 hoped for but not demanded */
    TD_BYTES,    /* set_bytes; a body append_bytes as well */
    TD_IP,       /* set_bytes: 4 or 16 bytes, network order */
    TD_TIME_NS,  /* set_i64: nanoseconds since 1970 UTC */
    TD_DUR_NS,   /* set_i64: nanoseconds */
    TD_ENUM,     /* set_u64; `names` says what the values mean */
    TD_MAP       /* set_pair: text to text, in the order set, names may repeat */
};

enum td_field_flag {
    TD_F_REQUEST = 1u << 0,   /* belongs to the request */
    TD_F_RESPONSE = 1u << 1,  /* belongs to the response */
    TD_F_LIST = 1u << 2,      /* each set adds a value */
    TD_F_SENSITIVE = 1u << 3, /* may hold credentials or personal data: redaction and roles go by this */
    TD_F_BODY = 1u << 4,      /* payload: kept apart, shown only when asked for. At most four fields in a component */
    TD_F_METHOD = 1u << 5,    /* the summary's columns: what was asked ... */
    TD_F_TARGET = 1u << 6,    /* ... of what ... */
    TD_F_STATUS = 1u << 7     /* ... and how it ended. At most one field each in a component */
};

struct td_name {
    uint64_t value;
    const char *name;
};

struct td_field {
    const char *name;
    uint32_t type, flags;  /* td_type, td_field_flag */
    const char *doc;       /* one sentence, with unit and source */
    struct td_table names; /* ENUM: rows of struct td_name, ascending by value */
};

/* ---- What the core offers ------------------------------------------------------------------------------------ */

/* How a half of a call ended; flags of commit(). */
enum td_commit_flag {
    TD_REQUEST_CUT = 1u << 0,  /* the request's end was not seen */
    TD_RESPONSE_CUT = 1u << 1, /* the response's end was not seen */
    TD_PARTIAL = 1u << 2,      /* something could not be decoded; what stands is right */
#if TD_TARGET_MINOR >= 1
    TD_ONE_WAY = 1u << 3 /* nothing answers it, as Kafka's Produce with acks=0: its other half is not missed */
#endif
};

enum td_dir { TD_CLIENT = 0, TD_SERVER = 1 }; /* who sent it: the client (requests) or the server */

/* Append only. `field` is an index into the component's own field table. Setters and mark() accept a NULL
 * call and then do nothing, so that a dissector need not test what call() gave it. */
struct td_host {
    uint32_t size, abi_minor;

    /* [any] Records why something failed; returns `status`. The text is cut at 1 KiB. To be called in the thread that
     * returns this status to the core: texts are kept by thread. */
    int (*fail)(struct td_inst *, int status, const char *fmt, ...) TD_PRINTF(3, 4);
    /* [any] An event for the operator; rate-limited. Never for malformed traffic. */
    void (*log)(struct td_inst *, int level, const char *fmt, ...) TD_PRINTF(3, 4);
    /* [any] True once the job was told to stop. */
    bool (*cancelled)(struct td_inst *);
    /* [any] An extension by its name ("x-name/1"), or NULL. */
    const void *(*iface)(struct td_inst *, const char *id);

    /* The rest is for dissectors. [worker] throughout, and only from within this connection's callbacks. */

    /* Zeroed memory of this connection; NULL once its budget is used up. `align`: a power of two up to 16. There
     * is no free: keep a free list of what is used again and again. */
    void *(*alloc)(struct td_arena *, size_t n, size_t align);
    /* Memory of this thread, contents undefined, valid until the callback returns; NULL above 64 MiB. Each
     * call invalidates the one before. */
    void *(*scratch)(struct td_conn *, size_t n);
    /* Will anybody look at this field? If not, its setters do nothing, peek() finds nothing, and work for it is wasted.
     * Constant for a connection. */
    bool (*wants)(struct td_conn *, uint32_t field);

    /* It is certain now that this is the dissector's protocol. */
    void (*confirm)(struct td_conn *);
    /* Traffic that breaks the protocol's rules. Counted by `why` (a constant string); before confirm() the third
     * one ends the claim. */
    void (*violation)(struct td_conn *, const char *why);

    /* A new call; NULL when the connection's budget is used up. Calls that are open when close() returns are
     * committed by the core as cut. */
    struct td_call *(*call)(struct td_conn *);
    void (*set_u64)(struct td_call *, uint32_t field, uint64_t value);
    void (*set_i64)(struct td_call *, uint32_t field, int64_t value);
    void (*set_bytes)(struct td_call *, uint32_t field, struct td_slice value);
    void (*append_bytes)(struct td_call *, uint32_t field, struct td_slice more);
    void (*set_pair)(struct td_call *, uint32_t field, struct td_slice name, struct td_slice value);
    /* What set_bytes and append_bytes have put there; valid until the next setter on this call. */
    struct td_slice (*peek)(struct td_call *, uint32_t field);
    /* Bytes [begin, end) of the stream sent by `dir` belong to this call. From marks the core knows times, packets,
     * sizes and gaps. `begin` must not lie before the chunk that is being handled; both may lie in the future
     * (a body that is skipped), and `end` may be UINT64_MAX (until the close, or until the commit). Marks of one call must not
     * overlap, or bytes count twice. */
    void (*mark)(struct td_call *, int dir, uint64_t begin, uint64_t end);
    /* The call is whole, or as whole as it gets. The handle dies. */
    void (*commit)(struct td_call *, uint32_t flags);
    /* The connection goes on in another protocol, after the bytes that this data() reports as used and, in the
     * other direction, after those used before. (`point`, `key`) selects a child dissector by its claims, as
     * ("http.upgrade", "websocket"); a NULL `point` probes anew, as for CONNECT. close() follows. Only within data(). */
    int (*takeover)(struct td_conn *, const char *point, struct td_slice key);

#if TD_TARGET_MINOR >= 1
    /* Children within a call (since minor 1): what one exchange carries is seen by another dissector, as GraphQL in the bodies of an
     * HTTP exchange. The child has a connection of its own, whose two streams are what its parent gives it: bodies without their framing,
     * decoded. It may add its fields to the parent's call (layer()) or make calls of its own.
     *
     * Opens a child on an open call of this connection: the dissectors that claim (`point`, `key`), then those that claim the point with
     * any key, are opened in the order of their names until one does not decline. NULL: none takes it, or memory is short. A call
     * has one child at a time. The connection that is returned is for the following four only, and dies with sub_close(), with the
     * call, or with the parent. */
    struct td_conn *(*sub_open)(struct td_conn *, struct td_call *, const char *point, struct td_slice key);
    /* The next bytes that `dir` sends. They stood in [begin, end) of that direction of the parent's own stream, which is how packets and
     * times are known. TD_E_CORRUPT: the child has ended its claim; more is not needed. */
    int (*sub_data)(struct td_conn *sub, int dir, struct td_slice bytes, uint64_t begin, uint64_t end);
    /* `len` bytes (at least 1, if it is not known how many) are missing here. As above. */
    int (*sub_gap)(struct td_conn *sub, int dir, uint64_t len);
    /* Nothing more comes of `dir`. */
    void (*sub_eof)(struct td_conn *sub, int dir);
    /* Closes the child. `why`: td_close_why. Fields of the parent's that it looks at in close() must be set by now. */
    void (*sub_close)(struct td_conn *sub, int why);

    /* For the child: its parent's call; NULL if this connection is no part of one. The handle takes the fields of the child's own
     * table. One that the parent declares as well, by the same name, is the parent's: here it can be read, but not set. With
     * confirm() the call becomes one of the child's protocol, and of its parent's still; without it, what the child has set is dropped
     * when it ends. Not to be marked or committed; dies after close(). */
    struct td_call *(*layer)(struct td_conn *);
    /* The first value that a MAP has under this name, letters' case ignored; false: none. Valid until the next setter on this call. */
    bool (*find_pair)(struct td_call *, uint32_t field, struct td_slice name, struct td_slice *ret);
    /* The pairs of a MAP one by one: *at is 0 before the first, and the core's own from then on; false: there is none any more. What is
     * returned is valid until the next setter on this call, *at beyond that. */
    bool (*next_pair)(struct td_call *, uint32_t field, uint32_t *at, struct td_slice *ret_name, struct td_slice *ret_value);
    /* Something in the call could not be decoded, as TD_PARTIAL of commit() says; for a layer as well, behind its confirm(). */
    void (*set_partial)(struct td_call *);

    /* After takeover(), in the same data(): a text for the dissector that follows, of what was agreed on before, as the extensions of an
     * upgrade. TD_E_LIMIT beyond TD_TOLD_MAX bytes of names and values, or out of the budget. */
    int (*tell)(struct td_conn *, struct td_slice name, struct td_slice value);
    /* For the dissector that follows: what it was told under this name; false: nothing. Valid until close() returns. */
    bool (*told)(struct td_conn *, struct td_slice name, struct td_slice *ret);
#endif
};

#if TD_TARGET_MINOR >= 1
enum { TD_TOLD_MAX = 4096 };
#endif

/* Is a member newer than minor 0 there? TD_HAS(host, name) */
#define TD_HAS(h, f) ((h)->size >= offsetof(struct td_host, f) + sizeof((h)->f) && (h)->f)

/* ---- Dissectors ---------------------------------------------------------------------------------------------- */

enum td_on { TD_ON_TCP = 1, TD_ON_UDP, TD_ON_POINT };

/* Where a dissector may be found. Ports are hints: they break ties and admit weak probes, they prove nothing. A
 * component is probed on a transport only if it has a claim for it; port_lo 0 means no particular port. */
struct td_claim {
    uint32_t on; /* td_on */
    uint16_t port_lo, port_hi;
    const char *point, *key; /* ON_POINT: a parent's point and the key there, letters' case ignored; key NULL: any */
};

/* A point at which this dissector hands over to children. */
struct td_point {
    const char *name, *doc;
#if TD_TARGET_MINOR >= 1
    uint32_t flags; /* td_point_flag */
#endif
};

enum td_point_flag {
    TD_POINT_CALL = 1u << 0 /* by sub_open(), within a call; else by takeover() */
};

enum td_flow_flag {
    TD_FLOW_MIDSTREAM = 1u << 0,    /* the beginning was not captured */
    TD_FLOW_ROLE_GUESSED = 1u << 1, /* no SYN: client and server by who looked like a requester */
    TD_FLOW_PORT_HINT = 1u << 2,    /* a claim of this dissector names the server's port */
    TD_FLOW_CONFIGURED = 1u << 3    /* the user's rule: no doubt about the protocol */
};

struct td_flow {
    uint32_t size, flags;
    uint8_t ip[2][16]; /* [0] client, [1] server; IPv4 in the first four bytes, the rest zero */
    uint16_t port[2];
    uint8_t ip_version; /* 4 or 6 */
    uint8_t transport;  /* IP protocol: 6 TCP, 17 UDP */
};

enum td_chunk_flag {
    TD_CHUNK_DATAGRAM = 1u << 0, /* UDP: exactly one datagram; it is never presented again */
    TD_CHUNK_LAST = 1u << 1,     /* nothing can be added: a gap, the close or the end of the capture follows */
    TD_CHUNK_CUT = 1u << 2       /* datagram: the capture's snaplen cut its end off */
};

struct td_chunk {
    struct td_slice bytes; /* in order, from the first byte not yet used */
    uint64_t offset;       /* of bytes.p[0] in this direction's stream (UDP: sum of the datagrams before) */
    int64_t time_ns;       /* of the packet that brought the newest byte; since 1970 UTC */
    uint32_t flags;        /* td_chunk_flag */
};

/* What data() did. Frozen: returned by value. */
struct td_step {
    int32_t status; /* TD_OK; TD_E_CORRUPT: not (or no longer) this protocol, the claim ends */
    size_t used;    /* bytes done with; beyond bytes.n: skip ahead without buffering */
    size_t need;    /* if used < bytes.n: call again with at least this many bytes after `used`; 0: any more */
};

static inline struct td_step td_used(size_t used)
{
    struct td_step s;
    s.status = TD_OK;
    s.used = used;
    s.need = 0;
    return s;
}

static inline struct td_step td_need(size_t used, size_t need)
{
    struct td_step s = td_used(used);
    s.need = need;
    return s;
}

static inline struct td_step td_lost(void)
{
    struct td_step s = td_used(0);
    s.status = TD_E_CORRUPT;
    return s;
}

enum td_close_why {
    TD_CLOSE_FIN = 1, /* both sides finished, or a UDP flow is over */
    TD_CLOSE_RESET,   /* RST */
    TD_CLOSE_TIMEOUT, /* idle for longer than the configured time */
    TD_CLOSE_EVICTED, /* memory was needed */
    TD_CLOSE_END,     /* the capture ends */
    TD_CLOSE_LOST,    /* the claim ended: violations, TD_E_CORRUPT, a gap without gap(), a limit */
    TD_CLOSE_TAKEOVER /* handed over to a child */
};

struct td_dissector {
    uint32_t size;
    uint32_t max_probe;     /* bytes that probe() may ask for; at most 4096 */
    struct td_table fields; /* struct td_field */
    struct td_table claims; /* struct td_claim */
    struct td_table points; /* struct td_point */

    /* [worker] Could bytes at the beginning of what `dir` sends be this protocol? Pure: keeps nothing. Called for both
     * roles (against what a SYN told, only 90 and more counts), and at later packets of connections that nobody has claimed.
     * 0: no. 1..100: yes; 25 a port hint is needed, 50 plausible, 75 strong, 100 certain. -n: show me n bytes. */
    int (*probe)(const void *self, const struct td_flow *, int dir, struct td_slice);
    /* [worker] The connection is claimed. *state, from the arena or elsewhere, is passed to all below. */
    int (*open)(const void *self, struct td_conn *, const struct td_flow *, struct td_arena *, void **state);
    /* [worker] In-order bytes. Bytes not used are kept (up to the connection's budget) and presented again with
     * what follows them, or when the other direction has got further. */
    struct td_step (*data)(void *state, struct td_conn *, int dir, const struct td_chunk *);
    /* [worker] Bytes [offset, offset + len) are missing and never come; what was kept before them was presented
     * with TD_CHUNK_LAST and is gone. TD_OK: resynchronised or resynchronising, go on. NULL or a failure: the claim ends.
     * Not called for a gap inside a part that is being skipped. */
    int (*gap)(void *state, struct td_conn *, int dir, uint64_t offset, uint64_t len);
    /* [worker] `dir` sends nothing more. May be NULL. */
    void (*eof)(void *state, struct td_conn *, int dir);
    /* [worker] Always, exactly once, after open() returned TD_OK. */
    void (*close)(void *state, struct td_conn *, int why);
#if TD_TARGET_MINOR >= 1
    const char *const *also; /* protocols whose calls its calls are as well, as HTTP/2's are HTTP's: "HTTP"; NULL-terminated, or NULL */
#endif
};

/* ---- Exporters ----------------------------------------------------------------------------------------------- */

/* Takes bytes of the output in order; 0, or a negative td_status: stop and return it. */
typedef int td_sink_fn(void *ctx, struct td_slice);

struct td_interface {
    const char *name;     /* "eth0"; NULL when unknown */
    uint32_t linktype;    /* LINKTYPE_ value, as tcpdump.org/linktypes.html lists them */
    uint32_t snaplen;     /* 0: unlimited */
    uint64_t ticks_per_s; /* resolution of its timestamps */
};

#if TD_TARGET_MINOR >= 1
/* A name that an address had. An address has one row at most. */
struct td_resolved_name {
    uint8_t ip[16];     /* IPv4 in the first four bytes, the rest zero */
    uint8_t ip_version; /* 4 or 6 */
    const char *name;   /* "frontend.shop" */
};

/* What was counted on an interface while it was captured, whether its packets are exported or not. */
struct td_interface_statistics {
    uint32_t iface;           /* row of td_export.interfaces */
    int64_t start_ns, end_ns; /* counted in this time; since 1970 UTC */
    uint64_t received;        /* packets, by the interface's own counter */
    uint64_t dropped_by_interface, dropped_by_kernel;
};
#endif

struct td_export {
    uint32_t size, flags;
    struct td_table interfaces; /* struct td_interface: all that packets may name */
#if TD_TARGET_MINOR >= 1
    const char *application;    /* what writes the output: "tapedeck 1.0"; or NULL */
    const char *comment;        /* for whoever reads the output: what it is of, what is missing; lines; or NULL */
    struct td_table names;      /* struct td_resolved_name */
    struct td_table statistics; /* struct td_interface_statistics; an interface has one row at most */
#endif
};

struct td_packet {
    int64_t time_ns;       /* since 1970 UTC */
    uint32_t orig_len;     /* on the wire */
    uint32_t iface;        /* row of td_export.interfaces */
    struct td_slice bytes; /* captured */
};

struct td_exporter {
    uint32_t size;
    uint32_t wants;         /* reserved, 0: packets */
    const char *media_type; /* of the output */
    const char *suffix;     /* ".pcap" */
    /* [io] Begins an output. *ret_out is passed to the others. */
    int (*begin)(void *self, const struct td_export *, td_sink_fn *, void *ctx, void **ret_out);
    /* [io] Packets come in the order in which they are to stand. */
    int (*packet)(void *out, const struct td_packet *);
    /* [io] Ends and frees `out`; called once for each begin() that returned TD_OK. !commit: what was written will be
     * thrown away. */
    int (*end)(void *out, bool commit);
};

/* ---- Storage (since minor 1) --------------------------------------------------------------------------------- */

#if TD_TARGET_MINOR >= 1
/* An object store seen through few verbs. A component of this kind belongs to a plugin whose target minor is 1 or more.
 *
 * Keys. UTF-8 without control characters, at most TD_KEY_MAX bytes: parts of at most TD_KEY_PART_MAX bytes between slashes, none of
 * them empty or beginning with a dot (such names are the backend's own). The core passes no others. Whether `a` can be there beside
 * `a/b` depends on the backend; one that cannot have both refuses the later one with TD_E_EXISTS.
 *
 * Visibility. An object is there whole or not at all, for everybody, also if this process is killed or the machine loses power: it
 * appears in put_commit() or put_file(), durable when these return TD_OK, and a key that had an object has the old or the new one at
 * any instant. remove() is as durable; called by a td_list_fn, at the latest when that list() returns, so that many are removed fast.
 * Only what is put with TD_PUT_LATER may be lost or torn by a loss of power until flush().
 *
 * Threads. All functions are [io]: any number of threads at once on one instance, also on one key (the last commit wins), but never
 * two on one upload, whose functions need not be called by the same thread. What takes long asks host->cancelled() at least once a
 * second and then ends with TD_E_CANCELLED.
 *
 * Memory. Strings and structs passed in die with the call, as do the slices given to a sink and the key given to td_list_fn. An
 * upload belongs to the plugin from put_open() until put_commit() or put_abort(), exactly one of which is called.
 *
 * Errors. Texts name the key or the place and say what to do. What the core does with each status:
 *   TD_E_NOT_FOUND    no such object; from check(), put_*(): no such bucket, container or folder. Not tried again.
 *   TD_E_RETRY        passing: a timeout, a broken connection, HTTP 429 or 5xx, too many open files. Tried again after a pause that
 *                     grows, the whole operation from its beginning; the plugin itself does not wait and try again.
 *   TD_E_LIMIT        no room, a quota, an object too large, a range that does not lie within the object. Not tried again.
 *   TD_E_DENIED       credentials or permissions; read-only. Not tried again.
 *   TD_E_EXISTS       the key cannot be there beside another one. Not tried again.
 *   TD_E_UNSUPPORTED  this backend cannot keep such a key. Not tried again.
 *   TD_E_CORRUPT      what was read or sent is not what it should be: a sum differs, the disk fails. Told as damage.
 *   TD_E_CONFIG       from check(): an option cannot work.
 *   TD_E_CANCELLED    cancelled() was true. */
enum { TD_KEY_MAX = 1024, TD_KEY_PART_MAX = 255 };

/* `size` is set by whoever provides the memory: the core for results, the plugin for td_list_fn. */
struct td_object {
    uint32_t size, flags; /* td_object_flag */
    uint64_t bytes;
    int64_t mtime_ns;   /* when it was written; since 1970 UTC */
    char etag[128];     /* changes whenever the object is replaced by other bytes; "": the backend has none */
    uint8_t sha256[32]; /* of all its bytes, as td_put told it; only with TD_OBJECT_SHA256 */
};

enum td_object_flag {
    TD_OBJECT_SHA256 = 1u << 0 /* not in lists */
};

enum td_put_flag {
    TD_PUT_LATER = 1u << 0 /* need not be durable before the next flush(): for many objects, of which a last one tells */
};

/* All but `size`, `flags` and `expected` is only for put_file(), and may be NULL. */
struct td_put {
    uint32_t size, flags;  /* td_put_flag */
    uint64_t expected;     /* bytes that are going to be written, for choosing how to send; UINT64_MAX: unknown. A hint */
    /* 32 bytes: of all that is going to be written. Kept where the backend can, but never of other bytes than the object has: it is
     * compared with what is sent, parts included that a former try has sent, before the object is there (TD_E_CORRUPT). */
    const uint8_t *sha256;
    /* What save() was told when this very file was put before and did not come to its end, perhaps in another process; "": nothing. What
     * turns out to be there of it need not be sent again. */
    const char *state;
    /* Keeps a text of at most TD_PUT_STATE_MAX bytes that a later try needs, durable when it returns 0; else it cannot. If it was called,
     * a put_file() that fails with TD_E_RETRY or TD_E_CANCELLED leaves what it has sent, until forget(); after other failures, and
     * without it, nothing is left. */
    int (*save)(void *ctx, const char *state);
    /* `bytes` of the object need not be sent again. To be called at least once a second; not 0: stop with TD_E_CANCELLED. */
    int (*progress)(void *ctx, uint64_t bytes);
    void *ctx;
};
enum { TD_PUT_STATE_MAX = 1024 };

/* An object that is there; 0: go on, anything else: stop and return it. May call the backend, also to remove that object. */
typedef int td_list_fn(void *ctx, const char *key, const struct td_object *);
/* A folder: what stands between a prefix and the next slash. As above. */
typedef int td_folder_fn(void *ctx, const char *name);

struct td_storage {
    uint32_t size, flags; /* flags: reserved, 0 */

    /* Once, before all others: is the place there, are the credentials accepted? Of what a process that was killed has left behind it
     * removes only what can be nobody's any more; the rest is for sweep(). That objects can be put, read, listed and removed, the core
     * proves itself, with an object of its own. */
    int (*check)(void *self);
    int (*head)(void *self, const char *key, struct td_object *ret);
    /* Gives bytes [offset, offset + n) to `sink`, in order; n UINT64_MAX: to the end. Not 0 from `sink`: stops and returns it. The
     * bytes are of one and the same object, even if it is replaced meanwhile. */
    int (*get)(void *self, const char *key, uint64_t offset, uint64_t n, td_sink_fn *sink, void *ctx);

    int (*put_open)(void *self, const char *key, const struct td_put *, void **ret_upload);
    /* In order. After a failure only put_abort() is called. */
    int (*put_write)(void *upload, struct td_slice);
    /* Frees the upload, also when it fails: then nothing of it is left. `sha256`: 32 bytes, of all that was written, for backends that
     * can have it checked; NULL: not known. */
    int (*put_commit)(void *upload, const uint8_t *sha256, struct td_object *ret);
    /* Frees the upload; nothing of it is left, parts included. */
    void (*put_abort)(void *upload);

    /* Objects whose keys begin with `prefix` (any bytes, perhaps none), ascending by the bytes of their keys, from the first behind
     * `after` (NULL: from the first). Objects whose keys are not as above need not be passed over: the core does that. Objects that come
     * or go meanwhile may be there or not. Memory is bounded, however many there are. */
    int (*list)(void *self, const char *prefix, const char *after, td_list_fn *, void *ctx);
    /* TD_OK also if there is none. */
    int (*remove)(void *self, const char *key);

    /* The rest may be NULL. */

    /* A regular file, which nobody changes any more, becomes an object: name `name` in the open folder `dir_fd`. *ret_linked: the
     * object is that very file, by a hard link. TD_E_UNSUPPORTED: not possible with this file; the core then copies it with put_open()
     * and so on. */
    int (*put_file)(void *self, const char *key, int dir_fd, const char *name, const struct td_put *, bool *ret_linked);
    /* Objects whose keys begin with `prefix` and that were put with TD_PUT_LATER are durable when it returns TD_OK. NULL: such a flag
     * makes no difference here. */
    int (*flush)(void *self, const char *prefix);
    /* The absolute path of an object's file, for reading only; TD_E_LIMIT: it has no room in `n` bytes. */
    int (*path)(void *self, const char *key, char *out, size_t n);

    /* What a put_file() of this key left under this state will not be resumed: removes it. TD_OK also if there is nothing. */
    int (*forget)(void *self, const char *key, const char *state);
    /* Removes what unfinished put_file()s left of any key that begins with `prefix`, whosever they are: nobody puts or needs them any more.
     * A put that runs all the same fails with TD_E_RETRY. */
    int (*sweep)(void *self, const char *prefix);
    /* As remove() for each of `n` keys, 1 to TD_REMOVE_MAX, in any order, in fewer requests. After a failure some are gone. */
    int (*remove_many)(void *self, const char *const *keys, size_t n);
    /* Each folder directly below `prefix` ("" or ending with a slash) once, ascending by the bytes of its name with a slash behind it,
     * from the first behind `after` (NULL: from the first), without walking through what is in it. Objects directly below the prefix
     * are passed over. */
    int (*folders)(void *self, const char *prefix, const char *after, td_folder_fn *, void *ctx);
};
enum { TD_REMOVE_MAX = 1000 };
#endif

/* ---- Components and the plugin ------------------------------------------------------------------------------- */

enum td_kind {
    TD_KIND_STORAGE = 1, /* since minor 1 */
    TD_KIND_DISSECTOR = 2,
    TD_KIND_EXPORTER = 3
};

/* Life: options are checked, then create (no I/O), then the kind's functions, then destroy. */
struct td_component {
    uint32_t size;
    uint32_t kind;           /* td_kind */
    const char *name;        /* [a-z][a-z0-9_-]*, unique in its kind */
    const char *summary;     /* one line */
    struct td_table options; /* struct td_option */
    uint32_t config_size;    /* sizeof the config struct; 0 without options */
    /* [control] `config` lives as long as the instance. May be NULL: no state. */
    int (*create)(struct td_inst *, const struct td_host *, const void *config, void **ret_self);
    /* [control] Not called if create failed. May be NULL. */
    void (*destroy)(void *self);
    const void *ops; /* struct td_dissector, struct td_exporter or struct td_storage */
};

struct td_plugin {
    uint32_t size;
    uint32_t target_minor; /* oldest core it runs on: TD_TARGET_MINOR */
    uint32_t header_minor; /* header it was built with: TD_ABI_MINOR */
    const char *name, *version, *license;
    const struct td_component *const *components; /* NULL-terminated */
};

/* TD_PLUGIN(http) = { ... }; defines the plugin's symbol. With TD_STATIC the same source is linked into tests and
 * fuzzers side by side, as td_plugin_v1_http. */
#ifdef TD_STATIC
#define TD_PLUGIN(id) const struct td_plugin td_plugin_v1_##id
#else
#define TD_PLUGIN(id) TD_EXPORT const struct td_plugin td_plugin_v1
#endif

#ifdef __cplusplus
}
#endif
#endif
