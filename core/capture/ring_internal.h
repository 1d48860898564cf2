/* The inside of the ring: shared by ring*.c and segment.c, and by nobody else.
 *
 * Who does what. The appending thread fills the open segment (ring_append.c). The block writer's thread brings it to the disk and
 * hands ended segments to the keeper. The keeper (ring_keep.c) has the next segment ready before it is needed, seals, and recycles. The
 * tidier (ring_tidy.c) does with sealed segments, at the lowest priority, what can wait: it compresses them (ring_squeeze.c) and makes
 * their digests (ring_hash.c). `lock` guards everything that several of them touch. */
#ifndef CAPTURE_RING_INTERNAL_H
#define CAPTURE_RING_INTERNAL_H

#include <pthread.h>

#include "capture/block_writer.h"
#include "capture/frames.h"
#include "capture/ring.h"
#include "capture/segment_file.h"

enum {
    RING_MAX_CAPLEN = 262144,   /* bytes kept of a packet, as tcpdump's longest */
    RING_MIN_SEGMENT = 2 << 20, /* room for the longest packets */
    RING_MAX_SEGMENT = 1 << 30,
    RING_AUTO_SEGMENT = 64 << 20,
    RING_SPARE_NOTES = 2
};

/* Counters of a segment, or of an interface in it. */
struct interface_counts {
    uint64_t received, by_kernel, by_interface;
};

/* A segment from the moment when it is prepared to that when it is sealed. */
struct open_segment {
    struct block_file file; /* first: `ended` gets it */
    unsigned refs;          /* the ring's and those of pins, which may still use the notes of a segment sealed long ago */
    struct ring *ring;
    struct body *body;
    uint64_t size; /* what segment and index may take together; reserved in the budget */
    struct notes *notes;
    struct notes *mended;           /* of what is really there, if its end could not be written; NULL: the same */
    struct open_segment *next;      /* in the keeper's list */
    struct segment_summary summary; /* the appending thread's; the keeper's when it has ended */
    uint64_t check_at;              /* up to there the segment is certain to stay within its size */
    bool empty_at_end;              /* nothing worth keeping */
    bool after_broken;              /* [lock] the segment before it turned out to have lost its end */
    uint32_t interface_count;
    struct interface_counts counts[NOTES_MAX_INTERFACES]; /* by number in the segment */
    /* As published: what a pin takes over. `bytes` is stored last. */
    atomic_uint_fast64_t packets, captured_bytes, original_bytes, bytes;
    atomic_int_fast64_t first_ns, last_ns;
};

/* The file of a segment in one form. A segment that is compressed gets another one. */
struct body {
    uint64_t sequence;
    enum segment_file_kind kind;
    bool writing; /* not sealed */
    bool current; /* the ring has it; otherwise it only lives for those who pinned it */
    unsigned pins;
    unsigned readers; /* pins that have read: while there is one, descriptors stay open */
    uint64_t cost;    /* of the file and its index, in the budget */
    uint64_t stale;   /* the part of it that is an index which has been replaced, and which somebody still reads */
    uint64_t file_bytes;
    struct body *next_orphan;
    pthread_rwlock_t access; /* shared: reading from the descriptors; exclusive: opening and closing them */
    bool revoked;
    int fd, index_fd; /* -1: not open */
};

struct entry {
    struct segment_summary summary;
    struct body *body;
    struct open_segment *open; /* NULL: sealed */
    bool stays_plain;          /* compressing it has failed */
    bool stays_unhashed;       /* so has making its digest */
};

struct ring_interface_state {
    bool used, live;
    char *name, *description, *filter;
    uint32_t linktype, snaplen;
    uint32_t number; /* in the open segment; UINT32_MAX: not described there */
};

struct ring {
    struct ring_options options; /* dir and node are copies */
    bool read_only;
    int dir_fd, lock_fd;
    char *dir, *node;

    /* ---- The appending thread's ---- */
    struct block_writer *writer;
    struct open_segment *open; /* NULL: nothing can be written at the moment */
    struct ring_interface_state interfaces[NOTES_MAX_INTERFACES];
    struct buf scratch;
    uint32_t gap_before_next;
    int64_t covered_to_ns; /* until when was captured; INT64_MIN: never */
    const char *gap_reason;
    bool failed_lately; /* a segment was given up since the last tick: the next one waits for it */
    uint64_t lost;      /* packets that found no segment since the last one */
    uint64_t packets, captured_bytes;
    int64_t segment_duration_ns;
    bool told_cut;

    atomic_uint_fast64_t published_packets, published_bytes, taken_back, dropped_by_disk, waits;

    /* ---- Under the lock ---- */
    pthread_mutex_t lock;
    pthread_cond_t keeper_work, next_ready, tidier_work;
    struct entry *entries; /* by sequence */
    size_t n, cap;
    struct body *orphans;
    uint64_t next_sequence;
    uint64_t segment_size;
    uint64_t used, reserved, pinned; /* bytes: of entries; of open and next ones, and of what the tidier writes; of orphans */
    uint64_t awaited, space_shown;   /* bytes: removed, and not free yet for all that is seen; free when it was last looked at */
    int64_t awaited_until_ns;        /* CLOCK_MONOTONIC */
    struct open_segment *next;       /* prepared */
    struct open_segment *ended, **ended_tail;
    size_t unsealed; /* begun and not sealed yet */
    struct notes *spare[RING_SPARE_NOTES];
    size_t spare_n;
    uint64_t spare_bytes; /* segment size for which the spare ones were made */
    const char *trouble;
    int trouble_errno;
    int disk_failure;               /* errno: writing or flushing failed; */
    uint64_t disk_failure_sequence; /* over when a segment behind this one reaches the disk */
    uint64_t recycled, revoked, recovered, rebuilt, compressed, hashed;
    bool stop;
    uint64_t tidying;        /* bytes of `reserved`: what the tidier writes */
    atomic_bool tidy_cancel; /* it shall give up the segment at hand */
    bool keeper_runs, tidier_runs;
    pthread_t keeper, tidier;
};

