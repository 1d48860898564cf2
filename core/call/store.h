/* The call store: all calls of one dissection in one file.
 *
 * The file is an SQLite database whose rows are the parts of chunks (call/chunk.h) and pages of payload; SQLite gives atomic
 * commits and one file, the columns give speed. It keeps a rollback journal rather than a write-ahead log: chunks are only
 * ever added, so that a commit writes them once and saves next to nothing in the journal, and a finished store is one file
 * that can be read from a place that cannot be written. Whoever reads while another writes holds no lock for longer than one
 * read.
 *
 * Writing: several threads append, each with an index of its own into its own chunk; full chunks are packed by the thread
 * that filled them and stored by whoever comes. A reader serves one thread; open several for several. Calls come back in
 * the order of time, whatever chunks they are in. A call's id names its place in the file; it is at least 1 and fits 63 bits.
 * Times are ns since 1970 UTC. */
#ifndef CALL_STORE_H
#define CALL_STORE_H

#include "call/chunk.h"
#include "call/registry.h"

enum { STORE_MAX_APPENDERS = 64, STORE_MAX_NODE = 256 /* bytes of a node's name, with its zero */ };

/* ---- Writing ---- */

struct store_writer;

struct store_create_options {
    const struct field_registry *registry;     /* outlives the writer, as do the components */
    const struct field_set *const *components; /* as given to field_field_registry_new() */
    uint32_t component_n;
    uint32_t appenders;    /* threads that append, 1 to STORE_MAX_APPENDERS */
    struct td_slice about; /* JSON that the reader gets back: where the calls come from */
    bool payloads;         /* keep bodies */
    bool replace;          /* an older file at this path is overwritten; otherwise: TD_E_EXISTS */
    bool disposable;       /* thrown away if it is not finished: no second file beside it, and nothing is made durable; the caller
                              flushes it once it is finished. Those who read meanwhile see what was committed; when the writer was
                              killed within a commit, they may find it damaged */
};

/* The file appears at once, says that it is being written, and holds what was committed. */
int store_create(const char *path, const struct store_create_options *, struct store_writer **ret, struct error *err) MUST_CHECK;
/* Adds a call. [any thread, but one at a time for each appender]. After a failure (a full disk) nothing more is taken and
 * every call says the same. */
int store_append(struct store_writer *, uint32_t appender, const struct td_call *, struct error *err) MUST_CHECK;
/* Ends the appender's chunk although it is not full, for readers that follow slow traffic. [the appender's thread] */
int store_flush(struct store_writer *, uint32_t appender, struct error *err) MUST_CHECK;
/* Makes everything in ended chunks durable and visible. Happens by itself about every second while calls are appended. [any] */
int store_commit(struct store_writer *, struct error *err) MUST_CHECK;
/* Ends all chunks and marks the store as complete. `summary`: JSON, as statistics of the dissection. Nobody appends any
 * more. */
int store_finish(struct store_writer *, struct td_slice summary, struct error *err) MUST_CHECK;
/* Calls taken so far. [any] */
uint64_t store_appended(const struct store_writer *);
/* Without store_finish() before: what was committed stays, and the store says that it is incomplete. */
void store_writer_free(struct store_writer *);

/* ---- Reading ---- */

struct store;

struct store_position {
    int64_t time_ns;
    uint64_t id;
};

enum store_state {
    STORE_WRITING, /* somebody writes it at this moment */
    STORE_COMPLETE,
    STORE_INCOMPLETE /* its writer died or gave up: all that it committed is there */
};

/* Reads the directory: for each chunk, 40 bytes in memory. TD_E_UNSUPPORTED: written by a newer program; TD_E_CORRUPT: not a
 * call store, or damaged. */
int store_open(const char *path, struct store **ret, struct error *err) MUST_CHECK;
void store_free(struct store *);
/* Waits no longer than `patience_ns` for a writer that keeps the file, whenever it is read: TD_E_RETRY, and nothing is lost by it. For
 * stores of writers that are not trusted. */
int store_open_patient(const char *path, int64_t patience_ns, struct store **ret, struct error *err) MUST_CHECK;
const struct field_registry *store_registry(const struct store *);
/* A number that no two stores have in common, given when it was created; also of one that was moved. 0: it has none, an older one. */
uint64_t store_birth(const struct store *);
enum store_state store_state(const struct store *);
uint64_t store_count(const struct store *); /* calls */
/* Of the first call and the last; false if there is none. */
bool store_times(const struct store *, int64_t *ret_first_ns, int64_t *ret_last_ns);
/* The tables of the dissectors that filled it: `fields` of its calls are among them. For columns. */
const struct field_set *const *store_components(const struct store *, uint32_t *ret_n);
struct td_slice store_about(const struct store *);
struct td_slice store_summary(const struct store *); /* empty until it is complete */
/* Looks for chunks that came since, and for the state. Scans that are under way do not see them. */
int store_refresh(struct store *, bool *ret_more, struct error *err) MUST_CHECK;

/* The last place that a call of the chunks known so far can have: with store_scan_options.after and .as_found, only later ones follow. */
struct store_position store_end(const struct store *);

/* Chunks in the order in which they were written, for whoever needs no order of time. The chunk stays until store_release()
 * has been called as often as store_chunk(); a few released ones are kept for the next who asks. */
uint32_t store_chunk_count(const struct store *);
int store_chunk(struct store *, uint32_t index, struct chunk **ret, struct error *err) MUST_CHECK;
void store_release(struct store *, struct chunk *);

/* ---- Scanning in the order of time, or as they were found ---- */

/* Clears the bits (a bit a row) of the rows that are not wanted; those outside of the times asked for are cleared already. Look at
 * the statistics first. Called for a chunk once; after an error of its own, which is returned, again when the scan goes on. */
typedef int store_select_fn(void *ctx, struct chunk *, uint64_t *bits, struct error *err);

struct store_scan_options {
    bool oldest_first;
    bool as_found;          /* instead: by id, ascending. What is added to a store that grows always comes behind what there was */
    int64_t from_ns, to_ns; /* from <= time < to; a zeroed pair means all */
    const struct store_position *after; /* go on behind this call; or NULL */
    store_select_fn *select;            /* NULL: every call */
    void *ctx;
};

struct store_scan;

int store_scan_new(struct store *, const struct store_scan_options *, struct store_scan **ret, struct error *err) MUST_CHECK;
void store_scan_free(struct store_scan *);
/* The next call, by time and then id (both descend, or ascend if the oldest comes first). id 0: that was all. Chunks are opened
 * only as their times are reached, so that the newest hundred cost little; calls of overlapping chunks are merged. A chunk
 * that waits for its turn holds about 2 KB. */
int store_scan_next(struct store_scan *, struct store_position *ret, struct error *err) MUST_CHECK;

/* ---- One call ---- */

/* The chunk of a call and its row there; to be released. TD_E_NOT_FOUND: no such call. */
int store_locate(struct store *, uint64_t id, struct chunk **ret, uint32_t *ret_row, struct error *err) MUST_CHECK;

/* A call as the dissector made it: fields, halves, packets and, if asked for, payload. Printed as JSON it gives the same
 * bytes. Zeroed at first, used again and again, and cleared at the end. */
struct store_call {
    struct td_call call; /* enumerations and addresses have become texts; `fields`, `flow`, `protocol` belong to the store */
    struct td_flow flow;
    char node[STORE_MAX_NODE];
};
int store_read_call(struct store *, uint64_t id, bool payload, struct store_call *ret, struct error *err) MUST_CHECK;
void store_call_clear(struct store_call *);

#endif
