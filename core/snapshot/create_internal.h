/* The inside of creating: shared by create*.c, and by nobody else.
 *
 * A run has two rounds over its workers, some at once. In the first each is asked to hold the window (create_hold.c); then the window is
 * checked against what is there, and room is reserved (create.c). In the second round segments are taken, by two transfers for
 * each worker (create_take.c): linked, or fetched over HTTP (create_fetch.c), compared with what was said of them (create_check.c), and put
 * into storage. Meanwhile a thread renews the holds. The manifest comes last (create_finish.c).
 *
 * What comes lies in <work_dir>/<id>/<node>/: whole segments under their own names, trimmed ones as "<sequence>.trimmed.pcapng", each with
 * its index; what is not whole yet ends with ".part". */
#ifndef SNAPSHOT_CREATE_INTERNAL_H
#define SNAPSHOT_CREATE_INTERNAL_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/http_client.h"
#include "snapshot/create.h"
#include "snapshot/offer.h"

enum {
    CREATE_FILE = 64,     /* bytes of a file's name in the work directory */
    CREATE_TRANSFERS = 2, /* of a worker at once: what comes is hashed where it comes, and one alone waits for that */
    CREATE_PARALLEL = 8,
    CREATE_NAME = MANIFEST_MAX_NODE + 1,
    CREATE_REASON = 600
};

enum piece_state { PIECE_WANTED, PIECE_DONE, PIECE_EMPTY /* trimmed, without a packet */, PIECE_FAILED };

/* A segment on its way. */
struct piece {
    struct offer_segment said; /* by the worker */
    bool kept;                 /* of an earlier run; the worker has it no more, or is gone */
    bool linked;               /* its data file is the worker's */
    bool quick;                /* it was linked at first: taking it needs no worker */
    enum piece_state state;
    uint64_t reserved; /* bytes of the room */
    uint64_t counted;  /* bytes in the progress */
    /* What is there: */
    bool compressed;
    uint64_t bytes, index_bytes;
    uint8_t sha256[MANIFEST_SHA256], index_sha256[MANIFEST_SHA256];
    uint64_t packets, captured_bytes;
    int64_t first_ns, last_ns;
    char lie[200]; /* what was wrong with what was said, though the segment could be taken; "": nothing */
    char why[300]; /* it failed */
};

struct create_node {
    const struct create_worker *worker;
    char name[CREATE_NAME];
    pthread_mutex_t lock;
    struct offer offer; /* [lock], as it is renewed when it was lost */
    bool held;          /* [lock] */
    unsigned generation;
    int64_t renewed_ns; /* monotonic */
    bool missing;       /* nothing can be had of it, for this: */
    char reason[CREATE_REASON];
    int status;                       /* of what it is missing for */
    int64_t offset_ns, error_ns;      /* of its clock */
    int64_t ring_from_ns, ring_to_ns; /* all that its raw capture covers, if the window is not whole; from > to: not known */
    struct piece *pieces;
    size_t n;
    atomic_size_t next[2];     /* piece to be looked at, whether it is to be taken: of those that are not quick, of those that are */
    atomic_bool lost;          /* it does not answer any more: no further piece is tried */
    _Atomic int64_t active_ns; /* monotonic: something came of it */
    int dir_fd;                /* of its folder in the work directory; -1: none */
};

struct create {
    struct snapshots *snapshots;
    const struct create_request *request;
    int64_t patience_ns;
    char agent[80];
    struct create_node *nodes;
    size_t n;
    int work_fd;      /* <work_dir>/<id> */
    atomic_bool stop; /* cancelled, or failed: everything ends */
    atomic_size_t next_node;
    void (*visit)(struct create *, struct create_node *);

    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t visiting;      /* [lock] threads at work */
    struct error failure; /* [lock] of this side: ends the run. status TD_OK: none */
    uint64_t reserved;    /* [lock] */
    uint64_t done, all;   /* [lock] bytes */
    int64_t told_ns;      /* [lock] */
    bool renewing;        /* [lock] */
};