/* ---- ring.c: all with the lock held ---- */

struct body *body_new(uint64_t sequence, enum segment_file_kind kind);
void body_free(struct body *);
/* Its descriptors. [`access` held exclusively, or nobody else knows it] */
void body_close(struct body *);
/* Opens its descriptors if they are not; `sealed`: that of its index, too. [`access` held exclusively, the lock need not be held] */
int body_open(struct ring *, struct body *, bool sealed, struct error *err) MUST_CHECK;
/* Its files' names go. `read`: somebody has pinned it, and keeps reading from descriptors that are opened before. [the lock need not be
 * held] */
void body_unlink(struct ring *, struct body *, bool read, bool with_index);
/* The ring has no more use for it: freed, or an orphan while it is pinned. */
void body_release(struct ring *, struct body *);
int ring_insert(struct ring *, const struct entry *, struct error *err) MUST_CHECK;
struct entry *ring_find(struct ring *, uint64_t sequence);
/* Recycles until `need` more bytes may be taken, within the budget and above the floor of free space; the lock is let go meanwhile. */
bool ring_make_room(struct ring *, uint64_t need);
/* Recycles the oldest sealed segment; false: there is none. The lock is let go meanwhile. */
bool ring_recycle_oldest(struct ring *);
void ring_set_trouble(struct ring *, const char *what, int failure);
void ring_set_disk_failure(struct ring *, uint64_t sequence, int failure);
int64_t ring_uptime(void); /* CLOCK_MONOTONIC. [the lock need not be held] */

/* ---- segment.c: with the lock held ---- */

int segment_pin(struct ring *, struct entry *, struct segment **ret, struct error *err) MUST_CHECK;
/* segment_read() for struct segment_bytes. [no lock held] */
int segment_read_any(void *segment, uint64_t offset, void *p, size_t n, struct error *err);
/* What was read of its file is not needed again soon: the system may use that memory. [no lock held] */
void segment_forget(struct segment *);
/* Its index with another summary, appended to `ret`; TD_E_CORRUPT: it has none that is right. [no lock held] */
int segment_index_again(struct segment *, const struct segment_summary *, struct buf *ret, struct error *err) MUST_CHECK;

/* ---- ring_append.c ---- */

int64_t ring_now(void);
/* Ends the open segment, if there is one, and begins the next. [the appending thread] */
void ring_roll(struct ring *);
void ring_end_open(struct ring *);

/* ---- ring_keep.c ---- */

void *ring_keep(void *ring);
/* [lock held] */
void open_segment_unref(struct open_segment *);
/* Writes an index beside its segment, under its unfinished name; ring_commit_index() gives it its own. */
int ring_write_index(struct ring *, const struct notes *, const struct segment_summary *, const struct segment_frames *,
                     uint64_t *ret_bytes, struct error *err) MUST_CHECK;
int ring_put_index(struct ring *, uint64_t sequence, struct td_slice bytes, bool flushed, struct error *err) MUST_CHECK;
int ring_commit_index(struct ring *, uint64_t sequence, struct error *err) MUST_CHECK;

/* ---- ring_tidy.c ---- */

void *ring_tidy(void *ring);
/* Room for what the tidier is going to write, until the segment at hand is done. The segment is pinned, so it may be recycled meanwhile
 * without harm. */
bool ring_tidy_reserve(struct ring *, uint64_t bytes);

/* ---- ring_squeeze.c, ring_hash.c: with a segment that the tidier has pinned; no lock held ---- */

/* The compressed file takes the plain one's place. TD_E_CANCELLED: not now. */
int ring_squeeze(struct ring *, struct segment *, int level, struct error *err) MUST_CHECK;

/* How calm capturing is, as the tidier has seen it. */
struct ring_calm {
    int64_t since_ns; /* of the second at hand; CLOCK_MONOTONIC */
    uint64_t bytes;   /* appended before it */
    unsigned seconds; /* calm ones before it, in a row */
};
/* To be asked at least once a second while it matters. */
bool ring_is_calm(const struct ring *, struct ring_calm *);
/* Reads the segment's file and puts its digest into its index. TD_E_CANCELLED: not now. */
int ring_hash(struct ring *, struct segment *, struct ring_calm *, struct error *err) MUST_CHECK;

/* ---- ring_recover.c: before any thread runs ---- */

int ring_recover(struct ring *, struct error *err) MUST_CHECK;
/* Reads of a plain or compressed file. ctx: struct segment_source */
struct segment_source {
    int fd;
    struct frames_reader *frames; /* NULL: plain */
};
int segment_source_read(void *ctx, uint64_t offset, void *p, size_t n, struct error *err);

#endif