int64_t create_now(void); /* monotonic */
/* This side has failed: the run ends. Returns the status. */
int create_fail(struct create *, int status, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int create_fail_error(struct create *, const struct error *);
/* Waits; false: the run ends. */
bool create_sleep(struct create *, int64_t ns);
/* A growing pause with chance in it, before the next try. */
int64_t create_backoff(unsigned attempt);
/* Bytes of the room for this piece, altogether. Failing ends the run. */
int create_reserve(struct create *, struct piece *, uint64_t bytes) MUST_CHECK;
/* Progress: `bytes` of this piece are there now. */
void create_count(struct create *, struct piece *, uint64_t bytes);

/* ---- create_hold.c ---- */

int create_client(struct create *, const struct create_node *, struct http_client **ret, struct error *err) MUST_CHECK;
/* First round, for one node. */
void create_ask(struct create *, struct create_node *);
/* The hold was lost: gets another one, unless somebody else just did. `generation`: of the one that was lost. */
int create_hold_again(struct create *, struct create_node *, struct http_client *, unsigned generation, struct error *err) MUST_CHECK;
/* Renews all holds in time, until `renewing` is false. */
void *create_renew(void *create);
void create_release(struct create *, struct create_node *);

/* ---- create_fetch.c ---- */

struct fetch {
    struct create *create;
    struct create_node *node;
    struct http_client *client;
    struct piece *piece; /* whose room and progress */
    bool counts;         /* the bytes are progress */
    uint64_t size;       /* UINT64_MAX: not known */
    /* What came: */
    int fd;
    uint64_t at;
    uint8_t sha256[MANIFEST_SHA256];
    /* Inside: */
    EVP_MD_CTX *hash;
    char etag[128];
    uint64_t flushed, idle_from;
    int failed; /* of this side */
};

/* GET `what` of the piece's segment ("data", "index", "window?...") into `fd`, from its beginning, again and again as long as anything
 * comes. TD_E_NOT_FOUND: the hold, or the segment, is gone. TD_E_CORRUPT: not as it was said. When this side has failed, the run ends. */
int create_fetch(struct fetch *, const char *what, struct error *err) MUST_CHECK;

/* ---- create_check.c ---- */

/* SHA-256 and size of a file. Failing ends the run. */
int create_hash(struct create *, int fd, uint8_t sha256[MANIFEST_SHA256], uint64_t *ret_bytes) MUST_CHECK;
/* Is the piece's index in the work directory that of its data, and does it say what the worker said? Reads only the index. */
bool create_is_promised(struct create_node *, const struct piece *);
/* Looks at data and index in the work directory: is the index that of the data, and are packets, times and bytes as said? What the index
 * tells wrongly is counted again in the data, and the index made anew. Fills packets, captured_bytes, first_ns, last_ns. TD_E_CORRUPT: the
 * data is no segment, or has packets outside of the window. */
int create_check(struct create *, struct create_node *, struct piece *, struct error *err) MUST_CHECK;

/* ---- create_take.c ---- */

enum create_file { CREATE_DATA, CREATE_INDEX };
const char *create_file_name(const struct piece *, enum create_file, bool unfinished, char out[CREATE_FILE]);
/* Second round, for one node. */
void create_take(struct create *, struct create_node *);
/* Opens the node's folder, and finds what an earlier run has left there. Failing ends the run. */
int create_open_folder(struct create *, struct create_node *) MUST_CHECK;

/* ---- create_finish.c ---- */

/* Appends why the node cannot give the whole window, as its hold says; nothing: it can. */
void create_put_deficit(const struct create *, const struct create_node *, struct buf *);
/* Everything is there: the manifest, and with it the snapshot. */
int create_finish(struct create *, struct error *err) MUST_CHECK;

#endif
